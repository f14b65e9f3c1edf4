/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The logic of metas: a recursive descent over C's precedences, straight to stack code. Bounded in
 * operations and nesting, so that no file can make the reader or the worker's evaluator deep.
 */
#include "patterns_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct logic {
	struct patterns_line *l;
	struct pattern_code code[PATTERNS_META_MAX];
	unsigned n, depth; /* operations; values on the stack */
	unsigned nesting;
};

/* Binary operators, the loosest first; longer spellings before their beginnings. */
static const struct {
	char text[3];
	uint8_t level;
	uint8_t op;
} operators[] = {
	{ "||", 0, PATTERN_OP_OR },
	{ "&&", 1, PATTERN_OP_AND },
	{ "==", 2, PATTERN_OP_EQ },
	{ "!=", 2, PATTERN_OP_NE },
	{ ">=", 3, PATTERN_OP_GE },
	{ "<=", 3, PATTERN_OP_LE },
	{ ">", 3, PATTERN_OP_GT },
	{ "<", 3, PATTERN_OP_LT },
	{ "+", 4, PATTERN_OP_ADD },
	{ "-", 4, PATTERN_OP_SUB },
	{ "*", 5, PATTERN_OP_MUL },
};
enum { LEVELS = 6, N_OPERATORS = sizeof(operators) / sizeof(operators[0]) };

static bool emit(struct logic *g, uint32_t op, int32_t arg)
{
	if (g->n == PATTERNS_META_MAX)
		return patterns_wrong(g->l, "meta: more than %d operations", PATTERNS_META_MAX);
	if (op <= PATTERN_OP_RULE) {
		if (++g->depth > PATTERN_META_DEPTH)
			return patterns_wrong(g->l,
			    "meta: more than %d values at once; write it flatter",
			    PATTERN_META_DEPTH);
	} else if (op != PATTERN_OP_NOT) {
		g->depth--;
	}
	g->code[g->n++] = (struct pattern_code){ op, arg };
	return true;
}

static bool binary(struct logic *g, unsigned level);

static bool unary(struct logic *g)
{
	struct patterns_line *l = g->l;
	const char *word;
	size_t n;
	bool good;

	patterns_blank(l);
	if (l->at == l->end)
		return patterns_wrong(
		    l, "meta: the logic ends early; a name or a number is missing");
	if (++g->nesting > PATTERN_META_DEPTH)
		return patterns_wrong(l, "meta: nested deeper than %d", PATTERN_META_DEPTH);
	if (*l->at == '!') {
		l->at++;
		good = unary(g) && emit(g, PATTERN_OP_NOT, 0);
	} else if (*l->at == '(') {
		l->at++;
		good = binary(g, 0);
		if (good) {
			patterns_blank(l);
			if (l->at == l->end || *l->at != ')')
				good = patterns_wrong(l, "meta: a ) is missing");
			else
				l->at++;
		}
	} else if (isdigit((unsigned char)*l->at)) {
		int32_t value = 0;

		while (l->at < l->end && isdigit((unsigned char)*l->at) && value < 1000000)
			value = value * 10 + (*l->at++ - '0');
		good = emit(g, PATTERN_OP_NUMBER, value);
	} else if ((n = patterns_word(l, &word)) > 0) {
		uint32_t rule = patterns_rule(l, word, n);

		good = rule != UINT32_MAX && emit(g, PATTERN_OP_RULE, (int32_t)rule);
	} else {
		good = patterns_wrong(l, "meta: \"%c\" is neither name, number, ! nor (",
		    isprint((unsigned char)*l->at) ? *l->at : '?');
	}
	g->nesting--;
	return good;
}

static int operator_at(const struct patterns_line *l, unsigned level)
{
	for (unsigned i = 0; i < N_OPERATORS; i++) {
		size_t n = strlen(operators[i].text);

		if ((size_t)(l->end - l->at) >= n && memcmp(l->at, operators[i].text, n) == 0)
			return operators[i].level == level ? (int)i : -1;
	}
	return -1;
}

static bool binary(struct logic *g, unsigned level)
{
	int i;

	if (level == LEVELS)
		return unary(g);
	if (!binary(g, level + 1))
		return false;
	while (patterns_blank(g->l), (i = operator_at(g->l, level)) >= 0) {
		g->l->at += strlen(operators[i].text);
		if (!binary(g, level + 1) || !emit(g, operators[i].op, 0))
			return false;
	}
	return true;
}

