/* SPDX-License-Identifier: BSD-3-Clause */
#include "spf_name.h"

#include "spf.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static struct text t(const char *p)
{
	return (struct text){ p, (uint16_t)strlen(p) };
}

static void test_askable(void **state)
{
	static const char *const good[] = { "example", "a.b", "a b.c", "_x.y",
		"foo:bar/baz.example", "1.2" };
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "a\\.b", "a\x7f", "\xe4",
		"a\tb" };
	char label[65];

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(spf_name_askable(t(good[i])));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(spf_name_askable(t(bad[i])));
	assert_false(spf_name_askable((struct text){ "a\0b", 3 }));
	memset(label, 'x', sizeof(label));
	label[63] = 0;
	assert_true(spf_name_askable(t(label)));
	label[63] = 'x';
	label[64] = 0;
	assert_false(spf_name_askable(t(label)));
}

static void test_judgeable(void **state)
{
	(void)state;
	assert_true(spf_name_judgeable(t("a.b")));
	assert_true(spf_name_judgeable(t("1.2.3.x4")));
	assert_false(spf_name_judgeable(t("example")));
	assert_false(spf_name_judgeable(t("192.0.2.1")));
	assert_false(spf_name_judgeable(t("[192.0.2.1]")));
	assert_false(spf_name_judgeable(t("[IPv6:2001:db8::1.x]")));
}

static void test_within(void **state)
{
	(void)state;
	assert_true(spf_name_within(t("Example.COM"), t("example.com")));
	assert_true(spf_name_within(t("a.example.com"), t("EXAMPLE.com")));
	assert_false(spf_name_within(t("aexample.com"), t("example.com")));
	assert_false(spf_name_within(t("example.com"), t("a.example.com")));
	assert_false(spf_name_within(t("a.com"), t("")));
}

static void test_trim(void **state)
{
	(void)state;
	assert_int_equal(spf_name_trim(t("a.b.")).len, 3);
	assert_int_equal(spf_name_trim(t("a.b..")).len, 4);
	assert_int_equal(spf_name_trim(t("")).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_askable),
		cmocka_unit_test(test_judgeable),
		cmocka_unit_test(test_within),
		cmocka_unit_test(test_trim),
	};

	return cmocka_run_group_tests_name("spf_name", tests, NULL, NULL);
}
