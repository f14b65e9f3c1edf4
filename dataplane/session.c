/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's connection: its states, its time-outs, its end, and what is told of it. Opening is in
 * session_open.c, lines in session_line.c, what they mean in commands.c, bodies in body.c. See
 * session.h for what a session may cost and why a command that must wait stays unread.
 */
#include "inquire.h"
#include "session_private.h"

#include <string.h>

enum {
	COMMANDS_PER_RUN = 64, /* then others get their turn */
	LINGER_MS = 10000,
};

const char *const session_state_words[SESSION_N_STATES] = {
	[SESSION_DELAY] = "delay",
	[SESSION_COMMAND] = "command",
	[SESSION_DATA] = "data",
	[SESSION_BODY] = "body",
	[SESSION_CHUNK] = "chunk",
	[SESSION_FINAL] = "final",
	[SESSION_TLS] = "tls",
	[SESSION_PIPE] = "pipe",
	[SESSION_TARPIT] = "tarpit",
	[SESSION_LINGER] = "linger",
};

/* ---- events ---- */

void session_copy_text(char *dst, size_t cap, struct text t)
{
	size_t n = t.len < cap - 1 ? t.len : cap - 1;

	if (n)
		memcpy(dst, t.p, n);
	dst[n] = 0;
}

/* Names of DNS rows go with the policy they came from; the rules' numbers stay. */
static void tell_dns(const struct worker *w, const struct session *s, struct event *e)
{
	const struct policy_dns *dns = &w->set->dns;
	uint32_t rows = s->facts.dns_listed;

	for (; rows && s->dns_version == dns->version; rows &= rows - 1) {
		unsigned i = (unsigned)__builtin_ctz(rows);

		if (i < dns->n_lists && e->n_dns < EVENT_DNS)
			e->dns[e->n_dns++] = policy_rule(w->policy, dns->lists[i].rule)->id;
	}
}

static void tell_facts(const struct worker *w, const struct session *s, struct event *e)
{
	const struct facts *f = &s->facts;
	bool kept = s->verdict.kind > VERDICT_PASS;

	e->host = f->host;
	e->sender = kept ? s->told_sender : f->sender;
	e->spf = kept ? s->told_spf : f->spf;
	e->grey = kept ? s->told_grey : f->grey;
	e->connections = f->source_connections;
	e->rate = f->source_rate;
	e->errors = f->errors;
	e->given = s->given;
	e->facts = (f->talked_early ? EVENT_TALKED_EARLY : 0u) |
		   (f->pipelined_early ? EVENT_PIPELINED_EARLY : 0u) |
		   (f->bare_command ? EVENT_BARE_COMMAND : 0u) |
		   (f->non_smtp ? EVENT_NON_SMTP : 0u) | (f->esmtp ? EVENT_ESMTP : 0u) |
		   (f->tls ? EVENT_TLS : 0u) | (f->host_generic ? EVENT_HOST_GENERIC : 0u) |
		   (f->sender_is_mx ? EVENT_SENDER_IS_MX : 0u) | (f->trusted ? EVENT_TRUSTED : 0u);
	tell_dns(w, s, e);
	session_copy_text(e->host_name, sizeof(e->host_name), f->host_name);
}

static void session_tell(struct worker *w, struct session *s, enum event_kind kind)
{
	struct event *e = event_new(w, kind);
	struct tally tally = s->told;

	if (!e)
		return;
	bool told = s->told_kind > s->verdict.kind;

	e->verdict = told ? s->told_kind : s->verdict.kind;
	e->phase = told                              ? s->told_phase
		   : s->verdict.kind == VERDICT_NONE ? s->reached
						     : s->verdict.phase;
	e->reason = told ? s->told_reason : s->verdict.reason;
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
	tally_tell(&tally, &s->tally, s->verdict.kind > VERDICT_PASS);
	e->score = tally.score;
	e->pass_all = s->facts.pass_all;
	e->marks_late = s->marks_late;
	e->tenant = s->facts.tenant;
	e->backend_refused = s->backend_refused;
	e->backend_code = s->backend_code;
	e->n_rules = tally.n;
	memcpy(e->rules, tally.hits, sizeof(e->rules));
	e->bytes_in = s->bytes_in;
	e->bytes_out = s->bytes_out;
	tell_facts(w, s, e);
	session_copy_text(e->helo, sizeof(e->helo), session_helo(s));
	session_copy_text(e->mail, sizeof(e->mail), session_mail(s));
	session_copy_text(e->rcpt, sizeof(e->rcpt), session_rcpt(s));
}

