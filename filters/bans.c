/* SPDX-License-Identifier: BSD-3-Clause */
/* When to ban (bans.h). */
#include "bans.h"

#include "address_form.h"
#include "siphash.h"

#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, MIN_ENTRIES = 64, MAX_ENTRIES = 1 << 24 };

struct host {
	uint64_t key;            /* 0: free */
	uint32_t points, seen_s; /* points as of seen_s */
	uint32_t banned_until_s, repeats;
};

struct prefix {
	uint64_t key;
	uint32_t good_s; /* when somebody good was last met; 0: never */
	uint32_t seen_s;
	uint32_t banned_until_s, repeats;
	uint32_t hosts[BANS_MAX_HOSTS];   /* low bits of banned hosts' keys */
	uint32_t until_s[BANS_MAX_HOSTS]; /* ... and the end of their bans */
};

struct bans {
	uint8_t key[16];
	uint32_t mask; /* of buckets */
	struct host *hosts;
	struct prefix *prefixes;
	uint64_t forgotten;
};

struct bans *bans_new(uint32_t entries, const uint8_t key[16])
{
	struct bans *b = calloc(1, sizeof(*b));
	uint32_t n = MIN_ENTRIES;

	if (!b)
		return NULL;
	while (n < entries && n < MAX_ENTRIES)
		n *= 2;
	memcpy(b->key, key, sizeof(b->key));
	b->mask = n / WAYS - 1;
	b->hosts = calloc(n, sizeof(*b->hosts));
	b->prefixes = calloc(n, sizeof(*b->prefixes));
	return b->hosts && b->prefixes ? b : bans_free(b);
}

struct bans *bans_free(struct bans *b)
{
	if (!b)
		return NULL;
	free(b->prefixes);
	free(b->hosts);
	free(b);
	return NULL;
}

static uint64_t key_of(const struct bans *b, const uint8_t addr[16], size_t len)
{
	uint64_t k = siphash(b->key, addr, len);

	return k ? k : 1;
}

static uint64_t prefix_key(const struct bans *b, const uint8_t addr[16])
{
	return key_of(b, addr, address_is_v4(addr) ? 15 : 8);
}

static uint32_t leaked(const struct host *h, const struct bans_settings *s, uint32_t now_s)
{
	uint64_t gone = now_s > h->seen_s && s->window_s
			    ? (uint64_t)(now_s - h->seen_s) * s->threshold / s->window_s
			    : 0;

	return gone < h->points ? h->points - (uint32_t)gone : 0;
}

/* A ban counts for more than any points, then the points, then who was seen last. */
static bool worth_less(const struct host *a, const struct host *b)
{
	if (a->banned_until_s != b->banned_until_s)
		return a->banned_until_s < b->banned_until_s;
	return a->points != b->points ? a->points < b->points : a->seen_s < b->seen_s;
}

static struct host *host_find(const struct bans *b, uint64_t key)
{
	struct host *bucket = &b->hosts[(key & b->mask) * WAYS];

	for (unsigned i = 0; i < WAYS; i++)
		if (bucket[i].key == key)
			return &bucket[i];
	return NULL;
}

static struct host *host_take(struct bans *b, uint64_t key)
{
	struct host *bucket = &b->hosts[(key & b->mask) * WAYS], *least = bucket;
	struct host *h = host_find(b, key);

	if (h)
		return h;
	for (unsigned i = 0; i < WAYS && least->key; i++)
		if (!bucket[i].key || worth_less(&bucket[i], least))
			least = &bucket[i];
	b->forgotten += least->key != 0;
	*least = (struct host){ .key = key };
	return least;
}

static struct prefix *prefix_take(struct bans *b, uint64_t key)
{
	struct prefix *bucket = &b->prefixes[(key & b->mask) * WAYS], *least = bucket;

	for (unsigned i = 0; i < WAYS; i++)
		if (bucket[i].key == key)
			return &bucket[i];
	for (unsigned i = 0; i < WAYS && least->key; i++)
		if (!bucket[i].key || bucket[i].seen_s < least->seen_s)
			least = &bucket[i];
	b->forgotten += least->key != 0;
	memset(least, 0, sizeof(*least));
	least->key = key;
	return least;
}

