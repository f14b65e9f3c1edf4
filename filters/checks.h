/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judges of checks.def: each says whether its check hits, from facts alone. Pure. What a hit
 * means (weight, action, state) is the rule's to say. To add one: a row in checks.def, a judge here
 * or in a file of its own, a test; configuration, help, counters and logs follow from the row.
 */
#ifndef POSTERN_FILTERS_CHECKS_H
#define POSTERN_FILTERS_CHECKS_H

#include "chain.h"

typedef bool check_fn(const struct policy *p, const struct facts *facts);

check_fn check_talked_early, check_pipelined_early, check_banned, check_non_smtp, check_bare_command;

/* Which checks each phase asks, into a policy whose rules are there. */
void checks_open(struct policy *p);

/* All checks of the phase into the tally; the gravest action that is enforced, NONE where no hit
 * has one. */
struct opinion checks_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally);

#endif
