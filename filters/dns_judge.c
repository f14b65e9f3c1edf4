/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judgement over what name servers said. A row that names the client is a hit of its rule; one that
 * has said nothing by the time it counts is a hit for nobody, and defers where its `late` says so.
 * A temperror of SPF has no check here, so that it can never refuse (RFC 7208 8.6, P26).
 */
#include "dns_judge.h"

#include "hostname.h"
#include "nameset.h"

#include <string.h>

/* A list of servers that send bounces of mail nobody sent says nothing of their other mail: big and
 * honest ones stand on it. So it counts for the null sender alone (RFC 5321 4.5.5). */
static bool is_meant(const struct policy_dns_list *list, enum phase phase, const struct facts *facts)
{
	return list->kind != DNS_LIST_BACKSCATTER || (phase >= PHASE_MAIL && facts->null_sender);
}

struct opinion dns_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	const struct policy_dns *dns = &p->settings->dns;
	struct opinion gravest = NO_OPINION;
	uint32_t rows = facts->dns_listed;

	if (facts->trusted)
		return NO_OPINION;
	for (; rows; rows &= rows - 1) {
		unsigned i = (unsigned)__builtin_ctz(rows);
		const struct policy_rule *rule;

		if (i >= dns->n_lists)
			break;
		if (!is_meant(&dns->lists[i], phase, facts))
			continue;
		rule = &p->rules[dns->lists[i].rule];
		if (!tally_hit(p, tally, facts, phase, dns->lists[i].rule))
			continue;
		if (rule->action == VERDICT_PASS)
			return (struct opinion){ VERDICT_PASS, REASON_ALLOWED };
		if (rule->action > gravest.kind)
			gravest = (struct opinion){ rule->action, rule->reason };
	}
	if (gravest.kind > VERDICT_MARK || phase != PHASE_RCPT)
		return gravest;
	/* at RCPT nothing is due any more: what has not answered will not */
	for (rows = facts->dns_asked & ~facts->dns_known; rows; rows &= rows - 1) {
		unsigned i = (unsigned)__builtin_ctz(rows);

		if (i < dns->n_lists && dns->lists[i].late == DNS_LATE_DEFER &&
		    is_meant(&dns->lists[i], phase, facts) &&
		    p->rules[dns->lists[i].rule].state == RULE_ENFORCE && !facts->pass_all)
			return (struct opinion){ VERDICT_DEFER, REASON_DNS_LATE };
	}
	return gravest;
}

/* ---- the client's name ---- */

bool check_host_missing(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->host == HOST_NONE;
}

bool check_host_unconfirmed(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->host == HOST_UNCONFIRMED;
}

bool check_host_generic(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->host == HOST_CONFIRMED && facts->host_generic;
}

/* ---- what it says of itself ---- */

bool check_helo_no_dot(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->helo.len > 0 && helo_has_no_dot(facts->helo);
}

bool check_helo_bare_address(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return helo_is_bare_address(facts->helo);
}

bool check_helo_ours(const struct policy *p, const struct facts *facts)
{
	const char *name = policy_string(p, p->settings->smtp.hostname);

	return helo_claims_to_be(
	    facts->helo, (struct text){ name, (uint16_t)strlen(name) }, facts->server);
}

bool check_helo_foreign_literal(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return helo_is_foreign_literal(facts->helo, facts->client);
}

bool check_helo_differs(const struct policy *p, const struct facts *facts)
{
	struct text org = facts->host_name;

	(void)p;
	if (facts->host != HOST_CONFIRMED || facts->helo.len == 0)
		return false;
	org.p += facts->host_org;
	org.len = (uint16_t)(org.len - facts->host_org);
	return helo_differs(facts->helo, facts->host_name, org);
}

/* ---- the sender ---- */

bool check_sender_unknown(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->sender == SENDER_NONE;
}

bool check_sender_null_mx(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->sender == SENDER_NULL_MX;
}

bool check_sender_is_mx(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->sender == SENDER_EXISTS && facts->sender_is_mx;
}

/* Mail that a known forwarder passes on comes from another address than SPF names. */
static bool is_forwarder(const struct policy *p, const struct facts *facts)
{
	uint32_t set = p->settings->dns.forwarders;

	return set != DNS_NO_SET && facts->host == HOST_CONFIRMED &&
	       nameset_find(&p->namesets, set, facts->host_name, facts->now_s, NULL);
}

bool check_spf_fail(const struct policy *p, const struct facts *facts)
{
	return facts->spf == FACT_SPF_FAIL && !is_forwarder(p, facts);
}

bool check_spf_softfail(const struct policy *p, const struct facts *facts)
{
	return facts->spf == FACT_SPF_SOFTFAIL && !is_forwarder(p, facts);
}

bool check_spf_permerror(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->spf == FACT_SPF_PERMERROR;
}

bool check_spf_pass(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->spf == FACT_SPF_PASS;
}
