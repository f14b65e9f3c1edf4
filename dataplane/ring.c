/* SPDX-License-Identifier: BSD-3-Clause */
/* See ring.h. */
#include "ring.h"

#include <assert.h>

struct ring *rings_new(unsigned n, unsigned places, size_t size)
{
	struct ring *rings = aligned_alloc(_Alignof(struct ring), n * sizeof(*rings));

	assert(places && (places & (places - 1)) == 0);
	if (!rings)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		struct ring *r = &rings[i];

		atomic_init(&r->head, 0);
		atomic_init(&r->tail, 0);
		r->places = places;
		r->size = size;
		r->records = malloc(places * size);
		if (!r->records)
			return rings_free(rings, i);
	}
	return rings;
}

struct ring *rings_free(struct ring *rings, unsigned n)
{
	for (unsigned i = 0; rings && i < n; i++)
		free(rings[i].records);
	free(rings);
	return NULL;
}

unsigned ring_put(struct ring *r, const void *records, unsigned n)
{
	unsigned head = atomic_load_explicit(&r->head, memory_order_relaxed);
	unsigned room = r->places - (head - atomic_load_explicit(&r->tail, memory_order_acquire));
	unsigned taken = n < room ? n : room;

	for (unsigned i = 0; i < taken; i++)
		memcpy(r->records + ((head + i) & (r->places - 1)) * r->size,
		    (const uint8_t *)records + i * r->size, r->size);
	atomic_store_explicit(&r->head, head + taken, memory_order_release);
	return n - taken;
}
