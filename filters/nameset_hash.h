/* SPDX-License-Identifier: BSD-3-Clause */
/* What asking and building sets of names share: the hash and the fold. Private to nameset*.c. */
#ifndef POSTERN_FILTERS_NAMESET_HASH_H
#define POSTERN_FILTERS_NAMESET_HASH_H

#include "nameset.h"

#include <string.h>

static inline char nameset_lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Names come from the operator's configuration, so the hash needs no key; the longest probe is
 * written into the part and bounds a look-up. */
static inline uint32_t nameset_hash(unsigned set, enum name_kind kind, const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull ^ (uint64_t)set << 8 ^ (uint64_t)kind;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 0x100000001b3ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return (uint32_t)(h >> 32);
}

#endif
