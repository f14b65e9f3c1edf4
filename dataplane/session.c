/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's connection: greeting, reading lines, time-outs, closing. What the lines mean is in
 * commands.c, bodies in body.c. See session.h for what a session may cost and why a command that
 * must wait stays unread.
 */
#include "relay.h"
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	COMMANDS_PER_RUN = 64, /* then others get their turn */
	LINGER_MS = 10000,
	TARPIT_SENT_MS = 60000, /* for the first line to be acknowledged */
	RETRY_MS = 100,         /* when chunks are short and no event will tell */
};

const char *const session_state_words[SESSION_N_STATES] = {
	[SESSION_DELAY] = "delay",   [SESSION_COMMAND] = "command", [SESSION_DATA] = "data",
	[SESSION_BODY] = "body",     [SESSION_CHUNK] = "chunk",     [SESSION_FINAL] = "final",
	[SESSION_TLS] = "tls",       [SESSION_PIPE] = "pipe",       [SESSION_TARPIT] = "tarpit",
	[SESSION_LINGER] = "linger",
};

/* ---- events ---- */

static void copy_text(char *dst, size_t cap, struct text t)
{
	size_t n = t.len < cap - 1 ? t.len : cap - 1;

	if (n)
		memcpy(dst, t.p, n);
	dst[n] = 0;
}

static const char *text_base(const struct session *s)
{
	return s->long_text ? (const char *)s->long_text->data : s->text;
}

static void session_tell(struct worker *w, struct session *s, enum event_kind kind)
{
	struct event *e = event_new(w, kind);

	if (!e)
		return;
	e->verdict = s->verdict.kind;
	e->phase = s->verdict.phase;
	e->reason = s->verdict.reason;
	e->listener = s->facts.listener;
	e->duration_ns = w->now_ns - s->opened_ns;
	memcpy(e->client, s->facts.client, sizeof(e->client));
	e->client_port = s->facts.client_port;
	e->last_code = s->last_code;
	e->messages = s->messages;
	e->rcpts = s->rcpts;
	e->server = s->server;
	e->session = s->number;
	e->epoch = s->epoch;
	e->commands = s->facts.commands;
	e->bytes_in = s->bytes_in;
	e->bytes_out = s->bytes_out;
	copy_text(e->helo, sizeof(e->helo), session_helo(s));
	copy_text(e->mail, sizeof(e->mail), session_mail(s));
	copy_text(e->rcpt, sizeof(e->rcpt),
	    (struct text){ text_base(s) + s->helo_len + s->mail_len + s->params_len, s->rcpt_len });
}

static void possible_double(struct worker *w, struct session *s)
{
	brain_count(w, BRAIN_possible_doubles);
	session_tell(w, s, EVENT_POSSIBLE_DOUBLE);
}

/* ---- ends ---- */

/* The record goes; the connection has gone before. */
static void session_end(struct worker *w, struct session *s)
{
	session_tell(w, s, EVENT_SESSION);
	brain_count(w, BRAIN_sessions_closed);
	if (s->relay)
		relay_release(w, s->relay);
	if (s->tracked)
		sources_close(w->sources, s->facts.client);
	extent_put(&w->windows, s->line);
	extent_put(&w->windows, s->long_text);
	stack_timer_cancel(w->stack, &s->timer);
	if (s->queued)
		TAILQ_REMOVE(&w->run, s, run);
	LIST_REMOVE(s, all);
	pool_put(&w->sessions, s);
}

static void session_close(struct worker *w, struct session *s)
{
	tcp_close(w->stack, s->conn);
	s->conn = NULL;
	session_end(w, s);
}

static void session_abort(struct worker *w, struct session *s)
{
	tcp_abort(w->stack, s->conn);
	s->conn = NULL;
	session_end(w, s);
}

static void release_relay(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;

	s->relay = NULL;
	if (r)
		relay_release(w, r);
}

void session_linger(struct worker *w, struct session *s)
{
	release_relay(w, s);
	session_consume(w, s, tcp_unread(s->conn));
	tcp_shutdown(w->stack, s->conn);
	s->state = SESSION_LINGER;
	session_deadline(w, s, LINGER_MS);
	if (s->eof)
		session_wake(w, s);
}

