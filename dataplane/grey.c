/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings, batches, and the life of the store thread. The design is in grey.h. */
#include "grey_private.h"
#include "fail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PAUSE_MS = 3,
	IDLE_MS = 20,
	RETRY_MS = 200, /* after a commit that failed */
	LET_GO = 2048,  /* of the oldest pending, while the file is tight, a commit */
	SWEEP_MS = 100,
	SWEEP_BUCKETS = 2048,
	SWEEP_CHANGES = 1024,
	MAX_OPS = GREY_BATCH * GREYLIST_MAX_CHANGES + SWEEP_CHANGES,
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint32_t system_s(void *arg)
{
	(void)arg;
	return (uint32_t)time(NULL);
}

/* ---- the producer's side ---- */

bool grey_put(struct grey *g, unsigned producer, const struct grey_note *note)
{
	struct ring *r = &g->rings[producer];
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct grey_note *to = &r->notes[head & g->ring_mask];

	if (head - atomic_load_explicit(&r->tail, memory_order_acquire) > g->ring_mask) {
		atomic_store_explicit(&r->full,
		    atomic_load_explicit(&r->full, memory_order_relaxed) + 1, memory_order_relaxed);
		return false;
	}
	memcpy(to, note, offsetof(struct grey_note, text));
	memcpy(to->text, note->text, note->len <= GREY_NOTE_TEXT ? note->len : GREY_NOTE_TEXT);
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

uint64_t grey_durable(const struct grey *g, unsigned producer)
{
	return atomic_load_explicit(&g->rings[producer].durable, memory_order_acquire);
}

const struct greylist *grey_index(const struct grey *g)
{
	return g->index;
}

const uint8_t *grey_secret(const struct grey *g)
{
	return store_secret(g->store);
}

/* ---- batches ---- */

struct op *grey_add_op(struct grey *g, const struct greylist_change *c)
{
	struct op *op = &g->ops[g->n_ops++];

	op->was = c->was;
	op->is.key = c->key;
	op->is.entry = c->is;
	op->is.len = 0;
	return op;
}

static void take_note(struct grey *g, struct grey_note *note)
{
	struct greylist_change changes[GREYLIST_MAX_CHANGES];
	unsigned n;

	note->lot = (uint16_t)g->stats.commits; /* what is committed together lies together */
	n = greylist_apply(g->index, note, &g->settings, changes);

	for (unsigned i = 0; i < n; i++) {
		struct op *op = grey_add_op(g, &changes[i]);
		struct store_record *r = &op->is;

		if (r->entry.state == GREYLIST_ABSENT)
			continue;
		r->tenant = note->tenant;
		r->cut = note->cut;
		r->pool = r->key == note->keys.pool;
		r->len = note->len <= GREY_NOTE_TEXT ? note->len : GREY_NOTE_TEXT;
		memcpy(r->text, note->text, r->len);
		if (r->pool) { /* the pool's text alone */
			r->len = (uint16_t)(strnlen(r->text, r->len) + 3);
			if (r->len > GREY_NOTE_TEXT)
				r->len = GREY_NOTE_TEXT;
			memset(r->text + r->len - 3, 0, 3);
		}
	}
}

/* A recipient beyond the first of a message comes by its key alone (worker.h). */
static bool lacks_text(const struct store_record *r)
{
	return !r->pool && r->len >= 2 && r->text[r->len - 1] == '\0' && r->text[r->len - 2] == '\0';
}

static int write_ops(struct grey *g)
{
	int rc = 0;

	for (unsigned i = 0; i < g->n_ops && rc == 0; i++) {
		struct op *op = &g->ops[i];
		const struct greylist_entry *is = &op->is.entry;
		bool moves = is->state != GREYLIST_PENDING
				 ? op->was.state == GREYLIST_PENDING
				 : op->was.time_s != is->time_s || op->was.passes != is->passes ||
				       op->was.state != GREYLIST_PENDING;

		if (op->was.state != GREYLIST_ABSENT && is->state != GREYLIST_ABSENT &&
		    lacks_text(&op->is))
			store_text(g->store, op->is.key, &op->was, &op->is);
		if (op->was.state != GREYLIST_ABSENT && (is->state == GREYLIST_ABSENT || moves))
			rc = store_erase(g->store, op->is.key, &op->was);
		if (rc == 0 && is->state != GREYLIST_ABSENT)
			rc = store_write(g->store, &op->is);
	}
	return rc;
}

struct oldest {
	unsigned n;
	struct {
		uint64_t key;
		struct greylist_entry entry;
	} rows[LET_GO];
};

static bool collect(void *arg, const struct store_record *r)
{
	struct oldest *o = arg;

	o->rows[o->n].key = r->key;
	o->rows[o->n++].entry = r->entry;
	return o->n < LET_GO;
}

/* Before the file is full: what never passed goes, the oldest first. In a commit of its own, so
 * that its pages are free for the next. */
static int let_go(struct grey *g)
{
	struct store_position at = { .table = 1 };
	struct oldest *o;
	int rc;

	if (!store_is_tight(g->store))
		return 0;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	rc = store_walk(g->store, &at, LET_GO, collect, o);
	if (rc == 0 && o->n)
		rc = store_begin(g->store);
	for (unsigned i = 0; i < o->n && rc == 0; i++)
		rc = store_erase(g->store, o->rows[i].key, &o->rows[i].entry);
	if (rc == 0 && o->n)
		rc = store_commit(g->store);
	else
		store_abort(g->store);
	for (unsigned i = 0; i < o->n && rc == 0; i++) {
		const struct greylist_entry none = { 0 };
		struct greylist_change changes[2];
		struct greylist_entry e;

		if (greylist_get(g->index, o->rows[i].key, &e) && e.state == GREYLIST_PENDING &&
		    e.time_s == o->rows[i].entry.time_s)
			greylist_put(g->index, o->rows[i].key, &none, 0, &g->settings, changes);
		g->stats.let_go++;
	}
	free(o);
	return rc;
}

/* Writes what waits; 0: it is on disk. */
int grey_commit(struct grey *g)
{
	int rc = 0;

	if (g->n_ops) {
		rc = let_go(g);
		if (rc == 0)
			rc = store_begin(g->store);
		if (rc == 0)
			rc = write_ops(g);
		if (rc == 0)
			rc = store_commit(g->store);
		else
			store_abort(g->store);
		g->stats.error = rc;
		if (rc) {
			g->stats.failed_commits++;
			return rc;
		}
		g->stats.commits++;
		for (unsigned i = 0; i < g->n_ops; i++) {
			if (g->ops[i].is.entry.state == GREYLIST_ABSENT)
				g->stats.erased++;
			else
				g->stats.written++;
		}
		g->n_ops = 0;
	}
	for (unsigned i = 0; i < g->n_producers; i++) {
		struct ring *r = &g->rings[i];

		atomic_store_explicit(&r->durable,
		    atomic_load_explicit(&r->tail, memory_order_relaxed), memory_order_release);
	}
	return 0;
}

/* Notes of all rings in turn, up to a batch. Returns how many. */
static unsigned drain(struct grey *g)
{
	unsigned taken = 0, share = GREY_BATCH / g->n_producers;

	for (unsigned i = 0; i < g->n_producers; i++) {
		struct ring *r = &g->rings[i];
		uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
		uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);

		if (head - tail > share)
			head = tail + share;
		for (; tail != head; tail++, taken++)
			take_note(g, &r->notes[tail & g->ring_mask]);
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
	g->stats.notes += taken;
	return taken;
}

static void sweep(struct grey *g)
{
	static const unsigned step = 64;
	struct greylist_change changes[64 * 4];

	for (unsigned done = 0; done < SWEEP_BUCKETS && g->n_ops + step * 4 <= SWEEP_CHANGES;
	     done += step) {
		unsigned n = greylist_sweep(
		    g->index, &g->cursor, step, g->now_s(g->arg), &g->settings, changes, step * 4);

		for (unsigned i = 0; i < n; i++)
			grey_add_op(g, &changes[i]);
	}
}

static void serve_requests(struct grey *g)
{
	struct request *r;

	pthread_mutex_lock(&g->lock);
	r = g->requests;
	g->requests = NULL;
	pthread_mutex_unlock(&g->lock);
	while (r) {
		struct request *next = r->next;

		r->serve(g, r);
		pthread_mutex_lock(&g->lock);
		r->done = true; /* it is its asker's again */
		pthread_cond_broadcast(&g->served);
		pthread_mutex_unlock(&g->lock);
		r = next;
	}
}

/* False: to end. */
static bool wait(struct grey *g, uint32_t ms)
{
	struct timespec until;
	bool go_on;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&g->lock);
	while (!g->stop && !g->requests && pthread_cond_timedwait(&g->wake, &g->lock, &until) == 0)
		;
	go_on = !g->stop;
	pthread_mutex_unlock(&g->lock);
	return go_on;
}

