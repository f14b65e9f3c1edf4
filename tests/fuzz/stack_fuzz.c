/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames as the fuzzer wants them into a stack with a listener, an established connection and a held
 * client. Segments are built from a grammar that follows what the stack said last (so that the
 * fuzzer gets deep), then changed byte by byte where it asks for that. Whatever comes: every frame
 * given in or taken leaves at once, what is sent is ours and within the MTU and the caps, and in the
 * end nothing is held.
 */
#include "fuzz.h"

#include "checksum.h"
#include "packet.h"
#include "wire.h"

enum { ROOM = 2048, OUT = 512, PEERS = 8, CONNS = 16, CAP = 20, MTU = 1500 };

struct peer {
	uint32_t next,
	    expects; /* our next sequence number toward the stack, and what it sends next */
};

struct fuzz {
	const uint8_t *p, *end;
	struct stack *st;
	uint64_t counters[STACK_N_COUNTERS];
	uint64_t start_ns, now_ns;
	struct frame tx[OUT], drop[OUT];
	struct frame_out out;
	unsigned owed; /* frames given or taken that have not left */
	uint8_t verdict;
	struct peer peers[2][PEERS];
	struct tcp_conn *conns[CONNS];
	uint8_t quoted[80];
	unsigned n_quoted;
};

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 }, peer_mac[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t own4[4] = { 192, 0, 2, 10 }, peer4[4] = { 192, 0, 2, 20 };
static const uint8_t own6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 10 };
static const uint8_t peer6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 20 };
static const char banner[] = "220-wait\r\n";

static uint8_t byte(struct fuzz *z)
{
	return z->p < z->end ? *z->p++ : 0;
}

static bool take(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct fuzz *z = arg;
	uint8_t *b = calloc(1, ROOM);

	CHECK(b);
	*ret_frame = (struct frame){ .data = b, .handle = b, .room = ROOM, .port = port };
	z->owed++;
	return true;
}

static void judge(void *arg, struct syn_judgement *syns, unsigned n)
{
	struct fuzz *z = arg;

	for (unsigned i = 0; i < n; i++) {
		syns[i].verdict = z->verdict % 6; /* one of them unknown */
		syns[i].refuse_class = z->verdict / 6;
	}
}

/* Of a client that is refused slowly; sometimes there are none. */
static size_t words(void *arg, uint32_t note, uint64_t since_ns, bool last, char *text, size_t cap)
{
	static const char line[] = "550-no\r\n", end[] = "550 never\r\n";
	const struct fuzz *z = arg;

	CHECK(note < 256 && since_ns >= z->start_ns - 1000000000u && since_ns <= z->now_ns);
	CHECK(cap >= STACK_REFUSE_TEXT_MAX);
	if (note == 0)
		return 0;
	memcpy(text, last ? end : line, last ? sizeof(end) : sizeof(line));
	return (last ? sizeof(end) : sizeof(line)) - 1;
}

/* What the stack says, so that the grammar can answer it. */
static void listen_to(struct fuzz *z, const struct frame *f)
{
	const uint8_t *p = f->data + 14;
	bool v4 = rd16(f->data + 12) == ETH_TYPE_IP4;

	CHECK(f->len >= 14 && f->len <= MTU + 14 && f->len <= f->room);
	CHECK(!memcmp(f->data + 6, mac, 6));
	if (!v4 && rd16(f->data + 12) != ETH_TYPE_IP6)
		return;
	unsigned hdr = v4 ? 20 : 40, len = v4 ? rd16(p + 2) : rd16(p + 4) + 40u;
	CHECK(len == f->len - 14u);
	z->n_quoted = len < sizeof(z->quoted) ? len : (unsigned)sizeof(z->quoted);
	memcpy(z->quoted, p, z->n_quoted);
	if ((v4 ? p[9] : p[6]) != PROTO_TCP)
		return;
	const uint8_t *t = p + hdr;
	uint64_t sum = v4 ? csum_pseudo4(p + 12, p + 16, PROTO_TCP, len - hdr)
			  : csum_pseudo6(p + 8, p + 24, PROTO_TCP, len - hdr);
	CHECK(csum_fold(csum_add(sum, t, len - hdr)) == 0xffff);
	struct peer *who = &z->peers[!v4][rd16(t + 2) % PEERS];
	unsigned data = len - hdr - (t[12] >> 4) * 4u;
	who->expects = rd32(t + 4) + data + !!(t[13] & 3);
	if (t[13] & 0x10)
		who->next = rd32(t + 8);
}