void session_quit(struct worker *w, struct session *s)
{
	session_reply(w, s, REPLY_QUIT);
	session_linger(w, s);
}

/* ---- time ---- */

static void session_fire(struct stack_timer *t, uint64_t now_ns, void *arg);

void session_deadline(struct worker *w, struct session *s, uint64_t ms)
{
	s->deadline_ns = ms ? w->now_ns + ms * 1000000u : UINT64_MAX;
	/* Deadlines mostly move away: the armed timer then looks again instead of being moved at
	 * each command. */
	if (ms && (!s->timer.link || s->timer.deadline_ns > s->deadline_ns)) {
		s->timer.fire = session_fire;
		stack_timer_set(w->stack, &s->timer, s->deadline_ns);
	}
}

static void command_deadline(struct worker *w, struct session *s)
{
	session_deadline(w, s,
	    s->condemned ? w->set->smtp.condemned_timeout_ms : w->set->smtp.command_timeout_ms);
}

/* ---- writing ---- */

bool session_can_write(const struct worker *w, const struct session *s, size_t len)
{
	return s->conn && tcp_write_space(w->stack, s->conn) >= len;
}

void session_write(struct worker *w, struct session *s, const char *reply, size_t len, unsigned code)
{
	size_t n = tcp_write(w->stack, s->conn, reply, len);

	s->bytes_out += n;
	s->last_code = (uint16_t)code;
	if (code / 100 == 5)
		s->facts.errors++;
	s->final_unacked = false;
}

void session_reply(struct worker *w, struct session *s, enum reply reply)
{
	char buf[REPLY_MAX];
	size_t n = reply_plain(buf, reply);

	session_write(w, s, buf, n, reply_plain_code(reply));
}

void session_refuse(struct worker *w, struct session *s, unsigned code, enum reason reason)
{
	char buf[REPLY_MAX];
	struct reply_token token = {
		.key = w->config.token_key,
		.epoch = s->epoch,
		.now_ns = w->now_ns,
		.session = s->number,
		.url = policy_string(w->policy, w->set->smtp.contact_url),
	};
	size_t n = reply_reason(buf, code, reason, &token);

	count_reason(w, reason);
	if (s->verdict.reason == REASON_NONE)
		s->verdict.reason = (uint16_t)reason;
	session_write(w, s, buf, n, code);
}

void session_refuse_stored(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;

	if (r->stored)
		session_write(w, s, (const char *)r->stored->data, r->stored->len, r->stored_code);
	else
		session_refuse(w, s, r->refuse_code, r->reason);
}

void session_refuse_verdict(struct worker *w, struct session *s, struct verdict v, enum phase phase)
{
	unsigned code = reply_code(v.kind, v.reason, phase);

	session_refuse(w, s, code, v.reason);
	if (v.kind >= VERDICT_REFUSE)
		s->condemned = true;
	if (code == 421 || code == 521)
		session_linger(w, s);
}

/* ---- judgement ---- */

struct verdict session_judge(struct worker *w, struct session *s, enum phase phase)
{
	return policy_judge(w->policy, phase, &s->facts, s->score);
}

void session_note_verdict(struct worker *w, struct session *s, struct verdict v, enum phase phase)
{
	s->score = v.score;
	if (v.kind == VERDICT_NONE || (v.kind == VERDICT_PASS && s->facts.trusted))
		return;
	count_verdict(w, v.kind, phase);
	if (v.kind == VERDICT_PASS)
		s->facts.trusted = true;
	if (v.kind >= s->verdict.kind) {
		s->verdict = v;
		s->verdict.phase = (uint8_t)phase;
	}
}

/* ---- what a session remembers ---- */

struct text session_helo(const struct session *s)
{
	return (struct text){ text_base(s), s->helo_len };
}

struct text session_mail(const struct session *s)
{
	return (struct text){ text_base(s) + s->helo_len, s->mail_len };
}

struct text session_params(const struct session *s)
{
	return (struct text){ text_base(s) + s->helo_len + s->mail_len, s->params_len };
}

