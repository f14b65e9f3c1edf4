/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table of fixed size that strangers fill: 64-bit keys (secret hash, made by memory_key.c), rows of a
 * few words. One writer; readers are lock-free: each row has a sequence number, odd while it is
 * being written, and a reader that meets that a few times takes the row for absent, so it never
 * waits for a writer that was descheduled.
 *
 * Replacement (space-saving within a bucket of eight): every row has a weight, what it was touched,
 * halved each `age_s`. A newcomer takes a free or idle place, else that of the lightest row with a
 * probability of one in its weight. So made-up keys, seen once, push out each other and not those with
 * history, and still nobody can fill the table for good. Counts are not inherited as in the textbook
 * form: a newcomer would begin with a stranger's count and be throttled for it. Whoever is pushed out
 * is undercounted, never overcounted. Rejected: a count-min sketch (overcounts the honest under flood).
 */
#ifndef POSTERN_FILTERS_MEMORY_TABLE_H
#define POSTERN_FILTERS_MEMORY_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEMORY_WAYS = 8, MEMORY_LABEL = 47, MEMORY_ROW_MAX = 16 };

/* The writer's alone: a line per bucket decides who goes. */
struct memory_mark {
	uint32_t touched_s;
	uint16_t weight;
	uint8_t kind; /* the caller's */
	uint8_t reserved;
};
struct memory_label {
	char text[MEMORY_LABEL + 1]; /* what the key is of, cut; the caller's */
};

struct memory_table {
	_Atomic uint64_t *keys; /* a line per bucket; 0: free */
	_Atomic uint64_t *rows; /* row_words each: sequence, key, then the caller's */
	struct memory_mark *marks;
	struct memory_label *labels;
	uint32_t mask; /* of buckets */
	uint32_t row_words;
	uint32_t age_s, idle_s;
	uint64_t random;
	uint64_t used, displaced, not_kept;
};

/* row_words: with two for sequence and key, MEMORY_ROW_MAX at most. -ENOMEM. */
int memory_table_init(
    struct memory_table *t, uint32_t capacity, uint32_t row_words, uint32_t age_s, uint32_t idle_s);
void memory_table_fini(struct memory_table *t);
size_t memory_table_bytes(const struct memory_table *t);
static inline uint32_t memory_table_slots(const struct memory_table *t)
{
	return (t->mask + 1) * MEMORY_WAYS;
}

/* ---- readers ---- */

/* Copies the caller's words (row_words - 2). */
bool memory_table_read(const struct memory_table *t, uint64_t key, void *ret_row);
static inline void memory_table_prefetch(const struct memory_table *t, uint64_t key)
{
	__builtin_prefetch((const void *)&t->keys[(key & t->mask) * MEMORY_WAYS]);
}

/* ---- the writer ---- */

static inline void memory_table_prefetch_write(const struct memory_table *t, uint64_t key)
{
	__builtin_prefetch((const void *)&t->keys[(key & t->mask) * MEMORY_WAYS]);
	__builtin_prefetch(&t->marks[(key & t->mask) * MEMORY_WAYS]);
}

/* The key's slot, with its row in ret_row; -1: none. */
long memory_table_find(const struct memory_table *t, uint64_t key, void *ret_row);
/* The same, or a new slot with a row of zeros; -1: not admitted (counted). Touches it. */
long memory_table_take(struct memory_table *t, uint64_t key, uint32_t now_s, void *ret_row);
void memory_table_write(struct memory_table *t, long slot, const void *row);
void memory_table_remove(struct memory_table *t, long slot);
/* The row of a slot; false: free. */
bool memory_table_at(const struct memory_table *t, uint32_t slot, uint64_t *ret_key, void *ret_row);

#endif
