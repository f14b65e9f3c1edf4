/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Settings on top of the configuration file (`posternctl set`): kept by the manager, applied each
 * time the configuration is read, gone by themselves when their time is up. They are values laid
 * over the structs, not edits of the YAML: the engineer's file and its comments stay his.
 *
 * A JSON array of {"key","value","until" (seconds since 1970; 0: for good),"at","user","reason"}:
 * what is kept on disk, shown by `status` and handed to the compiling thread is one and the same.
 */
#ifndef POSTERN_CONTROL_OVERRIDE_H
#define POSTERN_CONTROL_OVERRIDE_H

#include "config.h"

#include <jansson.h>

enum { OVERRIDES_MAX = 256, OVERRIDE_VALUE_MAX = 4096 };

/* Lays all over the configuration, between reading and checking it. Mistakes go to complaints, as
 * of the file "set". overrides: NULL for none. */
void overrides_apply(struct config *c, const json_t *overrides, struct complaints *complaints);

/* The key names a pattern of `posternctl pattern add`. */
bool override_is_pattern(const char *key);

/* A copy of the list with this one in it (until 0: for good). -ENOSPC, -ENOMEM. */
int overrides_set(const json_t *overrides, const char *key, const char *value, int64_t until,
    int64_t now, const char *user, const char *reason, json_t **ret_overrides);
/* A copy without it; -ENOENT. key NULL: an empty list. */
int overrides_reset(const json_t *overrides, const char *key, json_t **ret_overrides);
/* The entry of a key; NULL: none. */
const json_t *overrides_find(const json_t *overrides, const char *key);
/* A copy without those whose time is up; NULL when none is. ret_next: when the next one's is,
 * INT64_MAX for never. */
json_t *overrides_expire(const json_t *overrides, int64_t now, int64_t *ret_next);

#endif
