/* SPDX-License-Identifier: BSD-3-Clause */
/* Durations: every unit, what is refused, the bound. */
#include "duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

static void reads_every_unit(void **state)
{
	uint64_t s = 0;
	(void)state;
	assert_int_equal(duration_parse("30s", &s), 0);
	assert_int_equal(s, 30);
	assert_int_equal(duration_parse("10m", &s), 0);
	assert_int_equal(s, 600);
	assert_int_equal(duration_parse("2h", &s), 0);
	assert_int_equal(s, 7200);
	assert_int_equal(duration_parse("7d", &s), 0);
	assert_int_equal(s, 604800);
}

static void refuses_the_rest(void **state)
{
	static const char *const wrong[] = { "", "10", "m", "10x", "10mm", "-1s", " 1s", "1.5h" };
	uint64_t s = 77;
	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(duration_parse(wrong[i], &s), -EINVAL);
	assert_int_equal(duration_parse("0s", &s), -ERANGE);
	assert_int_equal(duration_parse("3651d", &s), -ERANGE);
	assert_int_equal(duration_parse("99999999999999999999999s", &s), -ERANGE);
	assert_int_equal(s, 77);
	assert_int_equal(duration_parse("3650d", &s), 0);
}

static void shows_two_units(void **state)
{
	char text[DURATION_TEXT_MAX];
	(void)state;
	duration_text(45, text);
	assert_string_equal(text, "45s");
	duration_text(4800, text);
	assert_string_equal(text, "1h 20m");
	duration_text(86400 + 5, text);
	assert_string_equal(text, "1d");
	duration_text(0, text);
	assert_string_equal(text, "0s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_unit),
		cmocka_unit_test(refuses_the_rest),
		cmocka_unit_test(shows_two_units),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
