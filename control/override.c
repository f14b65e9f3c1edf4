/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings on top of the configuration file (override.h). */
#include "override.h"
#include "config_walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct position nowhere = { 0, 0 };

static const char *text_of(const json_t *one, const char *member)
{
	const char *text = json_string_value(json_object_get(one, member));
	return text == NULL ? "" : text;
}

static bool read_one(struct config *c, const struct config_place *place, const char *text,
    size_t len, struct config_value *ret_value, struct complaints *complaints)
{
	char allowed[512];
	struct config_value value = { .given = true, .text = "" };
	struct schema_key one = *place->key; /* what one entry allows, not the list around it */
	const char *wrong = schema_value(place->key, text, len, true, &value);
	if (wrong == NULL) {
		const char *copy = arena_text(&c->arena, text, len);
		value.text = copy == NULL ? "" : copy;
		*ret_value = value;
		return true;
	}
	if (one.flags & SCHEMA_MANY) {
		one.flags &= ~(unsigned)SCHEMA_MANY;
		one.min = 1;
		one.max = SCHEMA_ENTRY_MAX;
	}
	schema_allowed(&one, allowed, sizeof(allowed));
	complain(complaints, "set", nowhere, "%s: \"%.*s\" %s; allowed: %s", place->path,
	    len > 48 ? 48 : (int)len, text, wrong, allowed);
	return false;
}

/* "a, b" or "[a, b]"; quotes around an entry are its writer's habit. */
static void apply_list(struct config *c, const struct config_place *place, const char *text,
    struct complaints *complaints)
{
	size_t len = strlen(text), n = 0, most = 1;
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	for (size_t i = 0; i < len; i++)
		most += text[i] == ',';
	struct config_value *values = arena_take(&c->arena, most, sizeof(*values));
	if (values == NULL)
		return;
	for (size_t at = 0; at <= len;) {
		const char *comma = memchr(text + at, ',', len - at);
		size_t end = comma == NULL ? len : (size_t)(comma - text), next = end + 1;
		while (at < end && strchr(" \t\"'", text[at]) != NULL)
			at++;
		while (end > at && strchr(" \t\"'", text[end - 1]) != NULL)
			end--;
		if (end > at && !read_one(c, place, text + at, end - at, &values[n++], complaints))
			return;
		at = next;
	}
	if ((int64_t)n < place->key->min || (int64_t)n > place->key->max) {
		complain(complaints, "set", nowhere, "%s has %zu entries; allowed: %lld to %lld",
		    place->path, n, (long long)place->key->min, (long long)place->key->max);
		return;
	}
	struct config_items *items = place->at;
	*items = (struct config_items){ .n = n, .items = values };
}

static const char *pattern_of(const char *key)
{
	static const char emergency[] = "patterns.emergency.";
	size_t len = sizeof(emergency) - 1;
	return strncmp(key, emergency, len) == 0 ? key + len : NULL;
}

/* `patterns.emergency.NAME`: a line of a pattern file, without its name; one setting each, so that each
 * has its own time. */
bool override_is_pattern(const char *key)
{
	return pattern_of(key) != NULL;
}

static void add_pattern(
    struct config *c, const char *key, const char *text, struct complaints *complaints)
{
	struct config_items *items = &c->patterns.emergency;
	const char *name = pattern_of(key);
	size_t len = name == NULL ? 0 : strlen(text) + strlen(name) + sizeof(" name=");
	if (items->items == NULL)
		items->items =
		    arena_take(&c->arena, PATTERNS_MAX_EMERGENCY, sizeof(struct config_value));
	char *line = arena_take(&c->arena, len, 1);
	if (items->items == NULL || line == NULL || name == NULL)
		return;
	if (items->n == PATTERNS_MAX_EMERGENCY) {
		complain(complaints, "set", nowhere, "%s: more than %d such patterns", key,
		    PATTERNS_MAX_EMERGENCY);
		return;
	}
	if (strpbrk(text, "\r\n") != NULL) {
		complain(complaints, "set", nowhere, "%s: more than one line", key);
		return;
	}
	snprintf(line, len, "%s name=%s", text, name);
	struct config_value *value = (struct config_value *)items->items + items->n++;
	*value = (struct config_value){ .given = true, .text = line };
}

/* `patterns.rule.NAME`: the state of one pattern rule, over what the lists in the file say of it. */
static const char *ruled(const char *key)
{
	static const char prefix[] = "patterns.rule.";
	size_t len = sizeof(prefix) - 1;
	return strncmp(key, prefix, len) == 0 ? key + len : NULL;
}

