/* SPDX-License-Identifier: BSD-3-Clause */
/* See access.h. */
#include "access.h"

#include "canonical.h"
#include "limits.h"

struct asked {
	const struct nameset *names;
	uint32_t now_s;
	struct text host;
	struct canonical sender, rcpt;
};

static void ask_about(const struct policy *p, const struct facts *facts, struct asked *a)
{
	a->names = &p->namesets;
	a->now_s = facts->now_s;
	a->host = facts->host_name;
	canonical_forms(facts->mail, &a->sender);
	canonical_forms(facts->rcpt, &a->rcpt);
}

static bool in_set(const struct asked *a, unsigned set, const struct canonical *c, unsigned n_forms)
{
	for (unsigned i = 0; i < c->n && i < n_forms; i++)
		if (nameset_find(a->names, set, c->forms[i], a->now_s, NULL))
			return true;
	return false;
}

static bool in_pairs(const struct asked *a, unsigned set, unsigned n_forms)
{
	for (unsigned i = 0; i < a->sender.n && i < n_forms; i++)
		for (unsigned k = 0; k < a->rcpt.n && k < n_forms; k++)
			if (nameset_find_pair(
				a->names, set, a->sender.forms[i], a->rcpt.forms[k], a->now_s))
				return true;
	return false;
}

static bool fits_set(const struct asked *a, enum access_kind kind, unsigned set, unsigned n_forms)
{
	switch (kind) {
	case ACCESS_HOST:
		return a->host.len && nameset_find(a->names, set, a->host, a->now_s, NULL);
	case ACCESS_SENDER: return in_set(a, set, &a->sender, n_forms);
	case ACCESS_RECIPIENT: return in_set(a, set, &a->rcpt, n_forms);
	default: return in_pairs(a, set, n_forms);
	}
}

static bool fits(const struct asked *a, const struct policy_access *rule, unsigned n_forms)
{
	if (nameset_empty(a->names, rule->set) || !fits_set(a, rule->kind, rule->set, n_forms))
		return false;
	return rule->except == POLICY_NO_SET || !fits_set(a, rule->kind, rule->except, 1);
}

struct opinion access_exceptions(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	struct asked a;
	struct opinion o;

	if (p->n_access_passes == 0)
		return NO_OPINION;
	ask_about(p, facts, &a);
	for (unsigned i = 0; i < p->settings->n_access; i++) {
		const struct policy_access *rule = &p->access[i];

		if (p->rules[rule->rule].action != VERDICT_PASS || !fits(&a, rule, 1) ||
		    !tally_hit(p, tally, facts, phase, rule->rule))
			continue;
		o = limits_commands(p, phase, facts, tally); /* what protects us still does */
		if (o.kind == VERDICT_NONE)
			o = limits_transaction(p, phase, facts, tally);
		return o.kind != VERDICT_NONE ? o
					      : (struct opinion){ VERDICT_PASS, REASON_EXCEPTED };
	}
	return NO_OPINION;
}

struct opinion access_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	struct opinion mark = NO_OPINION;
	struct asked a;

	if (p->settings->n_access == p->n_access_passes)
		return NO_OPINION;
	ask_about(p, facts, &a);
	for (unsigned kind = 0; kind < ACCESS_N_KINDS; kind++)
		for (unsigned i = 0; i < p->settings->n_access; i++) {
			const struct policy_access *rule = &p->access[i];
			const struct policy_rule *row = &p->rules[rule->rule];

			if (rule->kind != kind || row->action == VERDICT_PASS ||
			    row->state == RULE_OFF || !fits(&a, rule, CANONICAL_MAX_FORMS) ||
			    !tally_hit(p, tally, facts, phase, rule->rule))
				continue;
			if (row->action > VERDICT_MARK)
				return (struct opinion){ row->action, row->reason };
			if (row->action == VERDICT_MARK)
				mark = (struct opinion){ VERDICT_MARK, row->reason };
		}
	return mark;
}
