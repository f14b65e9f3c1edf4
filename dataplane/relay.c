/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of a backend connection: opening, retrying elsewhere, letting go, time-outs. What is said
 * over it is in relay_talk.c; the states in relay.h.
 */
#include "relay_private.h"

#include <errno.h>
#include <string.h>

enum {
	LOOK_FOR_ROOM = 256,
	TRIES_MAX = 4,            /* servers tried for one hand-over */
	CHECK_TIMEOUT_MS = 30000, /* for each reply of a health check */
	QUIT_TIMEOUT_MS = 5000,
	IDLE_TIMEOUT_MS = 30000,
};

const char *const relay_state_words[RELAY_N_STATES] = {
	[RELAY_WAITING] = "waiting",
	[RELAY_CONNECTING] = "connecting",
	[RELAY_GREETING] = "greeting",
	[RELAY_EHLO] = "ehlo",
	[RELAY_XCLIENT] = "xclient",
	[RELAY_ATTACHED] = "attached",
	[RELAY_MAIL] = "mail",
	[RELAY_READY] = "ready",
	[RELAY_DATA] = "data",
	[RELAY_BODY] = "body",
	[RELAY_FINAL] = "final",
	[RELAY_REFUSED] = "refused",
	[RELAY_FAILED] = "failed",
	[RELAY_RSET] = "rset",
	[RELAY_IDLE] = "idle",
	[RELAY_QUIT] = "quit",
	[RELAY_TLS] = "tls",
	[RELAY_PIPE] = "pipe",
};

/* ---- small helpers ---- */

uint8_t relay_hello(const struct worker *w, const struct relay *r)
{
	(void)w;
	return r->hello;
}

static uint8_t pool_hello(const struct worker *w, const struct server *server)
{
	const struct backend_pool *p = backend_pool(w, server->pool);

	return p ? p->hello : HELLO_NONE;
}

static uint32_t reply_timeout_ms(const struct worker *w, const struct relay *r)
{
	const struct backend_pool *p = backend_pool(w, r->pool);

	if (r->purpose == RELAY_FOR_CHECK)
		return CHECK_TIMEOUT_MS;
	return p ? p->reply_timeout_ms : 300000;
}

static void relay_fire(struct stack_timer *t, uint64_t now_ns, void *arg);

void relay_deadline(struct worker *w, struct relay *r, uint32_t ms)
{
	r->timer.fire = relay_fire;
	if (ms)
		stack_timer_set(w->stack, &r->timer, w->now_ns + (uint64_t)ms * 1000000u);
	else
		stack_timer_cancel(w->stack, &r->timer);
}

void relay_state(struct worker *w, struct relay *r, enum relay_state state)
{
	r->state = (uint8_t)state;
	switch (state) {
	case RELAY_GREETING:
	case RELAY_EHLO:
	case RELAY_XCLIENT:
	case RELAY_MAIL:
	case RELAY_DATA:
	case RELAY_RSET:
	case RELAY_TLS: relay_deadline(w, r, reply_timeout_ms(w, r)); break;
	case RELAY_QUIT: relay_deadline(w, r, QUIT_TIMEOUT_MS); break;
	case RELAY_IDLE: relay_deadline(w, r, IDLE_TIMEOUT_MS); break;
	default: relay_deadline(w, r, 0); break;
	}
}

void relay_rcpt_deadline(struct worker *w, struct relay *r)
{
	relay_deadline(w, r, r->pending ? reply_timeout_ms(w, r) : 0);
}

void relay_wake(struct worker *w, struct relay *r)
{
	if (r->session)
		session_wake(w, r->session);
}

void relay_store(struct worker *w, struct relay *r, unsigned code, const char *text, size_t len)
{
	if (!r->stored)
		r->stored = extent_get(&w->windows);
	r->stored_code = (uint16_t)code;
	if (r->session)
		session_backend_refused(r->session, code);
	r->reason = REASON_BACKEND_LOST; /* what is said when no extent was left */
	r->refuse_code = 451;
	if (!r->stored)
		return;
	if (len > EXTENT_BYTES)
		r->stored = extent_put(&w->windows, r->stored);
	else
		memcpy(r->stored->data, text, r->stored->len = (uint16_t)len);
}

void relay_reason(struct worker *w, struct relay *r, unsigned code, enum reason reason)
{
	r->stored = extent_put(&w->windows, r->stored);
	r->reason = (uint16_t)reason;
	r->refuse_code = (uint16_t)code;
}

static struct relay *relay_new(struct worker *w, enum relay_purpose purpose)
{
	struct relay *r = pool_get(&w->relays);

