/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration's life: check, load, diff, history, rollback, set (ctl.h). */
#include "ctl.h"
#include "ctl_snapshot.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The manager has another working directory: what it is told is absolute. NULL: told. */
static char *absolute(const struct ctl *ctl, const char *file, char path[PATH_MAX])
{
	if (realpath(file, path) != NULL)
		return path;
	ctl_fail(ctl, CTL_REFUSED, "%s: %s", file, strerror(errno));
	return NULL;
}

static const char *or_nothing(const json_t *value)
{
	const char *text = json_string_value(value);
	return text == NULL ? "(nothing)" : *text == '\0' ? "\"\"" : text;
}

static void show_keys(const struct ctl *ctl, const json_t *keys)
{
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *one = json_array_get(keys, i);
		printf("  %s: %s%s%s -> %s%s%s\n", ctl_text_in(one, "key"),
		    ctl_ink_on(ctl, CTL_RED), or_nothing(json_object_get(one, "old")),
		    ctl_ink_off(ctl), ctl_ink_on(ctl, CTL_GREEN),
		    or_nothing(json_object_get(one, "new")), ctl_ink_off(ctl));
	}
}

static void show_load(const struct ctl *ctl, const json_t *result)
{
	const json_t *restart = json_object_get(result, "needs_restart");
	const json_t *changes = json_object_get(result, "changes");
	const json_t *keys = json_object_get(result, "keys");
	long long added = ctl_number_in(changes, "added"),
		  removed = ctl_number_in(changes, "removed");
	bool changed = json_is_true(json_object_get(result, "changed"));
	printf("epoch %lld%s%s\n", ctl_number_in(result, "epoch"),
	    changed ? "" : ", nothing changed",
	    json_is_true(json_object_get(result, "running")) ? ", in force"
							     : ", waits for the dataplane");
	if (changed && ctl_number_in(result, "previous") != 0) {
		show_keys(ctl, keys);
		if (ctl_number_in(changes, "keys") > (long long)json_array_size(keys))
			printf("  ... %lld keys in all; `posternctl diff %lld` shows them\n",
			    ctl_number_in(changes, "keys"), ctl_number_in(result, "previous"));
		if (added + removed != 0)
			printf("  entries: %lld added, %lld removed\n", added, removed);
	}
	for (size_t i = 0; i < json_array_size(restart); i++)
		printf("%sneeds a restart of postern-dataplane:%s %s\n", ctl_ink_on(ctl, CTL_YELLOW),
		    ctl_ink_off(ctl), json_string_value(json_array_get(restart, i)));
}

static int serve_load(const struct ctl *ctl, int argc, char **argv)
{
	const char *reason = NULL;
	const struct ctl_option options[] = { { "--reason", CTL_TEXT, &reason },
		{ NULL, CTL_FLAG, NULL } };
	char path[PATH_MAX];
	if (!ctl_options(ctl, &argc, argv, options, 0, 1))
		return CTL_USAGE;
	if (argc == 0)
		return ctl_ask_show(
		    ctl, "policy.reload", json_pack("{s:s*}", "reason", reason), show_load, NULL);
	if (absolute(ctl, argv[0], path) == NULL)
		return CTL_REFUSED;
	return ctl_ask_show(ctl, "policy.load",
	    json_pack("{s:s, s:s*}", "path", path, "reason", reason), show_load, NULL);
}

static void show_check(const struct ctl *ctl, const json_t *result)
{
	(void)ctl;
	printf("good; %s\n", json_is_true(json_object_get(result, "changes"))
				 ? "differs from the policy in force"
				 : "the same as the policy in force");
}

static int serve_check(const struct ctl *ctl, int argc, char **argv)
{
	char path[PATH_MAX];
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	if (absolute(ctl, argv[0], path) == NULL)
		return CTL_REFUSED;
	return ctl_ask_show(ctl, "policy.check", json_pack("{s:s}", "path", path), show_check, NULL);
}

