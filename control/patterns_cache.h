/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiled databases on disk: a file per key, its content behind its own SHA-256, written beside
 * and renamed, so that a half-written one is a miss. Bounded to the PATTERNS_CACHE_FILES used
 * last. A cache that cannot be written costs time, never a policy: puts report nothing.
 */
#ifndef POSTERN_CONTROL_PATTERNS_CACHE_H
#define POSTERN_CONTROL_PATTERNS_CACHE_H

#include "filters/image.h"

enum { PATTERNS_CACHE_FILES = 256 };

/* -errno; -EBADMSG: damaged. *ret_bytes to be freed. */
int patterns_cache_get(
    const char *dir, const uint8_t key[IMAGE_HASH_LEN], char **ret_bytes, size_t *ret_len);
void patterns_cache_put(
    const char *dir, const uint8_t key[IMAGE_HASH_LEN], const char *bytes, size_t len);
/* Removes the files used longest ago, beyond PATTERNS_CACHE_FILES. */
void patterns_cache_trim(const char *dir);

#endif
