/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An expression too long for Hyperscan (16,000 bytes; tags make some) in several: a(?:b|c)d becomes
 * abd and acd, which hit alike, as expressions of one name are one rule. Only where that is exact:
 * groups without a quantifier, and no back-references or options whose reach would change.
 * (Rejected: to raise the bound, which is Hyperscan's own; and shorter tags, which match less.)
 */
#include "patterns_import_rules.h"

#include "filters/pattern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Behind the atom that begins here: a class, a quoted byte, a byte. */
static size_t atom_end(const char *text, size_t at)
{
	if (text[at] == '\\')
		return at + (text[at + 1] == '\0' ? 1 : 2);
	if (text[at] != '[')
		return at + 1;
	at += text[at + 1] == '^' ? 2 : 1;
	for (bool first = true; text[at] != '\0' && (first || text[at] != ']'); first = false) {
		const char *end;
		if (text[at] == '[' && text[at + 1] == ':' && (end = strstr(text + at, ":]")) != NULL)
			at = (size_t)(end - text) + 2;
		else
			at += text[at] == '\\' && text[at + 1] != '\0' ? 2 : 1;
	}
	return text[at] == '\0' ? at : at + 1;
}

static bool may_split(const char *text)
{
	for (size_t at = 0; text[at] != '\0'; at = atom_end(text, at)) {
		if (text[at] == '\\' && text[at + 1] >= '1' && text[at + 1] <= '9')
			return false;
		if (text[at] == '\\' && text[at + 1] != '\0' && strchr("gkQK", text[at + 1]) != NULL)
			return false;
		if (text[at] == '(' && text[at + 1] == '?' && strchr(":=!<>", text[at + 2]) == NULL)
			return false; /* options, conditions, branch resets */
	}
	return true;
}

/* The bytes of one group's alternatives. */
struct group {
	size_t begin, inside, end; /* of "(?:", behind it, of ")" */
	size_t middle;             /* a | about half way; 0: none */
};

/* What is best split: the longest group of several alternatives at the top, or the whole. */
static bool find_group(const char *text, struct group *ret_best)
{
	struct group now = { 0 }, whole = { 0, 0, strlen(text), 0 }, best = { 0 };
	unsigned depth = 0;
	bool plain = false;
	for (size_t at = 0, next; text[at] != '\0'; at = next) {
		next = atom_end(text, at);
		if (text[at] == '(') {
			if (depth++ == 0) {
				plain = strncmp(text + at, "(?:", 3) == 0;
				now = (struct group){ at, at + 3, 0, 0 };
			}
		} else if (text[at] == ')' && depth != 0) {
			now.end = at;
			if (--depth == 0 && plain && now.middle != 0 &&
			    (text[next] == '\0' || strchr("*+?{", text[next]) == NULL) &&
			    now.end - now.begin > best.end - best.begin)
				best = now;
		} else if (text[at] == '|' && depth == 0) {
			if (whole.middle == 0 || at <= whole.end / 2)
				whole.middle = at;
		} else if (text[at] == '|' && depth == 1) {
			/* the end is not known yet: keep the last one, mend it below */
			now.middle = at;
		}
	}
	if (whole.middle != 0) {
		*ret_best = whole;
		return true;
	}
	if (best.middle == 0)
		return false;
	size_t half = best.inside + (best.end - best.inside) / 2;
	depth = 0;
	for (size_t at = best.inside; at < best.end; at = atom_end(text, at)) {
		depth += text[at] == '(';
		depth -= text[at] == ')';
		if (text[at] == '|' && depth == 0) {
			best.middle = at;
			if (at >= half)
				break;
		}
	}
	*ret_best = best;
	return true;
}

static bool has_bar(const char *text, size_t begin, size_t end)
{
	unsigned depth = 0;
	for (size_t at = begin; at < end; at = atom_end(text, at)) {
		depth += text[at] == '(';
		depth -= text[at] == ')';
		if (text[at] == '|' && depth == 0)
			return true;
	}
	return false;
}

/* text with the group replaced by its bytes from begin to end. */
static char *half(
    struct arena *arena, const char *text, const struct group *g, size_t begin, size_t end)
{
	bool whole = g->inside == g->begin, wrapped = !whole && has_bar(text, begin, end);
	const char *behind = text + g->end + !whole;
	size_t size = g->begin + (end - begin) + strlen(behind) + 5;
	char *copy = arena_take(arena, size, 1), *to = copy;
	if (copy == NULL)
		return NULL;
	memcpy(to, text, g->begin);
	to += g->begin;
	if (wrapped) {
		memcpy(to, "(?:", 3);
		to += 3;
	}
	memcpy(to, text + begin, end - begin);
	to += end - begin;
	if (wrapped)
		*to++ = ')';
	memcpy(to, behind, strlen(behind) + 1);
	return copy;
}

unsigned sa_split(struct arena *arena, const char *text, const char **ret_pieces, unsigned room)
{
	unsigned n = 1;
	if (!may_split(text))
		return 0;
	ret_pieces[0] = text;
	for (unsigned i = 0; i < n;) {
		struct group g;
		const char *piece = ret_pieces[i];
		if (strlen(piece) <= PATTERN_MAX_EXPRESSION) {
			i++;
			continue;
		}
		if (n == room || !find_group(piece, &g))
			return 0;
		ret_pieces[i] = half(arena, piece, &g, g.inside, g.middle);
		ret_pieces[n] = half(arena, piece, &g, g.middle + 1, g.end);
		if (ret_pieces[i] == NULL || ret_pieces[n] == NULL)
			return 0;
		n++;
	}
	return n;
}
