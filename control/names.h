/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of one kind, sorted: finds duplicates and resolves references in n log n, since half a
 * million domains are allowed. (Rejected: a hash table; sorting needs no sizing and no seed.)
 */
#ifndef POSTERN_CONTROL_NAMES_H
#define POSTERN_CONTROL_NAMES_H

#include "config.h"

struct name {
	const char *text;
	struct position pos;
	size_t index;
};

struct names {
	struct name *items;
	size_t n, cap;
	bool gaps; /* one was unreadable: a reference that is not found may mean it */
};

/* cap: most that will be added. False: no memory (the arena remembers). */
bool names_init(struct names *names, struct arena *arena, size_t cap);
void names_add(
    struct names *names, const struct config_value *value, const char *text, size_t index);
/* After the last one. Complains of each that stands twice, where it stands again. */
void names_sort(
    struct names *names, const char *key, const char *file, struct complaints *complaints);
/* Index of a name; -1: there is none. */
long names_find(const struct names *names, const char *text);
/* As names_find(), and complains when there is none. -1 then, and for a reference not given. */
long names_resolve(const struct names *names, const struct config_value *reference, const char *key,
    const char *what, const char *file, struct complaints *complaints);

#endif
