/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The beginning of a session: judged as soon as the cookie is proven and, where a greet delay gave
 * the client time to speak out of turn, again at its end; then greeted, refused or tarpitted.
 */
#include "inquire.h"
#include "session_private.h"

#include <stdio.h>
#include <string.h>

enum { GREET_AGAIN_MS = 100 };

void session_out_of_turn(struct worker *w, struct session *s, bool before_greeting)
{
	if (before_greeting && !s->facts.talked_early) {
		s->facts.talked_early = true;
		brain_count(w, BRAIN_talked_early);
	} else if (!before_greeting && !s->facts.pipelined_early) {
		s->facts.pipelined_early = true;
		brain_count(w, BRAIN_pipelined_early);
	}
}

void session_greet(struct worker *w, struct session *s)
{
	char buf[REPLY_MAX];
	size_t n = greeting_banner(w, buf, sizeof(buf));

	if (!session_can_write(w, s, n)) { /* chunks are short: greeted later, not cut */
		session_deadline(w, s, GREET_AGAIN_MS);
		return;
	}
	s->state = SESSION_COMMAND;
	s->at = AT_START;
	session_write(w, s, buf, n, 220);
	s->greeted = s->turn_ours = true;
	session_command_deadline(w, s);
	session_wake(w, s);
}

/* Judged at the proven cookie and, when there was a delay, again at its end. False: it ended. */
bool session_judge_connect(struct worker *w, struct session *s)
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
		session_hold(w, s);
		session_write(w, s, line,
		    (size_t)snprintf(line, sizeof(line), "220-%.255s\r\n", smtp_hostname(w)), 220);
		return false;
	case VERDICT_RESET:
	case VERDICT_DROP:
		count_reason(w, v.reason);
		session_abort(w, s);
		return false;
	default: return true;
	}
}

/* RFC 5321 4.2: a reply may have many lines and ends with the one that has a space behind its code.
 * Who takes the first for the whole speaks during the greet delay. */
static void tease(struct worker *w, struct session *s)
{
	char buf[REPLY_MAX];
	size_t n = greeting_teaser(w, buf, sizeof(buf));

	if (w->set->shape.teaser && session_can_write(w, s, n))
		session_write(w, s, buf, n, s->last_code);
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

uint16_t session_number(uint16_t last, unsigned worker, unsigned n_workers)
{
	uint32_t next = last + n_workers;

	return last == 0 || next > UINT16_MAX ? (uint16_t)(worker + 1) : (uint16_t)next;
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
	s->number = w->session_seq =
	    session_number(w->session_seq, w->config.index, w->config.n_workers);
	memcpy(s->facts.client, info.remote.b, 16);
	memcpy(s->facts.server, info.local.b, 16);
	s->facts.client_port = info.remote_port;
	s->facts.listener = info.listener;
	s->reached = PHASE_CONNECT;
	LIST_INSERT_HEAD(&w->all, s, all);
	tcp_set_user(conn, s);
	brain_count(w, BRAIN_sessions_opened);
	s->tracked = sources_open(w->sources, s->facts.client, w->now_ns, &counts);
	if (!s->tracked)
		brain_count(w, BRAIN_source_table_full);
	s->facts.source_connections = counts.connections;
	s->facts.source_rate = counts.rate;
	s->facts.prefix_connections = counts.prefix_connections;
	s->facts.good_history = s->tracked && counts.good;
	s->facts.overload_rung = w->overload_rung;
	session_memory_opened(w, s);
	if (tcp_unread(conn) > 0)
		session_out_of_turn(w, s, true);
	if (!session_judge_connect(w, s))
		return;
	inquire_connect(w, s);
	if (!w->set->smtp.greet_delay_ms || s->facts.trusted) {
		session_greet(w, s);
		return;
	}
	tease(w, s);
	session_deadline(w, s, w->set->smtp.greet_delay_ms);
}
