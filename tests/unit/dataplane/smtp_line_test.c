/* SPDX-License-Identifier: BSD-3-Clause */
/* Command lines: ends, bounds, bytes that make a line bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp.h"

#include <string.h>

static enum smtp_line_status take(const char *s, size_t len, struct text *line, size_t *used)
{
	return smtp_line((const uint8_t *)s, len, line, used);
}

static void expect(
    const char *s, size_t len, enum smtp_line_status status, size_t line_len, size_t used)
{
	struct text line = { NULL, 0xffff };
	size_t ret_used = 12345;

	assert_int_equal(take(s, len, &line, &ret_used), status);
	if (status == SMTP_LINE_PARTIAL) {
		assert_int_equal(ret_used, 12345);
		assert_null(line.p);
		return;
	}
	assert_ptr_equal(line.p, s);
	assert_int_equal(line.len, line_len);
	assert_int_equal(ret_used, used);
}

static void good_lines(void **state)
{
	(void)state;
	expect("NOOP\r\n", 6, SMTP_LINE_OK, 4, 6);
	expect("\r\n", 2, SMTP_LINE_OK, 0, 2);
	expect("NOOP\r\nQUIT\r\n", 12, SMTP_LINE_OK, 4, 6);
	expect("MAIL FROM:<\xc3\xa4@x>\r\n", 18, SMTP_LINE_OK, 16, 18);
}

static void partial_lines(void **state)
{
	(void)state;
	expect("", 0, SMTP_LINE_PARTIAL, 0, 0);
	expect("NOOP", 4, SMTP_LINE_PARTIAL, 0, 0);
	expect("NOOP\r", 5, SMTP_LINE_PARTIAL, 0, 0);
}

static void bad_lines(void **state)
{
	(void)state;
	expect("NOOP\n", 5, SMTP_LINE_BAD, 4, 5);
	expect("\n", 1, SMTP_LINE_BAD, 0, 1);
	expect("NO\rOP\r\n", 7, SMTP_LINE_BAD, 5, 7);
	expect("NOOP\r\r\n", 7, SMTP_LINE_BAD, 5, 7);
	expect("NO\0OP\r\n", 7, SMTP_LINE_BAD, 5, 7);
	/* The line ends at its first LF: the next command is not lost with it (P19). */
	expect("NO\rOP\nQUIT\r\n", 12, SMTP_LINE_BAD, 5, 6);
}

/* P6: 512 at least; ours is SMTP_COMMAND_MAX with CR LF, and longer is said, not cut. */
static void bounds(void **state)
{
	static char buf[SMTP_COMMAND_MAX * 2];

	(void)state;
	memset(buf, 'x', sizeof(buf));
	buf[SMTP_COMMAND_MAX - 2] = '\r';
	buf[SMTP_COMMAND_MAX - 1] = '\n';
	expect(buf, SMTP_COMMAND_MAX, SMTP_LINE_OK, SMTP_COMMAND_MAX - 2, SMTP_COMMAND_MAX);

	memset(buf, 'x', sizeof(buf));
	expect(buf, SMTP_COMMAND_MAX, SMTP_LINE_PARTIAL, 0, 0);
	expect(
	    buf, SMTP_COMMAND_MAX + 1, SMTP_LINE_TOO_LONG, SMTP_COMMAND_MAX, SMTP_COMMAND_MAX + 1);

	buf[SMTP_COMMAND_MAX - 1] = '\r';
	buf[SMTP_COMMAND_MAX] = '\n';
	expect(buf, sizeof(buf), SMTP_LINE_TOO_LONG, SMTP_COMMAND_MAX, SMTP_COMMAND_MAX + 1);
}

/* The caller's skipping, over every cut: a long line costs itself, not its neighbour. */
static void too_long_then_next(void **state)
{
	static char buf[SMTP_COMMAND_MAX + 300];
	size_t long_len = SMTP_COMMAND_MAX + 200, len = long_len + 6;

	(void)state;
	memset(buf, 'x', long_len);
	memcpy(buf + long_len - 2, "\r\nNOOP\r\n", 8);
	for (size_t cut = SMTP_COMMAND_MAX + 1; cut < len; cut++) {
		struct text line;
		size_t used;

		assert_int_equal(take(buf, cut, &line, &used), SMTP_LINE_TOO_LONG);
		while (buf[used - 1] != '\n')
			used++;
		assert_int_equal(take(buf + used, len - used, &line, &used), SMTP_LINE_OK);
		assert_memory_equal(line.p, "NOOP", 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lines),
		cmocka_unit_test(partial_lines),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(bounds),
		cmocka_unit_test(too_long_then_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
