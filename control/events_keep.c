/* SPDX-License-Identifier: BSD-3-Clause */
/* Masking and deleting old events (events_keep.h). */
#include "events_keep.h"
#include "eventlog.h"
#include "inet.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char masked_word[] = "\"masked\":true";

/* ---- a line ---- */

static void mask_address(json_t *event)
{
	const char *text = json_string_value(json_object_get(event, "client"));
	char short_text[INET_TEXT_MAX];
	uint8_t addr[16];
	if (text == NULL)
		return;
	if (inet_parse_address(text, strlen(text), addr) != NULL) {
		json_object_del(event, "client");
		return;
	}
	if (inet_is_v4(addr))
		addr[15] = 0;
	else
		memset(addr + 6, 0, 10);
	inet_print(addr, short_text);
	json_object_set_new(event, "client", json_string(short_text));
}

static void mask_mailbox(json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));
	const char *at = text == NULL ? NULL : strrchr(text, '@');
	if (text != NULL)
		json_object_set_new(event, key, json_string(at == NULL ? "" : at));
}

char *events_mask_line(const char *line, size_t len)
{
	char *text = NULL;
	if (memmem(line, len, masked_word, sizeof(masked_word) - 1) != NULL)
		return NULL;
	json_t *event = json_loadb(line, len, 0, NULL);
	if (json_object_get(event, "client") == NULL) {
		json_decref(event);
		return NULL;
	}
	mask_address(event);
	mask_mailbox(event, "mail");
	mask_mailbox(event, "rcpt");
	json_object_del(event, "client_port");
	json_object_del(event, "host");
	const char *helo = json_string_value(json_object_get(event, "helo"));
	if (helo != NULL && (*helo == '[' || (*helo >= '0' && *helo <= '9')))
		json_object_set_new(event, "helo", json_string(""));
	json_object_set_new(event, "masked", json_true());
	text = json_dumps(event, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
	json_decref(event);
	return text;
}

/* ---- a file ---- */

static bool is_due(const char *line, size_t len, int64_t before_ms)
{
	int64_t ms = eventlog_time_ms(line, len);
	return ms >= 0 && ms < before_ms &&
	       memmem(line, len, masked_word, sizeof(masked_word) - 1) == NULL &&
	       memmem(line, len, "\"client\":", 9) != NULL;
}

/* Time of the newest line; -1: none has one. Whether one is due. */
static int64_t look(FILE *from, int64_t before_ms, bool *ret_due)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int64_t newest = -1;
	while ((n = getline(&line, &size, from)) > 0) {
		int64_t ms = eventlog_time_ms(line, (size_t)n);
		newest = ms > newest ? ms : newest;
		*ret_due = *ret_due || is_due(line, (size_t)n, before_ms);
	}
	free(line);
	return newest;
}

static int write_masked(FILE *from, FILE *to, int64_t before_ms, uint64_t *ret_masked)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	uint64_t masked = 0;
	while ((n = getline(&line, &size, from)) > 0) {
		char *text = NULL;
		if (is_due(line, (size_t)n, before_ms)) {
			text = events_mask_line(line, (size_t)n);
			masked++;
			/* a line that is no JSON says who somebody was all the same: it goes */
			if (text != NULL)
				fprintf(to, "%s\n", text);
		} else {
			fwrite(line, 1, (size_t)n, to);
		}
		free(text);
	}
	free(line);
	if (ferror(from) || fflush(to) != 0 || ferror(to) || fsync(fileno(to)) != 0)
		return -EIO;
	*ret_masked += masked;
	return 0;
}

static int lock_folder(const char *path)
{
	char *folder = strdup(path), *slash = folder == NULL ? NULL : strrchr(folder, '/');
	if (slash != NULL)
		*slash = '\0';
	int fd = folder == NULL ? -1
				: open(slash == NULL ? "."
				       : *folder     ? folder
						     : "/",
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Under the lock: `name` is still the file that was read. */
static bool is_still(const char *name, const struct stat *was)
{
	struct stat now;
	return stat(name, &now) == 0 && now.st_ino == was->st_ino && now.st_dev == was->st_dev;
}

static int replace(const char *path, const char *name, const struct stat *was, const char *temp)
{
	int lock = lock_folder(path), ret = lock < 0 ? -errno : 0;
	if (ret == 0 && !is_still(name, was))
		ret = -EAGAIN; /* rotated meanwhile: the next time */
	if (ret == 0 && (temp == NULL ? unlink(name) : rename(temp, name)) != 0)
		ret = -errno;
	if (lock >= 0)
		close(lock);
	return ret;
}

static int mask_file(const char *path, const char *name, FILE *from, const struct stat *st,
    int64_t before_ms, struct events_kept *kept)
{
	char *temp = NULL;
	if (asprintf(&temp, "%s.masking", path) < 0)
		return -ENOMEM;
	unlink(temp);
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
	uint64_t masked = 0;
	int ret = to == NULL ? -errno : 0;
	rewind(from);
	if (ret == 0 && fchmod(fd, st->st_mode & 0777) != 0)
		ret = -errno;
	if (ret == 0)
		ret = write_masked(from, to, before_ms, &masked);
	if (to != NULL && fclose(to) != 0 && ret == 0)
		ret = -EIO;
	if (ret == 0)
		ret = replace(path, name, st, temp);
	if (ret == 0)
		kept->masked_lines += masked;
	else
		unlink(temp);
	free(temp);
	return ret;
}

int events_keep(
    const char *path, const struct events_keep *keep, int64_t now_ms, struct events_kept *ret_kept)
{
	struct events_kept kept = { 0 };
	int64_t mask_ms =
	    keep->mask_after_s == 0 ? INT64_MIN : now_ms - (int64_t)keep->mask_after_s * 1000;
	int64_t delete_ms =
	    keep->retention_s == 0 ? INT64_MIN : now_ms - (int64_t)keep->retention_s * 1000;
	int first_error = 0;
	for (unsigned n = EVENTLOG_FILES_MAX; n-- > 0;) {
		char name[4096];
		struct stat st;
		bool due = false;
		int ret = 0;
		eventlog_name(path, n, name, sizeof(name));
		FILE *from = fopen(name, "re");
		if (from == NULL || fstat(fileno(from), &st) != 0 || !S_ISREG(st.st_mode)) {
			if (from != NULL)
				fclose(from);
			continue;
		}
		int64_t slack_ms = n == 0 ? EVENTS_KEEP_SLACK_S * 1000ll : 0;
		int64_t newest =
		    look(from, mask_ms == INT64_MIN ? mask_ms : mask_ms - slack_ms, &due);
		if (n == 0) {
			kept.rotate = due;
		} else if (newest >= 0 && newest < delete_ms) {
			ret = replace(path, name, &st, NULL);
			kept.deleted_files += ret == 0;
		} else if (due) {
			ret = mask_file(path, name, from, &st, mask_ms, &kept);
		}
		fclose(from);
		if (ret != 0 && first_error == 0)
			first_error = ret;
	}
	*ret_kept = kept;
	return first_error;
}
