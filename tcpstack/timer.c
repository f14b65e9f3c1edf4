/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timing wheel. A timer lies at the level of the highest byte in which its tick differs from
 * the wheel's, so a slot of level n is dealt out again exactly when the wheel enters its range,
 * and within a level only slots ahead of the current index are ever occupied.
 */
#include "timer.h"

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	memset(w, 0, sizeof(*w));
	w->tick = now_ns >> WHEEL_SHIFT;
}

static void place(struct wheel *w, struct stack_timer *t)
{
	const uint64_t range = (uint64_t)1 << (8 * WHEEL_LEVELS);
	uint64_t tick = (t->deadline_ns >> WHEEL_SHIFT) +
	    ((t->deadline_ns & (((uint64_t)1 << WHEEL_SHIFT) - 1)) != 0);
	unsigned level = 0, index;

	if (tick < w->tick)
		tick = w->tick;
	if (tick - w->tick >= range / 2) /* beyond any use; comes round and is placed again */
		tick = w->tick + range / 2;
	while (level < WHEEL_LEVELS - 1 && (tick ^ w->tick) >> (8 * (level + 1)))
		level++;
	index = tick >> (8 * level) & (WHEEL_SLOTS - 1);
	t->link = &w->slot[level][index];
	t->next = *t->link;
	if (t->next)
		t->next->link = &t->next;
	*t->link = t;
	w->map[level][index / 64] |= (uint64_t)1 << (index % 64);
	w->armed++;
}

void wheel_set(struct wheel *w, struct stack_timer *t, uint64_t deadline_ns)
{
	wheel_cancel(w, t);
	t->deadline_ns = deadline_ns;
	place(w, t);
}

void wheel_cancel(struct wheel *w, struct stack_timer *t)
{
	struct stack_timer **first = &w->slot[0][0];

	if (!t->link)
		return;
	*t->link = t->next;
	if (t->next) {
		t->next->link = t->link;
	} else if (t->link >= first && t->link < first + WHEEL_LEVELS * WHEEL_SLOTS) {
		size_t at = (size_t)(t->link - first);

		w->map[at / WHEEL_SLOTS][at % WHEEL_SLOTS / 64] &= ~((uint64_t)1 << (at % 64));
	}
	t->link = NULL;
	t->next = NULL;
	w->armed--;
}

/* The first occupied slot of a level at or after `from`; WHEEL_SLOTS when there is none. */
static unsigned first_slot(const struct wheel *w, unsigned level, unsigned from)
{
	for (unsigned word = from / 64; word < WHEEL_SLOTS / 64; word++) {
		uint64_t bits = w->map[level][word];

		if (word == from / 64)
			bits &= ~(uint64_t)0 << (from % 64);
		if (bits)
			return word * 64 + (unsigned)__builtin_ctzll(bits);
	}
	return WHEEL_SLOTS;
}

/* Deals out the slots of the upper levels that begin at w->tick. */
static void cascade(struct wheel *w)
{
	for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
		unsigned index = w->tick >> (8 * level) & (WHEEL_SLOTS - 1);
		struct stack_timer *t = w->slot[level][index], *next;

		w->slot[level][index] = NULL;
		w->map[level][index / 64] &= ~((uint64_t)1 << (index % 64));
		for (; t; t = next) {
			next = t->next;
			w->armed--;
			place(w, t);
		}
		if (index != 0)
			break;
	}
}

struct stack_timer *wheel_pop(struct wheel *w, uint64_t now_ns)
{
	uint64_t now = now_ns >> WHEEL_SHIFT;

	while (w->armed > 0) {
		unsigned index = w->tick & (WHEEL_SLOTS - 1);
		struct stack_timer *t = w->slot[0][index];
		unsigned level = 0;
		uint64_t to;

		if (t) {
			if (w->tick > now)
				return NULL;
			wheel_cancel(w, t);
			return t;
		}
		index = first_slot(w, 0, index);
		if (index < WHEEL_SLOTS) {
			to = (w->tick & ~(uint64_t)(WHEEL_SLOTS - 1)) + index;
			if (to > now)
				break;
			w->tick = to;
			continue;
		}
		/* Nothing left at this level: skip to the end of the widest empty range. */
		while (level + 2 < WHEEL_LEVELS &&
		    first_slot(w, level + 1, w->tick >> (8 * (level + 1)) & (WHEEL_SLOTS - 1)) ==
		    WHEEL_SLOTS)
			level++;
		to = (w->tick >> (8 * (level + 1)) << (8 * (level + 1))) +
		    ((uint64_t)1 << (8 * (level + 1)));
		if (to > now)
			break;
		w->tick = to;
		cascade(w);
	}
	if (w->tick < now)
		w->tick = now;
	return NULL;
}

uint64_t wheel_next(const struct wheel *w)
{
	if (w->armed == 0)
		return UINT64_MAX;
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		unsigned from = w->tick >> (8 * level) & (WHEEL_SLOTS - 1);
		unsigned index = first_slot(w, level, from + (level > 0));
		uint64_t base = w->tick >> (8 * level) & ~(uint64_t)(WHEEL_SLOTS - 1);

		if (index < WHEEL_SLOTS)
			return (base + index) << (8 * level) << WHEEL_SHIFT;
	}
	/* Only in the top level, past its wrap. */
	return ((w->tick >> (8 * WHEEL_LEVELS)) + 1) << (8 * WHEEL_LEVELS) << WHEEL_SHIFT;
}
