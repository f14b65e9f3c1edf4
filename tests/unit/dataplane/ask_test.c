/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions under way: late answers, deadlines in order, the bound. */
#include "ask.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static int asker_a, asker_b, asker_c;

static struct ask *table(uint32_t capacity)
{
	struct ask *a;

	assert_int_equal(ask_new(capacity, &a), 0);
	return a;
}

static void an_answer_finds_its_asker_once(void **state)
{
	struct ask *a = table(4);
	uint64_t id;

	(void)state;
	assert_int_equal(ask_open(a, &asker_a, 100, &id), 0);
	assert_int_not_equal(id, 0);
	assert_int_equal(ask_open_count(a), 1);
	assert_ptr_equal(ask_answer(a, id), &asker_a);
	assert_null(ask_answer(a, id));
	assert_int_equal(ask_open_count(a), 0);
	assert_int_equal(ask_next_deadline(a), UINT64_MAX);
	ask_free(a);
}

static void a_late_answer_never_reaches_the_slots_next_asker(void **state)
{
	struct ask *a = table(1);
	uint64_t old, fresh;

	(void)state;
	assert_int_equal(ask_open(a, &asker_a, 100, &old), 0);
	assert_ptr_equal(ask_due(a, 100), &asker_a);
	assert_int_equal(ask_open(a, &asker_b, 200, &fresh), 0);
	assert_null(ask_answer(a, old));
	ask_cancel(a, old);
	assert_ptr_equal(ask_answer(a, fresh), &asker_b);
	ask_free(a);
}

static void deadlines_pass_in_order(void **state)
{
	struct ask *a = table(4);
	uint64_t id;

	(void)state;
	ask_open(a, &asker_b, 200, &id);
	ask_open(a, &asker_c, 300, &id);
	ask_open(a, &asker_a, 100, &id);
	assert_int_equal(ask_next_deadline(a), 100);
	assert_null(ask_due(a, 99));
	assert_ptr_equal(ask_due(a, 250), &asker_a);
	assert_ptr_equal(ask_due(a, 250), &asker_b);
	assert_null(ask_due(a, 250));
	assert_ptr_equal(ask_due(a, 300), &asker_c);
	ask_free(a);
}

static void a_full_table_says_so(void **state)
{
	struct ask *a = table(2);
	uint64_t first, id = 7;

	(void)state;
	assert_int_equal(ask_open(a, &asker_a, 1, &first), 0);
	assert_int_equal(ask_open(a, &asker_b, 2, &id), 0);
	id = 7;
	assert_int_equal(ask_open(a, &asker_c, 3, &id), -ENOBUFS);
	assert_int_equal(id, 7);
	ask_cancel(a, first);
	assert_int_equal(ask_open(a, &asker_c, 3, &id), 0);
	assert_ptr_equal(ask_due(a, 10), &asker_b);
	assert_ptr_equal(ask_due(a, 10), &asker_c);
	assert_null(ask_due(a, 10));
	ask_free(a);
}

static void foreign_ids_and_sizes_are_refused(void **state)
{
	struct ask *a = table(2);

	(void)state;
	assert_null(ask_answer(a, 0));
	assert_null(ask_answer(a, UINT64_MAX));
	ask_free(a);
	assert_int_equal(ask_new(0, &a), -EINVAL);
	assert_int_equal(ask_new(65537, &a), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_finds_its_asker_once),
		cmocka_unit_test(a_late_answer_never_reaches_the_slots_next_asker),
		cmocka_unit_test(deadlines_pass_in_order),
		cmocka_unit_test(a_full_table_says_so),
		cmocka_unit_test(foreign_ids_and_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
