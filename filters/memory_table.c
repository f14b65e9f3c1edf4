/* SPDX-License-Identifier: BSD-3-Clause */
/* See memory_table.h. */
#include "memory_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 4 /* of a reader, at a row that is being written */ };

static void *touched(size_t bytes)
{
	void *p = NULL;

	if (posix_memalign(&p, 64, bytes))
		return NULL;
	memset(p, 0, bytes); /* every page now: nothing grows later */
	return p;
}

int memory_table_init(
    struct memory_table *t, uint32_t capacity, uint32_t row_words, uint32_t age_s, uint32_t idle_s)
{
	uint32_t buckets = 8;
	size_t slots;

	memset(t, 0, sizeof(*t));
	while (buckets < (1u << 24) && buckets * MEMORY_WAYS < capacity)
		buckets *= 2;
	slots = (size_t)buckets * MEMORY_WAYS;
	t->mask = buckets - 1;
	t->row_words = row_words;
	t->age_s = age_s;
	t->idle_s = idle_s;
	t->random = 0x9e3779b97f4a7c15ull;
	t->keys = touched(slots * sizeof(*t->keys));
	t->rows = touched(slots * row_words * sizeof(*t->rows));
	t->marks = touched(slots * sizeof(*t->marks));
	t->labels = touched(slots * sizeof(*t->labels));
	if (t->keys && t->rows && t->marks && t->labels)
		return 0;
	memory_table_fini(t);
	return -ENOMEM;
}

void memory_table_fini(struct memory_table *t)
{
	free((void *)t->keys);
	free((void *)t->rows);
	free(t->marks);
	free(t->labels);
	memset(t, 0, sizeof(*t));
}

size_t memory_table_bytes(const struct memory_table *t)
{
	return (size_t)memory_table_slots(t) *
	       (8 + 8 * (size_t)t->row_words + sizeof(struct memory_mark) +
		   sizeof(struct memory_label));
}

static _Atomic uint64_t *row_of(const struct memory_table *t, uint64_t slot)
{
	return t->rows + slot * t->row_words;
}

static long slot_of(const struct memory_table *t, uint64_t key)
{
	uint64_t first = (key & t->mask) * MEMORY_WAYS;

	for (unsigned i = 0; i < MEMORY_WAYS; i++)
		if (atomic_load_explicit(&t->keys[first + i], memory_order_acquire) == key)
			return (long)(first + i);
	return -1;
}