/* Room for `need` bytes; what was kept stays. */
static char *text_room(struct worker *w, struct session *s, size_t need)
{
	if (s->long_text)
		return need <= EXTENT_BYTES ? (char *)s->long_text->data : NULL;
	if (need <= sizeof(s->text))
		return s->text;
	s->long_text = extent_get(&w->windows);
	if (!s->long_text)
		return NULL;
	memcpy(s->long_text->data, s->text, sizeof(s->text));
	return (char *)s->long_text->data;
}

int session_set_helo(struct worker *w, struct session *s, struct text helo)
{
	char *p = text_room(w, s, helo.len);

	if (!p)
		return -ENOBUFS;
	memcpy(p, helo.p, helo.len);
	s->helo_len = helo.len;
	s->mail_len = s->params_len = s->rcpt_len = 0;
	s->facts.helo = session_helo(s);
	return 0;
}

int session_set_mail(struct worker *w, struct session *s, struct text path, struct text params)
{
	char *p = text_room(w, s, (size_t)s->helo_len + path.len + params.len);

	if (!p)
		return -ENOBUFS;
	if (path.len)
		memcpy(p + s->helo_len, path.p, path.len);
	if (params.len)
		memcpy(p + s->helo_len + path.len, params.p, params.len);
	s->mail_len = path.len;
	s->params_len = params.len;
	s->rcpt_len = 0;
	s->facts.helo = session_helo(s);
	s->facts.mail = session_mail(s);
	return 0;
}

/* The first accepted recipient, for events, where it finds room. */
void session_note_rcpt(struct session *s, struct text path)
{
	size_t at = (size_t)s->helo_len + s->mail_len + s->params_len;
	size_t cap = s->long_text ? EXTENT_BYTES : sizeof(s->text);
	size_t n = cap - at < path.len ? cap - at : path.len;
	char *p = s->long_text ? (char *)s->long_text->data : s->text;

	if (n > 63)
		n = 63;
	memcpy(p + at, path.p, n);
	s->rcpt_len = (uint16_t)n;
}

/* The transaction is over; its texts stay for the event until the next MAIL. */
static void forget(struct worker *w, struct session *s)
{
	s->at = s->at == AT_START ? AT_START : AT_HELO;
	s->used = 0;
	s->facts.rcpts_accepted = s->facts.rcpts_refused = 0;
	s->facts.declared_size = s->facts.body_size = 0;
	s->facts.null_sender = false;
	s->facts.mail = s->facts.rcpt = (struct text){ 0 };
	if (!s->long_text || s->helo_len > sizeof(s->text))
		return;
	memcpy(s->text, s->long_text->data, s->helo_len);
	s->long_text = extent_put(&w->windows, s->long_text);
	s->mail_len = s->params_len = s->rcpt_len = 0;
	s->facts.helo = session_helo(s);
}

void session_reset(struct worker *w, struct session *s)
{
	forget(w, s);
	if (s->relay)
		relay_reset(w, s->relay);
}

void session_final(struct worker *w, struct session *s, unsigned code, const char *raw, size_t len)
{
	if (code == 250) {
		brain_count(w, BRAIN_messages_accepted);
		s->messages++;
		s->facts.messages++;
	} else {
		brain_count(w, BRAIN_messages_refused);
	}
	s->state = SESSION_COMMAND;
	body_end(w, s->relay);
	forget(w, s);
	if (s->conn) {
		session_write(w, s, raw, len, code);
		s->final_unacked = code == 250;
		command_deadline(w, s);
	} else if (code == 250) {
		possible_double(w, s);
	}
	session_wake(w, s);
}

/* ---- greeting ---- */

static void session_tarpit(struct worker *w, struct session *s)
{
	const struct policy_list *list = policy_list_of(w->policy, s->facts.client);
	uint32_t pace_ms = list && list->tarpit_pace_ms ? list->tarpit_pace_ms : 10000;

	session_consume(w, s, tcp_unread(s->conn));
	if (s->eof) {
		session_close(w, s);
		return;
	}
	if (tcp_shrink_to_tarpit(w->stack, s->conn, TARPIT_TEXT, pace_ms) < 0)
		return; /* once the first line is acknowledged */
	s->conn = NULL;
	brain_count(w, BRAIN_tarpitted);
	session_end(w, s);
}

