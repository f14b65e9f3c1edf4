/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From bytes to commands. A line is read where it lies in the receive queue; only one that lies in
 * two pieces is gathered in an extent. It is consumed when its command is done with, not before.
 */
#include "session_private.h"

#include <string.h>

enum { RETRY_MS = 100 /* when chunks are short and no event will tell */ };

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

static enum line_read read_line(
    struct worker *w, struct session *s, bool pending, struct text *ret_line, size_t *ret_used)
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
	case SMTP_LINE_TOO_LONG: /* while answers are due it stays, since its own comes after them */
		s->skipping = !pending && (used == 0 || p[used - 1] != '\n');
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

	while (r && !r->conn && (r->state == RELAY_FAILED || r->state == RELAY_REFUSED) &&
	       r->pending > 0 && session_can_write(w, s, REPLY_ROOM)) {
		r->pending--;
		session_refuse_rcpt_stored(w, s);
	}
}

/* Bytes that were sent before ours had arrived: an ACK comes with the answer to what it acknowledges,
 * so an honest client has acknowledged all of a greeting or EHLO reply when it goes on. */
static void judge_turn(struct worker *w, struct session *s)
{
	if (tcp_unsent_or_unacked(s->conn) == 0) {
		s->turn_ours = false;
	} else if (tcp_unread(s->conn) > 0) {
		s->turn_ours = false;
		session_out_of_turn(w, s, s->at == AT_START);
	}
}

/* One line. False: nothing more can be done now. */
bool session_command(struct worker *w, struct session *s)
{
	bool pending;
	struct text line;
	size_t used;
	enum outcome outcome;
	enum line_read read;

	s->parked = false;
	if (s->turn_ours)
		judge_turn(w, s);
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
	read = read_line(w, s, pending, &line, &used);
	if (read == LINE_NONE) {
		if (s->eof && !pending && s->final_unacked)
			session_linger(w, s); /* until it is */
		else if (s->eof && !pending) {
			session_shape_left(w, s);
			session_close(w, s);
		}
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
	if (read == LINE_BAD) {
		s->facts.bare_command = true;
		session_reply(w, s, REPLY_BAD_LINE);
	}
	s->more_behind = tcp_unread(s->conn) > (s->line ? 0 : used);
	outcome = read == LINE_READY ? command_run(w, s, line) : OUTCOME_DONE;
	if (outcome == OUTCOME_WAIT) {
		s->parked = true;
		session_deadline(w, s, 0);
		return false;
	}
	if (s->state == SESSION_LINGER)
		return false; /* it consumed everything */
	line_done(w, s, used);
	if (s->state == SESSION_COMMAND)
		session_command_deadline(w, s);
	return true;
}