/* ---- diff and history ---- */

static void show_names(const struct ctl *ctl, const json_t *one, const char *member,
    const char *count, char sign, enum ctl_ink ink)
{
	enum { SHOWN = 100 };
	const json_t *names = json_object_get(one, member);
	size_t n = json_array_size(names);
	for (size_t i = 0; i < n && i < SHOWN; i++)
		printf("    %s%c %s%s\n", ctl_ink_on(ctl, ink), sign,
		    json_string_value(json_array_get(names, i)), ctl_ink_off(ctl));
	if (ctl_number_in(one, count) > SHOWN)
		printf("    %c ... %lld in all\n", sign, ctl_number_in(one, count));
}

static void show_diff(const struct ctl *ctl, const json_t *result)
{
	const json_t *keys = json_object_get(result, "keys");
	const json_t *entries = json_object_get(result, "entries");
	const json_t *drift = json_object_get(result, "drift");
	const json_t *set = json_object_get(result, "overrides");
	if (json_array_size(keys) + json_array_size(entries) == 0)
		printf("no difference\n");
	show_keys(ctl, keys);
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *one = json_array_get(entries, i);
		printf("  %s:%s\n", ctl_text_in(one, "key"),
		    json_is_null(json_object_get(one, "added"))
			? " another content (too large to be kept)"
			: "");
		show_names(ctl, one, "added", "n_added", '+', CTL_GREEN);
		show_names(ctl, one, "removed", "n_removed", '-', CTL_RED);
	}
	for (size_t i = 0; i < json_array_size(drift); i++)
		printf("%senforced no longer:%s %s\n", ctl_ink_on(ctl, CTL_YELLOW),
		    ctl_ink_off(ctl), json_string_value(json_array_get(drift, i)));
	for (size_t i = 0; i < json_array_size(set); i++)
		printf("set over the file: %s = %s\n", ctl_text_in(json_array_get(set, i), "key"),
		    ctl_text_in(json_array_get(set, i), "value"));
}

/* An epoch's number; 0: it is something else. */
static json_int_t epoch_of(const char *word)
{
	json_int_t n = 0;
	for (; *word >= '0' && *word <= '9' && n <= UINT32_MAX; word++)
		n = n * 10 + (*word - '0');
	return *word == '\0' && n <= UINT32_MAX ? n : 0;
}

static int serve_diff(const struct ctl *ctl, int argc, char **argv)
{
	char path[PATH_MAX];
	json_t *params = json_object();
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 2)) {
		json_decref(params);
		return CTL_USAGE;
	}
	json_int_t from = argc == 0 ? 0 : epoch_of(argv[0]), to = argc < 2 ? 0 : epoch_of(argv[1]);
	if (argc == 2 && (from == 0 || to == 0)) {
		json_decref(params);
		return ctl_usage(
		    ctl, "two epochs are two numbers; `posternctl history` lists them");
	}
	if (from != 0)
		json_object_set_new(params, "from", json_integer(from));
	if (to != 0)
		json_object_set_new(params, "to", json_integer(to));
	if (argc == 1 && from == 0) {
		if (absolute(ctl, argv[0], path) == NULL) {
			json_decref(params);
			return CTL_REFUSED;
		}
		json_object_set_new(params, "path", json_string(path));
	}
	return ctl_ask_show(ctl, "policy.diff", params, show_diff, NULL);
}

