/* SPDX-License-Identifier: BSD-3-Clause */
/* Trying: pass-all, scripts, rules and their impact (ctl.h). */
#include "ctl.h"
#include "duration.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void show_pass_all(const struct ctl *ctl, const json_t *result)
{
	long long until = ctl_number_in(result, "until_s"), left = until - (long long)time(NULL);
	char text[DURATION_TEXT_MAX], when[CTL_TIME_MAX];
	if (until == 0) {
		printf("off: every rule acts as configured\n");
		return;
	}
	duration_text(left < 0 ? 0 : (uint64_t)left, text);
	printf(
	    "%sPASS-ALL%s for %s, until %s: everybody is let through, rules only note; `pass-all "
	    "off` or `undo` ends it\n",
	    ctl_ink_on(ctl, CTL_RED), ctl_ink_off(ctl), text, ctl_time(until, when));
}

static int serve_pass_all(const struct ctl *ctl, int argc, char **argv)
{
	const char *reason = NULL;
	uint64_t for_s = 0;
	const struct ctl_option options[] = { { "--for", CTL_DURATION, &for_s },
		{ "--reason", CTL_TEXT, &reason }, { NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 0, 1))
		return CTL_USAGE;
	if (argc == 1 && strcmp(argv[0], "off") != 0)
		return ctl_usage(ctl, "\"%s\" is neither `off` nor `--for` a time", argv[0]);
	if (argc == 1 && for_s != 0)
		return ctl_usage(ctl, "`off` is for good: no --for");
	if (argc == 0 && for_s == 0)
		return ctl_usage(ctl, "for how long? as `pass-all --for 10m`");
	return ctl_ask_show(ctl, "pass_all.set",
	    json_pack("{s:I, s:s*}", "for_s", (json_int_t)for_s, "reason", reason), show_pass_all,
	    NULL);
}

/* A process of its own: the brain is no part of this program. It is in place of us from here on. */
static int serve_test(const struct ctl *ctl, int argc, char **argv)
{
	const char *policy = NULL;
	const struct ctl_option options[] = { { "--policy", CTL_TEXT, &policy },
		{ NULL, CTL_FLAG, NULL } };
	char self[PATH_MAX], path[PATH_MAX + 32];
	if (!ctl_options(ctl, &argc, argv, options, 1, 1000))
		return CTL_USAGE;
	if (policy == NULL)
		return ctl_usage(ctl, "against which configuration? as `--policy appliance.yaml`");
	char **words = calloc((size_t)argc + 5, sizeof(*words));
	int n = 0;
	if (words == NULL)
		return ctl_fail(ctl, CTL_REFUSED, "no memory");
	words[n++] = path;
	words[n++] = (char *)(uintptr_t) "--policy";
	words[n++] = (char *)(uintptr_t)policy;
	if (ctl->json)
		words[n++] = (char *)(uintptr_t) "--json";
	for (int i = 0; i < argc; i++)
		words[n++] = argv[i];
	fflush(NULL);
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[len < 0 ? 0 : len] = '\0';
	char *slash = strrchr(self, '/');
	if (slash != NULL) {
		snprintf(path, sizeof(path), "%.*s/postern-try", (int)(slash - self), self);
		execv(path, words);
	}
	execvp("postern-try", words);
	free(words);
	return ctl_fail(ctl, CTL_REFUSED, "postern-try is neither beside posternctl nor in PATH");
}

/* ---- rules ---- */

static json_t *all_rules(const struct ctl *ctl, const char *part, int *ret_code)
{
	json_t *rules = json_array();
	json_int_t after = 0;
	do {
		json_t *page = NULL,
		       *params = json_pack("{s:s*, s:I}", "name", part, "after", after);
		*ret_code = ctl_ask(ctl, "rule.list", params, &page);
		if (*ret_code != CTL_OK) {
			json_decref(rules);
			return NULL;
		}
		json_array_extend(rules, json_object_get(page, "rules"));
		after = json_integer_value(json_object_get(page, "next"));
		json_decref(page);
	} while (after > 0);
	return rules;
}

static int serve_rule_list(const struct ctl *ctl, int argc, char **argv)
{
	int ret;
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 1))
		return CTL_USAGE;
	json_t *rules = all_rules(ctl, argc == 0 ? NULL : argv[0], &ret);
	if (rules == NULL)
		return ret;
	if (ctl->json) {
		json_t *root = json_pack("{s:o}", "rules", rules);
		ctl_print_json(root);
		json_decref(root);
		return CTL_OK;
	}
	printf("%s%-36s %-8s %7s %-7s %10s %10s %8s %8s%s\n", ctl_ink_on(ctl, CTL_BOLD), "rule",
	    "state", "weight", "action", "hits", "shadow", "hits/m", "shadow/m", ctl_ink_off(ctl));
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *one = json_array_get(rules, i), *m = json_object_get(one, "minute");
		printf("%-36s %-8s %7.2f %-7s %10lld %10lld %8lld %8lld\n",
		    ctl_text_in(one, "name"), ctl_text_in(one, "state"),
		    (double)ctl_number_in(one, "weight") / 100, ctl_text_in(one, "action"),
		    ctl_number_in(one, "hits"), ctl_number_in(one, "shadow"),
		    ctl_number_in(m, "hits"), ctl_number_in(m, "shadow"));
	}
	json_decref(rules);
	return CTL_OK;
}

