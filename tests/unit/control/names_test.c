/* SPDX-License-Identifier: BSD-3-Clause */
#include "names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static struct config_value value(const char *text, unsigned line)
{
	return (struct config_value){ .pos = { line, 5 }, .given = true, .text = text };
}

static void finds_duplicates_and_references(void **state)
{
	struct config_value values[4];
	struct complaints complaints;
	struct arena arena;
	struct names names;
	(void)state;
	arena_init(&arena);
	complaints_init(&complaints);
	values[0] = value("main", 1);
	values[1] = value("aux", 2);
	values[2] = value("main", 3);
	assert_true(names_init(&names, &arena, 4));
	for (size_t i = 0; i < 3; i++)
		names_add(&names, &values[i], values[i].text, i);
	names_sort(&names, "pools.name", "a.yaml", &complaints);
	assert_int_equal(names_find(&names, "main"), 0);
	assert_int_equal(names_find(&names, "aux"), 1);
	assert_int_equal(names_find(&names, "zzz"), -1);
	values[3] = value("zzz", 9);
	assert_int_equal(
	    names_resolve(&names, &values[3], "domains.pool", "pool", "a.yaml", &complaints), -1);
	char *text = complaints_text(&complaints);
	assert_string_equal(text,
	    "a.yaml:3:5: pools.name: \"main\" is taken; allowed: each once (the first is in line "
	    "1)\n"
	    "a.yaml:9:5: domains.pool: there is no pool \"zzz\"; allowed: aux, main, main\n");
	free(text);
	complaints_fini(&complaints);
	arena_fini(&arena);
}

static void a_name_that_could_not_be_read_is_not_missed(void **state)
{
	struct config_value bad = { .text = "" }, reference = value("main", 2);
	struct complaints complaints;
	struct arena arena;
	struct names names;
	(void)state;
	arena_init(&arena);
	complaints_init(&complaints);
	assert_true(names_init(&names, &arena, 1));
	names_add(&names, &bad, "", 0);
	names_sort(&names, "pools.name", "a.yaml", &complaints);
	assert_int_equal(
	    names_resolve(&names, &reference, "domains.pool", "pool", "a.yaml", &complaints), -1);
	assert_int_equal(complaints.total, 0);
	complaints_fini(&complaints);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_duplicates_and_references),
		cmocka_unit_test(a_name_that_could_not_be_read_is_not_missed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