static void show_history(const struct ctl *ctl, const json_t *result)
{
	const json_t *rows = json_object_get(result, "epochs");
	long long current = ctl_number_in(result, "current");
	char time[CTL_TIME_MAX], size[64];
	printf("%s%7s  %-19s  %-12s  %-10s  %-24s  %s%s\n", ctl_ink_on(ctl, CTL_BOLD), "epoch",
	    "time", "user", "how", "changed", "reason", ctl_ink_off(ctl));
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *one = json_array_get(rows, i);
		const json_t *changes = json_object_get(one, "changes");
		const char *reason = json_string_value(json_object_get(one, "reason"));
		bool now = ctl_number_in(one, "epoch") == current;
		snprintf(size, sizeof(size), "%lld keys, +%lld -%lld",
		    ctl_number_in(changes, "keys"), ctl_number_in(changes, "added"),
		    ctl_number_in(changes, "removed"));
		printf("%s%c%6lld%s  %-19s  %-12s  %-10s  %-24s  %s%s\n",
		    ctl_ink_on(ctl, now ? CTL_GREEN : CTL_PLAIN), now ? '*' : ' ',
		    ctl_number_in(one, "epoch"), ctl_ink_off(ctl),
		    ctl_time(ctl_number_in(one, "time"), time), ctl_text_in(one, "user"),
		    ctl_text_in(one, "how"), size, reason == NULL ? "" : reason,
		    json_is_true(json_object_get(one, "rollback")) ? "" : " (image not kept)");
	}
}

static int serve_history(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "policy.history", NULL, show_history, NULL);
}

static int serve_rollback(const struct ctl *ctl, int argc, char **argv)
{
	const char *reason = NULL;
	const struct ctl_option options[] = { { "--reason", CTL_TEXT, &reason },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 1, 1))
		return CTL_USAGE;
	if (epoch_of(argv[0]) == 0)
		return ctl_usage(
		    ctl, "\"%s\" is no epoch; `posternctl history` lists them", argv[0]);
	return ctl_ask_show(ctl, "policy.rollback",
	    json_pack("{s:I, s:s*}", "epoch", epoch_of(argv[0]), "reason", reason), show_load, NULL);
}

/* ---- settings over the file ---- */

static int serve_set(const struct ctl *ctl, int argc, char **argv)
{
	const char *reason = NULL;
	uint64_t for_s = 0;
	bool reset = false;
	const struct ctl_option options[] = { { "--reason", CTL_TEXT, &reason },
		{ "--for", CTL_DURATION, &for_s }, { "--reset", CTL_FLAG, &reset },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 0, 2))
		return CTL_USAGE;
	if (reset && argc == 2)
		return ctl_usage(ctl, "--reset takes the key alone");
	if (reset && for_s != 0)
		return ctl_usage(ctl, "--reset is for good: no --for");
	if (reset)
		return ctl_ask_show(ctl, "config.reset",
		    json_pack("{s:s*, s:s*}", "key", argc == 0 ? NULL : argv[0], "reason", reason),
		    show_load, NULL);
	if (argc != 2)
		return ctl_usage(ctl, "`set` wants a key and a value");
	json_t *params =
	    json_pack("{s:s, s:s, s:s*}", "key", argv[0], "value", argv[1], "reason", reason);
	if (for_s != 0)
		json_object_set_new(params, "for_s", json_integer((json_int_t)for_s));
	return ctl_ask_show(ctl, "config.set", params, show_load, NULL);
}

/* The snapshot's other half: what was said at run time. Without a dataplane there is none to save. */
static int run_time_half(const struct ctl *ctl, const char *path, bool restore, bool greylist)
{
	json_t *version = NULL;
	long long n = 0;
	int ret = ctl_ask(ctl, "version", NULL, &version);
	bool away = !json_is_string(json_object_get(version, "dataplane"));
	json_decref(version);
	if (ret == CTL_OK && away && !restore) {
		if (!ctl->json)
			fprintf(stderr,
			    "posternctl: saved without run-time entries: the dataplane is away\n");
		return CTL_OK;
	}
	if (ret == CTL_OK)
		ret = restore ? ctl_snapshot_put_back(ctl, path, &n)
			      : ctl_snapshot_add(ctl, path, greylist, &n);
	if (ret == CTL_OK && !ctl->json)
		printf("%lld run-time entries %s\n", n, restore ? "put back" : "saved");
	return ret;
}

static void show_saved(const struct ctl *ctl, const json_t *result)
{
	(void)ctl;
	printf("saved, with %lld files\n", ctl_number_in(result, "files"));
}

