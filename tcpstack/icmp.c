/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP and ICMPv6 (RFC 792, 1122, 4443): echo for own addresses, and errors about our own
 * segments. We send no errors: a stranger would choose whom they hit, and no peer of a mail
 * server needs them.
 *
 * An error is believed only as far as its quotation goes: it must quote a segment from an own
 * address (or of a connection that has it), and conn_icmp() must find the quoted sequence number
 * outstanding (RFC 5927 4.1), before a path MTU is lowered. Nothing here aborts a connection.
 */
#include "ip_half.h"
#include "checksum.h"

static void echo(struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	struct frame *f = pkt->frame;
	struct reply_path path;
	unsigned hdr = pkt->v4 ? IP4_LEN : IP6_LEN, len = pkt->payload_len;

	count(st, STACK_icmp_echo_rx);
	if (st->ceded) {
		out_drop(out, f);
		return;
	}
	if (!ratelimit_take(&st->ip->cap_icmp, prefix_key(&pkt->src, pkt->v4), now_ns)) {
		count(st, STACK_icmp_capped);
		out_drop(out, f);
		return;
	}
	bool resolved = reply_route(st, &pkt->src, pkt->v4, now_ns, &path);
	if (!resolved && path.neigh == NEIGH_NONE) {
		out_drop(out, f);
		return;
	}
	unsigned l4_off = st->ip->netifs[path.netif].hdr_len + hdr;
	if (l4_off + len > f->room) {
		out_drop(out, f);
		return;
	}
	/* The body first: headers of another length may move it. */
	memmove(f->data + l4_off, f->data + pkt->l4_off, len);
	uint8_t *l3 =
	    l2_write(st->ip, f, path.netif, path.mac, pkt->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	uint8_t *p = ip_write(l3, pkt->v4, &pkt->dst, &pkt->src, pkt->v4 ? PROTO_ICMP : PROTO_ICMP6,
	    len, IP_TTL, true);
	p[0] = pkt->v4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY;
	wr16(p + 2, 0);
	uint64_t sum = pkt->v4 ? 0 : csum_pseudo6(pkt->src.b, pkt->dst.b, PROTO_ICMP6, len);
	st16(p + 2, csum_finish(csum_add(sum, p, len)));
	f->len = (uint16_t)(l4_off + len);
	if (!resolved) {
		neigh_hold(st, path.neigh, pkt->v4, l3, hdr + len);
		out_drop(out, f);
		return;
	}
	if (out_tx(st, out, f))
		count(st, STACK_icmp_echo_tx);
}

/* The TCP header quoted after a v6 header, past extension headers; NULL: none. */
static const uint8_t *quoted_tcp6(const uint8_t *q, unsigned len)
{
	unsigned at = IP6_LEN, next = q[6];

	for (unsigned n = 0; n < 8; n++) {
		if (next == PROTO_TCP)
			return at + 8 <= len ? q + at : NULL;
		if ((next != PROTO_HOPOPT && next != PROTO_DSTOPT && next != PROTO_ROUTING) ||
		    at + 8 > len)
			return NULL;
		next = q[at];
		at += (q[at + 1] + 1u) * 8;
	}
	return NULL;
}

/* What an error means to a connection (RFC 1122 4.2.3.9, RFC 5461, RFC 4443 3). */
static enum icmp_event event_of(bool v4, unsigned type, unsigned code)
{
	if (v4) {
		if (type == ICMP4_UNREACHABLE && code == 4)
			return ICMP_TOO_BIG;
		return type == ICMP4_UNREACHABLE && (code == 2 || code == 3) ? ICMP_HARD : ICMP_SOFT;
	}
	if (type == ICMP6_TOO_BIG)
		return ICMP_TOO_BIG;
	return type == ICMP6_UNREACHABLE && code == 4 ? ICMP_HARD : ICMP_SOFT;
}

static void error(struct stack *st, const struct packet *pkt, uint64_t now_ns)
{
	const uint8_t *p = pkt->payload, *q = p + ICMP_LEN, *t;
	unsigned len = pkt->payload_len - ICMP_LEN;
	struct ip_addr local, remote;

	count(st, STACK_icmp_error_rx);
	if (pkt->v4) {
		unsigned hdr = len >= IP4_LEN ? (q[0] & 15) * 4u : 0;
		if (hdr < IP4_LEN || q[0] >> 4 != 4 || hdr + 8 > len || q[9] != PROTO_TCP ||
		    rd16(q + 6) & IP4_OFFSET_MASK)
			goto useless;
		local = ip_addr_from_v4(q + 12);
		remote = ip_addr_from_v4(q + 16);
		t = q + hdr;
	} else {
		if (len < IP6_LEN || q[0] >> 4 != 6)
			goto useless;
		t = quoted_tcp6(q, len);
		if (!t)
			goto useless;
		local = ip_addr_from_v6(q + 8);
		remote = ip_addr_from_v6(q + 24);
	}
	enum icmp_event ev = event_of(pkt->v4, p[0], p[1]);
	uint32_t mtu = 0;
	if (ev == ICMP_TOO_BIG) {
		/* 0 from routers older than RFC 1191: they get the floor. */
		mtu = pkt->v4 ? rd16(p + 6) : rd32(p + 4);
		uint16_t floor = pkt->v4 ? PMTU_FLOOR4 : PMTU_FLOOR6;
		mtu = mtu < floor ? floor : mtu > 0xffff ? 0xffff : mtu;
	}
	if (conn_icmp(st, &local, rd16(t), &remote, rd16(t + 2), rd32(t + 4), ev, (uint16_t)mtu,
		now_ns)) {
		if (ev == ICMP_TOO_BIG)
			pmtu_lower(st, &remote, (uint16_t)mtu, now_ns);
	} else {
		count(st, STACK_icmp_error_ignored);
	}
	return;
useless:
	count(st, STACK_icmp_error_ignored);
}

void icmp_input(struct stack *st, struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	unsigned type = pkt->payload[0];
	bool is_echo = type == (pkt->v4 ? ICMP4_ECHO : ICMP6_ECHO);
	bool is_error = pkt->v4 ? type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED ||
				      type == ICMP4_PARAMETER
				: type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER;
	/* Source quench and redirects are deaf ears (RFC 6633, RFC 4861 8). */

	if (is_echo && pkt->dst_own && pkt->payload[1] == 0) {
		echo(st, pkt, now_ns, out);
		return;
	}
	if (is_error)
		error(st, pkt, now_ns);
	else
		count(st, STACK_icmp_other);
	out_drop(out, pkt->frame);
}
