/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks an ADDRESSES part before anybody looks anything up in it. After this no content can lead
 * a look-up outside the part: every index is compared with its bound here, once, so that the look-up
 * itself need not. A node cannot count past its references, because its last key is padding; keys in
 * disorder only pick a wrong one of them; nodes in a circle end at ADDRSET_MAX_STEPS.
 *
 * Rejected: bounds in the look-up (a compare per step for ever), and trust in the part's hash (it
 * proves who made the image, not that the maker had no bug).
 */
#include "addrset.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
	AHEAD = 2048,   /* bytes a prefetch is ahead of a pass over a large section */
	REF_LIMITS = 16 /* what four bits of type can say; of types that are none the limit is 0 */
};

struct check {
	struct addrset set;
	uint64_t n[ADDRSET_N_SECTIONS];
	unsigned max_value;
};

static bool bytes_within(const uint8_t *p, size_t n, unsigned max)
{
	uint8_t high = 0;

	for (size_t i = 0; i < n; i++) /* vectorised by the compiler */
		high = p[i] > high ? p[i] : high;
	return high <= max;
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));

/* The values of all lines in one pass at the speed of memory: they are most of a large table. */
static bool lines_within(const struct check *c)
{
	const struct addrset *s = &c->set;
	bytes16 high = { 0 };
	uint8_t overflow = 0;

	for (uint64_t i = 0; i < s->n_lines; i++) {
		const uint8_t *p = s->lines[i].values;
		bytes16 a, b;

		__builtin_prefetch(p + AHEAD); /* over page ends, where the CPU's own stops */
		memcpy(&a, p, 16);
		memcpy(&b, p + ADDRSET_LINE_HOSTS - 16, 16);
		a = ((bytes16)(a > b) & a) | ((bytes16)(a <= b) & b);
		high = ((bytes16)(a > high) & a) | ((bytes16)(a <= high) & high);
		overflow |= s->lines[i].overflow;
	}
	for (unsigned i = 0; i < 16; i++)
		if (high[i] > c->max_value)
			return false;
	return overflow == 0 || s->max_probes > 0;
}

static const char *check_v4(const struct check *c)
{
	const struct addrset *s = &c->set;

	if (c->n[ADDRSET_S_CELLS] == 0)
		return NULL;
	if (c->n[ADDRSET_S_CELLS] != ADDRSET_CELLS || c->n[ADDRSET_S_RUNS] < 256)
		return "address table: wrong number of cells or runs";
	for (unsigned i = 0; i < ADDRSET_CELLS; i++) {
		const struct addrset_cell *l = &s->cells[i];

		__builtin_prefetch((const char *)l + AHEAD);
		if (!(l->hosts | l->change | l->longer) && l->value_base < 256) /* uniform */
			continue;
		if ((uint64_t)l->value_base + (unsigned)__builtin_popcountll(l->change) >=
			c->n[ADDRSET_S_RUNS] ||
		    (uint64_t)l->long_base + (unsigned)__builtin_popcountll(l->longer) >
			c->n[ADDRSET_S_LONGS])
			return "address table: a cell points outside";
		if (l->hosts && s->n_lines == 0)
			return "address table: a cell has hosts and there are none";
	}
	for (unsigned i = 0; i < 256; i++)
		if (s->runs[i] != i)
			return "address table: runs do not begin with the uniform values";
	if (!bytes_within(s->runs + 256, c->n[ADDRSET_S_RUNS] - 256, c->max_value))
		return "address table: a run has no such list";
	for (uint64_t i = 0; i < c->n[ADDRSET_S_LONGS]; i++) {
		const struct addrset_long *l = &s->longs[i];
		uint32_t block;

		memcpy(&block, l->ends, sizeof(block));
		if (l->is_block > 1 || (l->is_block && block >= c->n[ADDRSET_S_BLOCKS]))
			return "address table: a /24 points outside";
		if (!l->is_block && !bytes_within(l->values, ADDRSET_LONG_RUNS, c->max_value))
			return "address table: a /24 has no such list";
	}
	if (!bytes_within((const uint8_t *)s->blocks, c->n[ADDRSET_S_BLOCKS] * 256, c->max_value))
		return "address table: a /24 has no such list";
	if (!lines_within(c))
		return "address table: a host has no such list, or spills into nothing";
	for (uint64_t i = 0; i < c->n[ADDRSET_S_SPILL]; i++)
		if (s->spill[i].value > c->max_value)
			return "address table: a host has no such list";
	return NULL;
}

