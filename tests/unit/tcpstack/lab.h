/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bench for the IP half: a stack on one port, frames built by hand, answers looked at as parsed
 * packets, time moved by hand. The TCP half is played by a recorder, because what is
 * under test is which of its functions the IP half calls, with what.
 *
 * Every frame given in must come out exactly once: lab_turn() checks it.
 */
#ifndef POSTERN_TESTS_TCPSTACK_LAB_H
#define POSTERN_TESTS_TCPSTACK_LAB_H

#include "ip_half.h"
#include "checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LAB_FRAMES = 4096, LAB_ROOM = 2048, LAB_HEADROOM = 128 };

struct lab {
	struct stack *st;
	uint64_t counters[STACK_N_COUNTERS];
	uint64_t now;
	bool v4;
	struct ip_addr own, peer, gateway;
	uint8_t peer_mac[6];
	struct frame_out out;
	struct frame tx[LAB_FRAMES], drop[LAB_FRAMES];
	unsigned given, allocated; /* frames not yet out again */
	enum syn_verdict verdict;
	uint8_t refuse_class;
	unsigned judged, judge_calls;
	/* the TCP half, as recorded */
	bool conn_takes; /* conn_input() says true */
	bool conn_full;  /* conn_from_cookie() fails */
	bool reuse, believe;
	uint32_t conns;
	unsigned n_input, n_opened, n_icmp, n_known;
	struct conn_seed seed;
	enum icmp_event icmp;
	uint16_t icmp_mtu;
	struct conn_remains remains;
	int shrink;
};

static struct lab *lab_now; /* the one under test: the recorder has no argument of its own */

/* ---- the recorder ---- */

bool conn_input(struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	(void)st, (void)pkt, (void)now_ns, (void)out;
	lab_now->n_input++;
	return lab_now->conn_takes;
}
void conn_prefetch(const struct stack *st, struct packet *const *pkts, unsigned n)
{
	(void)st, (void)pkts, (void)n;
}
int conn_from_cookie(struct stack *st, const struct packet *pkt, const struct conn_seed *seed,
    uint64_t now_ns, struct frame_out *out)
{
	(void)st, (void)pkt, (void)now_ns, (void)out;
	if (lab_now->conn_full)
		return -1;
	lab_now->seed = *seed;
	lab_now->n_opened++;
	return 0;
}
bool conn_timewait_reuse(struct stack *st, const struct packet *syn, uint64_t now_ns)
{
	(void)st, (void)syn, (void)now_ns;
	return lab_now->reuse;
}
bool conn_icmp(struct stack *st, const struct ip_addr *local, uint16_t local_port,
    const struct ip_addr *remote, uint16_t remote_port, uint32_t seq, enum icmp_event ev,
    uint16_t mtu, uint64_t now_ns)
{
	(void)st, (void)local, (void)local_port, (void)remote, (void)remote_port, (void)seq,
	    (void)now_ns;
	lab_now->n_icmp++;
	lab_now->icmp = ev;
	lab_now->icmp_mtu = mtu;
	return lab_now->believe;
}
int conn_shrink(struct stack *st, struct tcp_conn *c, struct conn_remains *ret_remains)
{
	(void)st, (void)c;
	if (lab_now->shrink < 0)
		return lab_now->shrink;
	*ret_remains = lab_now->remains;
	return 0;
}
void tcp_get_info(const struct tcp_conn *c, struct tcp_info *ret_info)
{
	(void)c;
	*ret_info = (struct tcp_info){ .local = lab_now->remains.local };
}
void conn_neighbour_known(struct stack *st)
{
	(void)st;
	lab_now->n_known++;
}
void conn_output(struct stack *st, uint64_t now_ns, struct frame_out *out)
{
	(void)st, (void)now_ns, (void)out;
}
uint64_t conn_next_deadline(const struct stack *st)
{
	(void)st;
	return UINT64_MAX;
}
int tcp_half_new(const struct stack_config *config, uint64_t now_ns, struct tcp_half **ret_half)
{
	(void)config, (void)now_ns;
	*ret_half = NULL;
	return 0;
}
struct tcp_half *tcp_half_free(struct tcp_half *half)
{
	(void)half;
	return NULL;
}
void tcp_half_usage(const struct tcp_half *half, struct stack_usage *ret_usage)
{
	(void)half;
	ret_usage->conns = lab_now->conns;
}

/* ---- the shell ---- */

