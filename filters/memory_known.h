/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was learned of recipients: known to the backend, or not, and whom a sender has written to.
 * 16 bytes an entry (key; state and time), four to a cache line, one line a look-up. One writer;
 * a reader sees an entry or none: key, value, key again (as filters/greylist.h).
 *
 * At the bound a newcomer displaces, in this order: what has expired, then the lowest in rank and of
 * equals the oldest, never one that ranks above it. Ranks are the order of the states: made-up
 * recipients (unknown) displace each other and never the known.
 */
#ifndef POSTERN_FILTERS_MEMORY_KNOWN_H
#define POSTERN_FILTERS_MEMORY_KNOWN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum memory_state {
	KNOWN_ABSENT,
	KNOWN_UNKNOWN, /* the backend does not know it; or: a client has asked for it */
	KNOWN_PAIR,    /* the sender has written to the recipient */
	KNOWN_KNOWN,   /* the backend took it */
	KNOWN_N_STATES
};

struct memory_known {
	_Atomic uint64_t *words; /* per bucket four keys, four values */
	uint32_t mask;
	uint32_t life_s[KNOWN_N_STATES]; /* the writer's, by its settings */
	uint64_t used[KNOWN_N_STATES], displaced, not_kept;
};

int memory_known_init(struct memory_known *k, uint32_t capacity); /* -ENOMEM */
void memory_known_fini(struct memory_known *k);
size_t memory_known_bytes(const struct memory_known *k);

/* life_s: by state. Any thread. */
enum memory_state memory_known_get(const struct memory_known *k, uint64_t key,
    const uint32_t life_s[KNOWN_N_STATES], uint32_t now_s);
/* The writer: sets and dates it. Returns what it was (ABSENT, where it is new). */
enum memory_state memory_known_put(
    struct memory_known *k, uint64_t key, enum memory_state state, uint32_t now_s);
bool memory_known_remove(struct memory_known *k, uint64_t key);

#endif
