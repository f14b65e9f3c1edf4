/* SPDX-License-Identifier: BSD-3-Clause */
/* posternctl memory: what is remembered of sources, senders and recipients (ctl.h). */
#include "ctl.h"

#include <stdio.h>

static void show_row(const struct ctl *ctl, const json_t *row)
{
	const json_t *minute = json_object_get(row, "minute"), *hour = json_object_get(row, "hour");
	const json_t *weeks = json_object_get(row, "weeks"), *week;
	size_t i;

	printf("%-16s %s%s%s: in a minute %lld connections, %lld messages, %lld recipients, %lld "
	       "unknown; in an hour %lld, %lld, %lld, %lld",
	    ctl_text_in(row, "kind"), ctl_ink_on(ctl, CTL_BOLD), ctl_text_in(row, "key"),
	    ctl_ink_off(ctl), ctl_number_in(minute, "connections"),
	    ctl_number_in(minute, "messages"), ctl_number_in(minute, "recipients"),
	    ctl_number_in(minute, "unknown"), ctl_number_in(hour, "connections"),
	    ctl_number_in(hour, "messages"), ctl_number_in(hour, "recipients"),
	    ctl_number_in(hour, "unknown"));
	if (json_is_array(weeks)) {
		printf("; %lld strangers, %lld an hour allowed, largest hour by week:",
		    ctl_number_in(row, "strangers"), ctl_number_in(row, "allowed"));
		json_array_foreach(weeks, i, week)
		    printf(" %lld", (long long)json_integer_value(week));
		if (json_object_get(row, "held_until"))
			printf("; held: only to those it knows");
	}
	printf("\n");
}

static void show(const struct ctl *ctl, const json_t *result)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(result, "rows"), i, row) show_row(ctl, row);
	printf(
	    "%lld of %lld counted, %lld baselines, recipients: %lld known, %lld unknown; %lld made "
	    "room, %lld were not kept\n",
	    ctl_number_in(result, "counted"), ctl_number_in(result, "slots"),
	    ctl_number_in(result, "baselines"), ctl_number_in(result, "known"),
	    ctl_number_in(result, "unknown"), ctl_number_in(result, "displaced"),
	    ctl_number_in(result, "not_kept"));
}

static int serve_show(const struct ctl *ctl, int argc, char **argv)
{
	const char *kind = NULL;
	int64_t top = 0;
	const struct ctl_option options[] = { { "--kind", CTL_TEXT, &kind },
		{ "--top", CTL_NUMBER, &top }, { NULL, CTL_FLAG, NULL } };
	json_t *params;

	if (!ctl_options(ctl, &argc, argv, options, 0, 1))
		return CTL_USAGE;
	params = json_object();
	if (argc > 0)
		json_object_set_new(params, "key", json_string(argv[0]));
	if (kind)
		json_object_set_new(params, "kind", json_string(kind));
	if (top)
		json_object_set_new(params, "top", json_integer(top));
	return ctl_ask_show(ctl, "memory.show", params, show, NULL);
}

static int serve_forget(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	return ctl_ask_show(
	    ctl, "memory.forget", json_pack("{s:s}", "key", argv[0]), NULL, "forgotten");
}

static int serve_release(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	return ctl_ask_show(
	    ctl, "memory.release", json_pack("{s:s}", "key", argv[0]), NULL, "released");
}

const struct ctl_command ctl_memory_commands[] = {
	{ "memory show", "[KEY] [--kind KIND] [--top N]", serve_show,
	    "Shows what is remembered of sources and recipients, the busiest first.",
	    "KEY: an address, 192.0.2.0/24, a sender, recipient or domain. KIND: address, prefix, "
	    "sender, sender-domain, recipient, recipient-domain, bounces, sender-baseline, "
	    "domain-baseline. 20 unless --top says so, 100 at most." },
	{ "memory forget", "KEY", serve_forget,
	    "Forgets the rates and the baseline of KEY, and whether it is known.", NULL },
	{ "memory release", "SENDER", serve_release,
	    "Lets a sender that was stopped write again; what was learned of it stays.",
	    "What it used up in the hour is given back, too. For a captured account whose password "
	    "was changed, or a list that was in order." },
	{ NULL, NULL, NULL, NULL, NULL },
};
