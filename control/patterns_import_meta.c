/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SpamAssassin's meta rules: logic and arithmetic over other rules. A meta is carried over when
 * everything it names is; what is 0 for good (a rule switched off, `meta NAME 0`) stands in it as 0
 * and is not written. Our metas count each rule as 0 or 1, so one that would count the hits of a
 * `tflags multiple` rule, or reckon with the sum that another meta is, needs what is not here; a
 * sum inside is put in as text instead. (Rejected: to drop a missing operand, which makes
 * `A && !B` hit where its author did not want it to.)
 */
#include "patterns_import_rules.h"

#include "patterns.h"

#include "filters/pattern_layout.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NESTING_MAX = PATTERN_META_DEPTH - 2, WALK_MAX = 64, LOGIC_MAX = PATTERNS_LINE_MAX - 256 };

/* From loose to tight. */
enum level { LEVEL_OR, LEVEL_AND, LEVEL_COMPARE, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_VALUE };

struct parser {
	struct patterns_import *import;
	const char *at;
	unsigned depth; /* of parentheses and of metas put in */
	unsigned n_ops;
	bool wrong;    /* not understood, or beyond a bound */
	bool lacking;  /* names what is not here */
	bool reckoned; /* inside parentheses that are reckoned with */
	FILE *out;
	unsigned walk;
};

/* What an operand is worth. */
struct worth {
	bool plain;    /* 0 or 1 */
	bool constant; /* whatever is hit */
	double value;  /* of a constant */
	bool counts;   /* hits of a `multiple` rule beyond the first would change it */
	bool blurred;  /* a sum behind || or &&: Perl gives the operand, we give 0 or 1 */
};

static struct worth parse_level(struct parser *p, enum level level);
static enum sa_carried decide(struct patterns_import *import, struct sa_rule *rule, unsigned walk);

static const char *const operators[LEVEL_VALUE][7] = {
	[LEVEL_OR] = { "||" },
	[LEVEL_AND] = { "&&" },
	[LEVEL_COMPARE] = { ">=", "<=", "==", "!=", ">", "<" },
	[LEVEL_SUM] = { "+", "-" },
	[LEVEL_PRODUCT] = { "*" },
};

static void say(struct parser *p, const char *text)
{
	fputs(text, p->out);
}

