/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts of addresses and prefixes, what a full table does, and the minute's window. */
#include "sources.h"

#include "fixture.h"

static const uint8_t key[16] = { 42 };
#define SECOND 1000000000ull

static void client(uint8_t out[16], bool v4, uint32_t network, uint32_t host)
{
	if (v4) {
		client4(out, 0x0a000000 | network << 8 | host);
	} else {
		client6(out, (uint16_t)network, (uint16_t)host);
		out[6] = (uint8_t)(network >> 16);
	}
}

static void check_counts(bool v4)
{
	struct sources *s = sources_new(1024, key);
	struct source_counts c;
	uint8_t a[16], b[16], far[16];

	client(a, v4, 1, 1);
	client(b, v4, 1, 2);
	client(far, v4, 2, 1);
	assert_true(sources_open(s, a, SECOND, &c));
	assert_int_equal(c.connections, 1);
	assert_int_equal(c.rate, 1);
	assert_int_equal(c.prefix_connections, 1);
	assert_true(sources_open(s, a, SECOND, &c));
	assert_int_equal(c.connections, 2);
	assert_true(sources_open(s, b, SECOND, &c));
	assert_int_equal(c.connections, 1);
	assert_int_equal(c.prefix_connections, 3);
	assert_true(sources_open(s, far, SECOND, &c));
	assert_int_equal(c.prefix_connections, 1);
	sources_close(s, a);
	sources_close(s, a);
	assert_true(sources_open(s, a, 2 * SECOND, &c));
	assert_int_equal(c.connections, 1);
	assert_int_equal(c.rate, 3); /* those that closed are of the minute, too */
	assert_int_equal(c.prefix_connections, 2);
	sources_free(s);
}

static void test_counts(void **state)
{
	(void)state;
	check_counts(true);
	check_counts(false);
}

/* 50 to 60 seconds: never less, never more. */
static void test_rate_window(void **state)
{
	(void)state;
	for (unsigned offset = 0; offset < 40; offset++) {
		struct sources *s = sources_new(64, key);
		struct source_counts c;
		uint64_t start = 1700000000 * SECOND;
		uint8_t a[16], b[16];

		client4(a, 1);
		client4(b, 2);
		sources_open(s, b, start, &c); /* the table's time begins anywhere */
		start += offset * SECOND / 4;
		for (unsigned i = 0; i < 5; i++)
			sources_open(s, a, start, &c);
		assert_int_equal(c.rate, 5);
		sources_open(s, a, start + 49 * SECOND, &c);
		assert_int_equal(c.rate, 6);
		sources_open(s, a, start + 60 * SECOND, &c);
		assert_int_equal(c.rate, 2);
		sources_open(s, a, start + 3600 * SECOND, &c);
		assert_int_equal(c.rate, 1);
		sources_open(s, a, start, &c); /* a clock that goes back breaks nothing */
		assert_int_equal(c.rate, 2);
		sources_free(s);
	}
}

/* All places taken by open connections: newcomers are first-timers, and closing them is not called
 * for; places given free are taken again. */
static void check_full(bool v4)
{
	struct sources *s = sources_new(64, key);
	struct source_counts c;
	bool tracked[4096];
	unsigned n = 0;
	uint8_t a[16];

	for (unsigned i = 0; i < 4096; i++) {
		client(a, v4, i, 1);
		tracked[i] = sources_open(s, a, i * SECOND, &c);
		n += tracked[i];
		if (!tracked[i]) {
			assert_int_equal(c.connections, 1);
			assert_int_equal(c.rate, 1);
			assert_int_equal(c.prefix_connections, 1);
			assert_int_equal(c.window_bytes, 0);
			assert_int_equal(sources_window(s, a, 100), 0);
		}
	}
	assert_in_range(n, 32, 64);
	for (unsigned i = 0; i < 4096; i++) /* those that are tracked still are */
		if (tracked[i]) {
			client(a, v4, i, 1);
			assert_true(sources_open(s, a, 4096 * SECOND, &c));
			assert_int_equal(c.connections, 2);
			sources_close(s, a);
			sources_close(s, a);
		}
	for (unsigned i = 5000; i < 5100; i++) {
		client(a, v4, i, 1);
		assert_true(sources_open(s, a, 4097 * SECOND, &c));
		assert_int_equal(c.connections, 1);
		sources_close(s, a);
	}
	sources_free(s);
}

static void test_full(void **state)
{
	(void)state;
	check_full(true);
	check_full(false);
}

/* The idle entry seen longest ago goes first: one that comes every second is never forgotten. */
static void test_oldest_idle_goes(void **state)
{
	struct sources *s = sources_new(64, key);
	struct source_counts c;
	uint8_t a[16], b[16];

	(void)state;
	client4(a, 0x01020304);
	for (unsigned i = 0; i < 2000; i++) {
		sources_open(s, a, i * SECOND, &c);
		assert_int_equal(c.connections, 1);
		assert_in_range(c.rate, i < 50 ? i + 1 : 50, 60);
		sources_close(s, a);
		client4(b, 0x0a000000 + i * 256);
		sources_open(s, b, i * SECOND, &c);
		sources_close(s, b);
	}
	sources_free(s);
}

static void test_window(void **state)
{
	struct sources *s = sources_new(64, key);
	struct source_counts c;
	uint8_t a[16];

	(void)state;
	client6(a, 1, 1);
	assert_int_equal(sources_window(s, a, 100), 0); /* untracked */
	sources_open(s, a, 0, &c);
	assert_int_equal(sources_window(s, a, 100), 100);
	assert_int_equal(sources_window(s, a, 50), 150);
	sources_open(s, a, 0, &c);
	assert_int_equal(c.window_bytes, 150);
	assert_int_equal(sources_window(s, a, -150), 0);
	assert_int_equal(sources_window(s, a, -1), 0); /* never below */
	sources_window(s, a, 77);
	sources_close(s, a);
	sources_close(s, a);
	sources_close(s, a); /* one too many harms nothing */
	sources_open(s, a, 0, &c);
	assert_int_equal(c.window_bytes, 0);
	assert_int_equal(c.connections, 1);
	sources_free(s);
}

/* Good history is remembered while the source is, and such sources are forgotten last. */
static void test_good_history(void **state)
{
	struct sources *s = sources_new(64, key);
	struct source_counts counts;
	uint8_t good[16], other[16];
	unsigned kept = 0;

	(void)state;
	for (uint32_t i = 0; i < 16; i++) {
		client4(good, 0x0a000001 + (i << 8));
		assert_true(sources_open(s, good, 1000, &counts));
		assert_false(counts.good);
		sources_praise(s, good);
		sources_close(s, good);
	}
	for (uint32_t i = 0; i < 5000; i++) { /* a flood of sources without any */
		client4(other, 0x0b000001 + (i << 8));
		if (sources_open(s, other, 1000000000ull * i, &counts))
			sources_close(s, other);
		assert_false(sources_good(s, other));
	}
	for (uint32_t i = 0; i < 16; i++) {
		client4(good, 0x0a000001 + (i << 8));
		kept += sources_good(s, good);
	}
	assert_true(kept >= 14); /* a bucket of eight may hold more than eight good ones */
	sources_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_rate_window),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_oldest_idle_goes),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_good_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
