/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the statistics file (dataplane/stats.h) into a copy, and shows it as JSON. A copy, not a
 * mapping: a file cut short under a mapping would be SIGBUS to the manager. Counters are aligned
 * words, which the copy takes whole; words may be of slightly different moments.
 */
#ifndef POSTERN_CONTROL_STATS_VIEW_H
#define POSTERN_CONTROL_STATS_VIEW_H

#include "dataplane/stats.h"

#include <jansson.h>

/* To be freed. -errno; -EBADMSG: not a statistics file of this layout. */
int stats_view_read(const char *path, struct stats_file **ret_file);
/* All workers together. */
uint64_t stats_view_counter(const struct stats_file *file, unsigned index);
struct stats_rule stats_view_rule(const struct stats_file *file, unsigned number);
const char *stats_view_state(const struct stats_file *file, unsigned server); /* "up" ... */

/* {"build","pid","epoch","started_ns","memory_bytes","workers":[{"turns","busy","last_turn_ns",
 * "max_turn_ns"}],"counters":[{"name","kind","text","total","workers":[N...]}],"servers":[{"name",
 * "state","active","idle","waiting","connects","failures","messages"}],"gave_up":[{"class","name",
 * "pace_below_ms","total","within":[N...]}]} (stats.h; pace 0: longer than all; within 1 s, 2 s, 4 s ...);
 * and "rules":[{"rule","name","hits","shadow"}], those that have a name */
json_t *stats_view_json(const struct stats_file *file);

#endif
