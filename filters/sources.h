/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker remembers of source addresses: connections open now, and how many in the last
 * minute, per address and per /24 (/64). One instance per worker, its thread alone. Fed only by
 * connections that proved a cookie: a spoofed address never gets here.
 *
 * Bounded: a fixed table allocated by sources_new(). When a bucket is full an entry with no open
 * connection is replaced, those without good history first, then the one seen longest ago; when all have open connections the newcomer is
 * not tracked (counted by the caller from the return value): it is then judged as a first-time
 * source, never refused for lack of memory.
 */
#ifndef POSTERN_FILTERS_SOURCES_H
#define POSTERN_FILTERS_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

struct sources;

struct source_counts {
	uint32_t connections;        /* open now from the address, the new one included */
	uint32_t rate;               /* opened in the last 60 s, the new one included */
	uint32_t prefix_connections; /* open now from the /24 or /64, the new one included */
	uint32_t window_bytes;       /* inspection window memory held by the address */
	bool good; /* a message of the address was accepted since it is remembered */
};

/* entries: rounded up to a power of two; hash_key: 16 random bytes. NULL: no memory. */
struct sources *sources_new(uint32_t entries, const uint8_t hash_key[16]);
struct sources *sources_free(struct sources *s);

/* False: not tracked (table full of open connections); counts are then those of a first-timer. */
bool sources_open(
    struct sources *s, const uint8_t client[16], uint64_t now_ns, struct source_counts *ret_counts);
/* The counterpart of a sources_open() that returned true. */
void sources_close(struct sources *s, const uint8_t client[16]);
/* The backend accepted a message of the address. Such sources are forgotten last. */
void sources_praise(struct sources *s, const uint8_t client[16]);
bool sources_good(const struct sources *s, const uint8_t client[16]); /* read-only, for SYNs */
/* Adds delta bytes (may be negative) to the address's window memory; returns the new sum, 0 for
 * an untracked address. */
uint32_t sources_window(struct sources *s, const uint8_t client[16], int32_t delta);

#endif
