/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * YAML into the structs of config.h, by the table (schema.h). The whole file becomes a libyaml
 * document first, whose nodes know their place; then table and document are walked together.
 * Bounded: the walk's depth is the table's, and VALUES_MAX ends what aliases could multiply.
 * A preset (presets.h) is a second document walked beside the first: what the file does not say is
 * taken from it before the default. Rejected: merging texts, since no complaint would know its line.
 */
#include "presets.h"
#include "schema.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { VALUES_MAX = 4000000, DOTTED_MAX = 128, QUOTED_MAX = 48, ALLOWED_MAX = 512, KEYS_MAX = 96 };

struct reader {
	yaml_document_t *doc;
	const char *file;
	struct arena *arena;
	struct complaints *complaints;
	unsigned long values;
	bool quiet; /* defaults are being filled in where a complaint has been made already */
	struct reader *preset; /* reads what the file leaves out; NULL: none */
	struct position asked; /* of a preset: the line of the file that wants it; its values stand there */
};

static struct position at(yaml_mark_t mark)
{
	return (struct position){ (unsigned)mark.line + 1, (unsigned)mark.column + 1 };
}

static struct position node_at(const yaml_node_t *node)
{
	return at(node->start_mark);
}

/* Where a value is looked for by who reads a complaint about it. */
static struct position value_at(const struct reader *r, const yaml_node_t *node)
{
	return r->asked.line ? r->asked : node_at(node);
}

/* Cut and cleaned, so that a file of anything cannot play with the terminal. */
static const char *quoted(const yaml_node_t *node, char buf[QUOTED_MAX])
{
	size_t len = node->data.scalar.length, n = len < QUOTED_MAX - 8 ? len : QUOTED_MAX - 8,
	       out = 0;
	buf[out++] = '"';
	for (size_t i = 0; i < n; i++) {
		unsigned char c = node->data.scalar.value[i];
		buf[out++] = c >= 0x20 && c <= 0x7e && c != '"' ? (char)c : '?';
	}
	snprintf(buf + out, QUOTED_MAX - out, "%s\"", n < len ? "..." : "");
	return buf;
}

