/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IP half's state, one struct per part, and the few helpers by which its files build and hand
 * out frames (private to the IP half; the TCP half sees stack.h only).
 */
#ifndef POSTERN_TCPSTACK_IP_HALF_H
#define POSTERN_TCPSTACK_IP_HALF_H

#include "stack.h"
#include "checksum.h"
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

/* MLD of one netif: mld.c. */
struct mld_netif {
	uint64_t due_ns, sent_ns;
	uint8_t reports; /* of those at start, sent */
	bool v1;         /* the last query was MLDv1 */
};

struct ip_half {
	uint64_t now_ns; /* of the call under way, for functions that are asked without a time */
	unsigned n_netifs, n_ports;
	struct netif_info netifs[STACK_MAX_NETIFS];
	uint8_t untagged[STACK_MAX_PORTS]; /* netif of untagged frames; 0xff: none */
	struct route_table routes;
	struct neigh_table neigh;
	struct mld_netif mld[STACK_MAX_NETIFS];
	uint64_t mld_due_ns;
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
static inline uint8_t *l2_write(const struct ip_half *ip, struct frame *f, unsigned netif,
    const uint8_t dst_mac[6], uint16_t ethertype)
{
	const struct netif_info *ni = &ip->netifs[netif];
	uint8_t *p = f->data;

	memcpy(p, dst_mac, 6);
	memcpy(p + 6, ni->mac, 6);
	p += 12;
	f->port = ni->port;
	f->flags = 0;
	if (ni->vlan) {
		if (ni->tag_by_port) {
			f->flags = FRAME_VLAN;
			f->vlan = ni->vlan;
		} else {
			wr16(p, ETH_TYPE_VLAN);
			wr16(p + 2, ni->vlan);
			p += ETH_TAG_LEN;
		}
	}
	wr16(p, ethertype);
	return p + 2;
}

/* A frame for something of our own (not an answer in place); room for `len` bytes of L3. False:
 * no buffer or no room in out (counted). */
bool l3_frame_alloc(struct stack *st, unsigned netif, unsigned l3_len, const struct frame_out *out,
    struct frame *ret_frame);

/* Writes an IP header without options: returns where L4 goes. v4: checksum done, DF as said. */
static inline uint8_t *ip_write(uint8_t *p, bool v4, const struct ip_addr *src,
    const struct ip_addr *dst, uint8_t proto, unsigned l4_len, uint8_t ttl, bool df)
{
	if (v4) {
		wr32(p, 0x45000000u + IP4_LEN + l4_len);
		wr32(p + 4, df ? IP4_DF : 0); /* id 0: atomic datagrams need none (RFC 6864 4.1) */
		wr32(p + 8, (uint32_t)ttl << 24 | (uint32_t)proto << 16);
		memcpy(p + 12, src->b + 12, 4);
		memcpy(p + 16, dst->b + 12, 4);
		uint64_t sum = (uint64_t)ld32(p) + ld32(p + 4) + ld32(p + 8) + ld32(src->b + 12) +
			       ld32(dst->b + 12);
		st16(p + 10, csum_finish(sum));
		return p + IP4_LEN;
	}
	wr32(p, 0x60000000u);
	wr32(p + 4, l4_len << 16 | (uint32_t)proto << 8 | ttl);
	memcpy(p + 8, src->b, 16);
	memcpy(p + 24, dst->b, 16);
	return p + IP6_LEN;
}

/* Once conn_icmp() has found the quoted sequence number genuine: notes a destination's path MTU for
 * ten minutes in a bounded table and makes every path resolve anew. Below the floor: the floor. */
void pmtu_lower(struct stack *st, const struct ip_addr *dst, uint16_t mtu, uint64_t now_ns);

/* ---- answers in place ---- */

/* Where an answer to `dst` goes: by route, not back to the MAC it came from. */
struct reply_path {
	const uint8_t *mac;
	uint16_t neigh; /* unless resolved: where the answer can be held, or NEIGH_NONE */
	uint8_t netif;
	bool resolved;
};
/* False: no route, or the next hop is unresolved: then all but the MAC (zeros) is known, and an
 * answer may be built and given to neigh_hold() instead of to `out`. */
static inline bool reply_route(struct stack *st, const struct ip_addr *dst, bool v4,
    uint64_t now_ns, struct reply_path *ret_path)
{
	struct ip_half *ip = st->ip;
	static const uint8_t unknown[6];
	const struct route_entry *r = route_find(&ip->routes, dst, v4);

	*ret_path = (struct reply_path){ .mac = unknown, .neigh = NEIGH_NONE };
	if (!r) {
		count(st, STACK_tx_no_route);
		return false;
	}
	ret_path->netif = r->netif;
	uint16_t slot = r->direct ? neigh_get(st, r->netif, dst, now_ns) : r->neigh;
	if (slot == NEIGH_NONE) {
		count(st, STACK_tx_no_neigh);
		return false;
	}
	struct neigh_entry *e = &ip->neigh.entries[slot];
	neigh_used(&ip->neigh, e, now_ns);
	ret_path->neigh = slot;
	if (!neigh_usable(e)) {
		count(st, STACK_tx_no_neigh);
		return false;
	}
	ret_path->mac = e->mac;
	ret_path->resolved = true;
	return true;
}

/* A segment written over the one it answers. */
struct reply {
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	uint8_t n_opts;   /* words */
	uint32_t opts[6]; /* as on the wire, native loads */
	const uint8_t *payload;
	uint16_t payload_len;
	uint64_t payload_sum;
};
/* The frame is given to `out` either way; true: to be sent. */
bool reply_tcp(struct stack *st, const struct packet *pkt, const struct reply *r, uint64_t now_ns,
    struct frame_out *out);
bool reply_tcp_via(struct stack *st, const struct packet *pkt, const struct reply_path *path,
    const struct reply *r, struct frame_out *out);
/* The RST that RFC 9293 3.10.7.1 obliges to, within the cap; never to a RST. */
void reply_rst(struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out);
/* NOP NOP TS into r->opts. */
void reply_ts(struct reply *r, uint32_t ts_val, uint32_t ts_ecr);

void mld_init(struct ip_half *ip, uint64_t now_ns);
void mld_input(struct stack *st, struct packet *pkt, uint64_t now_ns, struct frame_out *out);
/* Reports that are due; before DAD's solicitations, whose answers they let through. */
void mld_output(struct stack *st, uint64_t now_ns, struct frame_out *out);

void icmp_input(struct stack *st, struct packet *pkt, uint64_t now_ns, struct frame_out *out);

/* ---- listening ---- */

/* The SYNs of a burst, at most SIPHASH_LANES; every frame leaves. conns: connections or
 * TIME-WAIT entries exist that a SYN could belong to. */
void listen_syns(struct stack *st, struct packet *const *pkts, unsigned n, bool conns,
    uint64_t now_ns, struct frame_out *out);
/* Segments that belong to no connection, at most SIPHASH_LANES in a burst; every frame leaves. In two
 * steps: what the first begins to fetch has come when the burst's other work is done. */
struct other {
	struct packet *pkt; /* NULL: dealt with */
	struct synring_entry *ring;
	uint64_t hash;   /* of its cookie, under this epoch */
	uint64_t tarpit; /* of its flow */
	unsigned index;
	uint8_t proof;   /* enum proof */
	int8_t listener; /* -1: none */
};

struct others {
	struct other o[SIPHASH_LANES];
	unsigned n;
};

void listen_others_begin(struct stack *st, struct others *others, struct packet *const *pkts,
    unsigned n, uint64_t now_ns, struct frame_out *out);
void listen_others_end(
    struct stack *st, struct others *others, uint64_t now_ns, struct frame_out *out);
/* SYN-ACKs due again. */
void listen_output(struct stack *st, uint64_t now_ns, struct frame_out *out);

/* An ACK of a refuse class's cookie: the text and FIN in one segment. */
void refuse_send(struct stack *st, const struct packet *pkt, unsigned refuse_class, uint64_t now_ns,
    struct frame_out *out);
/* A segment that acknowledges that FIN: its own FIN is acknowledged, data is reset, an ACK alone
 * needs nothing. */
void refuse_finish(
    struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out);

#endif
