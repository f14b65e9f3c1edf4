/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hierarchical timing wheel: 4 levels of 256 slots, ticks of 2^19 ns (0.52 ms, so that a tick is
 * a shift), 26 days of range. Setting and cancelling are constant-time; a bitmap per level skips
 * empty slots, so a replay that jumps an hour does not walk it. One wheel serves connections,
 * another the owner's timers.
 *
 * A heap was rejected (every re-armed time-out costs log n misses), FIFO queues per constant
 * time-out too: connections keep their deadlines themselves and re-arm lazily, so one wheel entry
 * a connection is enough.
 */
#ifndef POSTERN_TCPSTACK_TIMER_H
#define POSTERN_TCPSTACK_TIMER_H

#include "tcpstack.h"

enum {
	WHEEL_SHIFT = 19,
	WHEEL_LEVELS = 4,
	WHEEL_SLOTS = 256,
	WHEEL_ALL = WHEEL_LEVELS * WHEEL_SLOTS
};

/* Which slots hold something, and how far time has come: what every kind of wheel shares. A slot
 * is numbered level * WHEEL_SLOTS + index. */
struct wheel_clock {
	uint64_t tick; /* slots before it are empty */
	uint32_t armed;
	uint64_t map[WHEEL_LEVELS][WHEEL_SLOTS / 64];
};

uint64_t wheel_tick(uint64_t deadline_ns); /* rounded up */
/* The slot for a deadline's tick; marked occupied. */
unsigned wheel_occupy(struct wheel_clock *w, uint64_t tick);
void wheel_vacate(struct wheel_clock *w, unsigned slot);
/* The next slot to look at: below WHEEL_SLOTS its timers are due; others are to be emptied and
 * placed again. False: nothing is due, and the clock stands at now. */
bool wheel_step(struct wheel_clock *w, uint64_t now_ns, unsigned *ret_slot);
/* No timer is due before this; UINT64_MAX: none is armed. May be early, never late. */
uint64_t wheel_clock_next(const struct wheel_clock *w);

/* ---- timers that their owner embeds, linked by pointers ---- */

struct wheel {
	struct wheel_clock clock;
	struct stack_timer *slot[WHEEL_ALL];
};

void wheel_init(struct wheel *w, uint64_t now_ns);
/* Arms or re-arms; a deadline that has passed is due at once. */
void wheel_set(struct wheel *w, struct stack_timer *t, uint64_t deadline_ns);
void wheel_cancel(struct wheel *w, struct stack_timer *t); /* not armed: allowed */
/* The next timer that is due, unlinked; NULL when there is none. */
struct stack_timer *wheel_pop(struct wheel *w, uint64_t now_ns);
static inline uint64_t wheel_next(const struct wheel *w)
{
	return wheel_clock_next(&w->clock);
}

/* ---- timers of an array's elements, linked by 32-bit index: 12 bytes instead of 32 ---- */

struct index_timer {
	uint32_t prev; /* index; or with TIMER_SLOT the slot it is first of */
	uint32_t next; /* index; 0: none */
	uint32_t tick; /* low 32 bits; 0: not armed */
};

#define TIMER_SLOT 0x80000000u

struct index_wheel {
	struct wheel_clock clock;
	uint8_t *first; /* the timer of element 0, which is never armed */
	size_t stride;  /* bytes from one to the next */
	uint32_t slot[WHEEL_ALL];
};

void index_wheel_init(struct index_wheel *w, void *first, size_t stride, uint64_t now_ns);
/* tick: low 32 bits, within 13 days of now; arms or re-arms. */
void index_wheel_set(struct index_wheel *w, uint32_t i, uint32_t tick);
void index_wheel_cancel(struct index_wheel *w, uint32_t i);
/* The next that is due, not armed any more; 0 when there is none. */
uint32_t index_wheel_pop(struct index_wheel *w, uint64_t now_ns);

#endif
