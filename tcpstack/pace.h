/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pace of a connection's new bytes: so many per interval, then held until the interval is over.
 *
 * It lies beside the connections, by the same index, in pages that nobody touches while no
 * connection is paced: two bits in the connection say whether it must be looked at. In the
 * connection itself it would be the seventh cache line for a handful of clients that are stuttered
 * at; a leaky bucket that saves what was not used would let a reply after a pause out at once.
 */
#ifndef POSTERN_TCPSTACK_PACE_H
#define POSTERN_TCPSTACK_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct conn_pace {
	uint32_t at;    /* tick at which the interval is over; 0: none has begun */
	uint16_t bytes; /* per interval */
	uint16_t left;  /* of them, in the interval under way */
	uint16_t ticks; /* of an interval */
};

enum { PACE_TICKS_MAX = 57220 /* 30 s; a pace is a delay, not a parking place */ };

/* Bytes that may go now. */
static inline uint32_t pace_room(const struct conn_pace *p)
{
	return p->at ? p->left : p->bytes;
}

/* So many went, at most pace_room(); an interval begins with its first byte. True: no more may. */
static inline bool pace_took(struct conn_pace *p, uint32_t len, uint32_t tick)
{
	if (len == 0)
		return p->at && p->left == 0;
	if (!p->at) {
		p->left = p->bytes;
		p->at = tick + p->ticks ? tick + p->ticks : 1;
	}
	p->left = (uint16_t)(p->left - len);
	return p->left == 0;
}

static inline void pace_over(struct conn_pace *p)
{
	p->at = 0;
}

/* An interval under way goes on; what more of it may be used counts at once. True: no more may. */
static inline bool pace_set(struct conn_pace *p, uint32_t bytes, uint32_t ticks)
{
	uint16_t now = (uint16_t)(bytes < 65535 ? bytes : 65535);

	if (p->at) {
		uint32_t used = (uint32_t)p->bytes - p->left;

		p->left = (uint16_t)(now > used ? now - used : 0);
	}
	p->bytes = now;
	p->ticks = (uint16_t)(ticks < PACE_TICKS_MAX ? ticks : PACE_TICKS_MAX);
	return p->at && p->left == 0;
}

#endif
