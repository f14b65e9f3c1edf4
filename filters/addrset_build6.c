/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPv6 half of the builder: the sweep over the sorted prefixes gives runs of equal value over 128
 * bits; a piece of the address that is not uniform becomes a node, as small as its keys allow.
 */
#include "addrset_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;

struct run6 {
	u128 end; /* last address */
	uint8_t value;
};

/* Runs of one piece: last key, and what lies there. */
struct keys {
	uint64_t *ends;
	uint32_t *refs;
	size_t n, cap;
};

struct build6 {
	struct addrset_builder *b;
	struct run6 *runs;
	size_t n_runs;
	struct keys keys[3]; /* one per depth: bits 0-31, 32-63, 64-127 */
};

/* ---- sweep ---- */

static void run_add(struct build6 *w, u128 end, uint8_t value)
{
	if (w->n_runs && w->runs[w->n_runs - 1].end == end) /* nothing between two starts */
		return;
	if (w->n_runs && w->runs[w->n_runs - 1].value == value)
		w->n_runs--;
	w->runs[w->n_runs++] = (struct run6){ end, value };
}

static int sweep(const struct addrset_input *in, struct build6 *w)
{
	struct {
		u128 end;
		uint8_t value;
	} open[130] = { { ~(u128)0, 0 } };
	unsigned depth = 0;
	const struct addrset_entry6 *last = NULL;

	w->runs = malloc((in->n_v6 * 2 + 1) * sizeof(*w->runs));
	if (!w->runs)
		return -ENOMEM;
	for (size_t i = 0; i < in->n_v6; i++) {
		const struct addrset_entry6 *e = &in->v6[i];
		u128 addr = (u128)e->hi << 64 | e->lo;
		unsigned len = e->rest >> 16;
		uint8_t value = (uint8_t)e->rest;

		if (last && last->hi == e->hi && last->lo == e->lo && last->rest >> 16 == len)
			continue; /* the same prefix, of lower precedence */
		last = e;
		for (; open[depth].end < addr; depth--)
			run_add(w, open[depth].end, open[depth].value);
		if (in->allow[open[depth].value] && !in->allow[value])
			continue;
		if (addr > 0)
			run_add(w, addr - 1, open[depth].value);
		depth++;
		open[depth].end = addr | (len < 128 ? ~(u128)0 >> len : 0);
		open[depth].value = value;
	}
	for (;; depth--) {
		run_add(w, open[depth].end, open[depth].value);
		if (depth == 0)
			return 0;
	}
}

/* ---- nodes ---- */

static int key_add(struct keys *k, uint64_t end, uint32_t ref)
{
	if (k->n && k->refs[k->n - 1] == ref && ref >> ADDRSET_REF_SHIFT == ADDRSET_REF_VALUE) {
		k->ends[k->n - 1] = end;
		return 0;
	}
	if (k->n == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 64;
		uint64_t *ends = realloc(k->ends, cap * sizeof(*ends));
		uint32_t *refs;

		if (!ends)
			return -ENOMEM;
		k->ends = ends;
		refs = realloc(k->refs, cap * sizeof(*refs));
		if (!refs)
			return -ENOMEM;
		k->refs = refs;
		k->cap = cap;
	}
	k->ends[k->n] = end;
	k->refs[k->n++] = ref;
	return 0;
}

static int32_t biased(uint64_t key)
{
	return (int32_t)((uint32_t)key ^ 0x80000000u);
}

/* The reference to what was just added to a section. */
static int new_ref(
    const struct addrset_builder *b, enum addrset_section section, unsigned type, uint32_t *ret_ref)
{
	size_t index = b->sections[section].n - 1;

	if (index >= ADDRSET_REF_INDEX)
		return -E2BIG;
	*ret_ref = (uint32_t)type << ADDRSET_REF_SHIFT | (uint32_t)index;
	return 0;
}

