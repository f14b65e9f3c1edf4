/* SPDX-License-Identifier: BSD-3-Clause */
/* The index: places, judging, and the one writer's changes. The design is in greylist.h. */
#include "greylist.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { WAYS = 4, BURST = 32, HUGE = 2 << 20 };

struct slot {
	_Atomic uint64_t key;  /* 0: free. Written by the writer, read by all */
	_Atomic uint64_t word; /* time, passes, state, check. Likewise */
};

struct bucket {
	_Alignas(64) struct slot slots[WAYS];
};
_Static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");

struct greylist {
	struct bucket *buckets;
	uint32_t n_buckets;
	uint8_t secret[16];
	struct greylist_counts counts; /* the writer's */
};

const char *const greylist_state_words[GREYLIST_N_STATES] = {
	[GREYLIST_ABSENT] = "absent",
	[GREYLIST_PENDING] = "pending",
	[GREYLIST_TRAPPED] = "trapped",
	[GREYLIST_ACCEPTED] = "accepted",
	[GREYLIST_WHITELISTED] = "white",
};

const char *const greylist_answer_words[GREYLIST_N_ANSWERS] = {
	[GREYLIST_FIRST] = "first",
	[GREYLIST_EXPIRED] = "expired",
	[GREYLIST_EARLY] = "early",
	[GREYLIST_FULL] = "full",
	[GREYLIST_PASSED] = "passed",
	[GREYLIST_KNOWN] = "known",
	[GREYLIST_WHITE] = "white",
	[GREYLIST_TRAP] = "trapped",
};

/* ---- words ---- */

static uint64_t check_of(uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull) >> 48;
}

static uint64_t word_of(uint64_t key, const struct greylist_entry *e)
{
	return (uint64_t)e->time_s << 32 | (uint64_t)(e->passes & GREYLIST_MAX_PASSES) << 19 |
	       (uint64_t)(e->state & 7) << 16 | check_of(key);
}

static struct greylist_entry entry_of(uint64_t word)
{
	return (struct greylist_entry){
		.time_s = (uint32_t)(word >> 32),
		.passes = (uint16_t)(word >> 19 & GREYLIST_MAX_PASSES),
		.state = (uint8_t)(word >> 16 & 7),
	};
}

/* Both halves of the key choose a bucket each; by multiplication, so that any number of buckets
 * serves. */
static struct bucket *bucket_a(const struct greylist *g, uint64_t key)
{
	return &g->buckets[(key >> 32) * g->n_buckets >> 32];
}

static struct bucket *bucket_b(const struct greylist *g, uint64_t key)
{
	return &g->buckets[(key & UINT32_MAX) * g->n_buckets >> 32];
}

static bool read_slot(struct slot *s, uint64_t key, struct greylist_entry *ret_entry)
{
	uint64_t word;

	if (atomic_load_explicit(&s->key, memory_order_acquire) != key)
		return false;
	word = atomic_load_explicit(&s->word, memory_order_acquire);
	if (atomic_load_explicit(&s->key, memory_order_relaxed) != key ||
	    (word & UINT16_MAX) != check_of(key))
		return false;
	*ret_entry = entry_of(word);
	return true;
}

/* Which slots seem to hold the key, a bit each: without branches, since which one it is, if any,
 * cannot be predicted. */
static unsigned seen_in(struct bucket *b, uint64_t key)
{
	unsigned seen = 0;

	for (unsigned i = 0; i < WAYS; i++)
		seen |=
		    (unsigned)(atomic_load_explicit(&b->slots[i].key, memory_order_relaxed) == key)
		    << i;
	return seen;
}

bool greylist_get(const struct greylist *g, uint64_t key, struct greylist_entry *ret_entry)
{
	struct bucket *a = bucket_a(g, key), *b = bucket_b(g, key);
	unsigned seen = seen_in(a, key) | seen_in(b, key) << WAYS;
	unsigned i;

	if (!seen)
		return false;
	i = (unsigned)__builtin_ctz(seen);
	return read_slot(i < WAYS ? &a->slots[i] : &b->slots[i - WAYS], key, ret_entry);
}

/* ---- judging ---- */

static uint32_t age(uint32_t time_s, uint32_t now_s)
{
	return now_s > time_s ? now_s - time_s : 0;
}

