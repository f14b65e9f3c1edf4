/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounded tables of prefixes, four ways to a cache line, decaying by time alone.
 *
 * A limit is one timestamp per prefix (the generic cell rate algorithm): nothing to refill. When a
 * new prefix needs a slot it takes the one that is nearest to full credit and *inherits* its debt,
 * so a flood over more prefixes than there are slots cannot reset anybody's cap: the table as a
 * whole never allows more than slots times the cap. Rejected: one global cap, by which one loud
 * source would silence us toward everyone.
 */
#include "ratelimit.h"

#include <errno.h>
#include <stdlib.h>

static const uint64_t SECOND_NS = 1000000000u;

static uint64_t multiplier_of(const uint8_t key[16])
{
	uint64_t m;

	memcpy(&m, key + 3, sizeof(m)); /* any eight bytes of a random key */
	return m * 0x9e3779b97f4a7c15ull | 1;
}

int ratelimit_init(struct ratelimit *rl, unsigned n_sets, uint32_t per_second, const uint8_t key[16])
{
	size_t bytes = (size_t)n_sets * RATELIMIT_WAYS * sizeof(*rl->slots);

	rl->slots = aligned_alloc(64, bytes);
	if (!rl->slots)
		return -ENOMEM;
	memset(rl->slots, 0, bytes);
	rl->multiplier = multiplier_of(key);
	rl->interval_ns = SECOND_NS / per_second;
	if (!rl->interval_ns)
		rl->interval_ns = 1;
	for (rl->shift = 64; n_sets > 1; n_sets /= 2)
		rl->shift--;
	return 0;
}

void ratelimit_fini(struct ratelimit *rl)
{
	free(rl->slots);
	rl->slots = NULL;
}

static uint32_t window_of(uint64_t now_ns)
{
	return (uint32_t)(now_ns / (10 * SECOND_NS)) + 1;
}

int tally_init(struct tally *t, const uint8_t key[16])
{
	size_t bytes = (size_t)TALLY_SETS * RATELIMIT_WAYS * sizeof(*t->slots);

	t->slots = aligned_alloc(64, bytes);
	if (!t->slots)
		return -ENOMEM;
	memset(t->slots, 0, bytes);
	t->multiplier = multiplier_of(key);
	return 0;
}

void tally_fini(struct tally *t)
{
	free(t->slots);
	t->slots = NULL;
}

static struct tally_slot *tally_set(const struct tally *t, uint64_t key)
{
	return t->slots + ((key * t->multiplier) >> 54) * RATELIMIT_WAYS;
}

_Static_assert(TALLY_SETS == 1 << 10, "tally_set");

void tally_add(struct tally *t, uint64_t key, uint64_t now_ns)
{
	struct tally_slot *s = tally_set(t, key), *best = s;
	uint32_t window = window_of(now_ns);

	t->last_window = window;
	for (unsigned i = 0; i < RATELIMIT_WAYS; i++) {
		if (s[i].key == key && s[i].window) {
			/* A window that went over counts on through the next one. */
			if (s[i].window != window &&
			    !(s[i].window + 1 == window && s[i].count > TALLY_LIMIT))
				s[i].count = 0;
			if (s[i].window != window && s[i].count > TALLY_LIMIT)
				return;
			s[i].window = window;
			s[i].count++;
			return;
		}
		if (s[i].window < best->window ||
		    (s[i].window == best->window && s[i].count < best->count))
			best = &s[i];
	}
	*best = (struct tally_slot){ key, window, 1 };
}

bool tally_over(const struct tally *t, uint64_t key, uint64_t now_ns)
{
	uint32_t window = window_of(now_ns);

	if (t->last_window + 1 < window)
		return false;
	const struct tally_slot *s = tally_set(t, key);
	for (unsigned i = 0; i < RATELIMIT_WAYS; i++) {
		if (s[i].key == key && s[i].window && s[i].window + 1 >= window)
			return s[i].count > TALLY_LIMIT;
	}
	return false;
}
