/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbour Discovery for hosts (RFC 4861) and duplicate address detection (RFC 4862 5.4), on the
 * wire; the state is neigh.c's. Routers are configured, so advertisements and redirects of routers
 * are counted and ignored: believing them would let anyone on the link take the traffic.
 */
#include "ip_half.h"
#include "neigh_wire.h"
#include "checksum.h"

static struct ip_addr solicited_node(const struct ip_addr *a)
{
	struct ip_addr m = { { 0xff, 0x02, [11] = 0x01, [12] = 0xff } };

	memcpy(m.b + 13, a->b + 13, 3);
	return m;
}

static void multicast_mac(const struct ip_addr *m, uint8_t ret_mac[6])
{
	ret_mac[0] = ret_mac[1] = 0x33;
	memcpy(ret_mac + 2, m->b + 12, 4);
}

/* A solicitation or advertisement with or without a link-layer option, into `f` from its start. */
static void nd_write(struct stack *st, struct frame *f, unsigned netif, const uint8_t eth_dst[6],
    const struct ip_addr *src, const struct ip_addr *dst, uint32_t type_flags, uint32_t flags,
    const struct ip_addr *target, unsigned ll_option)
{
	unsigned len = ND_LEN + (ll_option ? 8 : 0);
	uint8_t *l3 = l2_write(st->ip, f, netif, eth_dst, ETH_TYPE_IP6);
	uint8_t *p = ip_write(l3, false, src, dst, PROTO_ICMP6, len, ND_HOP_LIMIT, true);

	wr32(p, type_flags << 24);
	wr32(p + 4, flags);
	memcpy(p + 8, target->b, 16);
	if (ll_option) {
		p[24] = (uint8_t)ll_option;
		p[25] = 1;
		memcpy(p + 26, st->ip->netifs[netif].mac, 6);
	}
	st16(p + 2, csum_finish(csum_add(csum_pseudo6(src->b, dst->b, PROTO_ICMP6, len), p, len)));
	f->len = (uint16_t)(p + len - f->data);
}

enum { NA_SOLICITED = 0x40000000, NA_OVERRIDE = 0x20000000 };

bool nd_send_solicit(struct stack *st, unsigned netif, const struct ip_addr *target,
    const uint8_t *mac, struct frame_out *out)
{
	int src = neigh_source(st, netif, target);
	struct ip_addr dst = mac ? *target : solicited_node(target);
	uint8_t dst_mac[6];
	struct frame f;

	if (src < 0)
		return false; /* no own IPv6 address there: nothing can be asked from */
	if (mac)
		memcpy(dst_mac, mac, 6);
	else
		multicast_mac(&dst, dst_mac);
	if (!l3_frame_alloc(st, netif, IP6_LEN + ND_LEN + 8, out, &f))
		return false;
	nd_write(st, &f, netif, dst_mac, &st->config.addrs[src].addr, &dst, ND_NS, 0, target,
	    ND_OPT_SOURCE_LL);
	count(st, STACK_nd_tx);
	return out_tx(st, out, &f);
}

bool nd_send_own(struct stack *st, unsigned own_index, bool probe, struct frame_out *out)
{
	static const struct ip_addr unspecified;
	static const struct ip_addr all_nodes = { { 0xff, 0x02, [15] = 0x01 } };
	const struct stack_ip *a = &st->config.addrs[own_index];
	struct ip_addr dst = probe ? solicited_node(&a->addr) : all_nodes;
	uint8_t dst_mac[6];
	struct frame f;

	multicast_mac(&dst, dst_mac);
	if (!l3_frame_alloc(st, a->netif, IP6_LEN + ND_LEN + 8, out, &f))
		return false;
	if (probe)
		nd_write(st, &f, a->netif, dst_mac, &unspecified, &dst, ND_NS, 0, &a->addr, 0);
	else
		nd_write(st, &f, a->netif, dst_mac, &a->addr, &dst, ND_NA, NA_OVERRIDE, &a->addr,
		    ND_OPT_TARGET_LL);
	count(st, STACK_nd_tx);
	return out_tx(st, out, &f);
}

/* The link-layer address option of a message; false: options malformed (RFC 4861 4.6). */
static bool nd_options(const uint8_t *p, unsigned len, unsigned want, const uint8_t **ret_mac)
{
	*ret_mac = NULL;
	while (len) {
		if (len < 8 || p[1] == 0 || p[1] * 8u > len)
			return false;
		if (p[0] == want)
			*ret_mac = p + 2;
		len -= p[1] * 8u;
		p += p[1] * 8u;
	}
	return true;
}