static bool lab_alloc(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct lab *l = arg;
	uint8_t *b = calloc(1, LAB_HEADROOM + LAB_ROOM);

	*ret_frame = (struct frame){ .data = b + LAB_HEADROOM,
		.handle = b,
		.room = LAB_ROOM,
		.headroom = LAB_HEADROOM,
		.port = port };
	l->allocated++;
	return true;
}

static void lab_judge(void *arg, struct syn_judgement *syns, unsigned n)
{
	struct lab *l = arg;

	l->judge_calls++;
	l->judged += n;
	for (unsigned i = 0; i < n; i++) {
		syns[i].verdict = (uint8_t)l->verdict;
		syns[i].refuse_class = l->refuse_class;
	}
}

static const uint8_t lab_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t lab_gateway_mac[6] = { 2, 0, 0, 0, 0, 9 };

static inline struct ip_addr lab_addr4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	const uint8_t v[4] = { (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d };
	return ip_addr_from_v4(v);
}

static inline struct ip_addr lab_addr6(unsigned net, unsigned host)
{
	struct ip_addr a = { { 0x20, 0x01, 0x0d, 0xb8 } };
	wr16(a.b + 6, (uint16_t)net);
	wr32(a.b + 12, host);
	return a;
}

static inline void lab_config(struct stack_config *c)
{
	memset(c, 0, sizeof(*c));
	c->n_ports = c->n_netifs = 1;
	memcpy(c->ports[0].mac, lab_mac, 6);
	c->ports[0].mtu = 1500;
	c->n_addrs = 2;
	c->addrs[0] = (struct stack_ip){ lab_addr4(192, 0, 2, 10), 24, 0, false };
	c->addrs[1] = (struct stack_ip){ lab_addr6(0, 10), 64, 0, false };
	c->n_routes = 2;
	c->routes[0] = (struct stack_route){ { { 0 } }, 0, lab_addr4(192, 0, 2, 1), 0 };
	c->routes[1] = (struct stack_route){ { { 0 } }, 0, lab_addr6(0, 1), 0 };
	c->n_listeners = 1;
	c->listeners[0] = (struct stack_listener){ .any = true, .port = 25, .id = 7 };
	for (unsigned i = 0; i < 16; i++) {
		c->secrets.cookie_key[i] = (uint8_t)(i * 7 + 1);
		c->secrets.isn_key[i] = (uint8_t)(i * 5 + 2);
		c->secrets.hash_key[i] = (uint8_t)(i * 3 + 3);
	}
	c->syn_ring = 1024;
	c->max_tarpit = 64;
}

static inline void lab_out_free(struct lab *l)
{
	for (unsigned i = 0; i < l->out.n_tx; i++)
		free(l->out.tx[i].handle);
	for (unsigned i = 0; i < l->out.n_drop; i++)
		free(l->out.drop[i].handle);
	assert_int_equal(l->out.n_tx + l->out.n_drop, l->given + l->allocated);
	l->out.n_tx = l->out.n_drop = l->given = l->allocated = 0;
}

static inline struct frame lab_frame(struct lab *l)
{
	struct frame f;

	lab_alloc(l, 0, &f);
	l->allocated--;
	return f;
}

/* ARP reply or advertisement by which the gateways become known. */
static inline struct frame lab_arp(
    struct lab *l, unsigned op, const uint8_t smac[6], struct ip_addr sip, struct ip_addr tip)
{
	struct frame f = lab_frame(l);
	uint8_t *p = f.data;

	memset(p, op == ARP_REQUEST ? 0xff : 0, 6);
	if (op == ARP_REPLY)
		memcpy(p, lab_mac, 6);
	memcpy(p + 6, smac, 6);
	wr16(p + 12, ETH_TYPE_ARP);
	wr32(p + 14, 0x00010800);
	wr32(p + 18, 0x06040000 | op);
	memcpy(p + 22, smac, 6);
	memcpy(p + 28, sip.b + 12, 4);
	memcpy(p + 38, tip.b + 12, 4);
	f.len = 60;
	return f;
}

