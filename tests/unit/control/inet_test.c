/* SPDX-License-Identifier: BSD-3-Clause */
#include "inet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const char *range_of(const char *text, char *ret_text, size_t size)
{
	struct inet_range range;
	char first[INET_TEXT_MAX], last[INET_TEXT_MAX];
	const char *wrong = inet_parse_range(text, strlen(text), &range);
	if (wrong != NULL)
		return wrong;
	inet_print(range.first, first);
	inet_print(range.last, last);
	snprintf(ret_text, size, "%s-%s", first, last);
	return ret_text;
}

static void reads_addresses_prefixes_and_ranges(void **state)
{
	static const struct {
		const char *text, *means;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1-192.0.2.1" },
		{ "192.0.2.0/24", "192.0.2.0-192.0.2.255" },
		{ "192.0.2.128/25", "192.0.2.128-192.0.2.255" },
		{ "192.0.2.1/32", "192.0.2.1-192.0.2.1" },
		{ "0.0.0.0/0", "0.0.0.0-255.255.255.255" },
		{ "192.0.2.9-192.0.2.11", "192.0.2.9-192.0.2.11" },
		{ "192.0.2.9 - 192.0.2.11", "192.0.2.9-192.0.2.11" },
		{ "2001:db8::/33", "2001:db8::-2001:db8:7fff:ffff:ffff:ffff:ffff:ffff" },
		{ "2001:DB8::1-2001:db8::2", "2001:db8::1-2001:db8::2" },
		{ "2001:db8::1/128", "2001:db8::1-2001:db8::1" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2 * INET_TEXT_MAX];
		assert_string_equal(range_of(cases[i].text, text, sizeof(text)), cases[i].means);
	}
}

static void says_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *wrong;
	} cases[] = {
		{ "", "is empty" },
		{ "192.0.2", "is not an address (four numbers 0-255 with dots and no leading "
			     "zeros, or IPv6)" },
		{ "192.0.2.256", "is not an address (four numbers 0-255 with dots and no leading "
				 "zeros, or IPv6)" },
		{ "192.0.02.1", "is not an address (four numbers 0-255 with dots and no leading "
				"zeros, or IPv6)" },
		{ "2001:db8::1::2", "is not an IPv6 address" },
		{ "::ffff:192.0.2.1", "is an IPv4 address in IPv6 clothes; write it as IPv4" },
		{ "192.0.2.1/24", "has host bits set (bits right of the prefix length)" },
		{ "2001:db8::1/64", "has host bits set (bits right of the prefix length)" },
		{ "192.0.2.0/33", "has a prefix length other than 0 to 32" },
		{ "192.0.2.0/", "has a prefix length other than 0 to 32" },
		{ "192.0.2.0/024", "has a prefix length other than 0 to 32" },
		{ "2001:db8::/129", "has a prefix length other than 0 to 128" },
		{ "192.0.2.0/-1", "has a prefix length other than 0 to 32" },
		{ "192.0.2.9-192.0.2.8", "is a range that ends before it begins" },
		{ "192.0.2.9-2001:db8::1", "is a range from one address family into the other" },
		{ "192.0.2.9-", "is empty" },
		{ "example.org", "is not an address (four numbers 0-255 with dots and no leading "
				 "zeros, or IPv6)" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2 * INET_TEXT_MAX];
		assert_string_equal(range_of(cases[i].text, text, sizeof(text)), cases[i].wrong);
	}
}

static void interface_addresses_may_have_host_bits(void **state)
{
	struct inet_net net;
	uint8_t addr[16];
	(void)state;
	assert_null(inet_parse_interface("192.0.2.25/24", 13, &net));
	assert_int_equal(net.prefix_len, 24);
	assert_null(inet_parse_address("192.0.2.200", 11, addr));
	assert_true(inet_net_contains(&net, addr));
	assert_null(inet_parse_address("192.0.3.1", 9, addr));
	assert_false(inet_net_contains(&net, addr));
	/* ::/0 holds no IPv4 address */
	assert_null(inet_parse_interface("::/0", 4, &net));
	assert_false(inet_net_contains(&net, addr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_addresses_prefixes_and_ranges),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(interface_addresses_may_have_host_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
