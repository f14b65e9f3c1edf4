/* SPDX-License-Identifier: BSD-3-Clause */
/* See grey.h. */
#include "grey.h"

#include "address.h"

static bool holds(const struct policy *p, unsigned set, const struct facts *facts)
{
	return nameset_find(&p->namesets, set, facts->rcpt, facts->now_s, NULL);
}

static struct opinion of_rule(const struct policy *p, unsigned index)
{
	const struct policy_rule *rule = &p->rules[index];

	return (struct opinion){ rule->action, rule->reason };
}

struct opinion grey_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	const struct policy_grey *s = &p->settings->grey;

	if (s->rule == 0 || facts->trusted || address_is_postmaster(facts->rcpt))
		return NO_OPINION;
	/* nobody writes there who was given the address by a person, however well known */
	if (holds(p, s->spamtraps, facts) && tally_hit(p, tally, facts, phase, s->rule_spamtrap) &&
	    p->rules[s->rule_spamtrap].action != VERDICT_NONE)
		return of_rule(p, s->rule_spamtrap);
	if (facts->grey == GREY_UNASKED || facts->grey == GREY_WHITE || holds(p, s->exempt, facts))
		return NO_OPINION;
	if ((facts->grey == GREY_TRAP || holds(p, s->greytraps, facts)) &&
	    tally_hit(p, tally, facts, phase, s->rule_trapped) &&
	    p->rules[s->rule_trapped].action != VERDICT_NONE)
		return of_rule(p, s->rule_trapped);
	if (facts->grey == GREY_PASSED || tally->score < s->from_score)
		return NO_OPINION;
	return tally_hit(p, tally, facts, phase, s->rule) ? of_rule(p, s->rule) : NO_OPINION;
}
