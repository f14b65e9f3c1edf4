/* SPDX-License-Identifier: BSD-3-Clause */
/* The event log: found by time over rotated files, backward, followed across rotation. */
#include "eventlog.h"
#include "eventlog_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BASE_S = 1767225600 }; /* 2026-01-01 */

/* Lines first to last, one a second from BASE_S; `pad` bytes more each. */
static void write_lines(unsigned file, int first, int last, unsigned pad)
{
	char name[128];
	eventlog_name(path, file, name, sizeof(name));
	FILE *to = fopen(name, "a");
	assert_non_null(to);
	for (int i = first; i <= last; i++) {
		time_t t = BASE_S + i;
		struct tm tm;
		char text[32];
		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
		fprintf(
		    to, "{\"time\":\"%s.000Z\",\"n\":%d,\"pad\":\"%*s\"}\n", text, i, (int)pad, "");
	}
	fclose(to);
}

static int number_of(const char *line, size_t len)
{
	char copy[64] = "";
	memcpy(copy, line, len < 63 ? len : 63);
	const char *n = strstr(copy, "\"n\":");
	assert_non_null(n);
	return (int)strtol(n + 4, NULL, 10);
}

static struct eventlog *open_at(int64_t since_ms)
{
	struct eventlog *log = NULL;
	assert_int_equal(eventlog_open(path, since_ms, false, &log), 0);
	return log;
}

static void expect(struct eventlog *log, int first, int last)
{
	const char *line;
	size_t len;
	for (int i = first; i <= last; i++) {
		assert_int_equal(eventlog_next(log, &line, &len), 1);
		assert_int_equal(number_of(line, len), i);
	}
}

static void expect_end(struct eventlog *log)
{
	const char *line;
	size_t len;
	assert_int_equal(eventlog_next(log, &line, &len), 0);
}

static void rename_up(unsigned n)
{
	char from[128], to[128];
	for (unsigned i = n; i > 0; i--) {
		eventlog_name(path, i - 1, from, sizeof(from));
		eventlog_name(path, i, to, sizeof(to));
		rename(from, to);
	}
}

static void reads_the_time(void **state)
{
	(void)state;
	const char *line = "{\"time\":\"2026-01-01T00:00:05.250Z\",\"event\":\"x\"}";
	assert_int_equal(eventlog_time_ms(line, strlen(line)), (int64_t)BASE_S * 1000 + 5250);
	assert_int_equal(eventlog_time_ms("{}", 2), -1);
	line = "{\"time\":\"2026-01-01T00:00:0x.250Z\",\"event\":\"x\"}";
	assert_int_equal(eventlog_time_ms(line, strlen(line)), -1);
}

static void all_files_in_order(void **state)
{
	(void)state;
	write_lines(2, 0, 99, 0);
	write_lines(1, 100, 199, 0);
	write_lines(0, 200, 299, 0);
	struct eventlog *log = open_at(EVENTLOG_OLDEST);
	expect(log, 0, 299);
	expect_end(log);
	eventlog_close(log);
}

static void finds_by_time(void **state)
{
	(void)state;
	/* far more than a block, so that the search has something to halve */
	write_lines(1, 0, 4999, 300);
	write_lines(0, 5000, 9999, 300);
	for (int at = 1; at < 10000; at += 977) {
		struct eventlog *log = open_at(((int64_t)BASE_S + at) * 1000);
		uint64_t before = eventlog_bytes(log);
		assert_true(before < 40u * EVENTLOG_BLOCK);
		expect(log, at, at + 20 < 9999 ? at + 20 : 9999);
		eventlog_close(log);
	}
	struct eventlog *log = open_at(((int64_t)BASE_S + 20000) * 1000);
	expect_end(log);
	eventlog_close(log);
}

