/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IP half's state, one struct per part, and the few helpers by which its files build and hand
 * out frames (private to the IP half; the TCP half sees stack.h only).
 */
#ifndef POSTERN_TCPSTACK_IP_HALF_H
#define POSTERN_TCPSTACK_IP_HALF_H

#include "stack.h"
#include "neigh.h"
#include "pmtu.h"
#include "route.h"
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

struct ip_half {
	uint64_t now_ns; /* of the call under way, for functions that are asked without a time */
	unsigned n_netifs, n_ports;
	struct netif_info netifs[STACK_MAX_NETIFS];
	uint8_t untagged[STACK_MAX_PORTS]; /* netif of untagged frames; 0xff: none */
	struct route_table routes;
	struct neigh_table neigh;
	struct pmtu_table *pmtu;
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

/* ---- answers in place ---- */

/* Where an answer to `dst` goes: by route, not back to the MAC it came from. */
struct reply_path {
	const uint8_t *mac;
	uint8_t netif;
};
bool reply_route(struct stack *st, const struct ip_addr *dst, bool v4, uint64_t now_ns,
    struct reply_path *ret_path);

#endif
