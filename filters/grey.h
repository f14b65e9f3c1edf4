/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The greylist in the chain, at RCPT, behind the score: who may be refused need not come back. What
 * the index says of the recipient is a fact (facts.grey); here it meets the policy: from which
 * score on clients are asked to come back, which recipients cannot wait, which are traps.
 */
#ifndef POSTERN_FILTERS_GREY_H
#define POSTERN_FILTERS_GREY_H

#include "chain.h"

filter_fn grey_judge;

#endif
