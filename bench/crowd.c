/* SPDX-License-Identifier: BSD-3-Clause */
#include "crowd.h"

#include <stdlib.h>
#include <string.h>

enum { ETH = 14, V4 = 20, V6 = 40, SYN_TCP = 24, LOOKS = 256 };

enum { SYN_AGAIN_US = 1000000, ACK_AGAIN_US = 2000000 };

enum state { AWAY, COMING, OPEN, HELD, GONE };

struct client {
	uint32_t expect; /* sequence number of the appliance's next byte */
	uint32_t last_us; /* of the last byte, or of what we sent to be let in; wraps after 71 minutes */
	uint16_t at;      /* of the text */
	uint8_t state;                         /* enum state */
	uint8_t timed : 1, fed : 1, whole : 1; /* since crowd_measure(); the text to its end */
};

struct crowd {
	struct crowd_config config;
	struct gen gen[2]; /* by family: the macs, for gen_say() */
	struct client *clients;
	uint32_t text_len, next, under_way, mend; /* next: to begin; mend: looked at next */
	bool mac_known, measuring;
	struct crowd_told told;
	uint64_t late[CROWD_CLASSES][CROWD_LATE_BUCKETS], n_late[CROWD_CLASSES];
};

struct crowd *crowd_new(const struct crowd_config *config)
{
	struct crowd *c = calloc(1, sizeof(*c));

	if (!c || config->n > CROWD_MAX || config->fast > config->n || !config->text[0]) {
		free(c);
		return NULL;
	}
	c->config = *config;
	c->text_len = (uint32_t)strlen(config->text);
	c->clients = calloc(config->n ? config->n : 1, sizeof(*c->clients));
	for (unsigned v6 = 0; v6 < 2; v6++) {
		c->gen[v6].v6 = v6;
		memcpy(c->gen[v6].src_mac, config->mac, 6);
	}
	return c->clients ? c : crowd_free(c);
}

struct crowd *crowd_free(struct crowd *c)
{
	if (c)
		free(c->clients);
	free(c);
	return NULL;
}

/* ---- numbers and addresses ---- */

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Writes address and port where they stand in front of and in the TCP header, as a source. */
static void address(const struct crowd *c, uint32_t n, uint8_t *src, uint8_t *port)
{
	bool fast = n < c->config.fast;
	uint32_t k = n >> 1, more = 0;

	if (n & 1) {
		memset(src, 0, 16);
		put32(src, 0x20010db8);
		put32(src + 4, (fast ? 0x0d000000 : 0x0c000000) + k);
		src[15] = 1;
	} else if (fast) {
		put32(src, 0xcb007100 + (k & 127));
		more = k >> 7;
	} else {
		put32(src, 0xc6120000 + (k & 0x1ffff));
		more = k >> 17;
	}
	put16(port, 1024 + more);
}

/* Which client a frame is for; UINT32_MAX: none of ours. */
static uint32_t number(const struct crowd *c, const struct frame *f)
{
	const uint8_t *ip = f->data + ETH;
	uint32_t n = UINT32_MAX, k, more;

	if (f->len >= ETH + V6 + 20 && f->data[12] == 0x86 && f->data[13] == 0xdd && ip[6] == 6) {
		uint32_t net = get32(ip + 28) >> 24;

		k = get32(ip + 28) & 0xffffff;
		if (get32(ip + 24) != 0x20010db8 || net < 0x0c || net > 0x0d)
			return UINT32_MAX;
		n = k << 1 | 1;
		if ((net == 0x0d) != (n < c->config.fast))
			return UINT32_MAX;
	} else if (f->len >= ETH + V4 + 20 && f->data[12] == 8 && f->data[13] == 0 && ip[9] == 6) {
		uint32_t to = get32(ip + 16);

		more = (uint32_t)(ip[V4 + 2] << 8 | ip[V4 + 3]) - 1024;
		if (to >> 17 == 0xc6120000 >> 17)
			n = ((to & 0x1ffff) | more << 17) << 1;
		else if (to >> 7 == 0xcb007100 >> 7)
			n = ((to & 127) | more << 7) << 1;
		if ((to >> 24 == 0xcb) != (n < c->config.fast))
			return UINT32_MAX;
	}
	return n < c->config.n ? n : UINT32_MAX;
}

