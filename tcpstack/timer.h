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

enum { WHEEL_SHIFT = 19, WHEEL_LEVELS = 4, WHEEL_SLOTS = 256 };

struct wheel {
	uint64_t tick; /* slots before it are empty */
	uint32_t armed;
	uint64_t map[WHEEL_LEVELS][WHEEL_SLOTS / 64]; /* bit: the slot holds something */
	struct stack_timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ns);
/* Arms or re-arms; a deadline that has passed is due at once. */
void wheel_set(struct wheel *w, struct stack_timer *t, uint64_t deadline_ns);
void wheel_cancel(struct wheel *w, struct stack_timer *t); /* not armed: allowed */
/* The next timer that is due, unlinked; NULL when there is none. */
struct stack_timer *wheel_pop(struct wheel *w, uint64_t now_ns);
/* No timer is due before this; UINT64_MAX: none is armed. May be early, never late. */
uint64_t wheel_next(const struct wheel *w);

#endif
