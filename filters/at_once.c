/* SPDX-License-Identifier: BSD-3-Clause */
/* See at_once.h. */
#include "at_once.h"

#include "batv.h"
#include "siphash.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	WAYS = 8,
	COUNT_BITS = 16,
	MIN_ENTRIES = 64,
	MAX_ENTRIES = 1 << 24,
	KEY_TEXT = 400,
};

struct bucket {
	_Alignas(64) _Atomic uint64_t words[WAYS]; /* tag and count; 0: free */
};
_Static_assert(sizeof(struct bucket) == 64, "a cache line");

struct at_once {
	struct bucket *buckets; /* of worker 0, then of worker 1 ... */
	uint32_t mask;          /* of one worker's buckets */
	unsigned n_workers;
	uint8_t key[16];
};

struct at_once *at_once_new(unsigned n_workers, uint32_t entries, const uint8_t key[16])
{
	struct at_once *a = calloc(1, sizeof(*a));
	uint32_t n = MIN_ENTRIES;
	size_t size;

	if (!a)
		return NULL;
	while (n < entries && n < MAX_ENTRIES)
		n *= 2;
	size = (size_t)n_workers * (n / WAYS) * sizeof(struct bucket);
	a->mask = n / WAYS - 1;
	a->n_workers = n_workers;
	memcpy(a->key, key, sizeof(a->key));
	a->buckets = aligned_alloc(64, size);
	if (!a->buckets)
		return at_once_free(a);
	memset(a->buckets, 0, size); /* touched now: no page fault on the packet path */
	return a;
}

struct at_once *at_once_free(struct at_once *a)
{
	if (a) {
		free(a->buckets);
		free(a);
	}
	return NULL;
}

/* ---- keys ---- */

bool at_once_counts(enum memory_subject subject)
{
	return subject >= MEMORY_SENDER && subject < MEMORY_N_SUBJECTS;
}

uint64_t at_once_key(
    const struct at_once *a, enum memory_subject subject, struct text sender, struct text rcpt)
{
	uint8_t buf[1 + KEY_TEXT] = { (uint8_t)subject };
	struct text t = { NULL, 0 };
	uint64_t key;
	size_t n;

	switch (subject) {
	case MEMORY_SENDER: t = batv_bare(sender); break;
	case MEMORY_SENDER_DOMAIN: t = text_domain(sender); break;
	case MEMORY_RECIPIENT: t = batv_bare(rcpt); break;
	case MEMORY_RECIPIENT_DOMAIN: t = text_domain(rcpt); break;
	case MEMORY_BOUNCES:
		if (sender.len == 0)
			t = batv_bare(rcpt);
		break;
	default: break;
	}
	if (t.len == 0)
		return 0;
	n = t.len < KEY_TEXT ? t.len : KEY_TEXT;
	for (size_t i = 0; i < n; i++) {
		char c = t.p[i];

		buf[1 + i] = (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	key = siphash(a->key, buf, 1 + n);
	return key ? key : 1;
}

/* ---- counting ---- */

static struct bucket *bucket_of(const struct at_once *a, unsigned worker, uint64_t key)
{
	return &a->buckets[(size_t)worker * (a->mask + 1) + (key & a->mask)];
}

/* The key's word, NULL: it has none. */
static _Atomic uint64_t *find(struct bucket *b, uint64_t key, uint64_t *ret_word)
{
	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t word = atomic_load_explicit(&b->words[i], memory_order_relaxed);

		if (word && (word ^ key) >> COUNT_BITS == 0) {
			*ret_word = word;
			return &b->words[i];
		}
	}
	return NULL;
}

uint32_t at_once_count(const struct at_once *a, uint64_t key)
{
	uint64_t word;
	uint32_t n = 0;

	for (unsigned w = 0; w < a->n_workers; w++)
		if (find(bucket_of(a, w, key), key, &word))
			n += word & AT_ONCE_MAX;
	return n;
}

bool at_once_take(struct at_once *a, unsigned worker, uint64_t key)
{
	struct bucket *b = bucket_of(a, worker, key);
	uint64_t word;
	_Atomic uint64_t *place = find(b, key, &word);

	if (!place) {
		word = key >> COUNT_BITS << COUNT_BITS;
		for (unsigned i = 0; i < WAYS && !place; i++)
			if (!atomic_load_explicit(&b->words[i], memory_order_relaxed))
				place = &b->words[i];
	}
	if (!place || (word & AT_ONCE_MAX) == AT_ONCE_MAX)
		return false;
	atomic_store_explicit(place, word + 1, memory_order_relaxed);
	return true;
}

void at_once_give(struct at_once *a, unsigned worker, uint64_t key)
{
	uint64_t word;
	_Atomic uint64_t *place = find(bucket_of(a, worker, key), key, &word);

	assert(place); /* nothing is given back that was not taken */
	atomic_store_explicit(place, (word & AT_ONCE_MAX) == 1 ? 0 : word - 1, memory_order_relaxed);
}

uint64_t at_once_held(const struct at_once *a)
{
	size_t n = (size_t)a->n_workers * (a->mask + 1);
	uint64_t held = 0;

	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < WAYS; k++)
			held += atomic_load_explicit(&a->buckets[i].words[k], memory_order_relaxed) &
				AT_ONCE_MAX;
	return held;
}
