/* SPDX-License-Identifier: BSD-3-Clause */
/* What the policy of an epoch says about a record (explain.h). */
#include "explain.h"
#include "inet.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name, *doc;
} checks[] = {
#define POLICY_CHECK(name, judge, phases, reason, weight, action, state, doc)                      \
	{ "checks." #name, doc },
#include "filters/checks.def"
#undef POLICY_CHECK
};

static const char *const kind_docs[] = {
	[RULE_CHECK] = "",
	[RULE_LIST] = "An address list of the configuration or of run-time entries.",
	[RULE_DNS] = "A DNS list.",
	[RULE_ACCESS] = "Access rules of the configuration.",
	[RULE_PATTERN] = "A pattern over the message.",
	[RULE_GREY] = "The greylist and its traps.",
	[RULE_BAN] = "A ban.",
};
static const char *const state_words[] = {
	[RULE_ENFORCE] = "enforce", [RULE_SHADOW] = "shadow", [RULE_OFF] = "off"
};

static int reason_of(const char *word)
{
	for (int i = 0; i < REASON_N; i++)
		if (strcasecmp(reason_infos[i].name, word) == 0)
			return i;
	return -1;
}

json_t *explain_reason(const char *word)
{
	int i = reason_of(word);
	if (i < 0)
		return NULL;
	return json_pack("{s:s, s:i, s:s, s:s, s:s}", "word", word, "code", reason_infos[i].code,
	    "enhanced", reason_infos[i].enhanced, "text", reason_infos[i].text, "doc",
	    reason_infos[i].doc);
}

static const struct policy_rule *rule_of(const struct policy *p, const char *name)
{
	unsigned n = 0;
	const struct policy_rule *rules = p == NULL ? NULL : policy_rules(p, &n);
	for (unsigned i = 0; i < n; i++)
		if (strcmp(policy_string(p, rules[i].name), name) == 0)
			return &rules[i];
	return NULL;
}

static const char *doc_of(const struct policy_rule *rule, const char *name)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (strcmp(checks[i].name, name) == 0)
			return checks[i].doc;
	return rule != NULL && rule->kind < sizeof(kind_docs) / sizeof(kind_docs[0])
		   ? kind_docs[rule->kind]
		   : "";
}

json_t *explain_rules(const struct policy *p, const json_t *event, const char *key)
{
	const json_t *names = json_object_get(event, key);
	const char *verdict = json_string_value(json_object_get(event, "verdict"));
	const char *reason = json_string_value(json_object_get(event, "reason"));
	json_t *all = json_array();
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		const struct policy_rule *rule = name == NULL ? NULL : rule_of(p, name);
		if (name == NULL)
			continue;
		json_t *one = json_pack("{s:s, s:s}", "name", name, "doc", doc_of(rule, name));
		json_array_append_new(all, one);
		if (rule == NULL)
			continue;
		const char *action =
		    rule->action == VERDICT_NONE ? "score" : verdict_words[rule->action];
		json_object_set_new(one, "weight", json_real(rule->weight / 100.0));
		json_object_set_new(one, "action", json_string(action));
		json_object_set_new(one, "state", json_string(state_words[rule->state]));
		json_object_set_new(
		    one, "share", json_integer(rule->share == 0 ? 100 : rule->share));
		json_object_set_new(one, "decided",
		    json_boolean(strcmp(key, "rules") == 0 && rule->action != VERDICT_NONE &&
				 verdict != NULL && strcmp(action, verdict) == 0 &&
				 reason != NULL && reason_of(reason) == rule->reason));
	}
	return all;
}

json_t *explain_score(const struct policy *p)
{
	const struct policy_score *score = &policy_settings(p)->score;
	const struct {
		const char *name;
		int32_t at;
	} steps[] = { { "mark", score->mark }, { "tarpit", score->tarpit },
		{ "defer", score->defer }, { "refuse", score->refuse } };
	json_t *all = json_object();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].at != INT32_MAX)
			json_object_set_new(all, steps[i].name, json_real(steps[i].at / 100.0));
	return all;
}

json_t *explain_list(const struct policy *p, const char *client)
{
	uint8_t addr[16];
	const struct policy_list *list = inet_parse_address(client, strlen(client), addr) != NULL
					     ? NULL
					     : policy_compiled_list_of(p, addr);
	if (list == NULL)
		return json_null();
	return json_pack("{s:s, s:s}", "name", policy_string(p, list->name), "action",
	    list->verdict == VERDICT_NONE ? "score" : verdict_words[list->verdict]);
}

/* ---- what to do next ---- */

__attribute__((format(printf, 2, 3))) static void next(json_t *all, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (size_t i = 0; i < json_array_size(all); i++)
		if (strcmp(json_string_value(json_array_get(all, i)), text) == 0)
			return;
	json_array_append_new(all, json_string(text));
}

/* Off what holds it: bans and run-time entries by their prefix, compiled listings by the address. */
static void next_lists(json_t *all, const char *client, const json_t *now)
{
	const json_t *entries = json_object_get(now, "entries");
	const char *list = json_string_value(json_object_get(now, "list"));
	bool named = false;
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *one = json_array_get(entries, i);
		const char *prefix = json_string_value(json_object_get(one, "prefix"));
		const char *on = json_string_value(json_object_get(one, "list"));
		if (prefix == NULL || json_is_true(json_object_get(one, "lifts")))
			continue;
		if (on == NULL)
			next(all, "posternctl ban del %s", prefix);
		else
			next(all, "posternctl list del %s --list %s", prefix, on);
		named |= on != NULL && list != NULL && strcmp(on, list) == 0;
	}
	if (list != NULL && !named)
		next(all, "posternctl list del %s --list %s", client, list);
	if (list == NULL && json_array_size(entries) == 0)
		next(all, "posternctl list show %s", client);
}

json_t *explain_next(const struct policy *p, const char *reason, const char *client,
    const json_t *rules, const json_t *now)
{
	json_t *all = json_array();
	const struct policy_settings *set = p == NULL ? NULL : policy_settings(p);
	bool listed = strcmp(reason, "listed") == 0 || strcmp(reason, "listed_verified") == 0 ||
		      strcmp(reason, "banned") == 0;
	if (client != NULL && listed)
		next_lists(all, client, now);
	if (client != NULL && strcmp(reason, "dns_listed") == 0)
		next(all, "posternctl dns lookup %s", client);
	if (strncmp(reason, "grey", 4) == 0)
		next(all, "posternctl grey show");
	if (strcmp(reason, "relay_denied") == 0)
		next(all, "posternctl help config domains");
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const char *name =
		    json_string_value(json_object_get(json_array_get(rules, i), "name"));
		if (name != NULL && strncmp(name, "checks.", 7) == 0)
			next(all, "posternctl set %s.state shadow --for 1h", name);
	}
	for (unsigned i = 0; set != NULL && client != NULL && i < set->n_lists; i++) {
		const struct policy_list *list = policy_list(p, i);
		if (list->verdict == VERDICT_PASS && strcmp(reason, "none") != 0)
			next(all, "posternctl list add %s --list %s --for 1d", client,
			    policy_string(p, list->name));
	}
	return all;
}
