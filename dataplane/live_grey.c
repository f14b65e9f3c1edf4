/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The greylist in the live shell: its store thread (grey.h), which hears of the workers' notes, and
 * the methods by which operators look at it and change it. They run on the control thread and wait
 * for the store thread, which serves them between two batches.
 */
#include "live.h"

#include "fail.h"
#include "grey.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Fits CONTROL_MAX_PACKET with every byte of every text escaped. */
enum { PAGE = 40, CURSOR_MAX = 2 * STORE_KEY_MAX + 3, KEY_HEX = 16 };

/* ---- its life ---- */

static void on_note(void *arg, const struct note *note)
{
	struct live *l = arg;
	struct grey_note grey;

	grey_note_of(note, &grey);
	(void)grey_put(l->grey, 0, &grey); /* at the bound: lost and counted there */
}

int live_grey_open(struct live *l, const struct policy *policy, char **ret_error)
{
	const struct policy_grey *settings = &policy_settings(policy)->grey;
	const struct notes_subscriber subscriber = {
		.kinds = 1u << NOTE_GREY,
		.note = on_note,
		.arg = l,
	};
	char path[4096];
	struct grey_config config = {
		.path = path, .capacity = settings->capacity, .n_producers = 1, .settings = *settings
	};
	int rc;

	if (settings->rule == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/grey.mdb", l->state_dir);
	rc = grey_new(&config, &l->grey, ret_error);
	if (rc)
		return rc;
	if (*ret_error) {
		events_tell(l->events, hw_now_ns(), "greylist-reset", "%s", *ret_error);
		fprintf(stderr, "postern-dataplane: %s\n", *ret_error);
		free(*ret_error);
		*ret_error = NULL;
	}
	l->shared.greylist = grey_index(l->grey);
	rc = notes_subscribe(l->notes, &subscriber);
	return rc ? fail(ret_error, -rc, "no room for the greylist among the notes") : 0;
}

void live_grey_policy(struct live *l, const struct policy *policy)
{
	const struct policy_grey *settings = &policy_settings(policy)->grey;

	if (l->grey && settings->rule)
		grey_settings(l->grey, settings);
}

/* ---- records as JSON ---- */

static json_t *text_json(const char *text, size_t len, bool *ret_cut)
{
	json_t *json = json_stringn(text, len);
	char buf[GREY_NOTE_TEXT];

	if (json || len > sizeof(buf))
		return json;
	for (size_t i = 0; i < len; i++) /* not UTF-8: for the eye alone */
		buf[i] = (char)(text[i] & 0x80 ? '?' : text[i]);
	*ret_cut = true;
	return json_stringn(buf, len);
}

static json_t *record_json(const struct store_record *r)
{
	const char *part[3] = { r->text, "", "" };
	const char *end = r->text + r->len;
	bool cut = r->cut;
	char key[KEY_HEX + 1];
	json_t *texts[3];

	for (unsigned i = 1; i < 3; i++) {
		const char *next =
		    part[i - 1] + strnlen(part[i - 1], (size_t)(end - part[i - 1])) + 1;

		if (next >= end)
			break;
		part[i] = next;
	}
	for (unsigned i = 0; i < 3; i++)
		texts[i] = text_json(part[i], strlen(part[i]), &cut);
	snprintf(key, sizeof(key), "%016llx", (unsigned long long)r->key);
	return json_pack("{s:s, s:i, s:s, s:i, s:I, s:b, s:b, s:o, s:o, s:o}", "key", key, "tenant",
	    (int)r->tenant, "state", greylist_state_words[r->entry.state], "passes",
	    r->entry.state == GREYLIST_PENDING ? 0 : (int)r->entry.passes, "time",
	    (json_int_t)r->entry.time_s, "is_pool", r->pool, "cut", cut, "pool", texts[0], "sender",
	    texts[1], "rcpt", texts[2]);
}

static struct text text_in(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_string(value) || json_string_length(value) > 1000)
		return (struct text){ NULL, 0 };
	return (struct text){ json_string_value(value), (uint16_t)json_string_length(value) };
}

