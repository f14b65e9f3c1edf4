/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool of payload chunks, 2 KiB each with their header: everything unread, unsent or
 * unacknowledged of all connections lies here, so memory has one bound. Free chunks are a LIFO
 * (the warm one is handed out first); chunks never used yet are untouched memory.
 *
 * Reserves keep one use from starving another: out-of-order data needs a quarter of the pool free,
 * in-order data a sixteenth, sending none. What is unread goes only by being sent on, so were it
 * allowed to fill the pool, every relayed message would wait for every other. Chains of received buffers were rejected: a peer that
 * does not read could drain the port's pool.
 */
#ifndef POSTERN_TCPSTACK_CHUNK_H
#define POSTERN_TCPSTACK_CHUNK_H

#include "tcpstack.h"

enum { CHUNK_HEADER = 24, CHUNK_DATA = STACK_CHUNK_SIZE - CHUNK_HEADER };

struct chunk {
	uint32_t next;       /* index in the pool, 0: none */
	uint16_t start, end; /* bytes of data[] in use */
	/* of the first chunk of an out-of-order run (reasm.c) */
	uint32_t run_seq, run_end; /* sequence numbers, end exclusive */
	uint32_t run_tail;         /* last chunk of the run */
	uint32_t run_next;         /* first chunk of the next run */
	uint8_t data[CHUNK_DATA];
};

_Static_assert(sizeof(struct chunk) == STACK_CHUNK_SIZE, "a chunk is 2 KiB with its header");

struct chunk_pool {
	struct chunk *base; /* base[0] is never handed out */
	uint32_t free_head, fresh, max, used;
};

enum chunk_use { CHUNK_IN_ORDER, CHUNK_SEND, CHUNK_OUT_OF_ORDER };

int chunk_pool_init(struct chunk_pool *pool, uint32_t max);
void chunk_pool_fini(struct chunk_pool *pool);

static inline struct chunk *chunk_at(const struct chunk_pool *pool, uint32_t i)
{
	return &pool->base[i];
}

static inline uint32_t chunk_free_count(const struct chunk_pool *pool)
{
	return pool->max - pool->used;
}

/* Chunks that this use may still take. */
static inline uint32_t chunk_left(const struct chunk_pool *pool, enum chunk_use use)
{
	static const uint8_t reserve_shift[] = { 4, 31, 2 };
	uint32_t reserve = pool->max >> reserve_shift[use], left = chunk_free_count(pool);

	return left > reserve ? left - reserve : 0;
}

static inline bool chunk_allowed(const struct chunk_pool *pool, enum chunk_use use)
{
	return chunk_left(pool, use) > 0;
}

/* 0 when the pool, or this use's share of it, is exhausted. */
static inline uint32_t chunk_get(struct chunk_pool *pool, enum chunk_use use)
{
	uint32_t i = pool->free_head;

	if (!chunk_allowed(pool, use))
		return 0;
	if (i != 0)
		pool->free_head = pool->base[i].next;
	else
		i = ++pool->fresh;
	pool->used++;
	pool->base[i].next = 0;
	pool->base[i].start = pool->base[i].end = 0;
	return i;
}

static inline void chunk_put(struct chunk_pool *pool, uint32_t i)
{
	pool->base[i].next = pool->free_head;
	pool->free_head = i;
	pool->used--;
}

void chunk_put_list(struct chunk_pool *pool, uint32_t first);

#endif
