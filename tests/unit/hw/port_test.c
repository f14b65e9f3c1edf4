/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames through a real DPDK port (net_ring0 gives back what it is sent), without huge pages. */
#include "hw_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *const eal[] = { "--no-huge", "-m", "256", "--lcores=0@0,1@0,2@0" };
static struct hw *hw;

static int open_port(void **state)
{
	const struct hw_port_request port = { "outside", "net_ring0", 1500, 0 };
	char *error = NULL;

	(void)state;
	if (hw_open("port_test", eal, 4, &port, 1, 2, &hw, &error) != 0) {
		print_error("%s\n", error);
		return -1;
	}
	return 0;
}

static int close_port(void **state)
{
	(void)state;
	hw = hw_close(hw);
	return 0;
}

static unsigned fill(struct frame *frames, unsigned n, unsigned worker)
{
	for (unsigned i = 0; i < n; i++) {
		if (!hw_alloc(hw, worker, 0, &frames[i]))
			return i;
		frames[i].len = (uint16_t)(60 + i % 1000);
		memset(frames[i].data, (int)i, frames[i].len);
	}
	return n;
}

static void info_is_told(void **state)
{
	const struct hw_port_info *info = hw_port(hw, 0);

	(void)state;
	assert_int_equal(info->queues, 2);
	assert_true(info->is_virtual);
	assert_int_equal(info->tx_caps, 0);
	assert_false(info->rss_src_only);
	assert_null(hw_port(hw, 1));
	assert_true(hw_memory_bytes(hw) > 2 * 8191 * 2048);
}

static void frames_come_back(void **state)
{
	struct frame out[40], in[40];

	(void)state;
	assert_int_equal(fill(out, 40, 0), 40);
	assert_true(out[0].headroom >= 64);
	assert_true(out[0].room >= 1514);
	/* rewritten in place: a tag in front, as the stack may do */
	out[0].data -= 4;
	out[0].len = (uint16_t)(out[0].len + 4);
	assert_int_equal(hw_tx(hw, 0, out, 40), 0);
	assert_int_equal(hw_rx(hw, 0, 1, in, 40), 0);
	assert_int_equal(hw_rx(hw, 0, 0, in, 40), HW_BURST);
	assert_int_equal(hw_rx(hw, 0, 0, in + HW_BURST, 8), 8);
	assert_int_equal(in[0].len, 64);
	assert_int_equal(in[0].data[4], 0);
	for (unsigned i = 1; i < 40; i++) {
		assert_int_equal(in[i].len, 60 + i);
		assert_int_equal(in[i].data[59], i);
		assert_int_equal(in[i].port, 0);
		assert_int_equal(in[i].flags, 0);
		assert_ptr_equal(in[i].handle, out[i].handle);
	}
	hw_free(hw, in, 40);
	assert_int_equal(hw_rx(hw, 0, 7, in, 1), 0);
}

static void nothing_leaks(void **state)
{
	unsigned before = rte_mempool_in_use_count(hw->workers[0].pool);
	struct frame f[32];

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(fill(f, 32, 0), 32);
		if (i % 2) {
			assert_int_equal(hw_tx(hw, 0, f, 32), 0);
			assert_int_equal(hw_rx(hw, 0, 0, f, 32), 32);
		}
		hw_free(hw, f, 32);
	}
	assert_in_range(rte_mempool_in_use_count(hw->workers[0].pool), 0, before + HW_CACHE);
}

static void an_empty_pool_is_told(void **state)
{
	enum { MANY = 30000 };
	struct frame *f = calloc(MANY, sizeof(*f));
	unsigned n;

	(void)state;
	assert_non_null(f);
	n = fill(f, MANY, 1);
	assert_in_range(n, HW_POOL_SPARE, MANY - 1);
	/* worker 0 has a pool of its own */
	assert_int_equal(fill(f + n, 1, 0), 1);
	hw_free(hw, f, n + 1);
	assert_int_equal(fill(f, 100, 1), 100);
	hw_free(hw, f, 100);
	free(f);
}

static void what_a_port_refuses_is_counted_and_freed(void **state)
{
	unsigned refused = 0, before = rte_mempool_in_use_count(hw->workers[0].pool);
	struct frame f[32];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(fill(f, 32, 0), 32);
		refused += hw_tx(hw, 1, f, 32);
	}
	assert_true(refused > 0 && refused < 3200);
	for (unsigned n; (n = hw_rx(hw, 0, 1, f, 32)) > 0;)
		hw_free(hw, f, n);
	assert_in_range(rte_mempool_in_use_count(hw->workers[0].pool), 0, before + HW_CACHE);
}

static void frames_are_handed_over(void **state)
{
	struct frame out[48], in[64];

	(void)state;
	assert_int_equal(fill(out, 48, 0), 48);
	for (unsigned i = 0; i < 48; i++) {
		out[i].hash = 1000 + i;
		out[i].flags = i == 5 ? FRAME_VLAN : 0;
	}
	assert_int_equal(hw_hand_over(hw, 0, 1, out, 48), 48);
	assert_int_equal(hw_taken_over(hw, 0, in, 64), 0);
	assert_int_equal(hw_taken_over(hw, 1, in, 64), 32);
	assert_int_equal(hw_taken_over(hw, 1, in + 32, 32), 16);
	for (unsigned i = 0; i < 48; i++) {
		assert_int_equal(in[i].hash, 1000 + i);
		assert_int_equal(in[i].len, 60 + i);
		assert_int_equal(in[i].flags, i == 5 ? FRAME_VLAN : 0);
	}
	hw_free(hw, in, 48);
}

