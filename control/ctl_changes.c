/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes: undo, alarms, audit log, several at once (ctl.h). */
#include "ctl.h"
#include "duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void show_changes(const struct ctl *ctl, const json_t *result)
{
	const json_t *all = json_object_get(result, "changes");
	char time[CTL_TIME_MAX];
	(void)ctl;
	if (json_array_size(all) == 0)
		printf("nothing is left to take back\n");
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		printf("%s  %-12s  %s\n", ctl_time(ctl_number_in(one, "time"), time),
		    ctl_text_in(one, "user"), ctl_text_in(one, "text"));
	}
}

static void show_undone(const struct ctl *ctl, const json_t *result)
{
	(void)ctl;
	printf("taken back: %s\n", ctl_text_in(result, "text"));
}

static int serve_undo(const struct ctl *ctl, int argc, char **argv)
{
	bool list = false;
	const struct ctl_option options[] = { { "--list", CTL_FLAG, &list },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 0, 0))
		return CTL_USAGE;
	if (list)
		return ctl_ask_show(ctl, "undo.list", NULL, show_changes, NULL);
	return ctl_ask_show(ctl, "undo", NULL, show_undone, NULL);
}

/* ---- alarms ---- */

static void show_alarms(const struct ctl *ctl, const json_t *result)
{
	const json_t *all = json_object_get(result, "alarms");
	char time[CTL_TIME_MAX];
	if (json_array_size(all) == 0)
		printf("no alarm\n");
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		printf("%s%lld%s  %s  %s: %s\n", ctl_ink_on(ctl, CTL_RED), ctl_number_in(one, "id"),
		    ctl_ink_off(ctl), ctl_time(ctl_number_in(one, "since"), time),
		    ctl_text_in(one, "kind"), ctl_text_in(one, "text"));
	}
}

static int serve_alarm(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "alarm.list", NULL, show_alarms, NULL);
}

static int serve_ack(const struct ctl *ctl, int argc, char **argv)
{
	char *end = NULL;
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 1))
		return CTL_USAGE;
	long id = argc == 0 ? 0 : strtol(argv[0], &end, 10);
	if (argc == 1 && (end == argv[0] || *end != '\0' || id <= 0))
		return ctl_usage(ctl, "\"%s\" is no number of an alarm", argv[0]);
	json_t *params = id == 0 ? json_object() : json_pack("{s:I}", "id", (json_int_t)id);
	return ctl_ask_show(ctl, "alarm.ack", params, NULL, "acknowledged");
}

/* ---- audit ---- */

static void show_audit(const struct ctl *ctl, const json_t *result)
{
	const json_t *rows = json_object_get(result, "rows");
	char time[CTL_TIME_MAX];
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *one = json_array_get(rows, i);
		const char *error = json_string_value(json_object_get(one, "error"));
		char *params =
		    json_dumps(json_object_get(one, "params"), JSON_COMPACT | JSON_ENCODE_ANY);
		printf("%s  %-12s  %-18s  %s%s%s  %s%s\n",
		    ctl_time(ctl_number_in(one, "time"), time), ctl_text_in(one, "user"),
		    ctl_text_in(one, "method"), ctl_ink_on(ctl, error == NULL ? CTL_GREEN : CTL_RED),
		    error == NULL ? "done" : "refused", ctl_ink_off(ctl),
		    params == NULL ? "" : params, "");
		free(params);
	}
}

static int serve_audit(const struct ctl *ctl, int argc, char **argv)
{
	uint64_t since_s = 0;
	int64_t limit = 0;
	const struct ctl_option options[] = { { "--since", CTL_DURATION, &since_s },
		{ "--limit", CTL_NUMBER, &limit }, { NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 0, 0))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "audit",
	    json_pack("{s:I, s:I}", "since_s", (json_int_t)since_s, "limit", (json_int_t)limit),
	    show_audit, NULL);
}

const struct ctl_command ctl_changes_commands[] = {
	{ "undo", "[--list]", serve_undo, "Takes the last change back, whoever made it.",
	    "Loads, settings, list entries, drained mail servers: the last 64, one at a time, "
	    "newest "
	    "first; kept over restarts. It takes the role that the change took. --list shows what "
	    "would come next." },
	{ "alarm", "", serve_alarm, "What wants somebody's eye, and since when.",
	    "drift: something was enforced before and is not now; stays until `alarm ack`. files: "
	    "a "
	    "list file is broken and its old content serves on; ends by itself." },
	{ "alarm ack", "[NUMBER]", serve_ack, "Acknowledges one alarm, or all.", NULL },
	{ "audit", "[--since 2h] [--limit N]", serve_audit,
	    "Every change that was asked for: when, who, what, and whether it was done.",
	    "Takes the role admin. At most 1,000 rows, the newest; STATE/audit.jsonl has all." },
	{ NULL, NULL, NULL, NULL, NULL },
};
