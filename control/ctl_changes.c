/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes: undo, alarms, audit log, several at once (ctl.h). */
#include "ctl.h"
#include "duration.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* ---- several over one connection ---- */

static bool in_batch(const struct ctl *ctl)
{
	if (ctl->connection == NULL)
		ctl_usage(
		    ctl, "`%s` stands in a batch: `posternctl batch FILE`", ctl->command->name);
	return ctl->connection != NULL;
}

static void show_committed(const struct ctl *ctl, const json_t *result)
{
	(void)ctl;
	printf("%s, epoch %lld\n", ctl_text_in(result, "text"), ctl_number_in(result, "epoch"));
}

static int serve_transaction(const struct ctl *ctl, int argc, char **argv)
{
	const char *reason = NULL;
	const struct ctl_option options[] = { { "--reason", CTL_TEXT, &reason },
		{ NULL, CTL_FLAG, NULL } };
	bool commit = strcmp(ctl->command->name, "commit") == 0;
	if (!ctl_options(ctl, &argc, argv, commit ? options : NULL, 0, 0) || !in_batch(ctl))
		return CTL_USAGE;
	if (commit)
		return ctl_ask_show(ctl, "transaction.commit",
		    json_pack("{s:s*}", "reason", reason), show_committed, NULL);
	bool begin = strcmp(ctl->command->name, "begin") == 0;
	return ctl_ask_show(ctl, begin ? "transaction.begin" : "transaction.abort", NULL, NULL,
	    begin ? "begun" : "dropped");
}

/* Words with quotes around them as a shell takes them; -1: a quote without its end, or too many. */
static int split(char *line, char **argv, int max)
{
	int n = 0;
	for (char *p = line; *(p += strspn(p, " \t\r\n")) != '\0' && *p != '#';) {
		char *to = p, quote = '\0';
		if (n == max)
			return -1;
		argv[n++] = p;
		for (; *p != '\0' && (quote != '\0' || strchr(" \t\r\n", *p) == NULL); p++) {
			if (*p == quote)
				quote = '\0';
			else if (quote == '\0' && (*p == '"' || *p == '\''))
				quote = *p;
			else
				*to++ = *p;
		}
		if (quote != '\0')
			return -1;
		bool last = *p == '\0';
		*to = '\0';
		if (last)
			break;
		p++;
	}
	return n;
}

static int serve_line(struct ctl *ctl, char *line, unsigned number)
{
	char *argv[64];
	int words = 0, argc = split(line, argv, 64);
	if (argc == 0)
		return CTL_OK;
	ctl->command = argc < 0 ? NULL : ctl_find(argc, argv, &words);
	if (ctl->command != NULL && strcmp(ctl->command->name, "batch") != 0)
		return ctl->command->serve(ctl, argc - words, argv + words);
	return ctl_fail(ctl, CTL_USAGE, "line %u is no command", number);
}

static int serve_batch(const struct ctl *ctl, int argc, char **argv)
{
	struct ctl each = *ctl;
	int connection = -1, ret = CTL_OK;
	char *line = NULL;
	size_t size = 0;
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 1))
		return CTL_USAGE;
	FILE *from = argc == 0 || strcmp(argv[0], "-") == 0 ? stdin : fopen(argv[0], "re");
	if (from == NULL)
		return ctl_fail(ctl, CTL_REFUSED, "%s: %s", argv[0], strerror(errno));
	each.connection = &connection;
	for (unsigned n = 1; ret == CTL_OK && getline(&line, &size, from) >= 0; n++) {
		ret = serve_line(&each, line, n);
		if (ret != CTL_OK)
			fprintf(stderr,
			    "posternctl: stopped at line %u; what a transaction held is "
			    "dropped\n",
			    n);
	}
	free(line);
	if (from != stdin)
		fclose(from);
	if (connection >= 0)
		close(connection);
	return ret;
}

const struct ctl_command ctl_changes_commands[] = {
	{ "batch", "[FILE]", serve_batch, "Runs commands, one a line, over one connection.",
	    "From standard input without FILE; # begins a comment. Stops at the first that is not "
	    "done. Between `begin` and `commit` changes are put off and then made all or none; "
	    "`abort`, or the end, drops them." },
	{ "begin", "", serve_transaction, "In a batch: puts changes off until `commit`.", NULL },
	{ "commit", "[--reason TEXT]", serve_transaction,
	    "In a batch: makes the changes since `begin`, all of them or none.", NULL },
	{ "abort", "", serve_transaction, "In a batch: drops the changes since `begin`.", NULL },
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
