/* SPDX-License-Identifier: BSD-3-Clause */
/* What an image may say of name service. */
#include "policy_check_dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct policy_dns good(void)
{
	struct policy_dns dns = { .n_recursors = 1, .n_lists = 1, .attempt_ms = 1, .attempts = 1 };

	dns.lists[0] =
	    (struct policy_dns_list){ .timeout_ms = DNS_TIMEOUT_MS_MAX, .families = DNS_V4 };
	return dns;
}

static void what_is_in_bounds_passes(void **state)
{
	struct policy_dns dns = good(), none = { 0 };

	(void)state;
	assert_null(policy_check_dns(&dns, 1, 1));
	assert_null(policy_check_dns(&none, 1, 0));
}

#define REFUSED(member, value)                                                                     \
	do {                                                                                       \
		struct policy_dns dns_ = good();                                                   \
		dns_.member = value;                                                               \
		if (!policy_check_dns(&dns_, 1, 1))                                                \
			fail_msg("taken: " #member);                                               \
	} while (0)

static void what_is_not_is_named(void **state)
{
	(void)state;
	REFUSED(n_recursors, POLICY_MAX_RECURSORS + 1);
	REFUSED(n_lists, POLICY_MAX_DNS_LISTS + 1);
	REFUSED(cache_mib, DNS_CACHE_MIB_MAX + 1);
	REFUSED(attempt_ms, 0);
	REFUSED(attempts, 0);
	REFUSED(host_timeout_ms, DNS_TIMEOUT_MS_MAX + 1);
	REFUSED(sender_timeout_ms, DNS_TIMEOUT_MS_MAX + 1);
	REFUSED(spf_timeout_ms, DNS_TIMEOUT_MS_MAX + 1);
	REFUSED(lists[0].name, 1);
	REFUSED(lists[0].zone, 1);
	REFUSED(lists[0].rule, 1);
	REFUSED(lists[0].kind, DNS_LIST_N_KINDS);
	REFUSED(lists[0].late, DNS_LATE_DEFER + 1);
	REFUSED(lists[0].families, 4);
	REFUSED(lists[0].n_answers, POLICY_MAX_DNS_ANSWERS + 1);
	REFUSED(lists[0].timeout_ms, 0);
	REFUSED(lists[0].timeout_ms, DNS_TIMEOUT_MS_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_bounds_passes),
		cmocka_unit_test(what_is_not_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