static void a_full_ring_gives_the_rest_back(void **state)
{
	struct frame f[32];
	unsigned total = 0, put;

	(void)state;
	do {
		assert_int_equal(fill(f, 32, 0), 32);
		put = hw_hand_over(hw, 0, 1, f, 32);
		total += put;
		hw_free(hw, f + put, 32 - put);
	} while (put == 32 && total < 10000);
	assert_in_range(total, HW_RING - 32, HW_RING);
	for (unsigned n; (n = hw_taken_over(hw, 1, f, 32)) > 0;)
		hw_free(hw, f, n);
}

static uint64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void waiting_ends_by_time_news_and_frames(void **state)
{
	uint64_t start = monotonic_ms();
	struct frame f[1];

	(void)state;
	hw_wait(hw, 1, 20000);
	assert_true(monotonic_ms() - start >= 19);

	start = monotonic_ms();
	hw_wake(hw, 1);
	hw_wait(hw, 1, 10000000);
	assert_int_equal(fill(f, 1, 0), 1);
	assert_int_equal(hw_hand_over(hw, 0, 1, f, 1), 1);
	hw_wait(hw, 1, 10000000);
	assert_true(monotonic_ms() - start < 10000);
	assert_int_equal(hw_taken_over(hw, 1, f, 1), 1);
	hw_free(hw, f, 1);
}

static void work(void *arg)
{
	*(unsigned *)arg = rte_lcore_id();
}

static void workers_run_on_lcores_of_their_own(void **state)
{
	unsigned lcore[2] = { 99, 99 };
	void *args[2] = { &lcore[0], &lcore[1] };
	char *error = NULL;

	(void)state;
	assert_int_equal(hw_run_workers(hw, work, args, 2, &error), 0);
	assert_int_equal(lcore[0], 1);
	assert_int_equal(lcore[1], 2);
	assert_int_equal(hw_run_workers(hw, work, args, 1, &error), -EINVAL);
	free(error);
}

static void the_clock_follows_realtime(void **state)
{
	struct timespec ts;
	uint64_t last = hw_now_ns(), real;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t now = hw_now_ns();

		assert_true(now >= last);
		last = now;
		if (i % 1000 == 0)
			hw_clock_discipline();
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	real = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	assert_in_range(hw_now_ns(), real - 5000000, real + 50000000);
	assert_true(hw_tsc_hz() > 100000000);
}

static void refused(
    const struct hw_port_request *ports, unsigned n, unsigned workers, int rc, const char *words)
{
	char *error = NULL;
	struct hw *none = NULL;

	assert_int_equal(hw_open("x", eal, 4, ports, n, workers, &none, &error), rc);
	assert_null(none);
	assert_non_null(error);
	if (!strstr(error, words))
		fail_msg("\"%s\" does not say \"%s\"", error, words);
	free(error);
}

static void wrong_requests_are_refused_in_words(void **state)
{
	const struct hw_port_request twice[] = { { "a", "net_ring1", 1500, 1 },
		{ "b", "net_ring1", 1500, 1 } };
	const struct hw_port_request many = { "a", "net_ring1", 1500, 3 };

	(void)state;
	refused(twice, 2, 1, -EEXIST, "ports a and b name the same device");
	refused(&many, 0, 2, -EINVAL, "0 ports are configured");
	refused(&many, 1, 0, -EINVAL, "host.workers is 0");
}

static void more_queues_than_the_port_has(void **state)
{
	struct hw_port_request port = { "outside", "net_ring0", 1500, 17 };
	struct hw_port *scratch = &hw->ports[1];
	char *error = NULL;

	(void)state;
	memset(scratch, 0, sizeof(*scratch));
	assert_int_equal(hw_device_open(hw, 1, &port, &error), -EINVAL);
	assert_non_null(strstr(error, "17 queue pairs are wanted"));
	assert_non_null(strstr(error, "but it has "));
	free(error);
	hw->index_of[hw->ports[0].id] = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(info_is_told),
		cmocka_unit_test(frames_come_back),
		cmocka_unit_test(nothing_leaks),
		cmocka_unit_test(an_empty_pool_is_told),
		cmocka_unit_test(what_a_port_refuses_is_counted_and_freed),
		cmocka_unit_test(frames_are_handed_over),
		cmocka_unit_test(a_full_ring_gives_the_rest_back),
		cmocka_unit_test(waiting_ends_by_time_news_and_frames),
		cmocka_unit_test(workers_run_on_lcores_of_their_own),
		cmocka_unit_test(the_clock_follows_realtime),
		cmocka_unit_test(wrong_requests_are_refused_in_words),
		cmocka_unit_test(more_queues_than_the_port_has),
	};

	return cmocka_run_group_tests(tests, open_port, close_port);
}