static int small_make(
    struct addrset_builder *b, const struct keys *k, unsigned depth, uint32_t *ret_ref)
{
	struct addrset_small *s = addrset_grow(b, ADDRSET_S_SMALLS, 1);

	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i <= ADDRSET_SMALL_KEYS; i++) {
		s->ends[i] = i + 1 < k->n ? biased(k->ends[i]) : ADDRSET_KEY_PAD;
		s->refs[i] = i < k->n ? k->refs[i] : 0;
	}
	return new_ref(b, ADDRSET_S_SMALLS, ADDRSET_REF_SMALL_A + depth, ret_ref);
}

static int leaf_make(struct addrset_builder *b, const uint64_t *ends, const uint32_t *refs,
    size_t n, unsigned depth, uint32_t *ret_ref)
{
	struct addrset_leaf *l = addrset_grow(b, ADDRSET_S_LEAVES, 1);

	if (!l)
		return -ENOMEM;
	for (size_t i = 0; i <= ADDRSET_LEAF_KEYS; i++) {
		if (i < ADDRSET_LEAF_KEYS)
			l->ends[i] = i + 1 < n ? biased(ends[i]) : ADDRSET_KEY_PAD;
		l->values[i] = i < n ? (uint8_t)refs[i] : 0;
	}
	return new_ref(b, ADDRSET_S_LEAVES, ADDRSET_REF_LEAF_A + depth, ret_ref);
}

static int tail_small_make(struct addrset_builder *b, const struct keys *k, uint32_t *ret_ref)
{
	struct addrset_tail_small *t = addrset_grow(b, ADDRSET_S_TAIL_SMALLS, 1);

	if (!t)
		return -ENOMEM;
	for (size_t i = 0; i <= ADDRSET_SMALL_KEYS; i++) {
		if (i < ADDRSET_SMALL_KEYS)
			t->ends[i] = i + 1 < k->n ? k->ends[i] : UINT64_MAX;
		t->values[i] = i < k->n ? (uint8_t)k->refs[i] : 0;
	}
	return new_ref(b, ADDRSET_S_TAIL_SMALLS, ADDRSET_REF_TAIL_SMALL, ret_ref);
}

/* One node over n runs from ends and refs on. */
static int one_node_make(struct addrset_builder *b, const uint64_t *ends, const uint32_t *refs,
    size_t n, unsigned depth, uint32_t *ret_ref)
{
	if (depth == 2) {
		struct addrset_tail_node *t = addrset_grow(b, ADDRSET_S_TAIL_NODES, 1);

		if (!t)
			return -ENOMEM;
		for (size_t i = 0; i <= ADDRSET_TAIL_KEYS; i++) {
			t->ends[i] = i + 1 < n ? ends[i] : UINT64_MAX;
			t->refs[i] = i < n ? refs[i] : 0;
		}
		return new_ref(b, ADDRSET_S_TAIL_NODES, ADDRSET_REF_TAIL_NODE, ret_ref);
	}
	struct addrset_node *m = addrset_grow(b, ADDRSET_S_NODES, 1);

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i <= ADDRSET_NODE_KEYS; i++) {
		m->ends[i] = i + 1 < n ? biased(ends[i]) : ADDRSET_KEY_PAD;
		m->refs[i] = i < n ? refs[i] : 0;
	}
	return new_ref(b, ADDRSET_S_NODES, ADDRSET_REF_NODE_A + depth, ret_ref);
}

/* A table by bits 20-31: each run over all the keys up to its end. */
static int wide_make(struct addrset_builder *b, const struct keys *k, uint32_t *ret_ref)
{
	struct addrset_wide *wide = addrset_grow(b, ADDRSET_S_WIDES, 1);
	size_t run = 0;

	if (!wide)
		return -ENOMEM;
	for (uint32_t i = 0; i < ADDRSET_WIDE; i++) {
		wide->refs[i] = k->refs[run];
		run += (k->ends[run] & (ADDRSET_WIDE - 1)) == i;
	}
	return new_ref(b, ADDRSET_S_WIDES, ADDRSET_REF_WIDE, ret_ref);
}

static bool all_values(const struct keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->refs[i] >> ADDRSET_REF_SHIFT != ADDRSET_REF_VALUE)
			return false;
	return true;
}

