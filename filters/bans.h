/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When to ban: offences of clients in, bans out. Points leak away evenly, so that a mistake a day is
 * none; whoever reaches the threshold is banned, twice as long at each repeat up to a maximum, and
 * that is remembered for a while behind the ban's end. Where enough hosts of one /24 (IPv6: /64) are
 * banned at once, the prefix is, unless somebody good was met there.
 *
 * Pure, one thread, fixed memory: buckets of eight by a keyed hash; a full bucket lets go of who has
 * the least to remember (no ban, fewest points). Only proven sources may be fed (DESIGN, life of a
 * session, 2). Rejected: counting offences per window (two windows' border forgives half).
 */
#ifndef POSTERN_FILTERS_BANS_H
#define POSTERN_FILTERS_BANS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BANS_MAX_HOSTS = 16, /* banned hosts of a prefix that are told apart */
	BANS_REPEATS = 16,   /* doublings counted */
};

struct bans_settings {
	uint32_t threshold;          /* points at which a client is banned; 0: nobody is */
	uint32_t window_s;           /* so long a full threshold takes to leak away */
	uint32_t first_s, longest_s; /* of a ban */
	uint32_t remember_s;         /* repeats count if within so long of the last ban's end */
	uint32_t prefix_hosts; /* banned at once in a prefix: it is banned; 0: never; max BANS_MAX_HOSTS */
	uint32_t good_s; /* so long a good sender keeps its prefix from that */
};

struct ban {
	uint8_t addr[16]; /* bits behind the prefix are 0 */
	uint8_t len;      /* 0-32, or 0-128 for IPv6 */
	uint32_t expires_s;
	uint32_t repeats; /* before this one, as far as is remembered */
};

struct bans;

/* entries: clients remembered, prefixes likewise; about 40 bytes each. NULL: no memory. */
struct bans *bans_new(uint32_t entries, const uint8_t key[16]);
struct bans *bans_free(struct bans *b); /* NULL is allowed; returns NULL */

/* Is somebody in the prefix exempt (on an allow list)? Asked before a prefix is banned. */
typedef bool bans_exempt(void *arg, const uint8_t addr[16], unsigned len);

/* An offence of so many points. Returns how many bans follow: none, the client's, or the client's
 * and its prefix's. A banned client's offences count toward the next ban, without a new one. */
unsigned bans_offence(struct bans *b, const struct bans_settings *settings, const uint8_t client[16],
    uint32_t points, uint32_t now_s, bans_exempt *exempt, void *arg, struct ban ret_bans[2]);
/* A good sender was met: an allow-listed one, or one whose message was accepted. */
void bans_good(struct bans *b, const uint8_t client[16], uint32_t now_s);
/* The operator took the ban back: its client begins anew. */
void bans_forgive(struct bans *b, const uint8_t client[16]);

uint64_t bans_forgotten(const struct bans *b); /* entries let go for others, ever */

#endif
