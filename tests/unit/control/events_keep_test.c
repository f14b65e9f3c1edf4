/* SPDX-License-Identifier: BSD-3-Clause */
/* Old events lose names, older ones go; what is young, and the file being written, stays. */
#include "events_keep.h"
#include "eventlog_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMED(hour)                                                                                \
	"{\"time\":\"2026-01-01T" hour ":00:00.000Z\",\"client\":\"192.0.2.7\",\"score\":1.25}\n"
enum { HOUR_MS = 3600000 };
static const int64_t midnight = 1767225600000;

static void put(unsigned file, const char *text)
{
	char name[128];
	eventlog_name(path, file, name, sizeof(name));
	FILE *to = fopen(name, "w");
	fputs(text, to);
	fclose(to);
}

static const char *get(unsigned file)
{
	static char text[4096];
	char name[128];
	eventlog_name(path, file, name, sizeof(name));
	FILE *from = fopen(name, "r");
	if (from == NULL)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, from)] = '\0';
	fclose(from);
	return text;
}

static void a_line(void **state)
{
	static const char line[] = "{\"time\":\"t\",\"event\":\"session\",\"client\":\"2001:db8:1:"
				   "2::7\",\"client_port\":77,"
				   "\"score\":1.25,\"helo\":\"[192.0.2.7]\",\"host\":\"h7.example."
				   "net\",\"mail\":\"a.b@example.net\","
				   "\"rcpt\":\"\\\"x@y\\\"@example.org\",\"token\":\"T\"}";
	(void)state;
	char *masked = events_mask_line(line, strlen(line));
	assert_string_equal(masked,
	    "{\"time\":\"t\",\"event\":\"session\",\"client\":\"2001:db8:1::\",\"score\":1.25,"
	    "\"helo\":\"\",\"mail\":\"@example.net\",\"rcpt\":\"@example.org\",\"token\":\"T\","
	    "\"masked\":true}");
	assert_null(events_mask_line(masked, strlen(masked)));
	free(masked);
	assert_null(events_mask_line("{\"time\":\"t\",\"text\":\"x\"}", 23));
}

static void masks_what_is_due_and_no_more(void **state)
{
	const struct events_keep keep = { .mask_after_s = 2 * 3600 };
	struct events_kept kept;
	(void)state;
	put(1, NAMED("00") NAMED("01") NAMED("03"));
	put(0, NAMED("01") NAMED("03"));
	assert_int_equal(events_keep(path, &keep, midnight + 4 * HOUR_MS - 1, &kept), 0);
	assert_int_equal(kept.masked_lines, 2);
	assert_false(kept.rotate); /* not before the slack */
	assert_string_equal(get(1), "{\"time\":\"2026-01-01T00:00:00.000Z\",\"client\":\"192.0.2."
				    "0\",\"score\":1.25,\"masked\":true}\n"
				    "{\"time\":\"2026-01-01T01:00:00.000Z\",\"client\":\"192.0.2."
				    "0\",\"score\":1.25,\"masked\":true}\n" NAMED("03"));
	assert_string_equal(get(0), NAMED("01") NAMED("03"));
	assert_int_equal(events_keep(path, &keep, midnight + 4 * HOUR_MS + 1, &kept), 0);
	assert_int_equal(kept.masked_lines, 0);
	assert_true(kept.rotate);
	assert_int_equal(events_keep(path, &keep, midnight + 6 * HOUR_MS, &kept), 0);
	assert_int_equal(kept.masked_lines, 1);
}

static void deletes_what_is_older(void **state)
{
	const struct events_keep keep = { .retention_s = 3 * 3600 };
	struct events_kept kept;
	(void)state;
	put(2, NAMED("00"));
	put(1, NAMED("00") NAMED("02"));
	put(0, NAMED("00"));
	assert_int_equal(events_keep(path, &keep, midnight + 4 * HOUR_MS, &kept), 0);
	assert_int_equal(kept.deleted_files, 1);
	assert_int_equal(kept.masked_lines, 0);
	assert_null(get(2));
	assert_string_equal(get(1), NAMED("00") NAMED("02"));
	assert_string_equal(get(0), NAMED("00"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, make, clear)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line),
		T(masks_what_is_due_and_no_more),
		T(deletes_what_is_older),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
