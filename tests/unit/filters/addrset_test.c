/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The address table against a naive model: the longest prefix wins unless an allow prefix covers
 * the address. Random sets by seed, plus the edges by name.
 */
#include "addrset_build.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N_VALUES = 250, FIRST_ALLOW = 200, MAX_ENTRIES = 4096 };

struct prefix {
	uint8_t addr[16];
	unsigned len; /* 0-128, IPv4 by its own 0-32 */
	bool v4;
	uint8_t value;
};

struct model {
	struct prefix p[MAX_ENTRIES];
	unsigned n;
	struct addrset set;
	void *base;
	size_t len;
};

static uint64_t rng_state;

static uint32_t rnd(void)
{
	rng_state += 0x9e3779b97f4a7c15ull;
	uint64_t z = rng_state;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 16);
}

/* Lower order first among equal prefixes: allow lists, then by value. */
static uint8_t order_of(uint8_t value)
{
	return value >= FIRST_ALLOW ? (uint8_t)(value - FIRST_ALLOW) : (uint8_t)(value + 50);
}

static void v4_mapped(uint8_t out[16], uint32_t a)
{
	const uint8_t m[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (uint8_t)(a >> 24),
		(uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a };

	memcpy(out, m, 16);
}

static void add4(struct model *m, uint32_t a, unsigned len, uint8_t value)
{
	struct prefix *p = &m->p[m->n++];

	assert_true(m->n <= MAX_ENTRIES);
	v4_mapped(p->addr, a);
	p->len = len;
	p->v4 = true;
	p->value = value;
}

static void add6(struct model *m, const uint8_t a[16], unsigned len, uint8_t value)
{
	struct prefix *p = &m->p[m->n++];

	assert_true(m->n <= MAX_ENTRIES);
	memcpy(p->addr, a, 16);
	p->len = len;
	p->v4 = false;
	p->value = value;
}

static void build(struct model *m)
{
	struct addrset_input in = { .n_v4 = 0 };
	const char *error = NULL;

	in.v4 = calloc(m->n + 1, sizeof(*in.v4));
	in.v6 = calloc(m->n + 1, sizeof(*in.v6));
	for (unsigned i = FIRST_ALLOW; i <= N_VALUES; i++)
		in.allow[i] = true;
	for (unsigned i = 0; i < m->n; i++) {
		const struct prefix *p = &m->p[i];
		uint32_t a = (uint32_t)p->addr[12] << 24 | (uint32_t)p->addr[13] << 16 |
			     (uint32_t)p->addr[14] << 8 | p->addr[15];

		if (p->v4)
			in.v4[in.n_v4++] = addrset_entry4(a, p->len, order_of(p->value), p->value);
		else
			in.v6[in.n_v6++] =
			    addrset_entry6(p->addr, p->len, order_of(p->value), p->value);
	}
	assert_int_equal(addrset_build(&in, &m->base, &m->len), 0);
	free(in.v4);
	free(in.v6);
	if (addrset_open(m->base, m->len, N_VALUES, &m->set, &error) != 0)
		fail_msg("%s", error);
}

static void done(struct model *m)
{
	free(m->base);
	m->base = NULL;
	m->n = 0;
}

static bool covers(const struct prefix *p, const uint8_t a[16])
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	bool v4 = memcmp(a, mapped, 12) == 0;
	unsigned len = p->v4 ? p->len + 96 : p->len;

	if (v4 != p->v4)
		return false;
	if (memcmp(a, p->addr, len / 8) != 0)
		return false;
	return len % 8 == 0 || (a[len / 8] ^ p->addr[len / 8]) >> (8 - len % 8) == 0;
}

static uint8_t expected(const struct model *m, const uint8_t a[16])
{
	const struct prefix *best = NULL;

	for (unsigned i = 0; i < m->n; i++) {
		const struct prefix *p = &m->p[i];
		bool allow = p->value >= FIRST_ALLOW, best_allow;

		if (!covers(p, a))
			continue;
		best_allow = best && best->value >= FIRST_ALLOW;
		if (!best || (allow && !best_allow) ||
		    (allow == best_allow &&
			(p->len > best->len ||
			    (p->len == best->len && order_of(p->value) < order_of(best->value)))))
			best = p;
	}
	return best ? best->value : 0;
}

