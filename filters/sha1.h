/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SHA-1 (RFC 3174) and HMAC (RFC 2104), for BATV's tags alone: three bytes of it, as the draft fixed
 * them. Of no use where collisions matter.
 */
#ifndef POSTERN_FILTERS_SHA1_H
#define POSTERN_FILTERS_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { SHA1_BYTES = 20, SHA1_BLOCK = 64 };

/* The hash over two pieces, the second may be empty. */
void sha1(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t ret_hash[SHA1_BYTES]);
void hmac_sha1(
    const void *key, size_t key_len, const void *data, size_t len, uint8_t ret_mac[SHA1_BYTES]);

#endif
