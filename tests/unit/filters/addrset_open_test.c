/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile address part: each field that leads somewhere set beyond its bound, and every section
 * damaged at random. What still opens is asked for every kind of address: under AddressSanitizer a
 * read outside the part is an error.
 */
#include "addrset_build.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_VALUE = 9, N_CLIENTS = 512 };

static uint64_t rng_state = 1;

static uint32_t rnd(void)
{
	rng_state = rng_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(rng_state >> 33);
}

struct part {
	uint8_t *base;
	size_t len;
	struct addrset_header *header;
	uint8_t clients[N_CLIENTS][16];
};

static void v6_of(uint8_t out[16], uint32_t a, uint32_t b, uint64_t lo)
{
	for (unsigned i = 0; i < 4; i++) {
		out[i] = (uint8_t)(a >> (24 - 8 * i));
		out[4 + i] = (uint8_t)(b >> (24 - 8 * i));
	}
	for (unsigned i = 0; i < 8; i++)
		out[8 + i] = (uint8_t)(lo >> (56 - 8 * i));
}

/* Every section has something: longs, blocks, lines, spill, small and large nodes and tails. */
static void part_make(struct part *p)
{
	enum { N_HOSTS = 1100000, N4 = N_HOSTS + 3000, N6 = 9000 };
	struct addrset_input in = { .n_v4 = 0 };
	void *base;

	in.v4 = malloc(N4 * sizeof(*in.v4));
	in.v6 = malloc(N6 * sizeof(*in.v6));
	for (uint32_t i = 0; i < N_HOSTS; i++)
		in.v4[in.n_v4++] = addrset_entry4(0x0a000000 + i * 5, 32, 0, (uint8_t)(i % 9 + 1));
	for (uint32_t i = 0; i < 3000; i++)
		in.v4[in.n_v4++] = addrset_entry4(0xc6000000 + (i < 300 ? i * 2 : i * 96),
		    i < 300 ? 31 : 20 + i % 11, 0, (uint8_t)(i % 9 + 1));
	for (uint32_t i = 0; i < N6; i++) {
		uint8_t a[16], value = (uint8_t)(i % 9 + 1);

		if (i < 3000) { /* many /48s of a few /32s */
			v6_of(a, 0x20010db8 + i % 3, i << 16, 0);
			in.v6[in.n_v6++] = addrset_entry6(a, 48, 0, value);
		} else if (i < 6000) { /* /32s of one /20, some with a single /64 */
			v6_of(a, 0x2a020000 + i % 4096, i % 2 ? i : 0, 0);
			in.v6[in.n_v6++] = addrset_entry6(a, i % 2 ? 64 : 32, 0, value);
		} else { /* hosts: alone, and many of one /64 */
			v6_of(a, 0x2c0f0000, i % 2 ? i : 7, i * 3ull);
			in.v6[in.n_v6++] = addrset_entry6(a, 128, 0, value);
		}
	}
	assert_int_equal(addrset_build(&in, &base, &p->len), 0);
	p->base = base;
	p->header = base;
	for (unsigned i = 0; i < ADDRSET_N_SECTIONS; i++)
		assert_true(p->header->sections[i].n > 0);
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		const struct addrset_entry6 *e6 = &in.v6[rnd() % in.n_v6];
		uint32_t a =
		    (uint32_t)(in.v4[rnd() % 4 ? N_HOSTS + rnd() % 3000 : rnd() % N4].word >> 32);

		if (i % 2)
			v6_of(p->clients[i], 0, 0, 0xffff00000000ull | (a ^ (rnd() & 1)));
		else
			v6_of(p->clients[i], (uint32_t)(e6->hi >> 32), (uint32_t)e6->hi,
			    e6->lo ^ (rnd() & 1));
	}
	free(in.v4);
	free(in.v6);
}

static int try_open(const struct part *p, size_t len)
{
	const char *error = NULL;
	struct addrset set;
	uint8_t values[N_CLIENTS];
	int r = addrset_open(p->base, len, MAX_VALUE, &set, &error);

	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		assert_non_null(error);
		return r;
	}
	addrset_find(&set, (const uint8_t(*)[16])p->clients, N_CLIENTS, values);
	for (unsigned i = 0; i < N_CLIENTS; i++)
		assert_true(values[i] <= MAX_VALUE);
	return 0;
}

static struct part part;

static void *at(enum addrset_section section, uint64_t index)
{
	return part.base + part.header->sections[section].offset +
	       index * addrset_section_size[section];
}

/* Sets a field, expects a refusal, puts it back. */
#define BAD(field, value)                                                                          \
	do {                                                                                       \
		__typeof__(field) saved_ = (field);                                                \
		(field) = (__typeof__(field))(value);                                              \
		assert_int_equal(try_open(&part, part.len), -EBADMSG);                             \
		(field) = saved_;                                                                  \
	} while (0)

