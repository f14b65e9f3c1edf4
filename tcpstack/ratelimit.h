/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much a stranger may make us say, or get wrong, per prefix (private).
 */
#ifndef POSTERN_TCPSTACK_RATELIMIT_H
#define POSTERN_TCPSTACK_RATELIMIT_H

#include "tcpstack.h"

/* A /24, or a /64: what one host can speak for. */
static inline uint64_t prefix_key(const struct ip_addr *a, bool v4)
{
	uint64_t k;

	if (v4) {
		uint32_t v;
		memcpy(&v, a->b + 12, sizeof(v));
		v &= __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0x00ffffffu : 0xffffff00u;
		return v | 0xffffull << 48;
	}
	memcpy(&k, a->b, sizeof(k));
	return k;
}

enum { RATELIMIT_WAYS = 4 };

struct ratelimit_slot {
	uint64_t key;
	uint64_t full_ns; /* when the next answer would have been due at the allowed rate */
};

struct ratelimit {
	struct ratelimit_slot *slots; /* n_sets sets of four, a cache line each */
	uint64_t multiplier;          /* secret, odd */
	uint64_t interval_ns;         /* between two at the allowed rate */
	unsigned shift;
};

/* per_second answers, in a burst or spread; n_sets a power of two. */
int ratelimit_init(
    struct ratelimit *rl, unsigned n_sets, uint32_t per_second, const uint8_t key[16]);
void ratelimit_fini(struct ratelimit *rl);
static inline void ratelimit_prefetch(const struct ratelimit *rl, uint64_t key)
{
	__builtin_prefetch(rl->slots + ((key * rl->multiplier) >> rl->shift) * RATELIMIT_WAYS, 1);
}

/* True: say it. False: the prefix has had its share of this second. */
static inline bool ratelimit_take(struct ratelimit *rl, uint64_t key, uint64_t now_ns)
{
	struct ratelimit_slot *s =
	    rl->slots + ((key * rl->multiplier) >> rl->shift) * RATELIMIT_WAYS;
	unsigned way = 0;

	while (way < RATELIMIT_WAYS && s[way].key != key)
		way++;
	if (way == RATELIMIT_WAYS) {
		/* The smallest of four, without a branch that strangers' addresses could mislead. */
		unsigned a = s[1].full_ns < s[0].full_ns, b = 2 + (s[3].full_ns < s[2].full_ns);
		unsigned second = -(unsigned)(s[b].full_ns < s[a].full_ns);
		way = (a & ~second) | (b & second);
		s[way].key = key;
	}
	uint64_t full = (s[way].full_ns > now_ns ? s[way].full_ns : now_ns) + rl->interval_ns;
	if (full - now_ns > 1000000000u)
		return false;
	s[way].full_ns = full;
	return true;
}

/* Bad ACKs: more than TALLY_LIMIT in a window of ten seconds. */
enum { TALLY_LIMIT = 1000, TALLY_SETS = 1024 };

struct tally_slot {
	uint64_t key;
	uint32_t window;
	uint32_t count;
};

struct tally {
	struct tally_slot *slots;
	uint64_t multiplier;
	uint32_t last_window; /* of the last tally_add(): spares look-ups in quiet times */
};

int tally_init(struct tally *t, const uint8_t key[16]);
void tally_fini(struct tally *t);
void tally_add(struct tally *t, uint64_t key, uint64_t now_ns);
/* True from the event that passes the limit until the end of the following window. */
bool tally_over(const struct tally *t, uint64_t key, uint64_t now_ns);

#endif
