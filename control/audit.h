/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The audit log, STATE/audit.jsonl: one line for each change that was asked for, done or not. Of
 * AUDIT_FILE_MAX bytes a file, AUDIT_FILES of them (audit.jsonl.1 is the last but one); the oldest is
 * dropped. A line that cannot be written is told to stderr: the change is not held up by a full disk.
 */
#ifndef POSTERN_CONTROL_AUDIT_H
#define POSTERN_CONTROL_AUDIT_H

#include <jansson.h>
#include <stdint.h>

enum {
	AUDIT_FILE_MAX = 8 * 1024 * 1024,
	AUDIT_FILES = 8,
	AUDIT_PARAMS_MAX = 1024, /* bytes of parameters kept; longer ones are cut */
	AUDIT_ROWS_MAX = 1000,   /* told at once */
};

struct audit {
	char *folder;
	int fd; /* -1: closed */
	size_t size;
};

int audit_init(struct audit *a, const char *folder);
void audit_fini(struct audit *a);
/* message NULL: it was done. */
void audit_add(struct audit *a, int64_t now, uint32_t uid, const char *user, const char *role,
    const char *method, const json_t *params, const char *message, uint32_t epoch);
/* The newest `most` rows of `since` or later, oldest first. */
json_t *audit_rows(const struct audit *a, int64_t since, unsigned most);

#endif
