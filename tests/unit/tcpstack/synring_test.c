/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring alone: places, ages, bounds, the sweep. */
#include "synring.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint64_t MS = 1000000u, START = 1700000000ull * 1000000000u;

static struct synring_entry entry(unsigned i)
{
	struct synring_entry e = { .isn = i, .src_port = (uint16_t)i, .mss = 1460, .wscale = 7 };

	e.src[15] = (uint8_t)i;
	e.src[14] = (uint8_t)(i >> 8);
	return e;
}

static uint64_t hash(unsigned slot)
{
	return (uint64_t)slot << 32;
}

static struct ip_addr src_of(const struct synring_entry *e)
{
	return ip_addr_from_v6(e->src);
}

static void two_places_to_a_hash(void **state)
{
	(void)state;
	struct synring r;

	assert_int_equal(synring_init(&r, 64), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct synring_entry e = entry(i);
		assert_int_equal(synring_put(&r, hash(4 + (i & 1)), &e, START), i < 2);
	}
	assert_int_equal(r.count, 2);
	struct synring_entry again = entry(1);
	again.ts_recent = 9;
	assert_true(synring_put(&r, hash(4), &again, START)); /* the same SYN keeps its place */
	assert_int_equal(r.count, 2);
	struct ip_addr a = src_of(&again);
	assert_int_equal(synring_find(&r, hash(5), &a, 1, 0, 1, START)->ts_recent, 9);
	assert_null(synring_find(&r, hash(5), &a, 1, 0, 2, START));
	assert_null(synring_find(&r, hash(5), &a, 1, 1, 1, START));
	assert_null(synring_find(&r, hash(6), &a, 1, 0, 1, START));
	synring_fini(&r);
}

static void young_entries_are_never_overwritten(void **state)
{
	(void)state;
	struct synring r;

	assert_int_equal(synring_init(&r, 64), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct synring_entry e = entry(i);
		assert_true(synring_put(&r, hash(0), &e, START));
	}
	struct synring_entry late = entry(9);
	assert_false(synring_put(&r, hash(0), &late, START + 7990 * MS));
	assert_true(synring_put(&r, hash(0), &late, START + 8010 * MS));
	synring_fini(&r);
}

static void each_is_due_three_times(void **state)
{
	(void)state;
	struct synring r;
	unsigned due = 0;

	assert_int_equal(synring_init(&r, 8192), 0);
	assert_true(synring_deadline(&r) == UINT64_MAX);
	unsigned put = 0;
	for (unsigned i = 0; i < 8000; i++) {
		struct synring_entry e = entry(i);
		put += synring_put(&r, hash(i), &e, START + i * 1000);
	}
	assert_int_equal(put, 8000);
	assert_true(synring_deadline(&r) <= START + 1001 * MS);
	assert_true(synring_deadline(&r) > START + 900 * MS);
	for (uint64_t ms = 0; ms < 12000; ms++) {
		struct synring_entry *e;
		while ((e = synring_due(&r, START + ms * MS))) {
			due++;
			assert_true(ms >= 992);
		}
	}
	assert_int_equal(due, 3 * 8000);
	assert_int_equal(r.count, 0);
	assert_true(synring_deadline(&r) == UINT64_MAX);
	synring_fini(&r);
}

static void word_is_the_fields(void **state)
{
	(void)state;
	struct synring_entry e = { .own = 63, .listener = 9, .mss = 16000, .wscale = 14, .sack = 1 };

	assert_int_equal(e.word, synring_word(63, 9, 16000, 14, true, false));
	e = (struct synring_entry){ .own = 1, .mss = 536, .wscale = 15, .ts = 1 };
	assert_int_equal(e.word, synring_word(1, 0, 536, 15, false, true));
}

static void removed_is_not_due(void **state)
{
	(void)state;
	struct synring r;
	struct synring_entry e = entry(1);
	struct ip_addr a = src_of(&e);

	assert_int_equal(synring_init(&r, 64), 0);
	assert_true(synring_put(&r, hash(0), &e, START));
	synring_remove(&r, synring_find(&r, hash(0), &a, 1, 0, 1, START));
	assert_int_equal(r.count, 0);
	for (uint64_t ms = 0; ms < 9000; ms++)
		assert_null(synring_due(&r, START + ms * MS));
	synring_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_places_to_a_hash),
		cmocka_unit_test(young_entries_are_never_overwritten),
		cmocka_unit_test(each_is_due_three_times),
		cmocka_unit_test(removed_is_not_due),
		cmocka_unit_test(word_is_the_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