static void check(const struct model *m, const uint8_t (*a)[16], unsigned n)
{
	uint8_t got[300];

	assert_true(n <= sizeof(got));
	addrset_find(&m->set, a, n, got);
	for (unsigned i = 0; i < n; i++) {
		uint8_t want = expected(m, a[i]);

		if (got[i] != want)
			fail_msg("%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x:"
				 "%02x%02x: %u, not %u",
			    a[i][0], a[i][1], a[i][2], a[i][3], a[i][4], a[i][5], a[i][6], a[i][7],
			    a[i][8], a[i][9], a[i][10], a[i][11], a[i][12], a[i][13], a[i][14],
			    a[i][15], got[i], want);
	}
}

static void step(uint8_t a[16], int by, unsigned at)
{
	for (int i = (int)at; i >= 0; i--) {
		a[i] = (uint8_t)(a[i] + by);
		if (a[i] != (by > 0 ? 0 : 255))
			break;
	}
}

/* Ends of an entry and their neighbours, for each family in its own space. */
static void check_edges(const struct model *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		uint8_t probe[6][16];
		unsigned len = m->p[i].v4 ? m->p[i].len + 96 : m->p[i].len;

		memcpy(probe[0], m->p[i].addr, 16);
		for (unsigned b = len; b < 128; b++)
			probe[0][b / 8] &= (uint8_t) ~(0x80 >> b % 8);
		memcpy(probe[1], probe[0], 16);
		for (unsigned b = len; b < 128; b++)
			probe[1][b / 8] |= (uint8_t)(0x80 >> b % 8);
		memcpy(probe[2], probe[0], 16);
		step(probe[2], -1, 15);
		memcpy(probe[3], probe[1], 16);
		step(probe[3], 1, 15);
		memcpy(probe[4], m->p[i].addr, 16);
		probe[4][15] ^= 0x55;
		memcpy(probe[5], m->p[i].addr, 16);
		probe[5][13] ^= 1;
		check(m, (const uint8_t(*)[16])probe, 6);
	}
}

static struct model model;

static void test_empty(void **state)
{
	uint8_t a[2][16] = { { 0 } };

	(void)state;
	v4_mapped(a[1], 0x01020304);
	build(&model);
	assert_true(model.len < 4096); /* nothing listed costs nothing */
	check(&model, (const uint8_t(*)[16])a, 2);
	done(&model);
}

static void test_v4_edges(void **state)
{
	uint8_t a[4][16];

	(void)state;
	add4(&model, 0, 0, 1);
	add4(&model, 0, 32, 2);
	add4(&model, UINT32_MAX, 32, 3);
	add4(&model, 0x80000000, 1, 4);
	add4(&model, 0x0a000000, 8, 5);
	add4(&model, 0x0a000000, 9, 6);
	add4(&model, 0x0a800000, 9, 7);
	add4(&model, 0x0aff0000, 16, FIRST_ALLOW); /* allow inside block */
	add4(&model, 0x0aff0100, 24, 8);           /* block inside allow: no effect */
	add4(&model, 0x0aff0101, 32, 9);
	add4(&model, 0xc0000200, 24, 10);
	add4(&model, 0xc0000280, 25, 11);
	add4(&model, 0xc00002fe, 31, 12);
	add4(&model, 0xc00002ff, 32, FIRST_ALLOW + 1);
	add4(&model, 0xc0000300, 24, 10); /* adjacent, the same value */
	add4(&model, 0xc0000200, 24, 13); /* the same prefix twice */
	build(&model);
	check_edges(&model);
	v4_mapped(a[0], 0x0aff0101);
	v4_mapped(a[1], 0xffffffff);
	v4_mapped(a[2], 0);
	v4_mapped(a[3], 0xc00002ff);
	check(&model, (const uint8_t(*)[16])a, 4);
	assert_int_equal(expected(&model, a[0]), FIRST_ALLOW);
	done(&model);
}

static void test_v6_edges(void **state)
{
	static const uint8_t zero[16], ones[16] = { 255, 255, 255, 255, 255, 255, 255, 255, 255,
		255, 255, 255, 255, 255, 255, 255 };
	uint8_t a[16] = { 0x20, 0x01, 0x0d, 0xb8 };

	(void)state;
	add6(&model, zero, 0, 1);
	add6(&model, zero, 128, 2);
	add6(&model, ones, 128, 3);
	add6(&model, ones, 1, 4);
	add6(&model, a, 32, 5);
	a[4] = 0x12;
	add6(&model, a, 48, FIRST_ALLOW);
	a[6] = 1;
	add6(&model, a, 64, 6); /* inside allow */
	a[4] = 0x13;
	add6(&model, a, 64, 7);
	a[15] = 1;
	add6(&model, a, 128, 8);
	a[15] = 2;
	add6(&model, a, 127, 9);
	a[8] = 0x80;
	add6(&model, a, 65, 10);
	add6(&model, a, 20, 11);
	add6(&model, a, 33, 12);
	add6(&model, a, 63, 13);
	build(&model);
	check_edges(&model);
	done(&model);
}