static void session_greet(struct worker *w, struct session *s)
{
	char buf[REPLY_MAX];
	size_t n = greeting_banner(w, buf, sizeof(buf));

	s->state = SESSION_COMMAND;
	s->at = AT_START;
	session_write(w, s, buf, n, 220);
	command_deadline(w, s);
	session_wake(w, s);
}

/* Judged at the proven cookie and, when there was a delay, again at its end. False: it ended. */
static bool session_judge_connect(struct worker *w, struct session *s)
{
	struct verdict v = session_judge(w, s, PHASE_CONNECT);
	char line[HOSTNAME_MAX + 16];

	session_note_verdict(w, s, v, PHASE_CONNECT);
	switch ((enum verdict_kind)v.kind) {
	case VERDICT_GREY:
	case VERDICT_DEFER:
	case VERDICT_REFUSE: session_refuse_verdict(w, s, v, PHASE_CONNECT); return false;
	case VERDICT_TARPIT:
	case VERDICT_TRAP: /* the handshake is over: a record that drips is the cheapest silence left */
		count_reason(w, v.reason);
		session_write(w, s, line,
		    (size_t)snprintf(line, sizeof(line), "220-%.255s\r\n", smtp_hostname(w)), 220);
		s->state = SESSION_TARPIT;
		session_deadline(w, s, TARPIT_SENT_MS);
		return false;
	case VERDICT_RESET:
	case VERDICT_DROP:
		count_reason(w, v.reason);
		session_abort(w, s);
		return false;
	default: return true;
	}
}

static void session_turn_away(struct worker *w, struct tcp_conn *conn, enum reason reason)
{
	char buf[REPLY_MAX];
	struct reply_token token = {
		.key = w->config.token_key,
		.epoch = w->epoch,
		.now_ns = w->now_ns,
		.url = policy_string(w->policy, w->set->smtp.contact_url),
	};
	size_t n = reply_reason(buf, 421, reason, &token);

	count_reason(w, reason);
	tcp_consume(w->stack, conn, tcp_unread(conn));
	tcp_write(w->stack, conn, buf, n);
	tcp_close(w->stack, conn);
}

void session_accept(struct worker *w, struct tcp_conn *conn, unsigned events)
{
	struct source_counts counts;
	struct tcp_info info;
	struct session *s;

	if (events & (TCP_EV_RESET | TCP_EV_TIMEOUT)) {
		tcp_close(w->stack, conn);
		return;
	}
	if (w->draining) {
		session_turn_away(w, conn, REASON_DRAIN);
		return;
	}
	s = pool_get(&w->sessions);
	if (!s) {
		brain_count(w, BRAIN_session_table_full);
		session_turn_away(w, conn, REASON_OVERLOAD);
		return;
	}
	memset(s, 0, sizeof(*s));
	tcp_get_info(conn, &info);
	s->owner = OWNER_SESSION;
	s->conn = conn;
	s->state = SESSION_DELAY;
	s->at = AT_START;
	s->opened_ns = w->now_ns;
	s->deadline_ns = UINT64_MAX;
	s->epoch = w->epoch;
	s->server = BACKEND_NONE;
	s->eof = events & TCP_EV_EOF;
	if (++w->session_seq == 0)
		w->session_seq = 1;
	s->number = w->session_seq;
	memcpy(s->facts.client, info.remote.b, 16);
	memcpy(s->facts.server, info.local.b, 16);
	s->facts.client_port = info.remote_port;
	s->facts.listener = info.listener;
	LIST_INSERT_HEAD(&w->all, s, all);
	tcp_set_user(conn, s);
	brain_count(w, BRAIN_sessions_opened);
	s->tracked = sources_open(w->sources, s->facts.client, w->now_ns, &counts);
	if (!s->tracked)
		brain_count(w, BRAIN_source_table_full);
	s->facts.source_connections = counts.connections;
	s->facts.source_rate = counts.rate;
	s->facts.prefix_connections = counts.prefix_connections;
	if (tcp_unread(conn) > 0) {
		s->facts.talked_early = true;
		brain_count(w, BRAIN_talked_early);
	}
	if (!session_judge_connect(w, s))
		return;
	if (w->set->smtp.greet_delay_ms && !s->facts.trusted)
		session_deadline(w, s, w->set->smtp.greet_delay_ms);
	else
		session_greet(w, s);
}

