/* SPDX-License-Identifier: BSD-3-Clause */
/* Between two threads: what was put comes once, in order and whole; past the places it is refused. */
#include "ring.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <cmocka.h>

struct record {
	uint32_t number;
	uint8_t rest[21];
};

static struct record record(uint32_t number)
{
	struct record r = { .number = number };

	memset(r.rest, (int)(number * 7), sizeof(r.rest));
	return r;
}

static void take(struct ring *r, uint32_t number)
{
	struct record want = record(number);

	assert_memory_equal(ring_first(r), &want, sizeof(want));
	ring_drop(r);
}

static void more_than_fits_is_refused_from_the_end(void **state)
{
	struct ring *r = rings_new(1, 8, sizeof(struct record));
	struct record many[11];

	(void)state;
	for (uint32_t i = 0; i < 11; i++)
		many[i] = record(i);
	assert_int_equal(ring_waiting(r), 0);
	assert_int_equal(ring_put(r, many, 11), 3);
	assert_int_equal(ring_waiting(r), 8);
	assert_int_equal(ring_put(r, many, 1), 1);
	take(r, 0);
	take(r, 1);
	assert_int_equal(ring_put(r, many + 8, 3), 1); /* round the end */
	for (uint32_t i = 2; i < 10; i++)
		take(r, i);
	assert_int_equal(ring_waiting(r), 0);
	assert_int_equal(ring_put(r, many, 0), 0);
	rings_free(r, 1);
}

static void each_ring_is_its_own(void **state)
{
	struct ring *r = rings_new(3, 4, sizeof(struct record));
	struct record one = record(1), two = record(2);

	(void)state;
	ring_put(&r[0], &one, 1);
	ring_put(&r[2], &two, 1);
	assert_int_equal(ring_waiting(&r[1]), 0);
	take(&r[2], 2);
	take(&r[0], 1);
	rings_free(r, 3);
}

enum { N = 300000 };

static void *putter(void *arg)
{
	for (uint32_t i = 0; i < N;) {
		struct record some[3] = { record(i), record(i + 1), record(i + 2) };

		i += 3 - ring_put(arg, some, 3);
	}
	return NULL;
}

static void threads_see_whole_records_in_order(void **state)
{
	struct ring *r = rings_new(1, 64, sizeof(struct record));
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, putter, r), 0);
	for (uint32_t i = 0; i < N;)
		for (unsigned left = ring_waiting(r); left > 0; left--)
			take(r, i++);
	pthread_join(thread, NULL);
	assert_true(ring_waiting(r) <= 2); /* past N, of the last three */
	rings_free(r, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_than_fits_is_refused_from_the_end),
		cmocka_unit_test(each_ring_is_its_own),
		cmocka_unit_test(threads_see_whole_records_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
