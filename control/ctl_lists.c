/* SPDX-License-Identifier: BSD-3-Clause */
/* Run-time lists and bans (ctl.h). Export and import are ctl_lists_bulk.c's. */
#include "ctl_lists.h"
#include "duration.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static json_t *change_params(
    const char *prefix, const char *list, uint64_t for_s, const char *reason)
{
	json_t *params = json_pack("{s:s}", "prefix", prefix);
	if (list != NULL)
		json_object_set_new(params, "list", json_string(list));
	if (for_s != 0)
		json_object_set_new(params, "for_s", json_integer((json_int_t)for_s));
	if (reason != NULL)
		json_object_set_new(params, "reason", json_string(reason));
	return params;
}

static void until_text(const json_t *entry, char *ret, size_t size)
{
	char left[DURATION_TEXT_MAX];
	long long at = ctl_number_in(entry, "expires_s"), now = (long long)time(NULL);
	if (at == 0) {
		snprintf(ret, size, "for good");
		return;
	}
	duration_text(at > now ? (uint64_t)(at - now) : 0, left);
	snprintf(ret, size, "for %s", left);
}

static void show_effect(const struct ctl *ctl, const json_t *result, const char *list)
{
	const json_t *effect = json_object_get(result, "effect");
	const char *name = json_string_value(effect);
	if (name != NULL && (list == NULL || strcmp(name, list) != 0))
		printf("%snote:%s the list %s decides about it\n", ctl_ink_on(ctl, CTL_YELLOW),
		    ctl_ink_off(ctl), name);
}

static void show_added(const struct ctl *ctl, const json_t *result)
{
	const char *list = json_string_value(json_object_get(result, "list"));
	char until[64];
	until_text(result, until, sizeof(until));
	if (list != NULL)
		printf("%s is on %s %s%s\n", ctl_text_in(result, "prefix"), list, until,
		    json_is_true(json_object_get(result, "changed")) ? ", changed" : "");
	else
		printf("%s is banned (%s) %s%s\n", ctl_text_in(result, "prefix"),
		    ctl_text_in(result, "action"), until,
		    json_is_true(json_object_get(result, "changed")) ? ", changed" : "");
	show_effect(ctl, result, list);
}

static int serve_list_add(const struct ctl *ctl, int argc, char **argv)
{
	const char *list = NULL, *reason = NULL;
	uint64_t for_s = 0;
	const struct ctl_option options[] = { { "--list", CTL_TEXT, &list },
		{ "--for", CTL_DURATION, &for_s }, { "--reason", CTL_TEXT, &reason },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 1, 1))
		return CTL_USAGE;
	return ctl_ask_show(
	    ctl, "list.add", change_params(argv[0], list, for_s, reason), show_added, NULL);
}

static void show_deleted(const struct ctl *ctl, const json_t *result)
{
	static const struct {
		const char *key, *words;
	} what[] = { { "removed", "is off" }, { "lifted", "is lifted from" } };
	for (unsigned k = 0; k < 2; k++) {
		const json_t *lists = json_object_get(result, what[k].key);
		for (size_t i = 0; i < json_array_size(lists); i++)
			printf("%s %s %s\n", ctl_text_in(result, "prefix"), what[k].words,
			    json_string_value(json_array_get(lists, i)));
	}
	show_effect(ctl, result, NULL);
}

static int serve_list_del(const struct ctl *ctl, int argc, char **argv)
{
	const char *list = NULL;
	const struct ctl_option options[] = { { "--list", CTL_TEXT, &list },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 1, 1))
		return CTL_USAGE;
	return ctl_ask_show(
	    ctl, "list.del", change_params(argv[0], list, 0, NULL), show_deleted, NULL);
}

static int serve_ban_add(const struct ctl *ctl, int argc, char **argv)
{
	const char *reason = NULL, *action = NULL;
	uint64_t for_s = 0;
	const struct ctl_option options[] = { { "--for", CTL_DURATION, &for_s },
		{ "--action", CTL_TEXT, &action }, { "--reason", CTL_TEXT, &reason },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 1, 1))
		return CTL_USAGE;
	json_t *params = change_params(argv[0], NULL, for_s, reason);
	if (action != NULL)
		json_object_set_new(params, "action", json_string(action));
	return ctl_ask_show(ctl, "ban.add", params, show_added, NULL);
}

static int serve_ban_del(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	return ctl_ask_show(
	    ctl, "ban.del", change_params(argv[0], NULL, 0, NULL), NULL, "no longer banned");
}

/* ---- show ---- */

int ctl_each_entry(
    const struct ctl *ctl, const char *method, json_t *params, ctl_entry *each, void *arg)
{
	json_t *result = NULL;
	int ret;
	do {
		json_t *next = json_incref(json_object_get(result, "next"));
		json_decref(result);
		result = NULL;
		if (next != NULL)
			json_object_set(params, "after", next);
		json_decref(next);
		ret = ctl_ask(ctl, method, json_incref(params), &result);
		const json_t *entries = json_object_get(result, "entries");
		for (size_t i = 0; ret == CTL_OK && i < json_array_size(entries); i++)
			each(arg, json_array_get(entries, i));
	} while (ret == CTL_OK && json_is_integer(json_object_get(result, "next")));
	json_decref(result);
	json_decref(params);
	return ret;
}