#ifdef __x86_64__
/* Eight at once: millions of them stand between a finished part and its use. n: a multiple of 8. */
static __attribute__((target("avx2"))) bool refs_within_avx2(
    const uint32_t limits[REF_LIMITS], const uint32_t *refs, size_t n)
{
	__m256i below_8 = _mm256_loadu_si256((const __m256i *)(const void *)limits);
	__m256i from_8 = _mm256_loadu_si256((const __m256i *)(const void *)(limits + 8));
	__m256i mask = _mm256_set1_epi32((int)ADDRSET_REF_INDEX), within = _mm256_set1_epi32(-1);

	for (size_t i = 0; i < n; i += 8) {
		__builtin_prefetch((const char *)(refs + i) + AHEAD);
		__m256i r = _mm256_loadu_si256((const __m256i *)(const void *)(refs + i));
		__m256i type = _mm256_srli_epi32(r, ADDRSET_REF_SHIFT); /* lanes take 3 bits of it */
		/* bit 3 of the type is the sign of the whole */
		__m256i limit = _mm256_castps_si256(
		    _mm256_blendv_ps(_mm256_castsi256_ps(_mm256_permutevar8x32_epi32(below_8, type)),
			_mm256_castsi256_ps(_mm256_permutevar8x32_epi32(from_8, type)),
			_mm256_castsi256_ps(r)));

		within =
		    _mm256_and_si256(within, _mm256_cmpgt_epi32(limit, _mm256_and_si256(r, mask)));
	}
	return _mm256_movemask_epi8(within) == -1;
}
#endif

static bool refs_within(const uint32_t limits[REF_LIMITS], const uint32_t *refs, size_t n)
{
	bool within = true;

#ifdef __x86_64__
	if (n % 8 == 0 && __builtin_cpu_supports("avx2"))
		return refs_within_avx2(limits, refs, n);
#endif
	for (size_t i = 0; i < n; i++)
		within &= (refs[i] & ADDRSET_REF_INDEX) < limits[refs[i] >> ADDRSET_REF_SHIFT];
	return within;
}

static const char *check_v6(const struct check *c)
{
	static const char outside[] = "address table: an IPv6 reference points outside";
	static const char padding[] = "address table: an IPv6 node lacks its padding";
	const struct addrset *s = &c->set;
	uint32_t limits[REF_LIMITS] = { 0 };

	if (c->n[ADDRSET_S_TOP] == 0)
		return NULL;
	if (c->n[ADDRSET_S_TOP] != ADDRSET_TOP)
		return "address table: wrong size of the IPv6 top table";
	for (unsigned i = ADDRSET_S_WIDES; i < ADDRSET_N_SECTIONS; i++)
		if (c->n[i] > ADDRSET_REF_INDEX)
			return "address table: more IPv6 nodes than can be numbered";
	limits[ADDRSET_REF_VALUE] = c->max_value + 1;
	limits[ADDRSET_REF_WIDE] = (uint32_t)c->n[ADDRSET_S_WIDES];
	limits[ADDRSET_REF_SMALL_A] = limits[ADDRSET_REF_SMALL_B] = (uint32_t)c->n[ADDRSET_S_SMALLS];
	limits[ADDRSET_REF_LEAF_A] = limits[ADDRSET_REF_LEAF_B] = (uint32_t)c->n[ADDRSET_S_LEAVES];
	limits[ADDRSET_REF_NODE_A] = limits[ADDRSET_REF_NODE_B] = (uint32_t)c->n[ADDRSET_S_NODES];
	limits[ADDRSET_REF_TAIL_SMALL] = (uint32_t)c->n[ADDRSET_S_TAIL_SMALLS];
	limits[ADDRSET_REF_TAIL_NODE] = (uint32_t)c->n[ADDRSET_S_TAIL_NODES];
	if (!refs_within(limits, s->top, ADDRSET_TOP))
		return outside;
	limits[ADDRSET_REF_WIDE] = 0; /* below the top none is allowed, so none is followed */
	for (uint64_t i = 0; i < c->n[ADDRSET_S_WIDES]; i++)
		if (!refs_within(limits, s->wides[i].refs, ADDRSET_WIDE))
			return outside;
	for (uint64_t i = 0; i < c->n[ADDRSET_S_SMALLS]; i++) {
		if (!refs_within(limits, s->smalls[i].refs, ADDRSET_SMALL_KEYS + 1))
			return outside;
		if (s->smalls[i].ends[ADDRSET_SMALL_KEYS] != ADDRSET_KEY_PAD)
			return padding;
	}
	for (uint64_t i = 0; i < c->n[ADDRSET_S_LEAVES]; i++)
		if (!bytes_within(s->leaves[i].values, ADDRSET_LEAF_KEYS + 1, c->max_value))
			return "address table: an IPv6 leaf has no such list";
	for (uint64_t i = 0; i < c->n[ADDRSET_S_NODES]; i++) {
		if (!refs_within(limits, s->nodes[i].refs, ADDRSET_NODE_KEYS + 1))
			return outside;
		if (s->nodes[i].ends[ADDRSET_NODE_KEYS] != ADDRSET_KEY_PAD)
			return padding;
	}
	for (uint64_t i = 0; i < c->n[ADDRSET_S_TAIL_NODES]; i++) {
		if (!refs_within(limits, s->tail_nodes[i].refs, ADDRSET_TAIL_KEYS + 1))
			return outside;
		if (s->tail_nodes[i].ends[ADDRSET_TAIL_KEYS] != UINT64_MAX)
			return padding;
	}
	for (uint64_t i = 0; i < c->n[ADDRSET_S_TAIL_SMALLS]; i++)
		if (!bytes_within(s->tail_smalls[i].values, ADDRSET_SMALL_KEYS + 1, c->max_value))
			return "address table: an IPv6 tail has no such list";
	return NULL;
}

