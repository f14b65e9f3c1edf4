/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Perl's expressions, as SpamAssassin writes them, to the text between the slashes of our format:
 * delimiters and modifiers off, the tags of ReplaceTags put in, blanks and comments of /x dropped,
 * bytes that are no plain ASCII as \xHH. The syntax itself stays: Hyperscan and PCRE2 both read
 * Perl's. (Rejected: to leave /x to the two engines, which differ about # in a class and about
 * comments that hold a delimiter.)
 */
#include "patterns_import_rules.h"

#include "filters/pattern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES_MAX = 6, TAGGED_MAX = 256 * 1024 };

const char *sa_delimited(
    const char *text, const char **ret_start, size_t *ret_len, uint8_t *ret_flags)
{
	static const char open[] = "{(<[", close[] = "})>]";
	const char *start = text, *pair;
	size_t len = strlen(text);
	uint8_t flags = 0;
	char delimiter;
	if (*text == '/') {
		delimiter = '/';
		start = text + 1;
	} else if (*text == 'm' || (text[0] == 'q' && text[1] == 'r')) {
		start = text + (*text == 'm' ? 1 : 2);
		delimiter = *start;
		if (delimiter == '\0' || delimiter == '\\' || delimiter == '_' ||
		    isalnum((unsigned char)delimiter) || isspace((unsigned char)delimiter))
			return "no delimiter at the beginning of the expression";
		pair = strchr(open, delimiter);
		if (pair != NULL)
			delimiter = close[pair - open];
		start++;
	} else {
		return "no delimiter at the beginning of the expression";
	}
	const char *end = text + len;
	while (end > start && islower((unsigned char)end[-1]))
		end--;
	if (end == start || end[-1] != delimiter)
		return "no delimiter at the end of the expression";
	for (const char *c = end; *c != '\0'; c++) {
		switch (*c) {
		case 'i': flags |= SA_CASELESS; break;
		case 's': flags |= SA_DOTALL; break;
		case 'm': flags |= SA_MULTILINE; break;
		case 'x': flags |= SA_EXTENDED; break;
		/* without an effect on a match of bytes */
		case 'o':
		case 'g':
		case 'a':
		case 'd':
		case 'l':
		case 'p':
		case 'n': break;
		default: return "a modifier that is not known here";
		}
	}
	for (const char *c = start; c < end - 1 && strchr(close, delimiter) == NULL; c++) {
		if (*c == '\\')
			c++;
		else if (*c == delimiter)
			return "the delimiter stands unquoted in the expression";
	}
	*ret_start = start;
	*ret_len = (size_t)(end - 1 - start);
	*ret_flags = flags;
	return NULL;
}

/* ---- text that grows ---- */

struct out {
	char *text;
	size_t len, size;
	bool failed;
};

static void put(struct out *o, const char *bytes, size_t n)
{
	if (o->failed)
		return;
	if (o->len + n + 1 > o->size) {
		size_t size = (o->len + n + 1) * 2;
		char *bigger = size > 2 * TAGGED_MAX ? NULL : realloc(o->text, size);
		if (bigger == NULL) {
			o->failed = true;
			return;
		}
		o->text = bigger;
		o->size = size;
	}
	memcpy(o->text + o->len, bytes, n);
	o->len += n;
	o->text[o->len] = '\0';
}

static void put_text(struct out *o, const char *text)
{
	put(o, text, strlen(text));
}

/* ---- tags ---- */

static const char *tag_text(
    const struct patterns_import *import, enum sa_tag_kind kind, const char *name, size_t len)
{
	for (unsigned i = 0; i < import->n_tags[kind]; i++) {
		const struct sa_tag *tag = &import->tags[kind][i];
		if (strlen(tag->name) == len && memcmp(tag->name, name, len) == 0)
			return tag->text;
	}
	return NULL;
}

/* Length of the <...> that begins here, 0: none does. */
static size_t tag_len(const char *at)
{
	if (*at != '<')
		return 0;
	size_t n = 1 + strcspn(at + 1, "<>");
	return n > 1 && at[n] == '>' ? n + 1 : 0;
}

/* Takes the first `<WORD NAME>` off and gives what it stands for. */
static const char *take_modifier(
    const struct patterns_import *import, enum sa_tag_kind kind, const char *word, char *text)
{
	size_t n = strlen(word);
	for (char *at = text; *at != '\0'; at++) {
		size_t len = tag_len(at);
		if (len <= n + 2 || memcmp(at + 1, word, n) != 0)
			continue;
		const char *found = tag_text(import, kind, at + 1 + n, len - n - 2);
		memmove(at, at + len, strlen(at + len) + 1);
		return found;
	}
	return NULL;
}