static inline struct frame lab_nd(struct lab *l, unsigned type, uint32_t flags,
    const uint8_t smac[6], struct ip_addr src, struct ip_addr dst, struct ip_addr target,
    unsigned option)
{
	struct frame f = lab_frame(l);
	uint8_t *p = f.data, *q;
	unsigned len = ND_LEN + (option ? 8 : 0);

	memcpy(p, lab_mac, 6);
	if (dst.b[0] == 0xff) {
		p[0] = p[1] = 0x33;
		memcpy(p + 2, dst.b + 12, 4);
	}
	memcpy(p + 6, smac, 6);
	wr16(p + 12, ETH_TYPE_IP6);
	q = ip_write(p + 14, false, &src, &dst, PROTO_ICMP6, len, 255, true);
	wr32(q, type << 24);
	wr32(q + 4, flags);
	memcpy(q + 8, target.b, 16);
	if (option) {
		q[24] = (uint8_t)option;
		q[25] = 1;
		memcpy(q + 26, smac, 6);
	}
	st16(q + 2, csum_finish(csum_add(csum_pseudo6(src.b, dst.b, PROTO_ICMP6, len), q, len)));
	f.len = (uint16_t)(14 + 40 + len);
	return f;
}

static inline void lab_in(struct lab *l, struct frame *f, unsigned n)
{
	l->given += n;
	stack_input(l->st, f, n, l->now, &l->out);
}

static inline void lab_turn(struct lab *l)
{
	stack_output(l->st, l->now, &l->out);
}

static inline void lab_learn(struct lab *l)
{
	struct frame f[2];

	f[0] = lab_arp(
	    l, ARP_REPLY, lab_gateway_mac, lab_addr4(192, 0, 2, 1), lab_addr4(192, 0, 2, 10));
	f[1] = lab_nd(l, ND_NA, 0x60000000, lab_gateway_mac, lab_addr6(0, 1), lab_addr6(0, 10),
	    lab_addr6(0, 1), ND_OPT_TARGET_LL);
	lab_in(l, f, 2);
}

/* A stack whose start sequence is over and whose gateways are known. */
static inline struct lab *lab_new_with(const struct stack_config *c, bool v4, bool settled)
{
	struct lab *l = calloc(1, sizeof(*l));
	struct stack_host host = { .arg = l, .frame_alloc = lab_alloc, .judge_syns = lab_judge };

	assert_non_null(l);
	lab_now = l;
	l->now = 1700000000ull * 1000000000u;
	l->v4 = v4;
	l->own = c->addrs[v4 ? 0 : 1].addr;
	l->peer = v4 ? lab_addr4(198, 51, 100, 7) : lab_addr6(0x99, 7);
	l->gateway = v4 ? lab_addr4(192, 0, 2, 1) : lab_addr6(0, 1);
	l->out = (struct frame_out){
		.tx = l->tx, .drop = l->drop, .cap_tx = LAB_FRAMES, .cap_drop = LAB_FRAMES
	};
	assert_int_equal(stack_new(c, &host, l->counters, l->now, &l->st), 0);
	if (settled) {
		lab_turn(l);
		lab_learn(l);
		for (unsigned i = 0; i < 10; i++) {
			l->now += 1000000000u;
			lab_turn(l);
		}
		lab_learn(l);
		lab_out_free(l);
		memset(l->counters, 0, sizeof(l->counters));
	}
	return l;
}

static inline struct lab *lab_new(bool v4)
{
	struct stack_config c;

	lab_config(&c);
	return lab_new_with(&c, v4, true);
}

static inline void lab_free(struct lab *l)
{
	lab_out_free(l);
	stack_free(l->st);
	free(l);
}

static inline int lab_setup4(void **state)
{
	*state = lab_new(true);
	return 0;
}

static inline int lab_setup6(void **state)
{
	*state = lab_new(false);
	return 0;
}

static inline int lab_teardown(void **state)
{
	lab_free(*state);
	return 0;
}

/* A test run for both families, under two names. */
#define LAB_TEST4(name, fn)                                                                        \
	{                                                                                          \
		name, fn, lab_setup4, lab_teardown, NULL                                           \
	}
#define LAB_TEST6(name, fn)                                                                        \
	{                                                                                          \
		name, fn, lab_setup6, lab_teardown, NULL                                           \
	}

/* ---- segments ---- */

struct lab_seg {
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint16_t src_port, dst_port; /* 0: 40,000 and 25 */
	const uint8_t *opts;
	unsigned n_opts; /* bytes, a multiple of four */
	const void *data;
	unsigned len;
};

