/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `list import` and `list export`. Files are read and written here and not by the manager: they are
 * the caller's, with the caller's rights.
 */
#include "config.h"
#include "ctl_lists.h"
#include "inet.h"
#include "listfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 150 /* what the dataplane takes at once */ };

/* False: told. */
static bool form_of(const struct ctl *ctl, const char *word, enum listfile_form *ret_form)
{
	for (int i = 0; listfile_form_words[i] != NULL; i++)
		if (strcmp(listfile_form_words[i], word) == 0) {
			*ret_form = (enum listfile_form)i;
			return true;
		}
	ctl_usage(ctl, "--format: \"%s\" is none; allowed: plain, ipset, rbldnsd", word);
	return false;
}

/* ---- import ---- */

struct import {
	const struct ctl *ctl;
	const char *list;
	uint64_t for_s;
	json_t *entries;
	const struct listfile_item *item;
	long long added, changed;
	const char *to; /* the list's name as answered */
	json_t *last;
	int code;
};

static int flush(struct import *i)
{
	json_t *params = json_pack("{s:o, s:s*}", "entries", i->entries, "list", i->list);
	if (i->for_s != 0)
		json_object_set_new(params, "for_s", json_integer((json_int_t)i->for_s));
	i->entries = json_array();
	json_decref(i->last);
	i->last = NULL;
	i->code = ctl_ask(i->ctl, "list.import", params, &i->last);
	i->added += ctl_number_in(i->last, "added");
	i->changed += ctl_number_in(i->last, "changed");
	return i->code == CTL_OK ? 0 : -ECANCELED;
}

