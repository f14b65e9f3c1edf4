/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a frame to valid values: every length, address, checksum and option is looked at here and
 * nowhere else, and whoever fails leaves a counted reason.
 *
 * Known option layouts are matched whole, with a loop as the fallback: the loop costs about 9 ns,
 * the match 1, and nearly all segments of real peers carry one of four layouts. Rejected: lazy
 * parsing "when needed", after which each reader would have to remember what was checked.
 */
#include "ip_half.h"
#include "checksum.h"

enum {
	IP6_EXT_MAX_HEADERS = 8, /* a longer chain is an attack; RFC 9673 asks for a limit */
	IP6_EXT_MAX_BYTES = 256,
};

struct parse {
	const struct ip_half *ip;
	const struct frame *f;
	enum stack_counter reason;
};

static enum packet_kind bad(struct parse *s, enum stack_counter reason)
{
	s->reason = reason;
	return PACKET_BAD;
}

static bool options_loop(const uint8_t *p, unsigned len, struct tcp_options *o)
{
	while (len) {
		if (p[0] == TCP_OPT_EOL)
			return true;
		if (p[0] == TCP_OPT_NOP) {
			p++;
			len--;
			continue;
		}
		if (len < 2 || p[1] < 2 || p[1] > len)
			return false; /* illegal length: RFC 9293 3.1, MUST-7 */
		unsigned n = p[1];
		switch (p[0]) {
		case TCP_OPT_MSS:
			if (n != 4)
				return false;
			o->mss = rd16(p + 2);
			if (!o->mss)
				o->mss =
				    1; /* present, and absurd: the sender of segments has a floor */
			break;
		case TCP_OPT_WSCALE:
			if (n != 3)
				return false;
			o->has_wscale = true;
			o->wscale = p[2] > 14 ? 14 : p[2]; /* RFC 7323 2.3 */
			break;
		case TCP_OPT_SACK_OK:
			if (n != 2)
				return false;
			o->sack_ok = true;
			break;
		case TCP_OPT_SACK:
			if (n < 10 || (n - 2) % 8 || n > 34)
				return false;
			o->n_sack = (uint8_t)((n - 2) / 8);
			for (unsigned i = 0; i < o->n_sack; i++) {
				o->sack[i].start = rd32(p + 2 + 8 * i);
				o->sack[i].end = rd32(p + 6 + 8 * i);
			}
			break;
		case TCP_OPT_TS:
			if (n != 10)
				return false;
			o->has_ts = true;
			o->ts_val = rd32(p + 2);
			o->ts_ecr = rd32(p + 6);
			break;
		default: break; /* unknown ones are skipped: RFC 9293 3.1, MUST-6 */
		}
		p += n;
		len -= n;
	}
	return true;
}

/* Native-order images of what a known layout starts with. */
static inline uint32_t image4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	const uint8_t bytes[4] = { a, b, c, d };
	return ld32(bytes);
}

static inline bool options_known(const uint8_t *p, unsigned len, struct tcp_options *o)
{
	switch (len) {
	case 4: /* MSS alone */
		if (ld16(p) != ld16((const uint8_t[]){ TCP_OPT_MSS, 4 }))
			return false;
		o->mss = rd16(p + 2);
		return o->mss != 0;
	case 12: /* NOP NOP TS: every segment of a connection */
		if (ld32(p) != image4(TCP_OPT_NOP, TCP_OPT_NOP, TCP_OPT_TS, 10))
			return false;
		o->has_ts = true;
		o->ts_val = rd32(p + 4);
		o->ts_ecr = rd32(p + 8);
		return true;
	case 20: /* MSS SACK_OK TS NOP WS: a SYN of Linux */
		if (ld16(p) != ld16((const uint8_t[]){ TCP_OPT_MSS, 4 }) ||
		    ld32(p + 4) != image4(TCP_OPT_SACK_OK, 2, TCP_OPT_TS, 10) ||
		    (ld32(p + 16) & image4(255, 255, 255, 0)) !=
			image4(TCP_OPT_NOP, TCP_OPT_WSCALE, 3, 0) ||
		    p[19] > 14)
			return false;
		o->mss = rd16(p + 2);
		o->sack_ok = o->has_ts = o->has_wscale = true;
		o->ts_val = rd32(p + 8);
		o->ts_ecr = rd32(p + 12);
		o->wscale = p[19];
		return o->mss != 0;
	default: return false;
	}
}

