/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A message on its way (DESIGN, life of a session, 10): read into the inspection window, judged,
 * streamed to the backend, or refused, in which case the rest is read and dropped and the reason
 * given at its end. BDAT's chunks are in chunk.c.
 *
 * What is decoded is either taken by the backend's connection or stands in the window; when the
 * window holds anything, nothing more is read. So a message under way holds at most the window, one
 * scratch buffer's worth beyond it, and what TCP was allowed; the client's window does the rest.
 *
 * The final dot is written only when everything before it was, and no check has refused. A client
 * that goes away before its own dot leads to a reset of the backend's connection, never to a dot.
 */
#include "body.h"

#include "confirm.h"
#include "sketch.h"

#include "filters/token.h"

#include <string.h>

enum {
	BODY_SLACK = 8 + MARK_HELD_MAX, /* bytes that may come out beyond twice what goes in */
	HEADER_WINDOW = 65536,          /* of a chunked message, where policy has no window */
};
_Static_assert((int)MARK_HELD_MAX <= (int)SCRATCH_HEAD, "what was held back comes out in front");

uint32_t body_window_limit(const struct worker *w, const struct body *b)
{
	uint32_t limit = w->set->smtp.inspection_window;

	return b->bdat && limit == 0 ? HEADER_WINDOW : limit;
}

/* ---- the window's memory ---- */

void body_account(struct worker *w, struct relay *r)
{
	struct body *b = &r->body;
	uint32_t held = b->window.extents * EXTENT_SIZE;

	if (held == b->held)
		return;
	if (r->session)
		b->source_held = sources_window(
		    w->sources, r->session->facts.client, (int32_t)held - (int32_t)b->held);
	b->held = held;
}

static void leave_inspected(struct worker *w, struct relay *r)
{
	if (!r->body.listed)
		return;
	TAILQ_REMOVE(&w->inspected, r, inspected);
	r->body.listed = false;
}

void body_end(struct worker *w, struct relay *r)
{
	sketch_end(w, r);
	scan_end(w, r);
	if (r->body.phase == BODY_NONE)
		return;
	leave_inspected(w, r);
	window_clear(&w->windows, &r->body.window);
	body_account(w, r);
	memset(&r->body, 0, sizeof(r->body));
}

/* Extents are short: of the oldest messages under inspection the one that holds most is judged at
 * once and streamed (DESIGN, 10). */
static void relieve(struct worker *w)
{
	struct relay *r, *most = NULL;
	unsigned looked = 0;

	TAILQ_FOREACH(r, &w->inspected, inspected)
	{
		if (!most || r->body.window.extents > most->body.window.extents)
			most = r;
		if (++looked == 8)
			break;
	}
	if (!most || most->body.judge_now || most->body.window.extents == 0)
		return;
	most->body.judge_now = true;
	brain_count(w, BRAIN_windows_early);
	session_wake(w, most->session);
}

/* ---- refusal ---- */

void body_discard(struct worker *w, struct relay *r)
{
	sketch_end(w, r);
	scan_end(w, r); /* it is decided: its memory is another's */
	leave_inspected(w, r);
	window_clear(&w->windows, &r->body.window);
	body_account(w, r);
	r->body.phase = BODY_DISCARD;
	r->body.announce = false;
	if (r->state == RELAY_DATA || r->state == RELAY_BODY)
		relay_cut(w, r); /* before its final dot: nothing is delivered */
}

void body_refuse(struct worker *w, struct relay *r, unsigned code, enum reason reason)
{
	relay_reason(w, r, code, reason);
	body_discard(w, r);
}

