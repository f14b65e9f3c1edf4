/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A configuration as paths and values, by the schema table: what `diff` compares and `set` names.
 * A path is the dotted key with the entry's name behind each list of sections:
 * `pools.main.max_waiting`, `pools.main.servers.mail1.weight`; a name with dots, or of digits alone,
 * stands in brackets: `domains[example.org].pool`. An entry without a name is counted from 1.
 */
#ifndef POSTERN_CONTROL_CONFIG_WALK_H
#define POSTERN_CONTROL_CONFIG_WALK_H

#include "config.h"
#include "schema.h"

enum { CONFIG_PATH_MAX = 512 };

struct config_place {
	char path[CONFIG_PATH_MAX]; /* in its canonical form */
	const struct schema_key *key;
	unsigned flags; /* with those inherited */
	void *at;       /* config_value; config_items of a list of values */
};

/* Each value in order, defaults too; of a list of values each entry, under the list's path. */
typedef void config_visit(void *arg, const char *path, const struct schema_key *key, unsigned flags,
    const struct config_value *value);
void config_walk(const struct config *c, config_visit *visit, void *arg);

/* The place of a value or list of values. False: told to complaints as of the file "set". */
bool config_find(struct config *c, const char *path, struct config_place *ret_place,
    struct complaints *complaints);

/* The value names a file that the compiler reads: its key is `file`, `files` or ends in `_file`. */
bool config_is_file(const struct schema_key *key);

#endif
