/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts stay in step with answers, also where the pool is used up. */
#include "asked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct text text(const char *s)
{
	return (struct text){ s, (uint16_t)strlen(s) };
}

static void test_in_step(void **state)
{
	struct asked_queue q = { 0 };
	struct pool pool;
	struct text rcpt;

	(void)state;
	assert_int_equal(pool_init(&pool, sizeof(struct asked), 2), 0);
	assert_false(asked_first(&q, &pool, &rcpt));
	assert_true(asked_push(&q, &pool, text("a@example.org")));
	assert_true(asked_push(&q, &pool, text("b@example.org")));
	assert_false(asked_push(&q, &pool, text("c@example.org")));
	assert_true(asked_first(&q, &pool, &rcpt));
	assert_memory_equal(rcpt.p, "a@", 2);
	asked_drop(&q, &pool); /* a place is free again, but c is not answered yet */
	assert_false(asked_push(&q, &pool, text("d@example.org")));
	assert_true(asked_first(&q, &pool, &rcpt));
	assert_memory_equal(rcpt.p, "b@", 2);
	asked_drop(&q, &pool);
	assert_false(asked_first(&q, &pool, &rcpt)); /* c's */
	asked_drop(&q, &pool);
	asked_drop(&q, &pool); /* d's */
	assert_true(asked_push(&q, &pool, text("e@example.org")));
	assert_true(asked_first(&q, &pool, &rcpt));
	assert_memory_equal(rcpt.p, "e@", 2);
	asked_clear(&q, &pool);
	assert_int_equal(pool.used, 0);
	pool_fini(&pool);
}

static void test_cut(void **state)
{
	struct asked_queue q = { 0 };
	struct pool pool;
	struct text rcpt;
	char name[300];

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_int_equal(pool_init(&pool, sizeof(struct asked), 1), 0);
	assert_true(asked_push(&q, &pool, (struct text){ name, sizeof(name) }));
	assert_true(asked_first(&q, &pool, &rcpt));
	assert_int_equal(rcpt.len, ASKED_TEXT);
	asked_clear(&q, &pool);
	pool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_step),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
