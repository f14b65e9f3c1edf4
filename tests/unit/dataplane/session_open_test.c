/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of sessions: none twice in the box before they wrap, never 0. */
#include "session_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void no_number_is_given_twice_before_the_wrap(void **state)
{
	static uint8_t seen[65536];

	(void)state;
	for (unsigned n = 1; n <= 16; n++) {
		memset(seen, 0, sizeof(seen));
		for (unsigned worker = 0; worker < n; worker++) {
			uint16_t number = 0;

			for (unsigned i = 0; i < 65535 / n; i++) {
				number = session_number(number, worker, n);
				assert_int_not_equal(number, 0);
				assert_int_equal((number - 1u) % n, worker);
				assert_int_equal(seen[number]++, 0);
			}
		}
	}
}

static void they_begin_again(void **state)
{
	(void)state;
	assert_int_equal(session_number(0, 0, 1), 1);
	assert_int_equal(session_number(65535, 0, 1), 1);
	assert_int_equal(session_number(0, 3, 4), 4);
	assert_int_equal(session_number(4, 3, 4), 8);
	assert_int_equal(session_number(65532, 3, 4), 4);
	assert_int_equal(session_number(65535, 2, 4), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_number_is_given_twice_before_the_wrap),
		cmocka_unit_test(they_begin_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
