/* SPDX-License-Identifier: BSD-3-Clause */
/* Metas: logic over rules as a stack machine (pattern_layout.h), checked once when a part opens. */
#include "pattern_private.h"

#include <string.h>

bool pattern_code_sound(const struct pattern_code *code, uint32_t n, uint32_t below_rule)
{
	unsigned depth = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t op = code[i].op;

		if (op >= PATTERN_N_OPS)
			return false;
		if (op == PATTERN_OP_RULE && (code[i].arg < 0 || (uint32_t)code[i].arg >= below_rule))
			return false;
		if (op <= PATTERN_OP_RULE) {
			if (++depth > PATTERN_META_DEPTH)
				return false;
		} else if (op == PATTERN_OP_NOT ? depth < 1 : depth < 2) {
			return false;
		} else if (op != PATTERN_OP_NOT) {
			depth--;
		}
	}
	return depth == 1;
}

/* Values wrap like unsigned ones: a hostile part gets nonsense, never undefined behaviour. */
static int32_t binary(uint32_t op, int32_t a, int32_t b)
{
	switch (op) {
	case PATTERN_OP_AND: return a && b;
	case PATTERN_OP_OR: return a || b;
	case PATTERN_OP_ADD: return (int32_t)((uint32_t)a + (uint32_t)b);
	case PATTERN_OP_SUB: return (int32_t)((uint32_t)a - (uint32_t)b);
	case PATTERN_OP_MUL: return (int32_t)((uint32_t)a * (uint32_t)b);
	case PATTERN_OP_GT: return a > b;
	case PATTERN_OP_GE: return a >= b;
	case PATTERN_OP_LT: return a < b;
	case PATTERN_OP_LE: return a <= b;
	case PATTERN_OP_EQ: return a == b;
	default: return a != b;
	}
}

static bool run(const struct pattern_code *code, uint32_t n, const uint64_t *bits)
{
	int32_t stack[PATTERN_META_DEPTH];
	unsigned k = 0;

	for (uint32_t i = 0; i < n; i++) {
		switch (code[i].op) {
		case PATTERN_OP_NUMBER: stack[k++] = code[i].arg; break;
		case PATTERN_OP_RULE: stack[k++] = pattern_bit(bits, (unsigned)code[i].arg); break;
		case PATTERN_OP_NOT: stack[k - 1] = !stack[k - 1]; break;
		default:
			k--;
			stack[k - 1] = binary(code[i].op, stack[k - 1], stack[k]);
			break;
		}
	}
	return stack[0] != 0;
}

void pattern_metas(const struct pattern_set *set, uint64_t *bits)
{
	for (uint32_t i = 0; set->has_metas && i < set->header->n_rules; i++) {
		const struct pattern_rule_row *r = &set->rules[i];

		if (r->flags & PATTERN_RULE_META && run(set->code + r->first_code, r->n_code, bits))
			pattern_bit_set(bits, i);
	}
}

enum which { WITH_ACTION = 1, WITHOUT = 2 };

static void collect(const struct pattern_set *set, const uint64_t *bits, unsigned which,
    struct pattern_hits *ret_hits)
{
	for (unsigned w = 0; w < set->n_words; w++)
		for (uint64_t left = bits[w]; left; left &= left - 1) {
			unsigned rule = w * 64 + (unsigned)__builtin_ctzll(left);

			if (set->rules[rule].flags & PATTERN_RULE_TERM ||
			    !(which & (set->rules[rule].action ? WITH_ACTION : WITHOUT)))
				continue;
			if (ret_hits->n < PATTERN_MAX_HITS)
				ret_hits->rule[ret_hits->n++] = (uint16_t)rule;
			else
				ret_hits->n_more++;
		}
}

void pattern_collect(
    const struct pattern_set *set, const uint64_t *bits, struct pattern_hits *ret_hits)
{
	collect(set, bits, WITH_ACTION | WITHOUT, ret_hits);
	if (ret_hits->n_more == 0)
		return;
	/* too many: none that refuses may be among those left out */
	ret_hits->n = ret_hits->n_more = 0;
	collect(set, bits, WITH_ACTION, ret_hits);
	collect(set, bits, WITHOUT, ret_hits);
}

void pattern_confirmed(const struct pattern_set *set, const uint64_t *hit_bits,
    const uint16_t *confirmed, unsigned n_confirmed, struct pattern_hits *ret_hits)
{
	uint64_t bits[PATTERN_MAX_RULES / 64];

	memcpy(bits, hit_bits, set->n_words * sizeof(*bits));
	for (unsigned i = 0; i < n_confirmed; i++)
		if (confirmed[i] < set->header->n_expressions)
			pattern_bit_set(bits, set->expressions[confirmed[i]].rule);
	pattern_metas(set, bits);
	memset(ret_hits, 0, sizeof(*ret_hits));
	pattern_collect(set, bits, ret_hits);
}
