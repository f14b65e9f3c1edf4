/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The greylist's settings: a section of the SETTINGS part (policy.h), fixed width. The range an
 * operator may choose is the compiler's business; greylist.c stands any value.
 */
#ifndef POSTERN_FILTERS_POLICY_GREY_H
#define POSTERN_FILTERS_POLICY_GREY_H

#include <stdint.h>

struct policy_grey {
	uint32_t delay_s;        /* a retry before is too early */
	uint32_t retry_window_s; /* a retry after it is a first try again (RFC 6647 5) */
	uint32_t life_s;         /* of what was accepted, since the last time */
	uint32_t white_life_s;   /* of what was accepted white_after times, since the last time */
	uint32_t trap_s;         /* how long a pool stays trapped after it wrote to a greytrap */
	uint32_t white_after; /* accepted messages that make a triplet or a pool white; 0: never */
	int32_t from_score;   /* hundredths; clients below it are not asked to come back */
	uint32_t capacity;    /* entries; taken at start */
	/* rows among the rules, and numbers of sets of names; by the writer. Rule 0: no greylist */
	uint32_t rule, rule_trapped, rule_spamtrap;
	uint32_t exempt, greytraps, spamtraps;
};

#endif
