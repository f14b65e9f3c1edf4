/* SPDX-License-Identifier: BSD-3-Clause */
/* Hits of patterns as rules and verdicts (content.h). */
#include "content.h"

#include "address.h"
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
			c->rules[c->n++] =
			    (uint16_t)((row - 1) |
				       (rule.flags & PATTERN_RULE_LINES ? CONTENT_LINES : 0));
	}
}

static const struct policy_rule *rule_of(const struct policy *p, uint16_t rule)
{
	return &p->rules[rule & ~(unsigned)CONTENT_LINES];
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
		uint32_t weight = gravity(rule_of(p, own));
		unsigned k = i;

		for (; k > 0 && gravity(rule_of(p, rules[k - 1])) < weight; k--)
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

/* What was found becomes the verdict, where that is not graver. */
static void act(const struct policy *p, struct verdict *v, enum verdict_kind gravest,
    enum reason refused, bool failed)
{
	if (gravest > v->kind) {
		v->kind = (uint8_t)gravest;
		v->reason = gravest == VERDICT_MARK || gravest >= VERDICT_REFUSE
				? refused
				: REASON_PATTERN_DEFERRED;
	}
	if (failed && p->settings->patterns.on_failure > v->kind) {
		v->kind = p->settings->patterns.on_failure;
		v->reason = REASON_PATTERNS_FAILED;
	}
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
		unsigned row = rules[i] & ~(unsigned)CONTENT_LINES;
		uint8_t action = p->rules[row].action;

		if (!hit(p, tally, facts, row))
			continue;
		if (rules[i] & CONTENT_LINES && action > VERDICT_MARK)
			continue; /* it had its say at MAIL or RCPT */
		if (content->partial && action > VERDICT_MARK && action < VERDICT_REFUSE)
			continue; /* what refuses may yet come */
		if (action > gravest)
			gravest = (enum verdict_kind)action;
	}
	v = policy_judge(p, PHASE_BODY, facts, tally);
	if (content->partial && v.kind > VERDICT_MARK &&
	    (v.reason == REASON_SCORE || v.reason == REASON_SCORE_DEFERRED))
		v.kind = VERDICT_MARK;
	if (gravest > VERDICT_REFUSE) /* a message is refused at its end, not slowly */
		gravest = VERDICT_REFUSE;
	act(p, &v, gravest, REASON_PATTERN, failed);
	return v;
}

/* As tally_hit(); where it has no room the action holds all the same. */
static bool line_hit(const struct policy *p, struct tally *t, const struct facts *facts,
    enum content_line line, unsigned row)
{
	static const uint8_t phases[CONTENT_N_LINES] = { PHASE_HELO, PHASE_MAIL, PHASE_RCPT };
	struct tally none = { 0 };

	if (t->n < TALLY_MAX || is_in(t, p->rules[row].id))
		return tally_hit(p, t, facts, (enum phase)phases[line], row);
	t->full = true; /* the message's end counts it */
	return tally_hit(p, &none, facts, (enum phase)phases[line], row);
}

static bool line_acts(
    const struct policy *p, enum phase phase, const struct facts *facts, enum content_line line)
{
	if (line == CONTENT_SENDER && phase == PHASE_MAIL)
		return p->n_access_passes == 0;
	if (line == CONTENT_HELO && address_is_postmaster(facts->rcpt))
		return false;
	return phase == PHASE_RCPT;
}

struct verdict policy_judge_lines(const struct policy *p, enum phase phase,
    const struct facts *facts, const struct content lines[CONTENT_N_LINES], struct tally *tally)
{
	enum verdict_kind gravest = VERDICT_NONE;
	bool failed = false;
	struct verdict v;

	for (unsigned line = 0; line < CONTENT_N_LINES && !facts->trusted; line++) {
		bool acts = line_acts(p, phase, facts, (enum content_line)line);

		for (unsigned i = 0; i < lines[line].n; i++) {
			unsigned row = lines[line].rules[i] & ~(unsigned)CONTENT_LINES;
			uint8_t action = p->rules[row].action;

			if (line_hit(p, tally, facts, (enum content_line)line, row) && acts &&
			    action > gravest)
				gravest = (enum verdict_kind)action;
		}
		failed |= lines[line].failed && acts && !facts->pass_all;
	}
	v = policy_judge(p, phase, facts, tally);
	if (v.kind != VERDICT_PASS)
		act(p, &v, gravest, REASON_PATTERN_ENVELOPE, failed);
	return v;
}

void content_forget_rcpt(const struct policy *p, struct tally *tally, unsigned n_before)
{
	unsigned kept = n_before;

	for (unsigned i = n_before; i < tally->n; i++) {
		const struct policy_rule *rule = policy_rule_by_id(p, tally->hits[i]);

		if (!rule || rule->kind != RULE_PATTERN || !(tally->hits[i] & RULE_ID_TRANSACTION)) {
			tally->hits[kept++] = tally->hits[i];
		} else if (!(tally->hits[i] & RULE_ID_SHADOW)) {
			tally->score -= rule->weight;
			tally->transaction -= rule->weight;
		}
	}
	if (n_before < tally->n)
		tally->n = (uint8_t)kept;
}