static int add_net(void *arg, const struct inet_net *net)
{
	struct import *i = arg;
	char addr[INET_TEXT_MAX], text[INET_TEXT_MAX + 4], reason[64];
	inet_print(net->addr, addr);
	snprintf(text, sizeof(text), "%s/%u", addr, net->prefix_len);
	snprintf(reason, sizeof(reason), "%s", i->item->comment);
	for (char *c = reason; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	json_t *entry = json_pack("{s:s}", "prefix", text);
	if (*reason != '\0')
		json_object_set_new(entry, "reason", json_string(reason));
	if (i->item->timeout_s != 0)
		json_object_set_new(entry, "for_s", json_integer(i->item->timeout_s));
	json_array_append_new(i->entries, entry);
	return json_array_size(i->entries) == BATCH ? flush(i) : 0;
}

static int add_item(void *arg, const struct listfile_item *item)
{
	struct import *i = arg;
	i->item = item;
	return inet_range_nets(&item->range, add_net, i);
}

static int no_item(void *arg, const struct listfile_item *item)
{
	(void)arg;
	(void)item;
	return 0;
}

int ctl_list_import(const struct ctl *ctl, int argc, char **argv)
{
	struct import i = { .ctl = ctl, .code = CTL_OK };
	const char *format = "auto", *set = NULL;
	struct complaints complaints;
	struct listfile_source source = { .form = LISTFILE_AUTO };
	const struct ctl_option options[] = { { "--list", CTL_TEXT, &i.list },
		{ "--format", CTL_TEXT, &format }, { "--set", CTL_TEXT, &set },
		{ "--for", CTL_DURATION, &i.for_s }, { NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 1, 1) || !form_of(ctl, format, &source.form))
		return CTL_USAGE;
	source.path = argv[0];
	source.set = set;
	complaints_init(&complaints);
	/* all of it is looked at before any of it is sent */
	int ret = listfile_read(&source, no_item, NULL, &complaints);
	if (ret == 0 && complaints.total != 0) {
		char *text = complaints_text(&complaints);
		i.code = ctl_fail(ctl, CTL_REFUSED, "%s", text == NULL ? "the file is wrong" : text);
		free(text);
	} else if (ret == 0) {
		i.entries = json_array();
		ret = listfile_read(&source, add_item, &i, &complaints);
		if (ret == 0 && json_array_size(i.entries) != 0)
			ret = flush(&i);
	}
	complaints_fini(&complaints);
	json_decref(i.entries);
	if (ret != 0 && i.code == CTL_OK)
		i.code = ctl_fail(ctl, CTL_REFUSED, "%s: %s", argv[0],
		    ret == -EINVAL ? "not a plain file" : strerror(-ret));
	if (i.code == CTL_OK && ctl->json) {
		json_t *told = json_pack("{s:s?, s:I, s:I}", "list",
		    json_string_value(json_object_get(i.last, "list")), "added",
		    (json_int_t)i.added, "changed", (json_int_t)i.changed);
		ctl_print_json(told);
		json_decref(told);
	} else if (i.code == CTL_OK) {
		printf("%lld added to %s, %lld changed\n", i.added,
		    i.last == NULL ? "nothing" : ctl_text_in(i.last, "list"), i.changed);
	}
	json_decref(i.last);
	return i.code;
}

/* ---- export ---- */

struct export
{
	const struct ctl *ctl;
	enum listfile_form form;
	const char *list; /* being written; NULL: any */
	bool lifts;
	unsigned long n;
};

static void write_head(struct export *x, const char *list)
{
	if (x->form == LISTFILE_IPSET) /* both families are two sets there; ours are read by name */
		printf("create %s hash:net family inet timeout 0 comment\n", list);
	else if (x->form == LISTFILE_PLAIN)
		printf("# %s\n", list);
	else
		printf("# %s\n:127.0.0.2:%s\n", list, list);
}

static void write_prefix(struct export *x, const char *list, const char *prefix, bool except,
    long long for_s, const char *reason)
{
	x->n++;
	switch (x->form) {
	case LISTFILE_IPSET:
		printf("add %s %s", list, prefix);
		if (for_s > 0)
			printf(" timeout %lld", for_s);
		if (*reason != '\0' && strchr(reason, '"') == NULL)
			printf(" comment \"%s\"", reason);
		printf("%s\n", except ? " nomatch" : "");
		break;
	case LISTFILE_RBLDNSD:
		printf("%s%s%s%s\n", except ? "!" : "", prefix,
		    *reason != '\0' ? " :127.0.0.2:" : "", reason);
		break;
	default:
		printf("%s%s%s%s\n", except ? "# lifted: " : "", prefix,
		    *reason != '\0' ? " # " : "", reason);
		break;
	}
}

static void write_entry(void *arg, json_t *entry)
{
	struct export *x = arg;
	long long end = ctl_number_in(entry, "expires_s");
	bool lifts = json_is_true(json_object_get(entry, "lifts"));
	if (strcmp(ctl_text_in(entry, "list"), x->list) == 0 && (!lifts || x->lifts))
		write_prefix(x, x->list, ctl_text_in(entry, "prefix"), lifts,
		    end == 0 ? 0 : end - (long long)time(NULL), ctl_text_in(entry, "reason"));
}

static int write_net(void *arg, const struct inet_net *net)
{
	struct export *x = arg;
	char addr[INET_TEXT_MAX], text[INET_TEXT_MAX + 4];
	inet_print(net->addr, addr);
	if (net->prefix_len == (inet_is_v4(net->addr) ? 32 : 128))
		snprintf(text, sizeof(text), "%s", addr);
	else
		snprintf(text, sizeof(text), "%s/%u", addr, net->prefix_len);
	write_prefix(x, x->list, text, false, 0, "");
	return 0;
}

static int write_item(void *arg, const struct listfile_item *item)
{
	return inet_range_nets(&item->range, write_net, arg);
}

static int write_compiled(
    struct export *x, const struct config *config, const struct config_list *list)
{
	const struct config_value *entries = list->entries.items;
	struct complaints complaints;
	int ret = 0;
	for (size_t i = 0; i < list->entries.n; i++)
		inet_range_nets(&entries[i].range, write_net, x);
	if (*list->file.text == '\0')
		return CTL_OK;
	char *path = config_beside(config, list->file.text);
	struct listfile_source source = { path, (enum listfile_form)list->format.number,
		list->set.text };
	complaints_init(&complaints);
	ret = path == NULL ? -ENOMEM : listfile_read(&source, write_item, x, &complaints);
	complaints_fini(&complaints);
	if (ret < 0)
		ctl_fail(x->ctl, CTL_REFUSED, "%s: %s", path == NULL ? list->file.text : path,
		    strerror(-ret));
	free(path);
	return ret < 0 ? CTL_REFUSED : CTL_OK;
}

/* The manager's configuration as this user may read it; NULL: told. */
static struct config *read_config(const struct ctl *ctl)
{
	struct complaints complaints;
	json_t *status = NULL;
	if (ctl_ask(ctl, "status", NULL, &status) != CTL_OK)
		return NULL;
	const char *path = ctl_text_in(json_object_get(status, "manager"), "config");
	complaints_init(&complaints);
	struct config *config = config_read(path, &complaints);
	if (config == NULL)
		ctl_fail(ctl, CTL_REFUSED,
		    "%s cannot be read as a configuration by this user; see "
		    "`posternctl check`",
		    path);
	complaints_fini(&complaints);
	json_decref(status);
	return config;
}

static int export_list(struct export *x, const struct config *config, const struct config_list *list)
{
	json_t *params = json_pack("{s:s}", "list", list->name.text);
	int ret = CTL_OK;
	x->list = list->name.text;
	write_head(x, x->list);
	if (x->lifts)
		ret = write_compiled(x, config, list);
	if (ret != CTL_OK) {
		json_decref(params);
		return ret;
	}
	return ctl_each_entry(x->ctl, "list.show", params, write_entry, x);
}

static void keep_name(void *arg, json_t *entry)
{
	json_t *list = json_object_get(entry, "list");
	if (json_is_string(list))
		json_object_set_new(arg, json_string_value(list), json_true());
}

int ctl_list_export(const struct ctl *ctl, int argc, char **argv)
{
	struct export x = { .ctl = ctl, .form = LISTFILE_PLAIN };
	const char *format = "plain", *list = NULL, *name;
	struct config *config = NULL;
	int ret = CTL_OK;
	bool found = false;
	const struct ctl_option options[] = { { "--list", CTL_TEXT, &list },
		{ "--format", CTL_TEXT, &format }, { "--compiled", CTL_FLAG, &x.lifts },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 0, 0) || !form_of(ctl, format, &x.form))
		return CTL_USAGE;
	if (x.form == LISTFILE_AUTO)
		x.form = LISTFILE_PLAIN;
	if (x.lifts) {
		config = read_config(ctl);
		if (config == NULL)
			return CTL_REFUSED;
		const struct config_list *lists = config->lists.items;
		for (size_t i = 0; i < config->lists.n && ret == CTL_OK; i++)
			if (list == NULL || strcmp(lists[i].name.text, list) == 0) {
				found = true;
				ret = export_list(&x, config, &lists[i]);
			}
		config_free(config);
		if (ret == CTL_OK && !found && list != NULL)
			ret = ctl_fail(
			    ctl, CTL_REFUSED, "the configuration has no list \"%s\"", list);
		return ret;
	}
	/* lists that have run-time entries, each on its own */
	json_t *names = json_object(), *one;
	json_t *params = list == NULL ? json_object() : json_pack("{s:s}", "list", list);
	ret = ctl_each_entry(ctl, "list.show", params, keep_name, names);
	json_object_foreach(names, name, one)
	{
		if (ret != CTL_OK)
			break;
		x.list = name;
		write_head(&x, name);
		ret = ctl_each_entry(
		    ctl, "list.show", json_pack("{s:s}", "list", name), write_entry, &x);
	}
	json_decref(names);
	return ret;
}
