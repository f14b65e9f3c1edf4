/* SPDX-License-Identifier: BSD-3-Clause */
#include "arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void takes_zeroed_aligned_and_apart(void **state)
{
	struct arena a;
	unsigned char *last = NULL;
	(void)state;
	arena_init(&a);
	for (size_t size = 1; size < 300000; size = size * 3 + 1) {
		unsigned char *p = arena_take(&a, 1, size);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xa5, size);
		if (last != NULL)
			assert_int_equal(last[0], 0xa5);
		last = p;
	}
	assert_string_equal(arena_text(&a, "mail.example.org", 4), "mail");
	assert_false(a.failed);
	arena_fini(&a);
}

static void refuses_what_overflows(void **state)
{
	struct arena a;
	(void)state;
	arena_init(&a);
	assert_null(arena_take(&a, SIZE_MAX / 2, 3));
	assert_true(a.failed);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_zeroed_aligned_and_apart),
		cmocka_unit_test(refuses_what_overflows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
