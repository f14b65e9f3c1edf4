/* SPDX-License-Identifier: BSD-3-Clause */
/* The statistics file as a reader finds it. */
#include "stats_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_reader_finds_names_and_words(void **state)
{
	char path[] = "/tmp/stats_file_test.XXXXXX", *error = NULL;
	struct stats_name names[2] = { { .name = "one", .text = "First" }, { .name = "two" } };
	struct stats_file *stats, *copy;
	struct stat st;
	FILE *f;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(stats_file_new(path, 2, names, 2, &stats, &error), 0);
	stats->workers[1].counters[2 + SHELL_TX_REFUSED] = 77;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, sizeof(*stats) + 2 * sizeof(struct stats_worker));
	assert_int_equal(st.st_mode & 0777, 0644);
	copy = malloc((size_t)st.st_size);
	f = fopen(path, "r");
	assert_int_equal(fread(copy, (size_t)st.st_size, 1, f), 1);
	fclose(f);
	assert_true(copy->magic == STATS_MAGIC);
	assert_int_equal(copy->n_workers, 2);
	assert_int_equal(copy->n_counters, 2 + SHELL_N_COUNTERS);
	assert_int_equal(copy->pid, getpid());
	assert_string_equal(copy->names[0].name, "one");
	assert_string_equal(copy->names[2 + SHELL_TX_REFUSED].name, "shell_tx_refused");
	assert_int_equal(copy->workers[1].counters[2 + SHELL_TX_REFUSED], 77);
	for (unsigned i = 0; i < SHELL_N_COUNTERS; i++)
		assert_true(copy->names[2 + i].text[0] != '\0');
	free(copy);
	stats_file_free(stats, path);
	assert_int_equal(access(path, F_OK), -1);
}

static void bounds_and_bad_places_are_refused(void **state)
{
	struct stats_file *stats = NULL;
	struct stats_name *names = calloc(STATS_MAX_COUNTERS, sizeof(*names));
	char *error = NULL;

	(void)state;
	assert_int_equal(
	    stats_file_new("/tmp/x", STATS_MAX_WORKERS + 1, names, 1, &stats, &error), -E2BIG);
	assert_int_equal(
	    stats_file_new("/tmp/x", 1, names, STATS_MAX_COUNTERS, &stats, &error), -E2BIG);
	assert_int_equal(stats_file_new("/nonexistent/stats", 1, names, 1, &stats, &error), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent/stats"));
	assert_null(stats);
	free(error);
	free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_finds_names_and_words),
		cmocka_unit_test(bounds_and_bad_places_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
