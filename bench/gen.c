/* SPDX-License-Identifier: BSD-3-Clause */
/* Built for being no bottleneck: fixed offsets (no IP options, no extension headers are sent). */
#include "gen.h"

#include <string.h>

enum { ETH = 14, V4 = 20, V6 = 40, SYN_TCP = 40 };

uint32_t gen_sum(const void *p, unsigned len, uint32_t sum)
{
	const uint8_t *b = p;
	uint64_t s = sum;
	for (; len >= 4; len -= 4, b += 4) {
		uint32_t w;
		memcpy(&w, b, 4);
		s += w;
	}
	if (len >= 2) {
		uint16_t w;
		memcpy(&w, b, 2);
		s += w;
		b += 2;
		len -= 2;
	}
	if (len)
		s += *b;
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffffffff) + (s >> 32);
	return (uint32_t)s;
}

uint16_t gen_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Addresses stand in front of the TCP header in both families: 8 or 32 bytes. */
void gen_seal(struct frame *f, bool v6, unsigned tcp_len)
{
	uint8_t *ip = f->data + ETH, *tcp = ip + (v6 ? V6 : V4);
	if (v6) {
		put16(ip + 4, (uint16_t)tcp_len);
	} else {
		put16(ip + 2, (uint16_t)(V4 + tcp_len));
		memset(ip + 10, 0, 2);
		uint16_t c = gen_fold(gen_sum(ip, V4, 0));
		memcpy(ip + 10, &c, 2);
	}
	memset(tcp + 16, 0, 2);
	uint8_t rest[4] = { 0, 6, (uint8_t)(tcp_len >> 8), (uint8_t)tcp_len };
	uint32_t sum = gen_sum(rest, 4, 0);
	unsigned addrs = v6 ? 32 : 8;
	uint16_t c = gen_fold(gen_sum(tcp - addrs, addrs + tcp_len, sum));
	memcpy(tcp + 16, &c, 2);
	f->len = (uint16_t)(tcp - f->data + tcp_len);
	f->flags = 0;
}

void gen_syn(struct gen *g, struct frame *f)
{
	uint64_t n = g->next++;
	uint32_t source = (uint32_t)n & (g->n_sources - 1);
	uint8_t *p = f->data, *ip = p + ETH, *tcp = ip + (g->v6 ? V6 : V4);

	memcpy(p, g->dst_mac, 6);
	memcpy(p + 6, g->src_mac, 6);
	if (g->v6) {
		put16(p + 12, 0x86dd);
		memset(ip, 0, 8);
		ip[0] = 0x60;
		ip[6] = 6;
		ip[7] = 64;
		memcpy(ip + 8, g->src, 16);
		/* each in a /64 of its own, as with real clients: caps count prefixes */
		put32(ip + 12, get32(g->src + 4) + source);
		memcpy(ip + 24, g->dst, 16);
	} else {
		put16(p + 12, 0x0800);
		memset(ip, 0, V4);
		ip[0] = 0x45;
		ip[6] = 0x40; /* DF */
		ip[8] = 64;
		ip[9] = 6;
		put32(ip + 12, get32(g->src) + source);
		memcpy(ip + 16, g->dst, 4);
	}
	put16(tcp, (uint16_t)(1024 + (n * 7) % 60000));
	put16(tcp + 2, g->dst_port);
	put32(tcp + 4, (uint32_t)(n * 2654435761u));
	memset(tcp + 8, 0, 4);
	tcp[12] = (g->plain ? 24 : SYN_TCP) / 4 << 4;
	tcp[13] = 0x02;
	put16(tcp + 14, 64240);
	put16(tcp + 18, 0);
	static const uint8_t options[20] = { 2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 3, 3, 7 };
	memcpy(tcp + 20, options, sizeof(options));
	put32(tcp + 28, (uint32_t)(n >> 8) + 1);
	gen_seal(f, g->v6, g->plain ? 24 : SYN_TCP);
}

/* The generator is the gateway of all its sources: whoever is asked for, it is us. */
static bool answer_arp(struct gen *g, struct frame *f)
{
	uint8_t *arp = f->data + ETH, target[4];
	if (f->len < ETH + 28 || arp[7] != 1 || memcmp(arp + 14, "\0\0\0\0", 4) == 0)
		return false; /* no request, or a probe for an address of the server's own */
	memcpy(target, arp + 24, 4);
	arp[7] = 2;
	memcpy(arp + 18, arp + 8, 10);
	memcpy(arp + 8, g->src_mac, 6);
	memcpy(arp + 14, target, 4);
	memcpy(f->data, f->data + 6, 6);
	memcpy(f->data + 6, g->src_mac, 6);
	return true;
}

static bool answer_nd(struct gen *g, struct frame *f)
{
	static const uint8_t unspecified[16];
	uint8_t *ip = f->data + ETH, *icmp = ip + V6;
	if (f->len < ETH + V6 + 24 || ip[6] != 58 || icmp[0] != 135 ||
	    memcmp(ip + 8, unspecified, 16) == 0)
		return false;
	memcpy(f->data, f->data + 6, 6);
	memcpy(f->data + 6, g->src_mac, 6);
	memcpy(ip + 24, ip + 8, 16);
	memcpy(ip + 8, icmp + 8, 16);
	put16(ip + 4, 32);
	ip[7] = 255;
	icmp[0] = 136;
	put32(icmp + 4, 0x60000000); /* solicited, override */
	icmp[24] = 2;
	icmp[25] = 1;
	memcpy(icmp + 26, g->src_mac, 6);
	memset(icmp + 2, 0, 2);
	uint8_t rest[4] = { 0, 58, 0, 32 };
	uint16_t c = gen_fold(gen_sum(ip + 8, 32 + 32, gen_sum(rest, 4, 0)));
	memcpy(icmp + 2, &c, 2);
	f->len = ETH + V6 + 32;
	f->flags = 0;
	return true;
}

