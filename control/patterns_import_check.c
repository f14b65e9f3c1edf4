/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which expressions Hyperscan takes as they are, which as candidates for PCRE2 to confirm, and
 * which nobody here takes. Each is tried by itself: a database of all would tell of the first only.
 */
#include "compile_patterns.h"
#include "patterns_import_rules.h"

#include "filters/pattern_confirm.h"

#include <stdio.h>
#include <string.h>

/* The zone an expression is tried for; what it is written for is decided later. */
static uint8_t zone_of(const struct sa_expression *e)
{
	switch (e->kind) {
	case SA_HEADER:
	case SA_MIMEHEADER: return PATTERN_FIELD;
	case SA_BODY: return PATTERN_TEXT;
	case SA_URI: return PATTERN_URI;
	default: return PATTERN_BODY;
	}
}

uint8_t sa_pattern_flags(const struct sa_expression *e)
{
	return (uint8_t)((e->flags & SA_CASELESS ? PATTERN_CASELESS : 0) |
			 (e->flags & SA_DOTALL ? PATTERN_DOTALL : 0) |
			 (e->flags & SA_MULTILINE ? PATTERN_MULTILINE : 0));
}

static bool confirms(struct patterns_import *import, struct sa_expression *e, const char *text)
{
	struct confirm_expression *compiled = NULL;
	char why[200] = "";
	if (confirm_expression_new(text, sa_pattern_flags(e), &compiled, why, sizeof(why)) != 0)
		e->why = arena_text(&import->arena, why, strlen(why));
	confirm_expression_free(compiled);
	return compiled != NULL;
}

/* One text of an expression; *text may become another that means the same. */
static enum sa_state check_text(
    struct patterns_import *import, struct sa_expression *e, const char **text)
{
	char why[200] = "";
	struct patterns_expression p = {
		.file = e->file,
		.line = e->line,
		.zone = zone_of(e),
		.flags = sa_pattern_flags(e),
		.header = "",
		.source = *text,
		.len = strlen(*text),
	};
	if (patterns_try(&p, why, sizeof(why)) == 0)
		return SA_COMPILES;
	p.flags |= PATTERN_CONFIRM;
	if (patterns_try(&p, why, sizeof(why)) != 0) {
		const char *apart = sa_anchors_apart(&import->arena, *text, e->flags);
		p.source = apart;
		p.len = apart == NULL ? 0 : strlen(apart);
		if (apart == NULL || p.len > PATTERN_MAX_EXPRESSION ||
		    patterns_try(&p, why, sizeof(why)) != 0) {
			e->why = arena_text(&import->arena, why, strlen(why));
			return SA_REFUSED;
		}
		*text = apart;
	}
	return confirms(import, e, *text) ? SA_CONFIRM : SA_REFUSED;
}

static void check(struct patterns_import *import, struct sa_expression *e)
{
	const char *pieces[SA_PIECES_MAX] = { e->text };
	unsigned n = 1;
	e->state = SA_REFUSED;
	if (e->text == NULL)
		return;
	if (strlen(e->text) > PATTERN_MAX_EXPRESSION) {
		n = sa_split(&import->arena, e->text, pieces, SA_PIECES_MAX);
		e->why = "longer than an expression may be";
	}
	const char **kept = arena_take(&import->arena, SA_PIECES_MAX, sizeof(*kept));
	if (n == 0 || kept == NULL)
		return;
	enum sa_state worst = SA_COMPILES;
	for (unsigned i = 0; i < n && worst != SA_REFUSED; i++) {
		enum sa_state state = check_text(import, e, &pieces[i]);
		worst = state > worst ? state : worst;
		kept[i] = pieces[i];
	}
	e->state = (uint8_t)worst;
	e->text = pieces[0];
	e->more = kept + 1;
	e->n_more = n - 1;
}

void patterns_import_check(
    struct patterns_import *import, void (*progress)(void *, unsigned, unsigned), void *arg)
{
	for (unsigned i = 0; i < import->n_expressions; i++) {
		if (import->expressions[i].state == SA_UNCHECKED)
			check(import, &import->expressions[i]);
		if (import->expressions[i].state == SA_REFUSED && import->expressions[i].why == NULL)
			import->expressions[i].why = "no memory";
		if (progress != NULL)
			progress(arg, i + 1, import->n_expressions);
	}
}

bool sa_matches(const struct sa_expression *e, const char *text)
{
	struct confirm_expression *compiled = NULL;
	struct confirm_room *room = NULL;
	bool matches = false;
	if (e->text != NULL &&
	    confirm_expression_new(e->text, sa_pattern_flags(e), &compiled, NULL, 0) == 0 &&
	    confirm_room_new(&confirm_limits_default, &room) == 0)
		matches =
		    confirm_match(compiled, room, text, strlen(text), NULL, NULL) == CONFIRM_YES;
	confirm_room_free(room);
	confirm_expression_free(compiled);
	return matches;
}