/* One pass of the ReplaceTags plug-in; its `split` yields tags and what is between them, which is
 * nothing between two adjacent ones: there goes `inter`. *ret_again: a text held tags itself. */
static char *one_pass(const struct patterns_import *import, char *text, bool *ret_again)
{
	const char *pre = take_modifier(import, SA_PRE, "pre ", text);
	const char *post = take_modifier(import, SA_POST, "post ", text);
	const char *inter = take_modifier(import, SA_INTER, "inter ", text);
	struct out o = { 0 };
	bool behind_tag = false;
	put(&o, "", 0);
	for (const char *at = text; *at != '\0';) {
		size_t len = tag_len(at);
		if (len == 0) {
			put(&o, at++, 1);
			behind_tag = false;
			continue;
		}
		const char *found = tag_text(import, SA_TAG, at + 1, len - 2);
		if (behind_tag && inter != NULL)
			put_text(&o, inter);
		if (pre != NULL)
			put_text(&o, pre);
		if (found == NULL)
			put(&o, at, len);
		else
			put_text(&o, found);
		if (post != NULL)
			put_text(&o, post);
		for (const char *c = found; c != NULL && (c = strchr(c, '<')) != NULL; c++)
			*ret_again |= tag_len(c) != 0;
		behind_tag = true;
		at += len;
	}
	if (o.failed || o.len > TAGGED_MAX) {
		free(o.text);
		return NULL;
	}
	return o.text;
}

const char *sa_tags_replace(struct patterns_import *import, const char *text)
{
	char *now = strdup(text);
	bool again = true;
	for (unsigned pass = 0; now != NULL && again && pass < PASSES_MAX; pass++) {
		again = false;
		char *next = one_pass(import, now, &again);
		free(now);
		now = next;
	}
	const char *kept = now == NULL ? NULL : arena_text(&import->arena, now, strlen(now));
	free(now);
	return kept;
}

/* ---- to our text ---- */

static void put_byte(struct out *o, char byte)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char b = (unsigned char)byte;
	if (b >= 0x20 && b < 0x7f) {
		put(o, &byte, 1);
	} else {
		char text[4] = { '\\', 'x', hex[b >> 4], hex[b & 15] };
		put(o, text, 4);
	}
}

static bool hex2(const char *at)
{
	return at[0] == '\\' && at[1] == 'x' && isxdigit((unsigned char)at[2]) &&
	       isxdigit((unsigned char)at[3]);
}

/* \x{0456}: a character that no byte is. Behind it; NULL: another thing is here. */
static const char *behind_wide(const char *at)
{
	char *end;
	if (strncmp(at, "\\x{", 3) != 0 || strtoul(at + 3, &end, 16) <= 255 || *end != '}')
		return NULL;
	return end + 1;
}

/* Behind the `[` of a class, to behind its `]`; a `]` that comes first is plain. */
static const char *class_body(struct out *o, const char *at)
{
	if (*at == '^')
		put(o, at++, 1);
	if (*at == ']') {
		put(o, "\\]", 2);
		at++;
	}
	while (*at != '\0' && *at != ']') {
		if (at[0] == '[' && (at[1] == ':' || at[1] == '.' || at[1] == '=')) {
			const char *end = strchr(at + 2, at[1]);
			if (end != NULL && end[1] == ']') {
				put(o, at, (size_t)(end + 2 - at));
				at = end + 2;
				continue;
			}
		}
		if (behind_wide(at) != NULL) {
			at = behind_wide(at);
			continue;
		}
		if (at[0] == '\\' && at[1] != '\0') {
			if ((unsigned char)at[1] < 0x7f && (unsigned char)at[1] >= 0x20)
				put(o, at++, 1);
			else
				at++; /* a quoted odd byte is that byte */
		} else if (*at == '/' || *at == '[') {
			put(o, "\\", 1);
		}
		put_byte(o, *at++);
	}
	return at;
}

/* `(?#...)` has no nesting and no quoting. */
static const char *behind_comment(const char *at)
{
	const char *end = strchr(at, ')');
	return end == NULL ? NULL : end + 1;
}

