/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Source addresses and their prefixes in two tables of the same make: buckets of eight, first a
 * cache line of eight 64-bit keys, then what is known of each. A key is the SipHash of the address
 * under a random key: nobody can aim at a bucket, and two addresses of one key (1 in 2^64 per pair)
 * share a count.
 *
 * The rate is counted in six slots of ten seconds: "the last 60 s" are the 50 to 60 s behind us.
 * Rejected: exact time stamps per connection (unbounded), one leaky bucket (a burst after silence
 * would look like a rate), chained entries (a cache miss per link).
 */
#include "sources.h"

#include "address_form.h"
#include "siphash.h"

#include <stdlib.h>
#include <string.h>

enum {
	WAYS = 8,
	SLOTS = 6,
	TICKS_PER_SLOT = 40, /* a tick is a quarter of a second, a slot 10 s */
	MIN_ENTRIES = 64,
	MAX_ENTRIES = 1 << 26,
};
#define NS_PER_TICK 250000000ull

struct source {
	uint32_t connections : 31;
	uint32_t good : 1; /* a message of it was accepted since it is remembered */
	uint32_t window_bytes;
	uint32_t seen_ticks;   /* since the table's first connection; 34 years */
	uint16_t slots[SLOTS]; /* connections opened, by ten seconds */
};

struct bucket {
	_Alignas(64) uint64_t keys[WAYS]; /* 0: free */
	struct source sources[WAYS];
};
_Static_assert(sizeof(struct bucket) == 256, "four cache lines a bucket");

struct sources {
	struct bucket *addresses, *prefixes;
	uint32_t mask; /* of buckets */
	uint8_t key[16];
	bool started;
	uint64_t start_ns;
};

struct sources *sources_new(uint32_t entries, const uint8_t hash_key[16])
{
	struct sources *s = calloc(1, sizeof(*s));
	uint32_t n = MIN_ENTRIES;
	size_t size;

	if (!s)
		return NULL;
	if (entries > MAX_ENTRIES)
		entries = MAX_ENTRIES;
	while (n < entries)
		n *= 2;
	size = (size_t)(n / WAYS) * sizeof(struct bucket);
	s->mask = n / WAYS - 1;
	memcpy(s->key, hash_key, sizeof(s->key));
	s->addresses = aligned_alloc(64, size);
	s->prefixes = aligned_alloc(64, size);
	if (!s->addresses || !s->prefixes)
		return sources_free(s);
	memset(s->addresses, 0, size); /* touched now: no page fault on the packet path */
	memset(s->prefixes, 0, size);
	return s;
}

struct sources *sources_free(struct sources *s)
{
	if (!s)
		return NULL;
	free(s->addresses);
	free(s->prefixes);
	free(s);
	return NULL;
}

static uint64_t address_key(const struct sources *s, const uint8_t client[16])
{
	uint64_t k = siphash(s->key, client, 16);

	return k ? k : 1;
}

/* /24 of an IPv4 address, /64 of an IPv6 one. */
static uint64_t prefix_key(const struct sources *s, const uint8_t client[16])
{
	size_t len = address_prefix_octets(client);
	uint64_t k = siphash(s->key, client, len);

	return k ? k : 1;
}

/* All of a bucket, so that both tables' misses are waited for together. */
static void bucket_prefetch(const struct bucket *b)
{
	for (size_t i = 0; i < sizeof(*b); i += 64)
		__builtin_prefetch((const char *)b + i);
}

static struct source *source_find(struct bucket *table, uint32_t mask, uint64_t key)
{
	struct bucket *b = &table[key & mask];

	for (unsigned i = 0; i < WAYS; i++)
		if (b->keys[i] == key)
			return &b->sources[i];
	return NULL;
}

/* Is `a` to give up its place before `b`? Those without good history first, then the oldest. */
static bool goes_first(const struct source *a, const struct source *b)
{
	return a->good != b->good ? b->good : a->seen_ticks < b->seen_ticks;
}

