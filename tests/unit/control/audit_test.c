/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit log: what was written is read, newest kept, parameters cut, files rotated. */
#include "audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct log {
	char folder[64];
	struct audit audit;
};

static int make(void **state)
{
	static struct log log;
	snprintf(log.folder, sizeof(log.folder), "/tmp/postern-audit-XXXXXX");
	*state = &log;
	return mkdtemp(log.folder) == NULL ? -1 : audit_init(&log.audit, log.folder);
}

static int drop(void **state)
{
	struct log *log = *state;
	char path[128];
	for (unsigned n = 0; n <= AUDIT_FILES; n++) {
		snprintf(path, sizeof(path), n == 0 ? "%s/audit.jsonl" : "%s/audit.jsonl.%u",
		    log->folder, n);
		unlink(path);
	}
	audit_fini(&log->audit);
	return rmdir(log->folder);
}

static void add(struct log *log, int64_t now, const json_t *params, const char *message)
{
	audit_add(&log->audit, now, 7, "user", "admin", "config.set", params, message, 3);
}

static void rows_come_back(void **state)
{
	struct log *log = *state;
	json_t *params = json_pack("{s:s}", "key", "limits.errors");
	add(log, 100, params, NULL);
	add(log, 200, params, "It is wrong.");
	add(log, 300, NULL, NULL);
	json_t *rows = audit_rows(&log->audit, 200, 10);
	assert_int_equal(json_array_size(rows), 2);
	const json_t *first = json_array_get(rows, 0);
	assert_string_equal(json_string_value(json_object_get(first, "error")), "It is wrong.");
	assert_true(json_equal(json_object_get(first, "params"), params));
	json_decref(rows);
	rows = audit_rows(&log->audit, 0, 1); /* the newest */
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 0), "time")), 300);
	json_decref(rows);
	json_decref(params);
}

static void long_parameters_are_cut(void **state)
{
	struct log *log = *state;
	char text[3000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	json_t *params = json_pack("{s:s}", "value", text);
	add(log, 100, params, NULL);
	json_t *rows = audit_rows(&log->audit, 0, 10);
	const json_t *kept = json_object_get(json_array_get(rows, 0), "params");
	assert_true(json_is_string(kept));
	assert_int_equal(json_string_length(kept), AUDIT_PARAMS_MAX);
	json_decref(rows);
	json_decref(params);
}

static void files_are_bounded(void **state)
{
	struct log *log = *state;
	char text[1000], path[128];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	json_t *params = json_pack("{s:s}", "value", text);
	for (int i = 0; i < 9 * (AUDIT_FILE_MAX / 1000); i++)
		add(log, i, params, NULL);
	snprintf(path, sizeof(path), "%s/audit.jsonl.%u", log->folder, AUDIT_FILES - 1);
	assert_int_equal(access(path, R_OK), 0);
	snprintf(path, sizeof(path), "%s/audit.jsonl.%u", log->folder, AUDIT_FILES);
	assert_int_not_equal(access(path, R_OK), 0);
	json_t *rows = audit_rows(&log->audit, 0, 100000);
	assert_int_equal(json_array_size(rows), AUDIT_ROWS_MAX);
	json_decref(rows);
	json_decref(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_come_back, make, drop),
		cmocka_unit_test_setup_teardown(long_parameters_are_cut, make, drop),
		cmocka_unit_test_setup_teardown(files_are_bounded, make, drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
