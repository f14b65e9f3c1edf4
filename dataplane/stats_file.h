/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes and fills the shared-memory statistics file (layout: stats.h). The file is made beside its
 * name and renamed into place, so a reader never maps one that is half-made; a restart makes a new
 * file, and readers of the old one notice by its pid.
 */
#ifndef POSTERN_DATAPLANE_STATS_FILE_H
#define POSTERN_DATAPLANE_STATS_FILE_H

#include "filters/policy.h"
#include "stats.h"

/* counters of the live shell, behind the brain's */
enum shell_counter {
	SHELL_RX_FRAMES,
	SHELL_TX_FRAMES,
	SHELL_TX_REFUSED,
	SHELL_SPREAD_OUT,
	SHELL_SPREAD_IN,
	SHELL_SPREAD_FULL,
	SHELL_WRONG_WORKER,
	SHELL_EVENTS_LOST,
	SHELL_NOTES_LOST,
	SHELL_QUESTIONS_UNANSWERED,
	SHELL_SLEEPS,
	SHELL_N_COUNTERS
};

/* names: n_names rows already made by the brain; the shell's follow them. *ret_size: bytes mapped. */
int stats_file_new(const char *path, unsigned n_workers, const struct stats_name *names,
    unsigned n_names, struct stats_file **ret_stats, char **ret_error);
/* path NULL: the file there is a successor's. */
struct stats_file *stats_file_free(struct stats_file *stats, const char *path);

/* Control's: epoch and server names of the policy just published. */
void stats_file_policy(struct stats_file *stats, const struct policy *policy);

#endif
