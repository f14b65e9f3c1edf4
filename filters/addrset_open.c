/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks an ADDRESSES part before anybody looks anything up in it. After this no content can lead
 * a look-up outside the part: every index is compared with its bound here, once, so that the look-up
 * itself need not. Trees are safe by their padding: the last node of a level can count only as
 * many keys as it has children behind it, and inner disorder only picks a wrong one of them.
 *
 * Rejected: bounds in the look-up (a compare per step for ever), and trust in the part's hash (it
 * proves who made the image, not that the maker had no bug).
 */
#include "addrset.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

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

static const char *check_v4(const struct check *c)
{
	const struct addrset *s = &c->set;

	if (c->n[ADDRSET_S_CELLS] == 0)
		return NULL;
	if (c->n[ADDRSET_S_CELLS] != ADDRSET_CELLS || c->n[ADDRSET_S_RUNS] < 256)
		return "address table: wrong number of cells or runs";
	for (unsigned i = 0; i < ADDRSET_CELLS; i++) {
		const struct addrset_cell *l = &s->cells[i];

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
	for (uint64_t i = 0; i < s->n_lines; i++) {
		if (!bytes_within(s->lines[i].values, ADDRSET_LINE_HOSTS, c->max_value))
			return "address table: a host has no such list";
		if (s->lines[i].overflow && s->max_probes == 0)
			return "address table: a line spills and there is no spill table";
	}
	for (uint64_t i = 0; i < c->n[ADDRSET_S_SPILL]; i++)
		if (s->spill[i].value > c->max_value)
			return "address table: a host has no such list";
	return NULL;
}

/* Levels lie inside the nodes, each as large as the leaves demand, and end in padding. */
static const char *check_tree(const struct check *c, const struct addrset_tree *t)
{
	uint64_t count; /* keys, then children to find */

	if ((t->node_keys != 16 && t->node_keys != 8) || t->n_keys == 0 || t->n_levels == 0 ||
	    t->n_levels > ADDRSET_TREE_LEVELS)
		return "address table: a tree of no known kind";
	if ((uint64_t)t->refs + t->n_keys >= c->n[ADDRSET_S_REFS])
		return "address table: a tree's values lie outside";
	count = t->n_keys;
	for (unsigned i = t->n_levels; i-- > 0;) {
		bool leaf = i == t->n_levels - 1u;
		unsigned keys = t->node_keys, per_node = leaf ? keys : keys + 1;
		uint64_t nodes = (count + per_node - 1) / per_node;
		uint64_t used = count - (nodes - 1) * per_node; /* in the last node */
		const union addrset_node *last;

		if ((uint64_t)t->level[i] + nodes > c->n[ADDRSET_S_NODES])
			return "address table: a tree lies outside";
		last = &c->set.nodes[t->level[i] + nodes - 1];
		for (uint64_t k = leaf ? used : used - 1; k < keys; k++)
			if (keys == 16 ? last->k32[k] != ADDRSET_KEY_PAD : last->k64[k] != UINT64_MAX)
				return "address table: a tree lacks its padding";
		if (i == 0 && nodes != 1)
			return "address table: a tree without one root";
		count = nodes;
	}
	return NULL;
}

static bool ref_within(const struct check *c, uint32_t ref)
{
	uint32_t index = ref & ADDRSET_REF_INDEX;

	switch (ref >> ADDRSET_REF_SHIFT) {
	case ADDRSET_REF_VALUE: return index <= c->max_value;
	case ADDRSET_REF_SMALL: return index < c->n[ADDRSET_S_SMALLS];
	case ADDRSET_REF_MEDIUM: return index < c->n[ADDRSET_S_MEDIUMS];
	case ADDRSET_REF_TAIL: return index < c->n[ADDRSET_S_TAILS];
	case ADDRSET_REF_TREE:
		return index < c->n[ADDRSET_S_TREES] && c->set.trees[index].node_keys == 16;
	case ADDRSET_REF_TAIL_TREE:
		return index < c->n[ADDRSET_S_TREES] && c->set.trees[index].node_keys == 8;
	default: return false;
	}
}

static bool refs_within(const struct check *c, const uint32_t *refs, uint64_t n)
{
	bool within = true;

	for (uint64_t i = 0; i < n; i++)
		within &= ref_within(c, refs[i]);
	return within;
}

static const char *check_v6(const struct check *c)
{
	static const char outside[] = "address table: an IPv6 reference points outside";
	const struct addrset *s = &c->set;
	const char *error;

	if (c->n[ADDRSET_S_TOP] == 0)
		return NULL;
	if (c->n[ADDRSET_S_TOP] != ADDRSET_TOP)
		return "address table: wrong size of the IPv6 top table";
	for (uint64_t i = 0; i < c->n[ADDRSET_S_TREES]; i++) {
		error = check_tree(c, &s->trees[i]);
		if (error)
			return error;
	}
	if (!refs_within(c, s->top, ADDRSET_TOP) || !refs_within(c, s->refs, c->n[ADDRSET_S_REFS]))
		return outside;
	for (uint64_t i = 0; i < c->n[ADDRSET_S_SMALLS]; i++)
		if (!refs_within(c, s->smalls[i].refs, ADDRSET_SMALL_KEYS + 1))
			return outside;
	for (uint64_t i = 0; i < c->n[ADDRSET_S_MEDIUMS]; i++) {
		if (!refs_within(c, s->mediums[i].refs, ADDRSET_MEDIUM_KEYS + 1))
			return outside;
		if (s->mediums[i].ends[ADDRSET_MEDIUM_KEYS] != ADDRSET_KEY_PAD)
			return "address table: a node lacks its padding";
	}
	for (uint64_t i = 0; i < c->n[ADDRSET_S_SMALLS]; i++)
		if (s->smalls[i].ends[ADDRSET_SMALL_KEYS] != ADDRSET_KEY_PAD)
			return "address table: a node lacks its padding";
	for (uint64_t i = 0; i < c->n[ADDRSET_S_TAILS]; i++)
		if (!bytes_within(s->tails[i].values, ADDRSET_SMALL_KEYS + 1, c->max_value))
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
	c.set.smalls = at[ADDRSET_S_SMALLS];
	c.set.mediums = at[ADDRSET_S_MEDIUMS];
	c.set.tails = at[ADDRSET_S_TAILS];
	c.set.trees = at[ADDRSET_S_TREES];
	c.set.nodes = at[ADDRSET_S_NODES];
	c.set.refs = at[ADDRSET_S_REFS];
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
