/* SPDX-License-Identifier: BSD-3-Clause */
/* Operators' looks and changes, handed to the store thread (grey.h says why). */
#include "grey_private.h"

#include <errno.h>
#include <string.h>

static int ask(struct grey *g, struct request *r)
{
	pthread_mutex_lock(&g->lock);
	r->next = g->requests;
	g->requests = r;
	pthread_cond_signal(&g->wake);
	while (!r->done)
		pthread_cond_wait(&g->served, &g->lock);
	pthread_mutex_unlock(&g->lock);
	return r->rc;
}

static void serve_settings(struct grey *g, struct request *r)
{
	g->settings = *(const struct policy_grey *)r->in;
}

void grey_settings(struct grey *g, const struct policy_grey *settings)
{
	struct request r = { .serve = serve_settings, .in = settings };

	ask(g, &r);
}

struct showing {
	const struct grey_query *query;
	struct store_record *recs;
	unsigned n, cap;
};

static bool matches(const struct store_record *r, const struct grey_query *q)
{
	if ((q->state && r->entry.state != q->state) || (q->pools_only && !r->pool))
		return false;
	return q->text[0] == '\0' || memmem(r->text, r->len, q->text, strlen(q->text));
}

static bool show_one(void *arg, const struct store_record *r)
{
	struct showing *s = arg;

	if (matches(r, s->query))
		s->recs[s->n++] = *r;
	return s->n < s->cap;
}

static void serve_show(struct grey *g, struct request *r)
{
	struct showing s = { r->in, r->out, 0, r->n };

	r->rc = store_walk(g->store, r->position, GREY_SCAN, show_one, &s);
	r->n_out = s.n;
}

int grey_show(struct grey *g, const struct grey_query *query, struct store_position *position,
    struct store_record *recs, unsigned cap, unsigned *ret_n)
{
	struct request r = { .serve = serve_show,
		.in = query,
		.out = recs,
		.n = cap > GREY_PAGE ? GREY_PAGE : cap,
		.position = position };
	int rc;

	if (cap == 0 || position->table > 2 || position->len > sizeof(position->key))
		return -EINVAL;
	rc = ask(g, &r);
	if (rc == 0)
		*ret_n = r.n_out;
	return rc;
}

static void serve_add(struct grey *g, struct request *r)
{
	const struct store_record *recs = r->in;

	if (g->n_ops) { /* a batch that could not be written stands before it */
		r->rc = g->stats.error ? g->stats.error : -EAGAIN;
		return;
	}
	for (unsigned i = 0; i < r->n; i++) {
		struct greylist_change changes[2];
		unsigned n = greylist_put(
		    g->index, recs[i].key, &recs[i].entry, g->now_s(g->arg), &g->settings, changes);

		for (unsigned k = 0; k < n; k++) {
			struct op *op = grey_add_op(g, &changes[k]);
			struct greylist_entry is = op->is.entry;

			if (is.state == GREYLIST_ABSENT)
				continue;
			op->is = recs[i];
			op->is.entry = is;
		}
		r->n_out += n > 0;
	}
	r->rc = grey_commit(g);
}

int grey_add(struct grey *g, const struct store_record *recs, unsigned n, unsigned *ret_added)
{
	struct request r = { .serve = serve_add, .in = recs, .n = n };
	int rc;

	if (n > GREY_PAGE)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (recs[i].key == 0 || recs[i].len < 3 || recs[i].len > GREY_NOTE_TEXT ||
		    recs[i].entry.state == GREYLIST_ABSENT ||
		    recs[i].entry.state >= GREYLIST_N_STATES)
			return -EINVAL;
	rc = ask(g, &r);
	if (rc == 0)
		*ret_added = r.n_out;
	return rc;
}

static void serve_del(struct grey *g, struct request *r)
{
	const struct greylist_entry none = { 0 };
	struct greylist_change changes[2];
	struct greylist_entry was;

	if (g->n_ops) {
		r->rc = g->stats.error ? g->stats.error : -EAGAIN;
		return;
	}
	if (r->out && greylist_get(g->index, *(const uint64_t *)r->in, &was)) {
		struct store_record *told = r->out;

		*told =
		    (struct store_record){ .key = *(const uint64_t *)r->in, .entry = was, .len = 3 };
		r->rc = store_begin(g->store);
		if (r->rc)
			return;
		store_text(g->store, told->key, &was, told);
		store_abort(g->store);
	}
	if (greylist_put(g->index, *(const uint64_t *)r->in, &none, 0, &g->settings, changes) == 0) {
		r->rc = -ENOENT;
		return;
	}
	grey_add_op(g, &changes[0]);
	r->rc = grey_commit(g);
}

int grey_del(struct grey *g, uint64_t key, struct store_record *ret_was)
{
	struct request r = { .serve = serve_del, .in = &key, .out = ret_was };

	return ask(g, &r);
}

static void serve_stats(struct grey *g, struct request *r)
{
	struct grey_stats *s = r->out;

	*s = g->stats;
	s->counts = greylist_counts(g->index);
	s->usage = store_usage(g->store);
	for (unsigned i = 0; i < g->n_producers; i++)
		s->ring_full += atomic_load_explicit(&g->rings[i].full, memory_order_relaxed);
}

void grey_stats(struct grey *g, struct grey_stats *ret_stats)
{
	struct request r = { .serve = serve_stats, .out = ret_stats };

	ask(g, &r);
}
