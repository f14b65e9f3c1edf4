/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IP half's state, one struct per part, and the few helpers by which its files build and hand
 * out frames (private to the IP half; the TCP half sees stack.h only).
 */
#ifndef POSTERN_TCPSTACK_IP_HALF_H
#define POSTERN_TCPSTACK_IP_HALF_H

#include "stack.h"
#include "cookie.h"
#include "frag.h"
#include "neigh.h"
#include "pmtu.h"
#include "ratelimit.h"
#include "route.h"
#include "synring.h"
#include "tarpit.h"
#include "wire.h"

struct netif_info {
	uint8_t mac[6];
	uint8_t port;
	uint8_t hdr_len; /* bytes of Ethernet header that we write: 14, or 18 with the tag in it */
	uint16_t vlan;
	bool tag_by_port; /* FRAME_VLAN instead of a tag in the frame */
	uint16_t mtu;
	uint16_t tx_caps;
};

/* What a refuse class answers with: refuse.c. */
struct refusal {
	uint64_t sum; /* of text */
	uint16_t len;
	uint16_t previous_len; /* of the text before: its FINs are still under way */
	uint8_t text[STACK_REFUSE_TEXT_MAX];
};

struct ip_half {
	uint64_t now_ns; /* of the call under way, for functions that are asked without a time */
	unsigned n_netifs, n_ports;
	struct netif_info netifs[STACK_MAX_NETIFS];
	uint8_t untagged[STACK_MAX_PORTS]; /* netif of untagged frames; 0xff: none */
	struct route_table routes;
	struct neigh_table neigh;
	struct pmtu_table *pmtu;
	struct frag_table frags;
	struct tarpit tarpit;

	/* listening */
	struct cookie_keys cookies;
	struct synring ring;
	struct refusal refusals[STACK_REFUSE_CLASSES];
	struct ratelimit cap_rst, cap_icmp, cap_synack;
	struct tally bad_acks;
	uint64_t trap_until_ns; /* a trap may still hold someone until then; 0: none was set */
	uint8_t rcv_wscale;     /* what our SYN-ACKs offer */
	uint16_t synack_window; /* bytes */
};

/* What needs the whole stack: gateways are asked for and pinned. -ENOSPC: max_neigh too small. */
int ip_half_start(struct stack *st, uint64_t now_ns);

/* ---- frames out ---- */

static inline void out_drop(struct frame_out *out, const struct frame *f)
{
	out->drop[out->n_drop++] = *f;
}

/* For frames that no connection will send again: dropped and counted when there is no room. */
static inline bool out_tx(struct stack *st, struct frame_out *out, const struct frame *f)
{
	if (__builtin_expect(out->n_tx >= out->cap_tx, 0)) {
		count(st, STACK_tx_out_full);
		out_drop(out, f);
		return false;
	}
	out->tx[out->n_tx++] = *f;
	return true;
}

/* Writes the Ethernet header (and tag) for a netif at the start of f->data, sets port and flags;
 * returns where the next header goes. */
uint8_t *l2_write(const struct ip_half *ip, struct frame *f, unsigned netif, const uint8_t dst_mac[6],
    uint16_t ethertype);

/* A frame for something of our own (not an answer in place); room for `len` bytes of L3. False:
 * no buffer or no room in out (counted). */
bool l3_frame_alloc(struct stack *st, unsigned netif, unsigned l3_len, const struct frame_out *out,
    struct frame *ret_frame);

/* Writes an IP header without options: returns where L4 goes. v4: checksum done, DF as said. */
uint8_t *ip_write(uint8_t *p, bool v4, const struct ip_addr *src, const struct ip_addr *dst,
    uint8_t proto, unsigned l4_len, uint8_t ttl, bool df);

/* Once conn_icmp() has found the quoted sequence number genuine: notes a destination's path MTU for
 * ten minutes in a bounded table and makes every path resolve anew. Below the floor: the floor. */
void pmtu_lower(struct stack *st, const struct ip_addr *dst, uint16_t mtu, uint64_t now_ns);

/* ---- answers in place ---- */

/* Where an answer to `dst` goes: by route, not back to the MAC it came from. */
struct reply_path {
	const uint8_t *mac;
	uint8_t netif;
};
bool reply_route(struct stack *st, const struct ip_addr *dst, bool v4, uint64_t now_ns,
    struct reply_path *ret_path);

/* A segment written over the one it answers. */
struct reply {
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	uint8_t n_opts; /* words */
	uint32_t opts[6]; /* as on the wire, native loads */
	const uint8_t *payload;
	uint16_t payload_len;
	uint64_t payload_sum;
};
/* The frame is given to `out` either way; true: to be sent. */
bool reply_tcp(struct stack *st, const struct packet *pkt, const struct reply *r, uint64_t now_ns,
    struct frame_out *out);
/* The RST that RFC 9293 3.10.7.1 obliges to, within the cap; never to a RST. */
void reply_rst(struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out);
/* NOP NOP TS into r->opts. */
void reply_ts(struct reply *r, uint32_t ts_val, uint32_t ts_ecr);

void icmp_input(struct stack *st, struct packet *pkt, uint64_t now_ns, struct frame_out *out);

/* ---- listening ---- */

/* The SYNs of a burst, at most SIPHASH_LANES / 2; every frame leaves. conns: connections or
 * TIME-WAIT entries exist that a SYN could belong to. */
void listen_syns(struct stack *st, struct packet *const *pkts, unsigned n, bool conns,
    uint64_t now_ns, struct frame_out *out);
/* Segments that belong to no connection, at most SIPHASH_LANES / 2; every frame leaves. */
void listen_others(struct stack *st, struct packet *const *pkts, unsigned n, uint64_t now_ns,
    struct frame_out *out);
/* SYN-ACKs due again. */
void listen_output(struct stack *st, uint64_t now_ns, struct frame_out *out);

/* An ACK of a refuse class's cookie: the text and FIN in one segment. */
void refuse_send(struct stack *st, const struct packet *pkt, unsigned refuse_class, uint64_t now_ns,
    struct frame_out *out);
/* A segment that acknowledges that FIN: its own FIN is acknowledged, data is reset, an ACK alone
 * needs nothing. */
void refuse_finish(struct stack *st, const struct packet *pkt, uint64_t now_ns,
    struct frame_out *out);

#endif