/* What the decoder has seen so far. False: refused, or the session is over. */
bool body_check(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;
	const struct smtp_data *d = &r->body.data;
	uint32_t hops = w->set->limits.received_hops;

	s->facts.body_size = d->size;
	if (d->bare && d->policy == SMTP_DATA_DISCONNECT) {
		if (session_can_write(w, s, REPLY_MAX))
			session_refuse(w, s, 521, REASON_BARE_NEWLINE_CUT);
		brain_count(w, BRAIN_messages_refused);
		session_linger(w, s);
		return false;
	}
	if (d->bare && d->policy == SMTP_DATA_REJECT)
		body_refuse(w, r, 550, REASON_BARE_NEWLINE);
	else if (s->size_limit && d->size > s->size_limit)
		body_refuse(w, r, 552, REASON_MESSAGE_SIZE);
	else if (hops && d->received > hops)
		body_refuse(w, r, 554, REASON_LOOP);
	else
		return true;
	return false;
}

static bool mark_due(const struct worker *w, const struct session *s, const struct tally *tally)
{
	return !s->facts.trusted && !s->facts.pass_all && mark_wanted(w->policy, tally);
}

/* Puts the header on top where the message is to have one. False: no memory for it. */
static bool body_mark(struct worker *w, struct session *s)
{
	char header[MARK_HEADER_MAX], token[TOKEN_LEN + 1];
	size_t n;

	if (!mark_due(w, s, &s->tally))
		return true;
	session_token(w, s, s->verdict.reason, token);
	n = mark_header(w->policy, &s->tally, token, header);
	if (!window_prepend(&w->windows, &s->relay->body.window, (const uint8_t *)header, n))
		return false;
	body_account(w, s->relay);
	brain_count(w, BRAIN_messages_marked);
	s->relay->body.marked = true;
	return true;
}

static void refuse_content(struct worker *w, struct session *s, struct verdict v)
{
	if (v.kind >= VERDICT_REFUSE)
		s->condemned = true;
	body_refuse(w, s->relay, reply_code(v.kind, v.reason, PHASE_BODY), v.reason);
}

/* PHASE_BODY, when the window ends; `whole`: and the message with it. False: refused. */
bool body_judge(struct worker *w, struct session *s, bool whole)
{
	struct relay *r = s->relay;
	struct verdict v;

	leave_inspected(w, r);
	v = r->scan.begun ? scan_judge(w, s, whole) : session_judge(w, s, PHASE_BODY);
	session_note_verdict(w, s, v, PHASE_BODY);
	if (v.kind <= VERDICT_MARK) {
		if (body_mark(w, s))
			return true;
		body_refuse(w, r, 451, REASON_WINDOW_MEMORY);
		return false;
	}
	refuse_content(w, s, v);
	return false;
}

/* Once more behind the window: what streams by has something that refuses, or (`whole`) the message
 * has ended. What only marks comes too late for the header, and is told in the event. False: refused. */
static bool judge_again(struct worker *w, struct session *s, bool whole)
{
	struct verdict v = scan_judge(w, s, whole);

	if (v.kind <= VERDICT_MARK) {
		v.kind = VERDICT_NONE;
		if (whole && !s->relay->body.marked && mark_due(w, s, &w->tally)) {
			v = (struct verdict){ .kind = VERDICT_MARK,
				.phase = PHASE_BODY,
				.reason = REASON_MARK_LATE,
				.score = w->tally.score };
			s->marks_late += s->marks_late < UINT8_MAX;
			brain_count(w, BRAIN_messages_mark_late);
		}
	}
	session_note_verdict(w, s, v, PHASE_BODY);
	if (v.kind <= VERDICT_MARK)
		return true;
	if (v.reason == REASON_PATTERN)
		brain_count(w, BRAIN_messages_hit_late);
	refuse_content(w, s, v);
	return false;
}

bool body_check_content(struct worker *w, struct session *s, bool whole)
{
	struct relay *r = s->relay;

	if (!scan_is_due(r))
		return true;
	if (whole || scan_is_hot(r))
		return judge_again(w, s, whole);
	return true;
}

/* ---- beginnings and ends ---- */

