/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything an engineer configured, in one JSON file: the configuration in force, the files that it
 * reads, the settings laid over it. {"postern_snapshot":1,"time","config":{"path","text"},"files":
 * [{"key","name" (as the configuration writes it),"text"}],"overrides":[...]}. (Rejected: a tar; a
 * library more, and nobody could read it in an editor.)
 */
#ifndef POSTERN_CONTROL_SNAPSHOT_H
#define POSTERN_CONTROL_SNAPSHOT_H

#include "config.h"

#include <jansson.h>

enum { SNAPSHOT_FILE_MAX = 64 * 1024 * 1024, SNAPSHOT_MAX = 1024 * 1024 * 1024 };

/* NULL with complaints filled: the text is no configuration, or a file cannot be taken. */
json_t *snapshot_make(const char *path, const char *text, size_t len, const json_t *overrides,
    int64_t now, struct complaints *complaints);
/* Reads one back and checks that its configuration is one. NULL: told to complaints. */
json_t *snapshot_read(const char *path, struct complaints *complaints);
/* Puts its configuration at `config`, its files beside or where they were; what stood there before
 * and differs is kept with `.before-restore` behind its name. False: told to complaints. */
bool snapshot_unpack(const json_t *snapshot, const char *config, struct complaints *complaints);

#endif