static void *run(void *arg)
{
	struct grey *g = arg;
	bool go_on = true;

	while (go_on) {
		unsigned taken = 0;

		if (g->n_ops == 0) {
			taken = drain(g);
			if (now_ms() >= g->next_sweep_ms) {
				g->next_sweep_ms = now_ms() + SWEEP_MS;
				sweep(g);
			}
		}
		if (grey_commit(g) != 0)
			go_on = wait(g, RETRY_MS);
		else if (taken < GREY_BATCH / g->n_producers)
			/* let some more come together */
			go_on = wait(g, taken || g->pause_ms > IDLE_MS ? g->pause_ms : IDLE_MS);
		serve_requests(g);
	}
	while (grey_commit(g) == 0 && drain(g) > 0)
		;
	serve_requests(g);
	return NULL;
}

/* ---- start and end ---- */

struct loading {
	struct grey *g;
	uint32_t now_s;
};

static bool load_one(void *arg, const struct store_record *r)
{
	struct loading *l = arg;
	struct grey *g = l->g;
	struct greylist_change changes[2];
	struct greylist_change gone = { r->key, r->entry, { 0 }, false };
	unsigned n = 0;

	if (!greylist_expired(&r->entry, l->now_s, &g->settings))
		n = greylist_put(g->index, r->key, &r->entry, l->now_s, &g->settings, changes);
	if (n == 0)
		grey_add_op(g, &gone);
	for (unsigned i = 0; i < n; i++)
		if (changes[i].is.state == GREYLIST_ABSENT)
			grey_add_op(g, &changes[i]);
	return g->n_ops + 2 <= MAX_OPS;
}

