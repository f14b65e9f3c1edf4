/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of one configuration: taken in steps, given back at once. A configuration is read,
 * checked, compiled and dropped; freeing its thousands of texts one by one would only add places to
 * leak. A failed step is remembered (`failed`), so that callers check once at the end.
 */
#ifndef POSTERN_CONTROL_ARENA_H
#define POSTERN_CONTROL_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used, size; /* bytes of the newest block */
	bool failed;
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);
/* Zeroed, aligned for any type; NULL: no memory. */
void *arena_take(struct arena *a, size_t n, size_t size);
/* A zero-terminated copy; NULL: no memory. */
char *arena_text(struct arena *a, const char *text, size_t len);

#endif
