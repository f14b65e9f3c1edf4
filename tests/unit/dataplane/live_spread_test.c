/* SPDX-License-Identifier: BSD-3-Clause */
/* Which worker owns a frame. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORKERS = 4 };

static struct live_spread spread;
static uint8_t bytes[128];

static int setup(void **state)
{
	struct policy_host *host = calloc(1, sizeof(*host));
	const uint8_t own[4] = { 198, 51, 100, 7 }, shared[4] = { 198, 51, 100, 2 };

	(void)state;
	host->n_addrs = 2;
	memcpy(host->addrs[0].addr, ip_addr_from_v4(own).b, 16);
	host->addrs[0].backends_only = 1;
	host->addrs[0].worker = 3;
	memcpy(host->addrs[1].addr, ip_addr_from_v4(shared).b, 16);
	host->addrs[1].backends_only = 1;
	host->addrs[1].worker = -1;
	live_spread_init(&spread, host, WORKERS);
	free(host);
	return 0;
}

static struct frame frame(uint16_t len)
{
	return (struct frame){ .data = bytes, .len = len, .room = sizeof(bytes) };
}

static void put16(unsigned at, unsigned v)
{
	bytes[at] = (uint8_t)(v >> 8);
	bytes[at + 1] = (uint8_t)v;
}

static struct frame tcp4(uint32_t src, const uint8_t dst[4], uint16_t src_port, uint16_t dst_port)
{
	memset(bytes, 0, sizeof(bytes));
	put16(12, 0x0800);
	bytes[14] = 0x45;
	bytes[23] = 6;
	put16(26, src >> 16);
	put16(28, src & 0xffff);
	memcpy(bytes + 30, dst, 4);
	put16(34, src_port);
	put16(36, dst_port);
	return frame(60);
}

static const uint8_t mx[4] = { 192, 0, 2, 25 };

static void a_source_meets_one_worker(void **state)
{
	unsigned seen[WORKERS] = { 0 };

	(void)state;
	for (uint32_t src = 0xcb007100; src < 0xcb007100 + 4096; src++) {
		struct frame f = tcp4(src, mx, 1000, 25);
		unsigned first = live_owner(&spread, &f, 0);

		assert_true(first < WORKERS);
		seen[first]++;
		/* whatever the port, the queue it came by, the tag */
		f = tcp4(src, mx, (uint16_t)(src * 7), 25);
		assert_int_equal(live_owner(&spread, &f, 2), first);
		f = tcp4(src, mx, 1000, 587);
		assert_int_equal(live_owner(&spread, &f, 1), first);
		memmove(bytes + 18, bytes + 14, 60);
		put16(12, 0x8100);
		put16(16, 0x0800);
		f = frame(64);
		assert_int_equal(live_owner(&spread, &f, 0), first);
	}
	/* and workers share sources evenly: 1,024 each, four standard deviations */
	for (unsigned i = 0; i < WORKERS; i++)
		assert_in_range(seen[i], 1024 - 111, 1024 + 111);
}

static void a_slash_64_meets_one_worker(void **state)
{
	unsigned owner = 0;

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		struct frame f;

		memset(bytes, 0, sizeof(bytes));
		put16(12, 0x86dd);
		bytes[20] = 6;
		put16(22, 0x2001);
		put16(24, 0x0db8);
		bytes[37] = (uint8_t)i;
		put16(56, 25);
		f = frame(74);
		if (i == 0)
			owner = live_owner(&spread, &f, 0);
		assert_int_equal(live_owner(&spread, &f, 0), owner);
	}
}

static void answers_of_backends_return_to_who_asked(void **state)
{
	const uint8_t shared[4] = { 198, 51, 100, 2 }, own[4] = { 198, 51, 100, 7 };

	(void)state;
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		/* the ports a worker takes: first + index, step workers (live_setup.c) */
		for (unsigned port = LIVE_PORT_FIRST + worker; port <= LIVE_PORT_LAST;
		     port += WORKERS) {
			struct frame f = tcp4(0xc633640a, shared, 25, (uint16_t)port);

			assert_int_equal(live_owner(&spread, &f, 0), worker);
		}
	}
	/* an address of one worker's own needs no port */
	for (unsigned port = LIVE_PORT_FIRST; port < LIVE_PORT_FIRST + 10; port++) {
		struct frame f = tcp4(0xc633640a, own, 25, (uint16_t)port);

		assert_int_equal(live_owner(&spread, &f, 0), 3);
	}
}

static void a_trusted_port_is_believed(void **state)
{
	struct live_spread trusted = spread;
	struct frame f = tcp4(0xcb007105, mx, 1, 25);

	(void)state;
	trusted.port_is_trusted[0] = true;
	for (unsigned self = 0; self < WORKERS; self++)
		assert_int_equal(live_owner(&trusted, &f, self), self);
}

static void neighbours_go_to_all(void **state)
{
	struct frame f;

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	put16(12, 0x0806);
	f = frame(60);
	assert_int_equal(live_owner(&spread, &f, 0), LIVE_TO_ALL);
	assert_true(live_is_neighbour(&f));

	f = tcp4(0xcb007105, mx, 0, 0);
	bytes[23] = 1;
	bytes[34] = 8; /* an echo request is one source's */
	assert_true(live_owner(&spread, &f, 0) < WORKERS);

	memset(bytes, 0, sizeof(bytes));
	put16(12, 0x86dd);
	bytes[20] = 58;
	bytes[54] = 136;
	f = frame(86);
	assert_int_equal(live_owner(&spread, &f, 0), LIVE_TO_ALL);
	assert_true(live_is_neighbour(&f));
	bytes[20] = 0; /* MLD stands behind a router alert */
	bytes[54] = 58;
	assert_int_equal(live_owner(&spread, &f, 0), LIVE_TO_ALL);
	bytes[20] = 58;
	bytes[54] = 128;
	assert_true(live_owner(&spread, &f, 0) < WORKERS);
	assert_false(live_is_neighbour(&f));
}