/* A few words instead of the whole struct: sack[] is valid up to n_sack only. */
static inline void options_none(struct tcp_options *o)
{
	o->has_ts = o->has_wscale = o->sack_ok = false;
	o->wscale = o->n_sack = 0;
	o->mss = 0;
	o->ts_val = o->ts_ecr = 0;
}

bool packet_parse_options(const uint8_t *p, unsigned len, struct tcp_options *ret_opt)
{
	options_none(ret_opt);
	if (__builtin_expect(options_known(p, len, ret_opt), 1))
		return true;
	options_none(ret_opt);
	return options_loop(p, len, ret_opt);
}

static inline enum packet_kind parse_tcp(struct parse *s, struct packet *pkt)
{
	const uint8_t *t = pkt->payload;
	unsigned len = pkt->payload_len;

	if (len < TCP_LEN)
		return bad(s, STACK_tcp_header_bad);
	unsigned hdr = (t[12] >> 4) * 4u;
	if (hdr < TCP_LEN || hdr > len)
		return bad(s, STACK_tcp_header_bad);
	if (!(s->f->flags & FRAME_RX_L4_CSUM_GOOD)) {
		const uint8_t *l3 = s->f->data + pkt->l3_off;
		uint64_t sum = pkt->v4 ? csum_pseudo4(l3 + 12, l3 + 16, PROTO_TCP, len)
				       : csum_pseudo6(l3 + 8, l3 + 24, PROTO_TCP, len);
		sum = csum_words(sum, t, TCP_LEN / 4);
		if (hdr > TCP_LEN)
			sum = csum_words(sum, t + TCP_LEN, (hdr - TCP_LEN) / 4);
		if (len > hdr)
			sum = csum_add(sum, t + hdr, len - hdr);
		if (csum_fold(sum) != 0xffff)
			return bad(s, STACK_tcp_checksum_bad);
	}
	pkt->src_port = rd16(t);
	pkt->dst_port = rd16(t + 2);
	pkt->seq = rd32(t + 4);
	pkt->ack = rd32(t + 8);
	pkt->flags = t[13];
	pkt->window = rd16(t + 14);
	if (__builtin_expect(!pkt->src_port || !pkt->dst_port, 0))
		return bad(s, STACK_tcp_port_zero);
	if (hdr == TCP_LEN)
		options_none(&pkt->opt);
	else if (!packet_parse_options(t + TCP_LEN, hdr - TCP_LEN, &pkt->opt))
		return bad(s, STACK_tcp_options_bad);
	pkt->payload = t + hdr;
	pkt->payload_len = (uint16_t)(len - hdr);
	return PACKET_TCP;
}

static bool src_ok4(uint32_t a)
{
	return a >> 24 != 0 && a >> 24 != 127 && a >> 28 < 14;
}

/* What both families have in common once src and dst are known. */
static inline enum packet_kind parse_addresses(
    struct parse *s, struct packet *pkt, bool multicast_dst)
{
	uint8_t index;

	pkt->own_index = 0;
	pkt->dst_own = route_own(&s->ip->routes, &pkt->dst, &pkt->own_index) == OWN_ADDR;
	enum own_kind src = route_own(&s->ip->routes, &pkt->src, &index);
	if (__builtin_expect(src != OWN_NONE, 0)) {
		/* Ours as source from outside: a land attack, a spoof, or (ND) a conflict. */
		if (pkt->proto != PROTO_ICMP6 || src == OWN_BROADCAST)
			return bad(
			    s, ip_addr_eq(&pkt->src, &pkt->dst) ? STACK_ip_land : STACK_ip_src_bad);
	}
	if (multicast_dst && pkt->proto != PROTO_ICMP6)
		return bad(s, STACK_ip_dst_multicast);
	return PACKET_TCP;
}

