/* SPDX-License-Identifier: BSD-3-Clause */
/* The chunk pool: one allocation at start, nothing afterwards. */
#include "chunk.h"

#include <errno.h>
#include <stdlib.h>

int chunk_pool_init(struct chunk_pool *pool, uint32_t max)
{
	void *base;

	/* 25 bits of index in struct tx_rec */
	if (max >= 1u << 25)
		return -EINVAL;
	base = aligned_alloc(STACK_CHUNK_SIZE, ((size_t)max + 1) * STACK_CHUNK_SIZE);
	if (!base)
		return -ENOMEM;
	*pool = (struct chunk_pool){ .base = base, .max = max };
	return 0;
}

void chunk_pool_fini(struct chunk_pool *pool)
{
	free(pool->base);
	pool->base = NULL;
}

void chunk_put_list(struct chunk_pool *pool, uint32_t first)
{
	while (first != 0) {
		uint32_t next = chunk_at(pool, first)->next;

		chunk_put(pool, first);
		first = next;
	}
}
