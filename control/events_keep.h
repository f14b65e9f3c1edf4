/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long the event log knows who somebody was. Lines older than `mask_after_s` lose what names a
 * person: the client's address becomes its /24 or /48, port, host name and address literals go, of
 * sender and recipient the domain stays. Rotated files are rewritten beside and put in place under the
 * lock that rotation takes (dataplane/events.h); files whose newest line is older than `retention_s`
 * are deleted. The file being written is left alone: when it is due, its rotation is asked for.
 */
#ifndef POSTERN_CONTROL_EVENTS_KEEP_H
#define POSTERN_CONTROL_EVENTS_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct events_keep {
	uint64_t retention_s, mask_after_s; /* 0: for ever, never */
};

struct events_kept {
	uint64_t masked_lines, deleted_files;
	bool rotate; /* the file being written holds lines that are due */
};

enum { EVENTS_KEEP_SLACK_S = 3600 }; /* the file being written is rotated so much later */

/* The masked line without LF, to be freed; NULL: nothing is to be masked in it, or no memory. */
char *events_mask_line(const char *line, size_t len);
/* 0, or -errno of the first file that could not be done; the others are. */
int events_keep(
    const char *path, const struct events_keep *keep, int64_t now_ms, struct events_kept *ret_kept);

#endif
