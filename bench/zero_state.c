/* SPDX-License-Identifier: BSD-3-Clause */
/* Written for speed and nothing else; see zero_state.h. Its SipHash is its own on purpose: a
 * baseline that shares code with what it measures would hide that code's cost. */
#include "zero_state.h"

#include "gen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ETH = 14 };

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = ROTL(v[1], 13) ^ v[0], v[0] = ROTL(v[0], 32);
	v[2] += v[3], v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = ROTL(v[1], 17) ^ v[2], v[2] = ROTL(v[2], 32);
}

static uint32_t cookie(const struct zero_state *z, const uint8_t *addrs, unsigned alen,
    const uint8_t *ports, uint32_t client_isn)
{
	uint64_t v[4] = { z->key[0] ^ 0x736f6d6570736575ull, z->key[1] ^ 0x646f72616e646f6dull,
		z->key[0] ^ 0x6c7967656e657261ull, z->key[1] ^ 0x7465646279746573ull };
	uint64_t m[5] = { 0 };
	memcpy(m, addrs, 2 * alen);
	unsigned words = alen / 4;
	uint32_t p;
	memcpy(&p, ports, 4);
	m[words++] = (uint64_t)p << 32 | client_isn;
	for (unsigned i = 0; i < words; i++) {
		v[3] ^= m[i];
		sip_round(v);
		sip_round(v);
		v[0] ^= m[i];
	}
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		sip_round(v);
	return (uint32_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

int zero_state_init(struct zero_state *z, bool v6, const char *text)
{
	memset(z, 0, sizeof(*z));
	z->v6 = v6;
	z->key[0] = 0x0706050403020100ull;
	z->key[1] = 0x0f0e0d0c0b0a0908ull;
	z->text_len = (uint16_t)strlen(text);
	if (z->text_len >= sizeof(z->text))
		return -EMSGSIZE;
	memcpy(z->text, text, z->text_len);
	z->listed = calloc(1, 1u << 24);
	if (!z->listed)
		return -ENOMEM;
	for (uint32_t i = 0; i < 1000000; i++)
		z->listed[(i * 2654435761u) >> 8] = 1;
	return 0;
}

void zero_state_fini(struct zero_state *z)
{
	free(z->listed);
	z->listed = NULL;
}

static uint32_t be32(const uint8_t *p)
{
	uint32_t w;
	memcpy(&w, p, 4);
	return __builtin_bswap32(w);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

static uint32_t pseudo(const uint8_t *addrs, unsigned alen, unsigned tcp_len)
{
	uint8_t rest[4] = { 0, 6, (uint8_t)(tcp_len >> 8), (uint8_t)tcp_len };
	return gen_sum(addrs, 2 * alen, gen_sum(rest, 4, 0));
}

static uint16_t one(struct zero_state *z, uint8_t *p, uint16_t len)
{
	unsigned alen = z->v6 ? 16 : 4;
	uint8_t *ip = p + ETH, *addrs = ip + (z->v6 ? 8 : 12), *tcp = addrs + 2 * alen;
	unsigned tcp_len = (unsigned)(p + len - tcp), reply;
	uint8_t flags = tcp[13] & 0x17, t[16];
	uint32_t seq = be32(tcp + 4), ack = be32(tcp + 8);

	if (!z->bare && gen_fold(gen_sum(tcp, tcp_len, pseudo(addrs, alen, tcp_len))) != 0)
		return 0;
	if (flags == 0x02) {
		uint32_t c = cookie(z, addrs, alen, tcp, seq);
		if (!z->bare && z->listed[be32(addrs) >> 8] == 2)
			return 0;
		put32(tcp + 4, c);
		put32(tcp + 8, seq + 1);
		tcp[12] = 6 << 4;
		tcp[13] = 0x12;
		memcpy(tcp + 20, "\2\4\x05\xb4", 4);
		reply = 24;
	} else if (flags == 0x10) {
		uint32_t c = cookie(z, addrs, alen, tcp, seq - 1);
		if (c + 1 != ack)
			return 0;
		put32(tcp + 4, ack);
		put32(tcp + 8, seq);
		tcp[12] = 5 << 4;
		tcp[13] = 0x19;
		memcpy(tcp + 20, z->text, z->text_len);
		reply = 20u + z->text_len;
	} else if (flags == 0x11) {
		put32(tcp + 4, ack);
		put32(tcp + 8, seq + 1);
		tcp[12] = 5 << 4;
		tcp[13] = 0x10;
		reply = 20;
	} else {
		return 0;
	}
	memcpy(t, p, 6);
	memcpy(p, p + 6, 6);
	memcpy(p + 6, t, 6);
	memcpy(t, addrs, alen);
	memcpy(addrs, addrs + alen, alen);
	memcpy(addrs + alen, t, alen);
	memcpy(t, tcp, 2);
	memcpy(tcp, tcp + 2, 2);
	memcpy(tcp + 2, t, 2);
	tcp[14] = 0xff;
	tcp[15] = 0xff;
	memset(tcp + 16, 0, 4);
	uint16_t c = gen_fold(gen_sum(tcp, reply, pseudo(addrs, alen, reply)));
	memcpy(tcp + 16, &c, 2);
	if (z->v6) {
		ip[4] = (uint8_t)(reply >> 8);
		ip[5] = (uint8_t)reply;
		ip[7] = 64;
	} else {
		ip[2] = (uint8_t)((20 + reply) >> 8);
		ip[3] = (uint8_t)(20 + reply);
		ip[8] = 64;
		memset(ip + 10, 0, 2);
		c = gen_fold(gen_sum(ip, 20, 0));
		memcpy(ip + 10, &c, 2);
	}
	return (uint16_t)(tcp - p + reply);
}

void zero_state_burst(struct zero_state *z, uint8_t *const *data, uint16_t *len, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		__builtin_prefetch(data[i]);
	for (unsigned i = 0; i < n && !z->bare; i++)
		__builtin_prefetch(&z->listed[be32(data[i] + ETH + (z->v6 ? 8 : 12)) >> 8]);
	for (unsigned i = 0; i < n; i++)
		len[i] = one(z, data[i], len[i]);
}
