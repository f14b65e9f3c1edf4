/* SPDX-License-Identifier: BSD-3-Clause */
/* See asked.h. */
#include "asked.h"

#include <string.h>

static struct asked *at(const struct pool *pool, uint32_t place)
{
	return (struct asked *)(void *)(pool->memory + (size_t)place * pool->object_size);
}

static uint32_t place_of(const struct pool *pool, const struct asked *a)
{
	return (uint32_t)((size_t)((const uint8_t *)a - pool->memory) / pool->object_size);
}

bool asked_push(struct asked_queue *q, struct pool *pool, struct text rcpt)
{
	struct asked *a = q->untold ? NULL : pool_get(pool);
	uint32_t place;

	if (!a) {
		q->untold++;
		return false;
	}
	place = place_of(pool, a);
	a->len = rcpt.len < ASKED_TEXT ? rcpt.len : ASKED_TEXT;
	if (a->len)
		memcpy(a->text, rcpt.p, a->len);
	a->next = place;
	if (q->last) {
		a->next = at(pool, q->last - 1)->next;
		at(pool, q->last - 1)->next = place;
	}
	q->last = place + 1;
	return true;
}

bool asked_first(const struct asked_queue *q, const struct pool *pool, struct text *ret_rcpt)
{
	const struct asked *a;

	if (!q->last)
		return false;
	a = at(pool, at(pool, q->last - 1)->next);
	*ret_rcpt = (struct text){ a->text, a->len };
	return true;
}

void asked_drop(struct asked_queue *q, struct pool *pool)
{
	struct asked *last, *first;

	if (!q->last) {
		q->untold -= q->untold > 0;
		return;
	}
	last = at(pool, q->last - 1);
	first = at(pool, last->next);
	last->next = first->next;
	if (first == last)
		q->last = 0;
	pool_put(pool, first);
}

void asked_clear(struct asked_queue *q, struct pool *pool)
{
	while (q->last)
		asked_drop(q, pool);
	q->untold = 0;
}