static bool state_of(const char *word, uint8_t *ret_state)
{
	for (uint8_t i = GREYLIST_PENDING; word && i < GREYLIST_N_STATES; i++) {
		if (strcmp(word, greylist_state_words[i]) == 0) {
			*ret_state = i;
			return true;
		}
	}
	return false;
}

static bool key_in(const json_t *object, uint64_t *ret_key)
{
	struct text t = text_in(object, "key");

	if (t.len != KEY_HEX || strspn(t.p, "0123456789abcdef") != KEY_HEX)
		return false;
	*ret_key = strtoull(t.p, NULL, 16);
	return *ret_key != 0;
}

/* The keys of {"pool", "sender", "rcpt", "tenant"}; sender and rcpt left out: the pool itself. */
static bool keys_in(
    const struct live *l, const json_t *object, struct greylist_keys *ret_keys, bool *ret_is_pool)
{
	struct text pool = text_in(object, "pool"), sender = text_in(object, "sender"),
		    rcpt = text_in(object, "rcpt");
	json_int_t tenant = json_integer_value(json_object_get(object, "tenant"));

	if (pool.len == 0 || pool.len >= GREYLIST_POOL_LEN || tenant < 0 || tenant > UINT16_MAX ||
	    (sender.len && !rcpt.len))
		return false;
	*ret_is_pool = rcpt.len == 0;
	greylist_key_of(grey_secret(l->grey), (uint16_t)tenant, pool, sender, rcpt, ret_keys);
	return true;
}

/* What the texts say, unless they are cut: then the key itself, of the same secret. */
static bool record_in(
    const struct live *l, const json_t *object, bool keys_are_ours, struct store_record *r)
{
	struct text pool = text_in(object, "pool");
	json_int_t passes = json_integer_value(json_object_get(object, "passes"));
	json_int_t when = json_integer_value(json_object_get(object, "time"));
	struct greylist_keys keys;
	struct grey_note note;
	char name[GREYLIST_POOL_LEN];

	memset(r, 0, sizeof(*r));
	if (!keys_in(l, object, &keys, &r->pool) ||
	    !state_of(json_string_value(json_object_get(object, "state")), &r->entry.state) ||
	    passes < 0 || passes > GREYLIST_MAX_PASSES || when < 0 || when > UINT32_MAX)
		return false;
	r->key = r->pool ? keys.pool : keys.triplet;
	r->cut = json_is_true(json_object_get(object, "cut"));
	if (r->cut && (!keys_are_ours || !key_in(object, &r->key)))
		return false;
	r->pool = r->cut ? json_is_true(json_object_get(object, "is_pool")) : r->pool;
	r->tenant = (uint16_t)json_integer_value(json_object_get(object, "tenant"));
	r->entry.passes = (uint16_t)passes;
	r->entry.time_s = when ? (uint32_t)when : (uint32_t)time(NULL);
	for (unsigned i = 0; i < pool.len; i++)
		name[i] = (char)tolower((unsigned char)pool.p[i]);
	name[pool.len] = '\0';
	grey_note_text(&note, name, text_in(object, "sender"), text_in(object, "rcpt"));
	r->cut |= note.cut;
	r->len = note.len;
	memcpy(r->text, note.text, note.len);
	return true;
}

/* ---- methods ---- */

static json_t *store_failed(struct control_error *error, int rc)
{
	return control_fail(error, "store_failed", "The greylist's file: %s.", store_error(rc));
}

static bool is_there(const struct live *l, struct control_error *error)
{
	if (!l->grey)
		control_fail(error, "no_greylist",
		    "There is no greylist: set greylist.state and restart the dataplane.");
	return l->grey != NULL;
}