/* The length of the next ban; counts it. */
static uint32_t sentence(
    const struct bans_settings *s, uint32_t now_s, uint32_t *banned_until_s, uint32_t *repeats)
{
	uint64_t length;

	if (*banned_until_s && now_s > *banned_until_s && now_s - *banned_until_s > s->remember_s)
		*repeats = 0;
	length = (uint64_t)s->first_s << *repeats;
	if (length > s->longest_s)
		length = s->longest_s;
	if (*repeats < BANS_REPEATS)
		++*repeats;
	*banned_until_s = length > UINT32_MAX - now_s ? UINT32_MAX : now_s + (uint32_t)length;
	return *banned_until_s;
}

static struct ban ban_of(
    const uint8_t client[16], unsigned bytes, unsigned len, uint32_t expires_s, uint32_t repeats)
{
	struct ban ban = { .len = (uint8_t)len, .expires_s = expires_s, .repeats = repeats - 1 };

	memcpy(ban.addr, client, bytes);
	return ban;
}

/* Notes the banned host; true when as many are banned now as it takes. */
static bool prefix_full(struct prefix *p, const struct bans_settings *s, uint64_t host,
    uint32_t until_s, uint32_t now_s)
{
	unsigned n = 0, place = 0;
	uint32_t needed = s->prefix_hosts < BANS_MAX_HOSTS ? s->prefix_hosts : BANS_MAX_HOSTS;

	for (unsigned i = 0; i < BANS_MAX_HOSTS; i++) {
		if (p->until_s[i] > now_s && p->hosts[i] == (uint32_t)(host >> 32))
			p->until_s[i] = 0; /* the same one again */
		if (p->until_s[i] < p->until_s[place])
			place = i;
	}
	p->hosts[place] = (uint32_t)(host >> 32);
	p->until_s[place] = until_s;
	for (unsigned i = 0; i < BANS_MAX_HOSTS; i++)
		n += p->until_s[i] > now_s;
	return needed && n >= needed;
}

unsigned bans_offence(struct bans *b, const struct bans_settings *s, const uint8_t client[16],
    uint32_t points, uint32_t now_s, bans_exempt *exempt, void *arg, struct ban ret_bans[2])
{
	bool v4 = address_is_v4(client);
	unsigned bytes = v4 ? 15 : 8, len = v4 ? 24 : 64;
	uint64_t key = key_of(b, client, 16);
	struct prefix *p;
	struct host *h;
	struct ban ban;
	uint64_t sum;

	if (s->threshold == 0)
		return 0;
	h = host_take(b, key);
	sum = (uint64_t)leaked(h, s, now_s) + points;
	h->points = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
	h->seen_s = now_s;
	if (h->points < s->threshold || h->banned_until_s > now_s)
		return 0;
	h->points = 0;
	sentence(s, now_s, &h->banned_until_s, &h->repeats);
	ret_bans[0] = ban_of(client, 16, v4 ? 32 : 128, h->banned_until_s, h->repeats);
	p = prefix_take(b, prefix_key(b, client));
	p->seen_s = now_s;
	if (!prefix_full(p, s, key, h->banned_until_s, now_s) || p->banned_until_s > now_s ||
	    (p->good_s && now_s - p->good_s < s->good_s))
		return 1;
	ban = ban_of(client, bytes, len, 0, 1);
	if (exempt && exempt(arg, ban.addr, len))
		return 1;
	sentence(s, now_s, &p->banned_until_s, &p->repeats);
	ret_bans[1] = ban_of(client, bytes, len, p->banned_until_s, p->repeats);
	return 2;
}

void bans_good(struct bans *b, const uint8_t client[16], uint32_t now_s)
{
	struct prefix *p = prefix_take(b, prefix_key(b, client));

	p->good_s = p->seen_s = now_s;
}

void bans_forgive(struct bans *b, const uint8_t client[16])
{
	struct host *h = host_find(b, key_of(b, client, 16));

	if (h)
		*h = (struct host){ .key = h->key };
}

uint64_t bans_forgotten(const struct bans *b)
{
	return b->forgotten;
}