bool greylist_expired(const struct greylist_entry *e, uint32_t now_s, const struct policy_grey *s)
{
	const uint32_t life[GREYLIST_N_STATES] = {
		[GREYLIST_PENDING] = s->retry_window_s,
		[GREYLIST_TRAPPED] = s->trap_s,
		[GREYLIST_ACCEPTED] = s->life_s,
		[GREYLIST_WHITELISTED] = s->white_life_s,
	};

	return e->state >= GREYLIST_N_STATES || age(e->time_s, now_s) > life[e->state];
}

static bool bucket_is_kept(struct bucket *b, uint32_t now_s, const struct policy_grey *s)
{
	for (unsigned i = 0; i < WAYS; i++) {
		struct greylist_entry e =
		    entry_of(atomic_load_explicit(&b->slots[i].word, memory_order_relaxed));

		if (atomic_load_explicit(&b->slots[i].key, memory_order_relaxed) == 0 ||
		    e.state <= GREYLIST_PENDING || greylist_expired(&e, now_s, s))
			return false;
	}
	return true;
}

static enum greylist_answer of_unknown(const struct greylist *g, uint64_t key,
    enum greylist_answer otherwise, uint32_t now_s, const struct policy_grey *s)
{
	return bucket_is_kept(bucket_a(g, key), now_s, s) &&
		       bucket_is_kept(bucket_b(g, key), now_s, s)
		   ? GREYLIST_FULL
		   : otherwise;
}

enum greylist_answer greylist_judge(const struct greylist *g, const struct greylist_keys *keys,
    uint32_t now_s, const struct policy_grey *s)
{
	struct greylist_entry own = { 0 }, pool = { 0 };

	if (greylist_get(g, keys->triplet, &own) && own.state >= GREYLIST_ACCEPTED &&
	    !greylist_expired(&own, now_s, s))
		return own.state == GREYLIST_WHITELISTED ? GREYLIST_WHITE : GREYLIST_KNOWN;
	if (greylist_get(g, keys->pool, &pool) && !greylist_expired(&pool, now_s, s)) {
		if (pool.state == GREYLIST_WHITELISTED)
			return GREYLIST_WHITE;
		if (pool.state == GREYLIST_TRAPPED)
			return GREYLIST_TRAP;
	}
	if (own.state == GREYLIST_ABSENT)
		return of_unknown(g, keys->triplet, GREYLIST_FIRST, now_s, s);
	if (greylist_expired(&own, now_s, s))
		return GREYLIST_EXPIRED;
	return age(own.time_s, now_s) < s->delay_s ? GREYLIST_EARLY : GREYLIST_PASSED;
}

void greylist_judge_many(const struct greylist *g, const struct greylist_keys *keys, unsigned n,
    uint32_t now_s, const struct policy_grey *s, uint8_t *ret_answers)
{
	for (unsigned i = 0; i < n && i < BURST; i++) {
		__builtin_prefetch(bucket_a(g, keys[i].triplet));
		__builtin_prefetch(bucket_b(g, keys[i].triplet));
		__builtin_prefetch(bucket_a(g, keys[i].pool));
		__builtin_prefetch(bucket_b(g, keys[i].pool));
	}
	for (unsigned i = 0; i < n; i++) {
		if (i + BURST < n) {
			const struct greylist_keys *ahead = &keys[i + BURST];

			__builtin_prefetch(bucket_a(g, ahead->triplet));
			__builtin_prefetch(bucket_b(g, ahead->triplet));
			__builtin_prefetch(bucket_a(g, ahead->pool));
			__builtin_prefetch(bucket_b(g, ahead->pool));
		}
		ret_answers[i] = (uint8_t)greylist_judge(g, &keys[i], now_s, s);
	}
}

/* ---- the writer ---- */

struct greylist *greylist_new(uint32_t capacity)
{
	struct greylist *g = calloc(1, sizeof(*g));
	size_t len;

	if (!g)
		return NULL;
	if (capacity < GREYLIST_MIN_CAPACITY)
		capacity = GREYLIST_MIN_CAPACITY;
	if (capacity > GREYLIST_MAX_CAPACITY)
		capacity = GREYLIST_MAX_CAPACITY;
	/* 60 % full at capacity: with two buckets of four to choose from hardly any overflow */
	g->n_buckets = (uint32_t)((uint64_t)capacity * 5 / 3 / WAYS + 1);
	len = (size_t)g->n_buckets * sizeof(*g->buckets);
	len = (len + HUGE - 1) & ~(size_t)(HUGE - 1);
	g->buckets = aligned_alloc(HUGE, len);
	if (!g->buckets) {
		free(g);
		return NULL;
	}
	/* random look-ups: with small pages each would miss the TLB as well */
	(void)madvise(g->buckets, len, MADV_HUGEPAGE);
	memset(g->buckets, 0, len);
	g->counts.slots = (uint64_t)g->n_buckets * WAYS;
	return g;
}

