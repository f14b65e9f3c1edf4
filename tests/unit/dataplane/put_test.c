/* SPDX-License-Identifier: BSD-3-Clause */
/* Text put together: what fits, what is cut, numbers to their ends. */
#include "put.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

static void text_is_put_in_order(void **state)
{
	char buf[64];
	struct put to = { buf, buf + sizeof(buf) };

	(void)state;
	PUT_LITERAL(&to, "a ");
	put_string(&to, "word", 64);
	put_string(&to, "cut here", 3);
	put_text(&to, (struct text){ "<text>", 6 });
	put_text(&to, (struct text){ 0 });
	assert_int_equal(to.p - buf, 15);
	assert_memory_equal(buf, "a wordcut<text>", 15);
}

static void nothing_is_put_past_the_room(void **state)
{
	char buf[8] = "#######";
	struct put to = { buf, buf + 5 };

	(void)state;
	PUT_LITERAL(&to, "abc");
	put_number(&to, 123);
	PUT_LITERAL(&to, "x");
	assert_ptr_equal(to.p, buf + 5);
	assert_string_equal(buf, "abc12##");
}

static void numbers_are_decimal(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} rows[] = { { 0, "0" }, { 7, "7" }, { 10, "10" }, { 52428800, "52428800" },
		{ UINT64_MAX, "18446744073709551615" } };

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[32] = { 0 };
		struct put to = { buf, buf + sizeof(buf) };

		put_number(&to, rows[i].n);
		assert_string_equal(buf, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_put_in_order),
		cmocka_unit_test(nothing_is_put_past_the_room),
		cmocka_unit_test(numbers_are_decimal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