/* ---- what a client says first ---- */

static uint32_t isn(uint32_t n)
{
	return n * 2654435761u;
}

static void write_frame(struct crowd *c, struct frame *f, uint32_t n, uint32_t ack, uint8_t flags)
{
	const struct gen *g = &c->gen[n & 1];
	unsigned tcp_len = flags & 2 ? SYN_TCP : 20;
	uint8_t *p = f->data, *ip = p + ETH, *tcp = ip + (g->v6 ? V6 : V4);
	static const uint8_t us_v6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 0x25 };

	memset(p, 0, (size_t)(tcp - p) + tcp_len);
	memcpy(p, g->dst_mac, 6);
	memcpy(p + 6, g->src_mac, 6);
	put16(p + 12, g->v6 ? 0x86dd : 0x0800);
	if (g->v6) {
		ip[0] = 0x60;
		ip[6] = 6;
		ip[7] = 64;
		memcpy(ip + 24, us_v6, 16);
	} else {
		ip[0] = 0x45;
		ip[6] = 0x40; /* DF */
		ip[8] = 64;
		ip[9] = 6;
		put32(ip + 16, 0xc0000219); /* 192.0.2.25 */
	}
	address(c, n, ip + (g->v6 ? 8 : 12), tcp);
	put16(tcp + 2, 25);
	put32(tcp + 4, isn(n) + !(flags & 2));
	put32(tcp + 8, ack);
	tcp[12] = (uint8_t)(tcp_len / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, 64240);
	if (flags & 2)
		put32(tcp + 20, g->v6 ? 0x020405a0 : 0x020405b4);
	gen_seal(f, g->v6, tcp_len);
}

bool crowd_output(struct crowd *c, struct frame *f, uint64_t now_ns)
{
	uint32_t us = (uint32_t)(now_ns / 1000);

	if (!c->mac_known)
		return false;
	if (c->next < c->config.n && c->under_way < c->config.at_once) {
		struct client *one = &c->clients[c->next];

		one->state = COMING;
		one->last_us = us;
		c->under_way++;
		write_frame(c, f, c->next++, 0, 2);
		return true;
	}
	for (unsigned looks = 0; c->under_way && looks < LOOKS; looks++) {
		uint32_t n = c->mend = c->mend + 1 < c->next ? c->mend + 1 : 0;
		struct client *one = &c->clients[n];
		bool open = one->state == OPEN;

		if ((one->state != COMING && !open) ||
		    us - one->last_us < (open ? ACK_AGAIN_US : SYN_AGAIN_US))
			continue;
		one->last_us = us;
		c->told.retried++;
		write_frame(c, f, n, open ? one->expect : 0, open ? 0x10 : 2);
		return true;
	}
	return false;
}

/* ---- what it hears ---- */

static void leave(struct crowd *c, struct client *one)
{
	c->under_way -= one->state == COMING || one->state == OPEN;
	c->told.held -= one->state == HELD;
	c->told.gone++;
	one->state = GONE;
}

static void time_byte(struct crowd *c, uint32_t n, struct client *one, uint32_t us)
{
	unsigned class = n < c->config.fast ? CROWD_FAST : CROWD_SLOW;
	uint32_t pace = c->config.pace_ms[class] * 1000, gap = us - one->last_us;

	if (one->timed && gap >= pace + pace / 2) {
		c->told.skipped++;
	} else if (one->timed) {
		uint32_t late = (gap > pace ? gap - pace : pace - gap) / 100;

		c->late[class][late < CROWD_LATE_BUCKETS ? late : CROWD_LATE_BUCKETS - 1]++;
		c->n_late[class]++;
	}
	one->timed = one->fed = 1;
	c->told.in_window++;
}

