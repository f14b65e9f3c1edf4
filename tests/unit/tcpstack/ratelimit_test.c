/* SPDX-License-Identifier: BSD-3-Clause */
/* Caps and tallies: rate, burst, decay, and what a flood of prefixes can do to them. */
#include "ratelimit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint64_t S = 1000000000u, START = 1700000000ull * 1000000000u;
static const uint8_t key[16] = { 9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 12, 13, 14, 15, 16, 17 };

static void rate_and_burst(void **state)
{
	(void)state;
	struct ratelimit rl;
	unsigned taken = 0;

	assert_int_equal(ratelimit_init(&rl, 16, 100, key), 0);
	for (unsigned i = 0; i < 1000; i++)
		taken += ratelimit_take(&rl, 42, START);
	assert_int_equal(taken, 100);
	for (unsigned ms = 0; ms < 10000; ms++) /* ten seconds of a steady flood: 100 each */
		taken += ratelimit_take(&rl, 42, START + ms * 1000000ull);
	assert_in_range(taken, 1090, 1101);
	assert_true(ratelimit_take(&rl, 43, START));
	ratelimit_fini(&rl);
}

static void a_flood_of_prefixes_resets_nobody(void **state)
{
	(void)state;
	struct ratelimit rl;
	unsigned taken = 0;

	assert_int_equal(ratelimit_init(&rl, 16, 100, key), 0);
	for (uint64_t i = 0; i < 1000000; i++)
		taken += ratelimit_take(&rl, i * 256, START);
	assert_true(taken <= 16 * RATELIMIT_WAYS * 100); /* slots times the cap, whatever comes */
	ratelimit_fini(&rl);
}

static void prefixes(void **state)
{
	(void)state;
	const uint8_t a[4] = { 192, 0, 2, 1 }, b[4] = { 192, 0, 2, 200 }, c[4] = { 192, 0, 3, 1 };
	struct ip_addr x = ip_addr_from_v4(a), y = ip_addr_from_v4(b), z = ip_addr_from_v4(c);
	struct ip_addr p = { { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, q = p, r = p;

	q.b[8] = 7;
	r.b[7] = 7;
	assert_true(prefix_key(&x, true) == prefix_key(&y, true));
	assert_true(prefix_key(&x, true) != prefix_key(&z, true));
	assert_true(prefix_key(&p, false) == prefix_key(&q, false));
	assert_true(prefix_key(&p, false) != prefix_key(&r, false));
}

static void tally_counts_in_windows(void **state)
{
	(void)state;
	struct tally t = { 0 };

	assert_int_equal(tally_init(&t, key), 0);
	uint64_t now = START - START % (10 * S);
	for (unsigned i = 0; i < TALLY_LIMIT; i++)
		tally_add(&t, 5, now);
	assert_false(tally_over(&t, 5, now));
	tally_add(&t, 5, now);
	assert_true(tally_over(&t, 5, now));
	assert_false(tally_over(&t, 6, now));
	assert_true(tally_over(&t, 5, now + 19 * S));
	assert_false(tally_over(&t, 5, now + 20 * S));
	for (unsigned w = 3; w < 6; w++) { /* below the limit in each window: trusted for ever */
		for (unsigned i = 0; i < 900; i++)
			tally_add(&t, 5, now + w * 10 * S);
		assert_false(tally_over(&t, 5, now + w * 10 * S));
	}
	tally_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_and_burst),
		cmocka_unit_test(a_flood_of_prefixes_resets_nobody),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(tally_counts_in_windows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
