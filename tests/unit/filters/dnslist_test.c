/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of DNS lists and what their answers mean (RFC 5782, P25). */
#include "dnslist.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define V4(a, b, c, d)                                                                             \
	{                                                                                          \
		[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d                   \
	}

static enum dnslist_result judge(const struct policy_dns_list *list, const char *const *answers)
{
	uint8_t records[8][4];
	unsigned n = 0;

	for (; answers[n]; n++) {
		struct policy_dns_answer a;

		if (dnslist_parse_answer(answers[n], &a) == NULL) {
			memcpy(records[n], a.first, 4);
		} else {
			records[n][0] = 192;
			records[n][1] = 0;
			records[n][2] = 2;
			records[n][3] = 1;
		}
	}
	return dnslist_judge(list, (const uint8_t(*)[4])records, n);
}

#define JUDGE(list, ...) judge(list, (const char *const[]){ __VA_ARGS__, NULL })

static void names_are_reversed(void **state)
{
	const uint8_t v4[16] = V4(192, 0, 2, 99);
	const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 0, 3, 0, 4, 0x05, 0x67, 0x89,
		0xab };
	char name[DNSLIST_NAME_MAX];

	(void)state;
	assert_int_equal(dnslist_name(v4, "bl.example", name, sizeof(name)), 21);
	assert_string_equal(name, "99.2.0.192.bl.example");
	assert_int_equal(dnslist_name(v6, "v6.example", name, sizeof(name)), 74);
	/* the example of RFC 5782 2.4 */
	assert_string_equal(
	    name, "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.v6.example");
}

static void the_longest_zone_fits_and_a_longer_one_does_not(void **state)
{
	const uint8_t v6[16] = { 0x20, 1 };
	char name[DNSLIST_NAME_MAX], zone[256];

	(void)state;
	memset(zone, 'a', sizeof(zone));
	zone[POLICY_DNS_ZONE_MAX] = '\0';
	assert_int_equal(dnslist_name(v6, zone, name, sizeof(name)), 64 + POLICY_DNS_ZONE_MAX);
	zone[POLICY_DNS_ZONE_MAX] = 'a';
	zone[190] = '\0';
	assert_int_equal(dnslist_name(v6, zone, name, sizeof(name)), -E2BIG);
	assert_int_equal(dnslist_name(v6, "bl.example", name, 74), -E2BIG);
}

static void p25_test_points(void **state)
{
	char name[DNSLIST_NAME_MAX];

	(void)state;
	dnslist_test_name(false, true, "bl.example", name, sizeof(name));
	assert_string_equal(name, "2.0.0.127.bl.example");
	dnslist_test_name(false, false, "bl.example", name, sizeof(name));
	assert_string_equal(name, "1.0.0.127.bl.example");
	dnslist_test_name(true, true, "bl.example", name, sizeof(name));
	assert_string_equal(name, "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
				  "bl.example");
	dnslist_test_name(true, false, "bl.example", name, sizeof(name));
	assert_string_equal(name, "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
				  "bl.example");
}

static void p25_errors_are_no_listings(void **state)
{
	const struct policy_dns_list block = { .kind = DNS_LIST_SPAM };
	const struct policy_dns_list white = { .kind = DNS_LIST_WHITE };

	(void)state;
	assert_int_equal(judge(&block, (const char *const[]){ NULL }), DNSLIST_MISS);
	assert_int_equal(JUDGE(&block, "127.0.0.2"), DNSLIST_HIT);
	assert_int_equal(JUDGE(&block, "127.255.255.254"), DNSLIST_ERROR);
	assert_int_equal(JUDGE(&block, "127.255.255.0"), DNSLIST_ERROR);
	assert_int_equal(JUDGE(&block, "127.0.0.1"), DNSLIST_ERROR);
	assert_int_equal(JUDGE(&block, "192.0.2.1"), DNSLIST_ERROR);
	assert_int_equal(JUDGE(&block, "127.0.0.2", "192.0.2.1"), DNSLIST_ERROR);
	assert_int_equal(JUDGE(&block, "127.0.0.2", "127.255.255.252"), DNSLIST_ERROR);
	assert_int_equal(JUDGE(&block, "127.0.0.255"), DNSLIST_HIT);
	assert_int_equal(JUDGE(&white, "127.0.0.255"), DNSLIST_ERROR);
	assert_int_equal(JUDGE(&white, "127.0.5.3"), DNSLIST_HIT);
}

static struct policy_dns_list with(const char *answer)
{
	struct policy_dns_list list = { .n_answers = 1 };

	assert_null(dnslist_parse_answer(answer, &list.answers[0]));
	return list;
}

static void only_the_answers_asked_for_count(void **state)
{
	struct policy_dns_list range = with("127.0.0.10-11"), bits = with("127.0.0.&6"),
			       any = with("127.0.*.3"), net = with("127.0.0.4/30");

	(void)state;
	assert_int_equal(JUDGE(&range, "127.0.0.10"), DNSLIST_HIT);
	assert_int_equal(JUDGE(&range, "127.0.0.2"), DNSLIST_MISS);
	assert_int_equal(JUDGE(&range, "127.0.0.2", "127.0.0.11"), DNSLIST_HIT);
	assert_int_equal(JUDGE(&bits, "127.0.0.4"), DNSLIST_HIT);
	assert_int_equal(JUDGE(&bits, "127.0.0.10"), DNSLIST_HIT);
	assert_int_equal(JUDGE(&bits, "127.0.0.8"), DNSLIST_MISS);
	assert_int_equal(JUDGE(&any, "127.0.15.3"), DNSLIST_HIT);
	assert_int_equal(JUDGE(&any, "127.0.15.2"), DNSLIST_MISS);
	assert_int_equal(JUDGE(&net, "127.0.0.7"), DNSLIST_HIT);
	assert_int_equal(JUDGE(&net, "127.0.0.8"), DNSLIST_MISS);
	/* a test point is judged by form alone */
	assert_int_equal(
	    dnslist_judge_test(&range, (const uint8_t[][4]){ { 127, 0, 0, 2 } }, 1), DNSLIST_HIT);
}

static void what_is_no_answer_is_refused(void **state)
{
	static const char *const bad[] = { "", "127", "127.0.0", "127.0.0.2.3", "127.0.0.256",
		"127.0.0.2-1", "127.0.0.&0", "127.0.&1.2", "127.0.0.2/33", "127.0.*.2/24",
		"127.0.0.2x", " 127.0.0.2", "192.0.2.1", "0.0.0.0/0", "127.0.0.0/4", "127.0.0.",
		"*.0.0.2", "127.0.0.&6/24" };
	struct policy_dns_answer a;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (dnslist_parse_answer(bad[i], &a) == NULL)
			fail_msg("taken: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_reversed),
		cmocka_unit_test(the_longest_zone_fits_and_a_longer_one_does_not),
		cmocka_unit_test(p25_test_points),
		cmocka_unit_test(p25_errors_are_no_listings),
		cmocka_unit_test(only_the_answers_asked_for_count),
		cmocka_unit_test(what_is_no_answer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
