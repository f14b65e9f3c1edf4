/* SPDX-License-Identifier: BSD-3-Clause */
/* Pattern text to a part, by the real compiler; and noise that looks like mail. */
#ifndef POSTERN_TESTS_PATTERN_PART_H
#define POSTERN_TESTS_PATTERN_PART_H

#include "control/compile_patterns.h"
#include "pattern_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static inline void *part_make(const char *text, size_t *ret_len)
{
	struct patterns p;
	struct complaints complaints;
	struct patterns_report report;
	void *part = NULL;

	patterns_init(&p);
	complaints_init(&complaints);
	assert_int_equal(patterns_parse(&p, "t", NULL, text, strlen(text), &complaints), 0);
	patterns_finish(&p, &complaints);
	assert_int_equal(patterns_compile(&p, NULL, &complaints, &part, ret_len, &report), 0);
	if (complaints.total)
		complaints_print(&complaints, stderr);
	assert_int_equal(complaints.total, 0);
	complaints_fini(&complaints);
	patterns_fini(&p);
	return part;
}

static inline struct pattern_set *set_make(const char *text, void **ret_part)
{
	struct pattern_set *set = NULL;
	const char *error = NULL;
	size_t len;

	*ret_part = part_make(text, &len);
	if (pattern_open(*ret_part, len, &set, &error) < 0)
		fail_msg("%s", error);
	return set;
}

/* Names of what was hit, with blanks between. */
static inline const char *hit_names(const struct pattern_set *set, const struct pattern_hits *hits)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	assert_false(hits->failed);
	for (unsigned i = 0; i < hits->n; i++) {
		struct pattern_rule r;

		pattern_rule_get(set, hits->rule[i], &r);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "", r.name);
	}
	return text;
}

#endif
