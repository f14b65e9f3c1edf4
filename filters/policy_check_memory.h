/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of the section `memory`, for policy_open(). */
#ifndef POSTERN_FILTERS_POLICY_CHECK_MEMORY_H
#define POSTERN_FILTERS_POLICY_CHECK_MEMORY_H

#include "policy_memory.h"

/* NULL, or what is wrong. */
const char *policy_check_memory(const struct policy_memory *memory, uint32_t n_rules);

#endif