static void session_note_end(struct worker *w, const struct session *s)
{
	struct note *n = note_new(w, NOTE_SESSION);
	bool told = s->told_kind > s->verdict.kind;

	if (!n)
		return;
	n->verdict = told ? s->told_kind : s->verdict.kind;
	n->phase = told ? s->told_phase : s->verdict.phase;
	n->reason = told ? s->told_reason : s->verdict.reason;
	n->code = s->last_code;
	n->tenant = s->facts.tenant;
	n->listener = s->facts.listener;
	n->value = s->messages;
	n->score = s->tally.score;
	n->dns_listed = s->facts.dns_listed;
	n->dns_version = s->dns_version;
	memcpy(n->client, s->facts.client, sizeof(n->client));
	session_copy_text(n->sender, sizeof(n->sender), session_mail(s));
	session_copy_text(n->rcpt, sizeof(n->rcpt), session_rcpt(s));
}

static void possible_double(struct worker *w, struct session *s)
{
	s->final_unacked = false;
	brain_count(w, BRAIN_possible_doubles);
	session_tell(w, s, EVENT_POSSIBLE_DOUBLE);
}

/* ---- ends ---- */

/* The record goes; the connection has gone before. */
void session_end(struct worker *w, struct session *s)
{
	session_tell(w, s, EVENT_SESSION);
	session_note_end(w, s);
	brain_count(w, BRAIN_sessions_closed);
	inquire_end(w, s);
	session_at_once_end(w, s);
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

/* The handle goes: whether the 250 arrives after all nobody will tell. */
static void leave_final(struct worker *w, struct session *s)
{
	if (s->final_unacked && tcp_unsent_or_unacked(s->conn) > 0)
		possible_double(w, s);
}

void session_close(struct worker *w, struct session *s)
{
	leave_final(w, s);
	tcp_close(w->stack, s->conn);
	s->conn = NULL;
	session_end(w, s);
}

void session_abort(struct worker *w, struct session *s)
{
	leave_final(w, s);
	tcp_abort(w->stack, s->conn);
	s->conn = NULL;
	session_end(w, s);
}

void session_release_relay(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;

	s->relay = NULL;
	if (r)
		relay_release(w, r);
}

void session_linger(struct worker *w, struct session *s)
{
	session_release_relay(w, s);
	session_at_once_end(w, s);
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

void session_command_deadline(struct worker *w, struct session *s)
{
	session_deadline(w, s,
	    session_shape_left_ms(w, s) + (s->condemned ? w->set->smtp.condemned_timeout_ms
							: w->set->smtp.command_timeout_ms));
}

void session_backend_refused(struct session *s, unsigned code)
{
	if (s->backend_refused < UINT16_MAX)
		s->backend_refused++;
	s->backend_code = (uint16_t)code;
}

static void session_note_message(struct worker *w, const struct session *s)
{
	struct note *n = note_new(w, NOTE_MESSAGE);

	if (!n)
		return;
	n->value = s->facts.rcpts_accepted;
	n->internal = session_is_internal(w, s);
	n->tenant = s->facts.tenant;
	n->listener = s->facts.listener;
	n->score = s->tally.score;
	n->dns_listed = s->facts.dns_listed;
	n->dns_version = s->dns_version;
	memcpy(n->client, s->facts.client, sizeof(n->client));
	session_copy_text(n->sender, sizeof(n->sender), session_mail(s));
	session_copy_text(n->rcpt, sizeof(n->rcpt), session_rcpt(s));
}

void session_final(struct worker *w, struct session *s, unsigned code, const char *raw, size_t len)
{
	if (code == 250) {
		brain_count(w, BRAIN_messages_accepted);
		s->messages++;
		s->facts.messages++;
		if (s->tracked)
			sources_praise(w->sources, s->facts.client);
		session_note_message(w, s);
		session_grey_accepted(w, s);
	} else {
		brain_count(w, BRAIN_messages_refused);
	}
	s->state = SESSION_COMMAND;
	body_end(w, s->relay);
	session_forget(w, s);
	if (s->conn) {
		session_write(w, s, raw, len, code);
		s->final_unacked = code == 250;
		session_command_deadline(w, s);
	} else if (code == 250) {
		possible_double(w, s);
	}
	session_wake(w, s);
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
		session_command_deadline(w, s);
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
		session_command_deadline(w, s);
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
		session_shape_end(w, s); /* the backend's words now */
		tcp_set_keepalive(w->stack, s->conn, true);
		session_deadline(w, s, 0);
		session_wake(w, s);
	} else if (r->state == RELAY_REFUSED || r->state == RELAY_FAILED) {
		if (!session_can_write(w, s, REPLY_MAX))
			return;
		session_release_relay(w, s);
		s->state = SESSION_COMMAND;
		session_reply(w, s, REPLY_NO_TLS);
		session_command_deadline(w, s);
		session_wake(w, s);
	} else {
		relay_resume(w, r); /* a 220 that waited for room */
	}
}

static void run_drop(struct worker *w, struct session *s)
{
	session_consume(w, s, tcp_unread(s->conn));
	/* with a 250 on its way the handle stays until that is acknowledged, or the linger is over */
	if (s->eof && !(s->final_unacked && tcp_unsent_or_unacked(s->conn) > 0))
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
			session_shape_left(w, s);
			session_close(w, s);
		} else if (w->draining) {
			session_refuse(w, s, 421, REASON_DRAIN);
			session_linger(w, s);
		} else if (tcp_unread(s->conn) > 0) {
			session_out_of_turn(w, s, true);
		}
		return;
	case SESSION_COMMAND:
		if (s->relay && s->relay->pending)
			relay_resume(w, s->relay); /* answers that waited for room */
		else if (s->relay && relay_is_wanted(w, s->relay) && !s->line &&
			 tcp_unread(s->conn) == 0)
			session_release_relay(w, s); /* idle, while others wait for a connection */
		while (session_command(w, s)) {
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
	session_shape_left(w, s);
	if (s->final_unacked) /* what was queued has gone with the connection: no count to ask */
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
	/* one from before the 250 was written may come late, hence the second look */
	if (events & TCP_EV_SENT && tcp_unsent_or_unacked(s->conn) == 0)
		s->final_unacked = false;
	if (events & (TCP_EV_RESET | TCP_EV_TIMEOUT)) {
		session_lost(w, s);
		return;
	}
	if (events & TCP_EV_EOF)
		s->eof = true;
	/* What the first command waits for will wake us; until then nothing behind it matters. */
	if (s->state == SESSION_COMMAND && s->parked &&
	    !(events & ~(unsigned)(TCP_EV_READ | TCP_EV_SENT)) && !(s->relay && s->relay->pending))
		return;
	session_run(w, s);
}

static void session_timed_out(struct worker *w, struct session *s)
{
	switch ((enum session_state)s->state) {
	case SESSION_DELAY:
		if (!(s->facts.talked_early || s->facts.dns_known || s->facts.host) ||
		    session_judge_connect(w, s))
			session_greet(w, s);
		return;
	case SESSION_LINGER: session_close(w, s); return;
	case SESSION_BODY:
	case SESSION_CHUNK: brain_count(w, BRAIN_messages_aborted); break;
	case SESSION_COMMAND:
		if (tcp_unread(s->conn) > 0 && s->line_counted) { /* it waited for room (RETRY_MS) */
			session_command_deadline(w, s);
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
