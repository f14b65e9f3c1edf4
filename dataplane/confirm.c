/* SPDX-License-Identifier: BSD-3-Clause */
/* Candidates of patterns, on their way to PCRE2 (confirm.h). */
#include "confirm.h"

#include "relay.h"
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int confirms_init(struct confirms *c)
{
	c->jobs = calloc(CONFIRM_JOBS, sizeof(*c->jobs)); /* pages are touched by use alone */
	if (!c->jobs)
		return -ENOMEM;
	for (unsigned i = CONFIRM_JOBS; i-- > 0;) {
		c->jobs[i].id = i;
		c->jobs[i].next = c->free;
		c->free = &c->jobs[i];
	}
	return 0;
}

void confirms_fini(struct confirms *c)
{
	free(c->jobs);
}

uint64_t confirms_next_deadline(const struct confirms *c)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; c->n_waiting && i < CONFIRM_JOBS; i++)
		if (c->jobs[i].asker && c->jobs[i].deadline_ns < next)
			next = c->jobs[i].deadline_ns;
	return next;
}

/* ---- the question ---- */

void confirm_keep_line(
    struct worker *w, struct scan *scan, enum pattern_zone zone, const void *text, size_t len)
{
	size_t n = 0;

	if (!scan->lines && window_pool_left(&w->windows) > 0)
		scan->lines = extent_get(&w->windows);
	if (scan->lines)
		n = confirm_line_put(scan->lines->data + scan->lines->len,
		    sizeof(scan->lines->data) - scan->lines->len, zone, text, len);
	if (n == 0)
		scan->line_lost = true;
	else
		scan->lines->len += (uint16_t)n;
}

static struct confirm_job *job_get(struct worker *w)
{
	struct confirm_job *job = w->confirms.free;

	if (!job || w->out->n_questions == w->out->cap_questions) {
		brain_count(w, BRAIN_confirm_full);
		return NULL;
	}
	w->confirms.free = job->next;
	job->id += 1ull << 32;
	return job;
}

/* Candidates whose text is at hand, those of one set. */
static void add_candidates(struct confirm_job *job, const struct scan *scan, unsigned set,
    const uint16_t *candidates, unsigned n)
{
	struct pattern_workspace *ws = pattern_message_workspace(scan->messages[set]);

	for (unsigned i = 0; i < n; i++) {
		struct pattern_expression e;

		pattern_expression_get(pattern_workspace_set(ws), candidates[i], &e);
		if (scan->line_lost && (e.zone == PATTERN_HELO || e.zone == PATTERN_ENVELOPE))
			continue;
		job->candidates[job->n++] = (struct confirm_candidate){
			.set = pattern_workspace_set(ws),
			.expression = candidates[i],
		};
		job->held[set] = ws;
	}
}

/* What the window holds of the message, behind what we put in front of it. */
static size_t copy_window(const struct body *b, uint8_t *to, size_t cap)
{
	size_t skip = b->ours, n = 0;

	for (const struct extent *e = b->window.head; e && n < cap; e = e->next) {
		size_t ours = skip < e->len ? skip : e->len, k = e->len - ours;

		if (k > cap - n)
			k = cap - n;
		memcpy(to + n, e->data + e->off + ours, k);
		skip -= ours;
		n += k;
	}
	return n;
}

static void fill(struct confirm_job *job, const struct scan *scan, const struct body *b, bool whole)
{
	struct confirm_message *m = &job->message;
	const struct pattern_limits *limits = &pattern_limits_default;

	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		if (job->held[i])
			limits = pattern_workspace_limits(job->held[i]);
	*m = (struct confirm_message){
		.bytes = job->bytes,
		.len = copy_window(b, job->bytes, sizeof(job->bytes)),
		.stuffed = !b->bdat,
		.depth = limits->depth,
		.decoded_depth = limits->decoded_depth,
		.lines = job->lines,
		.lines_len = scan->lines ? scan->lines->len : 0,
	};
	m->cut = !whole || m->len + b->ours < b->window.bytes;
	if (m->lines_len)
		memcpy(job->lines, scan->lines->data, m->lines_len);
}

static void leave_turn(struct worker *w, struct relay *r, struct confirm_job *job)
{
	uint64_t ns = w->set->patterns.confirm_ms * 1000000ull;
	struct question *q = &w->out->questions[w->out->n_questions++];

	job->deadline_ns = w->now_ns + ns;
	job->most_ns = ns / CONFIRM_SHARE;
	job->asker = r;
	r->scan.job = job;
	w->confirms.n_waiting++;
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		if (job->held[i])
			pattern_workspace_hold(job->held[i]);
	q->id = job->id;
	q->kind = QUESTION_CONFIRM;
	q->deadline_ns = job->deadline_ns;
	q->job = job;
	brain_count(w, BRAIN_patterns_asked);
}

