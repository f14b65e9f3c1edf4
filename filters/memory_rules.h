/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where what is remembered (memory.h, as facts) meets the policy: rates, recipients by file, and the
 * checks of checks.def about harvests, baselines and bounces.
 */
#ifndef POSTERN_FILTERS_MEMORY_RULES_H
#define POSTERN_FILTERS_MEMORY_RULES_H

#include "checks.h"

check_fn check_harvest, check_harvest_spread, check_unknown_recipient, check_unusual_sender,
    check_unusual_internal, check_bounce_recipients, check_bounce_unsigned;

filter_fn rates_judge, recipients_judge;

#endif
