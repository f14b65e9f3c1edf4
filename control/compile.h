/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration to policy image, through filters/image_write.h: names become indexes, words become
 * enums, list files become the address table. The parts carry no epoch: the same configuration
 * gives the same bytes, so a part that did not change is not sent again.
 */
#ifndef POSTERN_CONTROL_COMPILE_H
#define POSTERN_CONTROL_COMPILE_H

#include "complaints.h"
#include "config.h"

#include "filters/image.h"

#include <stdbool.h>

struct image_writer;

struct image {
	struct image_writer *writer; /* owns the parts, or */
	void *map;                   /* the file they were read from does */
	size_t map_len;
	struct image_part parts[IMAGE_MAX_PARTS];
	unsigned n_parts;
	struct image_header header;
	unsigned long n_addresses; /* entries of all lists, as written */
};

/* Patterns may take a minute to compile. */
struct compile_options {
	const char *cache; /* directory for compiled patterns; NULL: none is kept */
	/* called as databases get ready: zone or header name. NULL is allowed */
	void (*progress)(void *arg, unsigned done, unsigned total, const char *what);
	void *arg;
};

/* NULL with complaints filled when list files or bounds refuse it. options NULL: none. */
struct image *image_compile(const struct config *config, uint32_t epoch,
    const struct compile_options *options, struct complaints *complaints);
/* config_read() and image_compile(). */
struct image *image_from_file(const char *path, uint32_t epoch,
    const struct compile_options *options, struct complaints *complaints);
struct image *image_free(struct image *image); /* NULL is allowed; returns NULL */

/* A rule's state and share. */
struct policy_rule;
void compile_state(struct policy_rule *rule, const struct config_value *state);

/* Writes the file form beside `path`, syncs it and renames it in place: a reader sees the old or
 * the new image, never a half. -errno. */
int image_save(const struct image *image, const char *path);

/* Reads a saved image, hashes and all. -errno; -EBADMSG with a sentence in ret_why. */
int image_load(const char *path, struct image **ret_image, const char **ret_why);
/* Gives it another epoch; the parts stay. -errno. */
int image_renumber(struct image *image, uint32_t epoch);
bool image_same(const struct image *a, const struct image *b); /* the same parts */

/* image_hash_fn by libcrypto. Ends the process if libcrypto cannot hash at all. */
void image_sha256(const void *data, size_t len, uint8_t ret_sha256[IMAGE_HASH_LEN]);
enum { IMAGE_HEX_LEN = 2 * IMAGE_HASH_LEN };
void image_hex(const uint8_t sha256[IMAGE_HASH_LEN], char ret_hex[IMAGE_HEX_LEN + 1]);

#endif
