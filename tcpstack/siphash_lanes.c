/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lanes: one algorithm written over a vector type, built three times with a target attribute
 * per function and chosen at run time, because a packaged binary meets many processors. Rejected:
 * intrinsics (three texts to keep equal) and building the file with wider flags (the linker may
 * then pick a shared inline function from it for everyone).
 */
#include "siphash_lanes.h"

#include <stddef.h>
#include <string.h>

#define ROTL(v, n) ((v) << (n) | (v) >> (64 - (n)))

#define ROUND(a, b, c, d)                                                                          \
	do {                                                                                       \
		a += b;                                                                            \
		c += d;                                                                            \
		b = ROTL(b, 13) ^ a;                                                               \
		d = ROTL(d, 16) ^ c;                                                               \
		a = ROTL(a, 32);                                                                   \
		c += b;                                                                            \
		a += d;                                                                            \
		b = ROTL(b, 17) ^ c;                                                               \
		d = ROTL(d, 21) ^ a;                                                               \
		c = ROTL(c, 32);                                                                   \
	} while (0)

/* The body of each variant; `type` holds `lanes` words. */
#define BODY(type, lanes)                                                                          \
	uint64_t k[2];                                                                             \
	memcpy(k, key, sizeof(k));                                                                 \
	for (unsigned i = 0; i < n; i += (lanes)) {                                                \
		type zero = { 0 };                                                                 \
		type a = zero + (k[0] ^ 0x736f6d6570736575u),                                      \
		     b = zero + (k[1] ^ 0x646f72616e646f6du);                                      \
		type c = zero + (k[0] ^ 0x6c7967656e657261u),                                      \
		     d = zero + (k[1] ^ 0x7465646279746573u);                                      \
		for (unsigned w = 0; w < n_words; w++) {                                           \
			type m;                                                                    \
			memcpy(&m, &words[w][i], sizeof(m));                                       \
			d ^= m;                                                                    \
			ROUND(a, b, c, d);                                                         \
			ROUND(a, b, c, d);                                                         \
			a ^= m;                                                                    \
		}                                                                                  \
		c ^= zero + 0xff;                                                                  \
		ROUND(a, b, c, d);                                                                 \
		ROUND(a, b, c, d);                                                                 \
		ROUND(a, b, c, d);                                                                 \
		ROUND(a, b, c, d);                                                                 \
		type r = a ^ b ^ c ^ d;                                                            \
		memcpy(&ret[i], &r, sizeof(r));                                                    \
	}

typedef uint64_t lane1 __attribute__((vector_size(8)));

static void lanes_scalar(const uint8_t key[16], const uint64_t (*words)[SIPHASH_LANES],
    unsigned n_words, unsigned n, uint64_t *ret)
{
	BODY(lane1, 1)
}

#if defined(__x86_64__)
typedef uint64_t lane4 __attribute__((vector_size(32)));
typedef uint64_t lane8 __attribute__((vector_size(64)));

__attribute__((target("avx2"))) static void lanes_avx2(const uint8_t key[16],
    const uint64_t (*words)[SIPHASH_LANES], unsigned n_words, unsigned n, uint64_t *ret)
{
	BODY(lane4, 4)
}

__attribute__((target("avx512f,prefer-vector-width=512"))) static void lanes_avx512(
    const uint8_t key[16], const uint64_t (*words)[SIPHASH_LANES], unsigned n_words, unsigned n,
    uint64_t *ret)
{
	BODY(lane8, 8)
}

static siphash_lanes_fn *variant(unsigned i)
{
	switch (i) {
	case 0: return __builtin_cpu_supports("avx512f") ? lanes_avx512 : NULL;
	case 1: return __builtin_cpu_supports("avx2") ? lanes_avx2 : NULL;
	case 2: return lanes_scalar;
	default: return NULL;
	}
}
#else
static siphash_lanes_fn *variant(unsigned i)
{
	return i == 2 ? lanes_scalar : NULL;
}
#endif

siphash_lanes_fn *siphash_lanes_variant(unsigned i)
{
	return variant(i);
}

siphash_lanes_fn *siphash_lanes_select(void)
{
	for (unsigned i = 0; i < 3; i++) {
		if (variant(i))
			return variant(i);
	}
	return lanes_scalar;
}
