/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the name service part of a policy may say: counts within their arrays, strings and rules that
 * are there, and time-outs that end.
 */
#include "policy_check_dns.h"

static const char *check_list(
    const struct policy_dns_list *list, size_t strings_len, uint32_t n_rules)
{
	if (list->name >= strings_len || list->zone >= strings_len)
		return "policy: a DNS list's name or zone lies outside the strings";
	if (list->rule >= n_rules)
		return "policy: a DNS list has no rule";
	if (list->kind >= DNS_LIST_N_KINDS || list->late > DNS_LATE_DEFER ||
	    list->probe >= DNS_PROBE_N_KINDS || list->families > (DNS_V4 | DNS_V6) ||
	    list->n_answers > POLICY_MAX_DNS_ANSWERS)
		return "policy: a DNS list is out of range";
	if (list->timeout_ms == 0 || list->timeout_ms > DNS_TIMEOUT_MS_MAX)
		return "policy: a DNS list's time-out is out of range";
	return 0;
}

const char *policy_check_dns(const struct policy_dns *dns, size_t strings_len, uint32_t n_rules)
{
	if (dns->n_recursors > POLICY_MAX_RECURSORS)
		return "policy: more recursors than there is room for";
	if (dns->n_lists > POLICY_MAX_DNS_LISTS)
		return "policy: more DNS lists than there is room for";
	if (dns->cache_mib > DNS_CACHE_MIB_MAX)
		return "policy: the DNS cache is larger than it can be";
	if (dns->host_timeout_ms > DNS_TIMEOUT_MS_MAX ||
	    dns->sender_timeout_ms > DNS_TIMEOUT_MS_MAX ||
	    dns->spf_timeout_ms > DNS_TIMEOUT_MS_MAX || dns->attempt_ms > DNS_TIMEOUT_MS_MAX)
		return "policy: a time-out of name service is out of range";
	if (dns->n_recursors > 0 && (dns->attempt_ms == 0 || dns->attempts == 0))
		return "policy: recursors are named but never asked";
	for (unsigned i = 0; i < dns->n_lists; i++) {
		const char *error = check_list(&dns->lists[i], strings_len, n_rules);

		if (error)
			return error;
	}
	return 0;
}
