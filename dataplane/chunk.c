/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BDAT (RFC 3030, P21). Chunk borders mean nothing to the message, so what the inspection window
 * gathered goes to the backend as the head of one chunk of ours; later chunks keep their size. 250 to
 * a chunk that is not the last is ours; the last one's answer is the backend's. After a failure the
 * chunks that were pipelined are read and dropped: the first is told why, the others 503.
 */
#include "body.h"

static bool too_big(const struct session *s, const struct body *b, uint64_t chunk)
{
	uint64_t limit = s->size_limit ? s->size_limit : UINT64_MAX / 2;

	return chunk > limit || b->data.size > limit - chunk;
}

void body_chunk(struct worker *w, struct session *s, const struct smtp_command *cmd, bool refused)
{
	struct body *b = &s->relay->body;

	s->swallow = 0;
	s->chunk_left = cmd->chunk_size;
	s->state = SESSION_CHUNK;
	session_deadline(w, s, w->set->smtp.data_timeout_ms);
	if (s->at == AT_RCPT) {
		bool ready = body_begin(w, s, true);

		if (!ready) {
			b->bdat = true;
			if (!refused)
				relay_reason(w, s->relay, 451, REASON_WINDOW_MEMORY);
		}
		if (refused || !ready)
			body_discard(w, s->relay);
	}
	/* Said before a byte of it is passed on: what the backend is announced, this chunk and what
	 * came before it, must not go beyond 64 bits either. */
	if (b->phase != BODY_DISCARD && too_big(s, b, cmd->chunk_size))
		body_refuse(w, s->relay, 552, REASON_MESSAGE_SIZE);
	s->at = AT_BDAT;
	b->chunk_last = cmd->chunk_last;
	b->announce = b->phase == BODY_STREAM;
}

/* The chunk's bytes are read: back to commands. */
static enum body_step chunk_taken(struct worker *w, struct session *s)
{
	s->state = SESSION_COMMAND;
	session_deadline(w, s, w->set->smtp.command_timeout_ms);
	session_wake(w, s);
	return BODY_GONE;
}

static enum body_step collect(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;
	struct body *b = &r->body;
	uint8_t held[MARK_HELD_MAX];
	enum body_step step;

	switch (body_collect(w, s, &s->chunk_left, &step)) {
	case COLLECT_WAITS: return step;
	case COLLECT_REFUSED: return BODY_GOES_ON;
	default: break;
	}
	if (s->chunk_left == 0 && !b->chunk_last) {
		if (!session_can_write(w, s, REPLY_ROOM))
			return BODY_WAITS_CLIENT;
		session_reply(w, s, REPLY_CHUNK_OK);
		return chunk_taken(w, s);
	}
	if (confirm_waits(w, s, b->chunk_last && s->chunk_left == 0))
		return BODY_WAITS_CONFIRM;
	if (!body_judge(w, s, b->chunk_last && s->chunk_left == 0))
		return BODY_GOES_ON;
	/* from here on the backend knows each chunk's size beforehand: nothing is taken out any more */
	window_append(&w->windows, &b->window, held, mark_strip_end(&b->strip, held));
	b->phase = BODY_STREAM;
	b->announce = true;
	return BODY_GOES_ON;
}

static enum body_step chunk_end(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;

	if (r->body.chunk_last) {
		relay_final_wait(w, r);
		s->state = SESSION_FINAL;
		tcp_set_keepalive(w->stack, s->conn, true);
		session_deadline(w, s, 0);
		session_wake(w, s);
		return BODY_GONE;
	}
	if (!session_can_write(w, s, REPLY_ROOM))
		return BODY_WAITS_CLIENT;
	session_reply(w, s, REPLY_CHUNK_OK);
	return chunk_taken(w, s);
}

