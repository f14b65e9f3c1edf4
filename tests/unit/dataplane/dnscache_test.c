/* SPDX-License-Identifier: BSD-3-Clause */
/* The resolver's cache: life by TTL, negative answers, the bound, and what a flood leaves standing. */
#include "dnscache.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t key[16] = { 7 };

static struct dnscache *cache(size_t bytes)
{
	struct dnscache *c;

	assert_int_equal(dnscache_new(bytes, key, &c), 0);
	return c;
}

static struct dns_answer address(uint8_t last)
{
	struct dns_answer a = { .status = DNS_OK, .n = 1, .len = 6 };
	const uint16_t len = 4;

	memcpy(a.data, &len, 2);
	memcpy(a.data + 2, (uint8_t[]){ 127, 0, 0, last }, 4);
	return a;
}

static void an_answer_holds_for_its_time(void **state)
{
	struct dnscache *c = cache(DNSCACHE_LEAST);
	struct dns_answer a = address(2), got;
	unsigned at = 0, len;

	(void)state;
	dnscache_put(c, "a.example", DNS_A, &a, 60, 1000);
	assert_true(dnscache_get(c, "a.example", DNS_A, 1059, &got));
	assert_int_equal(got.ttl_s, 1);
	assert_int_equal(got.status, DNS_OK);
	assert_memory_equal(dns_next(&got, &at, &len), ((uint8_t[]){ 127, 0, 0, 2 }), 4);
	assert_null(dns_next(&got, &at, &len));
	assert_false(dnscache_get(c, "a.example", DNS_A, 1060, &got));
	assert_false(dnscache_get(c, "a.example", DNS_AAAA, 1001, &got));
	assert_false(dnscache_get(c, "b.example", DNS_A, 1001, &got));
	dnscache_free(c);
}

static void negative_answers_are_kept_and_replaced(void **state)
{
	struct dnscache *c = cache(DNSCACHE_LEAST);
	struct dns_answer a = { .status = DNS_NXDOMAIN }, got;

	(void)state;
	dnscache_put(c, "a.example", DNS_A, &a, 60, 1000);
	assert_true(dnscache_get(c, "a.example", DNS_A, 1001, &got));
	assert_int_equal(got.status, DNS_NXDOMAIN);
	a = address(3);
	dnscache_put(c, "a.example", DNS_A, &a, 60, 1002);
	assert_true(dnscache_get(c, "a.example", DNS_A, 1003, &got));
	assert_int_equal(got.status, DNS_OK);
	assert_int_equal(dnscache_usage(c).entries, 1);
	/* no life: what was there is gone as well */
	dnscache_put(c, "a.example", DNS_A, &a, 0, 1004);
	assert_false(dnscache_get(c, "a.example", DNS_A, 1004, &got));
	dnscache_free(c);
}

static void a_flood_stays_within_the_bound_and_leaves_what_is_asked_for(void **state)
{
	struct dnscache *c = cache(DNSCACHE_LEAST);
	struct dns_answer a = address(2), big = { .status = DNS_OK, .n = 1, .len = 3001 }, got;
	char name[64];

	(void)state;
	memset(big.data, 'x', sizeof(big.data));
	dnscache_put(c, "honest.example", DNS_A, &a, 10000, 1000);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "%u.flood.example", i);
		dnscache_put(c, name, DNS_A, i % 7 ? &a : &big, 10000, 1000);
		if (i % 10 == 0 && !dnscache_get(c, "honest.example", DNS_A, 1000, &got))
			fail_msg("gone after %u", i);
		if (!dnscache_get(c, name, DNS_A, 1000, &got) || got.len != (i % 7 ? 6 : 3001))
			fail_msg("the newest is not there: %u", i);
	}
	assert_true(dnscache_usage(c).used <= DNSCACHE_LEAST);
	assert_true(dnscache_usage(c).entries < 1000);
	assert_true(dnscache_usage(c).evicted > 90000);
	assert_false(dnscache_get(c, "0.flood.example", DNS_A, 1000, &got));
	dnscache_free(c);
}

static void all_of_it_asked_for_still_ends(void **state)
{
	struct dnscache *c = cache(DNSCACHE_LEAST);
	struct dns_answer a = address(2), got;
	char name[64];

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "%u.example", i);
		dnscache_put(c, name, DNS_A, &a, 100, 1000);
		assert_true(dnscache_get(c, name, DNS_A, 1000, &got));
	}
	assert_true(dnscache_usage(c).used <= DNSCACHE_LEAST);
	dnscache_flush(c);
	assert_false(dnscache_get(c, name, DNS_A, 1000, &got));
	assert_int_equal(dnscache_usage(c).used, 0);
	dnscache_free(c);
}

static void the_largest_answer_fits(void **state)
{
	struct dnscache *c = cache(DNSCACHE_LEAST);
	struct dns_answer big = { .status = DNS_OK, .n = 1, .len = DNS_DATA_MAX }, got;
	char name[DNS_NAME_MAX];

	(void)state;
	memset(big.data, 'y', sizeof(big.data));
	memset(name, 'n', sizeof(name));
	name[DNS_NAME_MAX - 1] = '\0';
	for (unsigned i = 0; i < 50; i++) {
		name[0] = (char)('a' + i % 26);
		dnscache_put(c, name, DNS_TXT, &big, 100, 1000);
		assert_true(dnscache_get(c, name, DNS_TXT, 1000, &got));
		assert_memory_equal(got.data, big.data, DNS_DATA_MAX);
	}
	dnscache_free(c);
}

static void too_small_is_refused(void **state)
{
	struct dnscache *c = NULL;

	(void)state;
	assert_int_equal(dnscache_new(DNSCACHE_LEAST - 1, key, &c), -EINVAL);
	assert_int_equal(dnscache_new(1ull << 32, key, &c), -EINVAL);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_holds_for_its_time),
		cmocka_unit_test(negative_answers_are_kept_and_replaced),
		cmocka_unit_test(a_flood_stays_within_the_bound_and_leaves_what_is_asked_for),
		cmocka_unit_test(all_of_it_asked_for_still_ends),
		cmocka_unit_test(the_largest_answer_fits),
		cmocka_unit_test(too_small_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
