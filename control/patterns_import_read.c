/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the lines of SpamAssassin rule files into rules by name (patterns_import_rules.h): comments
 * off, conditions followed, the few directives that make rules, others passed over. Bytes are
 * bytes: the files are in several charsets, and SpamAssassin matches bytes too. A line that makes
 * no sense is passed over as SpamAssassin does, unless it is an expression: those are all counted.
 */
#include "patterns_import_rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { IF_DEPTH_MAX = 32, NAME_MAX_LEN = 60 /* our 64, with room for .set */ };

struct reading {
	struct patterns_import *import;
	const char *file;
	unsigned line;
	/* bit 0: the innermost `if`; 1: this branch is skipped */
	uint64_t skipped, else_of; /* else_of: skipped once `else` comes (a branch was taken) */
	unsigned depth, too_deep;
};

struct word {
	const char *text;
	size_t len;
};

struct patterns_import *sa_new(void)
{
	struct patterns_import *import = calloc(1, sizeof(*import));
	if (import == NULL)
		return NULL;
	arena_init(&import->arena);
	import->index_size = 4 * PATTERNS_IMPORT_RULES_MAX / 2;
	import->index = calloc(import->index_size, sizeof(*import->index));
	if (import->index == NULL)
		return patterns_import_free(import);
	return import;
}

struct patterns_import *patterns_import_free(struct patterns_import *import)
{
	if (import == NULL)
		return NULL;
	arena_fini(&import->arena);
	free(import->rules);
	free(import->expressions);
	free(import->index);
	free(import->refused);
	free(import);
	return NULL;
}

/* ---- names ---- */

static uint32_t *slot_of(const struct patterns_import *import, const char *name, size_t len)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	for (uint32_t i = hash;; i++) {
		uint32_t *slot = &import->index[i & (import->index_size - 1)];
		if (*slot == 0)
			return slot;
		const char *known = import->rules[*slot - 1].name;
		if (strncmp(known, name, len) == 0 && known[len] == '\0')
			return slot;
	}
}

struct sa_rule *sa_rule_find(const struct patterns_import *import, const char *name, size_t len)
{
	uint32_t *slot = slot_of(import, name, len);
	return *slot == 0 ? NULL : &import->rules[*slot - 1];
}

/* Room for one more; false: no memory. */
static bool grow(void **items, unsigned n, unsigned *cap, size_t size)
{
	if (n < *cap)
		return true;
	unsigned more = *cap == 0 ? 256 : *cap * 2;
	void *bigger = realloc(*items, more * size);
	if (bigger == NULL)
		return false;
	*items = bigger;
	*cap = more;
	return true;
}

struct sa_rule *sa_rule_get(struct patterns_import *import, const char *name, size_t len)
{
	uint32_t *slot = slot_of(import, name, len);
	if (*slot != 0)
		return &import->rules[*slot - 1];
	void *rules = import->rules;
	if (import->n_rules == PATTERNS_IMPORT_RULES_MAX ||
	    !grow(&rules, import->n_rules, &import->cap_rules, sizeof(*import->rules))) {
		import->full = true;
		return NULL;
	}
	import->rules = rules;
	char *copy = arena_text(&import->arena, name, len);
	if (copy == NULL)
		return NULL;
	struct sa_rule *rule = &import->rules[import->n_rules++];
	*rule = (struct sa_rule){ .name = copy };
	*slot = import->n_rules;
	return rule;
}

/* Letters, digits and _; SpamAssassin's IS_RULENAME, at most what our format allows. */
static bool is_name(struct word w)
{
	if (w.len == 0 || w.len > NAME_MAX_LEN || isdigit((unsigned char)*w.text))
		return false;
	for (size_t i = 0; i < w.len; i++) {
		if (!isalnum((unsigned char)w.text[i]) && w.text[i] != '_')
			return false;
	}
	return true;
}

/* ---- words ---- */