static bool is_null(const yaml_node_t *node)
{
	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	const char *text = (const char *)node->data.scalar.value;
	return *text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

static const char *kind_of(const yaml_node_t *node)
{
	switch (node->type) {
	case YAML_SEQUENCE_NODE: return "a list";
	case YAML_MAPPING_NODE: return "a section";
	default: return "a single value";
	}
}

static void wrong_kind(
    struct reader *r, const yaml_node_t *node, const char *dotted, const struct schema_key *key)
{
	char allowed[ALLOWED_MAX];
	schema_allowed(key, allowed, sizeof(allowed));
	complain(r->complaints, r->file, node_at(node), "%s is %s; allowed: %s", dotted,
	    kind_of(node), allowed);
}

static bool too_many(struct reader *r, const yaml_node_t *node)
{
	if (++r->values != VALUES_MAX + 1)
		return r->values > VALUES_MAX;
	complain(r->complaints, r->file, node_at(node),
	    "too many values; allowed: %d in a file, aliases counted each time", VALUES_MAX);
	return true;
}

static void read_default(
    const struct schema_key *key, struct position pos, struct config_value *ret_value)
{
	struct config_value value = { .pos = pos, .text = key->def == NULL ? "" : key->def };
	if (key->def != NULL)
		schema_value(key, key->def, strlen(key->def), true, &value);
	*ret_value = value;
}

static void read_scalar(struct reader *r, const yaml_node_t *node, const char *dotted,
    const struct schema_key *key, struct config_value *ret_value)
{
	char allowed[ALLOWED_MAX], buf[QUOTED_MAX];
	read_default(key, value_at(r, node), ret_value);
	if (too_many(r, node))
		return;
	if (node->type != YAML_SCALAR_NODE) {
		wrong_kind(r, node, dotted, key);
		return;
	}
	struct config_value value = { .pos = value_at(r, node), .given = true };
	const char *text = (const char *)node->data.scalar.value, *wrong;
	size_t len = node->data.scalar.length;
	bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (is_null(node))
		wrong = "has no value";
	else
		wrong = schema_value(key, text, len, plain, &value);
	if (wrong == NULL) {
		const char *copy = arena_text(r->arena, text, len);
		value.text = copy == NULL ? "" : copy;
		*ret_value = value;
		return;
	}
	struct schema_key one = *key; /* what one entry allows, not the list around it */
	if (key->flags & SCHEMA_MANY) {
		one.flags &= ~(unsigned)SCHEMA_MANY;
		one.min = 1;
		one.max = SCHEMA_ENTRY_MAX;
	}
	schema_allowed(&one, allowed, sizeof(allowed));
	ret_value->wrong = true;
	if (is_null(node))
		complain(r->complaints, r->file, value.pos, "%s has no value; allowed: %s", dotted,
		    allowed);
	else
		complain(r->complaints, r->file, value.pos, "%s: %s %s; allowed: %s", dotted,
		    quoted(node, buf), wrong, allowed);
}

static void read_section(struct reader *r, const yaml_node_t *node, const yaml_node_t *under,
    struct position pos, const char *dotted, const struct schema_section *section,
    unsigned char *base);

static void read_many(struct reader *r, const yaml_node_t *node, const char *dotted,
    const struct schema_key *key, struct config_items *ret_items)
{
	if (node->type != YAML_SEQUENCE_NODE) {
		wrong_kind(r, node, dotted, key);
		return;
	}
	const yaml_node_item_t *start = node->data.sequence.items.start;
	size_t n = (size_t)(node->data.sequence.items.top - start);
	ret_items->pos = value_at(r, node);
	if ((int64_t)n < key->min || (int64_t)n > key->max) {
		complain(r->complaints, r->file, node_at(node),
		    "%s has %zu entries; allowed: %lld to %lld", dotted, n, (long long)key->min,
		    (long long)key->max);
		if ((int64_t)n > key->max)
			return;
	}
	bool sections = key->type == SCHEMA_SECTION;
	size_t size = sections ? key->section->size : sizeof(struct config_value);
	unsigned char *items = arena_take(r->arena, n, size);
	if (items == NULL)
		return;
	size_t good = 0;
	for (size_t i = 0; i < n && r->values <= VALUES_MAX; i++) {
		const yaml_node_t *item = yaml_document_get_node(r->doc, start[i]);
		if (!sections)
			read_scalar(r, item, dotted, key,
			    (struct config_value *)(void *)(items + i * size));
		else
			read_section(r, item, NULL, value_at(r, item), dotted, key->section,
			    items + i * size);
		good = i + 1;
	}
	ret_items->n = good;
	ret_items->items = items;
}

static void unknown_key(struct reader *r, const yaml_node_t *node, const char *dotted,
    const struct schema_section *section)
{
	char buf[QUOTED_MAX], allowed[ALLOWED_MAX];
	struct schema_key all = { .type = SCHEMA_SECTION, .section = section };
	schema_allowed(&all, allowed, sizeof(allowed));
	const char *keys = strstr(allowed, "with ");
	complain(r->complaints, r->file, node_at(node), "unknown key %s%s%s; allowed: %s",
	    node->type == YAML_SCALAR_NODE ? quoted(node, buf) : "that is no text",
	    *dotted == '\0' ? "" : " in ", dotted, keys == NULL ? allowed : keys + 5);
}

/* The value of each of the section's keys; NULL: not given. */
static void find_keys(struct reader *r, const yaml_node_t *node, const char *dotted,
    const struct schema_section *section, const yaml_node_t *given[KEYS_MAX])
{
	assert(section->n_keys <= KEYS_MAX);
	const yaml_node_pair_t *pair = node == NULL ? NULL : node->data.mapping.pairs.start;
	const yaml_node_pair_t *end = node == NULL ? NULL : node->data.mapping.pairs.top;
	for (; pair < end; pair++) {
		const yaml_node_t *name = yaml_document_get_node(r->doc, pair->key);
		unsigned i = section->n_keys;
		if (name->type == YAML_SCALAR_NODE)
			for (i = 0; i < section->n_keys; i++)
				if (strcmp(section->keys[i].name,
					(const char *)name->data.scalar.value) == 0)
					break;
		if (i == section->n_keys)
			unknown_key(r, name, dotted, section);
		else if (given[i] != NULL)
			complain(r->complaints, r->file, node_at(name),
			    "key \"%s\" stands twice in this section; allowed: once (the first is "
			    "in line %u)",
			    section->keys[i].name, node_at(given[i]).line);
		else
			given[i] = yaml_document_get_node(r->doc, pair->value);
	}
}

/* node NULL: the section is not there; its defaults stand and its required keys are missed. `under`:
 * the section of the preset, a mapping, or NULL. */
static void read_keys(struct reader *r, const yaml_node_t *node, const yaml_node_t *under,
    struct position pos, const char *dotted, const struct schema_section *section,
    unsigned char *base)
{
	const yaml_node_t *given[KEYS_MAX] = { NULL }, *preset[KEYS_MAX] = { NULL };
	find_keys(r, node, dotted, section, given);
	if (under != NULL)
		find_keys(r->preset, under, dotted, section, preset);
	for (unsigned i = 0; i < section->n_keys; i++) {
		const struct schema_key *key = &section->keys[i];
		char name[DOTTED_MAX];
		snprintf(
		    name, sizeof(name), "%s%s%s", dotted, *dotted == '\0' ? "" : ".", key->name);
		void *to = base + key->offset;
		const yaml_node_t *value = given[i];
		bool many = (key->flags & SCHEMA_MANY) != 0;
		/* `lists:` with every entry commented out is as good as no `lists:` */
		if (value != NULL && (many || key->type == SCHEMA_SECTION) && is_null(value))
			value = NULL;
		struct reader *from = value == NULL && preset[i] != NULL ? r->preset : r;
		if (from != r && key->type == SCHEMA_SECTION && !many) {
			from = r; /* its keys one by one */
		} else if (from != r) {
			value = preset[i];
		}
		bool missing = value == NULL && (key->flags & SCHEMA_REQUIRED);
		if (missing && !r->quiet) {
			char allowed[ALLOWED_MAX];
			schema_allowed(key, allowed, sizeof(allowed));
			complain(r->complaints, r->file, pos, "%s is missing; allowed: %s", name,
			    allowed);
		}
		if (many) {
			*(struct config_items *)to = (struct config_items){ .pos = pos };
			if (value != NULL)
				read_many(from, value, name, key, to);
		} else if (key->type == SCHEMA_SECTION) {
			bool before = r->quiet;
			r->quiet = before || missing; /* not one more for each key in it */
			read_section(r, value, preset[i], value == NULL ? pos : node_at(value),
			    name, key->section, to);
			r->quiet = before;
		} else if (value == NULL) {
			read_default(key, pos, to);
		} else {
			read_scalar(from, value, name, key, to);
		}
	}
}

static void read_section(struct reader *r, const yaml_node_t *node, const yaml_node_t *under,
    struct position pos, const char *dotted, const struct schema_section *section,
    unsigned char *base)
{
	bool before = r->quiet;
	if (node != NULL && too_many(r, node)) {
		r->quiet = true;
		node = NULL;
	} else if (node != NULL && node->type != YAML_MAPPING_NODE) {
		struct schema_key all = { .type = SCHEMA_SECTION, .section = section };
		wrong_kind(r, node, *dotted == '\0' ? "the file" : dotted, &all);
		r->quiet = true;
		node = NULL;
	}
	read_keys(r, node, under, pos, dotted, section, base);
	r->quiet = before;
}

static void complain_yaml(
    struct reader *r, const yaml_parser_t *parser, const char *yaml, size_t len)
{
	if (parser->error == YAML_MEMORY_ERROR) {
		complain(r->complaints, r->file, (struct position){ 0, 0 }, "no memory");
		return;
	}
	struct position pos = at(parser->problem_mark);
	if (parser->error == YAML_READER_ERROR) { /* knows the byte alone */
		pos = (struct position){ 1, 1 };
		for (size_t i = 0; i < parser->problem_offset && i < len; i++) {
			pos.column++;
			if (yaml[i] == '\n')
				pos = (struct position){ pos.line + 1, 1 };
		}
	}
	const char *problem = parser->problem == NULL ? "cannot be read" : parser->problem;
	if (parser->context == NULL)
		complain(r->complaints, r->file, pos, "not YAML: %s; allowed: YAML 1.1 in UTF-8",
		    problem);
	else
		complain(r->complaints, r->file, pos,
		    "not YAML: %s, %s begun in line %u; allowed: YAML 1.1 in UTF-8", problem,
		    parser->context, at(parser->context_mark).line);
}

/* The preset that the file wants, as a document; a file that names none that there is, is told so by
 * the key's own row. NULL: none. */
static const yaml_node_t *open_preset(
    struct reader *r, const yaml_node_t *root, struct reader *preset, yaml_document_t *doc)
{
	const yaml_node_t *wants = NULL;
	yaml_parser_t parser;
	if (root->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
	     pair < root->data.mapping.pairs.top; pair++) {
		const yaml_node_t *name = yaml_document_get_node(r->doc, pair->key);
		if (name->type == YAML_SCALAR_NODE &&
		    strcmp((const char *)name->data.scalar.value, "preset") == 0)
			wants = yaml_document_get_node(r->doc, pair->value);
	}
	const struct preset *p = wants == NULL || wants->type != YAML_SCALAR_NODE
				     ? NULL
				     : preset_find((const char *)wants->data.scalar.value);
	if (p == NULL)
		return NULL;
	*preset = *r;
	preset->doc = doc;
	preset->file = p->file;
	preset->asked = node_at(wants);
	if (!yaml_parser_initialize(&parser)) {
		complain(r->complaints, p->file, (struct position){ 0, 0 }, "no memory");
		return NULL;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)p->text, strlen(p->text));
	const yaml_node_t *top = NULL;
	if (!yaml_parser_load(&parser, doc)) {
		complain_yaml(preset, &parser, p->text, strlen(p->text));
	} else {
		top = yaml_document_get_root_node(doc);
		if (top == NULL)
			yaml_document_delete(doc);
	}
	yaml_parser_delete(&parser);
	return top;
}

