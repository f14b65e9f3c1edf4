/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounds of struct policy_grey, for policy_open(). */
#ifndef POSTERN_FILTERS_POLICY_CHECK_GREY_H
#define POSTERN_FILTERS_POLICY_CHECK_GREY_H

#include "policy_grey.h"

#include <stddef.h>

/* NULL: in bounds; else a sentence (static storage). */
const char *policy_check_grey(const struct policy_grey *grey, uint32_t n_rules);

#endif
