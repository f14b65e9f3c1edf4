/* SPDX-License-Identifier: BSD-3-Clause */
/* Cookies as numbers: what they carry, what they do not give away, their timestamps. */
#include "cookie.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t key[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static struct ip_addr addr(bool v4, unsigned n)
{
	uint8_t b[16] = { 0x20, 1, 0xd, 0xb8, [12] = (uint8_t)(n >> 24), (uint8_t)(n >> 16),
		(uint8_t)(n >> 8), (uint8_t)n };

	return v4 ? ip_addr_from_v4(b + 12) : ip_addr_from_v6(b);
}

static void every_index_comes_back(void **state)
{
	(void)state;
	uint64_t h = 0x9e3779b97f4a7c15ull;

	for (unsigned i = 0; i < 10000;
	     i++, h = h * 6364136223846793005ull + 1442695040888963407ull) {
		for (unsigned index = 0; index < COOKIE_INDEXES; index++)
			assert_int_equal(cookie_check(h, cookie_make(h, index)), (int)index);
	}
}

/* Changing the index of a cookie never gives a good one of the other kind. */
static void refuse_and_open_do_not_mix(void **state)
{
	(void)state;
	uint64_t h = 0x9e3779b97f4a7c15ull;

	for (unsigned i = 0; i < 10000;
	     i++, h = h * 6364136223846793005ull + 1442695040888963407ull) {
		for (unsigned c = COOKIE_MSS_INDEXES; c < COOKIE_INDEXES; c++) {
			uint32_t refuse = cookie_make(h, c);
			for (uint32_t low = 0; low < 8; low++) {
				int index = cookie_check(h, (refuse & ~7u) | low);
				int turned = cookie_check(h, (~refuse & ~7u) | low);
				assert_true(index < 0 || index >= COOKIE_MSS_INDEXES);
				assert_true(turned < 0 || turned >= COOKIE_MSS_INDEXES);
				assert_true(index < COOKIE_INDEXES && turned < COOKIE_INDEXES);
			}
		}
	}
}

static void depends_on_everything(void **state)
{
	(void)state;
	struct cookie_keys k;

	cookie_init(&k, key);
	for (unsigned v4 = 0; v4 < 2; v4++) {
		struct ip_addr a = addr(v4, 1), b = addr(v4, 2), c = addr(v4, 3);
		uint64_t h = cookie_hash(&k, k.key, v4, &a, &b, 10, 20, 30, 40);
		assert_true(h == cookie_hash(&k, k.key, v4, &a, &b, 10, 20, 30, 40));
		assert_true(h != cookie_hash(&k, k.key, v4, &c, &b, 10, 20, 30, 40));
		assert_true(h != cookie_hash(&k, k.key, v4, &a, &c, 10, 20, 30, 40));
		assert_true(h != cookie_hash(&k, k.key, v4, &a, &b, 11, 20, 30, 40));
		assert_true(h != cookie_hash(&k, k.key, v4, &a, &b, 10, 21, 30, 40));
		assert_true(h != cookie_hash(&k, k.key, v4, &a, &b, 10, 20, 31, 40));
		assert_true(h != cookie_hash(&k, k.key, v4, &a, &b, 10, 20, 30, 41));
		assert_true((uint32_t)h != cookie_trap(&k, k.key, v4, &a, &b, 10, 20, 30, 40));
	}
}

static void batch_equals_one_by_one(void **state)
{
	(void)state;
	struct cookie_keys k;

	cookie_init(&k, key);
	for (unsigned v4 = 0; v4 < 2; v4++) {
		for (unsigned n = 1; n <= SIPHASH_LANES; n++) {
			struct cookie_batch b;
			struct ip_addr d = addr(v4, 99);
			b.n = 0;
			for (unsigned i = 0; i < n; i++) {
				struct ip_addr s = addr(v4, i);
				cookie_batch_add(&b, v4, &s, &d, (uint16_t)i, 25, i * 7, 5);
			}
			cookie_batch_run(&k, k.key, &b, v4);
			for (unsigned i = 0; i < n; i++) {
				struct ip_addr s = addr(v4, i);
				assert_true(b.hash[i] == cookie_hash(&k, k.key, v4, &s, &d,
							     (uint16_t)i, 25, i * 7, 5));
			}
		}
	}
}

static void guesses_fail(void **state)
{
	(void)state;
	unsigned good = 0;
	uint64_t h = 0x0123456789abcdefull;

	/* 20 million guesses against a 29-bit MAC with 9 ways to be right: 0.3 expected. */
	for (uint32_t i = 0; i < 20000000; i++)
		good += cookie_check(h, i * 2654435761u) >= 0;
	assert_true(good <= 4);
}

static void timestamps_are_only_lowered(void **state)
{
	(void)state;
	bool has_ws, sack;
	uint8_t ws;

	for (uint32_t clock = 0xffffff00u; clock != 0x200; clock++) {
		for (unsigned w = 0; w < 15; w++) {
			uint32_t v = cookie_ts_make(clock, true, w, w & 1);
			assert_true(clock - v < 128);
			assert_true(cookie_ts_read(clock + 100000, v, &has_ws, &ws, &sack));
			assert_true(has_ws && ws == w && sack == (w & 1));
		}
		assert_true(cookie_ts_read(
		    clock, cookie_ts_make(clock, false, 3, true), &has_ws, &ws, &sack));
		assert_true(!has_ws && ws == 0 && sack);
	}
	assert_false(cookie_ts_read(1000, 1001, &has_ws, &ws, &sack));    /* from the future */
	assert_false(cookie_ts_read(200000, 60000, &has_ws, &ws, &sack)); /* older than any cookie */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_index_comes_back),
		cmocka_unit_test(refuse_and_open_do_not_mix),
		cmocka_unit_test(depends_on_everything),
		cmocka_unit_test(batch_equals_one_by_one),
		cmocka_unit_test(guesses_fail),
		cmocka_unit_test(timestamps_are_only_lowered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
