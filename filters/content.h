/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a scan of a message means: hits of pattern sets become rules of the policy, and those a verdict.
 * Pure.
 *
 * A message that outgrows the inspection window is judged twice. At the window's end only what can no
 * longer change counts: rules that are hit by expressions, and those of their actions that refuse. Metas
 * (a negation may turn them), the score (a rule of negative weight may still be hit) and what defers
 * (something that refuses may still be hit) wait for the message's end, so that the verdict does not
 * depend on where the window ends; the score may mark there, since a header can only be put on top
 * before the message goes on.
 */
#ifndef POSTERN_FILTERS_CONTENT_H
#define POSTERN_FILTERS_CONTENT_H

#include "policy.h"

struct pattern_hits;
struct pattern_set;

enum { CONTENT_MAX = 128 /* rules of one message: PATTERN_MAX_HITS of each set */ };

struct content {
	bool failed;  /* could not be scanned: nothing else counts */
	bool partial; /* the message goes on */
	uint16_t n;
	uint16_t rules[CONTENT_MAX]; /* rows of the policy's rules */
};

/* Adds what a set has found. `set` may be of an older policy: its rules are then found by name, and
 * what the policy does not know any more is left out. */
void content_add(const struct policy *p, struct content *c, const struct pattern_set *set,
    const struct pattern_hits *hits);

/* PHASE_BODY with content. Every hit adds its weight, those that find no place in the tally too. */
struct verdict policy_judge_content(const struct policy *p, const struct facts *facts,
    const struct content *content, struct tally *tally);

#endif
