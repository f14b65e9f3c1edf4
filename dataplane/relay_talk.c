/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is said to a backend and what its replies mean, state by state. Replies for the client are
 * passed on as they came (P1, P23), save 421: that is about the backend's connection to us, which
 * is then lost, and the client gets a 451 of ours.
 */
#include "relay_private.h"
#include "proxy.h"
#include "put.h"

#include "filters/token.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { COMMAND_ROOM = 4096 }; /* bytes free in the connection before a command is given to it */

/* ---- reading ---- */

/* The extent is full without a whole reply: its lines go, the last, partial one stays. The final
 * line, hence the code, is still to come. */
static void reply_cut(struct worker *w, struct extent *e)
{
	const uint8_t *end = memrchr(e->data, '\n', e->len);
	size_t gone = end ? (size_t)(end - e->data) + 1 : 0;

	e->len = (uint16_t)(e->len - gone);
	memmove(e->data, e->data + gone, e->len);
	brain_count(w, BRAIN_backend_replies_cut);
}

/* 1: *ret_reply is whole, valid until reply_done(). 0: more must come. -errno: not SMTP. */
static int reply_next(struct worker *w, struct relay *r, struct smtp_reply *ret_reply)
{
	const uint8_t *p;
	size_t run, k;
	long n;

	if (!r->reply) {
		run = tcp_peek(r->conn, &p);
		if (run == 0)
			return 0;
		n = smtp_reply(p, run, ret_reply);
		if (n != 0) {
			r->reply_used = n > 0 ? (uint32_t)n : 0;
			return n > 0 ? 1 : (int)n;
		}
		if (run == tcp_unread(r->conn))
			return 0;
		r->reply = extent_get(&w->windows);
		if (!r->reply)
			return -ENOMEM;
	}
	for (;;) {
		n = smtp_reply(r->reply->data, r->reply->len, ret_reply);
		if (n != 0) {
			r->reply_used = n > 0 ? (uint32_t)n : 0;
			return n > 0 ? 1 : (int)n;
		}
		run = tcp_peek(r->conn, &p);
		if (run == 0)
			return 0;
		if (r->reply->len == EXTENT_BYTES)
			reply_cut(w, r->reply);
		k = EXTENT_BYTES - r->reply->len;
		if (k == 0)
			return -EMSGSIZE;
		if (k > run)
			k = run;
		memcpy(r->reply->data + r->reply->len, p, k);
		r->reply->len += (uint16_t)k;
		tcp_consume(w->stack, r->conn, k);
	}
}

static void reply_done(struct worker *w, struct relay *r)
{
	uint32_t used = r->reply_used;

	r->reply_used = 0;
	if (!r->reply) {
		if (r->conn)
			tcp_consume(w->stack, r->conn, used);
		return;
	}
	r->reply->len = (uint16_t)(r->reply->len - used);
	memmove(r->reply->data, r->reply->data + used, r->reply->len);
	if (r->reply->len == 0)
		r->reply = extent_put(&w->windows, r->reply);
}

/* ---- writing ---- */

static bool room_for(const struct worker *w, const struct relay *r, size_t len)
{
	if (!r->conn)
		return false;
	if (tcp_write_space(w->stack, r->conn) >= len)
		return true;
	tcp_want_write(w->stack, r->conn); /* or nobody would wake the session that waits for it */
	return false;
}

bool relay_has_room(const struct worker *w, const struct relay *r)
{
	return room_for(w, r, COMMAND_ROOM);
}

static bool say(struct worker *w, struct relay *r, const void *data, size_t len)
{
	return tcp_write(w->stack, r->conn, data, len) == len;
}

/* What was put into `line`, ended. */
static bool say_line(struct worker *w, struct relay *r, struct put *to, const char *line)
{
	PUT_LITERAL(to, "\r\n");
	return say(w, r, line, (size_t)(to->p - line));
}

static void say_ehlo(struct worker *w, struct relay *r)
{
	struct session *s = r->session;
	char line[16 + SESSION_HELO_MAX + HOSTNAME_MAX];
	struct text helo = s ? session_helo(s) : (struct text){ 0 };
	struct put to = { line, line + sizeof(line) };

	PUT_LITERAL(&to, "EHLO ");
	if (helo.len && helo.len <= SESSION_HELO_MAX &&
	    (relay_hello(w, r) != HELLO_XCLIENT || r->xclient_done))
		put_text(&to, helo);
	else
		put_string(&to, smtp_hostname(w), 255);
	relay_state(w, r, RELAY_EHLO);
	if (!say_line(w, r, &to, line))
		relay_lost(w, r);
}

