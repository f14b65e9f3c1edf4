/* SPDX-License-Identifier: BSD-3-Clause */
/* See sha1.h. */
#include "sha1.h"

#include <string.h>

struct state {
	uint32_t h[5];
	uint8_t block[SHA1_BLOCK];
	uint64_t total; /* bytes */
};

static uint32_t rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

/* RFC 3174 6.1 */
static void digest_block(struct state *s)
{
	uint32_t w[80], a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3], e = s->h[4];

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)s->block[4 * i] << 24 | (uint32_t)s->block[4 * i + 1] << 16 |
		       (uint32_t)s->block[4 * i + 2] << 8 | s->block[4 * i + 3];
	for (unsigned i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (unsigned i = 0; i < 80; i++) {
		uint32_t f, k, t;

		if (i < 20)
			f = (b & c) | (~b & d), k = 0x5a827999;
		else if (i < 40)
			f = b ^ c ^ d, k = 0x6ed9eba1;
		else if (i < 60)
			f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
		else
			f = b ^ c ^ d, k = 0xca62c1d6;
		t = rotate(a, 5) + f + e + w[i] + k;
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = t;
	}
	s->h[0] += a;
	s->h[1] += b;
	s->h[2] += c;
	s->h[3] += d;
	s->h[4] += e;
}

static void take(struct state *s, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		s->block[s->total++ % SHA1_BLOCK] = p[i];
		if (s->total % SHA1_BLOCK == 0)
			digest_block(s);
	}
}

void sha1(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t ret_hash[SHA1_BYTES])
{
	struct state s = { .h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 } };
	static const uint8_t one = 0x80, zero = 0;
	uint64_t bits;
	uint8_t len[8];

	take(&s, a, a_len);
	take(&s, b, b_len);
	bits = s.total * 8;
	for (unsigned i = 0; i < 8; i++)
		len[i] = (uint8_t)(bits >> (56 - 8 * i));
	take(&s, &one, 1);
	while (s.total % SHA1_BLOCK != SHA1_BLOCK - 8)
		take(&s, &zero, 1);
	take(&s, len, 8);
	for (unsigned i = 0; i < SHA1_BYTES; i++)
		ret_hash[i] = (uint8_t)(s.h[i / 4] >> (24 - 8 * (i % 4)));
}

void hmac_sha1(
    const void *key, size_t key_len, const void *data, size_t len, uint8_t ret_mac[SHA1_BYTES])
{
	uint8_t inner[SHA1_BLOCK] = { 0 }, outer[SHA1_BLOCK], hash[SHA1_BYTES];

	if (key_len > SHA1_BLOCK)
		sha1(key, key_len, NULL, 0, inner);
	else if (key_len)
		memcpy(inner, key, key_len);
	for (unsigned i = 0; i < SHA1_BLOCK; i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	sha1(inner, SHA1_BLOCK, data, len, hash);
	sha1(outer, SHA1_BLOCK, hash, SHA1_BYTES, ret_mac);
}
