/* SPDX-License-Identifier: BSD-3-Clause */
/* The cost of expressions: every one measured, the slowest first, the refused ones last. */
#include "compile_patterns.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_order(void **state)
{
	static const char text[] = "body:/the/ name=A\nbody:/(?<!a)b/ name=B\n"
				   "subject:/in/ name=C\nbody:/zzzzqqqq/ name=D\n";
	struct patterns p;
	struct complaints complaints;
	struct patterns_cost costs[4];
	json_t *json = NULL;
	size_t len;
	char *sample = patterns_sample(&len);
	bool seen[4] = { false };

	(void)state;
	assert_non_null(sample);
	assert_in_range(len, 64 * 1024, 65 * 1024);
	patterns_init(&p);
	complaints_init(&complaints);
	assert_int_equal(patterns_parse(&p, "t", NULL, text, strlen(text), &complaints), 0);
	assert_int_equal(patterns_measure(&p, sample, 0, NULL, costs), -EINVAL);
	assert_int_equal(patterns_measure(&p, sample, len, NULL, costs), 0);
	for (unsigned i = 0; i < 4; i++) {
		const char *name = p.rules[p.expressions[costs[i].expression].rule].name;

		seen[costs[i].expression] = true;
		if (i > 0)
			assert_true(costs[i].ns_per_kib <= costs[i - 1].ns_per_kib);
		assert_true((costs[i].ns_per_kib < 0) == (*name == 'B'));
		/* once in a stream; once in each line that has it */
		assert_true(*name != 'A' || costs[i].matches == 1);
		assert_true(*name != 'C' || costs[i].matches > 100);
		assert_true(*name != 'D' || costs[i].matches == 0);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_true(seen[i]);
	assert_int_equal(patterns_cost_report(&p, sample, len, 2, &json, NULL), 0);
	assert_int_equal(json_array_size(json_object_get(json, "slowest")), 2);
	json_decref(json);
	free(sample);
	complaints_fini(&complaints);
	patterns_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
