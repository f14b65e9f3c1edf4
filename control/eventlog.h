/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the dataplane's event log: FILE and its rotated predecessors FILE.1, FILE.2 ..., JSON lines
 * that each begin with {"time":"...". Finds a place by time (binary search in the file that holds
 * it), goes forward or backward from there a line at a time, and follows across rotation by the
 * file's inode. Nothing is kept in memory but one block: the log is the buffer. (Rejected: an index
 * beside it, one more thing to be wrong after a crash; a search costs some twenty reads.)
 *
 * Lines of one moment may stand in a slightly different order (a worker's ring each), so a search
 * begins EVENTLOG_SLACK_MS early and skips.
 */
#ifndef POSTERN_CONTROL_EVENTLOG_H
#define POSTERN_CONTROL_EVENTLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EVENTLOG_FILES_MAX = 64,    /* FILE and FILE.1 to FILE.63; the dataplane keeps fewer */
	EVENTLOG_BLOCK = 64 * 1024, /* bytes read at a time */
	EVENTLOG_LINE_MAX = 8192,   /* longer ones are skipped, and counted */
	EVENTLOG_SLACK_MS = 2000,
};
#define EVENTLOG_OLDEST INT64_MIN
#define EVENTLOG_END    INT64_MAX

struct eventlog;

/* Milliseconds since 1970 of a line's {"time":"2026-03-01T12:00:05.123Z"; -1: it has none. */
int64_t eventlog_time_ms(const char *line, size_t len);

/* Opens at the first line that is not older than since_ms (EVENTLOG_OLDEST: the very first;
 * EVENTLOG_END: behind the last), or behind the last with `from_end`, to go backward. A log that does not exist yet is empty, not an error. -errno. */
int eventlog_open(const char *path, int64_t since_ms, bool from_end, struct eventlog **ret_log);
struct eventlog *eventlog_close(struct eventlog *log); /* NULL is allowed; returns NULL */

/* The next line, without its LF, lent until the next call. 1; 0: no more for now (ask again later,
 * rotation is followed); -errno. */
int eventlog_next(struct eventlog *log, const char **ret_line, size_t *ret_len);
/* The line before; after 0 (none older than this, or older than the since_ms of eventlog_open())
 * eventlog_next() begins with the oldest line given. */
int eventlog_previous(struct eventlog *log, const char **ret_line, size_t *ret_len);
/* Bytes read from files so far: for whoever bounds a turn. */
uint64_t eventlog_bytes(const struct eventlog *log);
/* Lines skipped because they were too long. */
uint64_t eventlog_skipped(const struct eventlog *log);

/* The path of the n-th file, 0: FILE itself. */
void eventlog_name(const char *path, unsigned n, char *ret_name, size_t size);

#endif
