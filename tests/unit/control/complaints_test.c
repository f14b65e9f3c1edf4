/* SPDX-License-Identifier: BSD-3-Clause */
#include "complaints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void prints_file_line_column(void **state)
{
	struct complaints c;
	(void)state;
	complaints_init(&c);
	complain(&c, "a.yaml", (struct position){ 12, 3 }, "late %d; allowed: less", 7);
	complain(&c, "a.yaml", (struct position){ 2, 9 }, "early");
	complain(&c, "a.yaml", (struct position){ 0, 0 }, "whole");
	complain(&c, "b.list", (struct position){ 1, 1 }, "other file");
	complaints_sort(&c);
	char *text = complaints_text(&c);
	assert_string_equal(text,
	    "a.yaml: whole\na.yaml:2:9: early\na.yaml:12:3: late 7; allowed: less\n"
	    "b.list:1:1: other file\n");
	free(text);
	json_t *json = complaints_json(&c);
	json_t *first = json_array_get(json_object_get(json, "errors"), 2);
	assert_int_equal(json_integer_value(json_object_get(first, "line")), 12);
	assert_string_equal(json_string_value(json_object_get(first, "file")), "a.yaml");
	assert_int_equal(json_integer_value(json_object_get(json, "total")), 4);
	json_decref(json);
	complaints_fini(&c);
}

static void keeps_a_bounded_number_and_counts_the_rest(void **state)
{
	struct complaints c;
	(void)state;
	complaints_init(&c);
	for (unsigned i = 0; i < COMPLAINTS_MAX + 5; i++)
		complain(&c, "a.yaml", (struct position){ i + 1, 1 }, "bad");
	assert_int_equal(c.n, COMPLAINTS_MAX);
	char *text = complaints_text(&c);
	assert_non_null(strstr(text, "5 more mistakes are not shown\n"));
	free(text);
	complaints_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_file_line_column),
		cmocka_unit_test(keeps_a_bounded_number_and_counts_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