static void keep(void *arg, json_t *entry)
{
	json_array_append(arg, entry);
}

static void print_entry(const json_t *entry)
{
	const char *list = json_string_value(json_object_get(entry, "list"));
	char until[64];
	until_text(entry, until, sizeof(until));
	printf("%-43s %-16s %-16s %-10s %s\n", ctl_text_in(entry, "prefix"),
	    list != NULL ? list : ctl_text_in(entry, "action"),
	    json_is_true(json_object_get(entry, "lifts")) ? "lifted" : until,
	    ctl_text_in(entry, "origin"), ctl_text_in(entry, "reason"));
}

static int show(const struct ctl *ctl, const char *method, json_t *params)
{
	const char *prefix = json_string_value(json_object_get(params, "prefix"));
	json_t *all = json_array(), *look = NULL;
	int ret = prefix == NULL ? CTL_OK : ctl_ask(ctl, method, json_deep_copy(params), &look);
	if (ret == CTL_OK)
		ret = ctl_each_entry(ctl, method, json_incref(params), keep, all);
	if (ret == CTL_OK && ctl->json) {
		json_t *told = json_pack("{s:O}", "entries", all);
		if (json_object_get(look, "effect") != NULL) {
			json_object_set(told, "compiled", json_object_get(look, "compiled"));
			json_object_set(told, "effect", json_object_get(look, "effect"));
		}
		ctl_print_json(told);
		json_decref(told);
	} else if (ret == CTL_OK) {
		for (size_t i = 0; i < json_array_size(all); i++)
			print_entry(json_array_get(all, i));
		const char *compiled = json_string_value(json_object_get(look, "compiled"));
		if (compiled != NULL)
			printf("%-43s %-16s in the configuration\n", prefix, compiled);
		if (json_object_get(look, "effect") != NULL) {
			const char *effect = json_string_value(json_object_get(look, "effect"));
			printf("%s %s%s\n", prefix,
			    effect == NULL ? "meets no list" : "meets the list ",
			    effect == NULL ? "" : effect);
		} else if (json_array_size(all) == 0) {
			printf("none\n");
		}
	}
	json_decref(look);
	json_decref(all);
	json_decref(params);
	return ret;
}

static int serve_show(const struct ctl *ctl, int argc, char **argv)
{
	bool bans = strcmp(ctl->command->name, "ban show") == 0;
	const char *list = NULL, *origin = NULL;
	const struct ctl_option options[] = { { "--origin", CTL_TEXT, &origin },
		{ bans ? NULL : "--list", CTL_TEXT, &list }, { NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 0, 1))
		return CTL_USAGE;
	json_t *params = json_object();
	if (argc == 1)
		json_object_set_new(params, "prefix", json_string(argv[0]));
	if (list != NULL)
		json_object_set_new(params, "list", json_string(list));
	if (origin != NULL)
		json_object_set_new(params, "origin", json_string(origin));
	return show(ctl, bans ? "ban.show" : "list.show", params);
}

const struct ctl_command ctl_lists_commands[] = {
	{ "list add", "PREFIX [--list NAME] [--for 10m] [--reason TEXT]", serve_list_add,
	    "Puts an address or prefix on a list, at once.",
	    "Without --list: the first list of the configuration that refuses. Without --for it "
	    "stays "
	    "until `list del`. Kept over restarts of either process. An allow list beats every "
	    "other: "
	    "if another list decides about the address, the answer says so. `undo` takes it "
	    "back." },
	{ "list del", "PREFIX [--list NAME]", serve_list_del,
	    "Takes an address or prefix off a list, or off all.",
	    "What was added goes; without such an entry, what the configuration or a list's file "
	    "names there is lifted until somebody adds it again. `undo` takes it back." },
	{ "list show", "[PREFIX] [--list NAME] [--origin operator|import]", serve_show,
	    "Addresses listed at run time; of one address, also what decides about it.", NULL },
	{ "list import", "FILE [--list NAME] [--format plain|ipset|rbldnsd] [--set NAME] [--for 10m]",
	    ctl_list_import, "Puts all addresses of a file on a list, at once.",
	    "Forms and exceptions as with lists.file; an entry's own timeout goes before --for. "
	    "Long lists "
	    "that stay belong into a file of the configuration: a million run-time entries are all "
	    "there is room for." },
	{ "list export", "[--list NAME] [--format plain|ipset|rbldnsd] [--compiled]", ctl_list_export,
	    "Prints run-time entries, of one list or all, in a form that others read.",
	    "--compiled: those of the configuration and its list files as well, as far as this "
	    "user may "
	    "read them." },
	{ "ban add", "PREFIX [--for 1h] [--action refuse|tarpit|trap|reset|drop] [--reason TEXT]",
	    serve_ban_add, "Bans an address or prefix for a time.",
	    "Without --for a day; without --action it is refused at the SYN, without a "
	    "connection." },
	{ "ban del", "PREFIX", serve_ban_del, "Ends a ban.", NULL },
	{ "ban show", "[PREFIX] [--origin operator|automatic]", serve_show,
	    "The bans, by hand and automatic; of one address, those that hold it.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
