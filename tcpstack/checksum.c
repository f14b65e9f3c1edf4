/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sum over memory. 64-bit words with the carry taken round, which is the same sum: 2^64 is one
 * more than a multiple of 2^16 - 1. From a few lines on, where the CPU has AVX2, 32-bit words into
 * 64-bit lanes, where no carry can get lost.
 *
 * Rejected: leaving it to the compiler. What it makes of a plain loop for a CPU without AVX2 takes
 * twice the instructions of either.
 */
#include "checksum.h"

enum { BLOCK = 64 };

#ifdef __x86_64__
typedef uint64_t lanes4 __attribute__((vector_size(32)));

/* len: a multiple of BLOCK. */
static __attribute__((target("avx2"))) uint64_t blocks_avx2(const uint8_t *p, size_t len)
{
	lanes4 even = { 0 }, odd = { 0 }, a, b;

	for (const uint8_t *end = p + len; p < end; p += BLOCK) {
		memcpy(&a, p, sizeof(a));
		memcpy(&b, p + sizeof(a), sizeof(b));
		even += (a & UINT32_MAX) + (b & UINT32_MAX);
		odd += (a >> 32) + (b >> 32);
	}
	even += odd;
	return even[0] + even[1] + even[2] + even[3];
}
#endif

uint64_t csum_add(uint64_t sum, const void *p, size_t len)
{
	const uint8_t *b = p;
	uint64_t round = 0;

#ifdef __x86_64__
	if (len >= 2 * BLOCK && __builtin_cpu_supports("avx2")) {
		size_t n = len & ~(size_t)(BLOCK - 1);

		sum += blocks_avx2(b, n);
		b += n;
		len -= n;
	}
#endif
	for (; len >= 8; b += 8, len -= 8) {
		uint64_t w = ld64(b);

		round += w;
		round += round < w;
	}
	sum += (round & UINT32_MAX) + (round >> 32);
	if (len & 4) {
		sum += ld32(b);
		b += 4;
	}
	if (len & 2) {
		sum += ld16(b);
		b += 2;
	}
	if (len & 1) {
		uint8_t last[2] = { *b, 0 };
		sum += ld16(last);
	}
	return sum;
}
