/* SPDX-License-Identifier: BSD-3-Clause */
/* See memory_rules.h. */
#include "memory_rules.h"

#include "address.h"
#include "batv.h"
#include "memory.h"

struct opinion rates_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	const struct policy_memory *s = &p->settings->memory;
	struct opinion gravest = NO_OPINION;

	if (facts->rates_over == 0 || facts->trusted)
		return NO_OPINION;
	for (unsigned i = 0; i < s->n_rates; i++) {
		const struct policy_rule *rule = &p->rules[s->rates[i].rule];

		if (!(facts->rates_over & 1u << i) ||
		    !tally_hit(p, tally, facts, phase, s->rates[i].rule))
			continue;
		if (rule->action > gravest.kind)
			gravest = (struct opinion){ rule->action, rule->reason };
	}
	return gravest;
}

struct opinion recipients_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	const struct policy_memory *s = &p->settings->memory;
	struct text bare, domain;

	if (s->rule_recipients == 0 || address_is_postmaster(facts->rcpt))
		return NO_OPINION;
	bare = batv_bare(facts->rcpt);
	domain = text_domain(bare);
	if (domain.len == 0 ||
	    !nameset_find(&p->namesets, s->recipient_domains, domain, facts->now_s, NULL) ||
	    nameset_find(&p->namesets, s->recipients, bare, facts->now_s, NULL) ||
	    !tally_hit(p, tally, facts, phase, s->rule_recipients))
		return NO_OPINION;
	return (struct opinion){ p->rules[s->rule_recipients].action,
		p->rules[s->rule_recipients].reason };
}

/* ---- checks ---- */

bool check_harvest(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->memory & MEMORY_HARVESTS;
}

bool check_harvest_spread(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->memory & MEMORY_SPREAD;
}

bool check_unknown_recipient(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->memory & MEMORY_NO_SUCH;
}

bool check_unusual_sender(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return (facts->memory & (MEMORY_UNUSUAL | MEMORY_IN_ALL)) == MEMORY_UNUSUAL;
}

bool check_unusual_internal(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return (facts->memory & (MEMORY_UNUSUAL | MEMORY_IN_ALL)) ==
	       (MEMORY_UNUSUAL | MEMORY_IN_ALL);
}

/* RFC 5321 4.5.5: a notification goes to the one sender of the message it is about. */
bool check_bounce_recipients(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->null_sender && facts->rcpts_accepted > 0;
}

bool check_bounce_unsigned(const struct policy *p, const struct facts *facts)
{
	const struct policy_memory *s = &p->settings->memory;
	struct text domain;

	if (!s->has_batv || !facts->null_sender || address_is_postmaster(facts->rcpt))
		return false;
	domain = text_domain(facts->rcpt);
	if (domain.len == 0 ||
	    !nameset_find(&p->namesets, s->batv_domains, domain, facts->now_s, NULL))
		return false;
	switch (batv_check(s->batv_keys, s->n_batv_keys, facts->rcpt, facts->now_s)) {
	case BATV_GOOD:
	case BATV_UNKNOWN: return false;
	default: return true;
	}
}
