/* SPDX-License-Identifier: BSD-3-Clause */
/* The greylist: looking, changing, carrying from box to box (ctl.h). */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMPORT_LOT = 40, SHOW_DEFAULT = 100 };

static void show_record(const struct ctl *ctl, const json_t *r)
{
	bool trapped = strcmp(ctl_text_in(r, "state"), "trapped") == 0;
	bool white = strcmp(ctl_text_in(r, "state"), "white") == 0;
	char time[CTL_TIME_MAX];

	printf("%s%-8s%s %4lld  %s  %s",
	    ctl_ink_on(ctl, trapped ? CTL_RED
			    : white ? CTL_GREEN
				    : CTL_PLAIN),
	    ctl_text_in(r, "state"), ctl_ink_off(ctl), ctl_number_in(r, "passes"),
	    ctl_time(ctl_number_in(r, "time"), time), ctl_text_in(r, "pool"));
	if (!json_is_true(json_object_get(r, "is_pool")))
		printf("  <%s> <%s>", ctl_text_in(r, "sender"), ctl_text_in(r, "rcpt"));
	printf("%s\n", json_is_true(json_object_get(r, "cut")) ? "  (cut)" : "");
}

/* Pages until `limit` records were told (0: all). */
static int pages(const struct ctl *ctl, const char *method, json_t *params, int64_t limit,
    void (*tell)(const struct ctl *ctl, const json_t *record), bool with_head)
{
	int64_t told = 0;
	bool more = true;
	int ret = CTL_OK;

	while (more && ret == CTL_OK) {
		json_t *page = NULL;
		const json_t *records, *after;

		ret = ctl_ask(ctl, method, json_incref(params), &page);
		if (ret != CTL_OK)
			break;
		if (with_head)
			printf("{\"key_id\":\"%s\"}\n", ctl_text_in(page, "key_id"));
		with_head = false;
		records = json_object_get(page, "records");
		after = json_object_get(page, "after");
		for (size_t i = 0; i < json_array_size(records) && (!limit || told < limit);
		     i++, told++)
			tell(ctl, json_array_get(records, i));
		more = json_is_string(after) && (!limit || told < limit);
		json_object_set_new(params, "after", json_copy((json_t *)after));
		json_decref(page);
	}
	json_decref(params);
	return ret;
}

static void show_line(const struct ctl *ctl, const json_t *record)
{
	(void)ctl;
	json_dumpf(record, stdout, JSON_COMPACT);
	putchar('\n');
}

static int serve_show(const struct ctl *ctl, int argc, char **argv)
{
	const char *state = NULL;
	int64_t limit = SHOW_DEFAULT;
	bool pools = false;
	const struct ctl_option options[] = { { "--state", CTL_TEXT, &state },
		{ "--limit", CTL_NUMBER, &limit }, { "--pools", CTL_FLAG, &pools },
		{ NULL, CTL_FLAG, NULL } };

	if (!ctl_options(ctl, &argc, argv, options, 0, 1))
		return CTL_USAGE;
	return pages(ctl, "grey.show",
	    json_pack("{s:s*, s:s*, s:b}", "text", argc > 0 ? argv[0] : NULL, "state", state,
		"pools", pools),
	    limit, ctl->json ? show_line : show_record, false);
}

static void show_one(const struct ctl *ctl, const json_t *result)
{
	show_record(ctl, json_object_get(result, "record"));
}

static int serve_add(const struct ctl *ctl, int argc, char **argv)
{
	bool trap = false;
	const struct ctl_option options[] = { { "--trap", CTL_FLAG, &trap },
		{ NULL, CTL_FLAG, NULL } };

	if (!ctl_options(ctl, &argc, argv, options, 1, 3))
		return CTL_USAGE;
	if (argc == 2 || (trap && argc != 1))
		return ctl_usage(ctl, "a pool alone, or pool, sender and recipient%s",
		    trap ? "; only a pool is trapped" : "");
	return ctl_ask_show(ctl, "grey.add",
	    json_pack("{s:s, s:s*, s:s*, s:s}", "pool", argv[0], "sender", argc > 1 ? argv[1] : NULL,
		"rcpt", argc > 2 ? argv[2] : NULL, "state", trap ? "trapped" : "white"),
	    show_one, NULL);
}

static int serve_del(const struct ctl *ctl, int argc, char **argv)
{
	const char *key = NULL;
	const struct ctl_option options[] = { { "--key", CTL_TEXT, &key },
		{ NULL, CTL_FLAG, NULL } };

	if (!ctl_options(ctl, &argc, argv, options, 0, 3))
		return CTL_USAGE;
	if ((key != NULL) != (argc == 0) || argc == 2)
		return ctl_usage(ctl, "a pool alone, or pool, sender and recipient, or --key");
	return ctl_ask_show(ctl, "grey.del",
	    json_pack("{s:s*, s:s*, s:s*, s:s*}", "key", key, "pool", argc > 0 ? argv[0] : NULL,
		"sender", argc > 1 ? argv[1] : NULL, "rcpt", argc > 2 ? argv[2] : NULL),
	    show_one, NULL);
}

