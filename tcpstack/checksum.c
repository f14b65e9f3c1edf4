/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sum over memory. 32-bit words into a 64-bit accumulator: no carries to handle, and a loop
 * that compilers turn into vector code by themselves. Hand-written vector code was not worth its
 * lines at the lengths that matter here (20 to 1,460 bytes).
 */
#include "checksum.h"

uint64_t csum_add(uint64_t sum, const void *p, size_t len)
{
	const uint8_t *b = p;

	while (len >= 32) {
		uint64_t a = 0;
		for (unsigned i = 0; i < 32; i += 4)
			a += ld32(b + i);
		sum += a;
		b += 32;
		len -= 32;
	}
	while (len >= 4) {
		sum += ld32(b);
		b += 4;
		len -= 4;
	}
	if (len >= 2) {
		sum += ld16(b);
		b += 2;
		len -= 2;
	}
	if (len) {
		uint8_t last[2] = { *b, 0 };
		sum += ld16(last);
	}
	return sum;
}
