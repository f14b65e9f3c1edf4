/* SPDX-License-Identifier: BSD-3-Clause */
/* The names of the stack's counters, from counters.def. */
#include "tcpstack.h"

const struct stack_counter_info stack_counter_infos[STACK_N_COUNTERS] = {
#define COUNTER(name, level, text) { #name, level, text },
#include "counters.def"
#undef COUNTER
};
