/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Committed images in the state directory, one file an epoch, the newest HISTORY_KEEP of them. The
 * number of the newest is the manager's memory of epochs over its own restarts.
 */
#ifndef POSTERN_CONTROL_HISTORY_H
#define POSTERN_CONTROL_HISTORY_H

#include "compile.h"

enum { HISTORY_KEEP = 16 };

/* Makes STATE/policy where it is missing. -errno. */
int history_init(const char *state);
int history_save(const char *state, const struct image *image);
/* The newest image that is whole; broken ones are passed over and told to stderr. -ENOENT: none. */
int history_newest(const char *state, struct image **ret_image);

#endif