/* ---- lines ---- */

enum line_read { LINE_NONE, LINE_READY, LINE_BAD, LINE_LONG, LINE_NO_MEMORY };

void session_consume(struct worker *w, struct session *s, size_t n)
{
	if (n)
		tcp_consume(w->stack, s->conn, n);
	s->bytes_in += n;
}

/* Throws an over-long line away up to its end. False: the end has not come. */
static bool skip_line(struct worker *w, struct session *s)
{
	const uint8_t *p, *end;
	size_t run;

	while (s->skipping && (run = tcp_peek(s->conn, &p)) > 0) {
		end = memchr(p, '\n', run);
		session_consume(w, s, end ? (size_t)(end - p) + 1 : run);
		s->skipping = !end;
	}
	return !s->skipping;
}

/* A line in two pieces: gathered in an extent, which then holds it and nothing behind it. */
static bool gather_line(struct worker *w, struct session *s)
{
	struct extent *e = s->line;
	const uint8_t *p, *end;
	size_t run, k;

	while (e->len <= SMTP_COMMAND_MAX && !(e->len && e->data[e->len - 1] == '\n')) {
		run = tcp_peek(s->conn, &p);
		if (run == 0)
			return false;
		end = memchr(p, '\n', run);
		k = end ? (size_t)(end - p) + 1 : run;
		if (k > (size_t)EXTENT_BYTES - e->len)
			k = (size_t)EXTENT_BYTES - e->len;
		memcpy(e->data + e->len, p, k);
		e->len += (uint16_t)k;
		session_consume(w, s, k);
	}
	return true;
}

static enum line_read read_line(struct worker *w, struct session *s, struct text *ret_line,
    size_t *ret_used)
{
	const uint8_t *p;
	size_t run, used = 0;
	enum smtp_line_status status = SMTP_LINE_PARTIAL;

	if (!skip_line(w, s))
		return LINE_NONE;
	if (!s->line) {
		run = tcp_peek(s->conn, &p);
		if (run == 0)
			return LINE_NONE;
		status = smtp_line(p, run, ret_line, &used);
		if (status == SMTP_LINE_PARTIAL) {
			if (run == tcp_unread(s->conn))
				return LINE_NONE;
			s->line = extent_get(&w->windows);
			if (!s->line)
				return LINE_NO_MEMORY;
		}
	}
	if (s->line) {
		if (!gather_line(w, s))
			return LINE_NONE;
		p = s->line->data;
		status = smtp_line(p, s->line->len, ret_line, &used);
	}
	*ret_used = used;
	switch (status) {
	case SMTP_LINE_OK: return LINE_READY;
	case SMTP_LINE_BAD: return LINE_BAD;
	case SMTP_LINE_TOO_LONG:
		s->skipping = used == 0 || p[used - 1] != '\n';
		return LINE_LONG;
	default: return LINE_NONE;
	}
}

static void line_done(struct worker *w, struct session *s, size_t used)
{
	s->line_counted = false;
	if (s->line)
		s->line = extent_put(&w->windows, s->line);
	else
		session_consume(w, s, used < tcp_unread(s->conn) ? used : tcp_unread(s->conn));
}

/* Too many commands or errors (P9). The limits count as filters/limits.c does. */
static bool over_limits(struct worker *w, struct session *s)
{
	const struct policy_limits *l = &w->set->limits;
	enum reason reason;

	if (s->facts.trusted)
		return false;
	if (l->commands && s->facts.commands > l->commands)
		reason = REASON_COMMAND_LIMIT;
	else if (l->errors && s->facts.errors >= l->errors)
		reason = REASON_ERROR_LIMIT;
	else
		return false;
	session_refuse(w, s, 421, reason);
	session_linger(w, s);
	return true;
}

/* RCPTs whose backend went away before it answered. */
static void answer_orphans(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;

	while (r && r->state == RELAY_FAILED && r->pending > 0 &&
	    session_can_write(w, s, REPLY_ROOM)) {
		r->pending--;
		s->facts.rcpts_refused++;
		brain_count(w, BRAIN_rcpt_refused);
		session_refuse_stored(w, s);
	}
}

