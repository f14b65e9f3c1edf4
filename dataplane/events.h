/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event log: workers put fixed records into a ring each (single producer, single consumer,
 * bounded: what finds no room is lost and counted by the worker), a thread of this module writes
 * them as JSON lines to a file that is rotated by size, or to stdout. A worker never waits for a
 * disk. Files are renamed under a lock of their folder (flock), which whoever puts another file in
 * the place of a rotated one takes as well. Rejected: a shared queue with a lock, and formatting in the worker.
 */
#ifndef POSTERN_DATAPLANE_EVENTS_H
#define POSTERN_DATAPLANE_EVENTS_H

#include "stats.h"
#include "worker.h"

#include <stddef.h>

enum {
	EVENTS_RING = 4096,         /* records a worker may have unwritten */
	EVENTS_FILE_MAX = 64 << 20, /* bytes; then FILE becomes FILE.1, .1 becomes .2 ... */
	EVENTS_FILES_KEPT = 31,
	EVENTS_LINE_MAX = 6144,
};

struct events;

/* path NULL: nothing is written (records are taken and thrown away), "-": stdout. stats names the
 * servers. On failure *ret_error is a sentence (caller frees). */
int events_new(const char *path, uint64_t file_max, unsigned n_workers,
    const struct stats_file *stats, const uint8_t token_key[16], struct events **ret_events,
    char **ret_error);
/* Writes what is left, then frees. */
struct events *events_free(struct events *e);

/* The worker's thread. Returns how many of the n found no room. */
unsigned events_put(struct events *e, unsigned worker, const struct event *events, unsigned n);

/* Any thread off the packet path: a line {"time":..,"event":kind,"text":..}. */
void events_tell(struct events *e, uint64_t now_ns, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* FILE becomes FILE.1 now, so that whoever masks old lines (the manager) may rewrite them. */
void events_rotate(struct events *e);
const char *events_path(const struct events *e); /* absolute; NULL: no file */

/* One record as a line with its newline; returns its length, at most EVENTS_LINE_MAX. */
size_t events_format(const struct event *event, const struct stats_file *stats,
    const uint8_t token_key[16], char ret_line[EVENTS_LINE_MAX]);

#endif
