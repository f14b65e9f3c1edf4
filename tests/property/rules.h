/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of the property: as many as a tally holds, in every zone. The pattern file is made of
 * this table, and so is the oracle, which compiles each expression by itself in block mode.
 */
#ifndef POSTERN_TESTS_PROPERTY_RULES_H
#define POSTERN_TESTS_PROPERTY_RULES_H

#include <stdbool.h>
#include <stdint.h>

enum rule {
	RULE_SUBJECT,
	RULE_FROM,
	RULE_FOLDED,
	RULE_BODY,
	RULE_ACROSS,
	RULE_TEXT,
	RULE_URL,
	RULE_URI,
	RULE_END,
	RULE_DOTTED,
	RULE_GOOD,
	RULE_DEFERS,
	RULE_REFUSES,
	RULE_ENVELOPE,
	N_EXPRESSIONS, /* one a rule; metas behind */
	META_AND_NOT = N_EXPRESSIONS,
	META_SOME,
	RULES
};

struct rule_row {
	const char *name, *zone, *expression, *flags; /* flags as pattern files have them */
	int32_t weight;                               /* hundredths */
	const char *action;                           /* NULL: only scores */
};
extern const struct rule_row rule_rows[RULES]; /* of metas the expression is the logic */

#endif
