/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The statistics file in Prometheus' text format (version 0.0.4): every counter and gauge by the name
 * and text it has there, reasons, verdicts by phase, rules and mail servers as labels of one metric
 * each. Cardinality is bounded: METRICS_MAX_RULES rules that have hit, the others as rule="other";
 * servers by the policy's own bound; nothing is labelled by what a client says.
 */
#ifndef POSTERN_CONTROL_METRICS_H
#define POSTERN_CONTROL_METRICS_H

#include "dataplane/stats.h"

enum { METRICS_MAX_RULES = 1000 };

/* To be freed. file NULL: there is none (postern_up 0). NULL: no memory. */
char *metrics_text(const struct stats_file *file);

#endif
