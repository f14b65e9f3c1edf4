/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference vectors of the SipHash paper: key 00..0f, input 00, 00 01, ... */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "siphash.h"

static void reference_vectors(void **state)
{
	uint8_t key[16], in[16];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = in[i] = i;
	assert_true(siphash24(key, in, 0) == 0x726fdb47dd0e0e31u);
	assert_true(siphash24(key, in, 1) == 0x74f839c593dc67fdu);
	assert_true(siphash24(key, in, 8) == 0x93f5f5799a932462u);
	assert_true(siphash24(key, in, 15) == 0xa129ca6149be45e5u);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reference_vectors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
