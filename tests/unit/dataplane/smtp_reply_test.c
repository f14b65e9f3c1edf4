/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies of a backend: whole, or not yet, or not SMTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp.h"

#include <errno.h>
#include <string.h>

static long take(const char *s, size_t len, struct smtp_reply *r)
{
	return smtp_reply((const uint8_t *)s, len, r);
}

static void expect(const char *s, long used, unsigned code, unsigned lines)
{
	struct smtp_reply r;

	assert_int_equal(take(s, strlen(s), &r), used);
	assert_int_equal(r.code, code);
	assert_int_equal(r.n_lines, lines);
	assert_ptr_equal(r.raw.p, s);
	assert_int_equal(r.raw.len, used);
	/* Any shorter piece of it is no reply yet, and no error either. */
	for (long cut = 0; cut < used; cut++)
		assert_int_equal(take(s, (size_t)cut, &r), 0);
}

static void good(void **state)
{
	(void)state;
	expect("250 ok\r\n", 8, 250, 1);
	expect("250\r\n", 5, 250, 1);
	expect("250 \r\n", 6, 250, 1);
	expect("250-a\r\n250-b\r\n250 c\r\n", 21, 250, 3);
	expect("250-\r\n250\r\n", 11, 250, 2);
	expect("250 ok\r\n354 go\r\n", 8, 250, 1);
	expect("421 4.3.2 bye\r\n", 15, 421, 1);
	expect("220 \xc3\xa4\t\r\n", 9, 220, 1);
}

static void refused(const char *s, size_t len)
{
	struct smtp_reply r = { .code = 7 };

	assert_int_equal(take(s, len, &r), -EPROTO);
	assert_int_equal(r.code, 7);
}

static void bad(void **state)
{
	static const char *const replies[] = {
		"hello\r\n",
		"150 a\r\n",
		"650 a\r\n",
		"2x0 a\r\n",
		"25x a\r\n",
		"250:a\r\n",
		"2501 a\r\n",
		"250 a\n",
		"250-a\n250 b\r\n",
		"250 a\rb\r\n",
		"250 a\r\r\n",
		"\r\n",
		"25\r\n",
		"250-a\r\n251 b\r\n",
		"\n",
		"SSH-2.0-x",
		"250-a\r\nabc",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		refused(replies[i], strlen(replies[i]));
	refused("250 a\0b\r\n", 9);
}

/* P6: 512 at least; ours at its edge. */
static void line_bound(void **state)
{
	static char s[SMTP_REPLY_LINE_MAX + 10];
	struct smtp_reply r;

	(void)state;
	memset(s, 'x', sizeof(s));
	memcpy(s, "250 ", 4);
	memcpy(s + SMTP_REPLY_LINE_MAX - 2, "\r\n", 2);
	assert_int_equal(take(s, sizeof(s), &r), SMTP_REPLY_LINE_MAX);
	assert_int_equal(take(s, SMTP_REPLY_LINE_MAX - 1, &r), 0);
	memcpy(s + SMTP_REPLY_LINE_MAX - 2, "x\r\n", 3);
	assert_int_equal(take(s, SMTP_REPLY_LINE_MAX, &r), -EMSGSIZE);
	assert_int_equal(take(s, sizeof(s), &r), -EMSGSIZE);
}

static void reply_bound(void **state)
{
	static char s[70000];
	struct smtp_reply r;
	size_t n = 0;

	(void)state;
	while (n < 65530 - 10) {
		memcpy(s + n, "250-234567", 10);
		memcpy(s + n + 8, "\r\n", 2);
		n += 10;
	}
	memcpy(s + n, "250 23456789012", 15);
	memcpy(s + 65533, "\r\n", 2);
	assert_int_equal(take(s, 65535, &r), 65535);
	assert_int_equal(r.raw.len, 65535);
	memcpy(s + 65533, "x\r\n", 3);
	assert_int_equal(take(s, 65536, &r), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(line_bound),
		cmocka_unit_test(reply_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
