/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum against its definition, at every length and alignment. */
#include "checksum.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint16_t by_definition(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void equals_the_definition(void **state)
{
	(void)state;
	uint8_t b[1600];

	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 197 + 13);
	for (size_t off = 0; off < 8; off++) {
		for (size_t len = 0; len < 1590; len++)
			assert_int_equal(be16toh(csum_fold(csum_add(0, b + off, len))),
			    by_definition(b + off, len));
	}
	memset(b, 0xff, sizeof(b));
	assert_int_equal(csum_fold(csum_add(0, b, 1600)), 0xffff);
	assert_int_equal(csum_fold(csum_words(0, b, 400)), 0xffff);
}

static void rfc_1071_example(void **state)
{
	(void)state;
	const uint8_t b[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	assert_int_equal(be16toh(csum_fold(csum_add(0, b, 8))), 0xddf2);
	assert_int_equal(be16toh(csum_finish(csum_words(0, b, 2))), 0x220d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_the_definition),
		cmocka_unit_test(rfc_1071_example),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
