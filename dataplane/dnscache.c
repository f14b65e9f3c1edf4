/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of answers with a hash index; see dnscache.h. */
#include "dnscache.h"

#include "filters/siphash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	GRAIN = 16,       /* sizes and places are multiples of it */
	PER_BUCKET = 128, /* bytes of ring for each bucket of the index */
	ROUNDS = 8,       /* entries that may go round for one that comes */
	NONE = UINT32_MAX,
};

enum entry_state { ENTRY_FILL /* to the end of the ring */, ENTRY_DEAD, ENTRY_LIVE };

struct entry {
	uint32_t size; /* with this header, name and data */
	uint32_t next; /* of the bucket: place in the ring, NONE */
	uint32_t bucket;
	uint32_t expires_s;
	uint16_t type, name_len, len, n;
	uint8_t state, status;
	bool cut, asked;
	uint32_t reserved;
	uint8_t bytes[]; /* name, data */
};
_Static_assert(sizeof(struct entry) == 32, "an entry's header is two grains");

enum { ENTRY_MAX = sizeof(struct entry) + DNS_NAME_MAX + DNS_DATA_MAX + GRAIN };

struct dnscache {
	uint8_t key[16];
	size_t bytes, used;
	size_t head, tail; /* next to be written, oldest */
	uint64_t entries, evicted, kept;
	uint32_t mask;
	uint32_t *buckets;
	uint8_t *ring;
	_Alignas(GRAIN) uint8_t scratch[ENTRY_MAX];
};

static struct entry *at(struct dnscache *c, size_t place)
{
	return (struct entry *)__builtin_assume_aligned(c->ring + place, GRAIN);
}

static size_t round_up(size_t n)
{
	return (n + GRAIN - 1) / GRAIN * GRAIN;
}

int dnscache_new(size_t bytes, const uint8_t key[16], struct dnscache **ret_cache)
{
	struct dnscache *c;
	uint32_t buckets = 1;

	bytes = bytes / GRAIN * GRAIN;
	if (bytes < DNSCACHE_LEAST || bytes >= UINT32_MAX)
		return -EINVAL;
	while (buckets < bytes / PER_BUCKET)
		buckets *= 2;
	c = aligned_alloc(GRAIN, round_up(sizeof(*c)));
	if (!c)
		return -ENOMEM;
	memset(c, 0, sizeof(*c));
	c->ring = aligned_alloc(GRAIN, bytes);
	c->buckets = malloc(buckets * sizeof(*c->buckets));
	if (!c->ring || !c->buckets) {
		dnscache_free(c);
		return -ENOMEM;
	}
	memcpy(c->key, key, 16);
	c->bytes = bytes;
	c->mask = buckets - 1;
	dnscache_flush(c);
	*ret_cache = c;
	return 0;
}

struct dnscache *dnscache_free(struct dnscache *c)
{
	if (c) {
		free(c->ring);
		free(c->buckets);
		free(c);
	}
	return NULL;
}

void dnscache_flush(struct dnscache *c)
{
	memset(c->buckets, 0xff, (c->mask + 1ul) * sizeof(*c->buckets));
	c->used = c->head = c->tail = 0;
	c->entries = 0;
}

static uint32_t bucket_of(const struct dnscache *c, const char *name, size_t len, unsigned type)
{
	return (uint32_t)(siphash(c->key, name, len) + type * 0x9e3779b9u) & c->mask;
}

static struct entry *find(
    struct dnscache *c, uint32_t bucket, const char *name, size_t len, unsigned type)
{
	for (uint32_t i = c->buckets[bucket]; i != NONE; i = at(c, i)->next) {
		struct entry *e = at(c, i);

		if (e->type == type && e->name_len == len && memcmp(e->bytes, name, len) == 0)
			return e;
	}
	return NULL;
}

static void unlink_entry(struct dnscache *c, struct entry *e)
{
	uint32_t *link = &c->buckets[e->bucket], place = (uint32_t)((uint8_t *)e - c->ring);

	while (*link != place)
		link = &at(c, *link)->next;
	*link = e->next;
	e->state = ENTRY_DEAD;
	c->entries--;
}

