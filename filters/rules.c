/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules and what they came to (rules.h). */
#include "rules.h"

#include "policy_view.h"

#include <string.h>

const struct policy_rule *policy_rules(const struct policy *p, unsigned *ret_n)
{
	*ret_n = p->settings->n_rules;
	return p->rules;
}

const struct policy_rule *policy_rule(const struct policy *p, unsigned index)
{
	return &p->rules[index];
}

const struct policy_rule *policy_rule_by_id(const struct policy *p, unsigned id)
{
	unsigned row = p->rule_of_id[id & RULE_ID_MASK];

	return row ? &p->rules[row - 1] : NULL;
}

unsigned policy_rule_first_id(const char *name)
{
	uint64_t h = 14695981039346656037ull;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 1099511628211ull;
	h ^= h >> 29;
	h = (h ^ h >> 32) & RULE_ID_MASK;
	return h ? (unsigned)h : 1;
}

unsigned policy_rule_next_id(unsigned id)
{
	id = (id + 1) & RULE_ID_MASK;
	return id ? id : 1;
}

static bool is_shadow(const struct policy_rule *rule, const struct facts *facts)
{
	if (rule->state == RULE_SHADOW || facts->pass_all)
		return true;
	return rule->share != 0 && rule->share < 100 &&
	       rule_place(facts->client, rule->id) >= rule->share;
}

bool tally_hit(const struct policy *p, struct tally *t, const struct facts *facts, enum phase phase,
    unsigned index)
{
	const struct policy_rule *rule = &p->rules[index];
	bool shadow;

	if (rule->state == RULE_OFF)
		return false;
	shadow = is_shadow(rule, facts);
	for (unsigned i = 0; i < t->n; i++)
		if ((t->hits[i] & RULE_ID_MASK) == rule->id)
			return !shadow;
	if (t->n == TALLY_MAX) {
		t->full = true;
		return false;
	}
	t->hits[t->n++] = (uint16_t)(rule->id | (shadow ? RULE_ID_SHADOW : 0) |
				     (phase >= PHASE_MAIL ? RULE_ID_TRANSACTION : 0));
	if (shadow)
		return false;
	t->score += rule->weight;
	if (phase >= PHASE_MAIL)
		t->transaction += rule->weight;
	return true;
}

void tally_tell(struct tally *told, const struct tally *t, bool shadow_only)
{
	unsigned had = told->n;

	if (!shadow_only && (had == 0 || t->score > told->score))
		told->score = t->score;
	for (unsigned i = 0; i < t->n && told->n < TALLY_MAX; i++) {
		unsigned k = 0;

		if (shadow_only && !(t->hits[i] & RULE_ID_SHADOW))
			continue;
		while (k < had && (told->hits[k] & RULE_ID_MASK) != (t->hits[i] & RULE_ID_MASK))
			k++;
		if (k == had)
			told->hits[told->n++] = t->hits[i];
	}
}

void tally_forget_transaction(struct tally *t)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < t->n; i++)
		if (!(t->hits[i] & RULE_ID_TRANSACTION))
			t->hits[kept++] = t->hits[i];
	t->n = (uint8_t)kept;
	t->score -= t->transaction;
	t->transaction = 0;
	t->unlisted = 0;
}
