/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures: which frames fit, the blocks of the file, and what happens at each bound. */
#include "capture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static _Atomic(uint64_t) now = 1000;
static uint64_t clock_ns(void)
{
	return atomic_load(&now);
}

static char path[] = "/tmp/capture_test.XXXXXX";
static uint8_t bytes[64];

/* From 192.0.2.HOST to 198.51.100.1. */
static struct frame v4(uint8_t host)
{
	memset(bytes, 0, sizeof(bytes));
	bytes[12] = 0x08;
	memcpy(bytes + 26, (uint8_t[]){ 192, 0, 2, host }, 4);
	memcpy(bytes + 30, (uint8_t[]){ 198, 51, 100, 1 }, 4);
	return (struct frame){ .data = bytes, .len = sizeof(bytes) };
}

static struct capture_bounds prefix(uint8_t host, uint8_t len)
{
	return (struct capture_bounds){ .addr = { [10] = 0xff, 0xff, 192, 0, 2, host },
		.prefix_len = len,
		.packets = 100,
		.end_ns = UINT64_MAX,
		.bytes = CAPTURE_MAX_BYTES };
}

static void which_frames(void **state)
{
	struct capture_bounds b = prefix(0, 96 + 24), other = prefix(9, 128);
	struct frame f = v4(7);
	uint8_t tagged[68] = { 0 }, v6[60] = { 0 };

	(void)state;
	assert_true(capture_fits(&b, f.data, f.len));
	assert_false(capture_fits(&other, f.data, f.len));
	other.addr[15] = 7;
	assert_true(capture_fits(&other, f.data, f.len));
	other = (struct capture_bounds){ .addr = { [10] = 0xff, 0xff, 198, 51, 100, 0 },
		.prefix_len = 96 + 24 };
	assert_true(capture_fits(&other, f.data, f.len)); /* on its way back */
	for (size_t len = 0; len < 34; len++)
		assert_false(capture_fits(&b, f.data, len));
	tagged[12] = 0x81;
	memcpy(tagged + 16, f.data + 12, 48);
	assert_true(capture_fits(&b, tagged, sizeof(tagged)));
	memcpy(v6 + 12, (uint8_t[]){ 0x86, 0xdd }, 2);
	memcpy(v6 + 22, (uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8 }, 4);
	other = (struct capture_bounds){ .addr = { 0x20, 0x01, 0x0d, 0xb8 }, .prefix_len = 31 };
	assert_true(capture_fits(&other, v6, 54));
	assert_false(capture_fits(&other, v6, 53));
	assert_false(capture_fits(&b, v6, 54));
}

static void wait_over(struct capture *c, struct capture_state *s)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	for (unsigned i = 0; i < 5000; i++) {
		capture_look(c, s);
		if (s->over)
			return;
		nanosleep(&nap, NULL);
	}
	fail_msg("the capture does not end");
}

static uint32_t word(const uint8_t *p)
{
	uint32_t w;

	memcpy(&w, p, 4);
	return w;
}

static void blocks_of_the_file(void **state)
{
	struct capture_bounds b = prefix(0, 96 + 24);
	struct capture_state s;
	struct capture *c;
	struct frame f = v4(7);
	uint8_t file[4096];

	(void)state;
	assert_int_equal(capture_new(path, 2, &b, clock_ns, &c), 0);
	capture_put(c, 1, &f, 1, false, 0x100000002ull);
	f.len = 61;
	capture_put(c, 1, &f, 1, true, 3);
	capture_stop(c);
	wait_over(c, &s);
	assert_string_equal(s.why, "stopped");
	assert_int_equal(s.packets, 2);
	assert_int_equal(s.lost, 0);
	capture_free(c);
	FILE *from = fopen(path, "r");
	size_t n = fread(file, 1, sizeof(file), from);
	fclose(from);
	assert_int_equal(s.bytes, n);
	/* every block ends with its length again */
	uint32_t types[4] = { 0x0a0d0d0a, 1, 6, 6 };
	size_t at = 0, places[4];
	for (unsigned i = 0; i < 4; i++) {
		uint32_t len = word(file + at + 4);

		assert_int_equal(word(file + at), types[i]);
		assert_int_equal(len % 4, 0);
		assert_int_equal(word(file + at + len - 4), len);
		places[i] = at;
		at += len;
	}
	assert_int_equal(at, n);
	assert_int_equal(word(file + places[2] + 12), 1); /* time, high and low */
	assert_int_equal(word(file + places[2] + 16), 2);
	assert_int_equal(word(file + places[3] + 20), 61);
	assert_memory_equal(file + places[3] + 28, f.data, 61);
	assert_int_equal(word(file + places[2] + 28 + 64 + 4), 1); /* inward */
	assert_int_equal(word(file + places[3] + 28 + 64 + 4), 2);
}

static void ends_by_each_bound(void **state)
{
	struct capture_bounds b = prefix(0, 96 + 24);
	struct capture_state s;
	struct capture *c;
	struct frame f = v4(7);

	(void)state;
	b.packets = 1;
	assert_int_equal(capture_new(path, 1, &b, clock_ns, &c), 0);
	for (unsigned i = 0; i < 3; i++)
		capture_put(c, 0, &f, 1, false, 1);
	wait_over(c, &s);
	assert_string_equal(s.why, "packets");
	assert_int_equal(s.packets, 1);
	capture_free(c);

	b = prefix(0, 96 + 24);
	b.bytes = 300;
	assert_int_equal(capture_new(path, 1, &b, clock_ns, &c), 0);
	for (unsigned i = 0; i < 5; i++)
		capture_put(c, 0, &f, 1, false, 1);
	wait_over(c, &s);
	assert_string_equal(s.why, "bytes");
	assert_true(s.bytes < 300 + CAPTURE_SNAP + 64);
	capture_free(c);

	b = prefix(0, 96 + 24);
	b.end_ns = 5000;
	assert_int_equal(capture_new(path, 1, &b, clock_ns, &c), 0);
	capture_look(c, &s);
	assert_false(s.over);
	atomic_store(&now, 5000);
	wait_over(c, &s);
	assert_string_equal(s.why, "time");
	capture_free(c);
}

static void frames_without_a_slot_are_counted(void **state)
{
	struct capture_bounds b = prefix(0, 96 + 24);
	struct frame many[CAPTURE_SLOTS + 10];
	struct capture_state s;
	struct capture *c;

	(void)state;
	for (unsigned i = 0; i < CAPTURE_SLOTS + 10; i++)
		many[i] = v4(7);
	assert_int_equal(capture_new(path, 1, &b, clock_ns, &c), 0);
	/* one call: the writer cannot make room within it */
	capture_put(c, 0, many, CAPTURE_SLOTS + 10, false, 1);
	capture_look(c, &s);
	assert_int_equal(s.lost, 10);
	capture_free(c);
	assert_int_equal(capture_new("/nonexistent/x", 1, &b, clock_ns, &c), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_frames),
		cmocka_unit_test(blocks_of_the_file),
		cmocka_unit_test(ends_by_each_bound),
		cmocka_unit_test(frames_without_a_slot_are_counted),
	};
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	unlink(path);
	return failed;
}