/* ::ffff:0:0/96 is IPv4's; an IPv6 prefix over it lists no IPv4 client, nor the other way. */
static void test_families_apart(void **state)
{
	uint8_t zero[16] = { 0 }, a[2][16] = { { 0 } };
	uint8_t got[2];

	(void)state;
	v4_mapped(a[0], 0xc0000201);
	a[1][15] = 1;
	add6(&model, zero, 0, 5);
	build(&model);
	addrset_find(&model.set, (const uint8_t(*)[16])a, 2, got);
	assert_int_equal(got[0], 0);
	assert_int_equal(got[1], 5);
	done(&model);
	add4(&model, 0, 0, 6);
	build(&model);
	addrset_find(&model.set, (const uint8_t(*)[16])a, 2, got);
	assert_int_equal(got[0], 6);
	assert_int_equal(got[1], 0);
	done(&model);
}

/* Clustered so that entries nest, touch and crowd one /24, one /64, one /32. */
static void random_entry(struct model *m, unsigned few_bits)
{
	uint8_t value = (uint8_t)(rnd() % (N_VALUES - 1) + 1);
	uint8_t a[16] = { 0x20, 0x01 };

	if (rnd() % 8 && value >= FIRST_ALLOW)
		value = (uint8_t)(value - 100);
	if (rnd() % 2) {
		uint32_t addr = rnd();

		if (rnd() % 2)
			addr = 0xc6336400 | (addr & ((1u << few_bits) - 1));
		add4(m, addr, rnd() % 3 ? 24 + rnd() % 9 : rnd() % 33, value);
		return;
	}
	for (unsigned i = 2; i < 16; i++)
		a[i] = rnd() % 4 ? 0 : (uint8_t)(rnd() & ((1u << (few_bits % 8 + 1)) - 1));
	add6(m, a, rnd() % 3 ? 32 + rnd() % 97 : rnd() % 129, value);
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 60; seed++) {
		uint8_t a[256][16];

		rng_state = seed;
		for (unsigned i = 0, n = 1 + rnd() % 600; i < n; i++)
			random_entry(&model, seed % 20 + 1);
		build(&model);
		check_edges(&model);
		for (unsigned i = 0; i < 256; i++) {
			memcpy(a[i], model.p[rnd() % model.n].addr, 16);
			a[i][8 + rnd() % 8] ^= (uint8_t)rnd();
			if (rnd() % 4 == 0)
				a[i][rnd() % 16] ^= (uint8_t)(1u << rnd() % 8);
		}
		check(&model, (const uint8_t(*)[16])a, 256);
		/* any burst length, any mixture */
		check(&model, (const uint8_t(*)[16])a, 1);
		check(&model, (const uint8_t(*)[16])a, 63);
		check(&model, (const uint8_t(*)[16])a, 65);
		done(&model);
	}
}

/* One /24 with each host its own value: more runs than fit a long, more hosts than a line. */
static void test_crowded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 128; i++)
		add4(&model, 0xcb007100 + i * 2, 31, (uint8_t)(i + 1));
	for (unsigned i = 0; i < 256; i++)
		add4(&model, 0xcb007200 + i, 32, (uint8_t)(i % 199 + 1));
	for (unsigned i = 0; i < 2000; i++) { /* one /64 with many hosts: a tail tree of levels */
		uint8_t a[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, (uint8_t)(i * 37), 0, 0, 0, 0,
			0, (uint8_t)(i >> 8), (uint8_t)i };

		add6(&model, a, 128, (uint8_t)(i % 199 + 1));
	}
	for (unsigned i = 0; i < 1000; i++) { /* one /32 with many /64s: a tree of levels */
		uint8_t a[16] = { 0x20, 0x01, 0x0d, 0xb9, (uint8_t)(i * 59), (uint8_t)(i >> 3),
			(uint8_t)i, 0 };

		add6(&model, a, 56, (uint8_t)(i % 199 + 1));
	}
	build(&model);
	check_edges(&model);
	done(&model);
}

