/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring between two threads, one that puts and one that takes: records of one size, copied in,
 * read in place. What does not fit is its putter's to count. Two words, each written by one side
 * and in a line of its own, and no lock; rte_ring would be the same for any number of threads.
 */
#ifndef POSTERN_DATAPLANE_RING_H
#define POSTERN_DATAPLANE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct ring {
	_Alignas(64) atomic_uint head; /* written by the putter */
	_Alignas(64) atomic_uint tail; /* written by the taker */
	_Alignas(64) unsigned places;  /* a power of two */
	size_t size;                   /* of a record */
	uint8_t *records;
};

/* n of them. NULL: no memory. */
struct ring *rings_new(unsigned n, unsigned places, size_t size);
struct ring *rings_free(struct ring *rings, unsigned n);

/* Returns how many did not fit: the last ones. */
unsigned ring_put(struct ring *r, const void *records, unsigned n);

/* How many wait. Of these ring_first() is the next, until ring_drop(). */
static inline unsigned ring_waiting(const struct ring *r)
{
	return atomic_load_explicit(&r->head, memory_order_acquire) -
	       atomic_load_explicit(&r->tail, memory_order_relaxed);
}

static inline const void *ring_first(const struct ring *r)
{
	unsigned tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	return r->records + (tail & (r->places - 1)) * r->size;
}

/* Each place at once, so that a slow taker loses as little as may be. */
static inline void ring_drop(struct ring *r)
{
	unsigned tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

#endif