bool patterns_logic(struct patterns_line *l, uint32_t rule)
{
	struct logic g = { .l = l };
	struct pattern_code *code;

	if (!binary(&g, 0))
		return false;
	code = arena_take(&l->p->arena, g.n, sizeof(*code));
	if (!code)
		return patterns_wrong(l, "no memory");
	memcpy(code, g.code, g.n * sizeof(*code));
	l->p->rules[rule].code = code; /* rules[] may have moved while names were read */
	l->p->rules[rule].n_code = g.n;
	return true;
}

/* ---- the order of rules: plain ones as they came, then each meta behind those it names ---- */

enum { WHITE, GREY, BLACK };

struct order {
	struct patterns *p;
	struct complaints *complaints;
	uint32_t *place; /* new index by old */
	uint8_t *colour;
	uint32_t next;
	bool good;
};

/* Depth is bounded by a stack of its own: a chain of 8,192 metas is legal. */
static void place_meta(struct order *o, uint32_t first, uint32_t *stack, uint32_t *step)
{
	unsigned n = 0;

	stack[n] = first;
	step[n++] = 0;
	o->colour[first] = GREY;
	while (n > 0) {
		const struct patterns_rule *r = &o->p->rules[stack[n - 1]];
		uint32_t i = step[n - 1]++, to;

		if (i == r->n_code) {
			o->colour[stack[--n]] = BLACK;
			o->place[stack[n]] = o->next++;
			continue;
		}
		if (r->code[i].op != PATTERN_OP_RULE)
			continue;
		to = (uint32_t)r->code[i].arg;
		if (!o->p->rules[to].defined) {
			complain(o->complaints, r->file, (struct position){ r->line, 1 },
			    "meta %s: no expression or meta is named %s", r->name,
			    o->p->rules[to].name);
			o->good = false;
		} else if (o->colour[to] == GREY) {
			complain(o->complaints, r->file, (struct position){ r->line, 1 },
			    "meta %s: names itself by way of %s", r->name, o->p->rules[to].name);
			o->good = false;
		} else if (o->colour[to] == WHITE && o->p->rules[to].meta) {
			o->colour[to] = GREY;
			stack[n] = to;
			step[n++] = 0;
		}
	}
}

bool patterns_finish(struct patterns *p, struct complaints *complaints)
{
	struct order o = { .p = p, .complaints = complaints, .good = true };
	size_t n = p->n_rules ? p->n_rules : 1;
	struct patterns_rule *rules = calloc(n, sizeof(*rules));
	uint32_t *stack = calloc(n, sizeof(*stack)), *step = calloc(n, sizeof(*step));

	o.place = calloc(n, sizeof(*o.place));
	o.colour = calloc(n, 1);
	if (!rules || !stack || !step || !o.place || !o.colour) {
		complain(complaints, "patterns", (struct position){ 0 }, "no memory");
		o.good = false;
		goto out;
	}
	for (uint32_t i = 0; i < p->n_rules; i++)
		if (!p->rules[i].meta)
			o.place[i] = o.next++;
	for (uint32_t i = 0; i < p->n_rules; i++)
		if (p->rules[i].meta && o.colour[i] == WHITE)
			place_meta(&o, i, stack, step);
	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct patterns_rule *r = &p->rules[i];

		if (!r->defined && (r->has_weight || r->has_action)) {
			complain(complaints, r->file, (struct position){ r->line, 1 },
			    "no expression or meta is named %s", r->name);
			o.good = false;
		}
	}
	if (!o.good)
		goto out;
	for (uint32_t i = 0; i < p->n_rules; i++)
		rules[o.place[i]] = p->rules[i];
	if (p->n_rules > 0)
		memcpy(p->rules, rules, p->n_rules * sizeof(*rules));
	for (uint32_t i = 0; i < p->n_rules; i++)
		for (unsigned k = 0; k < p->rules[i].n_code; k++)
			if (p->rules[i].code[k].op == PATTERN_OP_RULE)
				p->rules[i].code[k].arg = (int32_t)o.place[p->rules[i].code[k].arg];
	for (uint32_t i = 0; i < p->n_expressions; i++)
		p->expressions[i].rule = o.place[p->expressions[i].rule];
	for (uint32_t i = 0; i < p->n_slots; i++)
		if (p->slots[i])
			p->slots[i] = o.place[p->slots[i] - 1] + 1;
out:
	free(rules);
	free(stack);
	free(step);
	free(o.place);
	free(o.colour);
	return o.good && !p->arena.failed;
}