/* What has expired meanwhile, or finds no room, leaves the file as well. */
static int load(struct grey *g)
{
	struct store_position at = { 0 };
	int rc = 0;

	while (rc == 0 && at.table < 2) {
		struct loading l = { g, g->now_s(g->arg) };

		rc = store_walk(g->store, &at, GREY_BATCH, load_one, &l);
		if (rc == 0)
			rc = grey_commit(g);
	}
	return rc;
}

static int open_store(struct grey *g, const struct grey_config *c, char **ret_error)
{
	char aside[4096], *why = NULL;
	int rc = store_open(c->path, c->capacity, &g->store, &why);

	if (rc == 0)
		rc = load(g);
	if (rc != -EBADMSG) {
		if (rc && !why)
			return fail(ret_error, -rc, "%s: %s", c->path, store_error(rc));
		*ret_error = why;
		return rc;
	}
	free(why);
	g->store = store_close(g->store);
	greylist_free(g->index);
	g->index = greylist_new(c->capacity);
	g->n_ops = 0;
	g->stats.was_broken = true;
	if (!g->index)
		return fail(ret_error, ENOMEM, "no memory for the greylist");
	snprintf(aside, sizeof(aside), "%s.broken", c->path);
	if (rename(c->path, aside) != 0)
		return fail(ret_error, errno, "%s is broken and cannot be set aside: %s", c->path,
		    strerror(errno));
	rc = store_open(c->path, c->capacity, &g->store, ret_error);
	if (rc == 0)
		fail(ret_error,
		    EBADMSG, "the greylist's file %s was broken: it is now %s, and the greylist starts empty",
		    c->path, aside);
	return rc;
}

int grey_new(const struct grey_config *c, struct grey **ret_grey, char **ret_error)
{
	struct grey *g = calloc(1, sizeof(*g));
	pthread_condattr_t attr;
	int rc;

	*ret_error = NULL;
	if (!g || c->n_producers == 0 || c->n_producers > GREY_MAX_PRODUCERS ||
	    (c->ring_notes & (c->ring_notes - 1))) {
		int err = g ? EINVAL : ENOMEM;

		free(g);
		return fail(ret_error, err, "the greylist's store: %s", strerror(err));
	}
	g->settings = c->settings;
	g->n_producers = c->n_producers;
	g->ring_mask = (c->ring_notes ? c->ring_notes : GREY_RING_NOTES) - 1;
	g->pause_ms = c->pause_ms ? c->pause_ms : PAUSE_MS;
	g->now_s = c->now_s ? c->now_s : system_s;
	g->arg = c->arg;
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->wake, &attr);
	pthread_cond_init(&g->served, NULL);
	pthread_condattr_destroy(&attr);
	g->index = greylist_new(c->capacity);
	g->ops = calloc(MAX_OPS, sizeof(*g->ops));
	g->rings = aligned_alloc(64, g->n_producers * sizeof(*g->rings));
	if (g->rings)
		memset(g->rings, 0, g->n_producers * sizeof(*g->rings));
	for (unsigned i = 0; g->rings && i < g->n_producers; i++) {
		g->rings[i].notes = calloc(g->ring_mask + 1u, sizeof(struct grey_note));
		if (!g->rings[i].notes)
			goto no_memory;
	}
	if (!g->index || !g->ops || !g->rings)
		goto no_memory;
	rc = open_store(g, c, ret_error);
	if (rc)
		goto fail;
	if (pthread_create(&g->thread, NULL, run, g) != 0) {
		free(*ret_error);
		rc = fail(ret_error, EAGAIN, "no thread for the greylist");
		goto fail;
	}
	g->started = true;
	greylist_set_secret(g->index, store_secret(g->store)); /* before anybody has the index */
	*ret_grey = g;
	return 0;
no_memory:
	rc = fail(ret_error, ENOMEM, "no memory for the greylist: lower greylist.capacity (%u)",
	    c->capacity);
fail:
	grey_free(g);
	return rc;
}

void grey_stop(struct grey *g)
{
	if (g->started) {
		pthread_mutex_lock(&g->lock);
		g->stop = true;
		pthread_cond_signal(&g->wake);
		pthread_mutex_unlock(&g->lock);
		pthread_join(g->thread, NULL);
		g->started = false;
	}
	store_close(g->store);
	g->store = NULL;
}

struct grey *grey_free(struct grey *g)
{
	if (!g)
		return NULL;
	grey_stop(g);
	greylist_free(g->index);
	for (unsigned i = 0; g->rings && i < g->n_producers; i++)
		free(g->rings[i].notes);
	free(g->rings);
	free(g->ops);
	pthread_cond_destroy(&g->wake);
	pthread_cond_destroy(&g->served);
	pthread_mutex_destroy(&g->lock);
	free(g);
	return NULL;
}
