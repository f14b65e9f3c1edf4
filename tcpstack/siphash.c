/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash-2-4 after the paper "SipHash: a fast short-input PRF". Words are read little-endian; a
 * length that is no multiple of eight ends in the padded word the paper describes.
 */
#include "siphash.h"

#include <string.h>

static inline uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline uint64_t read_le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap64(v);
}

struct sip {
	uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = rotl(s->b, 13) ^ s->a;
	s->d = rotl(s->d, 16) ^ s->c;
	s->a = rotl(s->a, 32);
	s->c += s->b;
	s->a += s->d;
	s->b = rotl(s->b, 17) ^ s->c;
	s->d = rotl(s->d, 21) ^ s->a;
	s->c = rotl(s->c, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
	s->d ^= word;
	sip_round(s);
	sip_round(s);
	s->a ^= word;
}

uint64_t siphash24(const uint8_t key[16], const void *p, size_t len)
{
	const uint8_t *in = p;
	uint64_t k0 = read_le64(key), k1 = read_le64(key + 8);
	uint64_t last = (uint64_t)len << 56;
	struct sip s = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u };

	for (; len >= 8; len -= 8, in += 8)
		sip_word(&s, read_le64(in));
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)in[i] << (8 * i);
	sip_word(&s, last);
	s.c ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}