static void test_fields(void **state)
{
	struct addrset_header *h = part.header;
	struct addrset_cell *cell = at(ADDRSET_S_CELLS, 0x0a000000 >> 14);
	struct addrset_long *l = at(ADDRSET_S_LONGS, 0);
	struct addrset_line *line = at(ADDRSET_S_LINES, 5);
	struct addrset_small *small = at(ADDRSET_S_SMALLS, 0);
	struct addrset_wide *wide = at(ADDRSET_S_WIDES, 0);
	struct addrset_leaf *leaf = at(ADDRSET_S_LEAVES, 0);
	struct addrset_node *node = at(ADDRSET_S_NODES, 0);
	struct addrset_tail_small *tail = at(ADDRSET_S_TAIL_SMALLS, 0);
	struct addrset_tail_node *tail_node = at(ADDRSET_S_TAIL_NODES, 0);
	uint64_t n[ADDRSET_N_SECTIONS];
	uint32_t *top = at(ADDRSET_S_TOP, 0x2001);

	(void)state;
	for (unsigned i = 0; i < ADDRSET_N_SECTIONS; i++)
		n[i] = h->sections[i].n;
	assert_int_equal(try_open(&part, part.len), 0);
	BAD(h->magic, 0);
	BAD(h->size, part.len + 64);
	for (unsigned i = 0; i < ADDRSET_N_SECTIONS; i++) {
		BAD(h->sections[i].offset, part.len + 64);
		BAD(h->sections[i].offset, h->sections[i].offset + 8);
		BAD(h->sections[i].offset, 0);
		BAD(h->sections[i].offset, UINT64_MAX - 63);
		BAD(h->sections[i].n, UINT64_MAX);
		BAD(h->sections[i].n, part.len);
	}
	BAD(h->sections[ADDRSET_S_CELLS].n, ADDRSET_CELLS - 1);
	BAD(h->sections[ADDRSET_S_RUNS].n, 255);
	BAD(h->sections[ADDRSET_S_LINES].n, ADDRSET_MIN_LINES - 1);
	BAD(h->sections[ADDRSET_S_LINES].n, 0); /* and cells with hosts */
	BAD(h->sections[ADDRSET_S_SPILL].n, n[ADDRSET_S_SPILL] - 1);
	BAD(h->sections[ADDRSET_S_SPILL].n, 0);
	BAD(h->sections[ADDRSET_S_TOP].n, ADDRSET_TOP - 1);
	BAD(h->sections[ADDRSET_S_LONGS].n, n[ADDRSET_S_LONGS] - 1);
	BAD(h->sections[ADDRSET_S_BLOCKS].n, n[ADDRSET_S_BLOCKS] - 1);
	BAD(h->sections[ADDRSET_S_WIDES].n, n[ADDRSET_S_WIDES] - 1);
	BAD(h->sections[ADDRSET_S_SMALLS].n, n[ADDRSET_S_SMALLS] - 1);
	BAD(h->sections[ADDRSET_S_LEAVES].n, n[ADDRSET_S_LEAVES] - 1);
	BAD(h->sections[ADDRSET_S_NODES].n, n[ADDRSET_S_NODES] - 1);
	BAD(h->sections[ADDRSET_S_TAIL_SMALLS].n, n[ADDRSET_S_TAIL_SMALLS] - 1);
	BAD(h->sections[ADDRSET_S_TAIL_NODES].n, n[ADDRSET_S_TAIL_NODES] - 1);
	BAD(h->max_probes, n[ADDRSET_S_SPILL] + 1);
	BAD(h->max_probes, 0); /* and lines that spill */
	BAD(cell->value_base, n[ADDRSET_S_RUNS]);
	BAD(cell->value_base, UINT32_MAX);
	BAD(cell->long_base, n[ADDRSET_S_LONGS] + 1);
	cell = at(ADDRSET_S_CELLS, 0xc6000000 >> 14); /* with longs */
	BAD(cell->long_base, n[ADDRSET_S_LONGS]);
	cell = at(ADDRSET_S_CELLS, 0xe0000000 >> 14); /* uniform, not listed */
	BAD(cell->value_base, n[ADDRSET_S_RUNS]);
	BAD(*(uint8_t *)at(ADDRSET_S_RUNS, 3), 4);
	BAD(*(uint8_t *)at(ADDRSET_S_RUNS, n[ADDRSET_S_RUNS] - 1), MAX_VALUE + 1);
	BAD(l->is_block, 2);
	while (!l->is_block)
		l++;
	BAD(l->ends[3], 0xff);
	while (l->is_block)
		l++;
	BAD(l->values[7], MAX_VALUE + 1);
	BAD(*(uint8_t *)at(ADDRSET_S_BLOCKS, 0), MAX_VALUE + 1);
	BAD(line->values[0], MAX_VALUE + 1);
	BAD(line->values[ADDRSET_LINE_HOSTS - 1], 255);
	BAD(((struct addrset_spill *)at(ADDRSET_S_SPILL, 1))->value, MAX_VALUE + 1);
	for (unsigned type = 0; type < 16; type++) { /* what the bits can say */
		uint32_t beyond = type << ADDRSET_REF_SHIFT | ADDRSET_REF_INDEX;

		BAD(*top, beyond);
		BAD(wide->refs[0], beyond);
		BAD(wide->refs[ADDRSET_WIDE - 1], beyond);
		BAD(small->refs[0], beyond);
		BAD(node->refs[15], beyond);
		BAD(tail_node->refs[7], beyond);
	}
	BAD(*top, MAX_VALUE + 1);
	for (unsigned type = ADDRSET_N_REF_TYPES; type < 16; type++)
		BAD(*top, type << ADDRSET_REF_SHIFT);
	BAD(wide->refs[7], (uint32_t)ADDRSET_REF_WIDE << ADDRSET_REF_SHIFT);
	BAD(node->refs[0], (uint32_t)ADDRSET_REF_WIDE << ADDRSET_REF_SHIFT);
	BAD(small->refs[0], (uint32_t)ADDRSET_REF_WIDE << ADDRSET_REF_SHIFT);
	BAD(tail_node->refs[0], (uint32_t)ADDRSET_REF_WIDE << ADDRSET_REF_SHIFT);
	BAD(*top, (uint32_t)ADDRSET_REF_NODE_A << ADDRSET_REF_SHIFT | n[ADDRSET_S_NODES]);
	BAD(small->ends[3], 0);
	BAD(node->ends[15], 0);
	BAD(leaf->values[0], MAX_VALUE + 1);
	BAD(leaf->values[ADDRSET_LEAF_KEYS], MAX_VALUE + 1);
	BAD(tail_node->ends[7], 0);
	BAD(tail->values[0], MAX_VALUE + 1);
	assert_int_equal(try_open(&part, part.len), 0);
}

