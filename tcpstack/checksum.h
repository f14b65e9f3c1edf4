/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Internet checksum (RFC 1071). Sums are kept unfolded in 64 bits and in native byte order:
 * the one's complement sum does not care, so nothing is swapped and partial sums (a refusal's
 * text, a pseudo-header) can be computed once and added later.
 */
#ifndef POSTERN_TCPSTACK_CHECKSUM_H
#define POSTERN_TCPSTACK_CHECKSUM_H

#include "wire.h"

#include <stddef.h>

/* Adds `len` bytes to a sum. Every piece but the last of a checksum must have an even length. */
uint64_t csum_add(uint64_t sum, const void *p, size_t len);

/* The same over a header: whole 32-bit words, inline. */
static inline uint64_t csum_words(uint64_t sum, const uint8_t *p, unsigned n_words)
{
	for (; n_words >= 5; n_words -= 5, p += 20)
		sum += (uint64_t)ld32(p) + ld32(p + 4) + ld32(p + 8) + ld32(p + 12) + ld32(p + 16);
	for (; n_words; n_words--, p += 4)
		sum += ld32(p);
	return sum;
}

/* A word added to itself with its halves swapped holds their sum, the carry taken round, in its
 * upper half: twice that is 64 bits to 16. */
static inline uint16_t csum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

/* Ready to be stored with st16(). */
static inline uint16_t csum_finish(uint64_t sum)
{
	return (uint16_t)~csum_fold(sum);
}

/* Pseudo-headers: addresses as on the wire, len in host order. */
static inline uint64_t csum_pseudo4(const void *src, const void *dst, uint8_t proto, uint32_t len)
{
	return (uint64_t)ld32(src) + ld32(dst) + htobe16(proto) + htobe32(len);
}

static inline uint64_t csum_pseudo6(const void *src, const void *dst, uint8_t proto, uint32_t len)
{
	const uint8_t *s = src;
	const uint8_t *d = dst;
	uint64_t sum = (uint64_t)htobe32(proto) + htobe32(len);

	for (unsigned i = 0; i < 16; i += 4)
		sum += (uint64_t)ld32(s + i) + ld32(d + i);
	return sum;
}

#endif