static void blanks(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

static const char *take_operator(struct parser *p, enum level level)
{
	blanks(p);
	for (unsigned i = 0; operators[level][i] != NULL; i++) {
		const char *op = operators[level][i];
		if (strncmp(p->at, op, strlen(op)) != 0)
			continue;
		p->at += strlen(op);
		return op;
	}
	return NULL;
}

static struct worth number(struct parser *p)
{
	char *end;
	double value = strtod(p->at, &end);
	char text[32];
	p->at = end;
	if (value < 0 || value > 1000000 || value != (double)(long)value)
		p->wrong = true; /* our numbers are whole */
	else if (snprintf(text, sizeof(text), "%ld", (long)value) > 0)
		say(p, text);
	return (struct worth){ .plain = value == 0 || value == 1, .constant = true, .value = value };
}

/* The logic of another meta, put in as text. */
static struct worth put_in(struct parser *p, const struct sa_rule *rule)
{
	const char *behind = p->at;
	if (++p->depth > NESTING_MAX) {
		p->wrong = true;
		return (struct worth){ 0 };
	}
	say(p, "(");
	p->at = rule->meta;
	struct worth w = parse_level(p, LEVEL_OR);
	say(p, ")");
	p->at = behind;
	p->depth--;
	return w;
}

/* A meta that is a sum or a product: its value may be more than 1. */
static bool is_sum(const struct sa_rule *rule)
{
	return rule->kind == SA_META && strpbrk(rule->meta, "+-*") != NULL;
}

static struct worth name(struct parser *p, bool reckoned)
{
	size_t len = 0;
	while (isalnum((unsigned char)p->at[len]) || p->at[len] == '_')
		len++;
	struct sa_rule *rule = sa_rule_find(p->import, p->at, len);
	p->at += len;
	if (rule == NULL) {
		p->lacking = true;
		return (struct worth){ .plain = true };
	}
	switch (decide(p->import, rule, p->walk + 1)) {
	case SA_FALSE: say(p, "0"); return (struct worth){ .plain = true, .constant = true };
	case SA_WRITTEN: break;
	default: p->lacking = true; return (struct worth){ .plain = true };
	}
	if (reckoned && is_sum(rule))
		return put_in(p, rule);
	say(p, rule->name);
	return (struct worth){ .plain = true, .counts = rule->multiple };
}

static struct worth value(struct parser *p, bool reckoned)
{
	struct worth w = { .plain = true };
	blanks(p);
	if (++p->n_ops > PATTERNS_META_MAX || ++p->depth > NESTING_MAX) {
		p->wrong = true;
		return w;
	}
	if (*p->at == '!') {
		p->at++;
		say(p, "!");
		w = value(p, false);
		w = (struct worth){ .plain = true, .constant = w.constant, .value = w.value == 0 };
	} else if (*p->at == '(') {
		p->at++;
		say(p, "(");
		bool before = p->reckoned;
		p->reckoned = reckoned;
		w = parse_level(p, LEVEL_OR);
		p->reckoned = before;
		blanks(p);
		if (*p->at == ')')
			p->at++;
		else
			p->wrong = true;
		say(p, ")");
	} else if (isdigit((unsigned char)*p->at)) {
		w = number(p);
	} else if (isalpha((unsigned char)*p->at) || *p->at == '_') {
		w = name(p, reckoned);
	} else {
		p->wrong = true;
	}
	p->depth--;
	return w;
}

static double reckon(enum level level, const char *op, double a, double b)
{
	switch (level) {
	case LEVEL_OR: return a != 0 || b != 0;
	case LEVEL_AND: return a != 0 && b != 0;
	case LEVEL_SUM: return *op == '+' ? a + b : a - b;
	case LEVEL_PRODUCT: return a * b;
	default: break;
	}
	if (op[0] == '=')
		return a == b;
	if (op[0] == '!')
		return a != b;
	if (op[0] == '>')
		return op[1] == '=' ? a >= b : a > b;
	return op[1] == '=' ? a <= b : a < b;
}

/* Whether a name here is reckoned with: an arithmetic operator is its neighbour. Read ahead, as
 * the text of an operand is written before its operator is seen. */
static bool reckoned_here(const char *at)
{
	unsigned depth = 0;
	for (; *at != '\0'; at++) {
		if (*at == '(')
			depth++;
		else if (*at == ')' && depth-- == 0)
			return false;
		else if (depth == 0 && strchr("+-*<>=", *at) != NULL)
			return true;
		else if (depth == 0 && (strncmp(at, "&&", 2) == 0 || strncmp(at, "||", 2) == 0))
			return false;
	}
	return false;
}

static struct worth parse_level(struct parser *p, enum level level)
{
	blanks(p);
	struct worth a = level + 1 == LEVEL_VALUE ? value(p, p->reckoned || reckoned_here(p->at))
						  : parse_level(p, level + 1);
	const char *op;
	while (!p->wrong && (op = take_operator(p, level)) != NULL) {
		say(p, " ");
		say(p, op);
		say(p, " ");
		p->n_ops++;
		struct worth b =
		    level + 1 == LEVEL_VALUE ? value(p, true) : parse_level(p, level + 1);
		bool known = a.constant && b.constant;
		if (level == LEVEL_AND)
			known |= (a.constant && a.value == 0) || (b.constant && b.value == 0);
		if (level >= LEVEL_COMPARE && (a.counts || b.counts || a.blurred || b.blurred))
			p->lacking = true;
		a = (struct worth){
			.plain = level <= LEVEL_COMPARE,
			.constant = known,
			.value = known ? reckon(level, op, a.constant ? a.value : 0,
					     b.constant ? b.value : 0)
				       : 0,
			.counts = level < LEVEL_COMPARE && (a.counts || b.counts),
			.blurred = level < LEVEL_COMPARE &&
				   (!a.plain || !b.plain || a.blurred || b.blurred),
		};
	}
	return a;
}

static enum sa_carried decide_meta(
    struct patterns_import *import, struct sa_rule *rule, unsigned walk)
{
	struct parser p = { .import = import, .at = rule->meta, .walk = walk };
	char *text = NULL;
	size_t size = 0;
	enum sa_carried carried = SA_LACKING;
	if (walk > WALK_MAX || rule->seen || (p.out = open_memstream(&text, &size)) == NULL)
		return SA_LACKING; /* a circle */
	rule->seen = true;
	struct worth w = parse_level(&p, LEVEL_OR);
	rule->seen = false;
	blanks(&p);
	p.wrong |= *p.at != '\0';
	if (fclose(p.out) != 0)
		p.wrong = true;
	else if (!p.wrong && w.constant && w.value == 0)
		carried = SA_FALSE;
	else if (!p.wrong && !p.lacking && size <= LOGIC_MAX)
		carried = SA_WRITTEN;
	if (carried == SA_WRITTEN) {
		rule->logic = arena_text(&import->arena, text, size);
		carried = rule->logic == NULL ? SA_LACKING : SA_WRITTEN;
	}
	free(text);
	return carried;
}

static enum sa_carried decide(struct patterns_import *import, struct sa_rule *rule, unsigned walk)
{
	if (rule->carried != SA_UNDECIDED)
		return rule->carried;
	enum sa_carried carried = SA_LACKING;
	const struct sa_expression *e;
	bool scores = strncmp(rule->name, "__", 2) != 0;
	if (rule->kind == SA_NONE || rule->kind == SA_EVAL)
		carried = SA_LACKING;
	else if (scores && rule->has_score && rule->score == 0)
		carried = SA_FALSE;
	else if (rule->kind == SA_META)
		carried = decide_meta(import, rule, walk);
	else if (rule->kind == SA_EXISTS)
		carried = sa_has_header(rule->header) ? SA_WRITTEN : SA_LACKING;
	else if (e = &import->expressions[rule->at], e->state != SA_REFUSED && sa_has_zone(e))
		carried = SA_WRITTEN;
	rule->carried = carried;
	return carried;
}

enum sa_carried sa_decide(struct patterns_import *import, struct sa_rule *rule)
{
	return decide(import, rule, 0);
}
