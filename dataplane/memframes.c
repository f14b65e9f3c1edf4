/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stack of free buffer numbers over one block of memory. The number stands in front of each
 * buffer, so that giving back needs no division; the alternative, malloc per frame, would hide a
 * leak from the shells that assert memframes_in_use() == 0 at their end.
 */
#include "memframes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	uint32_t index;
	uint32_t taken;
};

struct memframes {
	uint8_t *block;
	uint32_t *free;
	unsigned n, n_free;
	uint16_t room;
	size_t stride;
};

struct memframes *memframes_new(unsigned n, uint16_t room)
{
	struct memframes *mf = calloc(1, sizeof(*mf));
	if (!mf)
		return NULL;
	mf->n = mf->n_free = n;
	mf->room = room;
	mf->stride = (sizeof(struct slot) + MEMFRAMES_HEADROOM + room + 63u) & ~(size_t)63;
	mf->block = aligned_alloc(64, mf->stride * n);
	mf->free = malloc(n * sizeof(*mf->free));
	if (!mf->block || !mf->free)
		return memframes_free(mf);
	for (unsigned i = 0; i < n; i++) {
		struct slot *s = (struct slot *)(void *)(mf->block + i * mf->stride);
		s->index = i;
		s->taken = 0;
		mf->free[i] = n - 1 - i;
	}
	return mf;
}

struct memframes *memframes_free(struct memframes *mf)
{
	if (!mf)
		return NULL;
	free(mf->block);
	free(mf->free);
	free(mf);
	return NULL;
}

bool memframes_get(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct memframes *mf = arg;
	if (mf->n_free == 0)
		return false;
	struct slot *s = (struct slot *)(void *)(mf->block + mf->free[--mf->n_free] * mf->stride);
	assert(!s->taken);
	s->taken = 1;
	*ret_frame = (struct frame){
		.data = (uint8_t *)(s + 1) + MEMFRAMES_HEADROOM,
		.handle = s,
		.room = mf->room,
		.headroom = MEMFRAMES_HEADROOM,
		.port = port,
	};
	return true;
}

void memframes_put(struct memframes *mf, const struct frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct slot *s = frames[i].handle;
		assert(s->taken && s->index < mf->n);
		s->taken = 0;
		mf->free[mf->n_free++] = s->index;
	}
}

unsigned memframes_in_use(const struct memframes *mf)
{
	return mf->n - mf->n_free;
}