/* \xHH of 80 and more as that byte: shorter, and what our format allows but people cannot read. */
static void to_bytes(struct out *o)
{
	size_t to = 0;
	for (size_t from = 0; from < o->len;) {
		if (hex2(o->text + from) && strchr("89abcdefABCDEF", o->text[from + 2]) != NULL) {
			char digits[3] = { o->text[from + 2], o->text[from + 3], '\0' };
			o->text[to++] = (char)strtoul(digits, NULL, 16);
			from += 4;
			continue;
		}
		if (o->text[from] == '\\') /* a pair: what is quoted begins nothing */
			o->text[to++] = o->text[from++];
		o->text[to++] = o->text[from++];
	}
	o->len = to;
	o->text[to] = '\0';
}

const char *sa_anchors_apart(struct arena *arena, const char *text, uint8_t flags)
{
	struct out o = { 0 };
	const char *kept = NULL;
	for (const char *at = text; *at != '\0';) {
		if (at[0] == '\\') {
			put(&o, at, 2);
			at += 2;
		} else if (*at == '[') {
			put(&o, at, 1);
			at = class_body(&o, at + 1);
		} else if (*at == '^') {
			put_text(&o, flags & SA_MULTILINE ? "(?<![^\\n])" : "(?<![\\s\\S])");
			at++;
		} else if (*at == '$') {
			put_text(&o, flags & SA_MULTILINE ? "(?![^\\n])" : "(?=\\n?\\z)");
			at++;
		} else {
			put(&o, at++, 1);
		}
	}
	if (!o.failed && o.len != 0)
		kept = arena_text(arena, o.text, o.len);
	free(o.text);
	return kept;
}

const char *sa_translate(struct arena *arena, const char *text, uint8_t flags, const char **ret_why)
{
	struct out o = { 0 };
	const char *why = NULL, *kept = NULL;
	put(&o, "", 0);
	for (const char *at = text; *at != '\0' && why == NULL;) {
		if (at[0] == '\\' && at[1] == '\0') {
			why = "a backslash at the end";
		} else if (at[0] == '\\') {
			if ((unsigned char)at[1] < 0x7f && (unsigned char)at[1] >= 0x20)
				put(&o, at, 1);
			put_byte(&o, at[1]);
			at += 2;
		} else if (at[0] == '[' && hex2(at + 1) && at[5] == ']') {
			put(&o, at + 1, 4); /* the tags have thousands of these */
			at += 6;
		} else if (*at == '[') {
			put(&o, at, 1);
			at = class_body(&o, at + 1);
			if (*at == '\0')
				why = "a class without its ]";
			else
				put(&o, at++, 1);
		} else if (strncmp(at, "(?#", 3) == 0) {
			at = behind_comment(at);
			if (at == NULL) {
				why = "a comment without its )";
				break;
			}
		} else if (strncmp(at, "(?{", 3) == 0 || strncmp(at, "(??{", 4) == 0) {
			why = "Perl code in the expression";
		} else if (strncmp(at, "%{", 2) == 0 && isupper((unsigned char)at[2])) {
			why = "text captured by another rule";
		} else if ((flags & SA_EXTENDED) && isspace((unsigned char)*at)) {
			at++;
		} else if ((flags & SA_EXTENDED) && *at == '#') {
			at += strcspn(at, "\n");
		} else if (*at == '/') {
			put(&o, "\\/", 2);
			at++;
		} else {
			put_byte(&o, *at++);
		}
	}
	if (o.len > PATTERN_MAX_EXPRESSION)
		to_bytes(&o);
	if (why == NULL && o.failed)
		why = "longer than 256 KiB";
	else if (why == NULL && o.len == 0)
		why = "an empty expression";
	if (why == NULL)
		kept = arena_text(arena, o.text, o.len);
	free(o.text);
	if (kept == NULL)
		*ret_why = why == NULL ? "no memory" : why;
	return kept;
}

void sa_finish(struct patterns_import *import)
{
	for (unsigned i = 0; i < import->n_expressions; i++) {
		struct sa_expression *e = &import->expressions[i];
		const struct sa_rule *rule = &import->rules[e->rule];
		if (e->text == NULL)
			continue;
		if (rule->replace) {
			e->text = sa_tags_replace(import, e->text);
			if (e->text == NULL) {
				e->why = "too long with its tags put in";
				continue;
			}
		}
		e->text = sa_translate(&import->arena, e->text, e->flags, &e->why);
		e->flags &= (uint8_t)~SA_EXTENDED;
	}
}
