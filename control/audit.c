/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit log (audit.h). */
#include "audit.h"
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* n 0: the one being written. */
static char *path_of(const struct audit *a, unsigned n)
{
	char *path = NULL;
	int ret = n == 0 ? asprintf(&path, "%s/audit.jsonl", a->folder)
			 : asprintf(&path, "%s/audit.jsonl.%u", a->folder, n);
	return ret < 0 ? NULL : path;
}

static int open_file(struct audit *a)
{
	struct stat st;
	char *path = path_of(a, 0);
	a->fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	int ret = path == NULL ? -ENOMEM : a->fd < 0 || fstat(a->fd, &st) != 0 ? -errno : 0;
	if (ret == 0)
		a->size = (size_t)st.st_size;
	free(path);
	return ret;
}

int audit_init(struct audit *a, const char *folder)
{
	*a = (struct audit){ .folder = strdup(folder), .fd = -1 };
	return a->folder == NULL ? -ENOMEM : open_file(a);
}

void audit_fini(struct audit *a)
{
	if (a->folder != NULL && a->fd >= 0)
		close(a->fd);
	free(a->folder);
	*a = (struct audit){ .fd = -1 };
}

static void rotate(struct audit *a)
{
	for (unsigned n = AUDIT_FILES - 1; n-- > 0;) {
		char *from = path_of(a, n), *to = path_of(a, n + 1);
		if (from != NULL && to != NULL && rename(from, to) != 0 && errno != ENOENT)
			fprintf(stderr, "postern-manager: %s stays: %s\n", from, strerror(errno));
		free(from);
		free(to);
	}
	if (a->fd >= 0)
		close(a->fd);
	open_file(a);
}

void audit_add(struct audit *a, int64_t now, uint32_t uid, const char *user, const char *role,
    const char *method, const json_t *params, const char *message, uint32_t epoch)
{
	char *cut = params == NULL ? NULL : json_dumps(params, JSON_COMPACT), *line = NULL;
	bool whole = cut == NULL || strlen(cut) <= AUDIT_PARAMS_MAX;
	json_t *row = json_pack("{s:I, s:I, s:s, s:s, s:s, s:s?, s:I}", "time", (json_int_t)now,
	    "uid", (json_int_t)uid, "user", user, "role", role, "method", method, "error", message,
	    "epoch", (json_int_t)epoch);
	if (row != NULL && params != NULL && whole)
		json_object_set_new(row, "params", json_deep_copy(params));
	else if (row != NULL && params != NULL) {
		size_t n = AUDIT_PARAMS_MAX;
		while (n != 0 && ((unsigned char)cut[n] & 0xc0) == 0x80)
			n--; /* no half of a character */
		json_object_set_new(row, "params", json_stringn(cut, n));
	}
	char *text = row == NULL ? NULL : json_dumps(row, JSON_COMPACT);
	int len = text == NULL ? -1 : asprintf(&line, "%s\n", text);
	if (len > 0 && a->size + (size_t)len > AUDIT_FILE_MAX)
		rotate(a);
	if (len < 0 || a->fd < 0 || write(a->fd, line, (size_t)len) != len)
		fprintf(stderr, "postern-manager: not in the audit log: %s by %s\n", method, user);
	else
		a->size += (size_t)len;
	if (len >= 0)
		free(line);
	free(text);
	free(cut);
	json_decref(row);
}

/* Adds the rows of one file that fit, newest first. */
static void read_rows(const char *path, int64_t since, unsigned most, json_t *rows)
{
	char *text = NULL;
	size_t len = 0;
	if (state_read(path, AUDIT_FILE_MAX, &text, &len) != 0)
		return;
	while (len != 0 && json_array_size(rows) < most) {
		if (text[len - 1] == '\n')
			len--;
		const char *start = len == 0 ? NULL : memrchr(text, '\n', len);
		size_t at = start == NULL ? 0 : (size_t)(start + 1 - text);
		json_t *row = json_loadb(text + at, len - at, 0, NULL);
		if (row != NULL && json_integer_value(json_object_get(row, "time")) < since) {
			json_decref(row);
			break;
		}
		if (row != NULL)
			json_array_append_new(rows, row);
		len = at;
	}
	free(text);
}

json_t *audit_rows(const struct audit *a, int64_t since, unsigned most)
{
	json_t *newest = json_array(), *rows = json_array();
	if (most > AUDIT_ROWS_MAX)
		most = AUDIT_ROWS_MAX;
	for (unsigned n = 0; n < AUDIT_FILES && json_array_size(newest) < most; n++) {
		char *path = path_of(a, n);
		if (path != NULL)
			read_rows(path, since, most, newest);
		free(path);
	}
	for (size_t i = json_array_size(newest); i-- > 0;)
		json_array_append(rows, json_array_get(newest, i));
	json_decref(newest);
	return rows;
}
