/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Look-up in the address table. Everything is latency of memory: so each stage touches what the
 * stage before prefetched, for the whole burst. The body is compiled twice, for CPUs with POPCNT
 * and for any, and chosen per burst (a packaged binary runs on many CPUs).
 *
 * Rejected: 512-bit gathers. The stages wait for memory, not for instructions, and the code would
 * exist three times.
 */
#include "addrset.h"

#include <endian.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { BURST = 64 };

const uint32_t addrset_section_size[ADDRSET_N_SECTIONS] = {
	[ADDRSET_S_CELLS] = sizeof(struct addrset_cell),
	[ADDRSET_S_RUNS] = 1,
	[ADDRSET_S_LONGS] = sizeof(struct addrset_long),
	[ADDRSET_S_BLOCKS] = sizeof(struct addrset_block),
	[ADDRSET_S_LINES] = sizeof(struct addrset_line),
	[ADDRSET_S_SPILL] = sizeof(struct addrset_spill),
	[ADDRSET_S_TOP] = sizeof(uint32_t),
	[ADDRSET_S_WIDES] = sizeof(struct addrset_wide),
	[ADDRSET_S_SMALLS] = sizeof(struct addrset_small),
	[ADDRSET_S_LEAVES] = sizeof(struct addrset_leaf),
	[ADDRSET_S_NODES] = sizeof(struct addrset_node),
	[ADDRSET_S_TAIL_SMALLS] = sizeof(struct addrset_tail_small),
	[ADDRSET_S_TAIL_NODES] = sizeof(struct addrset_tail_node),
};

/* ---- comparing a line at once ---- */

#ifdef __SSE2__
/* Lanes of the 20 tags that equal `tag`. */
static inline __attribute__((always_inline)) uint32_t line_match(
    const struct addrset_line *l, uint16_t tag)
{
	const __m128i *p = (const __m128i *)(const void *)l->tags;
	__m128i t = _mm_set1_epi16((short)tag);
	__m128i a = _mm_cmpeq_epi16(_mm_load_si128(p), t);
	__m128i b = _mm_cmpeq_epi16(_mm_load_si128(p + 1), t);
	__m128i c = _mm_cmpeq_epi16(_mm_load_si128(p + 2), t); /* upper half: values, masked off */
	uint32_t m = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(a, b));

	m |= (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(c, c)) << 16;
	return m & ((1u << ADDRSET_LINE_HOSTS) - 1);
}

/* How many of the keys are below x; keys and x biased. */
static inline __attribute__((always_inline)) unsigned rank12(const int32_t keys[12], int32_t x)
{
	const __m128i *p = (const __m128i *)(const void *)keys;
	__m128i v = _mm_set1_epi32(x);
	__m128i a = _mm_packs_epi32(
	    _mm_cmpgt_epi32(v, _mm_load_si128(p)), _mm_cmpgt_epi32(v, _mm_load_si128(p + 1)));
	__m128i b = _mm_packs_epi32(_mm_cmpgt_epi32(v, _mm_load_si128(p + 2)), _mm_setzero_si128());

	return (unsigned)__builtin_popcount((unsigned)_mm_movemask_epi8(_mm_packs_epi16(a, b)));
}

static inline __attribute__((always_inline)) unsigned rank16(const int32_t keys[16], int32_t x)
{
	const __m128i *p = (const __m128i *)(const void *)keys;
	__m128i v = _mm_set1_epi32(x);
	__m128i a = _mm_packs_epi32(
	    _mm_cmpgt_epi32(v, _mm_load_si128(p)), _mm_cmpgt_epi32(v, _mm_load_si128(p + 1)));
	__m128i b = _mm_packs_epi32(
	    _mm_cmpgt_epi32(v, _mm_load_si128(p + 2)), _mm_cmpgt_epi32(v, _mm_load_si128(p + 3)));

	return (unsigned)__builtin_popcount((unsigned)_mm_movemask_epi8(_mm_packs_epi16(a, b)));
}
#else
static inline uint32_t line_match(const struct addrset_line *l, uint16_t tag)
{
	uint32_t m = 0;

	for (unsigned i = 0; i < ADDRSET_LINE_HOSTS; i++)
		m |= (uint32_t)(l->tags[i] == tag) << i;
	return m;
}

