/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One world of the property: clients that send messages in pieces and at a pace of chance, the
 * worker with patterns, a mail server that reads when it likes, on the rig of the simulation.
 */
#ifndef POSTERN_TESTS_PROPERTY_WORLD_H
#define POSTERN_TESTS_PROPERTY_WORLD_H

#include "oracle.h"

/* What a world is made of; drawn from its seed, and made plainer one by one when it fails. */
struct knobs {
	uint64_t seed;
	unsigned clients, messages;     /* at once; of each */
	bool chunks, data, bare, salad; /* what may occur */
	bool received;                  /* our own header on top */
	uint32_t window, window_bytes;
	uint32_t depth, decoded_depth;
	uint32_t longest;
	uint32_t piece; /* bytes the client sends at once at most; 0: all */
	uint32_t pause_us, backend_pause_us;
	uint32_t backend_piece; /* bytes it reads at once at most; 0: all */
	int32_t mark, refuse;   /* hundredths */
	unsigned only;          /* 1 and up: this message of the first client alone */
};

struct tried {
	unsigned long messages, accepted, refused, deferred;
	bool seen[16]; /* rules that were hit */
	char why[512]; /* "": the property held */
};

/* `part`: the rules of rules.h, compiled. Adds to ret. */
void world_try(
    const struct knobs *k, struct oracle *o, const void *part, size_t part_len, struct tried *ret);

#endif
