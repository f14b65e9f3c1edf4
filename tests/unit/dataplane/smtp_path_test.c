/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths: what has one reading is taken, what has two is refused, what is too long is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp_path.h"

#include <string.h>

static void same(struct text t, const char *s)
{
	assert_int_equal(t.len, strlen(s));
	assert_memory_equal(t.p, s, t.len);
}

static void taken(
    const char *s, const char *route, const char *local, const char *domain, size_t used)
{
	struct smtp_path path;
	size_t ret_used;

	if (smtp_path_take((struct text){ s, (uint16_t)strlen(s) }, &path, &ret_used) !=
	    SMTP_SYNTAX_OK)
		fail_msg("refused: %s", s);
	same(path.route, route);
	same(path.local, local);
	same(path.domain, domain);
	assert_int_equal(ret_used, used);
}

static void whole(const char *s, const char *route, const char *local, const char *domain)
{
	taken(s, route, local, domain, strlen(s));
}

static void plain_paths(void **state)
{
	(void)state;
	whole("<a@b.example>", "", "a", "b.example");
	whole("<>", "", "", "");
	whole("<Postmaster>", "", "Postmaster", "");
	whole("<pOSTMASTER>", "", "pOSTMASTER", "");
	whole("<a.b-c+d=e/f'g@x_y.example>", "", "a.b-c+d=e/f'g", "x_y.example");
	whole("<.a..b.@docomo.example>", "", ".a..b.", "docomo.example");
	whole("<a@b.example.>", "", "a", "b.example.");
	whole("<a@[192.0.2.1]>", "", "a", "[192.0.2.1]");
	whole("<a@[IPv6:2001:db8::1]>", "", "a", "[IPv6:2001:db8::1]");
	whole("<\xc3\xa4@\xc3\xb6.example>", "", "\xc3\xa4", "\xc3\xb6.example");
	whole("<a%b!c@d>", "", "a%b!c", "d");
}

static void quoted_paths(void **state)
{
	(void)state;
	whole("<\"a b\"@c>", "", "\"a b\"", "c");
	whole("<\"a@b\"@c>", "", "\"a@b\"", "c");
	whole("<\"a>b\"@c>", "", "\"a>b\"", "c");
	whole("<\"a\\\"b\"@c>", "", "\"a\\\"b\"", "c");
	whole("<\"\"@c>", "", "\"\"", "c");
}

/* P15: taken as syntax, byte for byte. */
static void source_routes(void **state)
{
	(void)state;
	whole("<@a:b@c>", "@a", "b", "c");
	whole("<@a.example,@[192.0.2.1]:b@c>", "@a.example,@[192.0.2.1]", "b", "c");
}

static void stops_after_the_path(void **state)
{
	(void)state;
	taken("<a@b> SIZE=1", "", "a", "b", 5);
	taken("<a@b>x", "", "a", "b", 5);
	taken("a@b SIZE=1", "", "a", "b", 3);
}

static void refused_paths(void **state)
{
	static const char *const paths[] = {
		"",
		"<",
		"<a",
		"<a@>",
		"<@a>",
		"<@a:>",
		"<@>",
		"<@a,:b@c>",
		"<@a,b:c@d>",
		"<@a:Postmaster>",
		"<@a b@c>",
		"<a>",
		"<a@b@c>",
		"<a@.b>",
		"<a@b..c>",
		"<a@b c>",
		"<a b@c>",
		"<a@[]>",
		"<a@[1>",
		"<a@[1]x>",
		"<a@[a[b]]>",
		"<a\\@b@c>",
		"<(x)a@b>",
		"<a,b@c>",
		"<\"a@b>",
		"<\"a\"b@c>",
		"<b\"a\"@c>",
		"<\"a\"\"b\"@c>",
		"<\"a\x01\"@c>",
		"<\"a\t\"@c>",
		"<\"a\\\x01\"@c>",
		"<\"a\\",
		"<a\x7f@b>",
		"<a@b\x01>",
		"<<a@b>",
		"<a@b:25>",
		"<a@b,c@d>",
		"<\"Postmaster\">",
		"a@b>",
		"<a;b@c>",
		".@[>]",
		"<a@[>]>",
		"<a@[b,c]>",
		"<@[b,@c:d]:e@f>",
	};
	struct smtp_path path = { .route = { "x", 1 } };
	size_t used = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct text t = { paths[i], (uint16_t)strlen(paths[i]) };

		if (smtp_path_take(t, &path, &used) != SMTP_SYNTAX_PATH)
			fail_msg("not refused: %s", paths[i]);
	}
	assert_int_equal(used, 77);
	same(path.route, "x");
}

static char *make(unsigned route, unsigned local, unsigned domain)
{
	static char buf[4096];
	size_t n = 0;

	buf[n++] = '<';
	if (route) {
		buf[n++] = '@';
		memset(buf + n, 'r', route - 1);
		n += route - 1;
		buf[n++] = ':';
	}
	memset(buf + n, 'l', local);
	n += local;
	buf[n++] = '@';
	memset(buf + n, 'd', domain);
	n += domain;
	buf[n++] = '>';
	buf[n] = '\0';
	return buf;
}

static enum smtp_syntax take(const char *s)
{
	struct smtp_path path;
	size_t used;

	return smtp_path_take((struct text){ s, (uint16_t)strlen(s) }, &path, &used);
}

/* P6: at least 64, 255 and 256; our own limits at their edges. */
static void bounds(void **state)
{
	(void)state;
	assert_int_equal(take(make(0, 64, 255)), SMTP_SYNTAX_OK);
	assert_int_equal(take(make(0, SMTP_LOCAL_MAX, SMTP_DOMAIN_MAX)), SMTP_SYNTAX_OK);
	assert_int_equal(take(make(0, SMTP_LOCAL_MAX + 1, 1)), SMTP_SYNTAX_PATH_LONG);
	assert_int_equal(take(make(0, 1, SMTP_DOMAIN_MAX + 1)), SMTP_SYNTAX_PATH_LONG);
	assert_int_equal(take(make(SMTP_PATH_MAX - 4, 1, 1)), SMTP_SYNTAX_OK);
	assert_int_equal(take(make(SMTP_PATH_MAX - 3, 1, 1)), SMTP_SYNTAX_PATH_LONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_paths),
		cmocka_unit_test(quoted_paths),
		cmocka_unit_test(source_routes),
		cmocka_unit_test(stops_after_the_path),
		cmocka_unit_test(refused_paths),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
