/* SPDX-License-Identifier: BSD-3-Clause */
/* Every variant against the paper's algorithm as siphash.c has it. */
#include "siphash_lanes.h"
#include "siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void lanes_equal_scalar(void **state)
{
	(void)state;
	uint8_t key[16];
	unsigned tried = 0;

	for (unsigned i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	for (unsigned variant = 0; variant < 3; variant++) {
		siphash_lanes_fn *fn = siphash_lanes_variant(variant);
		if (!fn)
			continue; /* this processor lacks it */
		tried++;
		for (unsigned words = 1; words <= 6; words++) {
			uint64_t w[6][SIPHASH_LANES] = { { 0 } }, out[SIPHASH_LANES];
			unsigned len = words * 8 - 1;
			for (unsigned i = 0; i < SIPHASH_LANES; i++) {
				uint8_t msg[48] = { 0 };
				for (unsigned b = 0; b < len; b++)
					msg[b] = (uint8_t)(b * 31 + i);
				msg[len] = (uint8_t)len; /* the padded length word of the paper */
				for (unsigned k = 0; k < words; k++)
					memcpy(&w[k][i], msg + 8 * k, 8);
			}
			fn(key, w, words, SIPHASH_LANES, out);
			for (unsigned i = 0; i < SIPHASH_LANES; i++) {
				uint8_t msg[48];
				for (unsigned b = 0; b < len; b++)
					msg[b] = (uint8_t)(b * 31 + i);
				assert_true(out[i] == siphash24(key, msg, len));
			}
		}
	}
	assert_true(tried >= 1);
	assert_non_null(siphash_lanes_select());
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lanes_equal_scalar) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
