/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * list.* and ban.* of the control socket (control/README.md), on the control thread. Each change
 * answers with what takes it back (`restore`, of list.restore), which the manager keeps.
 */
#include "live.h"
#include "live_lists.h"
#include "overlay_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t now_s(void)
{
	return (uint32_t)(hw_now_ns() / 1000000000);
}

/* ---- lists of the running policy ---- */

static const struct policy_list *list_at(const struct policy *p, unsigned i)
{
	return policy_list(p, i);
}

static const char *list_name(const struct policy *p, const struct policy_list *l)
{
	return policy_string(p, l->name);
}

/* By name, or the first that refuses. NULL with the error filled. */
static const char *list_of(const struct live *l, const json_t *params, struct control_error *error)
{
	const struct policy *p = l->running->policy;
	const json_t *given = json_object_get(params, "list");
	const char *name = json_string_value(given);
	char all[300] = "";

	if (given && !json_is_null(given) && !name)
		return control_fail(error, "bad_params", "`list` is a name."), NULL;
	for (unsigned i = 0; i < policy_settings(p)->n_lists; i++) {
		const struct policy_list *list = list_at(p, i);
		size_t at = strlen(all);

		if (name ? strcmp(list_name(p, list), name) == 0 : list->verdict == VERDICT_REFUSE)
			return list_name(p, list);
		snprintf(all + at, sizeof(all) - at, "%s%s", at ? ", " : "", list_name(p, list));
	}
	if (name)
		control_fail(error, "unknown_list",
		    "The running policy has no list \"%.47s\"; %s%s.", name,
		    *all ? "its lists are "
			 : "it has none: name one under `lists` of the configuration",
		    all);
	else
		control_fail(error, "unknown_list",
		    "No list of the running policy refuses: name one by --list (%s), or give one "
		    "the "
		    "action refuse in the configuration.",
		    *all ? all : "there is none");
	return NULL;
}

/* The list that counts for the prefix's first address now; json null: none. */
static json_t *effect(const struct live *l, const struct overlay_entry *e)
{
	const struct policy_list *list = policy_list_of(l->running->policy, e->addr, now_s());

	return list ? json_string(list_name(l->running->policy, list)) : json_null();
}

/* ---- changing ---- */

static json_t *refused(const struct live_lists *lists, int rc, struct control_error *error)
{
	if (rc == -ENOSPC)
		return control_fail(error, "full",
		    "The table of run-time entries is full (%u): remove some, or put long lists "
		    "into a "
		    "file named under `lists`.",
		    overlay_counts(lists->overlay).capacity);
	return control_fail(error, "not_kept",
	    "Nothing was changed, the journal cannot be written: %s.", strerror(-rc));
}

/* Under the lock; unlocks. */
static json_t *change(struct live *l, struct live_change *changes, unsigned n, json_t *result,
    struct control_error *error)
{
	struct live_lists *lists = l->lists;
	int rc = live_lists_change(lists, changes, n, now_s());

	if (rc) {
		refused(lists, rc, error);
		json_decref(result);
		result = NULL;
	} else {
		json_object_set_new(result, "restore", live_undo_json(lists->overlay, changes, n));
	}
	pthread_mutex_unlock(&lists->lock);
	return result;
}

static void tell(struct live *l, const char *what, const struct overlay_entry *e, const char *list)
{
	char prefix[64];

	overlay_prefix_text(e->addr, e->len, prefix, sizeof(prefix));
	events_tell(l->events, hw_now_ns(), what, "%s%s%s%s%s", prefix, *list ? " " : "", list,
	    e->reason[0] ? ": " : "", e->reason);
}

static struct overlay_entry fresh(unsigned origin)
{
	return (struct overlay_entry){
		.origin = (uint8_t)origin, .created_s = now_s(), .kind = VERDICT_REFUSE
	};
}