/* The message goes on without its answer; the job stays out. */
static void abandon(struct worker *w, struct relay *r)
{
	r->scan.job->asker = NULL;
	r->scan.job = NULL;
	w->confirms.n_waiting--;
}

bool confirm_waits(struct worker *w, struct session *s, bool whole)
{
	struct relay *r = s->relay;
	struct scan *scan = &r->scan;
	const uint16_t *candidates[POLICY_PATTERN_SETS];
	unsigned n[POLICY_PATTERN_SETS] = { 0 }, all = 0;
	struct confirm_job *job;

	if (scan->job && !r->body.judge_now)
		return true;
	if (scan->job) { /* its window is needed */
		brain_count(w, BRAIN_confirm_late);
		abandon(w, r);
	}
	if (scan->asked || !scan->begun || w->set->patterns.confirm_ms == 0)
		return false;
	scan->asked = true;
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++) {
		if (!scan->messages[i])
			continue;
		if (whole)
			pattern_message_finish(scan->messages[i]);
		n[i] = pattern_message_candidates(scan->messages[i], &candidates[i]);
		all += n[i];
	}
	if (all == 0 || r->body.judge_now)
		return false;
	job = job_get(w);
	if (!job)
		return false;
	job->n = 0;
	memset(job->held, 0, sizeof(job->held));
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		if (n[i])
			add_candidates(job, scan, i, candidates[i], n[i]);
	if (job->n == 0) {
		job->next = w->confirms.free;
		w->confirms.free = job;
		return false;
	}
	fill(job, scan, &r->body, whole);
	work_done(w, job->message.len / WORK_COPIED);
	leave_turn(w, r, job);
	return true;
}

/* ---- the answer ---- */

static void settle(struct worker *w, struct relay *r, const struct confirm_job *job)
{
	for (unsigned i = 0; i < job->n; i++) {
		const struct confirm_candidate *c = &job->candidates[i];

		if (c->answer == CONFIRM_YES)
			brain_count(w, BRAIN_patterns_confirmed);
		else if (c->answer == CONFIRM_NO)
			brain_count(w, BRAIN_patterns_refuted);
		else if (c->answer == CONFIRM_COSTLY)
			brain_count(w, BRAIN_patterns_costly);
		if (c->answer != CONFIRM_YES && c->answer != CONFIRM_NO)
			continue;
		for (unsigned set = 0; set < POLICY_PATTERN_SETS; set++) {
			struct pattern_message *m = r->scan.messages[set];

			/* a set that had to go has taken the message with it */
			if (m && job->held[set] == pattern_message_workspace(m) &&
			    pattern_workspace_set(job->held[set]) == c->set)
				pattern_message_settle(m, c->expression, c->answer == CONFIRM_YES);
		}
	}
}

void confirm_answered(struct worker *w, uint64_t id)
{
	struct confirm_job *job = &w->confirms.jobs[(uint32_t)id];
	struct relay *r;

	if ((uint32_t)id >= CONFIRM_JOBS || job->id != id)
		return;
	r = job->asker;
	if (r) {
		job->asker = NULL;
		w->confirms.n_waiting--;
		r->scan.job = NULL;
		settle(w, r, job);
		session_wake(w, r->session);
	}
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		if (job->held[i])
			pattern_workspace_let_go(job->held[i]);
	job->id += 1ull << 32; /* answered once */
	job->next = w->confirms.free;
	w->confirms.free = job;
}

void confirms_due(struct worker *w)
{
	for (unsigned i = 0; w->confirms.n_waiting && i < CONFIRM_JOBS; i++) {
		struct relay *r = w->confirms.jobs[i].asker;

		if (!r || w->confirms.jobs[i].deadline_ns > w->now_ns)
			continue;
		brain_count(w, BRAIN_confirm_late);
		abandon(w, r);
		session_wake(w, r->session);
	}
}

void confirm_forget(struct worker *w, struct relay *r)
{
	if (r->scan.job)
		abandon(w, r);
	r->scan.lines = extent_put(&w->windows, r->scan.lines);
}

/* ---- for shells without a thread ---- */

static bool enough(void *arg)
{
	unsigned *left = arg;

	if (*left > 0)
		--*left;
	return *left == 0;
}

void confirm_work(struct confirm_job *job, struct confirm_reader *reader)
{
	unsigned left = CONFIRM_STEPS / CONFIRM_STRIDE;

	confirm_read(reader, &job->message, job->candidates, job->n, enough, &left);
}