static void client_of(struct worker *w, const struct session *s, struct proxy_client *ret_client,
    char token[TOKEN_LEN + 1], char verdict[64])
{
	struct text helo = session_helo(s);
	struct put to = { verdict, verdict + 59 };

	token_make(w->config.token_key,
	    &(struct token_fields){ .reason = (uint8_t)s->verdict.reason,
		.epoch = (uint16_t)s->epoch,
		.minute = (uint32_t)(w->now_ns / 60000000000ull) & 0x3ffffff,
		.session = s->number },
	    token);
	put_string(&to, verdict_words[s->verdict.kind], 60);
	if (s->verdict.reason) {
		PUT_LITERAL(&to, " ");
		put_string(&to, reason_infos[s->verdict.reason].name, 60);
	}
	*to.p = 0;
	*ret_client = (struct proxy_client){
		.client_port = s->facts.client_port,
		.token = token,
		.verdict = verdict,
		.esmtp = s->facts.esmtp,
		.helo = helo.p,
		.helo_len = helo.len,
	};
	memcpy(ret_client->client, s->facts.client, 16);
	memcpy(ret_client->server, s->facts.server, 16);
	if (s->facts.listener < w->set->n_listeners)
		ret_client->server_port = w->set->listeners[s->facts.listener].port;
}

static void say_xclient(struct worker *w, struct relay *r)
{
	char token[TOKEN_LEN + 1], verdict[64], line[XCLIENT_MAX];
	struct proxy_client client;
	size_t n;

	client_of(w, r->session, &client, token, verdict);
	n = proxy_xclient(line, r->words.xclient, &client);
	r->xclient_done = true;
	relay_state(w, r, RELAY_XCLIENT);
	if (!say(w, r, line, n))
		relay_lost(w, r);
}

void relay_say_hello(struct worker *w, struct relay *r)
{
	if (relay_hello(w, r) == HELLO_XCLIENT)
		say_xclient(w, r);
	else
		say_ehlo(w, r);
}

static void say_proxy(struct worker *w, struct relay *r)
{
	char token[TOKEN_LEN + 1], verdict[64];
	uint8_t header[PROXY_V2_MAX];
	struct proxy_client client;
	size_t n;

	if (relay_hello(w, r) != HELLO_PROXY_V2)
		return;
	if (r->session) {
		client_of(w, r->session, &client, token, verdict);
		n = proxy_v2(header, &client);
	} else {
		n = proxy_v2_local(header);
	}
	say(w, r, header, n);
}

void relay_say_rset(struct worker *w, struct relay *r)
{
	relay_state(w, r, RELAY_RSET);
	if (!say(w, r, "RSET\r\n", 6))
		relay_lost(w, r);
}

void relay_say_quit(struct worker *w, struct relay *r)
{
	relay_state(w, r, RELAY_QUIT);
	say(w, r, "QUIT\r\n", 6);
	tcp_shutdown(w->stack, r->conn);
}

/* MAIL's parameters as the client wrote them, without those the server has no word for: SIZE is
 * advice (RFC 1870 6.1), BODY=7BIT the default. Others that it lacks have led to a 451. */
static size_t put_params(char *buf, size_t cap, struct text params, uint32_t words)
{
	const char *p = params.p, *end = params.p + params.len;
	size_t n = 0;

	while (p < end) {
		const char *e;
		size_t len;

		while (p < end && *p == ' ')
			p++;
		e = p;
		while (e < end && *e != ' ')
			e++;
		len = (size_t)(e - p);
		if (len == 0 || n + len + 1 > cap)
			break;
		if (!(len >= 5 && strncasecmp(p, "SIZE=", 5) == 0 && !(words & SMTP_WORD_SIZE)) &&
		    !(len == 9 && strncasecmp(p, "BODY=7BIT", 9) == 0 &&
			!(words & SMTP_WORD_8BITMIME))) {
			buf[n++] = ' ';
			memcpy(buf + n, p, len);
			n += len;
		}
		p = e;
	}
	return n;
}

