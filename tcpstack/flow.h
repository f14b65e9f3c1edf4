/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flow table: (local, remote, ports) to the index of a connection or of a TIME-WAIT entry.
 *
 * Buckets of one cache line hold ten entries of a 16-bit tag and a 32-bit index; a full bucket
 * spills into the next ones and counts what passed over it, so a miss ends at the first bucket
 * that nothing passed. Sized for a load of at most a half. Chained buckets were rejected: every
 * link is a cache miss.
 *
 * The peer chooses address and port, so the hash is keyed; but nobody is ever shown one, and who
 * wants an entry has to complete a handshake. So it is NH (RFC 4418 5.2; wide words here) under
 * secret keys: two tuples chosen beforehand collide with a chance of 2^-64 before the last mixing,
 * which spreads what is left over buckets and tags. SipHash was rejected: it costs 20 ns for each
 * segment of a flood, and its strength is for hashes that strangers see.
 */
#ifndef POSTERN_TCPSTACK_FLOW_H
#define POSTERN_TCPSTACK_FLOW_H

#include "packet.h"

struct flow_key {
	struct ip_addr local, remote;
	uint16_t local_port, remote_port;
	uint32_t hash; /* of the rest; never 0 */
};

enum { FLOW_BUCKET_SLOTS = 10, FLOW_HASH_WORDS = 6 };

struct flow_bucket {
	uint16_t tag[FLOW_BUCKET_SLOTS];
	uint32_t passed; /* entries whose home is here or before and that lie further on */
	uint32_t index[FLOW_BUCKET_SLOTS]; /* 0: free */
};

_Static_assert(sizeof(struct flow_bucket) == 64, "a bucket is a cache line");

struct flow_table {
	struct flow_bucket *buckets;
	uint32_t mask;
	uint32_t used;
	uint64_t hash_key[FLOW_HASH_WORDS]; /* drawn from the secret by SipHash */
};

int flow_table_init(struct flow_table *t, uint32_t max_entries, const uint8_t hash_key[16]);
void flow_table_fini(struct flow_table *t);

/* NH of the tuple as three pairs of words; never 0. */
static inline uint32_t flow_hash(const struct flow_table *t, const struct ip_addr *local,
    uint16_t local_port, const struct ip_addr *remote, uint16_t remote_port)
{
	const uint64_t *k = t->hash_key;
	uint64_t l[2], r[2], ports = (uint64_t)remote_port << 16 | local_port;

	memcpy(l, local->b, 16);
	memcpy(r, remote->b, 16);
	unsigned __int128 nh = (unsigned __int128)(r[0] + k[0]) * (r[1] + k[1]) +
			       (unsigned __int128)(l[0] + k[2]) * (l[1] + k[3]) +
			       (unsigned __int128)(ports + k[4]) * k[5];
	uint64_t h = (uint64_t)nh ^ (uint64_t)(nh >> 64) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	uint32_t hash = (uint32_t)(h >> 32);
	return hash ? hash : 1;
}

/* index is not 0 and the key is not in the table; never fails within max_entries. */
void flow_insert(struct flow_table *t, uint32_t hash, uint32_t index);
void flow_remove(struct flow_table *t, uint32_t hash, uint32_t index);
/* Points the entry at something else, in place. */
void flow_replace(struct flow_table *t, uint32_t hash, uint32_t old_index, uint32_t index);

/* Candidates of a hash, one by one: the caller compares keys. Start with a zeroed cursor. */
struct flow_cursor {
	uint32_t bucket_plus_1, slot;
};
uint32_t flow_next(const struct flow_table *t, uint32_t hash, struct flow_cursor *cursor);

/* False: no entry has this hash. Asked for every segment of a flood: all tags of the home bucket at
 * once. True: one may. */
static inline bool flow_may_hold(const struct flow_table *t, uint32_t hash)
{
	const struct flow_bucket *b = &t->buckets[hash & t->mask];
	const uint64_t ones = 0x0001000100010001u, highs = ones << 15;
	uint64_t wanted = (hash >> 16) * ones, x, y;
	uint32_t z;

	_Static_assert(sizeof(b->tag) == 20, "two words and a half");
	memcpy(&x, b->tag, 8);
	memcpy(&y, b->tag + 4, 8);
	memcpy(&z, b->tag + 8, 4);
	x ^= wanted;
	y ^= wanted;
	z ^= (uint32_t)wanted;
	/* a lane of zeros borrows into its high bit */
	uint64_t hit = ((x - ones) & ~x) | ((y - ones) & ~y) | ((z - (uint32_t)ones) & ~z);
	return (hit & highs) || b->passed;
}

static inline void flow_prefetch(const struct flow_table *t, uint32_t hash)
{
	__builtin_prefetch(&t->buckets[hash & t->mask]);
}

#endif