bool body_begin(struct worker *w, struct session *s, bool bdat)
{
	static const uint8_t policies[] = {
		[BARE_REJECT] = SMTP_DATA_REJECT,
		[BARE_NORMALIZE] = SMTP_DATA_NORMALIZE,
		[BARE_DISCONNECT] = SMTP_DATA_DISCONNECT,
	};
	struct relay *r = s->relay;
	struct body *b = &r->body;
	char header[RECEIVED_MAX];

	memset(b, 0, sizeof(*b));
	b->bdat = bdat;
	b->phase = body_window_limit(w, b) ? BODY_WINDOW : BODY_STREAM;
	mark_strip_init(&b->strip);
	sketch_begin(w, r);
	smtp_data_init(&b->data, bdat ? SMTP_DATA_CHUNKS : policies[w->set->smtp.bare_newline]);
	if (w->set->smtp.add_received) {
		size_t n = greeting_received(w, s, header);

		if (window_room(&w->windows, &b->window) < n) {
			b->phase = BODY_NONE;
			return false;
		}
		b->ours =
		    (uint16_t)window_append(&w->windows, &b->window, (const uint8_t *)header, n);
		body_account(w, r);
	}
	if (b->phase == BODY_STREAM && !body_mark(w, s)) {
		b->phase = BODY_NONE;
		return false;
	}
	if (b->phase == BODY_WINDOW) {
		TAILQ_INSERT_TAIL(&w->inspected, r, inspected);
		b->listed = true;
	}
	return true;
}

void body_start(struct worker *w, struct session *s)
{
	if (!body_begin(w, s, false)) {
		session_refuse(w, s, 451, REASON_WINDOW_MEMORY);
		session_reset(w, s);
		return;
	}
	if (s->relay->body.phase == BODY_STREAM) {
		s->state = SESSION_DATA;
		session_deadline(w, s, 0);
		relay_data(w, s->relay);
		return;
	}
	session_reply(w, s, REPLY_DATA_GO);
	s->state = SESSION_BODY;
	session_deadline(w, s, w->set->smtp.data_timeout_ms);
}

/* The client went away before the end. */
static void body_aborted(struct worker *w, struct session *s)
{
	brain_count(w, BRAIN_messages_aborted);
	session_linger(w, s);
}

enum body_step body_idle(struct worker *w, struct session *s)
{
	if (!s->eof)
		return BODY_WAITS_CLIENT;
	body_aborted(w, s);
	return BODY_GONE;
}

/* After the last byte of a refused message. */
void body_refused(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;
	unsigned code = r->stored ? r->stored_code : r->refuse_code;

	brain_count(w, BRAIN_messages_refused);
	session_refuse_stored(w, s);
	if (code == 421 || code == 521) {
		session_linger(w, s);
		return;
	}
	s->state = SESSION_COMMAND;
	session_reset(w, s);
	session_deadline(w, s,
	    s->condemned ? w->set->smtp.condemned_timeout_ms : w->set->smtp.command_timeout_ms);
	session_wake(w, s);
}

/* A refused body may go on for twice the limit, so that an honest client hears why; then it is cut
 * (P9: to resist an attack). */
bool body_dropped_enough(struct worker *w, struct session *s, uint64_t n)
{
	uint64_t limit = s->size_limit ? s->size_limit : w->set->limits.message_size;

	s->relay->body.dropped += n;
	if (!limit || s->relay->body.dropped <= 2 * limit)
		return false;
	brain_count(w, BRAIN_messages_dropped_long);
	if (session_can_write(w, s, REPLY_ROOM))
		session_refuse_stored(w, s);
	session_linger(w, s);
	return true;
}

void body_pace(struct worker *w, struct session *s, enum body_step step)
{
	if (step == BODY_WAITS_BACKEND || step == BODY_WAITS_CONFIRM)
		session_deadline(
		    w, s, 0); /* not the client's fault; the backend has timers of its own */
	else if (step == BODY_WAITS_CLIENT && (s->moved || s->deadline_ns == UINT64_MAX))
		session_deadline(w, s, w->set->smtp.data_timeout_ms);
	s->moved = false;
}

/* ---- toward the backend ---- */