static void gone(struct fuzz *z, struct tcp_conn *c)
{
	for (unsigned i = 0; i < CONNS; i++)
		z->conns[i] = z->conns[i] == c ? NULL : z->conns[i];
}

static void turn(struct fuzz *z)
{
	struct tcp_conn *c;
	unsigned events, i;

	while ((c = stack_next_ready(z->st, &events))) {
		if (events & (TCP_EV_RESET | TCP_EV_TIMEOUT)) {
			gone(z, c);
			tcp_close(z->st, c);
			continue;
		}
		for (i = 0; i < CONNS && z->conns[i] && z->conns[i] != c; i++)
			;
		CHECK(i < CONNS); /* max_conns is less */
		z->conns[i] = c;
	}
	stack_output(z->st, z->now_ns, &z->out);
	CHECK(z->out.n_tx + z->out.n_drop == z->owed);
	for (i = 0; i < z->out.n_tx; i++) {
		listen_to(z, &z->tx[i]);
		free(z->tx[i].handle);
	}
	for (i = 0; i < z->out.n_drop; i++)
		free(z->drop[i].handle);
	z->owed = z->out.n_tx = z->out.n_drop = 0;
	/* two prefixes are within reach: what a cap allows in the seconds begun */
	uint64_t allowed = 2ull * CAP * ((z->now_ns - z->start_ns) / 1000000000u + 2);
	CHECK(z->counters[STACK_rst_tx] <= allowed && z->counters[STACK_icmp_echo_tx] <= allowed);
}

/* Into the stack, after as many changes of bytes as the fuzzer wants. */
static void give(struct fuzz *z, struct frame *f, unsigned changes)
{
	while (changes--) {
		unsigned at = byte(z);
		f->data[at % (f->len ? f->len : 1u)] ^= byte(z);
	}
	stack_input(z->st, f, 1, z->now_ns, &z->out);
	turn(z);
}