/* An error by a router about a segment of ours from src:port to dst. */
static struct frame error4(uint8_t type, const uint8_t src[4], uint16_t src_port, uint32_t dst)
{
	struct frame f = tcp4(0xcb0071fe, mx, 0, 0);

	f.len = 14 + 20 + 8 + 20 + 8;
	bytes[23] = 1;
	bytes[34] = type;
	bytes[42] = 0x45;
	bytes[51] = 6;
	memcpy(bytes + 54, src, 4);
	put16(58, dst >> 16);
	put16(60, dst & 0xffff);
	put16(62, src_port);
	put16(64, 1234);
	return f;
}

static void errors_follow_the_flow_they_quote_v4(void **state)
{
	static const uint8_t types[3] = { 3, 11, 12 };
	const uint8_t shared[4] = { 198, 51, 100, 2 }, own[4] = { 198, 51, 100, 7 };

	(void)state;
	for (uint32_t client = 0xc6336401; client < 0xc6336401 + 300; client++) {
		struct frame f = tcp4(client, mx, 1234, 25);
		unsigned worker = live_owner(&spread, &f, 0);

		f = error4(types[client % 3], mx, 25, client);
		assert_int_equal(live_owner(&spread, &f, client % WORKERS), worker);
		assert_false(live_is_neighbour(&f));
	}
	for (unsigned port = LIVE_PORT_FIRST; port < LIVE_PORT_FIRST + 16; port++) {
		struct frame f = error4(3, shared, (uint16_t)port, 0xc633640a);

		assert_int_equal(live_owner(&spread, &f, 0), (port - LIVE_PORT_FIRST) % WORKERS);
	}
	struct frame f = error4(3, own, LIVE_PORT_FIRST, 0xc633640a);
	assert_int_equal(live_owner(&spread, &f, 0), 3);
	for (f.len = 14 + 20; f.len < 14 + 20 + 8 + 22; f.len++) /* cut short: one worker counts it */
		assert_true(live_owner(&spread, &f, 0) < WORKERS);
}

static struct frame error6(uint8_t type, uint16_t src_port, unsigned dst_net)
{
	memset(bytes, 0, sizeof(bytes));
	put16(12, 0x86dd);
	bytes[20] = 58;
	put16(22, 0x2001);
	put16(24, 0x0db8);
	put16(28, 0x77);
	bytes[54] = type;
	bytes[62] = 0x60;
	bytes[68] = 6;
	put16(86, 0x2001);
	put16(88, 0x0db8);
	put16(92, dst_net);
	put16(102, src_port);
	return frame(14 + 40 + 8 + 40 + 8);
}

static void errors_follow_the_flow_they_quote_v6(void **state)
{
	(void)state;
	for (unsigned net = 0; net < 200; net++) {
		struct frame f;
		unsigned worker;

		memset(bytes, 0, sizeof(bytes));
		put16(12, 0x86dd);
		bytes[20] = 6;
		put16(22, 0x2001);
		put16(24, 0x0db8);
		put16(28, net);
		put16(56, 25);
		f = frame(74);
		worker = live_owner(&spread, &f, 0);
		f = error6((uint8_t)(1 + net % 4), 25, net);
		assert_int_equal(live_owner(&spread, &f, net % WORKERS), worker);
		f = error6(2, (uint16_t)(LIVE_PORT_FIRST + net), net);
		assert_int_equal(live_owner(&spread, &f, 0), net % WORKERS);
	}
}

static void errors_by_a_trusted_port_go_to_all(void **state)
{
	const uint8_t shared[4] = { 198, 51, 100, 2 };
	struct live_spread trusted = spread;
	struct frame f = error4(3, mx, 25, 0xcb007105);

	(void)state;
	trusted.port_is_trusted[0] = true;
	assert_int_equal(live_owner(&trusted, &f, 1), LIVE_TO_ALL);
	f = error4(3, shared, LIVE_PORT_FIRST + 2, 0xc633640a); /* ports are ours to know */
	assert_int_equal(live_owner(&trusted, &f, 0), 2);
}

static void short_and_odd_frames_stay(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 5; type++) {
		static const uint16_t types[5] = { 0x0800, 0x86dd, 0x0806, 0x8100, 0x1234 };

		for (uint16_t len = 0; len < 80; len++) {
			struct frame f;
			unsigned owner;

			memset(bytes, 0xff, sizeof(bytes));
			put16(12, types[type]);
			f = frame(len);
			/* exactly as long as its buffer: a read behind it is the sanitizer's to see */
			f.data = malloc(len ? len : 1);
			memcpy(f.data, bytes, len);
			owner = live_owner(&spread, &f, 2);
			assert_true(owner < WORKERS || owner == LIVE_TO_ALL);
			live_is_neighbour(&f);
			free(f.data);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_meets_one_worker),
		cmocka_unit_test(a_slash_64_meets_one_worker),
		cmocka_unit_test(answers_of_backends_return_to_who_asked),
		cmocka_unit_test(a_trusted_port_is_believed),
		cmocka_unit_test(neighbours_go_to_all),
		cmocka_unit_test(errors_follow_the_flow_they_quote_v4),
		cmocka_unit_test(errors_follow_the_flow_they_quote_v6),
		cmocka_unit_test(errors_by_a_trusted_port_go_to_all),
		cmocka_unit_test(short_and_odd_frames_stay),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
