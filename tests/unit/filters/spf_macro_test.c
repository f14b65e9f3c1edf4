/* SPDX-License-Identifier: BSD-3-Clause */
#include "spf_macro.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct text t(const char *p)
{
	return (struct text){ p, (uint16_t)strlen(p) };
}

/* The example of RFC 7208 7.4. */
static struct spf_vars example(void)
{
	return (struct spf_vars){ .local = t("strong-bad"),
		.sender_domain = t("email.example.com"),
		.domain = t("email.example.com"),
		.helo = t("mail.example.net"),
		.receiver = t("mx.example.org"),
		.client = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 3 },
		.v4 = true,
		.now_s = 99 };
}

static void expands(const struct spf_vars *v, const char *spec, const char *wanted)
{
	char got[600];
	uint16_t len;
	bool uses_p;

	assert_int_equal(spf_macro_check(t(spec), SPF_SPEC_EXPLAIN, &uses_p), 0);
	assert_int_equal(spf_macro_text(v, t(spec), got, sizeof(got) - 1, &len), 0);
	got[len] = 0;
	assert_string_equal(got, wanted);
}

static void test_examples_of_the_rfc(void **state)
{
	static const char *const rows[][2] = {
		{ "%{s}", "strong-bad@email.example.com" },
		{ "%{o}", "email.example.com" },
		{ "%{d}", "email.example.com" },
		{ "%{d4}", "email.example.com" },
		{ "%{d3}", "email.example.com" },
		{ "%{d2}", "example.com" },
		{ "%{d1}", "com" },
		{ "%{dr}", "com.example.email" },
		{ "%{d2r}", "example.email" },
		{ "%{l}", "strong-bad" },
		{ "%{l-}", "strong.bad" },
		{ "%{lr}", "strong-bad" },
		{ "%{lr-}", "bad.strong" },
		{ "%{l1r-}", "strong" },
		{ "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
		{ "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
		{ "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
		    "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
		{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
		    "3.2.0.192.in-addr.strong.lp._spf.example.com" },
		{ "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
		{ "%{h} %{r} %{t} %{c} %{p}",
		    "mail.example.net mx.example.org 99 192.0.2.3 unknown" },
		{ "100%%%_%-%{S}", "100% %20strong-bad%40email.example.com" },
		{ "%{d99999999999}", "email.example.com" },
		{ "%{D1R.}", "email" },
	};
	struct spf_vars v = example();

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expands(&v, rows[i][0], rows[i][1]);
	memcpy(v.client, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\xcb\x01", 16);
	v.v4 = false;
	expands(&v, "%{ir}.%{v}._spf.%{d2}",
	    "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com");
	expands(&v, "%{c}", "2001:db8::cb01");
	v.validated = t("a.b.example");
	expands(&v, "%{p2}", "b.example");
	v.local = t("");
	expands(&v, "<%{l}>%{lr-}", "<>");
}

static void test_syntax(void **state)
{
	static const char *const bad[] = { "", "%", "%a", "x%", "%{", "%{}", "%{d", "%{d0}",
		"%{d0r}", "%{drr}", "%{dr2}", "%{d.x}", "%{x}", "%{d2.r}", "%{c}.x.y", "%{r}.x.y",
		"%{t}.x.y", "a", "a.", "a.1", "a.-b", "a.b-", "a..", "a.b..", "a b.c", "a.b\t",
		"a.b\x80", "%{d}.", "%{d}x", "a.%%b", ".", "a.b_" };
	static const char *const good[] = { "%{d}", "%%", "a%_", "%{d}.x", "%{p}.x.y", "a.b",
		"a.b.", "a..b", "a.x--y", "_a.b1", "%{l1r+-}", "%{d}.d.example.",
		"foo:bar/baz.example", "!\"#$&'()*.x" };
	char longer[SPF_SPEC_MAX + 2];
	bool uses_p;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(spf_macro_check(t(bad[i]), SPF_SPEC_DOMAIN, &uses_p), -EINVAL);
	assert_int_equal(
	    spf_macro_check((struct text){ "a\0.b", 4 }, SPF_SPEC_DOMAIN, &uses_p), -EINVAL);
	assert_int_equal(
	    spf_macro_check((struct text){ "%{d\0}", 5 }, SPF_SPEC_DOMAIN, &uses_p), -EINVAL);
	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(spf_macro_check(t(good[i]), SPF_SPEC_DOMAIN, &uses_p), 0);
		assert_int_equal(uses_p, strcmp(good[i], "%{p}.x.y") == 0);
	}
	assert_int_equal(spf_macro_check(t(""), SPF_SPEC_STRING, &uses_p), 0);
	assert_int_equal(spf_macro_check(t("a b"), SPF_SPEC_STRING, &uses_p), -EINVAL);
	assert_int_equal(spf_macro_check(t("a b%{c}"), SPF_SPEC_EXPLAIN, &uses_p), 0);
	memset(longer, 'x', sizeof(longer));
	memcpy(longer + SPF_SPEC_MAX - 2, ".y", 3);
	assert_int_equal(spf_macro_check(t(longer), SPF_SPEC_DOMAIN, &uses_p), 0);
	memcpy(longer + SPF_SPEC_MAX - 2, ".yy", 4);
	assert_int_equal(spf_macro_check(t(longer), SPF_SPEC_DOMAIN, &uses_p), -EINVAL);
}

static void is_name(const struct spf_vars *v, const char *spec, const char *wanted)
{
	char name[256];
	uint16_t len = spf_macro_name(v, t(spec), name);

	assert_true(len <= 253);
	name[len] = 0;
	assert_string_equal(name, wanted);
}

static const char *joined(char to[SPF_LOCAL_MAX + 8], const char *a, const char *b)
{
	snprintf(to, SPF_LOCAL_MAX + 8, "%s%s", a, b);
	return to;
}

/* 7.3: labels go from the left until 253 bytes are left. */
static void test_long_names_lose_labels(void **state)
{
	struct spf_vars v = example();
	char local[SPF_LOCAL_MAX + 1], wanted[SPF_LOCAL_MAX + 8];

	(void)state;
	is_name(&v, "%{d}.x.", "email.example.com.x");
	memset(local, 'l', sizeof(local) - 1); /* one label, longer than any name */
	local[sizeof(local) - 1] = 0;
	v.local = t(local);
	is_name(&v, "%{l}.x.example", "x.example");
	is_name(&v, "%{l}%{l}%{l}%{l}%{l}.x.example", "x.example");
	is_name(&v, "%{l}%{l}%{l}%{l}%{l}", "");
	for (unsigned i = 0; i + 1 < sizeof(local); i += 4)
		memcpy(local + i, "abc.", 4);
	local[251] = 0;
	v.local = t(local);
	is_name(&v, "%{l}.x", joined(wanted, local, ".x"));
	is_name(&v, "%{l}.yz", joined(wanted, local + 4, ".yz"));
	/* 126 times the longest value: only the end counts, and no more is kept */
	v.local = t("");
	v.sender_domain = v.domain = t(local);
	char spec[SPF_SPEC_MAX + 1] = "";

	for (unsigned i = 0; i + 8 < SPF_SPEC_MAX; i += 4)
		memcpy(spec + i, "%{S}", 5);
	strncat(spec, ".end", 5);
	is_name(&v, spec, joined(wanted, local + 4, ".end"));
}

static void test_text_that_does_not_fit(void **state)
{
	struct spf_vars v = example();
	char out[8] = "........";
	uint16_t len = 77;

	(void)state;
	assert_int_equal(spf_macro_text(&v, t("%{d1}.45"), out, 6, &len), 0);
	assert_int_equal(len, 6);
	assert_int_equal(spf_macro_text(&v, t("%{d1}.456"), out, 6, &len), -E2BIG);
	assert_int_equal(len, 6);
	assert_memory_equal(out, "com.45..", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_of_the_rfc),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_long_names_lose_labels),
		cmocka_unit_test(test_text_that_does_not_fit),
	};

	return cmocka_run_group_tests_name("spf_macro", tests, NULL, NULL);
}
