/* SPDX-License-Identifier: BSD-3-Clause */
/* What was told: events as the log has them, tokens as clients hear them. See run.h. */
#include "run.h"

#include "dataplane/events.h"
#include "filters/policy.h"
#include "filters/rules.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* An honest sender was refused: by what? */
static void note_refusing(struct run *r, const struct event *e)
{
	const uint8_t *b = e->client + 12;
	unsigned number, n_rules;
	const struct sender *s = corpus_of(r->corpus,
	    (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3], &number);
	const struct policy_rule *rules = policy_rules(r->policy, &n_rules);

	if (!s || s->kind < FIRST_HONEST || e->verdict < VERDICT_REFUSE)
		return;
	for (unsigned i = 0; i < e->n_rules; i++) {
		const struct policy_rule *rule = policy_rule_by_id(r->policy, e->rules[i]);

		if (rule && !(e->rules[i] & RULE_ID_SHADOW) && rule->weight >= 0 &&
		    rule - rules < SCORE_RULES)
			r->score->refusing[rule - rules]++;
	}
}

void told_event(void *arg, const struct event *e)
{
	struct run *r = arg;
	char line[EVENTS_LINE_MAX];
	size_t n;

	if (e->kind != EVENT_SESSION)
		return;
	n = events_format(e, r->stats, (const uint8_t[16]){ 0 }, line);
	if (r->score->tell)
		fwrite(line, 1, n, stdout);
	assert(n > 2 && line[n - 1] == '\n' && r->n_seen < TOKENS);
	r->seen[r->n_seen++] = (struct seen){ e->time_ns - e->duration_ns, e->time_ns, e->session };
	note_refusing(r, e);
}

/* As `posternctl explain` does: by itself, or by the line of its session. */
void told_resolve(struct run *r)
{
	struct score *score = r->score;

	for (unsigned i = 0; i < r->n_told; i++) {
		const struct told *t = &r->told[i];
		bool found = t->fields.session == 0;

		score->tokens++;
		score->tokens_self += found;
		for (unsigned k = 0; k < r->n_seen && !found; k++) {
			const struct seen *s = &r->seen[k];
			uint64_t minute_ns = t->fields.minute * 60000000000ull;

			found = s->session == t->fields.session &&
				minute_ns + 60000000000ull > s->from_ns && minute_ns <= s->to_ns;
		}
		if (!found)
			score->unresolved++;
	}
}

void told_token(struct run *r, struct client *c, const char *line)
{
	const char *from = strrchr(line, '['), *to = from ? strchr(from, ']') : NULL;
	char token[TOKEN_LEN + 1];
	struct told *t = &r->told[r->n_told];

	if (!to || to - from != TOKEN_LEN + 1)
		return;
	assert(r->n_told < TOKENS);
	memcpy(token, from + 1, TOKEN_LEN);
	token[TOKEN_LEN] = '\0';
	if (token_parse((const uint8_t[16]){ 0 }, token, &t->fields) == 0) {
		/* 26 bits of minutes since 1970 */
		t->fields.minute |= (uint32_t)(r->rig->now_ns / 60000000000ull) & ~0x3ffffffu;
		c->stateless = t->fields.session == 0;
		r->n_told++;
	} else {
		r->score->unresolved++;
	}
}