static inline unsigned rank(const int32_t *keys, unsigned n_keys, int32_t x)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_keys; i++)
		n += keys[i] < x;
	return n;
}

static inline unsigned rank12(const int32_t keys[12], int32_t x)
{
	return rank(keys, 12, x);
}

static inline unsigned rank16(const int32_t keys[16], int32_t x)
{
	return rank(keys, 16, x);
}
#endif

static inline __attribute__((always_inline)) unsigned rank4(const int32_t keys[4], int32_t x)
{
	return (unsigned)(keys[0] < x) + (unsigned)(keys[1] < x) + (unsigned)(keys[2] < x) +
	       (unsigned)(keys[3] < x);
}

static inline __attribute__((always_inline)) unsigned rank8(const uint64_t keys[8], uint64_t x)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		n += keys[i] < x;
	return n;
}

/* ---- IPv4 ---- */

static uint8_t spill_find(const struct addrset *s, uint32_t addr, uint32_t mixed)
{
	for (uint32_t k = 0; k < s->max_probes; k++) {
		const struct addrset_spill *e = &s->spill[(mixed + k) & s->spill_mask];

		if (e->value == 0)
			break;
		if (e->addr == addr)
			return (uint8_t)e->value;
	}
	return 0;
}

static inline __attribute__((always_inline)) uint8_t long_value(
    const struct addrset *s, const struct addrset_long *l, uint8_t host)
{
	uint32_t block;
	unsigned n = 0;

	if (l->is_block) {
		memcpy(&block, l->ends, sizeof(block));
		return s->blocks[block].values[host];
	}
	for (unsigned i = 0; i < ADDRSET_LONG_RUNS - 1; i++)
		n += l->ends[i] < host;
	return l->values[n];
}