/* A list's entry has no action of its own. */
static void tidy(struct overlay_entry *e)
{
	if (e->list != OVERLAY_BAN)
		e->kind = VERDICT_NONE;
}

static json_t *list_add(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct live_change c = { .entry = fresh(OVERLAY_OPERATOR) };
	const char *list = list_of(l, params, error);
	json_t *result, *given;

	(void)fds, (void)n_fds;
	if (!list)
		return NULL;
	given = json_copy((json_t *)(uintptr_t)params);
	json_object_set_new(given, "list", json_string(list));
	json_object_del(given, "lifts");
	pthread_mutex_lock(&l->lists->lock);
	if (!live_entry_read(l->lists->overlay, given, now_s(), &c.entry, error)) {
		pthread_mutex_unlock(&l->lists->lock);
		json_decref(given);
		return NULL;
	}
	json_decref(given);
	tidy(&c.entry);
	result = live_entry_json(l->lists->overlay, &c.entry);
	result = change(l, &c, 1, result, error);
	if (!result)
		return NULL;
	json_object_set_new(result, "changed", json_boolean(c.had));
	json_object_set_new(result, "effect", effect(l, &c.entry));
	tell(l, "list-add", &c.entry, list);
	return result;
}

/* Whether the compiled table has this list's entries in the prefix. Of prefixes too long to look at
 * every address, those asked are one in so many; IPv6 is asked at its first address. */
static bool compiled_in(const struct live *l, const struct overlay_entry *e, const char *list)
{
	const struct policy *p = l->running->policy;
	bool v4 = memcmp(e->addr, (const uint8_t[12]){ [10] = 0xff, 0xff }, 12) == 0;
	unsigned free_bits = v4 ? 32u - e->len : 0;
	uint32_t n = free_bits > 16 ? 65536 : 1u << free_bits;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = free_bits > 16 ? i << (free_bits - 16) : i;
		const struct policy_list *found;
		uint8_t addr[16];

		memcpy(addr, e->addr, 16);
		for (unsigned k = 0; k < 4; k++)
			addr[15 - k] |= (uint8_t)(at >> 8 * k);
		found = policy_compiled_list_of(p, addr);
		if (found && strcmp(list_name(p, found), list) == 0)
			return true;
	}
	return false;
}

/* Takes the run-time entry of one list away; where `lift` says so and there is none, lifts what is
 * compiled into it. */
static unsigned del_from(const struct live *l, const struct overlay_entry *prefix, const char *list,
    bool lift, struct live_change *ret_change)
{
	struct live_change c = { .entry = *prefix };
	int number = overlay_list_find(l->lists->overlay, list);

	if (number < 0)
		return 0;
	c.entry.list = (uint8_t)number;
	tidy(&c.entry);
	if (overlay_get(l->lists->overlay, prefix->addr, prefix->len, c.entry.list, &c.before) == 0) {
		if (c.before.lifts)
			return 0; /* it is off already */
		c.remove = true;
	} else if (lift && compiled_in(l, prefix, list)) {
		c.entry.lifts = true;
	} else {
		return 0;
	}
	*ret_change = c;
	return 1;
}

