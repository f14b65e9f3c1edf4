/* SPDX-License-Identifier: BSD-3-Clause */
/* `explain TOKEN|ADDRESS`: why it was refused, and what to do about it (ctl.h). */
#include "ctl.h"
#include "inet.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *text_or(const json_t *object, const char *key, const char *other)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? other : text;
}

/* What a client sent may steer a terminal. */
static const char *clean(const char *text, char ret_text[80])
{
	size_t n = 0;
	for (; text[n] != '\0' && n < 79; n++)
		ret_text[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? '?' : text[n];
	ret_text[n] = '\0';
	return ret_text;
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void show_words(char *to, size_t size, const char *name, const json_t *words)
{
	for (size_t i = 0; i < json_array_size(words); i++) {
		size_t at = strlen(to);
		snprintf(to + at, size - at, "%s%s%s", i == 0 ? (at == 0 ? "" : ", ") : " ",
		    i == 0 ? name : "", json_string_value(json_array_get(words, i)));
	}
}

static void show_facts(const struct ctl *ctl, const json_t *facts)
{
	static const struct {
		const char *key, *text;
	} known[] = { { "host", "reverse name " }, { "host_name", "" },
		{ "sender", "sender's domain " }, { "spf", "SPF " }, { "grey", "greylist " } };
	char line[600] = "", name[80];
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *text = json_string_value(json_object_get(facts, known[i].key));
		size_t at = strlen(line);
		if (text != NULL)
			snprintf(line + at, sizeof(line) - at, "%s%s%s", at == 0 ? "" : ", ",
			    known[i].text, clean(text, name));
	}
	show_words(line, sizeof(line), "named by ", json_object_get(facts, "dns"));
	show_words(line, sizeof(line), "", json_object_get(facts, "true"));
	size_t at = strlen(line);
	snprintf(line + at, sizeof(line) - at, "%s%lld open and %lld a minute from the address",
	    at == 0 ? "" : ", ", ctl_number_in(facts, "connections"), ctl_number_in(facts, "rate"));
	ctl_row(ctl, "facts", CTL_PLAIN, "%s", line);
}

static void show_event(const struct ctl *ctl, const json_t *event)
{
	char helo[80], mail[80], rcpt[80];
	bool session = strcmp(ctl_text_in(event, "event"), "session") == 0;
	ctl_row(ctl, "client", CTL_BOLD, "%s port %lld, listener %lld, worker %lld",
	    ctl_text_in(event, "client"), ctl_number_in(event, "client_port"),
	    ctl_number_in(event, "listener"), ctl_number_in(event, "worker"));
	ctl_row(ctl, "verdict", CTL_PLAIN, "%s at %s (%s), %s", ctl_text_in(event, "verdict"),
	    ctl_text_in(event, "phase"), text_or(event, "reason", "none"),
	    ctl_text_in(event, "time"));
	if (!session)
		return;
	ctl_row(ctl, "session", CTL_PLAIN,
	    "%lld ms, %lld commands, %lld messages, last reply %lld; tenant %lld",
	    ctl_number_in(event, "duration_ms"), ctl_number_in(event, "commands"),
	    ctl_number_in(event, "messages"), ctl_number_in(event, "code"),
	    ctl_number_in(event, "tenant"));
	ctl_row(ctl, "said", CTL_PLAIN, "HELO %s, MAIL <%s>, first accepted RCPT <%s>",
	    clean(text_or(event, "helo", ""), helo), clean(text_or(event, "mail", ""), mail),
	    clean(text_or(event, "rcpt", ""), rcpt));
	if (json_object_get(event, "facts") != NULL)
		show_facts(ctl, json_object_get(event, "facts"));
}

static void show_rules(const struct ctl *ctl, const char *title, const json_t *rules, bool shadow)
{
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *one = json_array_get(rules, i);
		const char *action = json_string_value(json_object_get(one, "action"));
		bool decided = json_is_true(json_object_get(one, "decided"));
		char did[120] = "";
		if (action != NULL)
			snprintf(did, sizeof(did), "%s %+.2f%s%s%s",
			    shadow ? "would have added" : "added", number(one, "weight"),
			    strcmp(action, "score") == 0 ? "" : ", ",
			    strcmp(action, "score") == 0 ? ""
			    : shadow                     ? "and done: "
							 : "its action: ",
			    strcmp(action, "score") == 0 ? "" : action);
		ctl_row(ctl, i == 0 ? title : "", decided ? CTL_RED : CTL_PLAIN, "%s  %s%s  %s",
		    ctl_text_in(one, "name"), did, decided ? " (this decided)" : "",
		    text_or(one, "doc", ""));
	}
}

