/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The policy of a run: the shipped preset under a small configuration, read and compiled as the manager
 * does, whole or without one of its parts. And runs of many, side by side.
 */
#ifndef POSTERN_TESTS_SETUP_H
#define POSTERN_TESTS_SETUP_H

#include "proof.h"

/* What can be switched off. */
enum part {
	PART_NONE,
	PART_CHECK,
	PART_DNS,
	PART_RATE,
	PART_GREYLIST,
	PART_DELAY,
	PART_TEASER,
	PART_CLASS,
	PART_LIMIT, /* index: setup_limits[] */
	PART_BANS,
	PART_PREFIX, /* bans of whole prefixes */
	PART_MARK,
};

enum { PARTS_MAX = 96, PART_NAME = 64 };
struct without {
	enum part part;
	unsigned index;
	char name[PART_NAME];
};

/* All that the preset switches on; returns how many. 0: there is no such preset. */
unsigned setup_parts(const char *preset, struct without parts[PARTS_MAX]);

struct job {
	const char *preset;
	const struct without *without; /* NULL: all of it on */
	const struct corpus_options *options;
	unsigned first, last; /* seeds */
	bool tell;
};

/* Plays each job, `side_by_side` at once in processes of their own; scores[i] is job i's. False:
 * something could not be made or played, and was told. */
bool setup_play(const struct job *jobs, unsigned n, unsigned side_by_side, struct score *scores);

/* The name of a rule of the preset by its row, for score.refusing. */
void setup_rule_name(const char *preset, unsigned row, char ret_name[PART_NAME]);

#endif