static int serve_save(const struct ctl *ctl, int argc, char **argv)
{
	char folder[PATH_MAX], *copy = NULL, *path = NULL;
	bool greylist = false;
	const struct ctl_option options[] = { { "--greylist", CTL_FLAG, &greylist },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 1, 1))
		return CTL_USAGE;
	const char *slash = strrchr(argv[0], '/');
	copy = slash == NULL ? strdup(".") : strndup(argv[0], (size_t)(slash - argv[0]) + 1);
	bool there = copy != NULL && absolute(ctl, copy, folder) != NULL &&
		     asprintf(&path, "%s/%s", folder, slash == NULL ? argv[0] : slash + 1) >= 0;
	int ret = !there ? CTL_REFUSED
			 : ctl_ask_show(ctl, "snapshot.save", json_pack("{s:s}", "path", path),
			       show_saved, NULL);
	if (ret == CTL_OK)
		ret = run_time_half(ctl, path, false, greylist);
	free(copy);
	if (there)
		free(path);
	return ret;
}

static int serve_restore(const struct ctl *ctl, int argc, char **argv)
{
	char path[PATH_MAX];
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	if (absolute(ctl, argv[0], path) == NULL)
		return CTL_REFUSED;
	int ret = ctl_ask_show(
	    ctl, "snapshot.restore", json_pack("{s:s}", "path", path), show_load, NULL);
	return ret == CTL_OK ? run_time_half(ctl, path, true, false) : ret;
}

const struct ctl_command ctl_config_commands[] = {
	{ "check", "FILE", serve_check, "Checks a configuration and changes nothing.", NULL },
	{ "diff", "[FILE | EPOCH [EPOCH]]", serve_diff,
	    "What differs, key by key: the configured file and what is in force.",
	    "With FILE, that one and what is in force; with one epoch, it and what is in force; "
	    "with "
	    "two, one and the other. Entries of list files are told where both contents were kept "
	    "(files up to 16 MiB)." },
	{ "history", "", serve_history, "Every policy that was in force: when, who, why.",
	    "The last 16 can be put back by `rollback`; 256 are told. The one in force is "
	    "marked." },
	{ "load", "[FILE] [--reason TEXT]", serve_load,
	    "Puts a configuration in force; without FILE the manager's own, read again.",
	    "With FILE it takes the role admin, without it operator. What is wrong is told as "
	    "file:line:column and the policy in force stays. Settings made by `set` stay on top." },
	{ "rollback", "EPOCH [--reason TEXT]", serve_rollback,
	    "Puts an earlier policy in force again, with the settings of then.",
	    "Exactly as it was, list files included; it gets a number of its own. A list file that "
	    "changes afterwards is compiled with the configuration of then. `undo` goes back." },
	{ "snapshot save", "FILE [--greylist]", serve_save,
	    "Writes configuration, files, settings, run-time entries into one file.",
	    "Bans are among the entries; --greylist: the greylist, too. The manager writes the "
	    "configured half, so its user needs the right to; posternctl adds the rest. Takes the "
	    "role admin." },
	{ "snapshot restore", "FILE", serve_restore, "Puts a snapshot back in place and in force.",
	    "The configured file and the files it reads are written; what stood there and differs "
	    "is "
	    "kept with .before-restore behind its name. Takes the role admin." },
	{ "set", "KEY VALUE [--for 10m] [--reason TEXT] | --reset [KEY]", serve_set,
	    "Sets one key over the file, for good or for a time.",
	    "`help config` lists the keys; an entry of a list is named by its name: `set "
	    "pools.main.max_waiting 50`, `set 'domains[example.org].pool' spare`. A list of values "
	    "is written `a, b`. Kept over restarts, shown by `status`; --reset takes it away, all "
	    "of "
	    "them without KEY. Keys of host and names of files take the role admin." },
	{ NULL, NULL, NULL, NULL, NULL },
};