static inline __attribute__((always_inline)) enum packet_kind parse_ip4_of(
    struct parse *s, struct packet *pkt, unsigned l3_bytes, unsigned hdr)
{
	const struct frame *f = s->f;
	const uint8_t *p = f->data + pkt->l3_off;
	unsigned total = rd16(p + 2);

	if (hdr < IP4_LEN || total < hdr || total > l3_bytes)
		return bad(s, STACK_ip4_header_bad);
	if (!(f->flags & FRAME_RX_IP_CSUM_GOOD) && csum_fold(csum_words(0, p, hdr / 4)) != 0xffff)
		return bad(s, STACK_ip4_checksum_bad);
	if (__builtin_expect(hdr > IP4_LEN, 0)) {
		/* Source routes steer answers past every route of ours (RFC 7126 4.3). */
		for (unsigned i = IP4_LEN; i < hdr && p[i] != 0;) {
			if (p[i] == 1) {
				i++;
				continue;
			}
			if (p[i] == 131 || p[i] == 137)
				return bad(s, STACK_ip4_source_route);
			if (i + 1 >= hdr || p[i + 1] < 2 || i + p[i + 1] > hdr)
				return bad(s, STACK_ip4_header_bad);
			i += p[i + 1];
		}
	}
	uint32_t src = rd32(p + 12), dst = rd32(p + 16);
	pkt->src = ip_addr_from_v4(p + 12);
	pkt->dst = ip_addr_from_v4(p + 16);
	pkt->v4 = true;
	pkt->tos = p[1];
	pkt->ttl = p[8];
	pkt->proto = p[9];
	pkt->l3_len = (uint16_t)total;
	pkt->l4_off = (uint16_t)(pkt->l3_off + hdr);
	pkt->payload = p + hdr;
	pkt->payload_len = (uint16_t)(total - hdr);
	if (!src_ok4(src))
		return bad(s, STACK_ip_src_bad);
	if (parse_addresses(s, pkt, false) == PACKET_BAD)
		return PACKET_BAD;
	if (!pkt->dst_own && (dst >> 28 == 14 || dst == 0xffffffffu || dst == 0 || dst >> 24 == 127))
		return bad(s, STACK_ip_dst_multicast);
	if (__builtin_expect(rd16(p + 6) & (IP4_MF | IP4_OFFSET_MASK), 0))
		return PACKET_FRAGMENT;
	return PACKET_TCP;
}

static inline enum packet_kind parse_ip4(struct parse *s, struct packet *pkt, unsigned l3_bytes)
{
	const uint8_t *p = s->f->data + pkt->l3_off;

	if (l3_bytes < IP4_LEN || p[0] >> 4 != 4)
		return bad(s, STACK_ip4_header_bad);
	/* Nearly always without options: then lengths and sums are constants. */
	if (__builtin_expect(p[0] == 0x45, 1))
		return parse_ip4_of(s, pkt, l3_bytes, IP4_LEN);
	return parse_ip4_of(s, pkt, l3_bytes, (p[0] & 15) * 4u);
}

/* Options of a hop-by-hop or destination header: unknown ones whose type says "skip" are skipped
 * (RFC 8200 4.2); the rest drops the packet. We do not answer those with ICMP: a stranger would
 * choose whom it hits. */
static bool ext_options_ok(const uint8_t *p, unsigned len)
{
	for (unsigned i = 0; i < len;) {
		if (p[i] == 0) { /* Pad1 */
			i++;
			continue;
		}
		if (i + 2 > len || i + 2 + p[i + 1] > len)
			return false;
		if (p[i] >> 6 != 0)
			return false;
		i += 2u + p[i + 1];
	}
	return true;
}

static enum packet_kind parse_ip6(struct parse *s, struct packet *pkt, unsigned l3_bytes)
{
	const uint8_t *p = s->f->data + pkt->l3_off;