static json_t *list_del(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const struct policy *p = l->running->policy;
	static const char *const keys[] = { "for_s", "expires_s", "lifts", "origin", "created_s" };
	struct live_change changes[POLICY_MAX_LISTS];
	struct overlay_entry prefix = fresh(OVERLAY_OPERATOR);
	const char *name = json_string_value(json_object_get(params, "list"));
	json_t *result, *removed, *lifted, *given;
	unsigned n = 0;
	char text[64];
	bool good;

	(void)fds, (void)n_fds;
	if (name && !list_of(l, params, error))
		return NULL;
	given = json_copy((json_t *)(uintptr_t)params);
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_del(given, keys[i]);
	json_object_del(given, "list");
	pthread_mutex_lock(&l->lists->lock);
	good = live_entry_read(l->lists->overlay, given, now_s(), &prefix, error);
	json_decref(given);
	if (!good)
		goto fail;
	/* without a list: what was added; else what is compiled, exceptions only by name */
	for (unsigned lift = name != NULL; lift < 2 && n == 0; lift++)
		for (unsigned i = 0; i < policy_settings(p)->n_lists; i++) {
			const struct policy_list *one = list_at(p, i);
			const char *list = list_name(p, one);

			if (name ? strcmp(list, name) == 0 : !lift || one->verdict != VERDICT_PASS)
				n += del_from(l, &prefix, list, lift, &changes[n]);
		}
	overlay_prefix_text(prefix.addr, prefix.len, text, sizeof(text));
	if (n == 0) {
		control_fail(error, "not_listed",
		    "%s is not on %s%s; `list show %s` says what holds it.", text,
		    name ? "the list " : "any list", name ? name : "", text);
		goto fail;
	}
	removed = json_array();
	lifted = json_array();
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(changes[i].remove ? removed : lifted,
		    json_string(overlay_list_name(l->lists->overlay, changes[i].entry.list)));
	result = change(l, changes, n,
	    json_pack("{s:s,s:o,s:o}", "prefix", text, "removed", removed, "lifted", lifted), error);
	if (result) {
		json_object_set_new(result, "effect", effect(l, &prefix));
		tell(l, "list-del", &prefix, name ? name : "");
	}
	return result;
fail:
	pthread_mutex_unlock(&l->lists->lock);
	return NULL;
}

/* Reads an array of entries into changes. -1 with the error filled. */
static int read_entries(struct live *l, const json_t *array, const struct overlay_entry *like,
    bool remove, struct live_change *changes, unsigned room, struct control_error *error)
{
	size_t i;
	json_t *one;

	if (array && !json_is_array(array)) {
		control_fail(error, "bad_params", "Entries stand in a list.");
		return -1;
	}
	if (json_array_size(array) > room) {
		control_fail(error, "bad_params", "At most %u entries a request.", LIVE_LISTS_BATCH);
		return -1;
	}
	json_array_foreach(array, i, one)
	{
		struct live_change *c = &changes[i];
		json_t *entry =
		    json_is_string(one) ? json_pack("{s:O}", "prefix", one) : json_incref(one);
		bool good;

		*c = (struct live_change){ .entry = *like, .remove = remove };
		good = live_entry_read(l->lists->overlay, entry, now_s(), &c->entry, error);
		json_decref(entry);
		if (!good)
			return -1;
		tidy(&c->entry);
	}
	return (int)json_array_size(array);
}

static json_t *list_import(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct overlay_entry like = fresh(OVERLAY_IMPORT);
	struct live_change *changes = calloc(LIVE_LISTS_BATCH, sizeof(*changes));
	const char *list = list_of(l, params, error);
	json_t *result = NULL;
	unsigned changed = 0;
	int n = -1;

	(void)fds, (void)n_fds;
	if (!list || !changes)
		goto out;
	pthread_mutex_lock(&l->lists->lock);
	like.list = (uint8_t)overlay_list_find(l->lists->overlay, list);
	if (live_for_read(params, "for_s", now_s(), &like.expires_s, error))
		n = read_entries(l, json_object_get(params, "entries"), &like, false, changes,
		    LIVE_LISTS_BATCH, error);
	if (n < 0) {
		pthread_mutex_unlock(&l->lists->lock);
		goto out;
	}
	result = change(l, changes, (unsigned)n, json_pack("{s:s}", "list", list), error);
	for (int i = 0; i < n; i++)
		changed += changes[i].had;
	if (result) {
		json_object_set_new(result, "added", json_integer(n - (int)changed));
		json_object_set_new(result, "changed", json_integer(changed));
		events_tell(l->events, hw_now_ns(), "list-import", "%d entries %s", n, list);
	}
out:
	free(changes);
	return result;
}