/* The key of a rule's state; NULL: there is none of its own. A name with dots stands in brackets. */
/* The setting that holds a rule's state; a single pattern has one only while somebody gives it one. */
static char *state_key(const char *rule)
{
	static const struct {
		const char *prefix, *key;
	} kinds[] = { { "checks.", "checks" }, { "lists.", "lists" }, { "access.", "access" },
		{ "dns.", "dns.lists" } };
	static const char *const grey[] = { "greylist", "greytrap", "spamtrap" };
	char *key = NULL;
	if (strncmp(rule, "patterns.", 9) == 0 && rule[9] != '\0')
		return asprintf(&key, "patterns.rule.%s", rule + 9) < 0 ? NULL : key;
	for (size_t i = 0; i < sizeof(grey) / sizeof(grey[0]); i++)
		if (strcmp(rule, grey[i]) == 0)
			return strdup("greylist.state");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].prefix);
		const char *name = rule + len;
		if (strncmp(rule, kinds[i].prefix, len) != 0 || *name == '\0')
			continue;
		bool plain = strchr(name, '.') == NULL && name[strspn(name, "0123456789")] != '\0';
		if (asprintf(&key, plain ? "%s.%s.state" : "%s[%s].state", kinds[i].key, name) < 0)
			key = NULL;
	}
	return key;
}

static void show_state(const struct ctl *ctl, const json_t *result)
{
	const json_t *keys = json_object_get(result, "keys");
	(void)ctl;
	if (json_array_size(keys) == 0 && json_is_true(json_object_get(result, "changed")))
		printf("it is in force; epoch %lld\n", ctl_number_in(result, "epoch"));
	else if (json_array_size(keys) == 0)
		printf("it is so already; epoch %lld\n", ctl_number_in(result, "epoch"));
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *one = json_array_get(keys, i);
		printf("%s: %s, was %s; epoch %lld\n", ctl_text_in(one, "key"),
		    ctl_text_in(one, "new"), ctl_text_in(one, "old"),
		    ctl_number_in(result, "epoch"));
	}
}

/* The configuration cannot tell: which patterns there are depends on files and on the hour. */
static bool pattern_is_there(const struct ctl *ctl, const char *name, int *ret_code)
{
	json_t *rules = all_rules(ctl, name, ret_code);
	bool found = false;
	for (size_t i = 0; i < json_array_size(rules); i++)
		found = found || strcmp(ctl_text_in(json_array_get(rules, i), "name"), name) == 0;
	if (rules != NULL && !found)
		*ret_code = ctl_fail(ctl, CTL_REFUSED,
		    "no pattern has the name \"%s\"; `posternctl rule list patterns.` names them",
		    name + 9);
	json_decref(rules);
	return found;
}

static int serve_rule_set(const struct ctl *ctl, int argc, char **argv)
{
	const char *reason = NULL;
	uint64_t for_s = 0;
	const struct ctl_option options[] = { { "--for", CTL_DURATION, &for_s },
		{ "--reason", CTL_TEXT, &reason }, { NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 2, 2))
		return CTL_USAGE;
	int ret = CTL_OK;
	if (strncmp(argv[0], "patterns.", 9) == 0 && !pattern_is_there(ctl, argv[0], &ret))
		return ret;
	char *key = state_key(argv[0]);
	if (key == NULL)
		return ctl_fail(ctl, CTL_REFUSED,
		    "\"%s\" is no rule with a state of its own; `posternctl rule list` names them, "
		    "as checks.talked_early, lists.blocked, dns.zen",
		    argv[0]);
	json_t *params =
	    json_pack("{s:s, s:s, s:s*}", "key", key, "value", argv[1], "reason", reason);
	if (for_s != 0)
		json_object_set_new(params, "for_s", json_integer((json_int_t)for_s));
	free(key);
	return ctl_ask_show(ctl, "config.set", params, show_state, NULL);
}

/* ---- impact ---- */