/* One line. False: nothing more can be done now. */
static bool run_command(struct worker *w, struct session *s)
{
	bool pending;
	struct text line;
	size_t used;
	enum outcome outcome;
	enum line_read read;

	answer_orphans(w, s);
	pending = s->relay && s->relay->pending > 0;
	if (!session_can_write(w, s, REPLY_ROOM)) {
		if (tcp_unsent_or_unacked(s->conn) == 0)
			session_deadline(w, s, RETRY_MS); /* chunks are short: no event will tell */
		return false;
	}
	if (w->draining && !pending && s->at != AT_BDAT) {
		session_refuse(w, s, 421, REASON_DRAIN);
		session_linger(w, s);
		return false;
	}
	read = read_line(w, s, &line, &used);
	if (read == LINE_NONE) {
		if (s->eof && !pending)
			session_close(w, s);
		return false;
	}
	if (read == LINE_NO_MEMORY) {
		brain_count(w, BRAIN_line_memory_full);
		session_refuse(w, s, 421, REASON_OVERLOAD);
		session_linger(w, s);
		return false;
	}
	if (!s->line_counted) {
		s->line_counted = true;
		s->facts.commands++;
		brain_count(w, BRAIN_commands);
		s->final_unacked = false; /* it goes on, so it has our last reply */
	}
	if (pending && read != LINE_READY)
		return false;
	if (!pending && over_limits(w, s))
		return false;
	if (read == LINE_LONG)
		session_refuse(w, s, 500, REASON_LINE_TOO_LONG);
	if (read == LINE_BAD)
		session_reply(w, s, REPLY_BAD_LINE);
	s->more_behind = tcp_unread(s->conn) > (s->line ? 0 : used);
	outcome = read == LINE_READY ? command_run(w, s, line) : OUTCOME_DONE;
	if (outcome == OUTCOME_WAIT) {
		session_deadline(w, s, 0);
		return false;
	}
	if (s->state == SESSION_LINGER)
		return false; /* it consumed everything */
	line_done(w, s, used);
	if (s->state == SESSION_COMMAND)
		command_deadline(w, s);
	return true;
}

/* ---- other states ---- */

static void run_data(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;

	if (!session_can_write(w, s, REPLY_ROOM))
		return;
	if (r->state == RELAY_BODY) {
		session_reply(w, s, REPLY_DATA_GO);
		s->state = SESSION_BODY;
		session_deadline(w, s, w->set->smtp.data_timeout_ms);
		session_wake(w, s);
	} else if (r->state == RELAY_REFUSED || r->state == RELAY_FAILED) {
		session_refuse_stored(w, s);
		s->state = SESSION_COMMAND;
		session_reset(w, s);
		command_deadline(w, s);
		session_wake(w, s);
	}
}

/* The backend went away after the dot: whether it took the message nobody knows, so 451. */
static void run_final(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;

	if (r->state != RELAY_FAILED)
		relay_resume(w, r); /* a reply that waited for room */
	if (s->state != SESSION_FINAL || !s->relay || r->state != RELAY_FAILED)
		return;
	if (s->conn && !session_can_write(w, s, REPLY_ROOM))
		return;
	brain_count(w, BRAIN_messages_refused);
	if (s->conn) {
		session_refuse_stored(w, s);
		command_deadline(w, s);
	}
	s->state = SESSION_COMMAND;
	session_reset(w, s);
	session_wake(w, s);
}

static void run_tls(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;

	if (r->state == RELAY_PIPE) {
		s->state = SESSION_PIPE;
		s->facts.tls = true;
		brain_count(w, BRAIN_tls_passed);
		tcp_set_keepalive(w->stack, s->conn, true);
		session_deadline(w, s, 0);
		session_wake(w, s);
	} else if (r->state == RELAY_REFUSED || r->state == RELAY_FAILED) {
		release_relay(w, s);
		s->state = SESSION_COMMAND;
		session_reply(w, s, REPLY_NO_TLS);
		command_deadline(w, s);
		session_wake(w, s);
	} else {
		relay_resume(w, r); /* a 220 that waited for room */
	}
}

static void run_drop(struct worker *w, struct session *s)
{
	session_consume(w, s, tcp_unread(s->conn));
	if (s->eof)
		session_close(w, s);
}

