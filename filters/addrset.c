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
	[ADDRSET_S_SMALLS] = sizeof(struct addrset_small),
	[ADDRSET_S_MEDIUMS] = sizeof(struct addrset_medium),
	[ADDRSET_S_TAILS] = sizeof(struct addrset_tail),
	[ADDRSET_S_TREES] = sizeof(struct addrset_tree),
	[ADDRSET_S_NODES] = sizeof(union addrset_node),
	[ADDRSET_S_REFS] = sizeof(uint32_t),
};

/* ---- comparing a line at once ---- */

#ifdef __SSE2__
/* Lanes of the 20 tags that equal `tag`. */
static inline __attribute__((always_inline)) uint32_t line_match(const struct addrset_line *l,
    uint16_t tag)
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

/* How many of 16 keys are below x; keys and x biased. */
static inline __attribute__((always_inline)) unsigned rank16(const int32_t keys[16], int32_t x)
{
	const __m128i *p = (const __m128i *)(const void *)keys;
	__m128i v = _mm_set1_epi32(x);
	__m128i a = _mm_packs_epi32(_mm_cmpgt_epi32(v, _mm_load_si128(p)),
	    _mm_cmpgt_epi32(v, _mm_load_si128(p + 1)));
	__m128i b = _mm_packs_epi32(_mm_cmpgt_epi32(v, _mm_load_si128(p + 2)),
	    _mm_cmpgt_epi32(v, _mm_load_si128(p + 3)));

	return (unsigned)__builtin_popcount(
	    (unsigned)_mm_movemask_epi8(_mm_packs_epi16(a, b)));
}
#else
static inline uint32_t line_match(const struct addrset_line *l, uint16_t tag)
{
	uint32_t m = 0;

	for (unsigned i = 0; i < ADDRSET_LINE_HOSTS; i++)
		m |= (uint32_t)(l->tags[i] == tag) << i;
	return m;
}

static inline unsigned rank16(const int32_t keys[16], int32_t x)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 16; i++)
		n += keys[i] < x;
	return n;
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

static inline __attribute__((always_inline)) uint8_t long_value(const struct addrset *s,
    const struct addrset_long *l, uint8_t host)
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
			bytes[i] = (const uint8_t *)&s->longs[c->long_base +
			    (unsigned)__builtin_popcountll(c->longer & ((1ull << bit) - 1))];
		else
			bytes[i] = &s->runs[c->value_base +
			    (unsigned)__builtin_popcountll(c->change & ((2ull << bit) - 1))];
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
			value = is_long[i] ? long_value(s, (const void *)bytes[i], (uint8_t)addrs[i]) :
			    *bytes[i];
		ret_values[at[i]] = value;
	}
}

/* ---- IPv6 ---- */

enum walk_at { AT_REF, AT_TREE, AT_NODE, AT_REFS };

struct walk {
	uint64_t hi, lo;
	const struct addrset_tree *tree;
	uint32_t ref, node;
	uint8_t at; /* enum walk_at */
	uint8_t level, depth;
	uint8_t pos; /* in the burst */
};

/* Takes a reference: prefetches what it leads to. True when it was a value. */
static inline __attribute__((always_inline)) int walk_ref(const struct addrset *s, struct walk *w,
    uint32_t ref, uint8_t *ret_values)
{
	uint32_t index = ref & ADDRSET_REF_INDEX;

	w->ref = ref;
	w->at = AT_REF;
	switch (ref >> ADDRSET_REF_SHIFT) {
	case ADDRSET_REF_SMALL:
		__builtin_prefetch(&s->smalls[index]);
		return 0;
	case ADDRSET_REF_MEDIUM:
		__builtin_prefetch(&s->mediums[index]);
		__builtin_prefetch(s->mediums[index].refs);
		return 0;
	case ADDRSET_REF_TAIL:
		__builtin_prefetch(&s->tails[index]);
		return 0;
	case ADDRSET_REF_TREE:
	case ADDRSET_REF_TAIL_TREE:
		__builtin_prefetch(&s->trees[index]);
		w->tree = &s->trees[index];
		w->at = AT_TREE;
		return 0;
	default:
		ret_values[w->pos] = (uint8_t)index;
		return 1;
	}
}