	if (!r) {
		brain_count(w, BRAIN_relay_table_full);
		return NULL;
	}
	memset(r, 0, sizeof(*r));
	r->owner = OWNER_RELAY;
	r->purpose = (uint8_t)purpose;
	r->pool = r->wanted_pool = BACKEND_NONE;
	LIST_INSERT_HEAD(&w->all_relays, r, all);
	return r;
}

static void relay_drop_server(struct worker *w, struct relay *r)
{
	struct server *s = r->server;

	r->server = NULL;
	if (s && r->purpose == RELAY_FOR_CHECK)
		backend_checked(w, s);
	else if (s)
		backend_release(w, s);
}

/* RST where a message may be under way, so that none is delivered in part; else FIN. */
static void relay_disconnect(struct worker *w, struct relay *r)
{
	asked_clear(&r->asked, &w->asked);
	if (!r->conn)
		return;
	if (r->state == RELAY_ATTACHED || r->state == RELAY_RSET || r->state == RELAY_IDLE ||
	    r->state == RELAY_QUIT)
		tcp_close(w->stack, r->conn);
	else
		tcp_abort(w->stack, r->conn);
	r->conn = NULL;
	r->generation++;
	r->reply_used = 0;
	r->reply = extent_put(&w->windows, r->reply);
}

/* The record is given back at the end of the turn: a caller up the stack may still look at it. */
static void relay_free(struct worker *w, struct relay *r)
{
	if (r->waiting)
		backend_wait_cancel(w, r);
	if (r->state == RELAY_IDLE)
		backend_idle_remove(r->server, r);
	relay_disconnect(w, r);
	stack_timer_cancel(w->stack, &r->timer);
	body_end(w, r);
	r->stored = extent_put(&w->windows, r->stored);
	LIST_REMOVE(r, all);
	LIST_INSERT_HEAD(&w->dead, r, all);
	relay_drop_server(w, r);
}

void relays_bury(struct worker *w)
{
	struct relay *r;

	while ((r = LIST_FIRST(&w->dead))) {
		LIST_REMOVE(r, all);
		pool_put(&w->relays, r);
	}
}

/* ---- opening ---- */

/* Sessions that hold a connection between two messages are asked to let it go; among the newest
 * relays, so that the look is bounded. */
static void relay_make_room(struct worker *w)
{
	struct relay *r;
	unsigned looked = 0;

	LIST_FOREACH(r, &w->all_relays, all)
	{
		if (r->session && relay_is_wanted(w, r))
			session_wake(w, r->session);
		if (++looked == LOOK_FOR_ROOM)
			return;
	}
}

static void relay_place(struct worker *w, struct relay *r)
{
	for (;;) {
		const struct backend_pool *p = backend_pool(w, r->pool);
		struct server *server;

		switch (r->tries < TRIES_MAX ? backend_choose(w, r->pool, r->avoid, &server)
					     : BACKEND_NOBODY) {
		case BACKEND_PICKED: relay_start(w, r, server); return;
		case BACKEND_BUSY:
			r->state = RELAY_WAITING;
			if (backend_wait(w, r->pool, r) < 0) {
				brain_count(w, BRAIN_backend_queue_full);
				relay_fail(w, r, REASON_BACKEND_QUEUE_FULL);
				return;
			}
			brain_count(w, BRAIN_backend_waits);
			relay_make_room(w);
			relay_deadline(w, r, p->wait_timeout_ms ? p->wait_timeout_ms : 1);
			return;
		case BACKEND_NOBODY:
			if (!p || p->fallback == BACKEND_NONE || r->fell_back) {
				relay_fail(w, r, REASON_NO_BACKEND);
				return;
			}
			brain_count(w, BRAIN_backend_fallbacks);
			r->pool = p->fallback;
			r->fell_back = true;
			r->tries = 0;
			r->avoid = 0;
			break;
		}
	}
}

struct relay *relay_open(
    struct worker *w, struct session *s, unsigned pool, enum relay_purpose purpose)
{
	struct relay *r = relay_new(w, purpose);

	if (!r)
		return NULL;
	r->session = s;
	r->pool = r->wanted_pool = (uint16_t)pool;
	relay_place(w, r);
	return r;
}

static void relay_avoid(struct worker *w, struct relay *r)
{
	const struct backend_pool *p = backend_pool(w, r->pool);
	unsigned at = p && r->server ? (unsigned)(r->server->index - p->first) : 64;

	if (at < 64)
		r->avoid |= 1ull << at;
	r->tries++;
}

static int relay_connect(struct worker *w, struct relay *r, uint32_t timeout_ms)
{
	struct tcp_connect req = {
		.dst = ip_addr_from_v6(r->server->addr),
		.dst_port = r->server->port,
		.user = r,
		.timeout_ms = timeout_ms,
	};

	if (!backend_source(w, r->server->addr, &req.src))
		return -EADDRNOTAVAIL;
	r->state = RELAY_CONNECTING;
	r->hello = pool_hello(w, r->server);
	return tcp_connect(w->stack, &req, w->now_ns, &r->conn);
}