static struct word next_word(const char **at)
{
	while (isspace((unsigned char)**at))
		++*at;
	struct word w = { *at, 0 };
	while (**at != '\0' && !isspace((unsigned char)**at))
		++*at;
	w.len = (size_t)(*at - w.text);
	while (isspace((unsigned char)**at))
		++*at;
	return w;
}

static bool is(struct word w, const char *text)
{
	return w.len == strlen(text) && memcmp(w.text, text, w.len) == 0;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static const char *keep(struct reading *r, const char *text, size_t len)
{
	return arena_text(&r->import->arena, text, len);
}

/* ---- directives ---- */

static bool skipping(const struct reading *r)
{
	return r->skipped != 0 || r->too_deep != 0;
}

static void begin_if(struct reading *r, bool holds)
{
	if (r->depth == IF_DEPTH_MAX) {
		r->too_deep++; /* all of it skipped */
		return;
	}
	r->depth++;
	r->skipped = r->skipped << 1 | !holds;
	r->else_of = r->else_of << 1 | holds;
}

static bool condition_line(struct reading *r, struct word key, const char *rest)
{
	if (is(key, "if") || begins(key.text, "if(")) {
		begin_if(r, sa_condition(key.text + 2));
	} else if (is(key, "ifplugin")) {
		struct word name = next_word(&rest);
		char *text = arena_text(&r->import->arena, name.text, name.len);
		begin_if(r, text != NULL && sa_plugin(text));
	} else if (is(key, "else")) {
		if (r->depth != 0 && r->too_deep == 0)
			r->skipped = (r->skipped & ~1ull) | (r->else_of & 1);
	} else if (is(key, "endif")) {
		if (r->too_deep != 0) {
			r->too_deep--;
		} else if (r->depth != 0) {
			r->depth--;
			r->skipped >>= 1;
			r->else_of >>= 1;
		}
	} else {
		return false;
	}
	return true;
}

/* Takes `[if-unset: TEXT]` off the end of a header rule. */
static const char *take_if_unset(struct reading *r, char *text)
{
	size_t len = strlen(text);
	char *at = strstr(text, "[if-unset:");
	if (len == 0 || text[len - 1] != ']' || at == NULL || at == text ||
	    !isspace((unsigned char)at[-1]))
		return NULL;
	const char *value = at + 10;
	while (isspace((unsigned char)*value))
		value++;
	const char *kept = keep(r, value, (size_t)(text + len - 1 - value));
	while (at > text && isspace((unsigned char)at[-1]))
		at--;
	*at = '\0';
	return kept;
}

static void define(struct reading *r, struct word name, uint8_t kind, uint32_t at, const char *meta,
    const char *header)
{
	if (skipping(r))
		return;
	struct sa_rule *rule = sa_rule_get(r->import, name.text, name.len);
	if (rule == NULL)
		return;
	rule->kind = kind;
	rule->file = r->file;
	rule->line = r->line;
	rule->at = at;
	rule->meta = meta;
	rule->header = header;
}

static void expression(struct reading *r, struct word name, uint8_t kind, const char *header,
    bool negated, const char *if_unset, const char *text)
{
	struct patterns_import *import = r->import;
	void *items = import->expressions;
	const char *start = NULL;
	size_t len = 0;
	struct sa_rule *rule = sa_rule_get(import, name.text, name.len);
	if (rule == NULL)
		return;
	if (!grow(&items, import->n_expressions, &import->cap_expressions,
		sizeof(*import->expressions))) {
		import->full = true;
		return;
	}
	import->expressions = items;
	struct sa_expression *e = &import->expressions[import->n_expressions];
	*e = (struct sa_expression){
		.file = r->file,
		.line = r->line,
		.rule = (uint32_t)(rule - import->rules),
		.kind = kind,
		.taken = !skipping(r),
		.negated = negated,
		.header = header,
		.if_unset = if_unset,
	};
	e->why = sa_delimited(text, &start, &len, &e->flags);
	if (e->why == NULL)
		e->text = keep(r, start, len);
	define(r, name, kind, import->n_expressions++, NULL, NULL);
}

static void rule_line(struct reading *r, uint8_t kind, char *rest)
{
	const char *at = rest;
	struct word name = next_word(&at);
	if (!is_name(name) || *at == '\0')
		return;
	if (begins(at, "eval:")) {
		define(r, name, SA_EVAL, 0, NULL, NULL);
		return;
	}
	if (kind != SA_HEADER && kind != SA_MIMEHEADER) {
		expression(r, name, kind, NULL, false, NULL, at);
		return;
	}
	if (begins(at, "exists:")) {
		struct word header = { at + 7, strcspn(at + 7, " \t") };
		define(r, name, kind == SA_HEADER ? SA_EXISTS : SA_EVAL, 0, NULL,
		    keep(r, header.text, header.len));
		return;
	}
	char *text = rest + (at - rest);
	char *op = text + strcspn(text, "=!~ \t");
	const char *header = keep(r, text, (size_t)(op - text));
	while (*op == ' ' || *op == '\t')
		op++;
	bool negated = begins(op, "!~");
	if ((!negated && !begins(op, "=~")) || header == NULL || *header == '\0')
		return;
	op += 2;
	while (isspace((unsigned char)*op))
		op++;
	const char *if_unset = take_if_unset(r, op);
	expression(r, name, kind, header, negated, if_unset, op);
}

static void score_line(struct reading *r, const char *at)
{
	struct word name = next_word(&at);
	struct sa_rule *rule = is_name(name) ? sa_rule_get(r->import, name.text, name.len) : NULL;
	double last = 0;
	bool any = false, relative = false;
	if (rule == NULL)
		return;
	for (unsigned i = 0; i < 4 && *at != '\0'; i++) {
		struct word w = next_word(&at);
		char number[32], *end;
		relative = *w.text == '(';
		size_t len = w.len - (relative && w.len > 1 ? 2 : 0);
		if (len == 0 || len >= sizeof(number))
			break;
		memcpy(number, w.text + relative, len);
		number[len] = '\0';
		double value = strtod(number, &end);
		if (*end != '\0' || !(value >= -1e6 && value <= 1e6))
			break;
		last = value;
		any = true;
	}
	if (!any)
		return;
	rule->score = relative ? (rule->has_score ? rule->score : 1) + last : last;
	rule->has_score = true;
}

static void tflags_line(struct reading *r, const char *at)
{
	struct word name = next_word(&at);
	struct sa_rule *rule = is_name(name) ? sa_rule_get(r->import, name.text, name.len) : NULL;
	if (rule == NULL)
		return;
	rule->nice = rule->multiple = rule->nosubject = false; /* the last line holds */
	while (*at != '\0') {
		struct word w = next_word(&at);
		rule->nice |= is(w, "nice");
		rule->multiple |= is(w, "multiple");
		rule->nosubject |= is(w, "nosubject");
	}
}

static void tag_line(struct reading *r, enum sa_tag_kind kind, const char *at)
{
	struct patterns_import *import = r->import;
	struct word name = next_word(&at);
	unsigned i = 0;
	if (name.len == 0 || *at == '\0')
		return;
	while (i < import->n_tags[kind] && !is(name, import->tags[kind][i].name))
		i++;
	if (i == SA_TAGS_MAX) {
		import->full = true;
		return;
	}
	struct sa_tag tag = { keep(r, name.text, name.len), keep(r, at, strlen(at)) };
	if (tag.name == NULL || tag.text == NULL)
		return;
	import->tags[kind][i] = tag;
	import->n_tags[kind] += i == import->n_tags[kind];
}

static void replace_rules_line(struct reading *r, const char *at)
{
	while (*at != '\0') {
		struct word name = next_word(&at);
		struct sa_rule *rule = NULL;
		if (is_name(name))
			rule = sa_rule_get(r->import, name.text, name.len);
		if (rule != NULL)
			rule->replace = true;
	}
}

static void one_line(struct reading *r, char *line)
{
	static const struct {
		const char *word;
		uint8_t kind;
	} kinds[] = {
		{ "header", SA_HEADER },
		{ "body", SA_BODY },
		{ "rawbody", SA_RAWBODY },
		{ "full", SA_FULL },
		{ "uri", SA_URI },
		{ "mimeheader", SA_MIMEHEADER },
		{ "askdns", SA_EVAL },
		{ "uridnsbl", SA_EVAL },
		{ "uridnssub", SA_EVAL },
		{ "urirhsbl", SA_EVAL },
		{ "urirhssub", SA_EVAL },
		{ "urinsrhsbl", SA_EVAL },
		{ "urinsrhssub", SA_EVAL },
		{ "urifullnsrhsbl", SA_EVAL },
		{ "urifullnsrhssub", SA_EVAL },
		{ "uri_detail", SA_EVAL },
	};
	const char *at = line;
	struct word key = next_word(&at);
	if (is(key, "lang")) { /* texts in other languages; and rules that need that locale */
		return;
	}
	for (size_t i = 0; i < key.len; i++) {
		char *c = line + (key.text - line) + i;
		*c = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
	}
	if (key.len == 0 || condition_line(r, key, at))
		return;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!is(key, kinds[i].word))
			continue;
		if (kinds[i].kind == SA_EVAL) {
			struct word name = next_word(&at);
			if (is_name(name))
				define(r, name, SA_EVAL, 0, NULL, NULL);
		} else { /* also where it is skipped: every expression is counted */
			rule_line(r, kinds[i].kind, line + (at - line));
		}
		return;
	}
	if (skipping(r))
		return;
	if (is(key, "meta")) {
		struct word name = next_word(&at);
		if (is_name(name) && *at != '\0')
			define(r, name, SA_META, 0, keep(r, at, strlen(at)), NULL);
	} else if (is(key, "describe")) {
		struct word name = next_word(&at);
		struct sa_rule *rule = NULL;
		if (is_name(name))
			rule = sa_rule_get(r->import, name.text, name.len);
		if (rule != NULL)
			rule->describe = keep(r, at, strlen(at));
	} else if (is(key, "score")) {
		score_line(r, at);
	} else if (is(key, "tflags")) {
		tflags_line(r, at);
	} else if (is(key, "replace_rules")) {
		replace_rules_line(r, at);
	} else if (is(key, "replace_tag")) {
		tag_line(r, SA_TAG, at);
	} else if (is(key, "replace_pre")) {
		tag_line(r, SA_PRE, at);
	} else if (is(key, "replace_inter")) {
		tag_line(r, SA_INTER, at);
	} else if (is(key, "replace_post")) {
		tag_line(r, SA_POST, at);
	}
}

/* Takes the comment off: from a # without a backslash before it; "\#" becomes "#". Blanks at the
 * end go too. A zero byte ends the line, as no rule holds one. */
static void strip(char *line)
{
	char *to = line;
	for (const char *from = line; *from != '\0' && *from != '#'; from++) {
		if (from[0] == '\\' && from[1] == '#')
			from++;
		*to++ = *from;
	}
	while (to > line && isspace((unsigned char)to[-1]))
		to--;
	*to = '\0';
}

int sa_read(struct patterns_import *import, const char *name, const char *text, size_t len)
{
	struct reading r = { .import = import };
	r.file = arena_text(&import->arena, name, strlen(name));
	for (size_t at = 0; at < len && r.file != NULL;) {
		const char *lf = memchr(text + at, '\n', len - at);
		size_t n = lf == NULL ? len - at : (size_t)(lf - text) - at;
		char *line = malloc(n + 1);
		if (line == NULL)
			return -ENOMEM;
		memcpy(line, text + at, n);
		line[n] = '\0';
		r.line++;
		strip(line);
		one_line(&r, line);
		free(line);
		at += n + 1;
	}
	import->counts.files++;
	if (import->arena.failed)
		return -ENOMEM;
	return import->full ? -EINVAL : 0;
}