/* The frame goes back with these numbers, and `len` bytes that stand behind a bare header. */
static void turn_round(
    const struct gen *g, struct frame *f, uint32_t seq, uint32_t ack, uint8_t flags, unsigned len)
{
	uint8_t *p = f->data, *ip = p + ETH, *tcp = ip + (g->v6 ? V6 : V4), t[16];
	unsigned alen = g->v6 ? 16 : 4;
	uint8_t *src = ip + (g->v6 ? 8 : 12), *dst = src + alen;

	memcpy(p, g->dst_mac, 6);
	memcpy(p + 6, g->src_mac, 6);
	memcpy(t, src, alen);
	memcpy(src, dst, alen);
	memcpy(dst, t, alen);
	memcpy(t, tcp, 2);
	memcpy(tcp, tcp + 2, 2);
	memcpy(tcp + 2, t, 2);
	put32(tcp + 4, ack);
	put32(tcp + 8, seq);
	tcp[12] = 5 << 4;
	tcp[13] = flags;
	put16(tcp + 14, g->window ? g->window : 502);
	gen_seal(f, g->v6, 20 + len);
}

bool gen_answer(struct gen *g, struct frame *f)
{
	uint8_t *p = f->data, *ip = p + ETH, *tcp = ip + (g->v6 ? V6 : V4);
	if (p[12] == 0x08 && p[13] == 0x06)
		return answer_arp(g, f);
	if (p[12] == 0x86 && p[13] == 0xdd && ip[6] == 58)
		return answer_nd(g, f);
	if (f->len < ETH + (g->v6 ? V6 : V4) + 20 || p[12] != (g->v6 ? 0x86 : 0x08) ||
	    p[13] != (g->v6 ? 0xdd : 0x00) || (g->v6 ? ip[6] : ip[9]) != 6) {
		g->other++;
		return false;
	}
	uint8_t flags = tcp[13] & 0x17;
	unsigned ip_payload =
	    g->v6 ? (unsigned)(ip[4] << 8 | ip[5]) : (unsigned)(ip[2] << 8 | ip[3]) - V4;
	unsigned payload = ip_payload - (unsigned)(tcp[12] >> 4) * 4;
	uint32_t seq = get32(tcp + 4), ack = get32(tcp + 8);
	if (flags == 0x12) {
		g->synacks++;
		seq++;
	} else if ((flags & 0x11) == 0x11) {
		g->refusals++;
		g->refusal_bytes += payload;
		seq += payload + 1;
	} else {
		if (flags & 0x04)
			g->resets++;
		else if (flags == 0x10)
			g->completed++;
		else
			g->other++;
		return false;
	}
	turn_round(g, f, seq, ack, flags == 0x12 ? 0x10 : 0x11, 0);
	return true;
}

unsigned gen_heard(const struct gen *g, const struct frame *f, const char **ret_text)
{
	const uint8_t *ip = f->data + ETH, *tcp = ip + (g->v6 ? V6 : V4);
	unsigned head = (unsigned)(tcp[12] >> 4) * 4;
	unsigned ip_payload =
	    g->v6 ? (unsigned)(ip[4] << 8 | ip[5]) : (unsigned)(ip[2] << 8 | ip[3]) - V4;

	if (f->data[12] != (g->v6 ? 0x86 : 0x08) || (g->v6 ? ip[6] : ip[9]) != 6)
		return GEN_OTHER;
	*ret_text = (const char *)tcp + head;
	return (unsigned)tcp[13] << 16 | (ip_payload - head);
}

void gen_say(struct gen *g, struct frame *f, const char *text, unsigned len)
{
	uint8_t *tcp = f->data + ETH + (g->v6 ? V6 : V4);
	const char *heard;
	unsigned what = gen_heard(g, f, &heard), fin = what >> 16 & 1, syn = what >> 17 & 1;
	uint32_t seq = get32(tcp + 4) + (what & 0xffff) + fin + syn, ack = get32(tcp + 8);

	memcpy(tcp + 20, text, len);
	turn_round(g, f, seq, ack, (uint8_t)(0x10 | fin | (len ? 8 : 0)), len);
}

static bool is(const char *text, unsigned len, const char *begin)
{
	size_t n = strlen(begin);

	return len >= n && memcmp(text, begin, n) == 0;
}

bool gen_talk(struct gen *g, struct frame *f, struct gen_talks *talks)
{
	static const char ehlo[] = "EHLO bot.example\r\n", mail[] = "MAIL FROM:<a@example.net>\r\n",
			  rcpt[] = "RCPT TO:<user@example.com>\r\n", quit[] = "QUIT\r\n";
	const char *text, *say = "";
	unsigned what = gen_heard(g, f, &text), flags = what >> 16 & 0x17, len = what & 0xffff;

	if (flags & 4) {
		talks->wrong++;
		return false;
	}
	if (is(text, len, "220 "))
		say = ehlo;
	else if (is(text, len, "250-mx"))
		say = mail;
	else if (is(text, len, "250 2.1.0"))
		say = rcpt;
	else if (is(text, len, "550 "))
		say = quit, talks->refused++;
	else if (is(text, len, "221 "))
		talks->ended++;
	else if (len > 0)
		talks->wrong++;
	else if (!(flags & 3))
		return false; /* an ACK alone */
	gen_say(g, f, say, (unsigned)strlen(say));
	return true;
}