/* Takes over the connection of an idle relay, whose record goes. */
static void relay_reuse(struct worker *w, struct relay *r, struct server *server)
{
	struct relay *idle = TAILQ_FIRST(&server->idle_list);

	backend_idle_remove(server, idle);
	idle->state = RELAY_ATTACHED;
	r->conn = idle->conn;
	r->words = idle->words;
	r->hello = idle->hello;
	tcp_set_user(r->conn, r);
	idle->conn = NULL;
	idle->generation++;
	idle->server = NULL;
	relay_free(w, idle);
	r->server = server;
	r->reused = true;
	brain_count(w, BRAIN_backend_reused);
	relay_say_hello(w, r);
}

void relay_start(struct worker *w, struct relay *r, struct server *server)
{
	const struct backend_pool *p = backend_pool(w, r->pool);

	relay_deadline(w, r, 0);
	if (server->idle > 0 && r->purpose == RELAY_FOR_MAIL) {
		relay_reuse(w, r, server);
		return;
	}
	if (server->active >= server->share) {
		/* only idle ones are left, of no use to STARTTLS: one is let go */
		struct relay *idle = TAILQ_FIRST(&server->idle_list);

		idle->state = RELAY_ATTACHED;
		backend_idle_remove(server, idle);
		server->active--;
		idle->server = NULL;
		relay_free(w, idle);
	}
	r->server = server;
	backend_take(w, server);
	brain_count(w, BRAIN_backend_connects);
	if (relay_connect(w, r, p->connect_timeout_ms) < 0) {
		relay_avoid(w, r);
		relay_drop_server(w, r);
		relay_place(w, r);
	}
}

void relay_wait_failed(struct worker *w, struct relay *r)
{
	relay_fail(w, r, REASON_NO_BACKEND);
}

struct relay *relay_check(struct worker *w, struct server *server)
{
	struct relay *r = relay_new(w, RELAY_FOR_CHECK);
	const struct backend_pool *p = backend_pool(w, server->pool);
	int e;

	if (!r)
		return NULL;
	brain_count(w, BRAIN_health_checks);
	r->server = server;
	r->pool = r->wanted_pool = server->pool;
	e = relay_connect(w, r, p->connect_timeout_ms);
	if (e < 0) {
		if (e != -ENOBUFS) { /* our own table being full says nothing of the server */
			brain_count(w, BRAIN_health_failures);
			backend_failed(w, server);
		}
		r->server = NULL;
		relay_free(w, r);
		return NULL;
	}
	return r;
}

/* ---- failure ---- */

void relay_retry(struct worker *w, struct relay *r, bool down)
{
	struct server *s = r->server;

	if (r->purpose == RELAY_FOR_CHECK) {
		brain_count(w, BRAIN_health_failures);
		backend_failed(w, s);
		relay_free(w, r);
		return;
	}
	relay_disconnect(w, r);
	r->xclient_done = r->eof = false;
	if (down)
		backend_failed(w, s);
	brain_count(w, BRAIN_backend_retries);
	if (r->reused) /* says nothing of the server: it gets a fresh connection */
		r->reused = false;
	else
		relay_avoid(w, r);
	relay_drop_server(w, r);
	relay_place(w, r);
}

void relay_cut(struct worker *w, struct relay *r)
{
	if (r->purpose == RELAY_FOR_CHECK) {
		relay_retry(w, r, true);
		return;
	}
	if (r->waiting)
		backend_wait_cancel(w, r);
	relay_disconnect(w, r);
	relay_state(w, r, RELAY_FAILED);
	relay_drop_server(w, r);
	relay_wake(w, r);
}

void relay_fail(struct worker *w, struct relay *r, enum reason reason)
{
	relay_reason(w, r, reply_code(VERDICT_REFUSE, reason, PHASE_RCPT), reason);
	relay_cut(w, r);
}

/* The connection ended, or said something that no backend should. */
void relay_lost(struct worker *w, struct relay *r)
{
	struct session *s = r->session;

	switch ((enum relay_state)r->state) {
	case RELAY_CONNECTING: relay_retry(w, r, true); return;
	case RELAY_GREETING: /* may have to do with this client: others are not kept from the server */
	case RELAY_EHLO:
	case RELAY_XCLIENT: relay_retry(w, r, false); return;
	case RELAY_REFUSED: /* what it said stays valid */
		relay_disconnect(w, r);
		relay_drop_server(w, r);
		relay_wake(w, r);
		return;
	case RELAY_ATTACHED:
		if (s && !r->used) { /* as above, or a session would open anew for ever */
			relay_retry(w, r, false);
			return;
		}
		/* fall through */
	case RELAY_RSET: /* no transaction: the next one opens anew */
		if (s) {
			s->relay = NULL;
			session_wake(w, s);
		}
		relay_free(w, r);
		return;
	case RELAY_IDLE:
	case RELAY_QUIT: relay_free(w, r); return;
	default:
		brain_count(w, BRAIN_backend_failures);
		if (r->server)
			r->server->failures++;
		if (r->body.phase == BODY_DISCARD) { /* why the message is dropped is known */
			relay_cut(w, r);
			return;
		}
		relay_fail(w, r, REASON_BACKEND_LOST);
		return;
	}
}