struct greylist *greylist_free(struct greylist *g)
{
	if (g)
		free(g->buckets);
	free(g);
	return NULL;
}

void greylist_set_secret(struct greylist *g, const uint8_t secret[16])
{
	memcpy(g->secret, secret, sizeof(g->secret));
}

const uint8_t *greylist_secret(const struct greylist *g)
{
	return g->secret;
}

static uint64_t key_in(struct slot *s)
{
	return atomic_load_explicit(&s->key, memory_order_relaxed);
}

static struct greylist_entry entry_in(struct slot *s)
{
	return entry_of(atomic_load_explicit(&s->word, memory_order_relaxed));
}

static struct slot *find(struct greylist *g, uint64_t key)
{
	struct bucket *both[2] = { bucket_a(g, key), bucket_b(g, key) };

	for (unsigned b = 0; b < 2; b++)
		for (unsigned i = 0; i < WAYS; i++)
			if (key_in(&both[b]->slots[i]) == key)
				return &both[b]->slots[i];
	return NULL;
}

static struct slot *free_slot(struct bucket *b, unsigned *ret_used)
{
	struct slot *found = NULL;

	*ret_used = 0;
	for (unsigned i = 0; i < WAYS; i++) {
		if (key_in(&b->slots[i]) == 0)
			found = &b->slots[i];
		else
			++*ret_used;
	}
	return found;
}

/* Whose place a newcomer of that state may take; states are numbered by rank. */
static struct slot *victim(
    struct bucket *both[2], uint8_t state, uint32_t now_s, const struct policy_grey *s)
{
	struct slot *found = NULL;
	struct greylist_entry least = { 0 };

	for (unsigned b = 0; b < 2; b++) {
		for (unsigned i = 0; i < WAYS; i++) {
			struct slot *slot = &both[b]->slots[i];
			struct greylist_entry e = entry_in(slot);

			if (greylist_expired(&e, now_s, s))
				return slot;
			if (e.state > state)
				continue;
			if (!found || e.state < least.state ||
			    (e.state == least.state && e.time_s < least.time_s)) {
				found = slot;
				least = e;
			}
		}
	}
	return found;
}

static void clear_slot(struct greylist *g, struct slot *s)
{
	g->counts.entries[entry_in(s).state]--;
	atomic_store_explicit(&s->key, 0, memory_order_relaxed);
}

static void fill_slot(
    struct greylist *g, struct slot *s, uint64_t key, const struct greylist_entry *e)
{
	/* release: who sees the word, or the key, sees what was written before it */
	atomic_store_explicit(&s->word, word_of(key, e), memory_order_release);
	atomic_store_explicit(&s->key, key, memory_order_release);
	g->counts.entries[e->state]++;
}

static unsigned insert(struct greylist *g, uint64_t key, const struct greylist_entry *e,
    uint32_t now_s, const struct policy_grey *settings, struct greylist_change *changes)
{
	struct bucket *both[2] = { bucket_a(g, key), bucket_b(g, key) };
	unsigned n = 0, used_a, used_b;
	struct slot *a = free_slot(both[0], &used_a), *b = free_slot(both[1], &used_b);
	struct slot *to = used_b < used_a ? b : a;

	if (!to) {
		struct greylist_entry was;
		bool over;

		to = victim(both, e->state, now_s, settings);
		if (!to) {
			g->counts.not_kept++;
			return 0;
		}
		was = entry_in(to);
		over = greylist_expired(&was, now_s, settings);
		if (over)
			g->counts.expired++;
		else
			g->counts.displaced[was.state]++;
		changes[n++] = (struct greylist_change){ key_in(to), was, { 0 }, !over };
		clear_slot(g, to);
	}
	fill_slot(g, to, key, e);
	changes[n++] = (struct greylist_change){ key, { 0 }, *e, false };
	return n;
}