static void follows_rotation(void **state)
{
	(void)state;
	write_lines(0, 0, 9, 0);
	struct eventlog *log = open_at(EVENTLOG_END);
	expect_end(log);
	write_lines(0, 10, 19, 0);
	expect(log, 10, 14);
	write_lines(0, 20, 20, 0); /* the last before the rename */
	rename_up(1);
	write_lines(0, 21, 30, 0);
	rename_up(2); /* twice while nobody looked */
	write_lines(0, 31, 33, 0);
	expect(log, 15, 33);
	expect_end(log);
	write_lines(0, 34, 34, 0);
	expect(log, 34, 34);
	eventlog_close(log);
}

static void goes_on_by_time_when_its_file_was_replaced(void **state)
{
	char name[128], other[160];
	(void)state;
	write_lines(0, 0, 9, 0);
	struct eventlog *log = open_at(EVENTLOG_OLDEST);
	expect(log, 0, 9);
	rename_up(1);
	write_lines(0, 10, 12, 0);
	/* as masking does: a new file under the old name */
	eventlog_name(path, 1, name, sizeof(name));
	snprintf(other, sizeof(other), "%s.old", name);
	rename(name, other);
	write_lines(1, 0, 9, 0);
	expect(log, 10, 12);
	expect_end(log);
	unlink(other);
	eventlog_close(log);
}

static void goes_backward(void **state)
{
	const char *line;
	size_t len;
	(void)state;
	write_lines(1, 0, 499, 200);
	write_lines(0, 500, 999, 200);
	struct eventlog *log = open_at(EVENTLOG_END);
	for (int i = 999; i >= 300; i--) {
		assert_int_equal(eventlog_previous(log, &line, &len), 1);
		assert_int_equal(number_of(line, len), i);
	}
	/* many lines a block: going backward is no slower than forward by much */
	assert_true(eventlog_bytes(log) < 700u * 4096 * 2);
	expect(log, 300, 999);
	expect_end(log);
	eventlog_close(log);
	log = open_at(EVENTLOG_END);
	for (int i = 999; i >= 0; i--)
		assert_int_equal(eventlog_previous(log, &line, &len), 1);
	assert_int_equal(eventlog_previous(log, &line, &len), 0);
	expect(log, 0, 0);
	eventlog_close(log);
	/* not beyond a time */
	assert_int_equal(eventlog_open(path, ((int64_t)BASE_S + 990) * 1000, true, &log), 0);
	for (int i = 999; i >= 990; i--)
		assert_int_equal(eventlog_previous(log, &line, &len), 1);
	assert_int_equal(eventlog_previous(log, &line, &len), 0);
	expect(log, 990, 999);
	eventlog_close(log);
}

static void waits_for_the_first_file_and_for_whole_lines(void **state)
{
	(void)state;
	struct eventlog *log = open_at(EVENTLOG_OLDEST);
	expect_end(log);
	FILE *to = fopen(path, "w");
	fputs("{\"time\":\"2026-01-01T00:00:05.250Z\",\"n\":7", to);
	fflush(to);
	expect_end(log);
	expect_end(log);
	fputs("}\n", to);
	fclose(to);
	expect(log, 7, 7);
	eventlog_close(log);
}

static void skips_a_line_beyond_the_bound(void **state)
{
	(void)state;
	write_lines(0, 0, 0, 0);
	write_lines(0, 1, 1, EVENTLOG_LINE_MAX);
	write_lines(0, 2, 2, 0);
	write_lines(0, 3, 3, 3 * EVENTLOG_BLOCK);
	write_lines(0, 4, 4, 0);
	struct eventlog *log = open_at(EVENTLOG_OLDEST);
	expect(log, 0, 0);
	expect(log, 2, 2);
	expect(log, 4, 4);
	expect_end(log);
	assert_int_equal(eventlog_skipped(log), 2);
	eventlog_close(log);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make, clear)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reads_the_time),
		T(all_files_in_order),
		T(finds_by_time),
		T(follows_rotation),
		T(goes_on_by_time_when_its_file_was_replaced),
		T(goes_backward),
		T(waits_for_the_first_file_and_for_whole_lines),
		T(skips_a_line_beyond_the_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