static void relay_fire(struct stack_timer *t, uint64_t now_ns, void *arg)
{
	struct relay *r = (struct relay *)((char *)t - offsetof(struct relay, timer));
	struct worker *w = arg;

	(void)now_ns;
	switch ((enum relay_state)r->state) {
	case RELAY_WAITING:
		brain_count(w, BRAIN_backend_wait_timeout);
		relay_fail(w, r, REASON_BACKEND_QUEUE_FULL);
		return;
	case RELAY_IDLE:
		backend_idle_remove(r->server, r);
		relay_say_quit(w, r);
		return;
	default: relay_lost(w, r); return;
	}
}

/* ---- letting go ---- */

bool relay_reusable(const struct worker *w, const struct relay *r)
{
	/* Postfix judges a second XCLIENT by the client that the first one named: only where the word
	 * is still offered to that client may the connection name another. */
	if (relay_hello(w, r) == HELLO_XCLIENT && !(r->words.words & SMTP_WORD_XCLIENT))
		return false;
	if (relay_hello(w, r) != pool_hello(w, r->server)) /* the policy has changed since */
		return false;
	return !w->draining && r->purpose == RELAY_FOR_MAIL && r->server->index != BACKEND_NONE &&
	       !r->server->drained && relay_hello(w, r) != HELLO_PROXY_V2;
}

/* Connections kept for reuse that the new policy has no use for, or greets otherwise: one that
 * began with XCLIENT would speak for the client it named last. */
void relays_update(struct worker *w)
{
	struct relay *r, *next;

	for (r = LIST_FIRST(&w->all_relays); r; r = next) {
		next = LIST_NEXT(r, all);
		if (r->state == RELAY_IDLE && !relay_reusable(w, r)) {
			backend_idle_remove(r->server, r);
			relay_say_quit(w, r);
		}
	}
}

void relay_idle(struct worker *w, struct relay *r)
{
	relay_state(w, r, RELAY_IDLE);
	backend_idle_add(w, r->server, r);
}

void relays_drain(struct worker *w)
{
	struct relay *r, *next;

	for (r = LIST_FIRST(&w->all_relays); r; r = next) {
		next = LIST_NEXT(r, all);
		if (r->state == RELAY_IDLE) {
			backend_idle_remove(r->server, r);
			relay_say_quit(w, r);
		} else if (r->purpose == RELAY_FOR_CHECK && r->state != RELAY_QUIT) {
			relay_free(w, r);
		}
	}
}

void relay_release(struct worker *w, struct relay *r)
{
	body_end(w, r); /* what it holds is counted against the session's source */
	r->session = NULL;
	switch ((enum relay_state)r->state) {
	case RELAY_ATTACHED:
		if (relay_reusable(w, r))
			relay_idle(w, r);
		else
			relay_say_quit(w, r);
		return;
	case RELAY_READY:
	case RELAY_REFUSED:
		if (!r->conn || r->pending) {
			relay_free(w, r);
			return;
		}
		if (relay_reusable(w, r))
			relay_say_rset(w, r);
		else
			relay_say_quit(w, r);
		return;
	case RELAY_RSET:
		if (!relay_reusable(w, r))
			relay_say_quit(w, r);
		return;
	default: relay_free(w, r); return; /* RST: a message under way is not delivered in part */
	}
}

void relay_reset(struct worker *w, struct relay *r)
{
	struct session *s = r->session;

	body_end(w, r);
	r->pending = 0;
	asked_clear(&r->asked, &w->asked);
	switch ((enum relay_state)r->state) {
	case RELAY_ATTACHED:
	case RELAY_RSET: return;
	case RELAY_READY:
	case RELAY_REFUSED:
		if (r->conn) {
			r->stored = extent_put(&w->windows, r->stored);
			relay_say_rset(w, r);
			return;
		}
		break;
	default: break;
	}
	s->relay = NULL;
	relay_release(w, r);
}

bool relay_is_wanted(const struct worker *w, const struct relay *r)
{
	const struct backend_pool *p = r->server ? backend_pool(w, r->server->pool) : NULL;

	return r->state == RELAY_ATTACHED && p && p->n_waiting > 0;
}
