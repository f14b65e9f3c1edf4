/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stutter and window of a session by its class (filters/policy_shape.h): its replies leave so many
 * bytes at a time, its bytes come in so fast.
 *
 * Replies are queued as ever and in order; the stack lets them out at the pace, so pipelining,
 * parking and the hand-over know nothing of it, and a full queue stops the reading of commands. The
 * bounds (SHAPE_*_MAX_MS, and the class's own) are kept without a timer: whenever something is
 * queued, the pace becomes as fast as all of it needs to be gone in time, and it never slows down
 * while anything is queued. So each byte meets the bound of the moment in which it was written.
 * Rejected: a timer that releases the queue at the bound, which costs one more deadline a session
 * and sends the rest of a reply in a burst that tells a bot what it met.
 */
#include "session_private.h"

static const struct policy_class *class_of(const struct worker *w, const struct session *s)
{
	const struct policy_shape *shape = &w->set->shape;

	return s->shape && s->shape <= shape->n_classes ? &shape->classes[s->shape - 1] : NULL;
}

static uint8_t choose(const struct worker *w, const struct session *s)
{
	const struct policy_shape *shape = &w->set->shape;
	unsigned best = shape->n_classes;

	if (s->facts.trusted || s->facts.pass_all)
		return 0;
	for (unsigned i = 0; i < shape->n_classes; i++) {
		if (shape->classes[i].from_score <= s->tally.score &&
		    (best == shape->n_classes ||
			shape->classes[i].from_score > shape->classes[best].from_score))
			best = i;
	}
	return (uint8_t)(best < shape->n_classes ? best + 1 : 0);
}

static void release(struct worker *w, struct session *s)
{
	if (s->stuttered)
		tcp_set_pace(w->stack, s->conn, 0, 0);
	s->stuttered = false;
	s->pace_bytes = 0;
}

static void set_window(struct worker *w, struct session *s, uint32_t bytes)
{
	if (bytes || s->windowed)
		tcp_set_window(w->stack, s->conn, bytes ? bytes : UINT32_MAX);
	s->windowed = bytes != 0;
}

void session_shape(struct worker *w, struct session *s)
{
	const struct policy_class *c;
	uint8_t shape;

	if (!s->conn || (w->set->shape.n_classes == 0 && !s->shape))
		return;
	shape = choose(w, s);
	if (shape == s->shape)
		return;
	s->shape = shape;
	c = class_of(w, s);
	set_window(w, s, c ? c->window_bytes : 0);
	if (!c || !c->pace_bytes)
		release(w, s);
}

void session_shape_end(struct worker *w, struct session *s)
{
	if (!s->conn)
		return;
	s->shape = 0;
	set_window(w, s, 0);
	release(w, s);
}

/* Milliseconds in which all that is queued must have gone; UINT64_MAX: no bound. */
static uint64_t budget_ms(
    const struct worker *w, const struct session *s, const struct policy_class *c)
{
	uint64_t age_ms = (w->now_ns - s->opened_ns) / 1000000u, most = UINT64_MAX;

	if (c->stutter_ms)
		most = age_ms < c->stutter_ms ? c->stutter_ms - age_ms : 0;
	if (s->condemned)
		return most;
	uint64_t polite = s->greeted                       ? SHAPE_REPLY_MAX_MS
			  : age_ms < SHAPE_GREETING_MAX_MS ? SHAPE_GREETING_MAX_MS - age_ms
							   : 0;
	return polite < most ? polite : most;
}

void session_shape_written(struct worker *w, struct session *s, size_t before)
{
	const struct policy_class *c = class_of(w, s);
	uint64_t most, lots, bytes, queued;

	if (!s->shape && !s->stuttered)
		return;
	most = c && c->pace_bytes ? budget_ms(w, s, c) : 0;
	if (most == 0) {
		release(w, s);
		return;
	}
	bytes = before && s->pace_bytes > c->pace_bytes ? s->pace_bytes : c->pace_bytes;
	if (most != UINT64_MAX) {
		queued = tcp_unsent_or_unacked(s->conn);
		lots = most / c->pace_ms;
		lots = lots ? lots : 1;
		bytes = bytes * lots < queued ? (queued + lots - 1) / lots : bytes;
	}
	bytes = bytes < UINT16_MAX ? bytes : UINT16_MAX;
	if (s->stuttered && bytes == s->pace_bytes)
		return;
	tcp_set_pace(w->stack, s->conn, (uint32_t)bytes, c->pace_ms);
	s->stuttered = true;
	s->pace_bytes = (uint16_t)bytes;
}

void session_shape_left(struct worker *w, const struct session *s)
{
	const struct policy_class *c = class_of(w, s);

	if (c && c->pace_bytes && s->last_code != 221)
		w->stats->gave_up[s->shape][tarpit_pace_row(c->pace_ms)]
				 [tarpit_age_column((w->now_ns - s->opened_ns) / 1000000000u)]++;
}

uint64_t session_shape_left_ms(const struct worker *w, const struct session *s)
{
	const struct policy_class *c = class_of(w, s);

	if (!c || !s->conn || !s->stuttered || !s->pace_bytes)
		return 0;
	return (tcp_unsent_or_unacked(s->conn) + s->pace_bytes - 1) / s->pace_bytes * c->pace_ms;
}