bool body_flush(struct worker *w, struct relay *r)
{
	struct window *win = &r->body.window;
	const uint8_t *p;
	size_t n, k;

	while ((n = window_peek(win, &p)) > 0) {
		k = tcp_write(w->stack, r->conn, p, n);
		window_consume(&w->windows, win, k);
		brain_add(w, BRAIN_bytes_relayed, k);
		if (k < n) {
			body_account(w, r);
			return false; /* TCP_EV_WRITE wakes the session */
		}
	}
	body_account(w, r);
	return true;
}

/* How much of `run` may be decoded so that what comes out surely finds a place. */
size_t body_fit(struct worker *w, struct relay *r, size_t run)
{
	size_t room = window_room(&w->windows, &r->body.window), space = 0;

	if (run > SCRATCH_IN)
		run = SCRATCH_IN;
	if ((int64_t)run > w->work && run > WORK_PIECE_MIN)
		run = w->work > WORK_PIECE_MIN ? (size_t)w->work : WORK_PIECE_MIN;
	if (r->state == RELAY_BODY && r->conn)
		space = tcp_write_space(w->stack, r->conn);
	if (space > room)
		room = space;
	room = room > BODY_SLACK ? (room - BODY_SLACK) / 2 : 0;
	if (room == 0 && r->state == RELAY_BODY && r->conn)
		tcp_want_write(w->stack, r->conn);
	return run < room ? run : room;
}

/* Decoded bytes go to the backend, the rest to the window. */
void body_push(struct worker *w, struct relay *r, const uint8_t *p, size_t n)
{
	size_t k = tcp_write(w->stack, r->conn, p, n);

	brain_add(w, BRAIN_bytes_relayed, k);
	if (k < n && window_append(&w->windows, &r->body.window, p + k, n - k) < n - k)
		relay_fail(w, r, REASON_BACKEND_LOST); /* never with a hole in it */
	body_account(w, r);
}

size_t body_decode(struct worker *w, struct relay *r, const uint8_t *p, size_t n, size_t *ret_out)
{
	struct body *b = &r->body;
	uint8_t *to = w->scratch + SCRATCH_HEAD;
	size_t plain = 0;

	n = smtp_data_feed(
	    &b->data, p, n, to, ret_out, scan_is_due(r) || r->sketch ? w->plain : NULL, &plain);
	work_done(w, n / WORK_COPIED);
	if (plain && scan_is_due(r))
		scan_feed(w, r, w->plain, plain);
	if (plain)
		sketch_feed(r, w->plain, plain);
	*ret_out = mark_strip_feed(&b->strip, to, *ret_out, w->scratch);
	if (b->data.ended)
		*ret_out += mark_strip_end(&b->strip, w->scratch + *ret_out);
	return n;
}

enum body_collected body_collect(
    struct worker *w, struct session *s, uint64_t *left, enum body_step *ret_step)
{
	struct relay *r = s->relay;
	struct body *b = &r->body;
	uint32_t limit = body_window_limit(w, b), quota = w->set->smtp.window_quota;
	const uint8_t *p;
	size_t run, n, out;

	while (!(left ? *left == 0 : b->data.ended) && !b->judge_now && b->window.bytes < limit) {
		if (w->work <= 0) {
			*ret_step = BODY_GOES_ON; /* in the next turn */
			return COLLECT_WAITS;
		}
		run = tcp_peek(s->conn, &p);
		if (run == 0) {
			*ret_step = body_idle(w, s);
			return COLLECT_WAITS;
		}
		n = body_fit(w, r, run);
		if (n == 0 || (quota && b->source_held > quota)) {
			b->judge_now = true;
			brain_count(w, BRAIN_windows_early);
			break;
		}
		if (left && n > *left)
			n = (size_t)*left;
		if (n > limit - b->window.bytes)
			n = limit - b->window.bytes;
		n = body_decode(w, r, p, n, &out);
		window_append(&w->windows, &b->window, w->scratch, out);
		session_consume(w, s, n);
		if (left)
			*left -= n;
		s->moved = true;
		body_account(w, r);
		if (!body_check(w, s))
			return COLLECT_REFUSED;
		if (window_pool_low(&w->windows))
			relieve(w);
	}
	return COLLECT_FULL;
}

