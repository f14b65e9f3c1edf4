/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow table: everything inserted is found until removed, at any load it is sized for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flow.h"

static const uint8_t key[16] = { 1, 2, 3 };

static bool found(const struct flow_table *t, uint32_t hash, uint32_t index)
{
	struct flow_cursor cursor = { 0 };
	uint32_t i;

	while ((i = flow_next(t, hash, &cursor)) != 0)
		if (i == index)
			return true;
	return false;
}

static void finds_what_is_there_and_nothing_else(void **state)
{
	enum { N = 5000 };
	static uint32_t hash[N + 1];
	struct flow_table t;
	struct ip_addr local = { { 0 } }, remote;

	(void)state;
	assert_int_equal(flow_table_init(&t, N, key), 0);
	for (uint32_t i = 1; i <= N; i++) {
		uint8_t v4[4] = { 198, 51, (uint8_t)(i >> 8), (uint8_t)i };

		remote = ip_addr_from_v4(v4);
		hash[i] = flow_hash(&t, &local, 25, &remote, (uint16_t)i);
		flow_insert(&t, hash[i], i);
	}
	assert_int_equal(t.used, N);
	for (uint32_t i = 1; i <= N; i++)
		assert_true(found(&t, hash[i], i));
	for (uint32_t i = 1; i <= N; i += 2)
		flow_remove(&t, hash[i], i);
	for (uint32_t i = 1; i <= N; i++) {
		assert_int_equal(found(&t, hash[i], i), i % 2 == 0);
		assert_true(i % 2 || flow_may_hold(&t, hash[i]));
	}
	for (uint32_t i = 2; i <= N; i += 2)
		flow_remove(&t, hash[i], i);
	assert_int_equal(t.used, 0);
	for (uint32_t b = 0; b <= t.mask; b++)
		assert_int_equal(t.buckets[b].passed, 0);
	flow_table_fini(&t);
}

static void one_bucket_overflows_into_the_next(void **state)
{
	struct flow_table t;

	(void)state;
	assert_int_equal(flow_table_init(&t, 100, key), 0);
	for (uint32_t i = 1; i <= 35; i++)
		flow_insert(&t, 0x70000 + (i << 20), i); /* all at home in bucket 0 */
	for (uint32_t i = 1; i <= 35; i++)
		assert_true(found(&t, 0x70000 + (i << 20), i));
	flow_remove(&t, 0x70000 + (3 << 20), 3); /* a hole before what passed over it */
	assert_true(found(&t, 0x70000 + (35u << 20), 35));
	assert_true(flow_may_hold(&t, 0x70000 + (35u << 20)));
	flow_replace(&t, 0x70000 + (35u << 20), 35, 99);
	assert_true(found(&t, 0x70000 + (35u << 20), 99));
	flow_table_fini(&t);
}

static void hash_depends_on_every_part_and_the_key(void **state)
{
	struct flow_table t, u;
	uint8_t other[16] = { 9 }, a6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 1 };
	struct ip_addr a = ip_addr_from_v6(a6), b;
	uint32_t h;

	(void)state;
	assert_int_equal(flow_table_init(&t, 10, key), 0);
	assert_int_equal(flow_table_init(&u, 10, other), 0);
	a6[15] = 2;
	b = ip_addr_from_v6(a6);
	h = flow_hash(&t, &a, 25, &b, 4000);
	assert_int_not_equal(h, flow_hash(&t, &b, 25, &a, 4000));
	assert_int_not_equal(h, flow_hash(&t, &a, 26, &b, 4000));
	assert_int_not_equal(h, flow_hash(&t, &a, 25, &b, 4001));
	assert_int_not_equal(h, flow_hash(&u, &a, 25, &b, 4000));
	flow_table_fini(&t);
	flow_table_fini(&u);
}

static void a_miss_is_seen_at_once_in_every_slot(void **state)
{
	struct flow_table t;

	(void)state;
	assert_int_equal(flow_table_init(&t, 100, key), 0);
	for (uint32_t i = 1; i <= FLOW_BUCKET_SLOTS; i++) {
		uint32_t hash = i * 0x17310000u;

		assert_false(flow_may_hold(&t, hash));
		flow_insert(&t, hash, i);
		assert_true(flow_may_hold(&t, hash));
		assert_false(flow_may_hold(&t, hash ^ 0x00010000));
		assert_false(flow_may_hold(&t, hash ^ 0x80000000));
		assert_false(flow_may_hold(&t, hash ^ 1)); /* the next bucket */
	}
	flow_table_fini(&t);
}

/* What one host can vary: ports, and the addresses of a prefix. None may crowd the buckets. */
static void hash_spreads_tuples_that_differ_little(void **state)
{
	enum { N = 1 << 16 };
	static uint16_t load[3][N / 8];
	struct flow_table t;
	struct ip_addr local = ip_addr_from_v4("\xc0\x00\x02\x19");

	(void)state;
	assert_int_equal(flow_table_init(&t, 10, key), 0);
	for (uint32_t i = 0; i < N; i++) {
		uint8_t a4[4] = { 198, 18, (uint8_t)(i >> 8), (uint8_t)i };
		uint8_t a6[16] = { 0x20, 1, 0x0d,
			0xb8, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i };
		struct ip_addr r4 = ip_addr_from_v4(a4), r6 = ip_addr_from_v6(a6);

		load[0][flow_hash(&t, &local, 25, &r4, 4000) % (N / 8)]++;
		load[1][flow_hash(&t, &local, 25, &r6, 4000) % (N / 8)]++;
		load[2][flow_hash(&t, &local, 25, &local, (uint16_t)i) % (N / 8)]++;
	}
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < N / 8; k++)
			assert_in_range(load[i][k], 0, 32); /* 8 expected; chance: below 1e-9 */
	flow_table_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_there_and_nothing_else),
		cmocka_unit_test(one_bucket_overflows_into_the_next),
		cmocka_unit_test(a_miss_is_seen_at_once_in_every_slot),
		cmocka_unit_test(hash_spreads_tuples_that_differ_little),
		cmocka_unit_test(hash_depends_on_every_part_and_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