static uint64_t section_n(const struct model *m, enum addrset_section section)
{
	return ((const struct addrset_header *)m->base)->sections[section].n;
}

/* A /20 as allocations fill it, to its first and last /32: 640 runs are a tree, more a table. */
static void test_dense(void **state)
{
	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		for (unsigned i = 0; i < 320; i++) { /* every other /32 alone: 640 runs */
			unsigned net = i < 200 ? i * 2 : 4096 - (320 - i) * 2;
			uint8_t a[16] = { 0x2a, 0x01, (uint8_t)(net >> 8), (uint8_t)net };

			add6(&model, a, 32, (uint8_t)(i % 199 + 1));
			a[4] = (uint8_t)i;
			if (i % 3 == 0) /* a piece below: the same number of runs above */
				add6(&model, a, 48, (uint8_t)(i % 99 + 1));
			a[6] = 7;
			if (i % 9 == 0)
				add6(&model, a, 128, (uint8_t)(i % 99 + 2));
		}
		if (more) {
			const uint8_t middle[16] = { 0x2a, 0x01, 0x03, 0xe8 };
			const uint8_t last[16] = { 0x2a, 0x01, 0x0f, 0xff };

			add6(&model, middle, 32, 3);
			add6(&model, last, 32, 3);
		}
		build(&model);
		assert_int_equal(section_n(&model, ADDRSET_S_WIDES), more);
		check_edges(&model);
		done(&model);
	}
}

/* Runs of values alone: 2 to 4 lie in a small node, to 13 in a leaf, more under a tree of leaves. */
static void test_leaves(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 40; n++) {
		for (unsigned i = 0; i < n; i++) { /* from the first /48 on: 2 n runs */
			uint8_t a[16] = { 0x20, 0x01, 0x0d, 0xb8, (uint8_t)(i / 8),
				(uint8_t)(i * 32) };

			add6(&model, a, 48, (uint8_t)(i % 199 + 1));
		}
		build(&model);
		assert_int_equal(
		    section_n(&model, ADDRSET_S_LEAVES), n <= 2 ? 0 : (2 * n + 12) / 13);
		check_edges(&model);
		done(&model);
	}
}

/* More hosts than lines hold in the mean would never spill by chance alone: fill them. */
static void test_spill(void **state)
{
	enum { N = 1500000 };
	struct addrset_input in = { .n_v4 = N };
	const char *error;
	struct addrset set;
	size_t len;
	void *base;

	(void)state;
	in.v4 = malloc(N * sizeof(*in.v4));
	for (uint32_t i = 0; i < N; i++) /* every third address: no prefix swallows another */
		in.v4[i] = addrset_entry4(0x0a000000 + i * 3, 32, 0, (uint8_t)(i % 250 + 1));
	assert_int_equal(addrset_build(&in, &base, &len), 0);
	assert_int_equal(addrset_open(base, len, N_VALUES, &set, &error), 0);
	assert_true(((struct addrset_header *)base)->sections[ADDRSET_S_SPILL].n > 0);
	for (uint32_t i = 0; i < N; i += 32) {
		uint8_t a[64][16], got[64];

		for (uint32_t k = 0; k < 64; k++)
			v4_mapped(a[k], 0x0a000000 + (i + k / 2) * 3 + k % 2);
		addrset_find(&set, (const uint8_t(*)[16])a, 64, got);
		for (uint32_t k = 0; k < 64 && i + k / 2 < N; k++)
			assert_int_equal(got[k], k % 2 ? 0 : (i + k / 2) % 250 + 1);
	}
	free(in.v4);
	free(base);
}

/* The same entries in another order are the same bytes: an unchanged part keeps its hash. */
static void test_deterministic(void **state)
{
	struct model *a = &model;
	static struct model b;

	(void)state;
	rng_state = 77;
	for (unsigned i = 0; i < 500; i++)
		random_entry(a, 9);
	for (unsigned i = 0; i < a->n; i++)
		b.p[i] = a->p[a->n - 1 - i];
	b.n = a->n;
	build(a);
	build(&b);
	assert_int_equal(a->len, b.len);
	assert_memory_equal(a->base, b.base, a->len);
	done(a);
	done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_v4_edges),
		cmocka_unit_test(test_v6_edges),
		cmocka_unit_test(test_families_apart),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_dense),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_spill),
		cmocka_unit_test(test_deterministic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