/* Fills checksums of a frame with the given L4 offset. */
static inline void lab_csum(struct frame *f, unsigned l3, bool v4)
{
	uint8_t *p = f->data + l3;
	unsigned hdr = v4 ? (p[0] & 15) * 4u : IP6_LEN,
		 len = (v4 ? rd16(p + 2) : rd16(p + 4) + 40u) - hdr;
	uint8_t *t = p + hdr;

	if (v4) {
		wr16(p + 10, 0);
		st16(p + 10, csum_finish(csum_add(0, p, hdr)));
	}
	wr16(t + 16, 0);
	uint64_t sum = v4 ? csum_pseudo4(p + 12, p + 16, PROTO_TCP, len)
			  : csum_pseudo6(p + 8, p + 24, PROTO_TCP, len);
	st16(t + 16, csum_finish(csum_add(sum, t, len)));
}

static inline struct frame lab_tcp(struct lab *l, const struct lab_seg *s)
{
	struct frame f = lab_frame(l);
	unsigned hdr = TCP_LEN + s->n_opts, len = hdr + s->len;
	uint8_t *p = f.data;

	memcpy(p, lab_mac, 6);
	memcpy(p + 6, lab_gateway_mac, 6);
	wr16(p + 12, l->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	uint8_t *t = ip_write(p + 14, l->v4, &l->peer, &l->own, PROTO_TCP, len, 57, true);
	wr16(t, s->src_port ? s->src_port : 40000);
	wr16(t + 2, s->dst_port ? s->dst_port : 25);
	wr32(t + 4, s->seq);
	wr32(t + 8, s->ack);
	wr32(t + 12, (hdr / 4) << 28 | (uint32_t)s->flags << 16 | (s->window ? s->window : 64240));
	if (s->n_opts)
		memcpy(t + TCP_LEN, s->opts, s->n_opts);
	if (s->len)
		memcpy(t + hdr, s->data, s->len);
	f.len = (uint16_t)(t + len - p);
	lab_csum(&f, 14, l->v4);
	return f;
}

static inline void lab_send(struct lab *l, const struct lab_seg *s)
{
	struct frame f = lab_tcp(l, s);

	lab_in(l, &f, 1);
}

/* What the stack sent: frame i, checked and taken apart by the test's own reading. */
struct lab_reply {
	uint32_t seq, ack;
	uint16_t src_port, dst_port, window;
	uint8_t flags;
	struct tcp_options opt;
	const uint8_t *data;
	unsigned len;
};

static inline struct lab_reply lab_reply(struct lab *l, unsigned i)
{
	struct lab_reply r = { 0 };

	assert_true(i < l->out.n_tx);
	struct frame *f = &l->out.tx[i];
	const uint8_t *p = f->data, *l3 = p + 14;
	assert_memory_equal(p, lab_gateway_mac, 6);
	assert_memory_equal(p + 6, lab_mac, 6);
	assert_int_equal(rd16(p + 12), l->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	unsigned hdr = l->v4 ? 20 : 40, len = f->len - 14 - hdr;
	const uint8_t *t = l3 + hdr;
	if (l->v4) {
		assert_int_equal(rd16(l3 + 2), f->len - 14);
		assert_int_equal(csum_fold(csum_add(0, l3, 20)), 0xffff);
		assert_memory_equal(l3 + 12, l->own.b + 12, 4);
		assert_memory_equal(l3 + 16, l->peer.b + 12, 4);
		assert_int_equal(
		    csum_fold(csum_add(csum_pseudo4(l3 + 12, l3 + 16, 6, len), t, len)), 0xffff);
	} else {
		assert_int_equal(rd16(l3 + 4), f->len - 14 - 40);
		assert_memory_equal(l3 + 8, l->own.b, 16);
		assert_memory_equal(l3 + 24, l->peer.b, 16);
		assert_int_equal(
		    csum_fold(csum_add(csum_pseudo6(l3 + 8, l3 + 24, 6, len), t, len)), 0xffff);
	}
	unsigned thdr = (t[12] >> 4) * 4u;
	assert_true(thdr <= len);
	r.src_port = rd16(t);
	r.dst_port = rd16(t + 2);
	r.seq = rd32(t + 4);
	r.ack = rd32(t + 8);
	r.flags = t[13];
	r.window = rd16(t + 14);
	assert_true(packet_parse_options(t + 20, thdr - 20, &r.opt));
	r.data = t + thdr;
	r.len = len - thdr;
	return r;
}

/* The options of a Linux SYN: MSS, SACK, timestamps, window scale 7. */
static const uint8_t lab_linux_syn[20] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0x12, 0x34, 0, 0, 0, 0,
	1, 3, 3, 7 };

#endif
