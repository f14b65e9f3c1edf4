/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay's memory. Readers' part: a head per bucket (how many buckets its entries reach into,
 * and a filter of 24 bits, so that nearly every miss ends there: 4 bytes a bucket stay in the
 * cache), buckets of five rows in two lines. An entry stays in its row for life; an update is one
 * store of the row's word. The writer's part lies in arrays of its own.
 *
 * Row's word: expiry 32 | turn 11 | lifts 1 | kind 4 | list 8 | prefix length + 1 8 (0: free row)
 * with the length of IPv4 counted behind ::ffff: (96 and up). The turn changes at each reuse of the
 * row, so a reader that finds turn and length the same before and after the address has read that
 * address.
 */
#ifndef POSTERN_FILTERS_OVERLAY_TABLE_H
#define POSTERN_FILTERS_OVERLAY_TABLE_H

#include "overlay.h"

#include <stdatomic.h>

enum {
	OVERLAY_ROWS = 5,
	OVERLAY_MAX_REACH = 255,
	OVERLAY_LENS4 = 33,
	OVERLAY_LENS6 = 129,
};

struct overlay_row {
	_Atomic uint64_t word, hi, lo;
};

struct overlay_bucket {
	_Alignas(64) struct overlay_row rows[OVERLAY_ROWS];
	uint64_t reserved;
};
_Static_assert(sizeof(struct overlay_bucket) == 128, "two cache lines a bucket");

enum { OVERLAY_KIND_SHIFT = 16, OVERLAY_LIFTS_SHIFT = 20, OVERLAY_TURN_SHIFT = 21 };
#define OVERLAY_TURNS 0x7ffull
#define OVERLAY_SAME  (OVERLAY_TURNS << OVERLAY_TURN_SHIFT | 0xff) /* of a row not reused */

static inline uint64_t overlay_word(
    unsigned len129, unsigned list, unsigned kind, bool lifts, unsigned turn, uint32_t expires_s)
{
	return (uint64_t)expires_s << 32 | (turn & OVERLAY_TURNS) << OVERLAY_TURN_SHIFT |
	       (uint64_t)lifts << OVERLAY_LIFTS_SHIFT | (uint64_t)kind << OVERLAY_KIND_SHIFT |
	       (uint64_t)list << 8 | (len129 + 1);
}
_Static_assert(VERDICT_N_KINDS <= 16, "a kind has four bits");

static inline unsigned overlay_word_len(uint64_t word)
{
	return (unsigned)(word & 0xff) - 1;
}

static inline unsigned overlay_word_list(uint64_t word)
{
	return (unsigned)(word >> 8 & 0xff);
}

static inline unsigned overlay_word_kind(uint64_t word)
{
	return (unsigned)(word >> OVERLAY_KIND_SHIFT & 0xf);
}

static inline bool overlay_word_lifts(uint64_t word)
{
	return word >> OVERLAY_LIFTS_SHIFT & 1;
}

static inline uint32_t overlay_word_expires(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

/* What the writer alone knows of a row. */
struct overlay_note {
	uint32_t created_s;
	uint32_t heap;   /* place in its heap plus one; 0: in none */
	uint16_t reason; /* index plus one */
	uint16_t turn;
	uint8_t origin;
};

/* Rows by expiry, the first to end on top. */
struct overlay_heap {
	uint32_t n;
	uint32_t *rows;
};

struct overlay_reason {
	uint32_t users, next; /* next: in the chain of its hash, or of free ones; plus one */
	char text[OVERLAY_REASON_MAX + 1];
};

struct overlay {
	/* readers' */
	_Alignas(64) _Atomic uint64_t lens[4]; /* lengths that have entries: IPv4's, then IPv6's */
	uint64_t key[2];
	uint32_t n_buckets;
	_Atomic uint32_t *heads;
	struct overlay_bucket *buckets;

	/* the writer's */
	_Alignas(64) uint32_t capacity, n;
	uint32_t by_len4[OVERLAY_LENS4], by_len6[OVERLAY_LENS6], by_list[OVERLAY_LISTS], automatic;
	uint64_t evicted, reasons_dropped;
	struct overlay_note *notes;
	struct overlay_heap ending, bans; /* bans: automatic ones; ending: all others that end */
	struct overlay_reason *reasons;
	uint32_t *reason_chains, free_reason;
	char names[OVERLAY_LISTS][OVERLAY_NAME_MAX + 1];
	bool used[OVERLAY_LISTS];
};

struct overlay_hash {
	uint32_t bucket;
	uint32_t filter; /* one bit of 24, above the reach */
};

static inline uint64_t overlay_fold(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Keyed, two multiplications: enough against whoever sees verdicts and not hashes. */
static inline struct overlay_hash overlay_hash(
    const struct overlay *o, uint64_t hi, uint64_t lo, unsigned len129)
{
	uint64_t h = overlay_fold(hi ^ o->key[0], lo ^ o->key[1]);

	h = overlay_fold(h ^ len129 ^ o->key[1], 0x9e3779b97f4a7c15ull ^ o->key[0]);
	return (struct overlay_hash){
		.bucket = (uint32_t)((h >> 32) * o->n_buckets >> 32),
		.filter = 1u << (8 + (h & 0xffff) * 24 / 65536),
	};
}

static inline uint64_t overlay_mask_hi(unsigned len129)
{
	return len129 >= 64 ? UINT64_MAX : len129 == 0 ? 0 : UINT64_MAX << (64 - len129);
}

static inline uint64_t overlay_mask_lo(unsigned len129)
{
	return len129 >= 128 ? UINT64_MAX : len129 <= 64 ? 0 : UINT64_MAX << (128 - len129);
}

static inline uint64_t overlay_load64(const uint8_t p[8])
{
	uint64_t v;

	__builtin_memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

static inline bool overlay_v4(uint64_t hi, uint64_t lo)
{
	return hi == 0 && lo >> 32 == 0xffff;
}

#endif
