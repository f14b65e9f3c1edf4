/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which worker owns a frame, where ports do not know: clients by their source address (IPv6: by its
 * /64), so that connections, rates and cached facts of one source meet in one worker; what comes
 * back from backends by the local port, which each worker takes from its own residue class, or by
 * the local address where each worker has one. ARP, ND and MLD go to all: each worker keeps its own
 * neighbours, and which of them answers is its own affair (neigh_follower). An ICMP error goes to the
 * worker that owns the flow it quotes, read the other way round: what we sent from is what answers
 * come to. Rejected: copies to all, which let a stranger's forged errors cost every worker.
 *
 * Fragments behind the first carry no ports and follow the source address: right for clients, lost
 * for backends that fragment (mail servers on a local network do not; TCP's MSS sees to it).
 */
#include "live.h"

#include <string.h>

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_VLAN = 0x8100,
	TYPE_IPV6 = 0x86dd,
	PROTO_HOPOPT = 0,
	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_ICMPV6 = 58,
	IP6_HEADER = 40,
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Finalizer of a 64-bit mix: every input bit reaches every output bit. */
static uint32_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return (uint32_t)(x >> 32);
}

static unsigned by_source(const struct live_spread *s, uint64_t source)
{
	return (unsigned)((uint64_t)mix(source) * s->n_workers >> 32);
}

static int owner_of_address(const struct live_spread *s, const struct ip_addr *dst)
{
	for (unsigned i = 0; i < s->n_owned; i++) {
		if (ip_addr_eq(&s->owned[i].addr, dst))
			return (int)s->owned[i].worker;
	}
	return -1;
}

static unsigned owner(const struct live_spread *s, const struct frame *f, unsigned self,
    const struct ip_addr *dst, uint64_t source, uint16_t dst_port)
{
	int own = s->n_owned ? owner_of_address(s, dst) : -1;

	if (own >= 0)
		return (unsigned)own;
	if (s->by_port[dst_port] != LIVE_NOT_OURS)
		return s->by_port[dst_port];
	return s->port_is_trusted[f->port] ? self : by_source(s, source);
}

/* The owner of the TCP flow that an error quotes, or of its sender where it quotes none. */
static unsigned owner_of_quoted(const struct live_spread *s, const struct frame *f,
    const uint8_t *q, unsigned len, bool v4, uint64_t sender)
{
	unsigned header = IP6_HEADER, next;
	struct ip_addr local;
	uint64_t remote = 0;
	int own;

	if (len < (v4 ? 20u : IP6_HEADER))
		return by_source(s, sender);
	if (v4) {
		header = (q[0] & 15u) * 4;
		next = q[9];
		local = ip_addr_from_v4(q + 12);
		memcpy(&remote, q + 16, 4);
	} else {
		next = q[6];
		local = ip_addr_from_v6(q + 8);
		memcpy(&remote, q + 24, 8);
	}
	if (next != PROTO_TCP || len < header + 2u) /* we send no extension headers */
		return by_source(s, sender);
	own = s->n_owned ? owner_of_address(s, &local) : -1;
	if (own >= 0)
		return (unsigned)own;
	uint16_t local_port = get16(q + header);
	if (s->by_port[local_port] != LIVE_NOT_OURS)
		return s->by_port[local_port];
	/* A port that spreads by itself does so by a hash that is not ours. */
	return s->port_is_trusted[f->port] ? LIVE_TO_ALL : by_source(s, remote);
}

/* Types of ICMP that quote a packet. */
static bool quotes(bool v4, unsigned type)
{
	return v4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

unsigned live_owner(const struct live_spread *s, const struct frame *f, unsigned self)
{
	unsigned at = 14, type;
	const uint8_t *p;
	uint64_t source = 0;

	if (f->len < 14 + 20)
		return self; /* the stack counts it as too short */
	type = get16(f->data + 12);
	if (type == TYPE_VLAN) {
		type = get16(f->data + 16);
		at = 18;
	}
	p = f->data + at;
	if (type == TYPE_ARP)
		return LIVE_TO_ALL;
	if (type == TYPE_IPV4 && f->len >= at + 20u) {
		unsigned header = (p[0] & 15u) * 4;
		bool later_fragment = (get16(p + 6) & 0x1fff) != 0;
		struct ip_addr dst;

		memcpy(&source, p + 12, 4);
		if (p[9] == PROTO_ICMP && !later_fragment && f->len >= at + header + 8u &&
		    quotes(true, p[header]))
			return owner_of_quoted(
			    s, f, p + header + 8, f->len - at - header - 8u, true, source);
		if (p[9] != PROTO_TCP || later_fragment || f->len < at + header + 4u)
			return by_source(s, source);
		dst = ip_addr_from_v4(p + 16);
		return owner(s, f, self, &dst, source, get16(p + header + 2));
	}
	if (type == TYPE_IPV6 && f->len >= at + 40u) {
		struct ip_addr dst;

		memcpy(&source, p + 8, 8);
		if (p[6] == PROTO_ICMPV6 && f->len >= at + IP6_HEADER + 8u && quotes(false, p[40]))
			return owner_of_quoted(
			    s, f, p + IP6_HEADER + 8, f->len - at - IP6_HEADER - 8u, false, source);
		if (p[6] == PROTO_ICMPV6 && f->len > at + 40u && p[40] != 128)
			return LIVE_TO_ALL; /* neighbour discovery; 128 is an echo request */
		if (p[6] == PROTO_HOPOPT && f->len > at + 40u && p[40] == PROTO_ICMPV6)
			return LIVE_TO_ALL; /* MLD, behind its router alert */
		if (p[6] != PROTO_TCP || f->len < at + 44u)
			return by_source(s, source);
		dst = ip_addr_from_v6(p + 24);
		return owner(s, f, self, &dst, source, get16(p + 40 + 2));
	}
	return self;
}

bool live_is_neighbour(const struct frame *f)
{
	unsigned at = 14, type;

	if (f->len < 14 + 28)
		return false;
	type = get16(f->data + 12);
	if (type == TYPE_VLAN) {
		type = get16(f->data + 16);
		at = 18;
	}
	if (type == TYPE_ARP)
		return true;
	/* router and neighbour solicitations and advertisements (RFC 4861) */
	return type == TYPE_IPV6 && f->len > at + 40u && f->data[at + 6] == PROTO_ICMPV6 &&
	       f->data[at + 40] >= 133 && f->data[at + 40] <= 136;
}

void live_spread_init(struct live_spread *s, const struct policy_host *host, unsigned n_workers)
{
	memset(s, 0, sizeof(*s));
	s->n_workers = n_workers;
	for (unsigned port = 0; port < 65536; port++)
		s->by_port[port] = port < LIVE_PORT_FIRST
				       ? (uint8_t)LIVE_NOT_OURS
				       : (uint8_t)((port - LIVE_PORT_FIRST) % n_workers);
	for (unsigned i = 0; i < host->n_addrs && i < STACK_MAX_ADDRS; i++) {
		const struct policy_ip *a = &host->addrs[i];

		if (!a->backends_only || a->worker < 0)
			continue;
		memcpy(s->owned[s->n_owned].addr.b, a->addr, 16);
		s->owned[s->n_owned++].worker = (unsigned)a->worker % n_workers;
	}
}
