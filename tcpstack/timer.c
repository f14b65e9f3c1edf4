/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timing wheel. A timer lies at the level of the highest byte in which its tick differs from
 * the clock's, so a slot of level n is dealt out again exactly when the clock enters its range,
 * and within a level only slots ahead of the current index are ever occupied.
 */
#include "timer.h"

/* ---- the clock ---- */

uint64_t wheel_tick(uint64_t deadline_ns)
{
	return (deadline_ns >> WHEEL_SHIFT) +
	       ((deadline_ns & (((uint64_t)1 << WHEEL_SHIFT) - 1)) != 0);
}

unsigned wheel_occupy(struct wheel_clock *w, uint64_t tick)
{
	const uint64_t range = (uint64_t)1 << (8 * WHEEL_LEVELS);
	unsigned level = 0, index;

	if (tick < w->tick)
		tick = w->tick;
	if (tick - w->tick >= range / 2) /* beyond any use; comes round and is placed again */
		tick = w->tick + range / 2;
	while (level < WHEEL_LEVELS - 1 && (tick ^ w->tick) >> (8 * (level + 1)))
		level++;
	index = tick >> (8 * level) & (WHEEL_SLOTS - 1);
	w->map[level][index / 64] |= (uint64_t)1 << (index % 64);
	w->armed++;
	return level * WHEEL_SLOTS + index;
}

void wheel_vacate(struct wheel_clock *w, unsigned slot)
{
	w->map[slot / WHEEL_SLOTS][slot % WHEEL_SLOTS / 64] &= ~((uint64_t)1 << (slot % 64));
}

/* The first occupied slot of a level at or after `from`; WHEEL_SLOTS when there is none. */
static unsigned first_slot(const struct wheel_clock *w, unsigned level, unsigned from)
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

static unsigned index_at(const struct wheel_clock *w, unsigned level)
{
	return w->tick >> (8 * level) & (WHEEL_SLOTS - 1);
}

/* A slot of an upper level whose range begins at the clock's tick, if one is occupied. */
static bool to_be_dealt(const struct wheel_clock *w, unsigned *ret_slot)
{
	for (unsigned level = 1; level < WHEEL_LEVELS && index_at(w, level - 1) == 0; level++) {
		unsigned index = index_at(w, level);

		if (w->map[level][index / 64] >> (index % 64) & 1) {
			*ret_slot = level * WHEEL_SLOTS + index;
			return true;
		}
	}
	return false;
}

bool wheel_step(struct wheel_clock *w, uint64_t now_ns, unsigned *ret_slot)
{
	uint64_t now = now_ns >> WHEEL_SHIFT;

	while (w->armed > 0) {
		unsigned index = first_slot(w, 0, index_at(w, 0)), level = 0;
		uint64_t to;

		if (to_be_dealt(w, ret_slot))
			return true;
		if (index < WHEEL_SLOTS) {
			to = (w->tick & ~(uint64_t)(WHEEL_SLOTS - 1)) + index;
			if (to > now)
				break;
			w->tick = to;
			*ret_slot = index;
			return true;
		}
		/* Nothing left at this level: skip to the end of the widest empty range. */
		while (level + 2 < WHEEL_LEVELS &&
		       first_slot(w, level + 1, index_at(w, level + 1)) == WHEEL_SLOTS)
			level++;
		to = ((w->tick >> (8 * (level + 1))) + 1) << (8 * (level + 1));
		if (to > now)
			break;
		w->tick = to;
	}
	if (w->tick < now)
		w->tick = now;
	return false;
}

uint64_t wheel_clock_next(const struct wheel_clock *w)
{
	if (w->armed == 0)
		return UINT64_MAX;
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		unsigned index = first_slot(w, level, index_at(w, level) + (level > 0));
		uint64_t base = w->tick >> (8 * level) & ~(uint64_t)(WHEEL_SLOTS - 1);

		if (index < WHEEL_SLOTS)
			return (base + index) << (8 * level) << WHEEL_SHIFT;
	}
	/* Only in the top level, past its wrap. */
	return ((w->tick >> (8 * WHEEL_LEVELS)) + 1) << (8 * WHEEL_LEVELS) << WHEEL_SHIFT;
}