unsigned greylist_put(struct greylist *g, uint64_t key, const struct greylist_entry *e,
    uint32_t now_s, const struct policy_grey *settings, struct greylist_change *changes)
{
	struct slot *s = find(g, key);
	struct greylist_entry was;

	if (!s)
		return e->state == GREYLIST_ABSENT ? 0 : insert(g, key, e, now_s, settings, changes);
	was = entry_in(s);
	changes[0] = (struct greylist_change){ key, was, *e, false };
	if (e->state == GREYLIST_ABSENT) {
		clear_slot(g, s);
		return 1;
	}
	g->counts.entries[was.state]--;
	g->counts.entries[e->state]++;
	atomic_store_explicit(&s->word, word_of(key, e), memory_order_release);
	return 1;
}

static unsigned tried(struct greylist *g, const struct grey_note *note,
    const struct policy_grey *settings, struct greylist_change *changes)
{
	struct greylist_entry was, e = { .time_s = note->now_s,
		.passes = note->lot & GREYLIST_MAX_PASSES,
		.state = GREYLIST_PENDING };

	if (greylist_get(g, note->keys.triplet, &was) &&
	    !greylist_expired(&was, note->now_s, settings))
		return 0; /* the first try counts */
	return greylist_put(g, note->keys.triplet, &e, note->now_s, settings, changes);
}

/* One more accepted message. Changes that say nothing new are not made: a busy pool would be
 * written down with each message. */
static unsigned accepted(struct greylist *g, uint64_t key, uint32_t now_s,
    const struct policy_grey *settings, struct greylist_change *changes)
{
	struct greylist_entry e = { 0 }, is = { now_s, 1, GREYLIST_ACCEPTED };

	if (!greylist_get(g, key, &e) || greylist_expired(&e, now_s, settings))
		e.state = GREYLIST_ABSENT;
	if (e.state == GREYLIST_TRAPPED)
		return 0; /* a known triplet's mail does not free its pool */
	if (e.state >= GREYLIST_ACCEPTED) {
		uint32_t life =
		    e.state == GREYLIST_ACCEPTED ? settings->life_s : settings->white_life_s;

		is = e;
		if (e.state == GREYLIST_ACCEPTED && settings->white_after &&
		    e.passes < GREYLIST_MAX_PASSES)
			is.passes++;
		else if (age(e.time_s, now_s) < life / 16)
			return 0;
		if (now_s > e.time_s)
			is.time_s = now_s;
	}
	if (settings->white_after && is.passes >= settings->white_after)
		is.state = GREYLIST_WHITELISTED;
	return greylist_put(g, key, &is, now_s, settings, changes);
}

static unsigned trapped(struct greylist *g, const struct grey_note *note,
    const struct policy_grey *settings, struct greylist_change *changes)
{
	struct greylist_entry e = { note->now_s, 0, GREYLIST_TRAPPED }, was;

	/* a pool with a record is no bot; its triplets were judged one by one */
	if (greylist_get(g, note->keys.pool, &was) && was.state >= GREYLIST_ACCEPTED &&
	    !greylist_expired(&was, note->now_s, settings))
		return 0;
	return greylist_put(g, note->keys.pool, &e, note->now_s, settings, changes);
}

unsigned greylist_apply(struct greylist *g, const struct grey_note *note,
    const struct policy_grey *settings, struct greylist_change changes[GREYLIST_MAX_CHANGES])
{
	unsigned n;

	switch (note->kind) {
	case GREY_TRIED: return tried(g, note, settings, changes);
	case GREY_TRAPPED: return trapped(g, note, settings, changes);
	case GREY_ACCEPTED:
		n = accepted(g, note->keys.triplet, note->now_s, settings, changes);
		if (note->keys.pool) /* told once of a message to several */
			n += accepted(g, note->keys.pool, note->now_s, settings, changes + n);
		return n;
	default: return 0;
	}
}

unsigned greylist_sweep(struct greylist *g, uint32_t *cursor, unsigned n, uint32_t now_s,
    const struct policy_grey *settings, struct greylist_change *changes, unsigned cap)
{
	unsigned made = 0;

	for (; n && made + WAYS <= cap; n--) {
		if (*cursor >= g->n_buckets)
			*cursor = 0;
		for (unsigned i = 0; i < WAYS; i++) {
			struct slot *s = &g->buckets[*cursor].slots[i];
			struct greylist_entry e = entry_in(s);

			if (key_in(s) == 0 || !greylist_expired(&e, now_s, settings))
				continue;
			changes[made++] = (struct greylist_change){ key_in(s), e, { 0 }, false };
			clear_slot(g, s);
			g->counts.expired++;
		}
		++*cursor;
	}
	return made;
}

struct greylist_counts greylist_counts(const struct greylist *g)
{
	return g->counts;
}
