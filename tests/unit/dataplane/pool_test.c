/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools: every object once, the bound, reuse. */
#include "pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void objects_are_distinct_aligned_and_bounded(void **state)
{
	uint8_t *o[5];
	struct pool p;

	(void)state;
	assert_int_equal(pool_init(&p, 100, 5), 0);
	for (unsigned i = 0; i < 5; i++) {
		o[i] = pool_get(&p);
		assert_non_null(o[i]);
		assert_int_equal((uintptr_t)o[i] % 64, 0);
		memset(o[i], (int)i, 100);
	}
	assert_null(pool_get(&p));
	assert_int_equal(p.used, 5);
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned k = 0; k < 100; k++)
			assert_int_equal(o[i][k], i);
	}
	pool_put(&p, o[3]);
	assert_ptr_equal(pool_get(&p), o[3]);
	assert_null(pool_get(&p));
	pool_fini(&p);
	assert_null(p.memory);
}

static void an_empty_pool_gives_nothing(void **state)
{
	struct pool p;

	(void)state;
	assert_int_equal(pool_init(&p, 8, 0), 0);
	assert_null(pool_get(&p));
	pool_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_distinct_aligned_and_bounded),
		cmocka_unit_test(an_empty_pool_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
