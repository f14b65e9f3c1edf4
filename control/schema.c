/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to the schema table: find a row, say what it allows, visit all (schema.h). */
#include "schema.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DOTTED_MAX = 128 };

const struct schema_key *schema_find(const char *dotted, unsigned *ret_flags)
{
	const struct schema_section *section = &config_schema;
	unsigned inherited = 0;
	for (;;) {
		size_t len = strcspn(dotted, ".");
		const struct schema_key *found = NULL;
		for (unsigned i = 0; section != NULL && i < section->n_keys; i++) {
			const char *name = section->keys[i].name;
			if (strlen(name) == len && memcmp(name, dotted, len) == 0)
				found = &section->keys[i];
		}
		if (found == NULL)
			return NULL;
		inherited |= found->flags & SCHEMA_RESTART;
		if (dotted[len] == '\0') {
			if (ret_flags != NULL)
				*ret_flags = found->flags | inherited;
			return found;
		}
		section = found->section;
		dotted += len + 1;
	}
}

static void walk(const struct schema_section *section, const char *above, unsigned inherited,
    schema_visit *visit, void *arg)
{
	for (unsigned i = 0; i < section->n_keys; i++) {
		const struct schema_key *key = &section->keys[i];
		unsigned flags = key->flags | inherited;
		char dotted[DOTTED_MAX];
		snprintf(
		    dotted, sizeof(dotted), "%s%s%s", above, *above == '\0' ? "" : ".", key->name);
		visit(arg, dotted, key, flags);
		if (key->section != NULL)
			walk(key->section, dotted, flags & SCHEMA_RESTART, visit, arg);
	}
}

void schema_walk(schema_visit *visit, void *arg)
{
	walk(&config_schema, "", 0, visit, arg);
}

struct line {
	char *text;
	size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line->text + line->len, line->size - line->len, format, args);
	va_end(args);
	if (n > 0) {
		size_t room = line->size - line->len - 1;
		line->len += (size_t)n < room ? (size_t)n : room;
	}
}

static void add_words(struct line *line, const char *const *words)
{
	for (unsigned i = 0; words[i] != NULL; i++)
		add(line, "%s%s", i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ", words[i]);
}

void schema_allowed(const struct schema_key *key, char *ret_text, size_t size)
{
	struct line line = { ret_text, size, 0 };
	ret_text[0] = '\0';
	if (key->flags & SCHEMA_MANY)
		add(&line, "a list of %" PRId64 " to %" PRId64 " entries, each ", key->min,
		    key->max);
	switch (key->type) {
	case SCHEMA_SECTION:
		add(&line, "a section with ");
		for (unsigned i = 0; i < key->section->n_keys; i++)
			add(&line, "%s%s", i == 0 ? "" : ", ", key->section->keys[i].name);
		break;
	case SCHEMA_NUMBER:
		if (key->min == key->max) {
			add(&line, "%" PRId64, key->min);
			break;
		}
		add(&line, "a %s from %" PRId64 " to %" PRId64,
		    key->flags & SCHEMA_POWER_OF_2 ? "power of two" : "number", key->min, key->max);
		break;
	case SCHEMA_BOOL: add(&line, "true or false"); break;
	case SCHEMA_TEXT:
		if (key->flags & SCHEMA_MANY)
			add(&line, "printable ASCII, 1 to %d characters", SCHEMA_ENTRY_MAX);
		else
			add(&line, "printable ASCII, %" PRId64 " to %" PRId64 " characters",
			    key->min, key->max);
		break;
	case SCHEMA_NAME:
		add(&line, "%" PRId64 " to %" PRId64 " letters, digits, '-', '_' or '.'", key->min,
		    key->max);
		break;
	case SCHEMA_HOSTNAME:
		add(&line, "a domain name: labels of 1 to 63 letters, digits, '-' or '_' with dots "
			   "between, at most 253 characters");
		break;
	case SCHEMA_WORD: add_words(&line, key->words); break;
	case SCHEMA_ADDRESS:
		if (key->words != NULL) {
			add_words(&line, key->words);
			add(&line, ", or ");
		}
		add(&line, "an IPv4 or IPv6 address");
		break;
	case SCHEMA_INTERFACE:
		add(&line, "address/length, as 192.0.2.25/24 or 2001:db8:1::25/64");
		break;
	case SCHEMA_NETWORK:
		if (key->words != NULL) {
			add_words(&line, key->words);
			add(&line, ", or ");
		}
		add(&line, "a prefix without host bits, as 198.51.100.0/24 or 2001:db8::/32");
		break;
	case SCHEMA_STATE: add(&line, "off, shadow, enforce or a share of clients as 25%%"); break;
	case SCHEMA_RANGE:
		add(&line, "an address, a prefix without host bits, or a range first-last");
		break;
	}
}
