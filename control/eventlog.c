/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the event log (eventlog.h). */
#include "eventlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct eventlog {
	char *path;
	int fd; /* -1: no file yet */
	dev_t dev;
	ino_t ino;
	int64_t since_ms; /* older lines are not given */
	int64_t last_ms;  /* of the last line given forward: where to go on if its file is gone */
	bool after_last;  /* skip what is not newer than last_ms: the file was replaced */
	off_t at;         /* of the next line to be given */
	/* the block that was read last */
	off_t block_at;
	size_t block_len;
	uint64_t bytes, skipped;
	char block[EVENTLOG_BLOCK];
};

void eventlog_name(const char *path, unsigned n, char *ret_name, size_t size)
{
	if (n == 0)
		snprintf(ret_name, size, "%s", path);
	else
		snprintf(ret_name, size, "%s.%u", path, n);
}

static bool digits(const char *p, unsigned n, int *ret_number)
{
	int number = 0;
	for (unsigned i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		number = number * 10 + (p[i] - '0');
	}
	*ret_number = number;
	return true;
}

int64_t eventlog_time_ms(const char *line, size_t len)
{
	static const char head[] = "{\"time\":\"";
	const size_t at = sizeof(head) - 1;
	struct tm tm = { 0 };
	int ms;
	if (len < at + 24 || memcmp(line, head, at) != 0)
		return -1;
	const char *t = line + at;
	if (!digits(t, 4, &tm.tm_year) || !digits(t + 5, 2, &tm.tm_mon) ||
	    !digits(t + 8, 2, &tm.tm_mday) || !digits(t + 11, 2, &tm.tm_hour) ||
	    !digits(t + 14, 2, &tm.tm_min) || !digits(t + 17, 2, &tm.tm_sec) ||
	    !digits(t + 20, 3, &ms) || t[10] != 'T' || t[19] != '.')
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

/* ---- one file ---- */

static void leave(struct eventlog *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
	log->block_len = 0;
	log->block_at = log->at = 0;
}

/* -ENOENT: there is none. */
static int enter(struct eventlog *log, unsigned n)
{
	char name[4096];
	struct stat st;
	eventlog_name(log->path, n, name, sizeof(name));
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	leave(log);
	log->fd = fd;
	log->dev = st.st_dev;
	log->ino = st.st_ino;
	return 0;
}

/* The block from `at` on; its bytes, 0 at the end. */
static int fill(struct eventlog *log, off_t at)
{
	ssize_t n = pread(log->fd, log->block, sizeof(log->block), at);
	if (n < 0)
		return -errno;
	log->block_at = at;
	log->block_len = (size_t)n;
	log->bytes += (uint64_t)n;
	return (int)n;
}

/* The line that begins at `at`. 1; 0: none, or not ended yet. *ret_next: where the next begins. */
static int line_at(
    struct eventlog *log, off_t at, const char **ret_line, size_t *ret_len, off_t *ret_next)
{
	const char *start, *end;
	for (;;) {
		bool held = at >= log->block_at && at < log->block_at + (off_t)log->block_len;
		start = log->block + (held ? at - log->block_at : 0);
		size_t left = held ? log->block_len - (size_t)(at - log->block_at) : 0;
		end = left == 0 ? NULL : memchr(start, '\n', left);
		if (end != NULL)
			break;
		if (held && log->block_at == at && left == sizeof(log->block)) {
			/* no line of ours: over to where it ends */
			log->skipped++;
			for (;;) {
				int n = fill(log, at += (off_t)log->block_len);
				if (n <= 0)
					return n;
				end = memchr(log->block, '\n', (size_t)n);
				if (end == NULL)
					continue;
				at += end + 1 - log->block;
				break;
			}
			continue;
		}
		size_t had = held && log->block_at == at ? left : 0;
		int n = fill(log, at);
		if (n < 0)
			return n;
		if (n == 0 || ((size_t)n == had && memchr(log->block, '\n', (size_t)n) == NULL) ||
		    ((size_t)n < sizeof(log->block) && memchr(log->block, '\n', (size_t)n) == NULL))
			return 0;
	}
	*ret_line = start;
	*ret_len = (size_t)(end - start);
	*ret_next = at + (off_t)*ret_len + 1;
	return 1;
}

/* Where the line begins that `at` lies in; the file's begin, or behind a LF. */
static off_t line_begin(struct eventlog *log, off_t at)
{
	char back[4096];
	while (at > 0) {
		size_t n = at < (off_t)sizeof(back) ? (size_t)at : sizeof(back);
		if (pread(log->fd, back, n, at - (off_t)n) != (ssize_t)n)
			return 0;
		log->bytes += n;
		const char *lf = memrchr(back, '\n', n);
		if (lf != NULL)
			return at - (off_t)n + (lf + 1 - back);
		at -= (off_t)n;
	}
	return 0;
}

/* The time of the line that begins at `at`, or of the first behind it that has one; -1: none. */
static int64_t time_at(struct eventlog *log, off_t at)
{
	const char *line;
	size_t len;
	while (line_at(log, at, &line, &len, &at) == 1) {
		int64_t ms = eventlog_time_ms(line, len);
		if (ms >= 0)
			return ms;
	}
	return -1;
}

/* The first line of this file that may not be older. */
static off_t search(struct eventlog *log, int64_t since_ms)
{
	struct stat st;
	if (fstat(log->fd, &st) != 0)
		return 0;
	off_t low = 0, high = st.st_size; /* lines that begin below low are older */
	while (high - low > EVENTLOG_LINE_MAX) {
		off_t middle = line_begin(log, low + (high - low) / 2);
		int64_t ms = middle <= low ? -1 : time_at(log, middle);
		if (middle <= low)
			break;
		if (ms >= 0 && ms < since_ms)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* ---- over all files ---- */

/* The file that holds the line to begin with, newest first: the first whose own begin is older. */
static int find(struct eventlog *log, int64_t since_ms)
{
	int found = -1;
	if (since_ms == EVENTLOG_END) {
		struct stat st;
		int ret = enter(log, 0);
		if (ret == 0 && fstat(log->fd, &st) == 0)
			log->at = line_begin(log, st.st_size);
		return ret == -ENOENT ? 0 : ret;
	}
	for (unsigned n = 0; n < EVENTLOG_FILES_MAX; n++) {
		int ret = enter(log, n);
		if (ret == -ENOENT && n > 0)
			break;
		if (ret == -ENOENT)
			continue; /* between two files, when it is rotated */
		if (ret != 0)
			return ret;
		found = (int)n;
		int64_t first = since_ms == EVENTLOG_OLDEST ? -1 : time_at(log, 0);
		if (first >= 0 && first <= since_ms)
			break;
	}
	if (found < 0)
		return 0;
	/* the newest was left for a look at an older one that is not there */
	if (since_ms != EVENTLOG_OLDEST && log->fd >= 0)
		log->at = search(log, since_ms);
	return 0;
}

int eventlog_open(const char *path, int64_t since_ms, bool from_end, struct eventlog **ret_log)
{
	struct eventlog *log = malloc(sizeof(*log));
	int ret = -ENOMEM;
	if (log == NULL)
		return ret;
	memset(log, 0, offsetof(struct eventlog, block));
	log->fd = -1;
	log->last_ms = INT64_MIN;
	log->path = strdup(path);
	log->since_ms = since_ms == EVENTLOG_END ? INT64_MIN : since_ms;
	if (log->path == NULL || strlen(path) > 4000)
		goto failed;
	if (from_end)
		ret = find(log, EVENTLOG_END);
	else if (since_ms < 0 || since_ms == EVENTLOG_END)
		ret = find(log, since_ms);
	else
		ret = find(log, since_ms - EVENTLOG_SLACK_MS);
	if (ret != 0)
		goto failed;
	*ret_log = log;
	return 0;
failed:
	eventlog_close(log);
	return ret;
}

struct eventlog *eventlog_close(struct eventlog *log)
{
	if (log == NULL)
		return NULL;
	leave(log);
	free(log->path);
	free(log);
	return NULL;
}

/* Which of the files ours is now; -1: none. */
static int place_of(const struct eventlog *log)
{
	char name[4096];
	struct stat st;
	for (unsigned n = 0; n < EVENTLOG_FILES_MAX; n++) {
		eventlog_name(log->path, n, name, sizeof(name));
		if (stat(name, &st) != 0) {
			if (n > 0)
				break;
			continue;
		}
		if (st.st_ino == log->ino && st.st_dev == log->dev)
			return (int)n;
	}
	return -1;
}

/* At the end of our file: over to the next newer one. True: there is more. */
static bool advance(struct eventlog *log)
{
	if (log->fd < 0) { /* the first file has come to be */
		if (enter(log, 0) != 0)
			return false;
		return true;
	}
	int n = place_of(log);
	if (n == 0)
		return false;
	/* what was written between our end and the rename */
	const char *line;
	size_t len;
	off_t next;
	if (line_at(log, log->at, &line, &len, &next) == 1)
		return true;
	if (n > 0)
		return enter(log, (unsigned)n - 1) == 0;
	/* it was rewritten (masked) or is kept no more: go on by time */
	leave(log);
	log->after_last = true;
	return find(log, log->last_ms) == 0 && log->fd >= 0;
}

int eventlog_next(struct eventlog *log, const char **ret_line, size_t *ret_len)
{
	off_t next;
	for (;;) {
		int ret = log->fd < 0 ? 0 : line_at(log, log->at, ret_line, ret_len, &next);
		if (ret < 0)
			return ret;
		if (ret == 0 && !advance(log))
			return 0;
		if (ret == 0)
			continue;
		log->at = next;
		if (*ret_len > EVENTLOG_LINE_MAX) {
			log->skipped++;
			continue;
		}
		int64_t ms = eventlog_time_ms(*ret_line, *ret_len);
		if (ms >= 0 && ms < log->since_ms)
			continue;
		if (log->after_last && ms >= 0 && ms <= log->last_ms)
			continue;
		log->after_last = false;
		log->last_ms = ms > log->last_ms ? ms : log->last_ms;
		return 1;
	}
}

int eventlog_previous(struct eventlog *log, const char **ret_line, size_t *ret_len)
{
	off_t next;
	for (;;) {
		if (log->fd < 0)
			return 0;
		if (log->at == 0) {
			int n = place_of(log);
			struct stat st;
			if (n < 0 || n + 1 == EVENTLOG_FILES_MAX || enter(log, (unsigned)n + 1) != 0)
				return 0;
			if (fstat(log->fd, &st) != 0)
				return -errno;
			log->at = line_begin(log, st.st_size);
			continue;
		}
		off_t begin = line_begin(log, log->at - 1);
		/* one block serves many lines */
		if (begin < log->block_at || log->at > log->block_at + (off_t)log->block_len) {
			off_t from = log->at - (off_t)sizeof(log->block);
			int ret = fill(log, from > 0 ? from : 0);
			if (ret < 0)
				return ret;
		}
		log->at = begin;
		int ret = line_at(log, begin, ret_line, ret_len, &next);
		if (ret <= 0)
			return ret;
		if (*ret_len > EVENTLOG_LINE_MAX) {
			log->skipped++;
			continue;
		}
		int64_t ms = eventlog_time_ms(*ret_line, *ret_len);
		if (ms >= 0 && ms + EVENTLOG_SLACK_MS < log->since_ms) {
			log->at = next;
			return 0;
		}
		if (ms >= 0 && ms < log->since_ms)
			continue;
		return 1;
	}
}

uint64_t eventlog_bytes(const struct eventlog *log)
{
	return log->bytes;
}

uint64_t eventlog_skipped(const struct eventlog *log)
{
	return log->skipped;
}