	if (l3_bytes < IP6_LEN || p[0] >> 4 != 6 || rd16(p + 4) > l3_bytes - IP6_LEN)
		return bad(s, STACK_ip6_header_bad);
	unsigned total = IP6_LEN + rd16(p + 4), at = IP6_LEN;
	pkt->src = ip_addr_from_v6(p + 8);
	pkt->dst = ip_addr_from_v6(p + 24);
	pkt->v4 = false;
	pkt->tos = (uint8_t)(rd16(p) >> 4);
	pkt->ttl = p[7];
	pkt->l3_len = (uint16_t)total;

	static const struct ip_addr unspecified;
	static const struct ip_addr loopback = { { [15] = 1 } };
	/* Unspecified, loopback and mapped addresses all begin with eight zero bytes. */
	bool src_odd = ld64(p + 8) == 0, dst_odd = ld64(p + 24) == 0;
	bool no_src = src_odd && ip_addr_eq(&pkt->src, &unspecified);
	uint8_t next = p[6];
	bool fragment = false, no_reassembly = false;

	for (unsigned n = 0;; n++) {
		if (__builtin_expect(next == PROTO_TCP || next == PROTO_ICMP6, 1))
			break;
		if (next != PROTO_HOPOPT && next != PROTO_DSTOPT && next != PROTO_ROUTING &&
		    next != PROTO_FRAGMENT)
			break;
		if (n == IP6_EXT_MAX_HEADERS || total - at < 8)
			return bad(s, STACK_ip6_ext_bad);
		const uint8_t *e = p + at;
		unsigned len = next == PROTO_FRAGMENT ? 8 : (e[1] + 1u) * 8;
		if (len > total - at || at + len - IP6_LEN > IP6_EXT_MAX_BYTES)
			return bad(s, STACK_ip6_ext_bad);
		if (next == PROTO_HOPOPT && n != 0)
			return bad(s, STACK_ip6_ext_bad); /* first only (RFC 8200 4.1) */
		if (next == PROTO_ROUTING) {
			if (e[2] == 0)
				return bad(s, STACK_ip6_rh0); /* RFC 5095 */
			if (e[3] != 0)
				return bad(s, STACK_ip6_ext_bad);
		} else if (next == PROTO_FRAGMENT) {
			uint16_t off = rd16(e + 2);
			if (off & 0xfff9) {
				next = e[0];
				at += 8;
				fragment = true;
				break;
			}
			no_reassembly = true; /* an atomic fragment: a whole packet (RFC 6946) */
		} else if (!ext_options_ok(e + 2, len - 2)) {
			return bad(s, STACK_ip6_ext_bad);
		}
		next = e[0];
		at += len;
	}
	pkt->proto = next;
	pkt->l4_off = (uint16_t)(pkt->l3_off + at);
	pkt->payload = p + at;
	pkt->payload_len = (uint16_t)(total - at);
	if (__builtin_expect(p[8] == 0xff || src_odd, 0)) {
		if (p[8] == 0xff || ip_addr_eq(&pkt->src, &loopback) || ip_addr_is_v4(&pkt->src) ||
		    (no_src && next != PROTO_ICMP6))
			return bad(s, STACK_ip_src_bad);
	}
	if (__builtin_expect(dst_odd, 0)) {
		if (ip_addr_eq(&pkt->dst, &loopback) || ip_addr_is_v4(&pkt->dst) ||
		    ip_addr_eq(&pkt->dst, &unspecified))
			return bad(s, STACK_ip_dst_multicast);
	}
	if (parse_addresses(s, pkt, p[24] == 0xff) == PACKET_BAD)
		return PACKET_BAD;
	if (no_reassembly && next == PROTO_ICMP6)
		return bad(s, STACK_frag_not_tcp); /* no ND with a fragment header (RFC 6980 5) */
	return fragment ? PACKET_FRAGMENT : PACKET_TCP;
}

