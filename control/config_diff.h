/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What differs between two configurations, key by key and entry by entry, and what of it means that
 * something was enforced before and is not now (drift). Values are compared as they act, so a
 * default written out is no difference.
 */
#ifndef POSTERN_CONTROL_CONFIG_DIFF_H
#define POSTERN_CONTROL_CONFIG_DIFF_H

#include "config.h"

#include <jansson.h>

enum {
	DIFF_ROWS_MAX = 1000,  /* keys told; beyond: counted */
	DIFF_NAMED_MAX = 1000, /* entries of one list told by name; beyond: counted */
	DRIFT_MAX = 32,        /* sentences; beyond: the last says so */
};

struct diff_side {
	const struct config *config; /* NULL: nothing at all */
	/* Files that it reads, as history_files() tells them; NULL: none known. */
	const json_t *files;
};

/* {"keys":[{"key","old","new"}], "entries":[{"key","added":[text...],"removed":[text...],
 * "n_added":N,"n_removed":N,"n_before":N (of files)}], "n_keys":N,"n_added":N,"n_removed":N}. old or new null: not there.
 * Entries of files are compared where both contents were kept under `kept` (a folder; NULL: none);
 * else added and removed are null. */
json_t *config_diff(const struct diff_side *old, const struct diff_side *new, const char *kept);

/* A sentence for each thing that was enforced by `old` and is not after `diff`. */
json_t *config_drift(const struct diff_side *old, const json_t *diff);

#endif
