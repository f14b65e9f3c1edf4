/* SPDX-License-Identifier: BSD-3-Clause */
/* The vectors of the SipHash paper and its reference: key 00..0f, input 00, 01, ... */
#include "siphash.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_vectors(void **state)
{
	uint8_t key[16], in[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		in[i] = (uint8_t)i;
	for (unsigned i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	assert_true(siphash(key, in, 0) == 0x726fdb47dd0e0e31ull);
	assert_true(siphash(key, in, 1) == 0x74f839c593dc67fdull);
	assert_true(siphash(key, in, 8) == 0x93f5f5799a932462ull);
	assert_true(siphash(key, in, 15) == 0xa129ca6149be45e5ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