/* Nodes that lead in a circle end a look-up, not the program. */
static void test_circle(void **state)
{
	uint32_t *top = at(ADDRSET_S_TOP, 0);
	uint32_t *saved = malloc(ADDRSET_TOP * sizeof(*top));
	struct addrset_node *node = at(ADDRSET_S_NODES, 0), was = *node;
	uint32_t ref = (uint32_t)ADDRSET_REF_NODE_B << ADDRSET_REF_SHIFT;

	(void)state;
	memcpy(saved, top, ADDRSET_TOP * sizeof(*top));
	for (unsigned i = 0; i < ADDRSET_TOP; i++)
		top[i] = ref;
	for (unsigned i = 0; i < 16; i++)
		node->refs[i] = ref;
	assert_int_equal(try_open(&part, part.len), 0);
	memcpy(top, saved, ADDRSET_TOP * sizeof(*top));
	*node = was;
	free(saved);
}

static void test_cut(void **state)
{
	(void)state;
	for (size_t len = 0; len < part.len; len += len < 600 ? 1 : part.len / 40 + 1)
		assert_int_equal(try_open(&part, len), -EBADMSG);
}

static void test_damage(void **state)
{
	unsigned opened = 0, refused = 0;

	(void)state;
	for (unsigned round = 0; round < 1500; round++) {
		enum { MOST = 8 };
		uint8_t *where[MOST], was[MOST];
		unsigned n = 1 + rnd() % MOST;

		for (unsigned i = 0; i < n; i++) {
			unsigned section = rnd() % (ADDRSET_N_SECTIONS + 1);

			if (section == ADDRSET_N_SECTIONS)
				where[i] = part.base + rnd() % sizeof(*part.header);
			else
				where[i] = (uint8_t *)at(
					       section, rnd() % part.header->sections[section].n) +
					   rnd() % addrset_section_size[section];
			was[i] = *where[i];
		}
		for (unsigned i = 0; i < n; i++)
			*where[i] = rnd() % 3 ? (uint8_t)rnd() : (uint8_t)(1u << rnd() % 8);
		if (try_open(&part, part.len) == 0)
			opened++;
		else
			refused++;
		for (unsigned i = n; i-- > 0;)
			*where[i] = was[i];
	}
	assert_true(opened > 50); /* keys and tags may hold anything */
	assert_true(refused > 500);
	assert_int_equal(try_open(&part, part.len), 0);
}

static int setup(void **state)
{
	(void)state;
	part_make(&part);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(part.base);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_circle),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
