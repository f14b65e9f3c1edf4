/* SPDX-License-Identifier: BSD-3-Clause */
/* See notes.h. */
#include "notes.h"
#include "ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct notes {
	unsigned n_workers, n_subscribers;
	uint32_t kinds;
	struct notes_subscriber subscribers[NOTES_MAX_SUBSCRIBERS];
	struct ring *rings; /* from each worker */
	pthread_t thread;
	bool started;
	atomic_bool stop;
};

int notes_new(unsigned n_workers, struct notes **ret_notes)
{
	struct notes *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->rings = rings_new(n_workers, NOTES_RING, sizeof(struct note));
	if (!n->rings) {
		free(n);
		return -ENOMEM;
	}
	n->n_workers = n_workers;
	*ret_notes = n;
	return 0;
}

int notes_subscribe(struct notes *n, const struct notes_subscriber *subscriber)
{
	if (n->n_subscribers == NOTES_MAX_SUBSCRIBERS)
		return -ENOSPC;
	n->subscribers[n->n_subscribers++] = *subscriber;
	n->kinds |= subscriber->kinds;
	return 0;
}

uint32_t notes_kinds(const struct notes *n)
{
	return n->kinds;
}

static void tell(struct notes *n, const struct note *note)
{
	for (unsigned i = 0; i < n->n_subscribers; i++) {
		const struct notes_subscriber *s = &n->subscribers[i];

		if (s->note && s->kinds >> note->kind & 1)
			s->note(s->arg, note);
	}
}

/* One round; true: something came. */
static bool tell_all(struct notes *n)
{
	struct timespec now;
	bool any = false;

	for (unsigned i = 0; i < n->n_workers; i++) {
		struct ring *r = &n->rings[i];

		for (unsigned left = ring_waiting(r); left > 0; left--) {
			tell(n, ring_first(r));
			ring_drop(r);
			any = true;
		}
	}
	clock_gettime(CLOCK_REALTIME, &now);
	for (unsigned i = 0; i < n->n_subscribers; i++)
		if (n->subscribers[i].tick)
			n->subscribers[i].tick(n->subscribers[i].arg,
			    (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	return any;
}

static void *run(void *arg)
{
	struct notes *n = arg;

	while (!atomic_load(&n->stop)) {
		const struct timespec pause = { .tv_nsec = NOTES_TICK_MS * 1000000l };

		if (!tell_all(n))
			nanosleep(&pause, NULL);
	}
	tell_all(n);
	return NULL;
}

int notes_start(struct notes *n)
{
	int rc = -pthread_create(&n->thread, NULL, run, n);

	n->started = rc == 0;
	return rc;
}

void notes_stop(struct notes *n)
{
	if (!n->started)
		return;
	atomic_store(&n->stop, true);
	pthread_join(n->thread, NULL);
	n->started = false;
}

struct notes *notes_free(struct notes *n)
{
	if (!n)
		return NULL;
	notes_stop(n);
	rings_free(n->rings, n->n_workers);
	free(n);
	return NULL;
}

unsigned notes_put(struct notes *n, unsigned worker, const struct note *notes, unsigned n_notes)
{
	return ring_put(&n->rings[worker], notes, n_notes);
}
