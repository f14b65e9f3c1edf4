/* SPDX-License-Identifier: BSD-3-Clause */
/* Run-time entries as the control socket has them (live_lists.h, control/README.md). */
#include "live_lists.h"

#include "overlay_line.h"

#include <stdio.h>
#include <string.h>

json_t *live_entry_json(const struct overlay *o, const struct overlay_entry *e)
{
	bool ban = e->list == OVERLAY_BAN;
	char prefix[64];

	overlay_prefix_text(e->addr, e->len, prefix, sizeof(prefix));
	return json_pack("{s:s,s:s?,s:s?,s:b,s:s,s:I,s:I,s:s}", "prefix", prefix, "list",
	    ban ? NULL : overlay_list_name(o, e->list), "action",
	    ban ? verdict_words[e->kind] : NULL, "lifts", e->lifts, "origin",
	    overlay_origin_words[e->origin], "created_s", (json_int_t)e->created_s, "expires_s",
	    (json_int_t)e->expires_s, "reason", e->reason);
}

static bool number(const json_t *json, const char *name, json_int_t max, uint32_t *ret,
    struct control_error *error)
{
	const json_t *value = json_object_get(json, name);

	if (!value || json_is_null(value))
		return true;
	if (json_is_integer(value) && json_integer_value(value) >= 0 &&
	    json_integer_value(value) <= max) {
		*ret = (uint32_t)json_integer_value(value);
		return true;
	}
	control_fail(error, "bad_params", "`%s` is a number from 0 to %lld.", name, (long long)max);
	return false;
}

bool live_for_read(const json_t *json, const char *name, uint32_t now_s, uint32_t *ret_expires_s,
    struct control_error *error)
{
	uint32_t for_s = 0;

	if (!number(json, name, LIVE_LISTS_MAX_S, &for_s, error))
		return false;
	if (for_s)
		*ret_expires_s = now_s + for_s;
	return true;
}

static bool read_word(const json_t *json, const char *name, const char *const *words,
    unsigned first, unsigned n, uint8_t *ret, struct control_error *error)
{
	const char *text = json_string_value(json_object_get(json, name));
	char allowed[160] = "";

	if (!text)
		return true;
	for (unsigned i = first; i < n; i++) {
		size_t at = strlen(allowed);

		if (strcmp(words[i], text) == 0) {
			*ret = (uint8_t)i;
			return true;
		}
		snprintf(allowed + at, sizeof(allowed) - at, "%s%s", at ? ", " : "", words[i]);
	}
	control_fail(error, "bad_params", "`%s` is one of %s, not \"%.32s\".", name, allowed, text);
	return false;
}

static bool read_reason(const json_t *json, char *ret, struct control_error *error)
{
	const char *text = json_string_value(json_object_get(json, "reason"));

	if (!text)
		return true;
	if (strlen(text) > OVERLAY_REASON_MAX) {
		control_fail(
		    error, "bad_params", "A reason has at most %u characters.", OVERLAY_REASON_MAX);
		return false;
	}
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			control_fail(error, "bad_params", "A reason is one line of text.");
			return false;
		}
	memcpy(ret, text, strlen(text) + 1);
	return true;
}

bool live_entry_read(const struct overlay *o, const json_t *json, uint32_t now_s,
    struct overlay_entry *e, struct control_error *error)
{
	const json_t *list = json_object_get(json, "list"), *lifts = json_object_get(json, "lifts");
	const char *prefix = json_string_value(json_object_get(json, "prefix"));
	const char *name = json_string_value(list);

	if (!prefix || !overlay_prefix_read(prefix, e->addr, &e->len)) {
		control_fail(error, "bad_params",
		    "\"%.64s\" is no address or prefix without host bits, as 192.0.2.7, "
		    "192.0.2.0/24 "
		    "or 2001:db8::/48.",
		    prefix ? prefix : "");
		return false;
	}
	if (name) {
		int number_of = overlay_list_find(o, name);

		if (number_of < 0) {
			control_fail(error, "unknown_list", "There is no list \"%.47s\".", name);
			return false;
		}
		e->list = (uint8_t)number_of;
	} else if (list) {
		e->list = OVERLAY_BAN;
	}
	if (lifts)
		e->lifts = json_is_true(lifts);
	return live_for_read(json, "for_s", now_s, &e->expires_s, error) &&
	       number(json, "expires_s", UINT32_MAX, &e->expires_s, error) &&
	       number(json, "created_s", UINT32_MAX, &e->created_s, error) &&
	       read_word(
		   json, "origin", overlay_origin_words, 0, OVERLAY_N_ORIGINS, &e->origin, error) &&
	       read_word(json, "action", verdict_words, VERDICT_REFUSE, VERDICT_N_KINDS, &e->kind,
		   error) &&
	       read_reason(json, e->reason, error);
}

json_t *live_undo_json(const struct overlay *o, const struct live_change *changes, unsigned n)
{
	json_t *put = json_array(), *remove = json_array();

	for (unsigned i = n; i-- > 0;) {
		const struct live_change *c = &changes[i];
		char prefix[64];

		if (c->had) {
			json_array_append_new(put, live_entry_json(o, &c->before));
		} else if (!c->remove) {
			overlay_prefix_text(c->entry.addr, c->entry.len, prefix, sizeof(prefix));
			json_array_append_new(remove,
			    json_pack("{s:s,s:s?}", "prefix", prefix, "list",
				c->entry.list ? overlay_list_name(o, c->entry.list) : NULL));
		}
	}
	return json_pack("{s:o,s:o}", "put", put, "remove", remove);
}
