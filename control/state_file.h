/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small JSON files of the state directory, written beside, synced and renamed: after a kill -9 or a
 * lost power there is the old content or the new, never a half.
 */
#ifndef POSTERN_CONTROL_STATE_FILE_H
#define POSTERN_CONTROL_STATE_FILE_H

#include <jansson.h>
#include <stddef.h>

/* -errno. */
int state_save(const char *folder, const char *name, const json_t *json);
/* NULL: there is none, or it is no JSON (told to stderr). */
json_t *state_load(const char *folder, const char *name);
/* The same of any bytes. */
int state_write(const char *folder, const char *name, const void *data, size_t len);
/* A whole plain file of at most `max` bytes, with a NUL behind it. -errno; -EFBIG; -EINVAL: no
 * plain file. */
int state_read(const char *path, size_t max, char **ret_text, size_t *ret_len);
int state_sync_folder(const char *folder);

#endif
