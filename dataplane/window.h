/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inspection windows: the part of a body held back until it is judged, and the few bytes decoded
 * but not yet taken by the backend's connection. A window is a FIFO of fixed-size extents from one
 * pool allocated at start, so the worst case is the pool and nothing fragments. (Growing buffers
 * would need copying and a second bound; keeping received frames would let a client that does not
 * go on drain the port's pool.)
 *
 * The same extents serve lines, replies and long MAIL commands that do not lie in one piece; a
 * share of the pool is kept back for them (windows stop short of it), so that a flood of bodies
 * cannot keep a session from reading a command. Pure memory; no connection, no clock. One thread.
 */
#ifndef POSTERN_DATAPLANE_WINDOW_H
#define POSTERN_DATAPLANE_WINDOW_H

#include "pool.h"

#include <stdbool.h>

enum { EXTENT_SIZE = 4096, EXTENT_BYTES = EXTENT_SIZE - 16 };

struct extent {
	struct extent *next;
	uint16_t off, len; /* unread bytes are data[off .. off + len) */
	uint8_t data[EXTENT_BYTES];
};
_Static_assert(sizeof(struct extent) <= EXTENT_SIZE, "an extent is one page");

struct window_pool {
	struct pool extents;
	uint32_t reserve; /* extents kept for lines and replies */
};

struct window {
	struct extent *head, *tail;
	uint32_t bytes, extents;
};

int window_pool_init(struct window_pool *wp, size_t bytes); /* -ENOMEM; -EINVAL: under 32 extents */
void window_pool_fini(struct window_pool *wp);
/* Extents that windows may still take. */
uint32_t window_pool_left(const struct window_pool *wp);
/* Fewer than a quarter is left: the oldest window is to be judged at once (DESIGN, 10). */
bool window_pool_low(const struct window_pool *wp);

/* One extent for a line or a reply, from the reserve too. NULL: none. */
struct extent *extent_get(struct window_pool *wp);
struct extent *extent_put(struct window_pool *wp, struct extent *e); /* NULL allowed; returns NULL */

/* Bytes that window_append() would surely take now. */
size_t window_room(const struct window_pool *wp, const struct window *w);
/* Returns the bytes taken: fewer than len only when no extent is left for windows. */
size_t window_append(struct window_pool *wp, struct window *w, const uint8_t *data, size_t len);
/* In front of all that is there, in an extent of its own, from the reserve if need be. False: no
 * extent, or more than EXTENT_BYTES. */
bool window_prepend(struct window_pool *wp, struct window *w, const uint8_t *data, size_t len);
/* The first contiguous run, in order of arrival; 0: empty. */
size_t window_peek(const struct window *w, const uint8_t **ret_data);
void window_consume(struct window_pool *wp, struct window *w, size_t n); /* n <= peeked */
void window_clear(struct window_pool *wp, struct window *w);

#endif