static void show_impact(const struct ctl *ctl, const json_t *r)
{
	const json_t *rows = json_object_get(r, "rows"), *codes = json_object_get(r, "codes"), *code;
	const json_t *examples = json_object_get(r, "examples");
	const char *name;
	printf("%s would have hit %lld sessions (and hit %lld) of %s%lld prefixes\n",
	    ctl_text_in(r, "rule"), ctl_number_in(r, "shadow"), ctl_number_in(r, "enforced"),
	    json_is_true(json_object_get(r, "prefixes_full")) ? "at least " : "",
	    ctl_number_in(r, "prefixes"));
	printf("the mail servers accepted %lld messages in %lld of them, and refused something in "
	       "%lld",
	    ctl_number_in(r, "messages"), ctl_number_in(r, "accepted"), ctl_number_in(r, "refused"));
	const char *between = " (";
	json_object_foreach((json_t *)(uintptr_t)codes, name, code)
	{
		printf("%s%s: %lld", between, name, (long long)json_integer_value(code));
		between = ", ";
	}
	printf("%s\n", *between == ',' ? ")" : "");
	if (json_array_size(rows) == 0)
		return;
	printf("\n%s%-44s %10s %10s %10s %10s%s\n", ctl_ink_on(ctl, CTL_BOLD), ctl_text_in(r, "by"),
	    "sessions", "messages", "accepted", "refused", ctl_ink_off(ctl));
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *one = json_array_get(rows, i);
		printf("%-44s %10lld %10lld %10lld %10lld\n", ctl_text_in(one, "group"),
		    ctl_number_in(one, "sessions"), ctl_number_in(one, "messages"),
		    ctl_number_in(one, "accepted"), ctl_number_in(one, "refused"));
	}
	if (ctl_number_in(r, "other") != 0)
		printf("%-44s %10lld\n", "others", ctl_number_in(r, "other"));
	printf("\nlast:\n");
	for (size_t i = 0; i < json_array_size(examples); i++) {
		const json_t *one = json_array_get(examples, i);
		printf("%s  %-24s <%s> to <%s>, messages %lld, refused %lld\n",
		    ctl_text_in(one, "time"), ctl_text_in(one, "client"), ctl_text_in(one, "mail"),
		    ctl_text_in(one, "rcpt"), ctl_number_in(one, "messages"),
		    ctl_number_in(one, "backend_code"));
	}
}

static int serve_impact(const struct ctl *ctl, int argc, char **argv)
{
	const char *by = NULL;
	uint64_t since_s = 0;
	const struct ctl_option options[] = { { "--since", CTL_DURATION, &since_s },
		{ "--by", CTL_TEXT, &by }, { NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 1, 1))
		return CTL_USAGE;
	if (by != NULL && strcmp(by, "prefix") != 0 && strcmp(by, "tenant") != 0 &&
	    strcmp(by, "domain") != 0)
		return ctl_usage(ctl, "--by: \"%s\"; allowed: prefix, tenant, domain", by);
	json_t *params = json_pack("{s:s, s:s*}", "rule", argv[0], "by", by);
	if (since_s != 0)
		json_object_set_new(params, "since_s", json_integer((json_int_t)since_s));
	return ctl_ask_show(ctl, "rule.impact", params, show_impact, NULL);
}

const struct ctl_command ctl_trying_commands[] = {
	{ "pass-all", "--for 10m [--reason TEXT] | off", serve_pass_all,
	    "Lets everybody through for a time; rules only note what they would do.",
	    "For the moment in which honest mail is refused and nobody knows why. Address lists "
	    "and "
	    "bans too let pass; limits that protect the appliance stay, and relaying never opens. "
	    "At "
	    "most a day; survives restarts; `status` shows it, events carry \"pass_all\" and each "
	    "rule that would have hit under \"shadow\"." },
	{ "test", "SCRIPT... --policy FILE", serve_test,
	    "Runs SMTP conversations against a configuration that is not in force.",
	    "Nothing leaves the process: mail servers are models that accept everything, time is "
	    "virtual. Each line is shown with its time, then the sessions with their verdicts and "
	    "rules, those in shadow too. Exit 0 when all was as the script expects, else 1. "
	    "postern-try(1) says what a script may hold; examples stand beside the example "
	    "configuration." },
	{ "rule list", "[PART]", serve_rule_list,
	    "Every rule of the running policy: state, weight, action, hits.",
	    "PART: only those whose name has it. Shadow hits are those that would have been." },
	{ "rule set", "NAME off|shadow|25%|enforce [--for 10m] [--reason TEXT]", serve_rule_set,
	    "Sets a rule's state over the file, for good or for a time.",
	    "off: not asked. shadow: counted and told, not done. 25%: done for that share of "
	    "clients, "
	    "always the same ones, shadow for the rest. A pattern's name is patterns.NAME, its key "
	    "patterns.rule.NAME. The same as `set` of its key; `status` "
	    "shows "
	    "it, `set --reset KEY` and `undo` take it back." },
	{ "impact", "RULE [--since 1d] [--by prefix|tenant|domain]", serve_impact,
	    "Whom a rule in shadow would have hit, and how the mail servers took them.",
	    "By the event log: sessions, their prefixes (/24, /64), messages that the mail servers "
	    "accepted (which the rule would have cost) and sessions in which they refused "
	    "something. "
	    "What the rule did hit is counted too. A day without --since; the 50 largest rows." },
	{ NULL, NULL, NULL, NULL, NULL },
};
