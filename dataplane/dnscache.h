/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resolver's cache: answers by name and type until their time is over. One ring of bytes taken
 * at start; the oldest entry makes room for the newest, save one that was asked for since and still
 * holds, which goes round again. So a flood of made-up names passes through and what the honest ask
 * for stays, no entry is too large for its place, and nothing is ever freed. Rejected: fixed slots
 * (most answers are 4 bytes, some 4 KB) and lists of recent use (three lines written a hit).
 *
 * One thread. Time is an argument.
 */
#ifndef POSTERN_DATAPLANE_DNSCACHE_H
#define POSTERN_DATAPLANE_DNSCACHE_H

#include "dnsmsg.h"

struct dnscache;

enum { DNSCACHE_LEAST = 65536 /* bytes */ };

/* -ENOMEM, -EINVAL: fewer than DNSCACHE_LEAST bytes or 4 GiB and more. The key is for the hash:
 * names are chosen by strangers. */
int dnscache_new(size_t bytes, const uint8_t key[16], struct dnscache **ret_cache);
struct dnscache *dnscache_free(struct dnscache *c); /* NULL is allowed; returns NULL */

/* name in lower case. False: not there, or over. ret_answer->ttl_s is what is left. */
bool dnscache_get(struct dnscache *c, const char *name, unsigned type, uint64_t now_s,
    struct dns_answer *ret_answer);
/* Keeps it for ttl_s; 0 does not. In place of what was there. */
void dnscache_put(struct dnscache *c, const char *name, unsigned type,
    const struct dns_answer *answer, uint32_t ttl_s, uint64_t now_s);
void dnscache_flush(struct dnscache *c);

struct dnscache_usage {
	size_t bytes, used; /* used: with what is over or replaced, until it is met */
	uint64_t entries, evicted /* before their time */, kept /* went round */;
};
struct dnscache_usage dnscache_usage(const struct dnscache *c);

#endif
