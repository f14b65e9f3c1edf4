/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The greylist's file: LMDB, known to this file alone. One thread. What is committed survives kill
 * -9 and power loss (every commit is synced); the file is allocated in full when it is opened, and
 * written by calls, never through the map, so a full disk is an error when we start and nothing else.
 *
 * Two tables. What never passed is filed by (time of the first try, lot, key): a flood's inserts then
 * lie side by side in few pages, and the oldest to go are at the other end. The rest is filed by
 * key. Rejected: one table by key (each insert of a flood dirties a page of its own: at 1 M
 * entries a commit of 1,000 writes 4 MiB).
 */
#ifndef POSTERN_DATAPLANE_STORE_H
#define POSTERN_DATAPLANE_STORE_H

#include "filters/greylist.h"

#include <stdbool.h>
#include <stdint.h>

struct store;

struct store_record {
	uint64_t key;
	struct greylist_entry entry;
	uint16_t tenant;
	bool pool; /* of a whole pool: the text has no sender and recipient */
	bool cut;  /* texts are not whole: the key cannot be made from them again */
	uint16_t len;
	char text[GREY_NOTE_TEXT]; /* as in struct grey_note */
};

/* Makes the file if need be, for entries of `capacity` (greylist_new()). -EBADMSG: not ours or
 * broken; -EBUSY: another process has it; -ENOSPC: the disk has no room. */
int store_open(const char *path, uint32_t capacity, struct store **ret_store, char **ret_error);
struct store *store_close(struct store *s);

/* The secret of the keys, made with the file. */
const uint8_t *store_secret(const struct store *s);

/* A batch: begin, any number of changes, commit. After an error only abort is left. */
int store_begin(struct store *s);
int store_write(struct store *s, const struct store_record *r);
/* `was` tells where it was filed; an entry that is not there is none of its business. */
int store_erase(struct store *s, uint64_t key, const struct greylist_entry *was);
/* The text of an entry that is there, into r->len and r->text; else they stay. */
void store_text(
    struct store *s, uint64_t key, const struct greylist_entry *was, struct store_record *r);
int store_commit(struct store *s); /* 0: it is on disk. Else nothing of the batch is */
void store_abort(struct store *s);

enum { STORE_KEY_MAX = 14 };
/* Where a walk stands; zeroed: at the start. Survives changes in between. */
struct store_position {
	uint8_t table; /* 0: accepted and trapped, 1: pending, 2: the end */
	uint8_t len;
	uint8_t key[STORE_KEY_MAX];
};
/* Up to `most` records from *position on, to `each` (false: stop behind this one). */
int store_walk(struct store *s, struct store_position *position, unsigned most,
    bool (*each)(void *arg, const struct store_record *r), void *arg);

struct store_usage {
	uint64_t records, used_bytes, map_bytes;
};
struct store_usage store_usage(struct store *s);
/* No more room for records: the rest of the map is what a commit needs beside them. */
bool store_is_tight(struct store *s);

const char *store_error(int err); /* words for a negative return */

#endif
