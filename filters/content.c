/* SPDX-License-Identifier: BSD-3-Clause */
/* Hits of patterns as rules and verdicts (content.h). */
#include "content.h"

#include "policy_view.h"
#include "scanner.h"

#include <stdio.h>
#include <string.h>

/* The row of a rule of an older set, by its name: rare, only while a message outlives its policy. */
static unsigned row_by_name(const struct policy *p, const char *name)
{
	char full[PATTERN_MAX_NAME + 16];
	unsigned first, id;

	snprintf(full, sizeof(full), "patterns.%s", name);
	first = id = policy_rule_first_id(full);
	do {
		unsigned row = p->rule_of_id[id];

		if (row == 0)
			return 0;
		if (p->rules[row - 1].kind == RULE_PATTERN &&
		    strcmp(p->strings + p->rules[row - 1].name, full) == 0)
			return row;
		id = policy_rule_next_id(id);
	} while (id != first);
	return 0;
}

void content_add(const struct policy *p, struct content *c, const struct pattern_set *set,
    const struct pattern_hits *hits)
{
	unsigned known = POLICY_PATTERN_SETS;

	c->failed |= hits->failed;
	if (hits->failed)
		return;
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		if (p->scanners[i] && scanner_set(p->scanners[i]) == set)
			known = i;
	for (unsigned i = 0; i < hits->n && c->n < CONTENT_MAX; i++) {
		struct pattern_rule rule;
		unsigned row;

		pattern_rule_get(set, hits->rule[i], &rule);
		if (c->partial && (rule.flags & PATTERN_RULE_META))
			continue;
		row = known < POLICY_PATTERN_SETS ? p->pattern_rows[known][hits->rule[i]]
						  : row_by_name(p, rule.name);
		if (row)
			c->rules[c->n++] = (uint16_t)(row - 1);
	}
}

static uint32_t gravity(const struct policy_rule *r)
{
	int64_t weight = r->weight;
	uint64_t size = (uint64_t)(weight < 0 ? -weight : weight);

	return (uint32_t)r->action << 27 | (uint32_t)(size < (1u << 27) ? size : (1u << 27) - 1);
}

/* The gravest first: they are sure of a place in the tally. */
static void sort(const struct policy *p, uint16_t *rules, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		uint16_t own = rules[i];
		uint32_t weight = gravity(&p->rules[own]);
		unsigned k = i;

		for (; k > 0 && gravity(&p->rules[rules[k - 1]]) < weight; k--)
			rules[k] = rules[k - 1];
		rules[k] = own;
	}
}

static bool is_in(const struct tally *t, unsigned id)
{
	for (unsigned i = 0; i < t->n; i++)
		if ((t->hits[i] & RULE_ID_MASK) == id)
			return true;
	return false;
}

/* tally_hit(), and the weight alone where it has no room: `unlisted` is what a second judgement of the
 * same message takes back first. */
static bool hit(const struct policy *p, struct tally *t, const struct facts *facts, unsigned row)
{
	const struct policy_rule *rule = &p->rules[row];
	struct tally one = { 0 };
	bool act;

	if (t->n < TALLY_MAX || is_in(t, rule->id))
		return tally_hit(p, t, facts, PHASE_BODY, row);
	t->full = true;
	act = tally_hit(p, &one, facts, PHASE_BODY, row);
	t->score += one.score;
	t->transaction += one.score;
	t->unlisted += one.score;
	return act;
}

struct verdict policy_judge_content(const struct policy *p, const struct facts *facts,
    const struct content *content, struct tally *tally)
{
	enum verdict_kind gravest = VERDICT_NONE;
	uint16_t rules[CONTENT_MAX];
	struct verdict v;
	bool failed = content->failed && !facts->trusted && !facts->pass_all;

	memcpy(rules, content->rules, content->n * sizeof(*rules));
	sort(p, rules, content->n);
	tally->score -= tally->unlisted;
	tally->transaction -= tally->unlisted;
	tally->unlisted = 0;
	for (unsigned i = 0; i < content->n && !facts->trusted; i++) {
		uint8_t action = p->rules[rules[i]].action;

		if (!hit(p, tally, facts, rules[i]))
			continue;
		if (content->partial && action > VERDICT_MARK && action < VERDICT_REFUSE)
			continue; /* what refuses may yet come */
		if (action > gravest)
			gravest = (enum verdict_kind)action;
	}
	v = policy_judge(p, PHASE_BODY, facts, tally);
	if (content->partial && v.kind > VERDICT_MARK &&
	    (v.reason == REASON_SCORE || v.reason == REASON_SCORE_DEFERRED))
		v.kind = VERDICT_MARK;
	if (gravest > v.kind) {
		v.kind = (uint8_t)(gravest > VERDICT_REFUSE ? VERDICT_REFUSE : gravest);
		v.reason = gravest == VERDICT_MARK || gravest >= VERDICT_REFUSE
			       ? REASON_PATTERN
			       : REASON_PATTERN_DEFERRED;
	}
	if (failed && p->settings->patterns.on_failure > v.kind) {
		v.kind = p->settings->patterns.on_failure;
		v.reason = REASON_PATTERNS_FAILED;
	}
	return v;
}