/* at[]: positions of the burst's IPv4 addresses, addrs[] the addresses. */
static inline __attribute__((always_inline)) void find_v4(const struct addrset *s,
    const uint32_t *addrs, const uint8_t *at, unsigned n, uint8_t *ret_values)
{
	const struct addrset_line *lines[BURST];
	const uint8_t *bytes[BURST]; /* of the prefix value, or the long */
	uint32_t mixed[BURST];
	uint8_t is_long[BURST];

	for (unsigned i = 0; i < n; i++)
		__builtin_prefetch(&s->cells[addrs[i] >> 14]);
	for (unsigned i = 0; i < n; i++) {
		const struct addrset_cell *c = &s->cells[addrs[i] >> 14];
		unsigned bit = (addrs[i] >> 8) & 63;

		lines[i] = NULL;
		if (c->hosts >> bit & 1) {
			mixed[i] = addrset_mix(addrs[i], s->seed);
			lines[i] = &s->lines[addrset_line_of(mixed[i], s->n_lines)];
			__builtin_prefetch(lines[i]);
		}
		is_long[i] = c->longer >> bit & 1;
		if (is_long[i])
			bytes[i] = (const uint8_t *)&s
				       ->longs[c->long_base + (unsigned)__builtin_popcountll(
								  c->longer & ((1ull << bit) - 1))];
		else
			bytes[i] = &s->runs[c->value_base + (unsigned)__builtin_popcountll(
								c->change & ((2ull << bit) - 1))];
		__builtin_prefetch(bytes[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t value = 0;

		if (lines[i]) {
			uint32_t m = line_match(lines[i], (uint16_t)mixed[i]);

			if (m)
				value = lines[i]->values[__builtin_ctz(m)];
			if (value == 0 && lines[i]->overflow)
				value = spill_find(s, addrs[i], mixed[i]);
		}
		if (value == 0)
			value = is_long[i] ? long_value(s, (const void *)bytes[i], (uint8_t)addrs[i])
					   : *bytes[i];
		ret_values[at[i]] = value;
	}
}

/* ---- IPv6 ---- */

/*
 * Walks of a burst, sorted by what they stand before: each kind of node is worked off in a loop of
 * its own, so that no branch depends on an address. Taking a reference is arithmetic alone.
 */
enum { Q_DONE, Q_SMALL, Q_LEAF, Q_NODE, Q_TAIL, N_QUEUES }; /* half the enum addrset_ref_type */

struct queues {
	_Alignas(64) uint8_t walks[N_QUEUES][BURST];
	unsigned n[N_QUEUES]; /* in one line: a counter across two costs more than the step */
};

struct walks {
	int32_t keys[BURST][2]; /* biased: bits 0-31, bits 32-63 */
	uint64_t lo[BURST];
	uint32_t ref[BURST];
	uint8_t at[BURST]; /* position in the burst */
};

static inline __attribute__((always_inline)) void queues_init(struct queues *q)
{
	for (unsigned i = 0; i < N_QUEUES; i++)
		q->n[i] = 0;
}

static inline __attribute__((always_inline)) void walk_to(
    const char *const bases[ADDRSET_N_REF_TYPES], struct walks *w, struct queues *q, uint8_t walk,
    uint32_t ref)
{
	static const uint8_t shifts[] = { 0, 0, 5, 5, 6, 6, 7, 7, 5, 7 };  /* of a node's size */
	static const uint8_t last[] = { 0, 0, 0, 0, 0, 0, 64, 64, 0, 64 }; /* line of it */
	unsigned type = ref >> ADDRSET_REF_SHIFT;
	const char *p = bases[type] + ((size_t)(ref & ADDRSET_REF_INDEX) << shifts[type]);

	__builtin_prefetch(p);
	__builtin_prefetch(p + last[type]);
	w->ref[walk] = ref;
	q->walks[type / 2][q->n[type / 2]++] = walk;
}

static inline __attribute__((always_inline)) void find_v6(
    const struct addrset *s, struct walks *w, unsigned n, uint8_t *ret_values)
{
	const char *const bases[] = {
		[ADDRSET_REF_VALUE] = (const char *)s->top, /* a harmless prefetch */
		[ADDRSET_REF_WIDE] = (const char *)s->top,  /* none comes here */
		[ADDRSET_REF_SMALL_A] = (const char *)s->smalls,
		[ADDRSET_REF_SMALL_B] = (const char *)s->smalls,
		[ADDRSET_REF_LEAF_A] = (const char *)s->leaves,
		[ADDRSET_REF_LEAF_B] = (const char *)s->leaves,
		[ADDRSET_REF_NODE_A] = (const char *)s->nodes,
		[ADDRSET_REF_NODE_B] = (const char *)s->nodes,
		[ADDRSET_REF_TAIL_SMALL] = (const char *)s->tail_smalls,
		[ADDRSET_REF_TAIL_NODE] = (const char *)s->tail_nodes,
	};
	struct queues queues[2], *q = &queues[0], *next = &queues[1], *swap;
	const uint32_t *first[BURST];

	for (unsigned i = 0; i < n; i++) {
		first[i] = &s->top[((uint32_t)w->keys[i][0] ^ 0x80000000u) >> 12];
		__builtin_prefetch(first[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		uint32_t ref = *first[i];
		const uint32_t *wide = s->wides[ref & ADDRSET_REF_INDEX].refs +
				       ((uint32_t)w->keys[i][0] & (ADDRSET_WIDE - 1));
		/* arithmetic: compilers make a branch of `? :`, and half of the time a wrong one */
		uintptr_t is_wide = -(uintptr_t)(ref >> ADDRSET_REF_SHIFT == ADDRSET_REF_WIDE);

		first[i] = (const uint32_t *)(((uintptr_t)first[i] & ~is_wide) |
					      ((uintptr_t)wide & is_wide));
		__builtin_prefetch(first[i]);
	}
	queues_init(q);
	for (unsigned i = 0; i < n; i++)
		walk_to(bases, w, q, (uint8_t)i, *first[i]);
	for (unsigned step = 0; step < ADDRSET_MAX_STEPS; step++) {
		for (unsigned i = 0; i < q->n[Q_DONE]; i++) {
			uint8_t walk = q->walks[Q_DONE][i];

			ret_values[w->at[walk]] = (uint8_t)w->ref[walk];
		}
		for (unsigned i = 0; i < q->n[Q_LEAF]; i++) {
			uint8_t walk = q->walks[Q_LEAF][i];
			uint32_t ref = w->ref[walk];
			const struct addrset_leaf *leaf = &s->leaves[ref & ADDRSET_REF_INDEX];
			int32_t key = w->keys[walk][ref >> ADDRSET_REF_SHIFT & 1];

			ret_values[w->at[walk]] = leaf->values[rank12(leaf->ends, key)];
		}
		if (q->n[Q_SMALL] + q->n[Q_NODE] + q->n[Q_TAIL] == 0)
			return;
		queues_init(next);
		for (unsigned i = 0; i < q->n[Q_SMALL]; i++) {
			uint8_t walk = q->walks[Q_SMALL][i];
			uint32_t ref = w->ref[walk];
			const struct addrset_small *small = &s->smalls[ref & ADDRSET_REF_INDEX];
			int32_t key = w->keys[walk][ref >> ADDRSET_REF_SHIFT & 1];

			walk_to(bases, w, next, walk, small->refs[rank4(small->ends, key)]);
		}
		for (unsigned i = 0; i < q->n[Q_NODE]; i++) {
			uint8_t walk = q->walks[Q_NODE][i];
			uint32_t ref = w->ref[walk];
			const struct addrset_node *node = &s->nodes[ref & ADDRSET_REF_INDEX];
			int32_t key = w->keys[walk][ref >> ADDRSET_REF_SHIFT & 1];

			walk_to(bases, w, next, walk, node->refs[rank16(node->ends, key)]);
		}
		for (unsigned i = 0; i < q->n[Q_TAIL]; i++) {
			uint8_t walk = q->walks[Q_TAIL][i];
			uint32_t ref = w->ref[walk], index = ref & ADDRSET_REF_INDEX;
			uint64_t lo = w->lo[walk];

			if (ref >> ADDRSET_REF_SHIFT == ADDRSET_REF_TAIL_SMALL) {
				const struct addrset_tail_small *t = &s->tail_smalls[index];

				ret_values[w->at[walk]] = t->values[(unsigned)(t->ends[0] < lo) +
								    (unsigned)(t->ends[1] < lo) +
								    (unsigned)(t->ends[2] < lo)];
			} else {
				const struct addrset_tail_node *t = &s->tail_nodes[index];

				walk_to(bases, w, next, walk, t->refs[rank8(t->ends, lo)]);
			}
		}
		swap = q;
		q = next;
		next = swap;
	}
}

/* ---- both ---- */

static inline __attribute__((always_inline)) void find_burst(
    const struct addrset *s, const uint8_t (*clients)[16], unsigned n, uint8_t *ret_values)
{
	struct walks walks;
	uint32_t addrs[BURST];
	uint8_t at[BURST];
	unsigned n4 = 0, n6 = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t hi, lo;

		memcpy(&hi, clients[i], 8);
		memcpy(&lo, clients[i] + 8, 8);
		hi = be64toh(hi);
		lo = be64toh(lo);
		ret_values[i] = 0;
		if (hi == 0 && lo >> 32 == 0xffff) {
			addrs[n4] = (uint32_t)lo;
			at[n4++] = (uint8_t)i;
		} else {
			walks.keys[n6][0] = (int32_t)((uint32_t)(hi >> 32) ^ 0x80000000u);
			walks.keys[n6][1] = (int32_t)((uint32_t)hi ^ 0x80000000u);
			walks.lo[n6] = lo;
			walks.at[n6++] = (uint8_t)i;
		}
	}
	if (n4 && s->cells)
		find_v4(s, addrs, at, n4, ret_values);
	if (n6 && s->top)
		find_v6(s, &walks, n6, ret_values);
}

#ifdef __x86_64__
static __attribute__((target("popcnt,bmi"))) void find_burst_popcnt(
    const struct addrset *s, const uint8_t (*clients)[16], unsigned n, uint8_t *ret_values)
{
	find_burst(s, clients, n, ret_values);
}
#endif

static void find_burst_any(
    const struct addrset *s, const uint8_t (*clients)[16], unsigned n, uint8_t *ret_values)
{
	find_burst(s, clients, n, ret_values);
}

void addrset_find(
    const struct addrset *set, const uint8_t (*clients)[16], unsigned n, uint8_t *ret_values)
{
#ifdef __x86_64__
	int popcnt = __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi");
#endif

	for (unsigned i = 0; i < n; i += BURST) {
		unsigned m = n - i < BURST ? n - i : BURST;

#ifdef __x86_64__
		if (popcnt) {
			find_burst_popcnt(set, clients + i, m, ret_values + i);
			continue;
		}
#endif
		find_burst_any(set, clients + i, m, ret_values + i);
	}
}
