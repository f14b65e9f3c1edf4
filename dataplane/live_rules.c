/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `rule.list`: every rule of the running policy with its state, its hits and those of the last
 * minute. For the minute all counters are put aside every ten seconds, by the notes' thread; workers
 * know nothing of it. (Rejected: rates counted by the workers, one more line written a hit.)
 */
#include "live.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 7, SAMPLE_S = 10, PAGE = 200 };

struct live_rules {
	pthread_mutex_t lock; /* the notes' thread writes, control reads */
	unsigned n;           /* samples ever taken */
	uint32_t next_s;
	struct stats_rule samples[SAMPLES][STATS_MAX_RULES];
};

static struct stats_rule sum_of(const struct live *l, unsigned id)
{
	struct stats_rule sum = { 0 };

	for (unsigned w = 0; w < l->n_workers; w++) {
		const struct stats_rule *r = &l->stats->workers[w].rules[id];

		sum.hits += __atomic_load_n(&r->hits, __ATOMIC_RELAXED);
		sum.shadow += __atomic_load_n(&r->shadow, __ATOMIC_RELAXED);
	}
	return sum;
}

static void tick(void *arg, uint64_t now_ns)
{
	struct live *l = arg;
	struct live_rules *rules = l->rules;
	uint32_t now_s = (uint32_t)(now_ns / 1000000000);
	struct stats_rule *sample;

	if (now_s < rules->next_s)
		return;
	rules->next_s = now_s + SAMPLE_S;
	pthread_mutex_lock(&rules->lock);
	sample = rules->samples[rules->n++ % SAMPLES];
	for (unsigned i = 0; i < STATS_MAX_RULES; i++)
		sample[i] = l->stats->rule_names[i][0] ? sum_of(l, i) : (struct stats_rule){ 0 };
	pthread_mutex_unlock(&rules->lock);
}

int live_rules_open(struct live *l)
{
	const struct notes_subscriber subscriber = { .tick = tick, .arg = l };

	l->rules = calloc(1, sizeof(*l->rules));
	if (!l->rules)
		return -1;
	pthread_mutex_init(&l->rules->lock, NULL);
	return notes_subscribe(l->notes, &subscriber);
}

void live_rules_close(struct live *l)
{
	if (!l->rules)
		return;
	pthread_mutex_destroy(&l->rules->lock);
	free(l->rules);
	l->rules = NULL;
}

/* Of the oldest sample within the minute; zero before there is one. Under the lock. */
static struct stats_rule minute_ago(const struct live_rules *rules, unsigned id)
{
	unsigned oldest = rules->n < SAMPLES ? 0 : rules->n % SAMPLES;

	return rules->n ? rules->samples[oldest][id] : (struct stats_rule){ 0 };
}

static json_t *row_of(const struct live *l, const struct policy_rule *rule, const char *name)
{
	static const char *const kinds[] = { "check", "list", "dns", "access", "pattern", "grey",
		"ban" };
	static const char *const states[] = { "enforce", "shadow", "off" };
	struct stats_rule sum = sum_of(l, rule->id), then = { 0 };
	char state[16];

	pthread_mutex_lock(&l->rules->lock);
	then = minute_ago(l->rules, rule->id);
	pthread_mutex_unlock(&l->rules->lock);
	if (then.hits > sum.hits || then.shadow > sum.shadow)
		then = sum;
	if (rule->state == RULE_ENFORCE && rule->share != 0 && rule->share < 100)
		snprintf(state, sizeof(state), "%u%%", rule->share);
	else
		snprintf(state, sizeof(state), "%s", states[rule->state % 3]);
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:I, s:I, s:{s:I, s:I}}", "name", name, "kind",
	    rule->kind < sizeof(kinds) / sizeof(kinds[0]) ? kinds[rule->kind] : "?", "state", state,
	    "weight", (int)rule->weight, "action",
	    rule->action == VERDICT_NONE     ? "score"
	    : rule->action < VERDICT_N_KINDS ? verdict_words[rule->action]
					     : "?",
	    "hits", (json_int_t)sum.hits, "shadow", (json_int_t)sum.shadow, "minute", "hits",
	    (json_int_t)(sum.hits - then.hits), "shadow", (json_int_t)(sum.shadow - then.shadow));
}

json_t *live_rule_list(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	const struct live *l = arg;
	const struct policy *p = l->running->policy;
	const char *part = json_string_value(json_object_get(params, "name"));
	json_int_t after = json_integer_value(json_object_get(params, "after"));
	json_t *rows = json_array(), *next = json_null();
	unsigned n = 0, n_rules;

	(void)fds, (void)n_fds, (void)error;
	policy_rules(p, &n_rules);
	for (unsigned i = after > 0 && after < POLICY_MAX_RULES ? (unsigned)after : 0; i < n_rules;
	     i++) {
		const struct policy_rule *rule = policy_rule(p, i);
		const char *name = policy_string(p, rule->name);

		if (part && !strstr(name, part))
			continue;
		if (n++ == PAGE) {
			next = json_integer(i);
			break;
		}
		json_array_append_new(rows, row_of(l, rule, name));
	}
	return json_pack("{s:o, s:o}", "rules", rows, "next", next);
}
