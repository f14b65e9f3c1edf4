/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock's map: steered toward the realtime clock, never back. */
#include "hw_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HZ     2500000000ull
#define SECOND 1000000000ull
#define EPOCH  (1700000000ull * SECOND)

static void reads_nanoseconds(void **state)
{
	struct clock_map map;

	(void)state;
	hw_clock_map_init(&map, 1000, EPOCH, HZ);
	assert_int_equal(hw_clock_map_read(&map, 1000), EPOCH);
	assert_in_range(hw_clock_map_read(&map, 1000 + HZ) - EPOCH, SECOND - 2, SECOND);
	/* a week without steering: less than a microsecond of arithmetic error */
	assert_in_range(hw_clock_map_read(&map, 1000 + HZ * 604800) - EPOCH,
	    604800 * SECOND - 1000000, 604800 * SECOND);
}

static void another_cores_tsc_does_not_go_back(void **state)
{
	struct clock_map map;

	(void)state;
	hw_clock_map_init(&map, 1000, EPOCH, HZ);
	assert_int_equal(hw_clock_map_read(&map, 990), EPOCH);
}

/* Runs `seconds` adjustments against a realtime clock that is `offset` away; returns what is left. */
static int64_t converge(int64_t offset, unsigned seconds)
{
	struct clock_map map;
	uint64_t tsc = 0, last = 0, real = 0;

	hw_clock_map_init(&map, 0, EPOCH, HZ);
	for (unsigned i = 1; i <= seconds; i++) {
		tsc += HZ;
		real = (uint64_t)((int64_t)(EPOCH + i * SECOND) + offset);
		assert_true(hw_clock_map_read(&map, tsc) >= last);
		last = hw_clock_map_read(&map, tsc);
		hw_clock_map_adjust(&map, tsc, real, HZ, SECOND);
		assert_true(hw_clock_map_read(&map, tsc) >= last);
	}
	return (int64_t)(real - hw_clock_map_read(&map, tsc));
}

static void behind_catches_up(void **state)
{
	(void)state;
	/* 5 ms at 500 us a second */
	assert_in_range(converge(5000000, 5), 2900000, 3100000);
	assert_in_range(converge(5000000, 14) + 10, 0, 20);
}

static void ahead_slows_down(void **state)
{
	(void)state;
	assert_in_range(converge(-5000000, 14) + 10, 0, 20);
}

static void set_forward_is_followed_at_once(void **state)
{
	(void)state;
	assert_int_equal(converge((int64_t)(3600 * SECOND), 1), 0);
}

static void set_back_an_hour_still_runs_forward(void **state)
{
	(void)state;
	assert_true(converge(-(int64_t)(3600 * SECOND), 100) < -(int64_t)(3599 * SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_nanoseconds),
		cmocka_unit_test(another_cores_tsc_does_not_go_back),
		cmocka_unit_test(behind_catches_up),
		cmocka_unit_test(ahead_slows_down),
		cmocka_unit_test(set_forward_is_followed_at_once),
		cmocka_unit_test(set_back_an_hour_still_runs_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
