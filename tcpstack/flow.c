/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow table. Home bucket by the low bits of the hash, tag by the high ones. */
#include "flow.h"

#include "siphash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int flow_table_init(struct flow_table *t, uint32_t max_entries, const uint8_t hash_key[16])
{
	uint64_t n = 1;

	while (n * FLOW_BUCKET_SLOTS < (uint64_t)max_entries * 2)
		n <<= 1;
	if (n > (uint64_t)1 << 31)
		return -EINVAL;
	t->buckets = aligned_alloc(64, n * sizeof(*t->buckets));
	if (!t->buckets)
		return -ENOMEM;
	memset(t->buckets, 0, n * sizeof(*t->buckets));
	t->mask = (uint32_t)(n - 1);
	t->used = 0;
	for (uint8_t i = 0; i < FLOW_HASH_WORDS; i++)
		t->hash_key[i] = siphash24(hash_key, &i, 1);
	return 0;
}

void flow_table_fini(struct flow_table *t)
{
	free(t->buckets);
	t->buckets = NULL;
}

void flow_insert(struct flow_table *t, uint32_t hash, uint32_t index)
{
	assert(index != 0);
	for (uint32_t at = hash & t->mask;; at = (at + 1) & t->mask) {
		struct flow_bucket *b = &t->buckets[at];

		for (unsigned i = 0; i < FLOW_BUCKET_SLOTS; i++) {
			if (b->index[i] == 0) {
				b->index[i] = index;
				b->tag[i] = (uint16_t)(hash >> 16);
				t->used++;
				return;
			}
		}
		b->passed++;
	}
}

static uint32_t *find_slot(struct flow_table *t, uint32_t hash, uint32_t index, uint32_t *ret_at)
{
	for (uint32_t at = hash & t->mask;; at = (at + 1) & t->mask) {
		struct flow_bucket *b = &t->buckets[at];

		for (unsigned i = 0; i < FLOW_BUCKET_SLOTS; i++) {
			if (b->index[i] == index) {
				*ret_at = at;
				return &b->index[i];
			}
		}
		assert(b->passed > 0);
	}
}

void flow_remove(struct flow_table *t, uint32_t hash, uint32_t index)
{
	uint32_t at;

	*find_slot(t, hash, index, &at) = 0;
	t->used--;
	for (uint32_t i = hash & t->mask; i != at; i = (i + 1) & t->mask)
		t->buckets[i].passed--;
}

void flow_replace(struct flow_table *t, uint32_t hash, uint32_t old_index, uint32_t index)
{
	uint32_t at;

	*find_slot(t, hash, old_index, &at) = index;
}

uint32_t flow_next(const struct flow_table *t, uint32_t hash, struct flow_cursor *cursor)
{
	uint16_t tag = (uint16_t)(hash >> 16);
	uint32_t at = cursor->bucket_plus_1 ? cursor->bucket_plus_1 - 1 : hash & t->mask;

	for (;;) {
		const struct flow_bucket *b = &t->buckets[at];

		for (unsigned i = cursor->slot; i < FLOW_BUCKET_SLOTS; i++) {
			if (b->tag[i] == tag && b->index[i] != 0) {
				cursor->bucket_plus_1 = at + 1;
				cursor->slot = i + 1;
				return b->index[i];
			}
		}
		if (b->passed == 0)
			return 0;
		at = (at + 1) & t->mask;
		cursor->slot = 0;
	}
}