bool memory_table_read(const struct memory_table *t, uint64_t key, void *ret_row)
{
	long slot = slot_of(t, key);
	_Atomic uint64_t *row;

	if (slot < 0)
		return false;
	row = row_of(t, (uint64_t)slot);
	for (unsigned try = 0; try < TRIES; try++) {
		uint64_t words[MEMORY_ROW_MAX];
		uint64_t seq = atomic_load_explicit(&row[0], memory_order_acquire);

		for (unsigned i = 1; i < t->row_words; i++)
			words[i] = atomic_load_explicit(&row[i], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (seq & 1 || atomic_load_explicit(&row[0], memory_order_relaxed) != seq)
			continue;
		if (words[1] != key) /* the slot has another owner since */
			return false;
		memcpy(ret_row, words + 2, (t->row_words - 2) * 8);
		return true;
	}
	return false;
}

static void get(const struct memory_table *t, uint64_t slot, void *ret_row)
{
	const _Atomic uint64_t *row = row_of(t, slot);
	uint64_t words[MEMORY_ROW_MAX];

	for (unsigned i = 2; i < t->row_words; i++)
		words[i] = atomic_load_explicit(&row[i], memory_order_relaxed);
	memcpy(ret_row, words + 2, (t->row_words - 2) * 8);
}

static void put(struct memory_table *t, uint64_t slot, uint64_t key, const void *from)
{
	_Atomic uint64_t *row = row_of(t, slot);
	uint64_t seq = atomic_load_explicit(&row[0], memory_order_relaxed);
	uint64_t words[MEMORY_ROW_MAX] = { 0 };

	if (from)
		memcpy(words + 2, from, (t->row_words - 2) * 8);
	words[1] = key;
	atomic_store_explicit(&row[0], seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (unsigned i = 1; i < t->row_words; i++)
		atomic_store_explicit(&row[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&row[0], seq + 2, memory_order_release);
}

static uint32_t since(uint32_t then_s, uint32_t now_s)
{
	return now_s > then_s ? now_s - then_s : 0;
}

static unsigned weight_now(
    const struct memory_table *t, const struct memory_mark *mark, uint32_t now_s)
{
	uint32_t ages = since(mark->touched_s, now_s) / t->age_s;

	return ages > 15 ? 0 : mark->weight >> ages;
}

static uint64_t draw(struct memory_table *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random >> 16;
}

/* The slot a newcomer gets, -1: none. */
static long make_room(struct memory_table *t, uint64_t key, uint32_t now_s)
{
	uint64_t first = (key & t->mask) * MEMORY_WAYS, victim = first;
	unsigned least = UINT32_MAX;
	uint32_t oldest = 0;

	for (unsigned i = 0; i < MEMORY_WAYS; i++) {
		const struct memory_mark *mark = &t->marks[first + i];
		uint32_t age;
		unsigned weight;

		if (atomic_load_explicit(&t->keys[first + i], memory_order_relaxed) == 0) {
			t->used++;
			return (long)(first + i);
		}
		age = since(mark->touched_s, now_s);
		weight = age > t->idle_s ? 0 : weight_now(t, mark, now_s);
		if (weight < least || (weight == least && age > oldest)) {
			least = weight;
			oldest = age;
			victim = first + i;
		}
	}
	if (least > 1 && draw(t) % least != 0) {
		t->not_kept++;
		return -1;
	}
	t->displaced += least > 0;
	return (long)victim;
}

long memory_table_find(const struct memory_table *t, uint64_t key, void *ret_row)
{
	long slot = slot_of(t, key);

	if (slot >= 0)
		get(t, (uint64_t)slot, ret_row);
	return slot;
}

long memory_table_take(struct memory_table *t, uint64_t key, uint32_t now_s, void *ret_row)
{
	long slot = memory_table_find(t, key, ret_row);
	struct memory_mark *mark;

	if (slot >= 0) {
		mark = &t->marks[slot];
		mark->weight = (uint16_t)weight_now(t, mark, now_s);
		mark->weight += mark->weight < UINT16_MAX;
		mark->touched_s = now_s;
		return slot;
	}
	slot = make_room(t, key, now_s);
	if (slot < 0)
		return -1;
	mark = &t->marks[slot];
	*mark = (struct memory_mark){ .touched_s = now_s, .weight = 1 };
	put(t, (uint64_t)slot, key, NULL);
	atomic_store_explicit(&t->keys[slot], key, memory_order_release);
	memset(ret_row, 0, (t->row_words - 2) * 8);
	return slot;
}

void memory_table_write(struct memory_table *t, long slot, const void *row)
{
	put(t, (uint64_t)slot, atomic_load_explicit(&t->keys[slot], memory_order_relaxed), row);
}

void memory_table_remove(struct memory_table *t, long slot)
{
	atomic_store_explicit(&t->keys[slot], 0, memory_order_relaxed);
	put(t, (uint64_t)slot, 0, NULL);
	memset(&t->marks[slot], 0, sizeof(t->marks[slot]));
	t->used--;
}

bool memory_table_at(const struct memory_table *t, uint32_t slot, uint64_t *ret_key, void *ret_row)
{
	*ret_key = atomic_load_explicit(&t->keys[slot], memory_order_relaxed);
	if (*ret_key == 0)
		return false;
	get(t, slot, ret_row);
	return true;
}