static unsigned netif_of(const struct ip_half *ip, unsigned port, unsigned vlan)
{
	if (vlan == 0)
		return ip->untagged[port];
	for (unsigned i = 0; i < ip->n_netifs; i++) {
		if (ip->netifs[i].port == port && ip->netifs[i].vlan == vlan)
			return i;
	}
	return 0xff;
}

enum packet_kind packet_parse(const struct ip_half *ip, struct frame *f, struct packet *ret_packet,
    enum stack_counter *ret_reason)
{
	struct packet *pkt = ret_packet;
	struct parse s = { ip, f, STACK_rx_short };
	enum packet_kind kind;
	unsigned off = ETH_LEN, vlan = f->flags & FRAME_VLAN ? f->vlan & 0xfff : 0;

	if (__builtin_expect(f->len < ETH_LEN || f->len > f->room || f->port >= ip->n_ports, 0)) {
		kind = bad(&s, STACK_rx_short);
		goto out;
	}
	const uint8_t *p = f->data;
	unsigned type = rd16(p + 12);
	if (type == ETH_TYPE_VLAN) {
		if (f->len < ETH_LEN + ETH_TAG_LEN || f->flags & FRAME_VLAN) {
			kind = bad(&s, STACK_rx_vlan_unknown);
			goto out;
		}
		vlan = rd16(p + 14) & 0xfff; /* 0: a priority tag, the untagged netif */
		type = rd16(p + 16);
		off += ETH_TAG_LEN;
	}
	unsigned netif = netif_of(ip, f->port, vlan);
	if (__builtin_expect(netif == 0xff, 0)) {
		kind = bad(&s, STACK_rx_vlan_unknown);
		goto out;
	}
	bool l2_group = p[0] & 1;
	if (!l2_group && (ld32(p) != ld32(ip->netifs[netif].mac) ||
			     ld16(p + 4) != ld16(ip->netifs[netif].mac + 4))) {
		kind = bad(&s, STACK_rx_other_mac);
		goto out;
	}
	if (p[6] & 1) { /* no station has a group address */
		kind = bad(&s, STACK_rx_other_mac);
		goto out;
	}
	if (f->flags & FRAME_RX_CSUM_BAD) {
		kind = bad(&s, STACK_rx_csum_bad);
		goto out;
	}
	pkt->frame = f;
	pkt->netif = (uint8_t)netif;
	pkt->flow_hash = 0;
	pkt->no_flow = false;
	pkt->l3_off = (uint8_t)off;
	unsigned l3_bytes = f->len - off;
	if (type == ETH_TYPE_IP4)
		kind = parse_ip4(&s, pkt, l3_bytes);
	else if (type == ETH_TYPE_IP6)
		kind = parse_ip6(&s, pkt, l3_bytes);
	else if (type == ETH_TYPE_ARP)
		return PACKET_ARP;
	else
		kind = bad(&s, STACK_rx_ethertype_unknown);
	if (kind == PACKET_BAD)
		goto out;
	if (kind == PACKET_FRAGMENT)
		return kind;
	if (pkt->proto == PROTO_TCP) {
		/* A unicast packet in a broadcast frame is no one's (RFC 1122 3.3.6). */
		kind = l2_group ? bad(&s, STACK_ip_dst_multicast) : parse_tcp(&s, pkt);
	} else if (pkt->proto == (pkt->v4 ? PROTO_ICMP : PROTO_ICMP6) &&
		   pkt->payload_len >= ICMP_LEN) {
		uint64_t sum =
		    pkt->v4 ? 0
			    : csum_pseudo6(pkt->src.b, pkt->dst.b, PROTO_ICMP6, pkt->payload_len);
		if (csum_fold(csum_add(sum, pkt->payload, pkt->payload_len)) != 0xffff)
			kind = bad(&s, STACK_icmp_checksum_bad);
		else
			kind = pkt->v4 ? PACKET_ICMP4 : PACKET_ICMP6;
	} else {
		kind = bad(&s, STACK_ip_proto_unknown);
	}
out:
	if (kind == PACKET_BAD)
		*ret_reason = s.reason;
	return kind;
}
