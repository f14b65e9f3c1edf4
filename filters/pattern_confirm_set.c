/* SPDX-License-Identifier: BSD-3-Clause */
/* The compile cache of confirmation: each CONFIRM expression of a pattern set (pattern_confirm.h). */
#include "pattern_confirm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct confirm_set {
	unsigned n;
	struct confirm_expression *expressions[]; /* by number of the expression; NULL: none */
};

int confirm_set_new(
    const struct pattern_set *patterns, struct confirm_set **ret_set, char *why, size_t room)
{
	unsigned n = pattern_n_expressions(patterns);
	struct confirm_set *set = calloc(1, sizeof(*set) + n * sizeof(set->expressions[0]));
	if (set == NULL)
		return -ENOMEM;
	set->n = n;
	for (unsigned i = 0; i < n; i++) {
		struct pattern_expression e;
		pattern_expression_get(patterns, i, &e);
		if (!(e.flags & PATTERN_CONFIRM))
			continue;
		char text[160];
		int ret = confirm_expression_new(
		    e.source, e.flags, &set->expressions[i], text, sizeof(text));
		if (ret == 0)
			continue;
		if (ret == -EINVAL) {
			struct pattern_rule rule;
			pattern_rule_get(patterns, e.rule, &rule);
			snprintf(why, room, "%s: %s", rule.name, text);
		}
		confirm_set_free(set);
		return ret;
	}
	*ret_set = set;
	return 0;
}

struct confirm_set *confirm_set_free(struct confirm_set *set)
{
	for (unsigned i = 0; set != NULL && i < set->n; i++)
		confirm_expression_free(set->expressions[i]);
	free(set);
	return NULL;
}

const struct confirm_expression *confirm_set_get(const struct confirm_set *set, unsigned expression)
{
	return expression < set->n ? set->expressions[expression] : NULL;
}