static json_t *list_restore(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct overlay_entry like = fresh(OVERLAY_OPERATOR);
	struct live_change *changes = calloc(LIVE_LISTS_BATCH, sizeof(*changes));
	json_t *result = NULL;
	int n_removed = -1, n_put = -1;

	(void)fds, (void)n_fds;
	if (!changes)
		return NULL;
	pthread_mutex_lock(&l->lists->lock);
	n_removed = read_entries(
	    l, json_object_get(params, "remove"), &like, true, changes, LIVE_LISTS_BATCH, error);
	if (n_removed >= 0)
		n_put = read_entries(l, json_object_get(params, "put"), &like, false,
		    changes + n_removed, LIVE_LISTS_BATCH - (unsigned)n_removed, error);
	if (n_put < 0)
		pthread_mutex_unlock(&l->lists->lock);
	else
		result = change(l, changes, (unsigned)(n_removed + n_put),
		    json_pack("{s:i,s:i}", "put", n_put, "removed", n_removed), error);
	if (result)
		events_tell(l->events, hw_now_ns(), "list-restore",
		    "%d entries put back, %d removed", n_put, n_removed);
	free(changes);
	return result;
}

static json_t *ban_add(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct live_change c = { .entry = fresh(OVERLAY_OPERATOR) };
	json_t *result, *given = params ? json_copy((json_t *)(uintptr_t)params) : json_object();
	bool good;

	(void)fds, (void)n_fds;
	c.entry.expires_s = now_s() + LIVE_LISTS_BAN_S;
	json_object_set_new(given, "list", json_null());
	json_object_del(given, "lifts");
	pthread_mutex_lock(&l->lists->lock);
	good = live_entry_read(l->lists->overlay, given, now_s(), &c.entry, error);
	json_decref(given);
	if (!good) {
		pthread_mutex_unlock(&l->lists->lock);
		return NULL;
	}
	result = change(l, &c, 1, live_entry_json(l->lists->overlay, &c.entry), error);
	if (!result)
		return NULL;
	json_object_set_new(result, "changed", json_boolean(c.had));
	json_object_set_new(result, "effect", effect(l, &c.entry));
	tell(l, "ban-add", &c.entry, "");
	return result;
}

static json_t *ban_del(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct live_change c = { .entry = fresh(OVERLAY_OPERATOR), .remove = true };
	const char *prefix = json_string_value(json_object_get(params, "prefix"));
	json_t *given = json_pack("{s:s?,s:n}", "prefix", prefix, "list"), *result = NULL;

	(void)fds, (void)n_fds;
	pthread_mutex_lock(&l->lists->lock);
	if (!live_entry_read(l->lists->overlay, given, now_s(), &c.entry, error))
		pthread_mutex_unlock(&l->lists->lock);
	else if (overlay_get(
		     l->lists->overlay, c.entry.addr, c.entry.len, OVERLAY_BAN, &c.before) != 0) {
		pthread_mutex_unlock(&l->lists->lock);
		control_fail(error, "not_banned",
		    "There is no ban of %.64s; `ban show %.64s` says what holds it.", prefix,
		    prefix);
	} else
		result = change(l, &c, 1, json_pack("{s:s}", "prefix", prefix), error);
	json_decref(given);
	if (result)
		tell(l, "ban-del", &c.entry, "");
	return result;
}

/* ---- showing ---- */

struct wanted {
	bool bans, prefix;
	int list; /* -1: any */
	int origin;
	struct overlay_entry in;
};