static bool cursor_in(const json_t *params, struct store_position *ret_at)
{
	const char *text = json_string_value(json_object_get(params, "after"));
	size_t len = text ? strlen(text) : 0;

	memset(ret_at, 0, sizeof(*ret_at));
	if (!json_object_get(params, "after"))
		return true;
	if (len < 1 || len > 1 + 2 * sizeof(ret_at->key) || len % 2 == 0 || text[0] < '0' ||
	    text[0] > '2' || strspn(text, "0123456789abcdef") != len)
		return false;
	ret_at->table = (uint8_t)(text[0] - '0');
	for (size_t i = 1; i < len; i += 2) {
		char pair[3] = { text[i], text[i + 1], '\0' };

		ret_at->key[ret_at->len++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return true;
}

static json_t *cursor_json(const struct store_position *at)
{
	char text[CURSOR_MAX];
	size_t n = (size_t)snprintf(text, sizeof(text), "%u", at->table);

	if (at->table >= 2)
		return json_null();
	for (unsigned i = 0; i < at->len; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%02x", at->key[i]);
	return json_string(text);
}

static json_t *page(struct live *l, const struct grey_query *query, const json_t *params,
    struct control_error *error)
{
	struct store_record *recs;
	struct store_position at;
	json_t *records;
	unsigned n = 0;
	int rc;

	if (!cursor_in(params, &at))
		return control_fail(error, "bad_params", "`after` is what a page before said.");
	recs = calloc(PAGE, sizeof(*recs));
	records = json_array();
	rc = recs && records ? grey_show(l->grey, query, &at, recs, PAGE, &n) : -ENOMEM;
	for (unsigned i = 0; rc == 0 && i < n; i++)
		json_array_append_new(records, record_json(&recs[i]));
	free(recs);
	if (rc) {
		json_decref(records);
		return store_failed(error, rc);
	}
	return json_pack("{s:o, s:o}", "records", records, "after", cursor_json(&at));
}

json_t *live_grey_show(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct text text = text_in(params, "text");
	struct grey_query query = { .pools_only = json_is_true(json_object_get(params, "pools")) };

	(void)fds, (void)n_fds;
	if (!is_there(l, error))
		return NULL;
	if (json_object_get(params, "state") &&
	    !state_of(json_string_value(json_object_get(params, "state")), &query.state))
		return control_fail(
		    error, "bad_params", "`state` is pending, trapped, accepted or white.");
	if (text.len >= sizeof(query.text))
		return control_fail(error, "bad_params", "`text` has at most 127 characters.");
	for (unsigned i = 0; i < text.len; i++)
		query.text[i] = (char)tolower((unsigned char)text.p[i]);
	return page(l, &query, params, error);
}

/* Names the secret without telling it: keys of equal secrets can be taken over. */
static void key_id(const struct live *l, char ret_text[KEY_HEX + 1])
{
	struct greylist_keys keys;
	const struct text none = { NULL, 0 };

	greylist_key_of(grey_secret(l->grey), 0, none, none, none, &keys);
	snprintf(ret_text, KEY_HEX + 1, "%016llx", (unsigned long long)keys.pool);
}

json_t *live_grey_export(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	const struct grey_query all = { 0 };
	struct live *l = arg;
	char id[KEY_HEX + 1];
	json_t *result;

	(void)fds, (void)n_fds;
	if (!is_there(l, error))
		return NULL;
	result = page(l, &all, params, error);
	key_id(l, id);
	if (result)
		json_object_set_new(result, "key_id", json_string(id));
	return result;
}

json_t *live_grey_import(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	const json_t *records = json_object_get(params, "records");
	const char *given = json_string_value(json_object_get(params, "key_id"));
	struct live *l = arg;
	struct store_record *recs;
	unsigned n = 0, added = 0, skipped = 0;
	char id[KEY_HEX + 1];
	int rc;

	(void)fds, (void)n_fds;
	if (!is_there(l, error))
		return NULL;
	if (!json_is_array(records) || json_array_size(records) > GREY_PAGE)
		return control_fail(
		    error, "bad_params", "`records` is a list of at most %d.", GREY_PAGE);
	recs = calloc(GREY_PAGE, sizeof(*recs));
	if (!recs)
		return control_fail(error, "no_memory", "No memory.");
	key_id(l, id);
	for (size_t i = 0; i < json_array_size(records); i++) {
		if (record_in(
			l, json_array_get(records, i), given && strcmp(given, id) == 0, &recs[n]))
			n++;
		else
			skipped++;
	}
	rc = n ? grey_add(l->grey, recs, n, &added) : 0;
	free(recs);
	if (rc)
		return store_failed(error, rc);
	return json_pack("{s:i, s:i}", "added", (int)added, "skipped", (int)(skipped + n - added));
}

json_t *live_grey_add(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct store_record r;
	unsigned added = 0;
	int rc;

	(void)fds, (void)n_fds;
	if (!is_there(l, error))
		return NULL;
	if (json_object_get(params, "cut") || json_object_get(params, "time") ||
	    json_object_get(params, "passes") || !record_in(l, params, false, &r) ||
	    r.entry.state == GREYLIST_PENDING || (r.entry.state == GREYLIST_TRAPPED && !r.pool))
		return control_fail(error, "bad_params",
		    "`pool` is a domain, a /24 or a /64; `sender` needs `rcpt`; `state` is white, "
		    "accepted, or for a pool alone trapped.");
	rc = grey_add(l->grey, &r, 1, &added);
	if (rc)
		return store_failed(error, rc);
	if (added == 0)
		return control_fail(
		    error, "no_room", "Its place is taken by entries that rank as high.");
	return json_pack("{s:o}", "record", record_json(&r));
}

json_t *live_grey_del(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct greylist_keys keys;
	struct store_record r;
	bool is_pool;
	uint64_t key;
	int rc;

	(void)fds, (void)n_fds;
	if (!is_there(l, error))
		return NULL;
	if (!key_in(params, &key)) {
		if (!keys_in(l, params, &keys, &is_pool))
			return control_fail(error, "bad_params",
			    "`key` is 16 hex digits; or `pool`, with `sender` and `rcpt`.");
		key = is_pool ? keys.pool : keys.triplet;
	}
	rc = grey_del(l->grey, key, &r);
	if (rc == -ENOENT)
		return control_fail(error, "not_found", "There is no such entry.");
	if (rc)
		return store_failed(error, rc);
	return json_pack("{s:o}", "record", record_json(&r));
}

json_t *live_grey_stats(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct grey_stats s;
	json_t *entries = json_object(), *displaced = json_object();

	(void)params, (void)fds, (void)n_fds;
	if (!is_there(l, error)) {
		json_decref(entries);
		json_decref(displaced);
		return NULL;
	}
	grey_stats(l->grey, &s);
	for (unsigned i = GREYLIST_PENDING; i < GREYLIST_N_STATES; i++) {
		json_object_set_new(entries, greylist_state_words[i],
		    json_integer((json_int_t)s.counts.entries[i]));
		json_object_set_new(displaced, greylist_state_words[i],
		    json_integer((json_int_t)s.counts.displaced[i]));
	}
	return json_pack(
	    "{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s?}",
	    "entries", entries, "displaced", displaced, "slots", (json_int_t)s.counts.slots,
	    "expired", (json_int_t)s.counts.expired, "not_kept", (json_int_t)s.counts.not_kept,
	    "notes", (json_int_t)s.notes, "notes_lost", (json_int_t)s.ring_full, "commits",
	    (json_int_t)s.commits, "failed_commits", (json_int_t)s.failed_commits, "written",
	    (json_int_t)s.written, "erased", (json_int_t)s.erased, "let_go", (json_int_t)s.let_go,
	    "file_used", (json_int_t)s.usage.used_bytes, "file_size", (json_int_t)s.usage.map_bytes,
	    "error", s.error ? store_error(s.error) : NULL);
}
