/* SPDX-License-Identifier: BSD-3-Clause */
/* What was learned of recipients: lives, ranks and the bound. */
#include "memory_known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { T0 = 1767225600 };

static const uint32_t life_s[KNOWN_N_STATES] = { 0, 3600, 86400, 30 * 86400 };

static void begin(struct memory_known *k)
{
	assert_int_equal(memory_known_init(k, 32), 0);
	for (unsigned i = 0; i < KNOWN_N_STATES; i++)
		k->life_s[i] = life_s[i];
}

static void test_lives(void **state)
{
	struct memory_known k;

	(void)state;
	begin(&k);
	assert_int_equal(memory_known_get(&k, 1 << 8, life_s, T0), KNOWN_ABSENT);
	assert_int_equal(memory_known_put(&k, 1 << 8, KNOWN_UNKNOWN, T0), KNOWN_ABSENT);
	assert_int_equal(memory_known_put(&k, 2 << 8, KNOWN_KNOWN, T0), KNOWN_ABSENT);
	assert_int_equal(memory_known_get(&k, 1 << 8, life_s, T0 + 3600), KNOWN_UNKNOWN);
	assert_int_equal(memory_known_get(&k, 1 << 8, life_s, T0 + 3601), KNOWN_ABSENT);
	assert_int_equal(memory_known_get(&k, 2 << 8, life_s, T0 + 3601), KNOWN_KNOWN);
	/* a mailbox that was made since */
	assert_int_equal(memory_known_put(&k, 1 << 8, KNOWN_KNOWN, T0 + 60), KNOWN_UNKNOWN);
	assert_int_equal(memory_known_get(&k, 1 << 8, life_s, T0 + 4000), KNOWN_KNOWN);
	assert_true(memory_known_remove(&k, 1 << 8));
	assert_false(memory_known_remove(&k, 1 << 8));
	assert_int_equal(memory_known_get(&k, 1 << 8, life_s, T0 + 60), KNOWN_ABSENT);
	assert_int_equal(k.used[KNOWN_KNOWN], 1);
	memory_known_fini(&k);
}

/* A flood of names that are not there displaces none that is; at the bound it is not kept. */
static void test_known_stay(void **state)
{
	struct memory_known k;

	(void)state;
	begin(&k);
	for (uint64_t i = 1; i <= 3; i++) /* three of the four places of bucket 0 */
		memory_known_put(&k, i << 8, KNOWN_KNOWN, T0);
	for (uint64_t i = 100; i < 10100; i++)
		memory_known_put(&k, i << 8, KNOWN_UNKNOWN, T0 + 1);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(memory_known_get(&k, i << 8, life_s, T0 + 2), KNOWN_KNOWN);
	assert_int_equal(k.displaced, 9999);
	memory_known_put(&k, 4 << 8, KNOWN_KNOWN, T0 + 2);
	memory_known_put(&k, 5 << 8, KNOWN_UNKNOWN, T0 + 2);
	assert_int_equal(memory_known_get(&k, 5 << 8, life_s, T0 + 2), KNOWN_ABSENT);
	assert_int_equal(k.not_kept, 1);
	/* of equals the oldest goes */
	memory_known_put(&k, 6 << 8, KNOWN_KNOWN, T0 + 3);
	assert_int_equal(memory_known_get(&k, 1 << 8, life_s, T0 + 3), KNOWN_ABSENT);
	assert_int_equal(k.used[KNOWN_KNOWN], 4);
	memory_known_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_known_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