static void solicited(struct stack *st, struct packet *pkt, const struct ip_addr *target,
    const uint8_t *mac, uint64_t now_ns, struct frame_out *out)
{
	static const struct ip_addr unspecified;
	static const struct ip_addr all_nodes = { { 0xff, 0x02, [15] = 0x01 } };
	struct frame *f = pkt->frame;
	bool dad = ip_addr_eq(&pkt->src, &unspecified);
	uint8_t index, eth_dst[6];

	if (route_own(&st->ip->routes, target, &index) != OWN_ADDR ||
	    st->config.addrs[index].netif != pkt->netif)
		goto drop;
	memcpy(eth_dst, mac ? mac : f->data + 6, 6);
	if (dad) {
		/* Both probing: neither may have it (RFC 4862 5.4.3). */
		if (neigh_own_heard(st, index, f->data + 6, true, now_ns))
			goto drop;
	} else if (mac) {
		neigh_heard(st, pkt->netif, &pkt->src, mac, NEIGH_NEWS_STRONG, true, now_ns);
	}
	if (!neigh_own_answers(st, index))
		goto drop;
	if (f->room < st->ip->netifs[pkt->netif].hdr_len + IP6_LEN + ND_LEN + 8)
		goto drop;
	struct ip_addr own = *target, dst = dad ? all_nodes : pkt->src;
	if (dad)
		multicast_mac(&dst, eth_dst);
	nd_write(st, f, pkt->netif, eth_dst, &own, &dst, ND_NA,
	    NA_OVERRIDE | (dad ? 0 : NA_SOLICITED), &own, ND_OPT_TARGET_LL);
	count(st, STACK_nd_tx);
	out_tx(st, out, f);
	return;
drop:
	out_drop(out, f);
}

void neigh_nd_input(struct stack *st, struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	struct frame *f = pkt->frame;
	const uint8_t *p = pkt->payload;
	unsigned len = pkt->payload_len, type = p[0];
	static const struct ip_addr unspecified;
	const uint8_t *mac;
	uint8_t index = 0;

	count(st, STACK_nd_rx);
	/* Hop limit 255 proves that it came from this link (RFC 4861 11.2). */
	if (pkt->ttl != ND_HOP_LIMIT || p[1] != 0)
		goto bad;
	if (type != ND_NS && type != ND_NA) {
		count(st, STACK_nd_ignored);
		out_drop(out, f);
		return;
	}
	if (len < ND_LEN || p[8] == 0xff ||
	    !nd_options(p + ND_LEN, len - ND_LEN,
		type == ND_NS ? ND_OPT_SOURCE_LL : ND_OPT_TARGET_LL, &mac))
		goto bad;
	if (mac && mac[0] & 1)
		goto bad;
	struct ip_addr target = ip_addr_from_v6(p + 8);
	if (route_own(&st->ip->routes, &pkt->src, &index) == OWN_ADDR) {
		neigh_own_heard(st, index, mac ? mac : f->data + 6, false, now_ns);
		out_drop(out, f);
		return;
	}
	if (type == ND_NS) {
		if (ip_addr_eq(&pkt->src, &unspecified) && (mac || pkt->dst.b[0] != 0xff))
			goto bad; /* RFC 4861 7.1.1 */
		solicited(st, pkt, &target, mac, now_ns, out);
		return;
	}
	uint32_t flags = rd32(p + 4);
	if (pkt->dst.b[0] == 0xff && flags & NA_SOLICITED)
		goto bad; /* RFC 4861 7.1.2 */
	if (route_own(&st->ip->routes, &target, &index) == OWN_ADDR) {
		neigh_own_heard(st, index, mac ? mac : f->data + 6, false, now_ns);
		out_drop(out, f);
		return;
	}
	uint16_t slot = neigh_find(&st->ip->neigh, pkt->netif, &target);
	if (slot != NEIGH_NONE) {
		const struct neigh_entry *e = &st->ip->neigh.entries[slot];
		uint8_t known[6];
		if (!mac && neigh_usable(e)) { /* allowed in answers to unicast questions (4.4) */
			memcpy(known, e->mac, 6);
			mac = known;
		}
		bool asked = e->state == NEIGH_INCOMPLETE || e->state == NEIGH_PROBE;
		bool differs = mac && neigh_usable(e) && memcmp(mac, e->mac, 6) != 0;
		if (mac && differs && !(flags & NA_OVERRIDE))
			neigh_learn(st, slot, mac, NEIGH_NEWS_WEAK, now_ns);
		else if (mac)
			neigh_learn(st, slot, mac,
			    flags & NA_SOLICITED && asked ? NEIGH_NEWS_CONFIRMED : NEIGH_NEWS_STRONG,
			    now_ns);
	}
	out_drop(out, f);
	return;
bad:
	count(st, STACK_nd_bad);
	out_drop(out, f);
}