void session_wake(struct worker *w, struct session *s)
{
	if (s->queued)
		return;
	s->queued = true;
	TAILQ_INSERT_TAIL(&w->run, s, run);
}

void session_run(struct worker *w, struct session *s)
{
	unsigned budget = COMMANDS_PER_RUN;

	if (!s->conn) {
		if (s->state == SESSION_FINAL)
			run_final(w, s);
		if (s->state != SESSION_FINAL)
			session_end(w, s);
		return;
	}
	switch ((enum session_state)s->state) {
	case SESSION_DELAY:
		if (s->eof) {
			session_close(w, s);
		} else if (w->draining) {
			session_refuse(w, s, 421, REASON_DRAIN);
			session_linger(w, s);
		} else if (tcp_unread(s->conn) > 0 && !s->facts.talked_early) {
			s->facts.talked_early = true;
			brain_count(w, BRAIN_talked_early);
		}
		return;
	case SESSION_COMMAND:
		if (s->relay && s->relay->pending)
			relay_resume(w, s->relay); /* answers that waited for room */
		while (run_command(w, s)) {
			if (s->state != SESSION_COMMAND)
				budget = 1; /* the next state runs from the queue */
			if (--budget == 0) {
				session_wake(w, s);
				return;
			}
		}
		return;
	case SESSION_DATA: run_data(w, s); break;
	case SESSION_BODY: body_run(w, s); break;
	case SESSION_CHUNK: chunk_run(w, s); break;
	case SESSION_FINAL: run_final(w, s); break;
	case SESSION_TLS: run_tls(w, s); break;
	case SESSION_PIPE: pipe_run(w, s); break;
	case SESSION_TARPIT: session_tarpit(w, s); return;
	case SESSION_LINGER: run_drop(w, s); return;
	default: return;
	}
}

/* The connection has ended under us. */
static void session_lost(struct worker *w, struct session *s)
{
	brain_count(w, BRAIN_sessions_reset);
	if (s->final_unacked && tcp_unsent_or_unacked(s->conn) > 0)
		possible_double(w, s);
	if (s->state == SESSION_BODY || s->state == SESSION_CHUNK || s->state == SESSION_DATA)
		brain_count(w, BRAIN_messages_aborted);
	if (s->state != SESSION_FINAL) {
		session_close(w, s);
		return;
	}
	/* The backend has the message: its word decides whether it may come twice. */
	tcp_close(w->stack, s->conn);
	s->conn = NULL;
	session_deadline(w, s, 0);
	session_wake(w, s);
}

void session_event(struct worker *w, struct session *s, unsigned events)
{
	if (events & (TCP_EV_RESET | TCP_EV_TIMEOUT)) {
		session_lost(w, s);
		return;
	}
	if (events & TCP_EV_EOF)
		s->eof = true;
	if (events & TCP_EV_SENT)
		s->final_unacked = false;
	session_run(w, s);
}

static void session_timed_out(struct worker *w, struct session *s)
{
	switch ((enum session_state)s->state) {
	case SESSION_DELAY:
		if (!s->facts.talked_early || session_judge_connect(w, s))
			session_greet(w, s);
		return;
	case SESSION_LINGER: session_close(w, s); return;
	case SESSION_BODY:
	case SESSION_CHUNK: brain_count(w, BRAIN_messages_aborted); break;
	case SESSION_COMMAND:
		if (tcp_unread(s->conn) > 0 && s->line_counted) { /* it waited for room (RETRY_MS) */
			command_deadline(w, s);
			session_wake(w, s);
			return;
		}
		break;
	default: break;
	}
	if (s->state == SESSION_TARPIT || !session_can_write(w, s, REPLY_MAX)) {
		session_abort(w, s);
		return;
	}
	session_refuse(w, s, 421, REASON_COMMAND_TIMEOUT);
	session_linger(w, s);
}

static void session_fire(struct stack_timer *t, uint64_t now_ns, void *arg)
{
	struct session *s = (struct session *)((char *)t - offsetof(struct session, timer));
	struct worker *w = arg;

	if (!s->conn || s->deadline_ns == UINT64_MAX)
		return;
	if (s->deadline_ns > now_ns)
		stack_timer_set(w->stack, t, s->deadline_ns);
	else
		session_timed_out(w, s);
}