void relay_mail(struct worker *w, struct relay *r)
{
	struct session *s = r->session;
	struct text path = session_mail(s);
	char line[SMTP_COMMAND_MAX + 64];
	struct put to = { line, line + sizeof(line) };

	r->used = true;
	if (s->used & ~r->words.words) {
		relay_reason(w, r, 451, REASON_BACKEND_WORDS);
		relay_state(w, r, RELAY_REFUSED);
		relay_wake(w, r);
		return;
	}
	PUT_LITERAL(&to, "MAIL FROM:<");
	put_text(&to, path);
	PUT_LITERAL(&to, ">");
	to.p += put_params(to.p, (size_t)(to.end - to.p) - 2, session_params(s), r->words.words);
	relay_state(w, r, RELAY_MAIL);
	if (!say_line(w, r, &to, line))
		relay_lost(w, r);
}

void relay_rcpt(struct worker *w, struct relay *r, const struct smtp_command *cmd)
{
	char line[SMTP_COMMAND_MAX + 64];
	struct put to = { line, line + sizeof(line) };

	PUT_LITERAL(&to, "RCPT TO:<");
	put_text(&to, cmd->path.whole);
	PUT_LITERAL(&to, ">");
	if (cmd->params.len) {
		PUT_LITERAL(&to, " ");
		put_text(&to, cmd->params);
	}
	r->pending++;
	relay_rcpt_deadline(w, r);
	if (!say_line(w, r, &to, line))
		relay_lost(w, r);
}

void relay_data(struct worker *w, struct relay *r)
{
	relay_state(w, r, RELAY_DATA);
	if (!say(w, r, "DATA\r\n", 6))
		relay_lost(w, r);
}

int relay_bdat(struct worker *w, struct relay *r, uint64_t size, bool last)
{
	char line[48];
	struct put to = { line, line + sizeof(line) };

	if (!room_for(w, r, sizeof(line)))
		return -EAGAIN;
	PUT_LITERAL(&to, "BDAT ");
	put_number(&to, size);
	if (last)
		PUT_LITERAL(&to, " LAST");
	relay_state(w, r, RELAY_BODY);
	if (!last)
		r->body.chunk_replies++;
	if (!say_line(w, r, &to, line))
		relay_lost(w, r);
	return 0;
}

int relay_dot(struct worker *w, struct relay *r)
{
	if (!room_for(w, r, 3))
		return -EAGAIN;
	if (!say(w, r, ".\r\n", 3)) {
		relay_lost(w, r); /* part of it may have gone, but never its end */
		return 0;
	}
	relay_final_wait(w, r);
	return 0;
}

void relay_final_wait(struct worker *w, struct relay *r)
{
	const struct backend_pool *p = backend_pool(w, r->pool);
	uint32_t ms = p ? p->final_timeout_ms : 660000;

	relay_state(w, r, RELAY_FINAL);
	relay_deadline(
	    w, r, ms > 600000 ? ms : 660000); /* longer than the client's ten minutes (P2) */
}

/* ---- what replies mean ---- */

/* The greeting or EHLO was refused: a 5yz is this client's, told at its RCPT; else the next server
 * is asked. */
static void on_unwelcome(struct worker *w, struct relay *r, const struct smtp_reply *reply)
{
	if (r->purpose == RELAY_FOR_CHECK || reply->code / 100 != 5) {
		relay_retry(w, r, r->purpose == RELAY_FOR_CHECK);
		return;
	}
	relay_store(w, r, reply->code, reply->raw.p, reply->raw.len);
	r->state = RELAY_REFUSED;
	relay_lost(w, r);
}

static void on_ehlo(struct worker *w, struct relay *r, const struct smtp_reply *reply)
{
	struct smtp_words words = { 0 };

	if (reply->code != 250) {
		on_unwelcome(w, r, reply);
		return;
	}
	smtp_ehlo_words(reply, &words);
	r->words = words;
	if (r->purpose == RELAY_FOR_CHECK) {
		backend_learned(w, r->server, &words);
		relay_say_quit(w, r);
		return;
	}
	backend_answered(w, r->server);
	if (r->purpose == RELAY_FOR_TLS) {
		if (!(words.words & SMTP_WORD_STARTTLS)) {
			relay_fail(w, r, REASON_BACKEND_WORDS);
			return;
		}
		relay_state(w, r, RELAY_TLS);
		if (!say(w, r, "STARTTLS\r\n", 10))
			relay_lost(w, r);
		return;
	}
	if (relay_hello(w, r) == HELLO_XCLIENT && !r->xclient_done) {
		if (!(words.words & SMTP_WORD_XCLIENT)) {
			relay_fail(w, r, REASON_BACKEND_WORDS);
			return;
		}
		say_xclient(w, r);
		return;
	}
	relay_state(w, r, RELAY_ATTACHED);
	relay_wake(w, r);
}