static void show_score(const struct ctl *ctl, const json_t *event, const json_t *thresholds)
{
	char line[160] = "", *at = line;
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)thresholds, name, value) at +=
	    snprintf(at, sizeof(line) - (size_t)(at - line), "%s%s at %.2f",
		at == line ? "; " : ", ", name, json_number_value(value));
	ctl_row(ctl, "score", CTL_PLAIN, "%.2f%s", number(event, "score"), line);
}

static void show_explained(const struct ctl *ctl, const json_t *one, const json_t *event)
{
	const json_t *reason = json_object_get(one, "reason"), *list = json_object_get(one, "list"),
		     *epoch = json_object_get(one, "epoch");
	char at[CTL_TIME_MAX];
	if (json_is_object(reason) && ctl_number_in(reason, "code") != 0)
		ctl_row(ctl, "told", CTL_RED, "%lld %s %s", ctl_number_in(reason, "code"),
		    ctl_text_in(reason, "enhanced"), ctl_text_in(reason, "text"));
	if (json_is_object(reason))
		ctl_row(ctl, "because", CTL_PLAIN, "%s: %s", ctl_text_in(reason, "word"),
		    ctl_text_in(reason, "doc"));
	show_rules(ctl, "rules", json_object_get(one, "rules"), false);
	show_rules(ctl, "in shadow", json_object_get(one, "shadow"), true);
	if (json_object_get(event, "score") != NULL)
		show_score(ctl, event, json_object_get(one, "thresholds"));
	if (json_is_object(list))
		ctl_row(ctl, "list", CTL_YELLOW, "%s (%s), by the configuration of that epoch",
		    ctl_text_in(list, "name"), ctl_text_in(list, "action"));
	if (json_object_get(epoch, "user") != NULL)
		ctl_row(ctl, "policy", CTL_PLAIN, "epoch %lld, %s by %s at %s%s%s%s",
		    ctl_number_in(epoch, "epoch"), ctl_text_in(epoch, "how"),
		    ctl_text_in(epoch, "user"), ctl_time(ctl_number_in(epoch, "time"), at),
		    json_string_value(json_object_get(epoch, "reason")) != NULL ? ": " : "",
		    text_or(epoch, "reason", ""),
		    json_is_true(json_object_get(epoch, "kept"))
			? ""
			: " (its image is no longer kept: no weights)");
	else
		ctl_row(ctl, "policy", CTL_YELLOW, "epoch %lld, of which nothing is kept here",
		    ctl_number_in(epoch, "epoch"));
}

static void show_entries(const struct ctl *ctl, const json_t *entries)
{
	char until[CTL_TIME_MAX], since[CTL_TIME_MAX];
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *one = json_array_get(entries, i);
		const char *list = json_string_value(json_object_get(one, "list"));
		long long end = ctl_number_in(one, "expires_s");
		ctl_row(ctl, i == 0 ? "held now by" : "", CTL_YELLOW,
		    "%s %s%s, by %s since %s, %s%s%s%s", ctl_text_in(one, "prefix"),
		    list == NULL                                  ? "banned: "
		    : json_is_true(json_object_get(one, "lifts")) ? "lifted from "
								  : "on ",
		    list == NULL ? ctl_text_in(one, "action") : list, ctl_text_in(one, "origin"),
		    ctl_time(ctl_number_in(one, "created_s"), since),
		    end == 0 ? "for good" : "until ", end == 0 ? "" : ctl_time(end, until),
		    *text_or(one, "reason", "") == '\0' ? "" : ": ", text_or(one, "reason", ""));
	}
}

