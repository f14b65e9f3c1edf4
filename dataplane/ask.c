/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions under way; see ask.h. Open ones stand in a list sorted by deadline. Deadlines are
 * `now` plus one of few constants, so insertion from the tail passes over few; a heap would cost
 * more for the usual case.
 */
#include "ask.h"

#include <errno.h>
#include <stdlib.h>

enum { ASK_MAX = 65536, NONE = UINT32_MAX };

struct ask_slot {
	void *asker; /* NULL: closed */
	uint64_t deadline_ns;
	uint32_t generation; /* of the question in the slot; starts at 1 */
	uint32_t prev, next; /* by deadline while open; `next` threads the free ones */
};

struct ask {
	uint32_t capacity, open, free, head, tail;
	struct ask_slot slots[];
};

int ask_new(uint32_t capacity, struct ask **ret_ask)
{
	struct ask *a;

	if (capacity == 0 || capacity > ASK_MAX)
		return -EINVAL;
	a = calloc(1, sizeof(*a) + capacity * sizeof(a->slots[0]));
	if (!a)
		return -ENOMEM;
	a->capacity = capacity;
	a->head = a->tail = NONE;
	for (uint32_t i = 0; i < capacity; i++)
		a->slots[i].next = i + 1 < capacity ? i + 1 : NONE;
	*ret_ask = a;
	return 0;
}

struct ask *ask_free(struct ask *a)
{
	free(a);
	return NULL;
}

int ask_open(struct ask *a, void *asker, uint64_t deadline_ns, uint64_t *ret_id)
{
	uint32_t i = a->free, before;
	struct ask_slot *s;

	if (i == NONE)
		return -ENOBUFS;
	s = &a->slots[i];
	a->free = s->next;
	s->generation++;
	if (s->generation == 0)
		s->generation = 1;
	s->asker = asker;
	s->deadline_ns = deadline_ns;
	before = a->tail;
	while (before != NONE && a->slots[before].deadline_ns > deadline_ns)
		before = a->slots[before].prev;
	s->prev = before;
	s->next = before == NONE ? a->head : a->slots[before].next;
	if (s->next == NONE)
		a->tail = i;
	else
		a->slots[s->next].prev = i;
	if (before == NONE)
		a->head = i;
	else
		a->slots[before].next = i;
	a->open++;
	*ret_id = (uint64_t)s->generation << 32 | i;
	return 0;
}

static void *close_slot(struct ask *a, uint32_t i)
{
	struct ask_slot *s = &a->slots[i];
	void *asker = s->asker;

	if (s->prev == NONE)
		a->head = s->next;
	else
		a->slots[s->prev].next = s->next;
	if (s->next == NONE)
		a->tail = s->prev;
	else
		a->slots[s->next].prev = s->prev;
	s->asker = NULL;
	s->next = a->free;
	a->free = i;
	a->open--;
	return asker;
}

void *ask_asker(struct ask *a, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	if (i >= a->capacity || a->slots[i].generation != (uint32_t)(id >> 32))
		return NULL;
	return a->slots[i].asker;
}

void *ask_answer(struct ask *a, uint64_t id)
{
	return ask_asker(a, id) ? close_slot(a, (uint32_t)id) : NULL;
}

void ask_cancel(struct ask *a, uint64_t id)
{
	ask_answer(a, id);
}

void *ask_due(struct ask *a, uint64_t now_ns)
{
	if (a->head == NONE || a->slots[a->head].deadline_ns > now_ns)
		return NULL;
	return close_slot(a, a->head);
}

uint64_t ask_next_deadline(const struct ask *a)
{
	return a->head == NONE ? UINT64_MAX : a->slots[a->head].deadline_ns;
}

uint32_t ask_open_count(const struct ask *a)
{
	return a->open;
}
