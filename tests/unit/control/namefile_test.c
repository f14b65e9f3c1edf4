/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of sets as operators write them: entries, dates, files with every mistake told. */
#include "namefile.h"

#include "filters/image_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *entry(bool pairs, const char *text)
{
	struct image_writer *w = image_writer_new();
	int set = image_writer_set(w);
	const char *wrong = namefile_entry(w, (unsigned)set, pairs, text, strlen(text));

	image_writer_free(w);
	return wrong;
}

static void entries_and_dates(void **state)
{
	(void)state;
	assert_null(entry(false, "user@example.org"));
	assert_null(entry(false, ".example.org until=2026-12-31"));
	assert_null(entry(true, "* b@example.org until=2026-12-31"));
	assert_non_null(entry(false, "user@example.org until=tomorrow"));
	assert_non_null(entry(false, "user@example.org until=2026-13-01"));
	assert_non_null(entry(false, "user@example.org until=2026-12-31x"));
	assert_non_null(entry(false, "until=2026-12-31"));
	assert_non_null(entry(true, "alone@example.org"));
}

static void a_file_is_read_to_its_end(void **state)
{
	static const char text[] = "# friends\n\n good@example.org  # a comment\r\nbad..name\n"
				   ".example.net until=2030-01-01\ntwo words\nlast@example.org";
	char path[] = "/tmp/namefile-XXXXXX";
	struct config config = { .path = "a.yaml" };
	struct config_value file = { .text = path };
	struct complaints complaints;
	struct image_writer *w = image_writer_new();
	struct image_part parts[IMAGE_MAX_PARTS];
	struct policy *p = NULL;
	const char *error;
	unsigned n_parts;
	int fd = mkstemp(path), set;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	complaints_init(&complaints);
	set = namefile_set(w, &config, "access.entries", NULL, &file, false, &complaints);
	assert_true(set >= 0);
	assert_int_equal(complaints.total, 2);
	char *all = complaints_text(&complaints);
	assert_non_null(strstr(all, ":4:1: \"bad..name\" has an empty label"));
	assert_non_null(strstr(all, ":6:1: \"two words\" has a blank"));
	free(all);
	complaints_fini(&complaints);

	image_writer_settings(w)->default_pool = -1;
	assert_int_equal(image_writer_finish(w, parts, &n_parts, &error), 0);
	assert_int_equal(policy_open(parts, n_parts, 1, &p, &error), 0);
	assert_true(nameset_find(
	    policy_namesets(p), (unsigned)set, (struct text){ "good@example.org", 16 }, 1, NULL));
	assert_true(nameset_find(
	    policy_namesets(p), (unsigned)set, (struct text){ "last@example.org", 16 }, 1, NULL));
	/* 2030-01-02 00:00 UTC is the first second after its last day */
	assert_true(nameset_find(policy_namesets(p), (unsigned)set,
	    (struct text){ "a.example.net", 13 }, 1893542399, NULL));
	assert_false(nameset_find(policy_namesets(p), (unsigned)set,
	    (struct text){ "a.example.net", 13 }, 1893542400, NULL));
	policy_close(p);
	image_writer_free(w);
	unlink(path);
}

static void a_file_that_is_not_there_is_told_with_its_place(void **state)
{
	struct config config = { .path = "a.yaml" };
	struct config_value file = { .text = "/nonexistent/names", .pos = { 7, 3 } };
	struct complaints complaints;
	struct image_writer *w = image_writer_new();

	(void)state;
	complaints_init(&complaints);
	namefile_set(w, &config, "access.entries", NULL, &file, false, &complaints);
	char *all = complaints_text(&complaints);
	assert_non_null(strstr(all, "a.yaml:7:3: access.entries: the file \"/nonexistent/names\""));
	free(all);
	complaints_fini(&complaints);
	image_writer_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_and_dates),
		cmocka_unit_test(a_file_is_read_to_its_end),
		cmocka_unit_test(a_file_that_is_not_there_is_told_with_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
