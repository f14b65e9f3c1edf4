/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access rules: by host, sender, recipient, and pair of both. Judged at RCPT, where all of them are
 * known, so that an exception by recipient can save a blocked sender. Published precedence:
 *
 *   1. a rule with action pass that fits, of whatever kind: exceptions win
 *   2. host, then sender, then recipient, then pair
 *   3. within a kind the rule named first
 *
 * Rules that only score or mark all count. Addresses are asked about in each canonical form
 * (canonical.h); for a pass only as written, without route and quotes, since what is hidden in a
 * local part must not open a door.
 */
#ifndef POSTERN_FILTERS_ACCESS_H
#define POSTERN_FILTERS_ACCESS_H

#include "chain.h"

filter_fn access_exceptions; /* RCPT: before the address lists */
filter_fn access_judge;      /* RCPT */

#endif
