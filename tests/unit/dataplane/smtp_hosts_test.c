/* SPDX-License-Identifier: BSD-3-Clause */
/* P15: every host a mail could be relayed through, however it is hidden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp_path.h"

#include <string.h>

/* expected: hosts in order, separated by spaces */
static void hosts(const char *s, const char *expected)
{
	struct smtp_path path;
	struct smtp_hosts h;
	size_t used;
	char got[1200];
	size_t n = 0;

	assert_int_equal(
	    smtp_path_take((struct text){ s, (uint16_t)strlen(s) }, &path, &used), SMTP_SYNTAX_OK);
	smtp_hosts(&path, &h);
	for (unsigned i = 0; i < h.n; i++) {
		if (i)
			got[n++] = ' ';
		memcpy(got + n, h.host[i].p, h.host[i].len);
		n += h.host[i].len;
	}
	got[n] = '\0';
	assert_string_equal(got, expected);
	assert_false(h.too_many);
}

static void plain(void **state)
{
	(void)state;
	hosts("<a@B.Example>", "b.example");
	hosts("<a@b.example.>", "b.example");
	hosts("<>", "");
	hosts("<Postmaster>", "");
	hosts("<a@[IPv6:2001:DB8::1]>", "[ipv6:2001:db8::1]");
}

static void routes(void **state)
{
	(void)state;
	hosts("<@A:x@c>", "a c");
	hosts("<@a,@b.:x@c>", "a b c");
	hosts("<@[IPv6:2001:db8::1],@[192.0.2.1]:x@c>", "[ipv6:2001:db8::1] [192.0.2.1] c");
}

static void hidden(void **state)
{
	(void)state;
	hosts("<x%D%C.@b>", "b c d");
	hosts("<d!c!x@b>", "b d c");
	hosts("<d!x%c@b>", "b c d");
	hosts("<\"x@c\"@b>", "b c");
	hosts("<\"x@d@c\"@b>", "b c d");
	hosts("<\"@d,@e:x@c\"@b>", "b c e d");
	hosts("<\"\\\"x@d\\\"@c\"@b>", "b c d");
	hosts("<\"x\\@c\"@b>", "b c");
	hosts("<\"x@[IPv6:2001:db8::1]\"@b>", "b [ipv6:2001:db8::1]");
	hosts("<@a:\"y!x%d\"@b>", "a b d y");
	hosts("<100%@b>", "b");
	hosts("<!@b>", "b");
}

static void bound(void **state)
{
	char s[128] = "<x";
	struct smtp_path path;
	struct smtp_hosts h;
	size_t used;

	(void)state;
	for (int i = 0; i < SMTP_MAX_HOSTS - 1; i++)
		memcpy(s + strlen(s), "%h", 3);
	memcpy(s + strlen(s), "@d>", 4);
	assert_int_equal(
	    smtp_path_take((struct text){ s, (uint16_t)strlen(s) }, &path, &used), SMTP_SYNTAX_OK);
	smtp_hosts(&path, &h);
	assert_int_equal(h.n, SMTP_MAX_HOSTS);
	assert_false(h.too_many);

	memcpy(s + strlen(s) - 3, "%h@d>", 6);
	assert_int_equal(
	    smtp_path_take((struct text){ s, (uint16_t)strlen(s) }, &path, &used), SMTP_SYNTAX_OK);
	smtp_hosts(&path, &h);
	assert_int_equal(h.n, SMTP_MAX_HOSTS);
	assert_true(h.too_many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(routes),
		cmocka_unit_test(hidden),
		cmocka_unit_test(bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