/* There is room. */
static struct entry *place(struct dnscache *c, size_t size)
{
	struct entry *e = at(c, c->head);

	e->size = (uint32_t)size;
	c->head += size;
	if (c->head == c->bytes)
		c->head = 0;
	c->used += size;
	return e;
}

static void link_entry(struct dnscache *c, struct entry *e)
{
	e->state = ENTRY_LIVE;
	e->next = c->buckets[e->bucket];
	c->buckets[e->bucket] = (uint32_t)((uint8_t *)e - c->ring);
	c->entries++;
}

static bool fits(const struct dnscache *c, size_t size)
{
	size_t end = c->bytes - c->head;

	return c->bytes - c->used >= (end < size ? end + size : size);
}

/* What is between the head and the end of the ring is too small for `size`: filled, so that an entry
 * is never in two pieces. */
static void wrap(struct dnscache *c, size_t size)
{
	if (c->bytes - c->head < size)
		place(c, c->bytes - c->head)->state = ENTRY_FILL;
}

/* The oldest goes; false: it goes round instead. */
static void drop_oldest(struct dnscache *c, uint64_t now_s, unsigned *rounds)
{
	struct entry *e = at(c, c->tail);
	size_t size = e->size;
	bool again = false;

	if (e->state == ENTRY_LIVE) {
		bool holds = e->expires_s > now_s;

		again = holds && e->asked && *rounds > 0;
		c->evicted += holds && !again;
		unlink_entry(c, e);
	}
	if (again)
		memcpy(c->scratch, e, size);
	c->used -= size;
	c->tail += size;
	if (c->tail == c->bytes)
		c->tail = 0;
	if (again && fits(c, size)) {
		(*rounds)--;
		wrap(c, size);
		e = place(c, size);
		memcpy(e, c->scratch, size);
		e->asked = false;
		link_entry(c, e);
		c->kept++;
	}
}

bool dnscache_get(struct dnscache *c, const char *name, unsigned type, uint64_t now_s,
    struct dns_answer *ret_answer)
{
	size_t len = strlen(name);
	struct entry *e = find(c, bucket_of(c, name, len, type), name, len, type);

	if (!e || e->expires_s <= now_s)
		return false;
	e->asked = true;
	ret_answer->ttl_s = e->expires_s - (uint32_t)now_s;
	ret_answer->n = e->n;
	ret_answer->len = e->len;
	ret_answer->status = e->status;
	ret_answer->cut = e->cut;
	memcpy(ret_answer->data, e->bytes + e->name_len, e->len);
	return true;
}

void dnscache_put(struct dnscache *c, const char *name, unsigned type,
    const struct dns_answer *answer, uint32_t ttl_s, uint64_t now_s)
{
	size_t len = strlen(name), size = round_up(sizeof(struct entry) + len + answer->len);
	uint32_t bucket = bucket_of(c, name, len, type);
	struct entry *e = find(c, bucket, name, len, type);
	unsigned rounds = ROUNDS;

	if (e)
		unlink_entry(c, e);
	if (ttl_s == 0 || len >= DNS_NAME_MAX)
		return;
	while (!fits(c, size))
		drop_oldest(c, now_s, &rounds);
	wrap(c, size);
	e = place(c, size);
	*e = (struct entry){
		.size = (uint32_t)size,
		.bucket = bucket,
		.expires_s = (uint32_t)(now_s + ttl_s),
		.type = (uint16_t)type,
		.name_len = (uint16_t)len,
		.len = answer->len,
		.n = answer->n,
		.status = answer->status,
		.cut = answer->cut,
	};
	memcpy(e->bytes, name, len);
	memcpy(e->bytes + len, answer->data, answer->len);
	link_entry(c, e);
}

struct dnscache_usage dnscache_usage(const struct dnscache *c)
{
	return (struct dnscache_usage){ c->bytes, c->used, c->entries, c->evicted, c->kept };
}
