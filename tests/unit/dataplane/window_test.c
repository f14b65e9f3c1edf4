/* SPDX-License-Identifier: BSD-3-Clause */
/* Inspection windows: order, bounds, the reserve for lines, what is given back. */
#include "window.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { EXTENTS = 64, RESERVE = EXTENTS / 8 };

static int setup(void **state)
{
	static struct window_pool wp;

	assert_int_equal(window_pool_init(&wp, (size_t)EXTENTS * EXTENT_SIZE), 0);
	*state = &wp;
	return 0;
}

static int teardown(void **state)
{
	window_pool_fini(*state);
	return 0;
}

static void too_small_a_budget_is_refused(void **state)
{
	struct window_pool wp;

	(void)state;
	assert_int_equal(window_pool_init(&wp, 31 * EXTENT_SIZE), -EINVAL);
}

static void bytes_come_out_in_order_whatever_the_pieces(void **state)
{
	struct window_pool *wp = *state;
	struct window w = { 0 };
	uint8_t piece[1000];
	uint32_t put = 0, got = 0;
	const uint8_t *p;
	size_t n;

	for (unsigned size = 1; size < 1000; size += 97) {
		for (unsigned i = 0; i < size; i++)
			piece[i] = (uint8_t)((put + i) * 7);
		assert_int_equal(window_append(wp, &w, piece, size), size);
		put += size;
	}
	assert_int_equal(w.bytes, put);
	while ((n = window_peek(&w, &p)) > 0) {
		n = n > 333 ? 333 : n;
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], (uint8_t)((got + i) * 7));
		window_consume(wp, &w, n);
		got += (uint32_t)n;
	}
	assert_int_equal(got, put);
	assert_int_equal(w.bytes, 0);
	assert_int_equal(w.extents, 0);
	assert_int_equal(wp->extents.used, 0);
}

static void windows_stop_short_of_the_reserve(void **state)
{
	struct window_pool *wp = *state;
	static uint8_t much[EXTENTS * EXTENT_SIZE];
	struct window w = { 0 };
	struct extent *e;
	size_t taken = window_append(wp, &w, much, sizeof(much));

	assert_int_equal(taken, (size_t)(EXTENTS - RESERVE) * EXTENT_BYTES);
	assert_int_equal(window_pool_left(wp), 0);
	assert_int_equal(window_room(wp, &w), 0);
	assert_int_equal(window_append(wp, &w, much, 1), 0);
	for (unsigned i = 0; i < RESERVE; i++) {
		e = extent_get(wp);
		assert_non_null(e);
		assert_int_equal(e->len, 0);
	}
	assert_null(extent_get(wp));
	window_clear(wp, &w);
	assert_int_equal(wp->extents.used, RESERVE);
}

static void room_is_what_append_takes(void **state)
{
	struct window_pool *wp = *state;
	static uint8_t much[EXTENTS * EXTENT_SIZE];
	struct window a = { 0 }, b = { 0 };

	window_append(wp, &a, much, 5000);
	window_append(wp, &b, much, 100);
	size_t room = window_room(wp, &a);
	assert_int_equal(window_append(wp, &a, much, sizeof(much)), room);
	assert_int_equal(window_room(wp, &b), EXTENT_BYTES - 100);
	window_clear(wp, &a);
	window_clear(wp, &b);
}

static void low_means_below_a_quarter(void **state)
{
	struct window_pool *wp = *state;
	static uint8_t much[EXTENTS * EXTENT_SIZE];
	struct window w = { 0 };
	unsigned quarter = (EXTENTS - RESERVE) / 4;

	assert_false(window_pool_low(wp));
	window_append(wp, &w, much, (size_t)(EXTENTS - RESERVE - quarter) * EXTENT_BYTES);
	assert_false(window_pool_low(wp));
	window_append(wp, &w, much, 1);
	assert_true(window_pool_low(wp));
	window_clear(wp, &w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_small_a_budget_is_refused),
		cmocka_unit_test_setup_teardown(
		    bytes_come_out_in_order_whatever_the_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(windows_stop_short_of_the_reserve, setup, teardown),
		cmocka_unit_test_setup_teardown(room_is_what_append_takes, setup, teardown),
		cmocka_unit_test_setup_teardown(low_means_below_a_quarter, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