static bool lets_go_on(const json_t *verdict)
{
	const char *word = text_or(verdict, "verdict", "none");
	return strcmp(word, "none") == 0 || strcmp(word, "pass") == 0 || strcmp(word, "mark") == 0;
}

static void show_now(const struct ctl *ctl, const json_t *now)
{
	if (!json_is_object(now)) {
		ctl_row(ctl, "now", CTL_YELLOW, "not known: the dataplane is not connected");
		return;
	}
	show_entries(ctl, json_object_get(now, "entries"));
	const json_t *syn = json_object_get(now, "syn"), *connect = json_object_get(now, "connect");
	const json_t *last = json_is_object(connect) ? connect : syn;
	char rules[300] = "";
	show_words(rules, sizeof(rules), "by ", json_object_get(now, "rules"));
	show_words(rules, sizeof(rules), "in shadow ", json_object_get(now, "shadow"));
	ctl_row(ctl, "now", lets_go_on(last) ? CTL_GREEN : CTL_RED, "%s at %s (%s)%s%s%s%s",
	    lets_go_on(last) ? "let through" : ctl_text_in(last, "verdict"),
	    json_is_object(connect) ? "CONNECT" : "the SYN", text_or(last, "reason", "none"),
	    json_is_string(json_object_get(now, "list")) ? ", list " : "", text_or(now, "list", ""),
	    *rules == '\0' ? "" : ", ", rules);
	if (json_is_true(json_object_get(now, "pass_all")))
		ctl_row(ctl, "", CTL_YELLOW, "pass-all is on: rules only note");
}

static void show_next(const struct ctl *ctl, const json_t *next)
{
	for (size_t i = 0; i < json_array_size(next); i++)
		ctl_row(ctl, i == 0 ? "you may" : "", CTL_BOLD, "%s",
		    json_string_value(json_array_get(next, i)));
}

static const char *why_missing(const char *record)
{
	static const struct {
		const char *word, *text;
	} all[] = {
		{ "several", "more than one fits: name the client by --client ADDRESS, one of" },
		{ "not_sampled",
		    "refused at the SYN, without state; of those a hundred a second are recorded, "
		    "and this one is not, or is not known by its address (--client ADDRESS)" },
		{ "not_yet", "none yet: it is written when the session ends; ask again" },
		{ "too_old", "none: it is older than the oldest line of the event log" },
		{ "lost",
		    "none: lost when the log fell behind, or masked (events_lost of `stats`)" },
		{ "no_log", "none: the dataplane keeps no event log (--events none)" },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].word, record) == 0)
			return all[i].text;
	return record;
}

static void show_token(const struct ctl *ctl, const json_t *result)
{
	const json_t *token = json_object_get(result, "token"),
		     *event = json_object_get(result, "event"),
		     *one = json_object_get(result, "explained");
	char at[CTL_TIME_MAX], clients[400] = "";
	ctl_row(ctl, "token", CTL_BOLD, "given in the minute of %s, %s, epoch %lld",
	    ctl_time(ctl_number_in(token, "time"), at),
	    ctl_number_in(token, "session") == 0 ? "without a session" : "to a session",
	    ctl_number_in(token, "epoch"));
	if (json_is_object(event)) {
		show_event(ctl, event);
		if (ctl_number_in(result, "fitting") > 1)
			ctl_row(ctl, "", CTL_YELLOW, "%lld records fit; this is the first",
			    ctl_number_in(result, "fitting"));
	} else {
		show_words(clients, sizeof(clients), "", json_object_get(result, "clients"));
		ctl_row(ctl, "record", CTL_YELLOW, "%s %s",
		    why_missing(ctl_text_in(result, "record")), clients);
	}
	show_explained(ctl, one, event);
	if (json_is_object(json_object_get(result, "now")))
		show_now(ctl, json_object_get(result, "now"));
	show_next(ctl, json_object_get(one, "next"));
}