/* Finds, or takes a free place, or that of an idle source. NULL: all are busy. */
static struct source *source_take(struct bucket *table, uint32_t mask, uint64_t key)
{
	struct bucket *b = &table[key & mask];
	int best = -1;

	for (unsigned i = 0; i < WAYS; i++) {
		if (b->keys[i] == key)
			return &b->sources[i];
		if (b->sources[i].connections)
			continue;
		if (best < 0 || (b->keys[best] &&
				    (!b->keys[i] || goes_first(&b->sources[i], &b->sources[best]))))
			best = (int)i;
	}
	if (best < 0)
		return NULL;
	b->keys[best] = key;
	memset(&b->sources[best], 0, sizeof(b->sources[best]));
	return &b->sources[best];
}

/* Moves the slots on to `ticks`, adds one connection, and sums the minute up. */
static uint32_t rate_count(struct source *src, uint32_t ticks)
{
	uint32_t slot = ticks / TICKS_PER_SLOT, seen = src->seen_ticks / TICKS_PER_SLOT;
	uint32_t sum = 0;

	for (uint32_t i = 0; i < SLOTS && seen + i < slot; i++)
		src->slots[(slot - i) % SLOTS] = 0;
	if (src->slots[slot % SLOTS] < UINT16_MAX)
		src->slots[slot % SLOTS]++;
	for (unsigned i = 0; i < SLOTS; i++)
		sum += src->slots[i];
	return sum;
}

bool sources_open(
    struct sources *s, const uint8_t client[16], uint64_t now_ns, struct source_counts *ret_counts)
{
	uint64_t a = address_key(s, client), p = prefix_key(s, client);
	struct source *address, *prefix;
	uint32_t ticks;

	bucket_prefetch(&s->addresses[a & s->mask]);
	bucket_prefetch(&s->prefixes[p & s->mask]);
	if (!s->started) {
		s->started = true;
		s->start_ns = now_ns;
	}
	ticks = now_ns > s->start_ns ? (uint32_t)((now_ns - s->start_ns) / NS_PER_TICK) : 0;
	address = source_take(s->addresses, s->mask, a);
	prefix = address ? source_take(s->prefixes, s->mask, p) : NULL;
	if (!prefix) {
		*ret_counts = (struct source_counts){
			.connections = 1,
			.rate = 1,
			.prefix_connections = 1,
		};
		return false;
	}
	if (ticks < address->seen_ticks) /* a clock that went back */
		ticks = address->seen_ticks;
	ret_counts->rate = rate_count(address, ticks);
	address->seen_ticks = ticks;
	prefix->seen_ticks = ticks;
	ret_counts->connections = ++address->connections;
	ret_counts->prefix_connections = ++prefix->connections;
	ret_counts->window_bytes = address->window_bytes;
	ret_counts->good = address->good;
	return true;
}

void sources_close(struct sources *s, const uint8_t client[16])
{
	struct source *address = source_find(s->addresses, s->mask, address_key(s, client));
	struct source *prefix = source_find(s->prefixes, s->mask, prefix_key(s, client));

	if (address && address->connections && --address->connections == 0)
		address->window_bytes = 0; /* windows belong to connections */
	if (prefix && prefix->connections)
		prefix->connections--;
}

uint32_t sources_window(struct sources *s, const uint8_t client[16], int32_t delta)
{
	struct source *address = source_find(s->addresses, s->mask, address_key(s, client));
	int64_t sum;

	if (!address || !address->connections)
		return 0;
	sum = (int64_t)address->window_bytes + delta;
	address->window_bytes = sum < 0 ? 0 : sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
	return address->window_bytes;
}

void sources_praise(struct sources *s, const uint8_t client[16])
{
	struct source *address = source_find(s->addresses, s->mask, address_key(s, client));

	if (address)
		address->good = 1;
}

bool sources_good(const struct sources *s, const uint8_t client[16])
{
	const struct source *address = source_find(s->addresses, s->mask, address_key(s, client));

	return address && address->good;
}