/* What came is the next of the text. */
static void take(struct crowd *c, uint32_t n, const char *text, unsigned len, uint32_t us)
{
	struct client *one = &c->clients[n];

	one->expect += len;
	if (one->state == OPEN) {
		one->state = HELD;
		c->under_way--;
		c->told.held++;
		c->told.wrong += len != c->text_len || memcmp(text, c->config.text, len) != 0;
	} else {
		c->told.bytes++;
		c->told.wrong += len != 1 || *text != c->config.text[one->at];
		one->at = one->at + 1u < c->text_len ? (uint16_t)(one->at + 1) : 0;
		if (!one->at && !one->whole && n < c->config.fast) {
			one->whole = 1;
			c->told.whole++;
		}
		if (c->measuring)
			time_byte(c, n, one, us);
	}
	one->last_us = us;
}

bool crowd_input(struct crowd *c, struct frame *f, uint64_t now_ns, bool *ret_send)
{
	uint32_t n, us = (uint32_t)(now_ns / 1000);

	if (!c->mac_known && f->len >= ETH) {
		memcpy(c->gen[0].dst_mac, f->data + 6, 6);
		memcpy(c->gen[1].dst_mac, f->data + 6, 6);
		c->mac_known = true;
	}
	n = number(c, f);
	if (n == UINT32_MAX)
		return false;
	struct gen *g = &c->gen[n & 1];
	struct client *one = &c->clients[n];
	const char *text;
	unsigned what = gen_heard(g, f, &text), flags = what >> 16, len = what & 0xffff;
	uint32_t seq = get32(f->data + ETH + (g->v6 ? V6 : V4) + 4);

	*ret_send = false;
	if (one->state == AWAY || one->state == GONE) {
		return true;
	} else if (flags & 5) {
		leave(c, one);
		return true;
	} else if (flags & 2) {
		if (one->state == COMING) {
			one->state = OPEN;
			one->expect = seq + 1;
			one->last_us = us;
		}
		if (seq + 1 != one->expect)
			return true;
	} else if (len && one->state != COMING && seq == one->expect) {
		take(c, n, text, len, us);
	} else if (len && seq + len == one->expect) {
		c->told.again++;
	} else {
		c->told.wrong += len > 0;
		return true;
	}
	gen_say(g, f, "", 0);
	*ret_send = true;
	return true;
}

bool crowd_full(const struct crowd *c)
{
	return c->next == c->config.n && !c->under_way;
}

bool crowd_held(const struct crowd *c)
{
	return c->told.held == c->config.n;
}

void crowd_measure(struct crowd *c)
{
	for (uint32_t n = 0; n < c->config.n; n++)
		c->clients[n].timed = c->clients[n].fed = 0;
	c->measuring = true;
}

static double late_ms(const struct crowd *c, unsigned class, double part)
{
	uint64_t sum = 0, want = (uint64_t)((double)c->n_late[class] * part);

	for (unsigned i = 0; c->n_late[class] && i < CROWD_LATE_BUCKETS; i++) {
		sum += c->late[class][i];
		if (sum >= want && sum)
			return (i + 1) * 0.1;
	}
	return 0;
}

void crowd_tell(const struct crowd *c, struct crowd_told *ret_told)
{
	*ret_told = c->told;
	for (unsigned class = 0; class < CROWD_CLASSES; class ++) {
		ret_told->late_ms[class][0] = late_ms(c, class, 0.5);
		ret_told->late_ms[class][1] = late_ms(c, class, 0.99);
		ret_told->late_ms[class][2] = late_ms(c, class, 1);
	}
	for (uint32_t n = 0; n < c->config.n; n++)
		ret_told->unfed += !c->clients[n].fed;
}