/* One step of one walk, on memory prefetched by the step before. True when it has ended. */
static inline __attribute__((always_inline)) int walk_step(const struct addrset *s, struct walk *w,
    uint8_t *ret_values)
{
	int32_t key = (int32_t)((uint32_t)(w->depth ? w->hi : w->hi >> 32) ^ 0x80000000u);
	uint32_t index = w->ref & ADDRSET_REF_INDEX;
	const struct addrset_tree *t = w->tree;
	unsigned n;

	switch (w->at) {
	case AT_REF:
		if (w->ref >> ADDRSET_REF_SHIFT == ADDRSET_REF_TAIL) {
			const struct addrset_tail *tail = &s->tails[index];

			n = (unsigned)(tail->ends[0] < w->lo) + (unsigned)(tail->ends[1] < w->lo) +
			    (unsigned)(tail->ends[2] < w->lo);
			ret_values[w->pos] = tail->values[n];
			return 1;
		}
		if (w->depth++ > 1) /* no image of ours: bits 0-31 and 32-63, then a tail */
			return 1;
		if (w->ref >> ADDRSET_REF_SHIFT == ADDRSET_REF_SMALL) {
			const struct addrset_small *small = &s->smalls[index];

			return walk_ref(s, w, small->refs[rank4(small->ends, key)], ret_values);
		}
		n = rank16(s->mediums[index].ends, key);
		return walk_ref(s, w, s->mediums[index].refs[n], ret_values);
	case AT_TREE:
		w->level = 0;
		w->node = 0;
		w->at = AT_NODE;
		__builtin_prefetch(&s->nodes[t->level[0]]);
		return 0;
	case AT_NODE:
		if (t->node_keys == 16) {
			if (w->depth > 1)
				return 1;
			n = rank16(s->nodes[t->level[w->level] + w->node].k32, key);
		} else {
			n = rank8(s->nodes[t->level[w->level] + w->node].k64, w->lo);
		}
		if (++w->level == t->n_levels) { /* position among all keys */
			w->node = w->node * t->node_keys + n;
			w->at = AT_REFS;
			__builtin_prefetch(&s->refs[t->refs + w->node]);
			return 0;
		}
		w->node = w->node * (t->node_keys + 1u) + n; /* child */
		__builtin_prefetch(&s->nodes[t->level[w->level] + w->node]);
		return 0;
	default: /* AT_REFS */
		w->depth++;
		if (t->node_keys == 8) {
			ret_values[w->pos] = (uint8_t)s->refs[t->refs + w->node];
			return 1;
		}
		return walk_ref(s, w, s->refs[t->refs + w->node], ret_values);
	}
}

static inline __attribute__((always_inline)) void find_v6(const struct addrset *s,
    struct walk *walks, unsigned n, uint8_t *ret_values)
{
	uint8_t active[BURST];
	unsigned n_active = 0;

	for (unsigned i = 0; i < n; i++)
		__builtin_prefetch(&s->top[walks[i].hi >> 44]);
	for (unsigned i = 0; i < n; i++) {
		ret_values[walks[i].pos] = 0;
		if (!walk_ref(s, &walks[i], s->top[walks[i].hi >> 44], ret_values))
			active[n_active++] = (uint8_t)i;
	}
	while (n_active) {
		unsigned left = 0;

		for (unsigned i = 0; i < n_active; i++) {
			uint8_t j = active[i];

			active[left] = j;
			left += !walk_step(s, &walks[j], ret_values);
		}
		n_active = left;
	}
}

/* ---- both ---- */

static inline __attribute__((always_inline)) void find_burst(const struct addrset *s,
    const uint8_t (*clients)[16], unsigned n, uint8_t *ret_values)
{
	struct walk walks[BURST];
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
			walks[n6].hi = hi;
			walks[n6].lo = lo;
			walks[n6].depth = 0;
			walks[n6++].pos = (uint8_t)i;
		}
	}
	if (n4 && s->cells)
		find_v4(s, addrs, at, n4, ret_values);
	if (n6 && s->top)
		find_v6(s, walks, n6, ret_values);
}

#ifdef __x86_64__
static __attribute__((target("popcnt,bmi"))) void find_burst_popcnt(const struct addrset *s,
    const uint8_t (*clients)[16], unsigned n, uint8_t *ret_values)
{
	find_burst(s, clients, n, ret_values);
}
#endif

static void find_burst_any(const struct addrset *s, const uint8_t (*clients)[16], unsigned n,
    uint8_t *ret_values)
{
	find_burst(s, clients, n, ret_values);
}

void addrset_find(const struct addrset *set, const uint8_t (*clients)[16], unsigned n,
    uint8_t *ret_values)
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
