/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where each counter stands in a worker's block: the stack's, reasons, verdicts by phase, the
 * brain's own. Readers do not include this: names travel in the file (stats.h).
 */
#ifndef POSTERN_DATAPLANE_STATS_INDEX_H
#define POSTERN_DATAPLANE_STATS_INDEX_H

#include "filters/verdict.h"
#include "tcpstack/tcpstack.h"
#include "worker.h"

enum brain_counter {
#define BRAIN(name, kind, text) BRAIN_##name,
#include "counters.def"
#undef BRAIN
	BRAIN_N_COUNTERS
};

enum {
	STATS_AT_STACK = 0,
	STATS_AT_REASON = STATS_AT_STACK + STACK_N_COUNTERS,
	STATS_AT_VERDICT = STATS_AT_REASON + REASON_N,
	STATS_AT_BRAIN = STATS_AT_VERDICT + VERDICT_N_KINDS * PHASE_N,
	STATS_N_COUNTERS = STATS_AT_BRAIN + BRAIN_N_COUNTERS,
};
_Static_assert((int)STATS_N_COUNTERS <= (int)STATS_MAX_COUNTERS, "raise STATS_MAX_COUNTERS");

#endif
