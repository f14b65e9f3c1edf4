/* SPDX-License-Identifier: BSD-3-Clause */
/* What names give away: customers' lines against honest servers, and HELO names. */
#include "hostname.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t v4[16] = {
	[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 51, [14] = 100, [15] = 7
};
static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0xab, 0xcd, 0, 7 };

static struct text t(const char *s)
{
	return (struct text){ s, (uint16_t)strlen(s) };
}

static void customers_lines_are_generic(void **state)
{
	static const char *const names[] = { "198-51-100-7.dsl.example", "7.100.51.198.isp.example",
		"host-198.51.100.7.example.net", "c6336407.isp.example", "c6-33-64-07.isp.example",
		"076433c6.isp.example", "ip198051100007.isp.example", "user-100-51-198.example.net",
		"Dyn-3.Pool.isp.example", "dhcp12.campus.example.edu", "a23.cable.isp.example",
		"ppp0091.isp.example.", "adsl-77.isp.example" };

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!hostname_is_generic(t(names[i]), v4))
			fail_msg("not found: %s", names[i]);
	assert_true(
	    hostname_is_generic(t("2001-0db8-0001-0002-0000-0000-abcd-0007.v6.isp.example"), v6));
	assert_true(hostname_is_generic(t("x20010db800010002.isp.example"), v6));
}

static void honest_servers_are_not(void **state)
{
	static const char *const names[] = { "mail.example.org", "mx3.example.net",
		"mail-198-51.example", "smtp-out-17.pool.example.com", "relay12.dyn.example",
		"web1.example.org", "dyn.example", "pool.example", "mail4.cust.example.net",
		"out-7-100.mailer.example.com", "", ".", "a", "home.example.org" };

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (hostname_is_generic(t(names[i]), v4))
			fail_msg("taken for generic: %s", names[i]);
	assert_false(hostname_is_generic(t("mx.abcd.example.org"), v6));
}

static void names_are_compared_by_labels(void **state)
{
	(void)state;
	assert_true(hostname_equal(t("Mail.Example"), t("mail.example.")));
	assert_false(hostname_equal(t("mail.example"), t("mail.example.org")));
	assert_true(hostname_within(t("a.b.example"), t("B.example")));
	assert_true(hostname_within(t("b.example"), t("b.example")));
	assert_false(hostname_within(t("ab.example"), t("b.example")));
	assert_false(hostname_within(t("b.example"), t("")));
	assert_true(hostname_is_qualified(t("mail_1.example.")));
	assert_false(hostname_is_qualified(t("mail")));
	assert_false(hostname_is_qualified(t("a..example")));
	assert_false(hostname_is_qualified(t("192.0.2.1")));
	assert_false(hostname_is_qualified(t("ma il.example")));
	assert_false(hostname_is_qualified(t("")));
}

static void helo_names(void **state)
{
	(void)state;
	assert_true(helo_is_literal(t("[192.0.2.1]")));
	assert_false(helo_is_literal(t("192.0.2.1")));
	assert_true(helo_is_bare_address(t("192.0.2.1")));
	assert_true(helo_is_bare_address(t("2001:db8::1")));
	assert_false(helo_is_bare_address(t("mail.example")));
	assert_true(helo_has_no_dot(t("localhost")));
	assert_true(helo_has_no_dot(t("")));
	assert_true(helo_has_no_dot(t("friend.")));
	assert_false(helo_has_no_dot(t("mail.example")));
	assert_false(helo_has_no_dot(t("[IPv6:2001:db8::1]")));
	assert_false(helo_has_no_dot(t("2001:db8::1")));
}

static void a_stranger_says_our_name(void **state)
{
	(void)state;
	assert_true(helo_claims_to_be(t("MX.postern.example"), t("mx.postern.example"), v4));
	assert_true(helo_claims_to_be(t("[198.51.100.7]"), t("mx.postern.example"), v4));
	assert_true(helo_claims_to_be(t("198.51.100.7"), t("mx.postern.example"), v4));
	assert_true(helo_claims_to_be(t("[IPv6:2001:db8:1:2::abcd:7]"), t(""), v6));
	assert_false(helo_claims_to_be(t("mx2.postern.example"), t("mx.postern.example"), v4));
	assert_false(helo_claims_to_be(t("[198.51.100.8]"), t("mx.postern.example"), v4));
	assert_false(helo_claims_to_be(t(""), t(""), v4));
}

static void literals_and_confirmed_names(void **state)
{
	(void)state;
	assert_false(helo_is_foreign_literal(t("[198.51.100.7]"), v4));
	assert_true(helo_is_foreign_literal(t("[198.51.100.8]"), v4));
	assert_false(helo_is_foreign_literal(t("mail.example"), v4));
	assert_false(helo_differs(t("mail.example.org"), t("Mail.example.org."), t("example.org")));
	assert_false(helo_differs(t("out.example.org"), t("mail.example.org"), t("example.org")));
	assert_true(helo_differs(t("mail.example.net"), t("mail.example.org"), t("example.org")));
	assert_true(helo_differs(t("out.example.org"), t("mail.example.org"), t("")));
	assert_false(helo_differs(t("[198.51.100.7]"), t("mail.example.org"), t("example.org")));
	assert_false(helo_differs(t("mail.example.net"), t(""), t("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(customers_lines_are_generic),
		cmocka_unit_test(honest_servers_are_not),
		cmocka_unit_test(names_are_compared_by_labels),
		cmocka_unit_test(helo_names),
		cmocka_unit_test(a_stranger_says_our_name),
		cmocka_unit_test(literals_and_confirmed_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
