/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address list files: one address, prefix or first-last range a line, `#` begins a comment, empty
 * lines and CR before LF are ignored. Read a piece at a time, so that ten million lines need no
 * second copy in memory. Mistakes name line and column; the rest of the file is still read.
 */
#ifndef POSTERN_CONTROL_LISTFILE_H
#define POSTERN_CONTROL_LISTFILE_H

#include "complaints.h"
#include "inet.h"

enum { LISTFILE_LINE_MAX = 1024 }; /* bytes, the line end not counted */

/* What takes an entry; a negative value ends the reading and is returned. */
typedef int listfile_entry(void *arg, const struct inet_range *range);

/* Returns 0 (with or without complaints), -errno when the file cannot be opened or read, or what
 * `entry` returned. */
int listfile_read(const char *path, listfile_entry *entry, void *arg, struct complaints *complaints);

#endif
