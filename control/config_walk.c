/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration as paths and values (config_walk.h). */
#include "config_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	config_visit *visit;
	void *arg;
};

static const struct schema_key *name_key(const struct schema_section *section)
{
	static const char *const names[] = { "name", "domain" };
	for (unsigned n = 0; n < 2; n++)
		for (unsigned i = 0; i < section->n_keys; i++)
			if (strcmp(section->keys[i].name, names[n]) == 0 &&
			    !(section->keys[i].flags & SCHEMA_MANY))
				return &section->keys[i];
	return NULL;
}

/* NULL: it has no name. */
static const char *name_of(const struct schema_section *section, const unsigned char *base)
{
	const struct schema_key *key = name_key(section);
	if (key == NULL)
		return NULL;
	const struct config_value *value = (const void *)(base + key->offset);
	return *value->text == '\0' ? NULL : value->text;
}

static void add_entry(char path[CONFIG_PATH_MAX], const char *above, const char *name, size_t index)
{
	if (name == NULL)
		snprintf(path, CONFIG_PATH_MAX, "%s.%zu", above, index + 1);
	else if (strchr(name, '.') != NULL || name[strspn(name, "0123456789")] == '\0')
		snprintf(path, CONFIG_PATH_MAX, "%s[%s]", above, name);
	else
		snprintf(path, CONFIG_PATH_MAX, "%s.%s", above, name);
}

static void walk_section(const struct walk *w, const char *above, unsigned inherited,
    const struct schema_section *section, const unsigned char *base)
{
	char path[CONFIG_PATH_MAX], entry[CONFIG_PATH_MAX];
	for (unsigned i = 0; i < section->n_keys; i++) {
		const struct schema_key *key = &section->keys[i];
		unsigned flags = key->flags | inherited, below = flags & SCHEMA_RESTART;
		const void *at = base + key->offset;
		const struct config_items *items = at;
		snprintf(path, sizeof(path), "%s%s%s", above, *above == '\0' ? "" : ".", key->name);
		if (key->type == SCHEMA_SECTION && !(flags & SCHEMA_MANY)) {
			walk_section(w, path, below, key->section, at);
		} else if (!(flags & SCHEMA_MANY)) {
			w->visit(w->arg, path, key, flags, at);
		} else if (key->type == SCHEMA_SECTION) {
			const unsigned char *one = items->items;
			for (size_t n = 0; n < items->n; n++, one += key->section->size) {
				add_entry(entry, path, name_of(key->section, one), n);
				walk_section(w, entry, below, key->section, one);
			}
		} else {
			const struct config_value *values = items->items;
			for (size_t n = 0; n < items->n; n++)
				w->visit(w->arg, path, key, flags, &values[n]);
		}
	}
}

void config_walk(const struct config *c, config_visit *visit, void *arg)
{
	const struct walk w = { visit, arg };
	walk_section(&w, "", 0, &config_schema, (const unsigned char *)c);
}

/* ---- finding ---- */

static const struct schema_key *key_in(
    const struct schema_section *section, const char *name, size_t len)
{
	for (unsigned i = 0; i < section->n_keys; i++)
		if (strlen(section->keys[i].name) == len &&
		    memcmp(section->keys[i].name, name, len) == 0)
			return &section->keys[i];
	return NULL;
}

static bool not_there(struct complaints *complaints, const char *path, const char *what, size_t len,
    const char *allowed)
{
	complain(complaints, "set", (struct position){ 0, 0 },
	    "%s: there is no \"%.*s\"; allowed: %s", path, len > 64 ? 64 : (int)len, what, allowed);
	return false;
}

static bool no_key(struct complaints *complaints, const char *path, const char *what, size_t len,
    const struct schema_section *section)
{
	char allowed[512];
	struct schema_key all = { .type = SCHEMA_SECTION, .section = section };
	schema_allowed(&all, allowed, sizeof(allowed));
	const char *keys = strstr(allowed, "with ");
	return not_there(complaints, path, what, len, keys == NULL ? allowed : keys + 5);
}

/* The entry that *name begins with; NULL: told. Moves *name behind it. */
static unsigned char *find_entry(const struct schema_key *key, const struct config_items *items,
    const char *whole, const char **name, char path[CONFIG_PATH_MAX], struct complaints *complaints)
{
	const char *word = *name + (**name != '\0'), *end;
	char known[256] = "";
	end = **name == '[' ? strchr(word, ']') : word + strcspn(word, ".[");
	if (**name == '\0' || end == NULL) {
		not_there(complaints, whole, "", 0,
		    "the name of one entry behind it, as pools.NAME.KEY or domains[NAME].KEY");
		return NULL;
	}
	size_t len = (size_t)(end - word);
	unsigned char *one = items->items;
	for (size_t n = 0; n < items->n; n++, one += key->section->size) {
		const char *text = name_of(key->section, one);
		char number[24];
		snprintf(number, sizeof(number), "%zu", n + 1);
		const char *is = text == NULL ? number : text;
		size_t have = strlen(known);
		snprintf(known + have, sizeof(known) - have, "%s%s", n == 0 ? "" : ", ", is);
		if (strlen(is) != len || memcmp(is, word, len) != 0)
			continue;
		char above[CONFIG_PATH_MAX];
		snprintf(above, sizeof(above), "%s", path);
		add_entry(path, above, text, n);
		*name = end + (*end == ']');
		return one;
	}
	not_there(complaints, whole, word, len, *known == '\0' ? "none is configured" : known);
	return NULL;
}

bool config_find(struct config *c, const char *path, struct config_place *ret_place,
    struct complaints *complaints)
{
	const struct schema_section *section = &config_schema;
	unsigned char *base = (unsigned char *)c;
	struct config_place place = { .path = "" };
	const char *word = path;
	unsigned inherited = 0;
	for (;;) {
		size_t len = strcspn(word, ".[");
		const struct schema_key *key = key_in(section, word, len);
		if (key == NULL)
			return no_key(complaints, path, word, len, section);
		size_t have = strlen(place.path);
		snprintf(place.path + have, sizeof(place.path) - have, "%s%s", have == 0 ? "" : ".",
		    key->name);
		inherited |= key->flags & SCHEMA_RESTART;
		word += len;
		place.key = key;
		place.flags = key->flags | inherited;
		place.at = base + key->offset;
		if (key->type != SCHEMA_SECTION) {
			if (*word != '\0')
				return not_there(complaints, path, word, strlen(word),
				    "nothing behind a single value");
			*ret_place = place;
			return true;
		}
		base = place.at;
		if (key->flags & SCHEMA_MANY)
			base = find_entry(key, place.at, path, &word, place.path, complaints);
		if (base == NULL)
			return false;
		section = key->section;
		if (*word != '.')
			return no_key(complaints, path, word, strlen(word), section);
		word++;
	}
}

bool config_is_file(const struct schema_key *key)
{
	size_t len = strlen(key->name);
	return key->type == SCHEMA_TEXT &&
	       (strcmp(key->name, "file") == 0 || strcmp(key->name, "files") == 0 ||
		   (len > 5 && strcmp(key->name + len - 5, "_file") == 0));
}