int addrset_open(const void *base, size_t len, unsigned max_value, struct addrset *ret_set,
    const char **ret_error)
{
	const struct addrset_header *h = base;
	struct check c = { .max_value = max_value };
	const void *at[ADDRSET_N_SECTIONS];
	const char *error;

	error = "address table: not one of this layout";
	if ((uintptr_t)base % 64 != 0 || len < sizeof(*h) || h->magic != ADDRSET_MAGIC)
		goto bad;
	error = "address table: cut short";
	if (h->size != len)
		goto bad;
	for (unsigned i = 0; i < ADDRSET_N_SECTIONS; i++) {
		uint64_t offset = h->sections[i].offset, n = h->sections[i].n;

		error = "address table: a section lies outside";
		if (offset % 64 != 0 || offset < sizeof(*h) || offset > len ||
		    n > (len - offset) / addrset_section_size[i])
			goto bad;
		c.n[i] = n;
		at[i] = (const char *)base + offset;
	}
	error = "address table: wrong size of the host hash";
	if (c.n[ADDRSET_S_LINES] &&
	    (c.n[ADDRSET_S_LINES] < ADDRSET_MIN_LINES || c.n[ADDRSET_S_LINES] > ADDRSET_MAX_LINES))
		goto bad;
	if (c.n[ADDRSET_S_SPILL] & (c.n[ADDRSET_S_SPILL] - 1) ||
	    c.n[ADDRSET_S_SPILL] > UINT32_MAX || h->max_probes > c.n[ADDRSET_S_SPILL])
		goto bad;
	if (c.n[ADDRSET_S_CELLS])
		c.set.cells = at[ADDRSET_S_CELLS];
	c.set.runs = at[ADDRSET_S_RUNS];
	c.set.longs = at[ADDRSET_S_LONGS];
	c.set.blocks = at[ADDRSET_S_BLOCKS];
	c.set.lines = at[ADDRSET_S_LINES];
	c.set.spill = at[ADDRSET_S_SPILL];
	c.set.n_lines = (uint32_t)c.n[ADDRSET_S_LINES];
	c.set.seed = h->seed;
	c.set.spill_mask = (uint32_t)(c.n[ADDRSET_S_SPILL] - 1);
	c.set.max_probes = h->max_probes;
	if (c.n[ADDRSET_S_TOP])
		c.set.top = at[ADDRSET_S_TOP];
	c.set.wides = at[ADDRSET_S_WIDES];
	c.set.smalls = at[ADDRSET_S_SMALLS];
	c.set.leaves = at[ADDRSET_S_LEAVES];
	c.set.nodes = at[ADDRSET_S_NODES];
	c.set.tail_smalls = at[ADDRSET_S_TAIL_SMALLS];
	c.set.tail_nodes = at[ADDRSET_S_TAIL_NODES];
	error = check_v4(&c);
	if (!error)
		error = check_v6(&c);
	if (error)
		goto bad;
	*ret_set = c.set;
	return 0;
bad:
	*ret_error = error;
	return -EBADMSG;
}
