/* SPDX-License-Identifier: BSD-3-Clause */
/* Which worker runs where. */
#include "hw_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void workers_take_the_highest_cores(void **state)
{
	const unsigned cpus[] = { 0, 1, 2, 3 };
	char text[128];

	(void)state;
	assert_int_equal(hw_cores_plan(cpus, 4, NULL, 0, 2, text, sizeof(text)), 0);
	assert_string_equal(text, "0@(0,1,2,3),1@3,2@2");
}

static void isolated_cores_come_first(void **state)
{
	const unsigned cpus[] = { 0, 1 }, isolated[] = { 6, 7 };
	char text[128];

	(void)state;
	assert_int_equal(hw_cores_plan(cpus, 2, isolated, 2, 3, text, sizeof(text)), 0);
	assert_string_equal(text, "0@(0,1),1@6,2@7,3@1");
}

static void more_workers_than_cores_is_refused(void **state)
{
	const unsigned cpus[] = { 0, 1 };
	char text[128] = "untouched";

	(void)state;
	assert_int_equal(hw_cores_plan(cpus, 2, NULL, 0, 3, text, sizeof(text)), -ERANGE);
	assert_string_equal(text, "untouched");
}

static void a_short_buffer_is_refused(void **state)
{
	const unsigned cpus[] = { 0, 1 };
	char text[8];

	(void)state;
	assert_int_equal(hw_cores_plan(cpus, 2, NULL, 0, 2, text, sizeof(text)), -ENOSPC);
}

static void lists_are_read(void **state)
{
	unsigned cpus[8];

	(void)state;
	assert_int_equal(hw_cores_parse("0-2,5\n", cpus, 8), 4);
	assert_int_equal(cpus[2], 2);
	assert_int_equal(cpus[3], 5);
	assert_int_equal(hw_cores_parse("", cpus, 8), 0);
	assert_int_equal(hw_cores_parse("\n", cpus, 8), 0);
	assert_int_equal(hw_cores_parse("0-100", cpus, 8), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_take_the_highest_cores),
		cmocka_unit_test(isolated_cores_come_first),
		cmocka_unit_test(more_workers_than_cores_is_refused),
		cmocka_unit_test(a_short_buffer_is_refused),
		cmocka_unit_test(lists_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