static void clock_init(struct wheel_clock *w, uint64_t now_ns)
{
	memset(w, 0, sizeof(*w));
	w->tick = now_ns >> WHEEL_SHIFT;
}

/* ---- linked by pointers ---- */

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	clock_init(&w->clock, now_ns);
	memset(w->slot, 0, sizeof(w->slot));
}

static void link_in(struct wheel *w, struct stack_timer *t)
{
	t->link = &w->slot[wheel_occupy(&w->clock, wheel_tick(t->deadline_ns))];
	t->next = *t->link;
	if (t->next)
		t->next->link = &t->next;
	*t->link = t;
}

void wheel_set(struct wheel *w, struct stack_timer *t, uint64_t deadline_ns)
{
	wheel_cancel(w, t);
	t->deadline_ns = deadline_ns;
	link_in(w, t);
}

void wheel_cancel(struct wheel *w, struct stack_timer *t)
{
	if (!t->link)
		return;
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	else if (t->link >= w->slot && t->link < w->slot + WHEEL_ALL)
		wheel_vacate(&w->clock, (unsigned)(t->link - w->slot));
	t->link = NULL;
	t->next = NULL;
	w->clock.armed--;
}

struct stack_timer *wheel_pop(struct wheel *w, uint64_t now_ns)
{
	unsigned slot;

	while (wheel_step(&w->clock, now_ns, &slot)) {
		struct stack_timer *t = w->slot[slot], *next;

		if (slot < WHEEL_SLOTS) {
			wheel_cancel(w, t);
			return t;
		}
		w->slot[slot] = NULL;
		wheel_vacate(&w->clock, slot);
		for (; t; t = next) {
			next = t->next;
			w->clock.armed--;
			link_in(w, t);
		}
	}
	return NULL;
}

/* ---- linked by index ---- */

static struct index_timer *timer_at(const struct index_wheel *w, uint32_t i)
{
	return (struct index_timer *)(void *)(w->first + (size_t)i * w->stride);
}

void index_wheel_init(struct index_wheel *w, void *first, size_t stride, uint64_t now_ns)
{
	clock_init(&w->clock, now_ns);
	memset(w->slot, 0, sizeof(w->slot));
	w->first = first;
	w->stride = stride;
}

static void index_link_in(struct index_wheel *w, uint32_t i)
{
	struct index_timer *t = timer_at(w, i);
	/* 32 bits of it are kept; the rest follows from the clock's */
	uint64_t tick =
	    w->clock.tick + (uint64_t)(int64_t)(int32_t)(t->tick - (uint32_t)w->clock.tick);
	unsigned slot = wheel_occupy(&w->clock, tick);

	t->prev = slot | TIMER_SLOT;
	t->next = w->slot[slot];
	if (t->next)
		timer_at(w, t->next)->prev = i;
	w->slot[slot] = i;
}

void index_wheel_set(struct index_wheel *w, uint32_t i, uint32_t tick)
{
	index_wheel_cancel(w, i);
	timer_at(w, i)->tick = tick ? tick : 1;
	index_link_in(w, i);
}

void index_wheel_cancel(struct index_wheel *w, uint32_t i)
{
	struct index_timer *t = timer_at(w, i);

	if (t->tick == 0)
		return;
	if (t->next)
		timer_at(w, t->next)->prev = t->prev;
	if (t->prev & TIMER_SLOT) {
		w->slot[t->prev & ~TIMER_SLOT] = t->next;
		if (t->next == 0)
			wheel_vacate(&w->clock, t->prev & ~TIMER_SLOT);
	} else {
		timer_at(w, t->prev)->next = t->next;
	}
	t->tick = 0;
	w->clock.armed--;
}

uint32_t index_wheel_pop(struct index_wheel *w, uint64_t now_ns)
{
	unsigned slot;

	while (wheel_step(&w->clock, now_ns, &slot)) {
		uint32_t i = w->slot[slot], next;

		if (slot < WHEEL_SLOTS) {
			index_wheel_cancel(w, i);
			return i;
		}
		w->slot[slot] = 0;
		wheel_vacate(&w->clock, slot);
		for (; i; i = next) {
			next = timer_at(w, i)->next;
			w->clock.armed--;
			index_link_in(w, i);
		}
	}
	return 0;
}