static void add_state(
    struct config *c, const char *key, const char *text, struct complaints *complaints)
{
	struct config_items *items = &c->patterns.states;
	struct config_place place;
	const char *name = arena_text(&c->arena, ruled(key), strlen(ruled(key)));
	if (items->items == NULL)
		items->items =
		    arena_take(&c->arena, PATTERNS_MAX_STATES, sizeof(struct config_value));
	if (items->items == NULL || name == NULL ||
	    !config_find(c, "patterns.state", &place, complaints))
		return;
	if (items->n == PATTERNS_MAX_STATES) {
		complain(complaints, "set", nowhere, "%s: more than %d such states", key,
		    PATTERNS_MAX_STATES);
		return;
	}
	struct config_value *value = (struct config_value *)items->items + items->n;
	snprintf(place.path, sizeof(place.path), "%s", key);
	if (!read_one(c, &place, text, strlen(text), value, complaints))
		return;
	value->text = name;
	items->n++;
}

void overrides_apply(struct config *c, const json_t *overrides, struct complaints *complaints)
{
	size_t i;
	const json_t *one;
	for (i = 0; i < json_array_size(overrides); i++) {
		struct config_place place;
		one = json_array_get(overrides, i);
		const char *value = text_of(one, "value");
		if (override_is_pattern(text_of(one, "key"))) {
			add_pattern(c, text_of(one, "key"), value, complaints);
			continue;
		}
		if (ruled(text_of(one, "key")) != NULL) {
			add_state(c, text_of(one, "key"), value, complaints);
			continue;
		}
		if (!config_find(c, text_of(one, "key"), &place, complaints))
			continue;
		if (place.flags & SCHEMA_MANY)
			apply_list(c, &place, value, complaints);
		else
			read_one(c, &place, value, strlen(value), place.at, complaints);
	}
}

static json_t *copy_without(const json_t *overrides, const char *key)
{
	json_t *copy = json_array();
	for (size_t i = 0; i < json_array_size(overrides); i++) {
		json_t *one = json_array_get(overrides, i);
		if (key == NULL || strcmp(text_of(one, "key"), key) != 0)
			json_array_append_new(copy, json_deep_copy(one));
	}
	return copy;
}

int overrides_set(const json_t *overrides, const char *key, const char *value, int64_t until,
    int64_t now, const char *user, const char *reason, json_t **ret_overrides)
{
	json_t *copy = copy_without(overrides, key);
	json_t *one = json_pack("{s:s, s:s, s:I, s:I, s:s, s:s?}", "key", key, "value", value,
	    "until", (json_int_t)until, "at", (json_int_t)now, "user", user, "reason", reason);
	int ret = copy == NULL || one == NULL ? -ENOMEM : 0;
	if (ret == 0 && json_array_size(copy) >= OVERRIDES_MAX)
		ret = -ENOSPC;
	if (ret != 0) {
		json_decref(one);
		json_decref(copy);
		return ret;
	}
	json_array_append_new(copy, one);
	*ret_overrides = copy;
	return 0;
}

int overrides_reset(const json_t *overrides, const char *key, json_t **ret_overrides)
{
	if (key != NULL && overrides_find(overrides, key) == NULL)
		return -ENOENT;
	json_t *copy = key == NULL ? json_array() : copy_without(overrides, key);
	if (copy == NULL)
		return -ENOMEM;
	*ret_overrides = copy;
	return 0;
}

const json_t *overrides_find(const json_t *overrides, const char *key)
{
	for (size_t i = 0; i < json_array_size(overrides); i++) {
		const json_t *one = json_array_get(overrides, i);
		if (strcmp(text_of(one, "key"), key) == 0)
			return one;
	}
	return NULL;
}

json_t *overrides_expire(const json_t *overrides, int64_t now, int64_t *ret_next)
{
	json_t *copy = json_array();
	int64_t next = INT64_MAX;
	for (size_t i = 0; i < json_array_size(overrides); i++) {
		json_t *one = json_array_get(overrides, i);
		json_int_t until = json_integer_value(json_object_get(one, "until"));
		if (until != 0 && until <= now)
			continue;
		if (until != 0 && until < next)
			next = until;
		json_array_append_new(copy, json_deep_copy(one));
	}
	*ret_next = next;
	if (json_array_size(copy) != json_array_size(overrides))
		return copy;
	json_decref(copy);
	return NULL;
}
