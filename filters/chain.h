/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a filter is: a row in the chain's table (chain.c), with the phases it is asked in and a pure
 * function. NONE passes the question on to the next row; any other verdict ends the argument.
 */
#ifndef POSTERN_FILTERS_CHAIN_H
#define POSTERN_FILTERS_CHAIN_H

#include "policy_view.h"

struct opinion {
	enum verdict_kind kind;
	enum reason reason;
};

#define NO_OPINION ((struct opinion){ VERDICT_NONE, REASON_NONE })

/* What hits goes into the tally. */
typedef struct opinion filter_fn(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally);

#endif
