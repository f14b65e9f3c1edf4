/* SPDX-License-Identifier: BSD-3-Clause */
/* See memory_known.h. */
#include "memory_known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 4, LINE = 2 * WAYS };

int memory_known_init(struct memory_known *k, uint32_t capacity)
{
	uint32_t buckets = 8;
	void *p;

	memset(k, 0, sizeof(*k));
	while (buckets < (1u << 26) && buckets * WAYS < capacity)
		buckets *= 2;
	if (posix_memalign(&p, 64, (size_t)buckets * LINE * 8))
		return -ENOMEM;
	memset(p, 0, (size_t)buckets * LINE * 8);
	k->words = p;
	k->mask = buckets - 1;
	return 0;
}

void memory_known_fini(struct memory_known *k)
{
	free((void *)k->words);
	memset(k, 0, sizeof(*k));
}

size_t memory_known_bytes(const struct memory_known *k)
{
	return k->words ? ((size_t)k->mask + 1) * LINE * 8 : 0;
}

static _Atomic uint64_t *bucket(const struct memory_known *k, uint64_t key)
{
	return k->words + (key & k->mask) * LINE;
}

static enum memory_state state_of(
    uint64_t value, const uint32_t life_s[KNOWN_N_STATES], uint32_t now_s)
{
	enum memory_state state = (enum memory_state)(value & 3);
	uint32_t time_s = (uint32_t)(value >> 32);

	return now_s > time_s && now_s - time_s > life_s[state] ? KNOWN_ABSENT : state;
}

enum memory_state memory_known_get(const struct memory_known *k, uint64_t key,
    const uint32_t life_s[KNOWN_N_STATES], uint32_t now_s)
{
	const _Atomic uint64_t *b = bucket(k, key);

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t value;

		if (atomic_load_explicit(&b[i], memory_order_acquire) != key)
			continue;
		value = atomic_load_explicit(&b[WAYS + i], memory_order_acquire);
		if (atomic_load_explicit(&b[i], memory_order_relaxed) == key)
			return state_of(value, life_s, now_s);
	}
	return KNOWN_ABSENT;
}

static enum memory_state set(struct memory_known *k, _Atomic uint64_t *b, unsigned i, uint64_t key,
    enum memory_state state, uint32_t now_s)
{
	uint64_t was_key = atomic_load_explicit(&b[i], memory_order_relaxed);
	uint64_t was = atomic_load_explicit(&b[WAYS + i], memory_order_relaxed);
	uint64_t is = (uint64_t)now_s << 32 | (uint64_t)state;

	if (was_key)
		k->used[was & 3]--;
	k->used[state]++;
	if (was_key != key) /* nobody finds it while key and value are not each other's */
		atomic_store_explicit(&b[i], 0, memory_order_relaxed);
	atomic_store_explicit(&b[WAYS + i], is, memory_order_release);
	atomic_store_explicit(&b[i], key, memory_order_release);
	return was_key == key ? state_of(was, k->life_s, now_s) : KNOWN_ABSENT;
}

enum memory_state memory_known_put(
    struct memory_known *k, uint64_t key, enum memory_state state, uint32_t now_s)
{
	_Atomic uint64_t *b = bucket(k, key);
	unsigned victim = WAYS;
	unsigned least = KNOWN_N_STATES;
	uint32_t oldest = 0;

	for (unsigned i = 0; i < WAYS; i++)
		if (atomic_load_explicit(&b[i], memory_order_relaxed) == key)
			return set(k, b, i, key, state, now_s);
	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t value = atomic_load_explicit(&b[WAYS + i], memory_order_relaxed);
		unsigned rank = KNOWN_ABSENT;
		uint32_t time_s = 0;

		if (atomic_load_explicit(&b[i], memory_order_relaxed)) {
			rank = state_of(value, k->life_s, now_s);
			time_s = (uint32_t)(value >> 32);
		}
		if (rank < least || (rank == least && time_s < oldest)) {
			least = rank;
			oldest = time_s;
			victim = i;
		}
	}
	if (least > (unsigned)state) {
		k->not_kept++;
		return KNOWN_ABSENT;
	}
	k->displaced += least != KNOWN_ABSENT;
	return set(k, b, victim, key, state, now_s);
}

bool memory_known_remove(struct memory_known *k, uint64_t key)
{
	_Atomic uint64_t *b = bucket(k, key);

	for (unsigned i = 0; i < WAYS; i++) {
		if (atomic_load_explicit(&b[i], memory_order_relaxed) != key)
			continue;
		k->used[atomic_load_explicit(&b[WAYS + i], memory_order_relaxed) & 3]--;
		atomic_store_explicit(&b[i], 0, memory_order_release);
		return true;
	}
	return false;
}