/* MAIL's, and those to RCPTs that went with it are due next. */
static void on_mail(struct worker *w, struct relay *r, const struct smtp_reply *reply)
{
	if (reply->code / 100 == 2) {
		relay_state(w, r, RELAY_READY);
	} else {
		relay_store(w, r, reply->code, reply->raw.p, reply->raw.len);
		relay_state(w, r, RELAY_REFUSED);
	}
	relay_rcpt_deadline(w, r);
	relay_wake(w, r);
}

/* A RCPT's after MAIL was refused, whatever it says: the client hears what was said to MAIL. */
static void on_rcpt_for_nothing(struct worker *w, struct relay *r)
{
	r->pending--;
	if (r->pending == 0)
		relay_rcpt_deadline(w, r);
	asked_drop(&r->asked, &w->asked);
	session_refuse_rcpt_stored(w, r->session);
	session_wake(w, r->session);
}

static void on_rcpt(struct worker *w, struct relay *r, const struct smtp_reply *reply)
{
	struct session *s = r->session;

	r->pending--;
	if (r->pending == 0)
		relay_rcpt_deadline(w, r);
	if (reply->code / 100 == 2) {
		if (s->facts.rcpts_accepted == 0)
			s->server = r->server->index;
		s->facts.rcpts_accepted++;
		s->rcpts++;
		s->at = AT_RCPT;
		brain_count(w, BRAIN_rcpt_accepted);
	} else {
		s->facts.rcpts_refused++;
		brain_count(w, BRAIN_rcpt_refused);
		session_backend_refused(s, reply->code);
	}
	session_grey_answered(s, reply->code / 100 == 2);
	session_memory_answered(w, s, reply);
	session_write(w, s, reply->raw.p, reply->raw.len, reply->code);
	session_wake(w, s);
}

/* The final dot's, or the last chunk's. */
static void on_final(struct worker *w, struct relay *r, const struct smtp_reply *reply)
{
	if (reply->code == 250 && r->server)
		r->server->messages++;
	if (reply->code / 100 != 2)
		session_backend_refused(r->session, reply->code);
	relay_state(w, r, RELAY_ATTACHED);
	session_final(w, r->session, reply->code, reply->raw.p, reply->raw.len);
}

static void on_body(struct worker *w, struct relay *r, const struct smtp_reply *reply)
{
	bool chunk = r->body.bdat && r->body.chunk_replies > 0;

	if (chunk && reply->code / 100 == 2) {
		r->body.chunk_replies--;
		return;
	}
	/* A refusal before the end: kept for the end, the rest is not sent. */
	if (reply->code / 100 == 4 || reply->code / 100 == 5) {
		relay_store(w, r, reply->code, reply->raw.p, reply->raw.len);
		relay_cut(w, r);
	} else {
		relay_fail(w, r, REASON_BACKEND_LOST);
	}
}