static enum body_step stream(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;
	struct body *b = &r->body;
	const uint8_t *p;
	size_t run, n, out;

	if (b->chunk_last && s->chunk_left == 0 && !body_check_content(w, s, true))
		return BODY_GOES_ON;
	if (b->announce) {
		uint64_t size = b->window.bytes + s->chunk_left;

		if ((size || b->chunk_last) && relay_bdat(w, r, size, b->chunk_last) < 0)
			return BODY_WAITS_BACKEND;
		b->announce = false;
		if (r->state != RELAY_BODY)
			return BODY_GOES_ON;
	}
	if (!body_flush(w, r))
		return BODY_WAITS_BACKEND;
	if (s->chunk_left == 0)
		return chunk_end(w, s);
	run = tcp_peek(s->conn, &p);
	if (run == 0)
		return body_idle(w, s);
	n = body_fit(w, r, run);
	if (n > s->chunk_left)
		n = (size_t)s->chunk_left;
	if (n == 0)
		return BODY_WAITS_BACKEND;
	n = body_decode(w, r, p, n, &out);
	session_consume(w, s, n);
	s->chunk_left -= n;
	s->moved = true;
	if (!body_check(w, s) || !body_check_content(w, s, b->chunk_last && s->chunk_left == 0))
		return BODY_GOES_ON;
	body_push(w, r, w->scratch, out);
	return BODY_GOES_ON;
}

static enum body_step discard(struct worker *w, struct session *s)
{
	struct body *b = &s->relay->body;
	const uint8_t *p;
	size_t run;

	while (s->chunk_left > 0) {
		run = tcp_peek(s->conn, &p);
		if (run == 0)
			return body_idle(w, s);
		if (run > s->chunk_left)
			run = (size_t)s->chunk_left;
		session_consume(w, s, run);
		s->chunk_left -= run;
		s->moved = true;
		if (body_dropped_enough(w, s, run))
			return BODY_GONE;
	}
	if (!session_can_write(w, s, REPLY_ROOM))
		return BODY_WAITS_CLIENT;
	if (b->chunk_last && !b->told) {
		body_refused(w, s);
		return BODY_GONE;
	}
	if (b->told)
		session_reply(w, s, REPLY_CHUNK_DROPPED);
	else
		session_refuse_stored(w, s);
	b->told = true;
	if (b->chunk_last) {
		brain_count(w, BRAIN_messages_refused);
		session_reset(w, s);
	}
	return chunk_taken(w, s);
}

/* A chunk that belongs to no transaction. */
static void swallow(struct worker *w, struct session *s)
{
	const uint8_t *p;
	size_t run;

	while (s->chunk_left > 0 && (run = tcp_peek(s->conn, &p)) > 0) {
		if (run > s->chunk_left)
			run = (size_t)s->chunk_left;
		session_consume(w, s, run);
		s->chunk_left -= run;
		s->moved = true;
	}
	if (s->chunk_left > 0) {
		if (s->eof)
			session_linger(w, s);
		else
			body_pace(w, s, BODY_WAITS_CLIENT);
		return;
	}
	if (!session_can_write(w, s, REPLY_ROOM))
		return;
	session_reply(w, s, (enum reply)s->swallow);
	s->swallow = 0;
	chunk_taken(w, s);
}

void chunk_run(struct worker *w, struct session *s)
{
	enum body_step step = BODY_GOES_ON;

	if (s->swallow) {
		swallow(w, s);
		return;
	}
	for (unsigned i = 0; step == BODY_GOES_ON; i++) {
		struct relay *r = s->relay;
		struct body *b = &r->body;

		if (i == BODY_STEPS || w->work <= 0) {
			session_wake(w, s);
			break;
		}
		if (b->phase != BODY_DISCARD &&
		    (r->state == RELAY_FAILED || r->state == RELAY_REFUSED))
			body_discard(w, r);
		switch ((enum body_phase)b->phase) {
		case BODY_WINDOW: step = collect(w, s); break;
		case BODY_STREAM: step = stream(w, s); break;
		default: step = discard(w, s); break;
		}
	}
	if (step != BODY_GONE)
		body_pace(w, s, step);
}
