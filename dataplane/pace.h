/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much work a turn may do, so that it stays short whatever patterns the policy holds: a kilobyte
 * of mail costs 1 us with a list of words and 15 with all that a mail filter ships. The shell measures
 * its turns and the next ones may do what takes PACE_TURN_NS at the cost seen of late. The alternative,
 * a worker that looks at the clock, could no longer be replayed.
 */
#ifndef POSTERN_DATAPLANE_PACE_H
#define POSTERN_DATAPLANE_PACE_H

#include <stdint.h>

enum {
	PACE_TURN_NS = 50000,
	PACE_LEAST = 4096, /* of work (worker.h) */
	PACE_MOST = 65536,
};

struct pace {
	double ns;     /* a byte of work, of late */
	uint32_t work; /* for the next turn */
};

void pace_init(struct pace *p);
/* A turn took so long for so much. What did little tells little, and is not looked at; a turn that the
 * host interrupted counts as twice as slow, at most. */
void pace_note(struct pace *p, uint64_t turn_ns, uint32_t worked);

#endif
