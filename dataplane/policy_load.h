/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policies from where they come (an image file, sealed memfds) to generations that can be
 * published, and the last one back to disk. Parts are kept by hash: an unchanged table is neither
 * sent, nor hashed, nor mapped again. Belongs to the control thread; generation_put() may run on
 * any one other thread (it takes the store's lock).
 *
 * An image file is read into memory of our own, not mapped: a file that somebody cuts short while
 * it is in use would be SIGBUS on a worker. A memfd is mapped: its seals forbid that.
 */
#ifndef POSTERN_DATAPLANE_POLICY_LOAD_H
#define POSTERN_DATAPLANE_POLICY_LOAD_H

#include "filters/image.h"
#include "filters/policy.h"

enum { POLICY_MAX_GENERATIONS = 4 };

struct held_part;
struct held_scanner;
struct policy_store;

struct generation {
	struct policy *policy;
	uint32_t epoch;
	unsigned n_parts;
	struct held_part *parts[IMAGE_MAX_PARTS];
	struct held_scanner *scanners[POLICY_PATTERN_SETS];
	unsigned n_scanners;
};

/* One part as the manager offers it. */
struct part_offer {
	uint32_t kind;
	uint8_t sha256[IMAGE_HASH_LEN];
	uint64_t size;
	int fd; /* sealed memfd, stays the caller's; -1: held already */
};

/* Words of the socket protocol (control/README.md). */
enum load_error {
	LOAD_OK,
	LOAD_BAD_FD,
	LOAD_BAD_HASH,
	LOAD_MISSING_PART,
	LOAD_BAD_IMAGE,
	LOAD_BUSY,
	LOAD_NO_MEMORY,
};

/* dir: where the last image is kept; NULL: nowhere. */
int policy_store_new(const char *dir, struct policy_store **ret_store);
struct policy_store *policy_store_free(struct policy_store *s); /* all generations have been put */

/* Descriptors that this user made are taken, too, beside root's and our own: the manager's. */
void policy_store_trust(struct policy_store *s, uint32_t uid);

/* path NULL: the last committed image of the directory; -ENOENT when there is none. *ret_error is a
 * sentence (caller frees). */
int policy_store_read(
    struct policy_store *s, const char *path, struct generation **ret_gen, char **ret_error);

enum load_error policy_store_take(struct policy_store *s, uint32_t epoch,
    const struct part_offer *offers, unsigned n, struct generation **ret_gen, char **ret_error);

/* Writes it as the last committed image: temporary file, fsync, rename, fsync of the directory. */
int policy_store_write(struct policy_store *s, const struct generation *gen, char **ret_error);

/* The same parts in the same order? */
bool generation_same(const struct generation *gen, const struct part_offer *offers, unsigned n);

/* Frees it and those of its parts that no other generation holds. */
void generation_put(struct policy_store *s, struct generation *gen);

/*
 * Pattern sets outlive their generation while messages are scanned with them (filters/scanner.h). This
 * gives back those that are done; beyond POLICY_MAX_GENERATIONS the oldest are condemned when a new
 * one comes. Any thread that is no worker; now and then.
 */
void policy_store_sweep(struct policy_store *s);

/* Calls fn for the hash of every part held. */
void policy_store_parts(
    struct policy_store *s, void (*fn)(const uint8_t sha256[IMAGE_HASH_LEN], void *arg), void *arg);

/* For images: SHA-256 by libcrypto. */
void policy_sha256(const void *data, size_t len, uint8_t ret_sha256[IMAGE_HASH_LEN]);

#endif