/* ---- the phases of DATA ---- */

static enum body_step collect(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;
	struct body *b = &r->body;
	enum body_step step;

	switch (body_collect(w, s, NULL, &step)) {
	case COLLECT_WAITS: return step;
	case COLLECT_REFUSED: return s->state == SESSION_BODY ? BODY_GOES_ON : BODY_GONE;
	default: break;
	}
	if (!relay_has_room(w, r))
		return BODY_WAITS_BACKEND;
	if (confirm_waits(w, s, b->data.ended))
		return BODY_WAITS_CONFIRM;
	if (!body_judge(w, s, b->data.ended))
		return BODY_GOES_ON;
	b->phase = BODY_OPENING;
	relay_data(w, r);
	return BODY_GOES_ON;
}

static enum body_step stream(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;
	struct body *b = &r->body;
	const uint8_t *p;
	size_t run, n, out;

	if (!body_flush(w, r))
		return BODY_WAITS_BACKEND;
	if (b->data.ended) {
		if (!body_check_content(w, s, true))
			return BODY_GOES_ON;
		if (relay_dot(w, r) < 0)
			return BODY_WAITS_BACKEND;
		s->state = SESSION_FINAL;
		tcp_set_keepalive(w->stack, s->conn, true);
		session_deadline(w, s, 0);
		session_wake(w, s);
		return BODY_GONE;
	}
	run = tcp_peek(s->conn, &p);
	if (run == 0)
		return body_idle(w, s);
	n = body_fit(w, r, run);
	if (n == 0)
		return BODY_WAITS_BACKEND;
	n = body_decode(w, r, p, n, &out);
	session_consume(w, s, n);
	s->moved = true;
	if (!body_check(w, s))
		return s->state == SESSION_BODY ? BODY_GOES_ON : BODY_GONE;
	if (!body_check_content(w, s, false))
		return BODY_GOES_ON;
	body_push(w, r, w->scratch, out);
	return BODY_GOES_ON;
}

static enum body_step discard(struct worker *w, struct session *s)
{
	struct body *b = &s->relay->body;
	const uint8_t *p;
	size_t run, n, out;

	while (!b->data.ended) {
		if (w->work <= 0)
			return BODY_GOES_ON;
		run = tcp_peek(s->conn, &p);
		if (run == 0)
			return body_idle(w, s);
		n = run < SCRATCH_IN ? run : SCRATCH_IN;
		n = smtp_data_feed(&b->data, p, n, w->scratch, &out, NULL, NULL);
		work_done(w, n / WORK_COPIED);
		session_consume(w, s, n);
		s->moved = true;
		if (body_dropped_enough(w, s, n))
			return BODY_GONE;
	}
	if (!session_can_write(w, s, REPLY_ROOM))
		return BODY_WAITS_CLIENT;
	body_refused(w, s);
	return BODY_GONE;
}

void body_run(struct worker *w, struct session *s)
{
	enum body_step step = BODY_GOES_ON;

	for (unsigned i = 0; step == BODY_GOES_ON; i++) {
		struct relay *r = s->relay;
		struct body *b = &r->body;

		if (i == BODY_STEPS || w->work <= 0) {
			session_wake(w, s); /* others get their turn */
			break;
		}
		if (b->phase != BODY_DISCARD &&
		    (r->state == RELAY_FAILED || r->state == RELAY_REFUSED))
			body_discard(w, r);
		switch ((enum body_phase)b->phase) {
		case BODY_WINDOW: step = collect(w, s); break;
		case BODY_OPENING:
			if (r->state == RELAY_BODY)
				b->phase = BODY_STREAM;
			else
				step = BODY_WAITS_BACKEND;
			break;
		case BODY_STREAM: step = stream(w, s); break;
		default: step = discard(w, s); break;
		}
	}
	if (step != BODY_GONE)
		body_pace(w, s, step);
}
