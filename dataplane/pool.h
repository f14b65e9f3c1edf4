/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pool of objects of one size, taken from one mapping made at start. Get and put are a pop and a
 * push. Fresh objects are handed out by a rising index, so memory that a pool never needed stays
 * untouched and costs no page (a free list threaded through all objects at start would touch
 * every one). One thread.
 *
 * At the bound pool_get() returns NULL; what that means is the caller's, and named there.
 */
#ifndef POSTERN_DATAPLANE_POOL_H
#define POSTERN_DATAPLANE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool {
	uint8_t *memory;
	void *free; /* list through the first word of each object */
	size_t object_size, bytes;
	uint32_t total, fresh, used;
};

int pool_init(struct pool *p, size_t object_size, uint32_t total); /* -ENOMEM */
void pool_fini(struct pool *p);
void *pool_get(struct pool *p); /* not cleared; NULL: all in use */
void pool_put(struct pool *p, void *object);

#endif