bool schema_read(const char *file, const char *yaml, size_t len, struct arena *arena,
    struct complaints *complaints, struct config *ret_config)
{
	yaml_parser_t parser;
	yaml_document_t doc, more, preset_doc;
	struct reader preset,
	    r = { .doc = &doc, .file = file, .arena = arena, .complaints = complaints };
	const struct position start = { 1, 1 };
	bool whole = false;
	if (!yaml_parser_initialize(&parser)) {
		complain(complaints, file, (struct position){ 0, 0 }, "no memory");
		return false;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, len);
	if (!yaml_parser_load(&parser, &doc)) {
		complain_yaml(&r, &parser, yaml, len);
		goto parser;
	}
	const yaml_node_t *root = yaml_document_get_root_node(&doc);
	if (root == NULL || is_null(root)) {
		complain(complaints, file, start,
		    "the file is empty; allowed: a configuration, begun by `version: 1`");
		goto document;
	}
	if (!yaml_parser_load(&parser, &more)) {
		complain_yaml(&r, &parser, yaml, len);
		goto document;
	}
	const yaml_node_t *second = yaml_document_get_root_node(&more);
	if (second != NULL)
		complain(complaints, file, node_at(second),
		    "a second YAML document; allowed: one in a file");
	yaml_document_delete(&more);
	const yaml_node_t *under = open_preset(&r, root, &preset, &preset_doc);
	r.preset = under == NULL ? NULL : &preset;
	read_section(
	    &r, root, under, node_at(root), "", &config_schema, (unsigned char *)ret_config);
	if (under != NULL)
		yaml_document_delete(&preset_doc);
	whole = true;
document:
	yaml_document_delete(&doc);
parser:
	yaml_parser_delete(&parser);
	return whole;
}
