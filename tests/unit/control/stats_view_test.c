/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS = 2, SIZE = sizeof(struct stats_file) + WORKERS * sizeof(struct stats_worker) };

struct rig {
	char path[64];
	struct stats_file *file;
};

static int make(void **state)
{
	static struct rig rig;
	snprintf(rig.path, sizeof(rig.path), "/tmp/postern-stats-XXXXXX");
	int fd = mkstemp(rig.path);
	if (fd < 0)
		return -1;
	close(fd);
	struct stats_file *f = rig.file = aligned_alloc(64, (SIZE + 63) / 64 * 64);
	memset(f, 0, SIZE);
	f->magic = STATS_MAGIC;
	f->layout = 3;
	f->n_workers = WORKERS;
	f->n_counters = 2;
	f->n_servers = 2;
	f->pid = 77;
	f->policy_epoch = 5;
	snprintf(f->build, sizeof(f->build), "0.1.0+test");
	snprintf(f->names[0].name, STATS_NAME_LEN, "frames_in");
	snprintf(f->names[0].text, STATS_TEXT_LEN, "Frames received.");
	memset(f->names[1].name, 0xff, STATS_NAME_LEN); /* no end, no ASCII */
	f->names[1].kind = STATS_GAUGE;
	snprintf(f->server_names[0], STATS_NAME_LEN, "mail1");
	snprintf(f->server_names[1], STATS_NAME_LEN, "mail2");
	f->workers[0].counters[0] = 3;
	f->workers[1].counters[0] = 4;
	f->workers[1].counters[1] = UINT64_MAX;
	f->workers[0].busy_tsc = 1;
	f->workers[0].idle_tsc = 3;
	f->workers[0].servers[0] = (struct stats_server){ SERVER_DOWN, 1, 2, 3, 4, 5, 6 };
	f->workers[1].servers[0] = (struct stats_server){ SERVER_UP, 10, 20, 30, 40, 50, 60 };
	f->workers[0].servers[1].state = SERVER_UP;
	f->workers[1].servers[1].state = SERVER_DRAINED;
	snprintf(f->class_names[2], STATS_NAME_LEN, "slow");
	f->workers[0].gave_up[2][3][5] = 7;
	f->workers[1].gave_up[2][3][5] = 1;
	f->workers[1].gave_up[2][3][6] = 2;
	*state = &rig;
	return 0;
}

static int drop(void **state)
{
	struct rig *rig = *state;
	free(rig->file);
	return unlink(rig->path);
}

static int read_back(const struct rig *rig, size_t len, struct stats_file **ret_file)
{
	FILE *f = fopen(rig->path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(rig->file, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return stats_view_read(rig->path, ret_file);
}

static void shows_sums_and_each_worker(void **state)
{
	const struct rig *rig = *state;
	struct stats_file *file = NULL;
	assert_int_equal(read_back(rig, SIZE, &file), 0);
	json_t *json = stats_view_json(file);
	const json_t *counter = json_array_get(json_object_get(json, "counters"), 0);
	assert_string_equal(json_string_value(json_object_get(counter, "name")), "frames_in");
	assert_int_equal(json_integer_value(json_object_get(counter, "total")), 7);
	assert_int_equal(
	    json_integer_value(json_array_get(json_object_get(counter, "workers"), 1)), 4);
	const json_t *odd = json_array_get(json_object_get(json, "counters"), 1);
	assert_int_equal(json_string_length(json_object_get(odd, "name")), STATS_NAME_LEN);
	assert_string_equal(json_string_value(json_object_get(odd, "kind")), "gauge");
	const json_t *servers = json_object_get(json, "servers");
	const json_t *first = json_array_get(servers, 0), *second = json_array_get(servers, 1);
	assert_string_equal(json_string_value(json_object_get(first, "state")), "up");
	assert_int_equal(json_integer_value(json_object_get(first, "active")), 11);
	assert_int_equal(json_integer_value(json_object_get(first, "messages")), 66);
	assert_string_equal(json_string_value(json_object_get(second, "state")), "drained");
	const json_t *worker = json_array_get(json_object_get(json, "workers"), 0);
	assert_float_equal(json_real_value(json_object_get(worker, "busy")), 0.25, 1e-9);
	json_decref(json);
	free(file);
}

static void a_file_that_is_not_whole_or_not_ours_is_refused(void **state)
{
	const struct rig *rig = *state;
	struct stats_file *file = NULL;
	assert_int_equal(read_back(rig, SIZE - 1, &file), -EBADMSG);
	assert_int_equal(read_back(rig, 100, &file), -EBADMSG);
	assert_int_equal(read_back(rig, 0, &file), -EBADMSG);
	rig->file->n_counters = STATS_MAX_COUNTERS + 1;
	assert_int_equal(read_back(rig, SIZE, &file), -EBADMSG);
	rig->file->n_counters = 2;
	rig->file->n_workers = STATS_MAX_WORKERS + 1;
	assert_int_equal(read_back(rig, SIZE, &file), -EBADMSG);
	rig->file->n_workers = WORKERS;
	rig->file->n_servers = STATS_MAX_SERVERS + 1;
	assert_int_equal(read_back(rig, SIZE, &file), -EBADMSG);
	rig->file->n_servers = 2;
	rig->file->layout = 4;
	assert_int_equal(read_back(rig, SIZE, &file), -EBADMSG);
	rig->file->layout = 3;
	rig->file->magic++;
	assert_int_equal(read_back(rig, SIZE, &file), -EBADMSG);
	assert_int_equal(stats_view_read("/nonexistent/stats", &file), -ENOENT);
	assert_int_equal(stats_view_read("/", &file), -EBADMSG);
	assert_null(file);
}

static void who_gave_up_is_told(void **state)
{
	struct rig *rig = *state;
	json_t *json = stats_view_json(rig->file), *rows = json_object_get(json, "gave_up");

	assert_int_equal(json_array_size(rows), 1); /* rows of nobody are left out */
	json_t *row = json_array_get(rows, 0), *within = json_object_get(row, "within");
	assert_string_equal(json_string_value(json_object_get(row, "name")), "slow");
	assert_int_equal(json_integer_value(json_object_get(row, "pace_below_ms")), 2000);
	assert_int_equal(json_integer_value(json_object_get(row, "total")), 10);
	assert_int_equal(json_array_size(within), STATS_AGES);
	assert_int_equal(json_integer_value(json_array_get(within, 5)), 8);
	assert_int_equal(json_integer_value(json_array_get(within, 6)), 2);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shows_sums_and_each_worker, make, drop),
		cmocka_unit_test_setup_teardown(who_gave_up_is_told, make, drop),
		cmocka_unit_test_setup_teardown(
		    a_file_that_is_not_whole_or_not_ours_is_refused, make, drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