static void show_stats(const struct ctl *ctl, const json_t *result)
{
	const json_t *entries = json_object_get(result, "entries");
	const json_t *displaced = json_object_get(result, "displaced");
	const json_t *value;
	const char *name;

	json_object_foreach((json_t *)entries, name, value)
	    ctl_row(ctl, name, CTL_PLAIN, "%lld, %lld displaced",
		(long long)json_integer_value(value), ctl_number_in(displaced, name));
	json_object_foreach((json_t *)result, name, value) if (json_is_integer(value))
	    ctl_row(ctl, name, CTL_PLAIN, "%lld", (long long)json_integer_value(value));
	if (json_is_string(json_object_get(result, "error")))
		ctl_row(ctl, "error", CTL_RED, "%s", ctl_text_in(result, "error"));
}

static int serve_stats(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "grey.stats", NULL, show_stats, NULL);
}

static int serve_export(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	return pages(ctl, "grey.export", json_object(), 0, show_line, true);
}

struct import {
	const struct ctl *ctl;
	json_t *records;
	char key_id[17];
	long long added, skipped;
};

static int flush(struct import *im)
{
	json_t *result = NULL;
	int ret;

	if (json_array_size(im->records) == 0)
		return CTL_OK;
	ret = ctl_ask(im->ctl, "grey.import",
	    json_pack("{s:O, s:s}", "records", im->records, "key_id", im->key_id), &result);
	json_decref(im->records);
	im->records = json_array();
	if (ret != CTL_OK)
		return ret;
	im->added += ctl_number_in(result, "added");
	im->skipped += ctl_number_in(result, "skipped");
	json_decref(result);
	return CTL_OK;
}

static int import_lines(struct import *im, FILE *from, const char *name)
{
	char *line = NULL;
	size_t room = 0;
	int ret = CTL_OK;

	for (unsigned long n = 1; ret == CTL_OK && getline(&line, &room, from) > 0; n++) {
		json_t *one = json_loads(line, 0, NULL);

		if (!json_is_object(one)) {
			ret = ctl_fail(im->ctl, CTL_REFUSED, "%s:%lu: not a JSON object", name, n);
		} else if (json_object_get(one, "key_id")) {
			snprintf(im->key_id, sizeof(im->key_id), "%s", ctl_text_in(one, "key_id"));
		} else {
			json_array_append(im->records, one);
			if (json_array_size(im->records) == IMPORT_LOT)
				ret = flush(im);
		}
		json_decref(one);
	}
	free(line);
	return ret == CTL_OK ? flush(im) : ret;
}

static int serve_import(const struct ctl *ctl, int argc, char **argv)
{
	struct import im = { .ctl = ctl };
	FILE *from;
	int ret;

	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	from = strcmp(argv[0], "-") == 0 ? stdin : fopen(argv[0], "r");
	if (from == NULL)
		return ctl_fail(ctl, CTL_REFUSED, "%s cannot be read: %s", argv[0], strerror(errno));
	im.records = json_array();
	ret = import_lines(&im, from, argv[0]);
	json_decref(im.records);
	if (from != stdin)
		fclose(from);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json)
		printf("{\"added\":%lld,\"skipped\":%lld}\n", im.added, im.skipped);
	else
		printf("%lld added, %lld skipped\n", im.added, im.skipped);
	return CTL_OK;
}

const struct ctl_command ctl_grey_commands[] = {
	{ "grey show", "[TEXT] [--state STATE] [--pools] [--limit N]", serve_show,
	    "Shows the greylist: entries with TEXT in pool, sender or recipient.",
	    "STATE: pending, trapped, accepted, white. At most 100 unless --limit says so (0: "
	    "all)." },
	{ "grey add", "POOL [SENDER RECIPIENT] [--trap]", serve_add,
	    "Makes a pool, or one sender and recipient of it, white.",
	    "With --trap the pool is trapped instead. POOL: a domain, 192.0.2.0/24 or "
	    "2001:db8:1:2::/64, as `grey show` prints it." },
	{ "grey del", "POOL [SENDER RECIPIENT] | --key KEY", serve_del,
	    "Forgets an entry of the greylist.", "KEY: as `grey show --json` prints it." },
	{ "grey stats", "", serve_stats, "Counts the greylist's entries, changes and losses.", NULL },
	{ "grey export", "", serve_export, "Writes the whole greylist as JSON lines.",
	    "The first line names the secret of the keys; each other line is an entry." },
	{ "grey import", "FILE", serve_import, "Adds the entries of such a file (-: standard input).",
	    "An entry whose texts were cut is taken only where the secret is the same." },
	{ NULL, NULL, NULL, NULL, NULL },
};