/* Level by level: the runs of a level become nodes, which are the runs of the next, in place. */
static int node_make(struct addrset_builder *b, struct keys *k, unsigned depth, uint32_t *ret_ref)
{
	bool leaves = depth < 2 && all_values(k);
	size_t width = depth == 2 ? ADDRSET_TAIL_KEYS + 1
		       : leaves   ? ADDRSET_LEAF_KEYS + 1
				  : ADDRSET_NODE_KEYS + 1;

	if (k->n > 1 && k->n <= ADDRSET_SMALL_KEYS + 1)
		return depth == 2 ? tail_small_make(b, k, ret_ref)
				  : small_make(b, k, depth, ret_ref);
	if (depth == 0 && k->n > ADDRSET_WIDE_OVER)
		return wide_make(b, k, ret_ref);
	while (k->n > 1) {
		size_t n_nodes = (k->n + width - 1) / width;

		for (size_t i = 0; i < n_nodes; i++) {
			/* evenly filled: a last node with one run would be a wasted step */
			size_t from = k->n * i / n_nodes, to = k->n * (i + 1) / n_nodes;
			uint64_t end = k->ends[to - 1];
			uint32_t ref;
			int r = (leaves ? leaf_make : one_node_make)(
			    b, k->ends + from, k->refs + from, to - from, depth, &ref);

			if (r < 0)
				return r;
			k->ends[i] = end;
			k->refs[i] = ref;
		}
		k->n = n_nodes;
		if (leaves)
			width = ADDRSET_NODE_KEYS + 1;
		leaves = false;
	}
	*ret_ref = k->refs[0];
	return 0;
}

/* The piece of `depth` from address `from` to `to` (all of one prefix above it). *r is the run that
 * covers `from`; left at the run that covers what follows `to`. */
static int piece_make(
    struct build6 *w, unsigned depth, u128 from, u128 to, size_t *r, uint32_t *ret_ref)
{
	static const unsigned shifts[] = { 96, 64, 0 };
	static const uint64_t masks[] = { UINT32_MAX, UINT32_MAX, UINT64_MAX };
	unsigned shift = shifts[depth];
	u128 below = ((u128)1 << shift) - 1; /* bits under this piece */
	struct keys *k = &w->keys[depth];

	k->n = 0;
	for (;;) {
		const struct run6 *run = &w->runs[*r];
		u128 end = run->end < to ? run->end : to;
		uint32_t ref = run->value; /* ADDRSET_REF_VALUE */
		int e;

		if ((end & below) != below) { /* ends within a key: the keys before it first */
			u128 key = end & ~below;

			if (key > from) {
				e = key_add(k, (uint64_t)((key - 1) >> shift) & masks[depth], ref);
				if (e < 0)
					return e;
				from = key;
			}
			end = key | below;
			e = piece_make(w, depth + 1, from, end, r, &ref);
			if (e < 0)
				return e;
		} else if (run->end == end) {
			++*r;
		}
		e = key_add(k, (uint64_t)(end >> shift) & masks[depth], ref);
		if (e < 0)
			return e;
		if (end == to)
			return node_make(w->b, k, depth, ret_ref);
		from = end + 1;
	}
}

int addrset_build6(struct addrset_builder *b, const struct addrset_input *input)
{
	struct build6 w = { .b = b };
	int e = sweep(input, &w);
	size_t r = 0;

	if (e == 0 && !addrset_grow(b, ADDRSET_S_TOP, ADDRSET_TOP))
		e = -ENOMEM;
	for (uint32_t i = 0; e == 0 && i < ADDRSET_TOP; i++) {
		u128 from = (u128)i << 108;
		uint32_t *top = b->sections[ADDRSET_S_TOP].p;

		e = piece_make(&w, 0, from, from | ~(u128)0 >> 20, &r, &top[i]);
	}
	b->n_runs6 = (uint32_t)w.n_runs;
	for (unsigned i = 0; i < 3; i++) {
		free(w.keys[i].ends);
		free(w.keys[i].refs);
	}
	free(w.runs);
	return e;
}