/* False: it stays unread for now. */
static bool on_reply(struct worker *w, struct relay *r, const struct smtp_reply *reply)
{
	struct session *s = r->session;

	if (reply->code == 421 && r->state >= RELAY_ATTACHED && r->state != RELAY_QUIT) {
		relay_lost(w, r);
		return true;
	}
	/* 354 is known in one place; a client must never be told to go on by any other */
	if (reply->code / 100 == 3 && r->state != RELAY_DATA) {
		relay_lost(w, r);
		return true;
	}
	switch ((enum relay_state)r->state) {
	case RELAY_GREETING:
		if (reply->code != 220)
			on_unwelcome(w, r, reply);
		else
			say_ehlo(w, r);
		return true;
	case RELAY_EHLO: on_ehlo(w, r, reply); return true;
	case RELAY_XCLIENT:
		if (reply->code == 220)
			say_ehlo(w, r);
		else
			relay_fail(w, r, REASON_BACKEND_WORDS);
		return true;
	case RELAY_MAIL: on_mail(w, r, reply); return true;
	case RELAY_REFUSED:
		if (r->pending == 0) {
			relay_lost(w, r);
			return true;
		}
		if (!session_can_write(w, s, REPLY_ROOM))
			return false;
		on_rcpt_for_nothing(w, r);
		return true;
	case RELAY_READY:
		if (r->pending == 0) {
			relay_lost(w, r);
			return true;
		}
		if (!session_can_write(w, s, reply->raw.len))
			return false;
		on_rcpt(w, r, reply);
		return true;
	case RELAY_DATA:
		if (reply->code == 354) {
			relay_state(w, r, RELAY_BODY);
		} else {
			relay_store(w, r, reply->code, reply->raw.p, reply->raw.len);
			relay_state(w, r, RELAY_REFUSED);
		}
		relay_wake(w, r);
		return true;
	case RELAY_BODY: on_body(w, r, reply); return true;
	case RELAY_FINAL:
		if (r->body.chunk_replies > 0) {
			on_body(w, r, reply);
			return true;
		}
		if (s->conn && !session_can_write(w, s, reply->raw.len))
			return false;
		on_final(w, r, reply);
		return true;
	case RELAY_RSET:
		if (reply->code != 250) {
			relay_lost(w, r);
		} else if (s) {
			relay_state(w, r, RELAY_ATTACHED);
			relay_wake(w, r);
		} else if (!relay_reusable(w, r)) { /* drained, or another policy, since */
			relay_say_quit(w, r);
		} else {
			reply_done(w, r); /* whoever waits may take the connection at once */
			relay_idle(w, r);
		}
		return true;
	case RELAY_QUIT: return true;
	case RELAY_TLS:
		if (reply->code != 220) {
			relay_fail(w, r, REASON_BACKEND_LOST);
			return true;
		}
		if (!session_can_write(w, s, reply->raw.len))
			return false;
		/* Plaintext sent with the command is no part of the session (CVE-2011-0411). */
		tcp_consume(w->stack, s->conn, tcp_unread(s->conn));
		s->line = extent_put(&w->windows, s->line);
		session_write(w, s, reply->raw.p, reply->raw.len, reply->code);
		relay_state(w, r, RELAY_PIPE);
		relay_wake(w, r);
		return true;
	default: relay_lost(w, r); return true; /* spoke unasked */
	}
}

void relay_resume(struct worker *w, struct relay *r)
{
	struct smtp_reply reply;
	int n;

	for (;;) {
		uint8_t generation = r->generation;

		if (!r->conn || r->state == RELAY_PIPE || r->state == RELAY_CONNECTING)
			return;
		n = reply_next(w, r, &reply);
		if (n < 0 || (n == 0 && r->eof))
			relay_lost(w, r);
		if (n <= 0)
			return;
		if (!on_reply(w, r, &reply))
			return;
		if (r->generation == generation)
			reply_done(w, r);
	}
}

/* States in which a session may wait for room to write. In the others it waits for the state to
 * change, and a command run again for nothing is parsed, judged and routed again. */
static bool waits_for_room(const struct relay *r)
{
	return r->state == RELAY_ATTACHED || r->state == RELAY_READY || r->state == RELAY_BODY;
}

void relay_event(struct worker *w, struct relay *r, unsigned events)
{
	/* What it said before it went still counts, even where the client has no room for it yet:
	 * relay_resume() takes the loss up after the last whole reply. */
	if (events & (TCP_EV_EOF | TCP_EV_RESET | TCP_EV_TIMEOUT))
		r->eof = true;
	if (r->state == RELAY_CONNECTING) {
		if (events & (TCP_EV_RESET | TCP_EV_TIMEOUT)) {
			relay_lost(w, r);
			return;
		}
		if (!(events & TCP_EV_OPEN))
			return;
		tcp_set_keepalive(w->stack, r->conn, true);
		say_proxy(w, r);
		relay_state(w, r, RELAY_GREETING);
	}
	if (r->state == RELAY_PIPE) {
		if (events & (TCP_EV_RESET | TCP_EV_TIMEOUT))
			relay_fail(w, r, REASON_BACKEND_LOST);
		else
			relay_wake(w, r);
		return;
	}
	if (events & (TCP_EV_WRITE | TCP_EV_SENT) && waits_for_room(r))
		relay_wake(w, r);
	relay_resume(w, r);
}
