/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Committed policies in STATE/policy: for each epoch NNNNNNNNNN.img (the image), .yaml (the
 * configuration it was made from) and .json (who, when, why, what changed, settings laid over it,
 * files it read). The newest HISTORY_KEEP images and sources are kept, HISTORY_KEEP_ROWS rows. The
 * number of the newest is the manager's memory of epochs over its own restarts. Files that a
 * configuration reads are kept by their hash in STATE/files while a kept epoch names them.
 *
 * A row: {"epoch","time" (seconds since 1970),"user","how","reason","path","changes":{"keys",
 * "added","removed"},"addresses","overrides":[...],"files":[{"key","path","sha256","size","mtime_ns",
 * "kept"}],"drift":[...],"file_sha256"}
 */
#ifndef POSTERN_CONTROL_HISTORY_H
#define POSTERN_CONTROL_HISTORY_H

#include "compile.h"
#include "config.h"

#include <jansson.h>

enum {
	HISTORY_KEEP = 16,
	HISTORY_KEEP_ROWS = 256,
	HISTORY_FILE_MAX = 16 * 1024 * 1024, /* a larger file is known by its hash alone */
};

/* Makes STATE/policy where it is missing. -errno. */
int history_init(const char *state);
int history_save(const char *state, const struct image *image);
/* The newest image that is whole; broken ones are passed over and told to stderr. -ENOENT: none. */
int history_newest(const char *state, struct image **ret_image);

/* Writes what history_commit() then only renames, so that a commit takes no time. text NULL: no
 * source. -errno. */
int history_prepare(
    const char *state, const struct image *image, const char *text, size_t len, const json_t *row);
int history_commit(const char *state, uint32_t epoch);
void history_forget(const char *state); /* what was prepared is not committed */
/* Source and row of an epoch whose image was saved by itself. row is lent. */
int history_keep(const char *state, uint32_t epoch, const char *text, size_t len, const json_t *row);

/* -ENOENT where that epoch is not kept. */
int history_image(const char *state, uint32_t epoch, struct image **ret_image);
int history_source(const char *state, uint32_t epoch, char **ret_text, size_t *ret_len);
/* NULL: not kept. */
json_t *history_row(const char *state, uint32_t epoch);
/* Rows, newest first; "rollback": whether the image is still there. */
json_t *history_rows(const char *state);

/* The files that a configuration reads, as rows hold them; copies small ones. */
json_t *history_files(const char *state, const struct config *config);
char *history_kept(const char *state); /* the folder of the copies, to be freed */
/* SHA-256 in hex; -errno. ret_len: bytes read. */
int history_hash(const char *path, char ret_hex[IMAGE_HEX_LEN + 1], uint64_t *ret_len);

#endif
