/* SPDX-License-Identifier: BSD-3-Clause */
/* The ladder goes up at once, comes down with a margin, and follows the fullest table. */
#include "overload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static unsigned at(unsigned rung, unsigned percent)
{
	const struct overload_table tables[] = { { 1, 100 }, { percent, 100 }, { 7, 0 } };

	return overload_rung(rung, tables, 3);
}

static void up_and_down(void **state)
{
	(void)state;
	assert_int_equal(at(0, 0), 0);
	assert_int_equal(at(0, 69), 0);
	assert_int_equal(at(0, 70), 1);
	assert_int_equal(at(0, 84), 1);
	assert_int_equal(at(0, 85), 2);
	assert_int_equal(at(0, 95), 3);
	assert_int_equal(at(0, 100), 3);
	assert_int_equal(at(3, 94), 3);
	assert_int_equal(at(3, 90), 3);
	assert_int_equal(at(3, 89), 2);
	assert_int_equal(at(2, 80), 2);
	assert_int_equal(at(2, 79), 1);
	assert_int_equal(at(1, 65), 1);
	assert_int_equal(at(1, 64), 0);
	assert_int_equal(at(3, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(up_and_down) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