/* The first `bits` of both are the same. */
static bool agree(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

static unsigned bits_of(const struct overlay_entry *e)
{
	bool v4 = memcmp(e->addr, (const uint8_t[12]){ [10] = 0xff, 0xff }, 12) == 0;

	return e->len + (v4 ? 96u : 0u);
}

static bool is_wanted(const struct wanted *w, const struct overlay_entry *e)
{
	unsigned a, b;

	if ((e->list == OVERLAY_BAN) != w->bans || (w->list >= 0 && e->list != w->list) ||
	    (w->origin >= 0 && e->origin != w->origin) || (e->expires_s && e->expires_s <= now_s()))
		return false;
	if (!w->prefix)
		return true;
	a = bits_of(e);
	b = bits_of(&w->in);
	return agree(e->addr, w->in.addr, a < b ? a : b); /* one holds the other */
}

static bool read_wanted(
    const struct live *l, const json_t *params, struct wanted *w, struct control_error *error)
{
	const char *prefix = json_string_value(json_object_get(params, "prefix"));
	const char *origin = json_string_value(json_object_get(params, "origin"));
	const char *list = json_string_value(json_object_get(params, "list"));

	w->list = w->origin = -1;
	for (int i = 0; origin && i < OVERLAY_N_ORIGINS; i++)
		if (strcmp(overlay_origin_words[i], origin) == 0)
			w->origin = i;
	if (origin && w->origin < 0)
		return control_fail(error, "bad_params",
			   "`origin` is operator, import or automatic, not \"%.32s\".", origin),
		       false;
	if (list && !w->bans) {
		w->list = overlay_list_find(l->lists->overlay, list);
		if (w->list < 0)
			return list_of(l, params, error) != NULL;
	}
	if (prefix) {
		json_t *given = json_pack("{s:s}", "prefix", prefix);

		w->prefix = live_entry_read(l->lists->overlay, given, 0, &w->in, error);
		json_decref(given);
		return w->prefix;
	}
	return true;
}

static json_t *show(struct live *l, const json_t *params, bool bans, struct control_error *error)
{
	struct wanted w = { .bans = bans };
	json_int_t limit = LIVE_LISTS_PAGE;
	const json_t *after = json_object_get(params, "after"),
		     *most = json_object_get(params, "limit");
	struct overlay_counts counts = overlay_counts(l->lists->overlay);
	json_t *entries, *result = NULL;
	uint32_t cursor = (uint32_t)json_integer_value(after);
	struct overlay_entry e;
	bool more = false;

	if (json_is_integer(most) && json_integer_value(most) > 0 && json_integer_value(most) < limit)
		limit = json_integer_value(most);
	pthread_mutex_lock(&l->lists->lock);
	if (!read_wanted(l, params, &w, error))
		goto out;
	entries = json_array();
	for (uint32_t at = cursor; overlay_next(l->lists->overlay, &at, &e); cursor = at) {
		if (!is_wanted(&w, &e))
			continue;
		more = (json_int_t)json_array_size(entries) == limit;
		if (more)
			break;
		json_array_append_new(entries, live_entry_json(l->lists->overlay, &e));
	}
	result = json_pack("{s:o,s:o,s:I,s:I}", "entries", entries, "next",
	    more ? json_integer(cursor) : json_null(), "total", (json_int_t)counts.entries,
	    "capacity", (json_int_t)counts.capacity);
	if (w.prefix && !bans) {
		const struct policy_list *list =
		    policy_compiled_list_of(l->running->policy, w.in.addr);

		json_object_set_new(result, "compiled",
		    list ? json_string(list_name(l->running->policy, list)) : json_null());
		json_object_set_new(result, "effect", effect(l, &w.in));
	}
out:
	pthread_mutex_unlock(&l->lists->lock);
	return result;
}

static json_t *list_show(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	(void)fds, (void)n_fds;
	return show(arg, params, false, error);
}

static json_t *ban_show(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	(void)fds, (void)n_fds;
	return show(arg, params, true, error);
}

const struct control_method live_list_methods[] = {
	{ "list.add", list_add },
	{ "list.del", list_del },
	{ "list.show", list_show },
	{ "list.import", list_import },
	{ "list.restore", list_restore },
	{ "ban.add", ban_add },
	{ "ban.del", ban_del },
	{ "ban.show", ban_show },
	{ NULL, NULL },
};
