/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the overlay (overlay.h), in bursts and one prefix length at a time: heads are prefetched
 * for the whole burst, then the buckets of those few whose filter does not say no. Lengths without
 * entries are not looked at, so an empty table costs a line and a table of hosts one step a client.
 *
 * Rejected: a look-up per client over all lengths (each would wait for memory in turn).
 */
#include "overlay_table.h"

#include <string.h>

enum { BURST = 64 };

const char *const overlay_origin_words[OVERLAY_N_ORIGINS] = {
	[OVERLAY_OPERATOR] = "operator",
	[OVERLAY_IMPORT] = "import",
	[OVERLAY_AUTOMATIC] = "automatic",
};

/* Clients of one family. */
struct burst {
	unsigned n;
	uint8_t at[BURST]; /* place in the caller's arrays */
	uint64_t hi[BURST], lo[BURST];
};

/* The lengths that have entries, the longest first. */
struct lengths {
	unsigned n;
	uint8_t len129[OVERLAY_LENS6];
};

static void lengths_of(uint64_t word, unsigned first, struct lengths *l)
{
	while (word) {
		unsigned bit = 63 - (unsigned)__builtin_clzll(word);

		l->len129[l->n++] = (uint8_t)(first + bit);
		word &= ~(1ull << bit);
	}
}

/* What one entry says of the client. */
static void weigh(uint64_t word, unsigned len, const uint8_t kinds[OVERLAY_LISTS], uint8_t compiled,
    struct overlay_hit *hit)
{
	unsigned list = overlay_word_list(word);
	uint8_t kind;

	if (overlay_word_lifts(word)) {
		hit->lifted |= list == compiled;
		return;
	}
	kind = list == OVERLAY_BAN ? (uint8_t)overlay_word_kind(word) : kinds[list];
	if (kind == VERDICT_NONE || hit->kind == VERDICT_PASS)
		return;
	if (kind == VERDICT_PASS || hit->kind == VERDICT_NONE ||
	    (hit->len == len && kind > hit->kind))
		*hit = (struct overlay_hit){ kind, (uint8_t)list, (uint8_t)len, hit->lifted };
}

/* All entries of one prefix, in the buckets that its home reaches into. */
static void scan(const struct overlay *o, const struct overlay_hash *h, unsigned reach, uint64_t hi,
    uint64_t lo, unsigned len129, unsigned len, const uint8_t kinds[OVERLAY_LISTS],
    uint8_t compiled, uint32_t now_s, struct overlay_hit *hit)
{
	uint32_t b = h->bucket;

	for (; reach; reach--) {
		const struct overlay_bucket *bucket = &o->buckets[b];

		for (unsigned r = 0; r < OVERLAY_ROWS; r++) {
			const struct overlay_row *row = &bucket->rows[r];
			uint64_t word = atomic_load_explicit(&row->word, memory_order_acquire);
			uint64_t again;

			if ((word & 0xff) != len129 + 1 ||
			    atomic_load_explicit(&row->lo, memory_order_acquire) != lo ||
			    atomic_load_explicit(&row->hi, memory_order_acquire) != hi)
				continue;
			again = atomic_load_explicit(&row->word, memory_order_relaxed);
			if ((again ^ word) & OVERLAY_SAME)
				continue; /* let go meanwhile */
			if (overlay_word_expires(again) && overlay_word_expires(again) <= now_s)
				continue;
			weigh(again, len, kinds, compiled, hit);
		}
		if (++b == o->n_buckets)
			b = 0;
	}
}

static void judge_family(const struct overlay *o, const struct burst *burst,
    const struct lengths *lengths, unsigned family_bits, const uint8_t kinds[OVERLAY_LISTS],
    const uint8_t *compiled, uint32_t now_s, struct overlay_hit *hits)
{
	struct overlay_hash hash[BURST];
	uint8_t maybe[BURST], reach[BURST];

	if (burst->n == 0)
		return;
	for (unsigned i = 0; i < lengths->n; i++) {
		unsigned len129 = lengths->len129[i], n_maybe = 0;
		uint64_t mask_hi = overlay_mask_hi(len129), mask_lo = overlay_mask_lo(len129);

		for (unsigned k = 0; k < burst->n; k++) {
			hash[k] =
			    overlay_hash(o, burst->hi[k] & mask_hi, burst->lo[k] & mask_lo, len129);
			__builtin_prefetch(&o->heads[hash[k].bucket]);
		}
		for (unsigned k = 0; k < burst->n; k++) {
			uint32_t head =
			    atomic_load_explicit(&o->heads[hash[k].bucket], memory_order_acquire);

			if (!(head & hash[k].filter))
				continue;
			__builtin_prefetch(&o->buckets[hash[k].bucket]);
			__builtin_prefetch((const char *)&o->buckets[hash[k].bucket] + 64);
			reach[n_maybe] = (uint8_t)head;
			maybe[n_maybe++] = (uint8_t)k;
		}
		for (unsigned m = 0; m < n_maybe; m++) {
			unsigned k = maybe[m], at = burst->at[k];

			scan(o, &hash[k], reach[m], burst->hi[k] & mask_hi, burst->lo[k] & mask_lo,
			    len129, len129 - family_bits, kinds, compiled[at], now_s, &hits[at]);
		}
	}
}

bool overlay_is_empty(const struct overlay *o)
{
	return !(atomic_load_explicit(&o->lens[0], memory_order_acquire) |
		 atomic_load_explicit(&o->lens[1], memory_order_acquire) |
		 atomic_load_explicit(&o->lens[2], memory_order_acquire) |
		 atomic_load_explicit(&o->lens[3], memory_order_acquire));
}

void overlay_judge(const struct overlay *o, const uint8_t kinds[OVERLAY_LISTS],
    const uint8_t (*clients)[16], const uint8_t *compiled, unsigned n, uint32_t now_s,
    struct overlay_hit *ret_hits)
{
	struct lengths v4 = { 0 }, v6 = { 0 };

	memset(ret_hits, 0, n * sizeof(*ret_hits));
	lengths_of(atomic_load_explicit(&o->lens[0], memory_order_acquire), 96, &v4);
	for (unsigned w = 3; w > 0; w--)
		lengths_of(
		    atomic_load_explicit(&o->lens[w], memory_order_acquire), (w - 1) * 64, &v6);
	if (v4.n + v6.n == 0)
		return;
	for (unsigned at = 0; at < n; at += BURST) {
		unsigned m = n - at < BURST ? n - at : BURST;
		struct burst b4, b6;

		b4.n = b6.n = 0;
		for (unsigned k = 0; k < m; k++) {
			uint64_t hi = overlay_load64(clients[at + k]);
			uint64_t lo = overlay_load64(clients[at + k] + 8);
			struct burst *b = overlay_v4(hi, lo) ? &b4 : &b6;

			b->at[b->n] = (uint8_t)k;
			b->hi[b->n] = hi;
			b->lo[b->n++] = lo;
		}
		judge_family(o, &b4, &v4, 96, kinds, compiled + at, now_s, ret_hits + at);
		judge_family(o, &b6, &v6, 0, kinds, compiled + at, now_s, ret_hits + at);
	}
}
_Static_assert(VERDICT_NONE == 0, "a zeroed hit says nothing");