static uint8_t *packet(
    struct fuzz *z, struct frame *f, bool v4, uint8_t proto, unsigned len, uint8_t ttl)
{
	take(z, 0, f);
	memcpy(f->data, mac, 6);
	memcpy(f->data + 6, peer_mac, 6);
	wr16(f->data + 12, v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	uint8_t *p = f->data + 14;
	f->len = (uint16_t)(14 + (v4 ? 20 : 40) + len);
	if (v4) {
		wr32(p, 0x45000000u + 20 + len);
		wr32(p + 8, (uint32_t)ttl << 24 | (uint32_t)proto << 16);
		memcpy(p + 12, peer4, 4);
		memcpy(p + 16, own4, 4);
		st16(p + 10, csum_finish(csum_add(0, p, 20)));
		return p + 20;
	}
	wr32(p, 0x60000000u);
	wr32(p + 4, len << 16 | (uint32_t)proto << 8 | ttl);
	memcpy(p + 8, peer6, 16);
	memcpy(p + 24, own6, 16);
	return p + 40;
}

static void seal(uint8_t *l4, bool v4, uint8_t proto, unsigned len, unsigned at)
{
	uint64_t sum = proto == PROTO_ICMP ? 0
		       : v4                ? csum_pseudo4(peer4, own4, proto, len)
					   : csum_pseudo6(peer6, own6, proto, len);
	st16(l4 + at, 0);
	st16(l4 + at, csum_finish(csum_add(sum, l4, len)));
}

static void segment(struct fuzz *z, bool v4, unsigned port, uint8_t flags, int32_t seq, int32_t ack,
    unsigned len, unsigned opts, unsigned changes)
{
	static const uint8_t options[4][20] = { { 0 }, { 2, 4, 5, 0xb4 },
		{ 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 7 },
		{ 1, 1, 8, 10, 0, 0, 1, 1, 0, 0, 0, 0 } };
	static const uint8_t lens[4] = { 0, 4, 20, 12 };
	struct peer *who = &z->peers[!v4][port % PEERS];
	unsigned hdr = 20u + lens[opts % 4];
	struct frame f;
	uint8_t *t = packet(z, &f, v4, PROTO_TCP, hdr + len, 64);

	wr16(t, (uint16_t)(40000 + port % PEERS));
	wr16(t + 2, 25);
	wr32(t + 4, who->next + (uint32_t)seq);
	wr32(t + 8, who->expects + (uint32_t)ack);
	wr32(t + 12, (hdr / 4) << 28 | (uint32_t)flags << 16 | 0xffff);
	memcpy(t + 20, options[opts % 4], lens[opts % 4]);
	memset(t + hdr, 'x', len);
	seal(t, v4, PROTO_TCP, hdr + len, 16);
	give(z, &f, changes);
}

static void icmp(struct fuzz *z, bool v4, uint8_t type, uint8_t code, uint8_t ttl, unsigned changes)
{
	unsigned len = 8 + z->n_quoted;
	struct frame f;
	uint8_t *p = packet(z, &f, v4, v4 ? PROTO_ICMP : PROTO_ICMP6, len, ttl);

	p[0] = type;
	p[1] = code;
	wr16(p + 6, (uint16_t)(byte(z) << 3));
	memcpy(p + 8, z->quoted, z->n_quoted);
	seal(p, v4, v4 ? PROTO_ICMP : PROTO_ICMP6, len, 2);
	give(z, &f, changes);
}

static void arp(struct fuzz *z, uint8_t op, uint8_t sender, uint8_t target, unsigned changes)
{
	struct frame f;

	take(z, 0, &f);
	memcpy(f.data, mac, 6);
	memcpy(f.data + 6, peer_mac, 6);
	wr16(f.data + 12, ETH_TYPE_ARP);
	wr32(f.data + 14, 0x00010800);
	wr32(f.data + 18, 0x06040000u + op);
	memcpy(f.data + 22, peer_mac, 6);
	memcpy(f.data + 28, (const uint8_t[4]){ 192, 0, 2, sender }, 4);
	memcpy(f.data + 38, (const uint8_t[4]){ 192, 0, 2, target }, 4);
	f.len = 42;
	give(z, &f, changes);
}

static void nd(struct fuzz *z, uint8_t type, unsigned changes)
{
	struct frame f;
	uint8_t *p = packet(z, &f, false, PROTO_ICMP6, 32, 255);

	p[0] = type;
	wr32(p + 4, type == ND_NA ? 0x60000000u : 0);
	memcpy(p + 8, type == ND_NA ? peer6 : own6, 16);
	p[24] = type == ND_NA ? 2 : 1;
	p[25] = 1;
	memcpy(p + 26, peer_mac, 6);
	seal(p, false, PROTO_ICMP6, 32, 2);
	give(z, &f, changes);
}

static void owner_acts(struct fuzz *z, unsigned what)
{
	struct tcp_conn *c = z->conns[byte(z) % CONNS];
	const uint8_t *data;

	if (!c)
		return;
	switch (what % 7) {
	case 0: tcp_write(z->st, c, banner, sizeof(banner) - 1); break;
	case 1: tcp_consume(z->st, c, tcp_peek(c, &data)); break;
	case 2: tcp_shutdown(z->st, c); break;
	case 3: tcp_set_window(z->st, c, byte(z) * 256u); break;
	case 6: tcp_set_pace(z->st, c, byte(z), byte(z)); break;
	case 4:
		if ((byte(z) & 1 ? tcp_shrink_to_tarpit(z->st, c, 0, 500)
				 : tcp_hold_refused(z->st, c, 0, 500, byte(z))) == 0)
			gone(z, c);
		break;
	default: gone(z, c); tcp_close(z->st, c);
	}
	turn(z);
}

static void step(struct fuzz *z)
{
	uint8_t op = byte(z), how = byte(z);
	bool v4 = op & 0x80;
	unsigned changes = op >> 4 & 3, port = how & 7;
	struct frame f;

	switch (op & 15) {
	case 0:
		z->now_ns += (1ull << how % 38) + how;
		turn(z);
		return;
	case 1: segment(z, v4, port, TCP_SYN, 0, 0, 0, how >> 3, changes); return;
	case 2: segment(z, v4, port, TCP_ACK, 0, 0, 0, how >> 3, changes); return;
	case 3:
		segment(z, v4, port, TCP_ACK | TCP_PSH, 0, 0, byte(z) * 5u, how >> 3, changes);
		return;
	case 4:
	case 5: {
		int32_t seq = (int8_t)byte(z), ack = (int8_t)byte(z);
		uint8_t flags = byte(z);
		segment(z, v4, port, flags, seq * 100, ack * 10, byte(z), how >> 3, changes);
		return;
	}
	case 6: segment(z, v4, port, TCP_FIN | TCP_ACK, 0, 0, how >> 3, 0, changes); return;
	case 7: segment(z, v4, port, TCP_RST, (int8_t)byte(z), 0, 0, 0, changes); return;
	case 8: /* anything */
		take(z, 0, &f);
		f.len = how;
		for (unsigned i = 0; i < how; i++)
			f.data[i] = i < 6 ? mac[i] : byte(z);
		give(z, &f, 0);
		return;
	case 9:
		arp(z, 1 + (how & 1), how & 2 ? 20 : byte(z), how & 4 ? 10 : byte(z), changes);
		return;
	case 10: nd(z, how & 1 ? ND_NA : ND_NS, changes); return;
	case 11: icmp(z, v4, how & 15, how >> 4, 64, changes); return;
	case 12: icmp(z, v4, v4 ? ICMP4_ECHO : ICMP6_ECHO, 0, 64, changes); return;
	case 13: icmp(z, false, how, 0, how & 1 ? 255 : 1, changes); return;
	case 14: owner_acts(z, how); return;
	default: z->verdict = how & 1 ? 0 : how >> 1 & 15; return;
	}
}

static void start(struct fuzz *z)
{
	struct stack_config c = { .n_ports = 1, .n_netifs = 1, .n_addrs = 2, .n_listeners = 1 };
	struct stack_host host = { z, take, judge, words };

	c.ports[0].mtu = MTU;
	memcpy(c.ports[0].mac, mac, 6);
	c.addrs[0] = (struct stack_ip){ ip_addr_from_v4(own4), 24, 0, false };
	c.addrs[1] = (struct stack_ip){ ip_addr_from_v6(own6), 64, 0, false };
	c.listeners[0] = (struct stack_listener){ .any = true, .port = 25, .id = 1 };
	c.max_conns = CONNS - 1;
	c.max_timewait = c.max_tarpit = c.max_reasm = 8;
	c.max_chunks = c.syn_ring = 64;
	c.max_neigh = 32;
	c.cap_rst = c.cap_icmp = CAP;
	z->now_ns = z->start_ns = 1700000000ull * 1000000000u;
	z->out = (struct frame_out){ .tx = z->tx, .drop = z->drop, .cap_tx = OUT, .cap_drop = OUT };
	CHECK(stack_new(&c, &host, z->counters, z->now_ns, &z->st) == 0);
	CHECK(stack_set_tarpit_text(z->st, 0, banner, sizeof(banner) - 1) == 0);
	stack_set_refused_hold(z->st, 3);
	CHECK(stack_set_refusal(z->st, 0, "521 no\r\n", 8) == 0);
	CHECK(stack_set_refusal(z->st, 1, "521 never\r\n", 11) == 0);
	turn(z);
	arp(z, ARP_REQUEST, 20, 10, 0);
	nd(z, ND_NS, 0);
	/* ports 0 and 1 of each family: established; port 1 is shrunk to a held client */
	for (unsigned i = 0; i < 4; i++) {
		struct stack_usage u;
		segment(z, i & 1, i / 2, TCP_SYN, 0, 0, 0, 2, 0);
		segment(z, i & 1, i / 2, TCP_ACK, 0, 0, 0, 3, 0);
		stack_usage(z->st, &u);
		CHECK(u.conns == (i < 2 ? i + 1 : 3));
		if (i >= 2) {
			struct tcp_conn *c1 = z->conns[2];
			CHECK(c1 && tcp_shrink_to_tarpit(z->st, c1, 0, 500) == 0);
			gone(z, c1);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz *z = calloc(1, sizeof(*z));
	struct stack_usage u;

	CHECK(z);
	z->p = data;
	z->end = data + (len < 4096 ? len : 4096);
	start(z);
	while (z->p < z->end)
		step(z);
	for (unsigned i = 0; i < CONNS; i++) {
		if (z->conns[i])
			tcp_abort(z->st, z->conns[i]);
		z->conns[i] = NULL;
	}
	/* orphans end by their time-outs, TIME-WAIT by its own */
	for (unsigned i = 0; i < 700; i++) {
		z->now_ns += 1000000000u;
		turn(z);
	}
	stack_usage(z->st, &u);
	CHECK(u.conns == 0 && u.timewait == 0 && u.chunks_used == 0);
	stack_free(z->st);
	free(z);
	return 0;
}
