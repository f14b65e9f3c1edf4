/* SPDX-License-Identifier: BSD-3-Clause */
/* The timing wheel against a plain list, over jumps from a microsecond to days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "timer.h"

#include <stdlib.h>

enum { N = 2000 };

static const uint64_t start_ns = 1700000000ull * 1000000000ull;

static uint64_t rng = 88172645463325252u;

static uint64_t next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void fires_in_order_never_early_and_in_time(void **state)
{
	struct wheel *w = malloc(sizeof(*w));
	struct stack_timer *t = calloc(N, sizeof(*t));
	uint64_t now_ns = start_ns;
	unsigned fired = 0, armed = 0;

	(void)state;
	wheel_init(w, now_ns);
	for (unsigned step = 0; step < 60000; step++) {
		unsigned i = (unsigned)(next_random() % N);
		struct stack_timer *f;
		uint64_t next, last_ns = 0;

		/* spans of every magnitude up to 24 h */
		wheel_set(w, &t[i], now_ns + next_random() % (1ull << (20 + next_random() % 27)));
		armed++;
		if (next_random() % 8 == 0)
			wheel_cancel(w, &t[next_random() % N]);
		next = wheel_next(w);
		for (unsigned k = 0; step % 1000 == 0 && k < N; k++) {
			if (t[k].link) /* never late */
				assert_true(next <= t[k].deadline_ns + (1u << WHEEL_SHIFT));
		}
		now_ns += next_random() % (1ull << (10 + next_random() % (step % 3000 ? 20 : 36)));
		while ((f = wheel_pop(w, now_ns)) != NULL) {
			assert_true(f->deadline_ns <= now_ns);
			assert_null(f->link);
			assert_true(f->deadline_ns + 1000000 > last_ns);
			last_ns = f->deadline_ns;
			fired++;
		}
		if (step % 500 == 0)
			for (unsigned k = 0; k < N; k++) /* nothing due was left */
				assert_false(
				    t[k].link && t[k].deadline_ns + (1u << WHEEL_SHIFT) <= now_ns);
	}
	assert_true(fired > 1000 && armed > fired);
	for (unsigned k = 0; k < N; k++)
		wheel_cancel(w, &t[k]);
	assert_int_equal(w->clock.armed, 0);
	assert_true(wheel_next(w) == UINT64_MAX);
	free(t);
	free(w);
}

static void cancel_and_re_arm(void **state)
{
	struct wheel *w = malloc(sizeof(*w));
	struct stack_timer a = { 0 }, b = { 0 };

	(void)state;
	wheel_init(w, start_ns);
	wheel_cancel(w, &a); /* not armed: allowed */
	wheel_set(w, &a, start_ns + 5000000);
	wheel_set(w, &b, start_ns + 5000000);
	wheel_set(w, &a, start_ns + 90000000000);
	assert_ptr_equal(wheel_pop(w, start_ns + 6000000), &b);
	assert_null(wheel_pop(w, start_ns + 6000000));
	assert_null(wheel_pop(w, start_ns + 89990000000));
	assert_ptr_equal(wheel_pop(w, start_ns + 90001000000), &a);
	wheel_set(w, &a, start_ns); /* long past: at once */
	assert_true(wheel_next(w) <= start_ns + 90001000000);
	assert_ptr_equal(wheel_pop(w, start_ns + 90001000000), &a);
	free(w);
}

static void index_wheel_agrees(void **state)
{
	struct element {
		uint64_t other;
		struct index_timer timer;
	} *e = calloc(N + 1, sizeof(*e));
	struct index_wheel *w = malloc(sizeof(*w));
	uint64_t now_ns = start_ns;
	unsigned fired = 0;

	(void)state;
	index_wheel_init(w, &e[0].timer, sizeof(*e), now_ns);
	for (unsigned step = 0; step < 60000; step++) {
		uint32_t i = 1 + (uint32_t)(next_random() % N), f;
		uint64_t span = next_random() % (1ull << (20 + next_random() % 27));

		index_wheel_set(w, i, (uint32_t)wheel_tick(now_ns + span));
		if (next_random() % 8 == 0)
			index_wheel_cancel(w, 1 + (uint32_t)(next_random() % N));
		now_ns += next_random() % (1ull << (10 + next_random() % (step % 3000 ? 20 : 36)));
		while ((f = index_wheel_pop(w, now_ns)) != 0) {
			assert_int_equal(e[f].timer.tick, 0);
			fired++;
		}
		if (step % 500 == 0) {
			uint32_t tick = (uint32_t)(now_ns >> WHEEL_SHIFT);

			assert_true(wheel_clock_next(&w->clock) > now_ns);
			for (uint32_t k = 1; k <= N; k++) /* nothing due was left */
				assert_false(
				    e[k].timer.tick && (int32_t)(tick - e[k].timer.tick) >= 0);
		}
	}
	assert_true(fired > 1000);
	for (uint32_t k = 1; k <= N; k++)
		index_wheel_cancel(w, k);
	assert_int_equal(w->clock.armed, 0);
	free(w);
	free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_in_order_never_early_and_in_time),
		cmocka_unit_test(cancel_and_re_arm),
		cmocka_unit_test(index_wheel_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