static void show_client(const struct ctl *ctl, const json_t *result)
{
	const json_t *sessions = json_object_get(result, "sessions");
	ctl_row(ctl, "address", CTL_BOLD, "%s", ctl_text_in(result, "client"));
	show_now(ctl, json_object_get(result, "now"));
	show_next(ctl, json_object_get(result, "next"));
	if (json_array_size(sessions) == 0)
		ctl_row(ctl, "sessions", CTL_PLAIN, "none on record");
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		const json_t *one = json_array_get(sessions, i),
			     *event = json_object_get(one, "event");
		if (i > 0) {
			ctl_row(ctl, i == 1 ? "before" : "", CTL_PLAIN, "%s %s at %s (%s)",
			    ctl_text_in(event, "time"), ctl_text_in(event, "verdict"),
			    ctl_text_in(event, "phase"), text_or(event, "reason", "none"));
			continue;
		}
		printf("\n%slast on record%s\n", ctl_ink_on(ctl, CTL_BOLD), ctl_ink_off(ctl));
		show_event(ctl, event);
		show_explained(ctl, json_object_get(one, "explained"), event);
	}
}

/* "2026-03-01 12:00[:05]" of the clock on the wall, "12:00" of today. */
static bool read_at(const char *text, json_int_t *ret_at)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
		"%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%H:%M:%S", "%H:%M" };
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		time_t now = time(NULL);
		struct tm tm;
		localtime_r(&now, &tm);
		tm.tm_sec = 0;
		tm.tm_isdst = -1;
		const char *end = strptime(text, forms[i], &tm);
		if (end == NULL || *end != '\0')
			continue;
		*ret_at = (json_int_t)mktime(&tm);
		return *ret_at > 0;
	}
	return false;
}

static int serve_explain(const struct ctl *ctl, int argc, char **argv)
{
	const char *at_text = NULL, *client = NULL;
	int64_t limit = 5;
	json_int_t at = 0;
	uint8_t addr[16];
	const struct ctl_option options[] = { { "--at", CTL_TEXT, &at_text },
		{ "--client", CTL_TEXT, &client }, { "--limit", CTL_NUMBER, &limit },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 1, 1))
		return CTL_USAGE;
	if (at_text != NULL && !read_at(at_text, &at))
		return ctl_usage(
		    ctl, "--at: \"%s\" is no time; allowed: 2026-03-01 12:00 or 12:00", at_text);
	/* as it stands in a reply: in brackets */
	char word[80];
	size_t len = strlen(argv[0]);
	bool bracketed = len > 1 && argv[0][0] == '[' && argv[0][len - 1] == ']';
	snprintf(word, sizeof(word), "%.*s", (int)(bracketed ? len - 2 : len), argv[0] + bracketed);
	bool address =
	    inet_parse_address(word, strlen(word), addr) == NULL || strpbrk(word, ".:/") != NULL;
	json_t *params =
	    json_pack("{s:s, s:I}", address ? "client" : "token", word, "limit", (json_int_t)limit);
	if (at != 0)
		json_object_set_new(params, "at", json_integer(at));
	if (client != NULL && !address)
		json_object_set_new(params, "client", json_string(client));
	return ctl_ask_show(ctl, "explain", params, address ? show_client : show_token, NULL);
}

const struct ctl_command ctl_explain_commands[] = {
	{ "explain", "TOKEN|ADDRESS [--client ADDRESS] [--at TIME] [--limit N]", serve_explain,
	    "Why a client was refused, by the token in the reply or by its address.",
	    "What was told, the facts, each rule that hit with what it did (and what those in "
	    "shadow "
	    "would have done), the policy of that epoch, what holds the address now, and the "
	    "commands "
	    "that change it.\n"
	    "A token may stand in its brackets. --client: the one of several that fit, and for "
	    "tokens "
	    "of clients refused at the SYN, which no session knows.\n"
	    "An address: what would happen to it now, and its last sessions, up to --at "
	    "(\"2026-03-01 12:00\", or 12:00 today)." },
	{ NULL, NULL, NULL, NULL, NULL },
};
