/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes of shaping are held to their bounds, whatever an image says. */
#include "policy_check_shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct policy_class good = {
	.pace_bytes = 1, .pace_ms = 1000, .stutter_ms = 10000, .window_bytes = SHAPE_WINDOW_MIN
};

static const char *check(const struct policy_class *c, uint32_t n, uint8_t teaser)
{
	struct policy_shape shape = { .n_classes = n, .teaser = teaser };

	for (unsigned i = 0; i < POLICY_MAX_CLASSES; i++)
		shape.classes[i] = *c;
	return policy_check_shape(&shape, 1);
}

static void what_is_in_bounds_passes(void **state)
{
	struct policy_class c = good;

	(void)state;
	assert_null(check(&good, 0, 0));
	assert_null(check(&good, POLICY_MAX_CLASSES, 1));
	c.pace_ms = SHAPE_PACE_MS_MAX;
	c.pace_bytes = 65535;
	c.stutter_ms = SHAPE_STUTTER_MS_MAX;
	assert_null(check(&c, 1, 1));
	c = (struct policy_class){ .from_score = -1000000 }; /* a class that shapes nothing */
	assert_null(check(&c, 1, 1));
}

static void what_is_not_is_named(void **state)
{
	struct policy_class c;

	(void)state;
	assert_non_null(check(&good, POLICY_MAX_CLASSES + 1, 0));
	assert_non_null(check(&good, 1, 2));
#define BAD(field, value)                                                                          \
	c = good;                                                                                  \
	c.field = (value);                                                                         \
	assert_non_null(check(&c, POLICY_MAX_CLASSES, 0))
	BAD(name, 1);
	BAD(pace_bytes, 65536);
	BAD(pace_ms, 0);
	BAD(pace_ms, SHAPE_PACE_MS_MIN - 1);
	BAD(pace_ms, SHAPE_PACE_MS_MAX + 1);
	BAD(stutter_ms, SHAPE_STUTTER_MS_MAX + 1);
	BAD(window_bytes, SHAPE_WINDOW_MIN - 1);
	BAD(window_bytes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_bounds_passes),
		cmocka_unit_test(what_is_not_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
