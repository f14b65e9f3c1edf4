/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flow table: (local, remote, ports) to the index of a connection or of a TIME-WAIT entry.
 *
 * Buckets of one cache line hold ten entries of a 16-bit tag and a 32-bit index; a full bucket
 * spills into the next ones and counts what passed over it, so a miss ends at the first bucket
 * that nothing passed. Sized for a load of at most a half. SipHash keyed, since the peer chooses
 * address and port. Chained buckets were rejected: every link is a cache miss.
 */
#ifndef POSTERN_TCPSTACK_FLOW_H
#define POSTERN_TCPSTACK_FLOW_H

#include "packet.h"

struct flow_key {
	struct ip_addr local, remote;
	uint16_t local_port, remote_port;
	uint32_t hash; /* of the rest; never 0 */
};

enum { FLOW_BUCKET_SLOTS = 10 };

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
	uint8_t hash_key[16];
};

int flow_table_init(struct flow_table *t, uint32_t max_entries, const uint8_t hash_key[16]);
void flow_table_fini(struct flow_table *t);

uint32_t flow_hash(const struct flow_table *t, const struct ip_addr *local, uint16_t local_port,
    const struct ip_addr *remote, uint16_t remote_port);

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

static inline void flow_prefetch(const struct flow_table *t, uint32_t hash)
{
	__builtin_prefetch(&t->buckets[hash & t->mask]);
}

#endif
