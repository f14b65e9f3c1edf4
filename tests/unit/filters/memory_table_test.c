/* SPDX-License-Identifier: BSD-3-Clause */
/* The table that strangers fill: its bound, who is pushed out, and readers beside a writer. */
#include "memory_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <pthread.h>
#include <string.h>
#include <cmocka.h>

enum { T0 = 1767225600, WORDS = 9 };

static uint64_t made_up(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x * 0x9e3779b97f4a7c15ull | 1ull << 63;
}

static void touch(struct memory_table *t, uint64_t key, uint32_t now_s)
{
	uint64_t row[WORDS - 2];
	long slot = memory_table_take(t, key, now_s, row);

	if (slot < 0)
		return;
	row[0]++;
	memory_table_write(t, slot, row);
}

static void test_history_stays(void **state)
{
	struct memory_table t;
	uint64_t row[WORDS - 2], x = 1;
	unsigned kept = 0;

	(void)state;
	assert_int_equal(memory_table_init(&t, 1024, WORDS, 3600, 7200), 0);
	for (uint64_t i = 0; i < 200; i++)
		for (unsigned n = 0; n < 20; n++)
			touch(&t, 0x1234567 * (i + 1), T0);
	for (unsigned i = 0; i < 1000000; i++)
		touch(&t, made_up(&x), T0 + 60);
	for (uint64_t i = 0; i < 200; i++)
		if (memory_table_read(&t, 0x1234567 * (i + 1), row) && row[0] == 20)
			kept++;
	assert_in_range(kept, 199, 200);
	assert_int_equal(t.used, memory_table_slots(&t));
	assert_true(t.displaced > 900000);
	memory_table_fini(&t);
}

static void test_idle_makes_room(void **state)
{
	struct memory_table t;
	uint64_t row[WORDS - 2];

	(void)state;
	assert_int_equal(memory_table_init(&t, 64, WORDS, 3600, 7200), 0);
	for (uint64_t i = 1; i <= 8; i++) /* one bucket full of heavy ones */
		for (unsigned n = 0; n < 1000; n++)
			touch(&t, i << 32, T0);
	touch(&t, 9ull << 32, T0 + 7201);
	assert_true(memory_table_read(&t, 9ull << 32, row));
	assert_int_equal(row[0], 1); /* nobody's count is inherited */
	memory_table_fini(&t);
}

/* Nobody fills a bucket for good, nor is anybody displaced by a single visit, as a rule. */
static void test_heavy_bucket(void **state)
{
	struct memory_table t;
	uint64_t row[WORDS - 2];
	unsigned admitted = 0;

	(void)state;
	assert_int_equal(memory_table_init(&t, 64, WORDS, 3600, 7200), 0);
	for (uint64_t i = 1; i <= 8; i++)
		for (unsigned n = 0; n < 100; n++)
			touch(&t, i << 32, T0);
	for (uint64_t i = 100; i < 110; i++) {
		touch(&t, i << 32, T0);
		admitted += memory_table_read(&t, i << 32, row);
	}
	assert_in_range(admitted, 0, 2);
	for (uint64_t i = 110; i < 2000; i++)
		touch(&t, i << 32, T0);
	assert_true(t.not_kept > 0);
	assert_true(t.displaced > 0);
	memory_table_fini(&t);
}

static void test_remove(void **state)
{
	struct memory_table t;
	uint64_t row[WORDS - 2], key;
	long slot;

	(void)state;
	assert_int_equal(memory_table_init(&t, 64, WORDS, 3600, 7200), 0);
	touch(&t, 77, T0);
	slot = memory_table_find(&t, 77, row);
	assert_true(slot >= 0 && memory_table_at(&t, (uint32_t)slot, &key, row));
	assert_int_equal(key, 77);
	memory_table_remove(&t, slot);
	assert_false(memory_table_read(&t, 77, row));
	assert_int_equal(t.used, 0);
	memory_table_fini(&t);
}

struct race {
	struct memory_table t;
	_Atomic bool stop;
};

/* All words of a row are equal: a torn one would show. */
static void *reader(void *arg)
{
	struct race *r = arg;
	uintptr_t torn = 0;

	while (!atomic_load(&r->stop)) {
		for (uint64_t key = 1; key <= 16; key++) {
			uint64_t row[WORDS - 2];

			if (memory_table_read(&r->t, key << 32, row))
				for (unsigned i = 1; i < WORDS - 2; i++)
					torn += row[i] != row[0];
		}
	}
	return (void *)torn;
}

static void test_readers_see_whole_rows(void **state)
{
	static struct race r;
	pthread_t thread;
	void *torn;

	(void)state;
	assert_int_equal(memory_table_init(&r.t, 64, WORDS, 3600, 7200), 0);
	assert_int_equal(pthread_create(&thread, NULL, reader, &r), 0);
	for (uint64_t n = 0; n < 300000; n++) {
		uint64_t row[WORDS - 2];
		long slot = memory_table_take(&r.t, (n % 16 + 1) << 32, T0 + (uint32_t)n, row);

		if (slot < 0)
			continue;
		for (unsigned i = 0; i < WORDS - 2; i++)
			row[i] = n;
		memory_table_write(&r.t, slot, row);
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, &torn);
	assert_null(torn);
	memory_table_fini(&r.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_history_stays),
		cmocka_unit_test(test_idle_makes_room),
		cmocka_unit_test(test_heavy_bucket),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_readers_see_whole_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
