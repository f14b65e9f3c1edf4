/* SPDX-License-Identifier: BSD-3-Clause */
/* Pattern files: any bytes are read or complained of; what is kept is within its bounds, and metas
 * stand behind what they name. Expressions are not compiled here: that is Hyperscan's. */
#include "fuzz.h"

#include "control/patterns.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct patterns p;
	struct complaints complaints;

	patterns_init(&p);
	complaints_init(&complaints);
	CHECK(patterns_parse(&p, "fuzz", NULL, (const char *)data, len, &complaints) == 0);
	if (patterns_finish(&p, &complaints)) {
		CHECK(p.n_rules <= PATTERN_MAX_RULES && p.n_expressions <= PATTERN_MAX_EXPRESSIONS);
		for (unsigned i = 0; i < p.n_expressions; i++) {
			const struct patterns_expression *e = &p.expressions[i];

			CHECK(e->rule < p.n_rules && e->zone < PATTERN_N_ZONES);
			CHECK(e->len > 0 && e->len <= PATTERN_MAX_EXPRESSION);
			CHECK(e->flags & PATTERN_LITERAL || strlen(e->source) == e->len);
			CHECK((e->zone == PATTERN_FIELD) == (e->header[0] != 0));
		}
		for (unsigned i = 0; i < p.n_rules; i++) {
			const struct patterns_rule *r = &p.rules[i];

			CHECK(strlen(r->name) <= PATTERN_MAX_NAME && r->n_code <= PATTERNS_META_MAX);
			for (unsigned k = 0; k < r->n_code; k++)
				CHECK(r->code[k].op < PATTERN_N_OPS &&
				      (r->code[k].op != PATTERN_OP_RULE ||
					  (unsigned)r->code[k].arg < i));
		}
	} else {
		CHECK(complaints.total > 0);
	}
	complaints_fini(&complaints);
	patterns_fini(&p);
	return 0;
}
