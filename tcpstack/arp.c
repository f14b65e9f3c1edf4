/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ARP (RFC 826) with conflict detection (RFC 5227), on the wire. The state is neigh.c's.
 *
 * Only senders on a connected prefix are believed, and an answer nobody asked for changes a known
 * entry but makes none: on a link that strangers share that is the most ARP can offer.
 */
#include "ip_half.h"
#include "neigh_wire.h"

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

int neigh_source(const struct stack *st, unsigned netif, const struct ip_addr *target)
{
	bool v4 = ip_addr_is_v4(target);
	int any = -1;

	for (unsigned i = 0; i < st->config.n_addrs; i++) {
		const struct stack_ip *a = &st->config.addrs[i];
		if (a->netif != netif || ip_addr_is_v4(&a->addr) != v4)
			continue;
		unsigned bits = a->prefix_len + (v4 ? 96u : 0u), bytes = bits / 8;
		bool same = memcmp(a->addr.b, target->b, bytes) == 0;
		if (same && bits % 8)
			same = ((a->addr.b[bytes] ^ target->b[bytes]) >> (8 - bits % 8)) == 0;
		if (same)
			return (int)i;
		if (any < 0)
			any = (int)i;
	}
	return any;
}

static void arp_write(struct stack *st, struct frame *f, unsigned netif, const uint8_t eth_dst[6],
    unsigned op, const uint8_t sender_ip[4], const uint8_t target_mac[6], const uint8_t target_ip[4])
{
	uint8_t a[ARP_LEN];

	wr32(a, 0x00010800);
	wr32(a + 4, 0x06040000 | op);
	memcpy(a + 8, st->ip->netifs[netif].mac, 6);
	memcpy(a + 14, sender_ip, 4);
	memcpy(a + 18, target_mac, 6);
	memcpy(a + 24, target_ip, 4);
	uint8_t *p = l2_write(st->ip, f, netif, eth_dst, ETH_TYPE_ARP);
	memcpy(p, a, ARP_LEN);
	f->len = (uint16_t)(p + ARP_LEN - f->data);
}

static bool arp_send(struct stack *st, unsigned netif, const uint8_t eth_dst[6],
    const uint8_t sender_ip[4], const uint8_t target_ip[4], struct frame_out *out)
{
	static const uint8_t unknown[6];
	struct frame f;

	if (!l3_frame_alloc(st, netif, ARP_LEN, out, &f))
		return false;
	arp_write(st, &f, netif, eth_dst, ARP_REQUEST, sender_ip, unknown, target_ip);
	count(st, STACK_arp_tx);
	return out_tx(st, out, &f);
}

bool arp_send_request(struct stack *st, unsigned netif, const struct ip_addr *target,
    const uint8_t *mac, struct frame_out *out)
{
	static const uint8_t none[4];
	int src = neigh_source(st, netif, target);

	return arp_send(st, netif, mac ? mac : broadcast,
	    src < 0 ? none : st->config.addrs[src].addr.b + 12, target->b + 12, out);
}

bool arp_send_own(struct stack *st, unsigned own_index, bool probe, struct frame_out *out)
{
	static const uint8_t none[4];
	const struct stack_ip *a = &st->config.addrs[own_index];

	/* A probe names no sender so that nobody's cache changes (RFC 5227 2.1.1). */
	return arp_send(st, a->netif, broadcast, probe ? none : a->addr.b + 12, a->addr.b + 12, out);
}

void neigh_arp_input(struct stack *st, struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	struct frame *f = pkt->frame;
	const uint8_t *a = f->data + pkt->l3_off;
	static const uint8_t none[4];
	uint8_t index = 0;

	count(st, STACK_arp_rx);
	if (f->len < pkt->l3_off + ARP_LEN || rd32(a) != 0x00010800 || rd16(a + 4) != 0x0604 ||
	    (rd16(a + 6) != ARP_REQUEST && rd16(a + 6) != ARP_REPLY) || a[8] & 1) {
		count(st, STACK_arp_bad);
		out_drop(out, f);
		return;
	}
	unsigned op = rd16(a + 6);
	struct ip_addr sender = ip_addr_from_v4(a + 14), target = ip_addr_from_v4(a + 24);
	uint8_t sender_mac[6], target_ip[4];
	memcpy(sender_mac, a + 8, 6);
	memcpy(target_ip, a + 24, 4);
	bool probe = memcmp(a + 14, none, 4) == 0;
	bool for_us = route_own(&st->ip->routes, &target, &index) == OWN_ADDR &&
		      st->config.addrs[index].netif == pkt->netif;
	uint8_t claimed = 0;

	if (!probe && route_own(&st->ip->routes, &sender, &claimed) == OWN_ADDR) {
		neigh_own_heard(st, claimed, sender_mac, false, now_ns);
		out_drop(out, f);
		return;
	}
	if (!probe) {
		uint16_t slot = neigh_find(&st->ip->neigh, pkt->netif, &sender);
		const struct neigh_entry *e =
		    slot == NEIGH_NONE ? NULL : &st->ip->neigh.entries[slot];
		bool asked = e && (e->state == NEIGH_INCOMPLETE || e->state == NEIGH_PROBE);
		neigh_heard(st, pkt->netif, &sender, sender_mac,
		    op == ARP_REPLY && asked && for_us ? NEIGH_NEWS_CONFIRMED : NEIGH_NEWS_STRONG,
		    op == ARP_REQUEST && for_us, now_ns);
	}
	if (op != ARP_REQUEST || !for_us ||
	    (probe && neigh_own_heard(st, index, sender_mac, true, now_ns)) ||
	    !neigh_own_answers(st, index)) {
		out_drop(out, f);
		return;
	}
	if (f->room < st->ip->netifs[pkt->netif].hdr_len + ARP_LEN) {
		out_drop(out, f);
		return;
	}
	arp_write(st, f, pkt->netif, sender_mac, ARP_REPLY, target_ip, sender_mac, sender.b + 12);
	count(st, STACK_arp_tx);
	out_tx(st, out, f);
}
