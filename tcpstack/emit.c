/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way out: next hop, headers, checksums or offloads.
 *
 * Headers are written from values each time instead of being patched into a template kept per
 * connection: it costs about 10 ns more for a segment of data and saves 60 bytes in each
 * connection, and the stateless answers, which count by the million, are written over the frame
 * that asked for them (listen.c) anyway.
 */
#include "ip_half.h"
#include "checksum.h"

#include <assert.h>
#include <errno.h>

bool l3_frame_alloc(struct stack *st, unsigned netif, unsigned l3_len, const struct frame_out *out,
    struct frame *ret_frame)
{
	const struct netif_info *ni = &st->ip->netifs[netif];
	struct frame f = { 0 };

	if (out->n_tx >= out->cap_tx) {
		count(st, STACK_tx_out_full);
		return false;
	}
	if (!st->host.frame_alloc(st->host.arg, ni->port, &f)) {
		count(st, STACK_tx_no_frame);
		return false;
	}
	/* A pool whose buffers are smaller than the port's MTU is the shell's bug. */
	assert(f.room >= ni->hdr_len + l3_len);
	f.len = (uint16_t)(ni->hdr_len + l3_len);
	*ret_frame = f;
	return true;
}

int ip_path_resolve(
    struct stack *st, const struct ip_addr *dst, uint64_t now_ns, struct ip_path *ret_path)
{
	struct ip_half *ip = st->ip;
	bool v4 = ip_addr_is_v4(dst);
	const struct route_entry *r = route_find(&ip->routes, dst, v4);

	ip->now_ns = now_ns;
	if (!r)
		return -ENETUNREACH;
	uint16_t mtu = ip->netifs[r->netif].mtu, lowered = pmtu_get(st, dst);
	uint16_t slot = r->direct ? neigh_get(st, r->netif, dst, now_ns) : r->neigh;
	*ret_path = (struct ip_path){
		.netif = r->netif,
		.v4 = v4,
		.neigh = slot,
		.generation = ip->neigh.generation,
		.mtu = lowered && lowered < mtu ? lowered : mtu,
	};
	return 0;
}

/* Order and padding as everyone's stack writes them, so that receivers' fast paths match too. */
static unsigned tcp_options_write(uint8_t *p, const struct tcp_options *o, bool syn)
{
	uint8_t *start = p;

	if (syn) {
		if (o->mss) {
			wr16(p, TCP_OPT_MSS << 8 | 4);
			wr16(p + 2, o->mss);
			p += 4;
		}
		if (o->has_ts) {
			wr16(p,
			    o->sack_ok ? TCP_OPT_SACK_OK << 8 | 2 : TCP_OPT_NOP << 8 | TCP_OPT_NOP);
			wr16(p + 2, TCP_OPT_TS << 8 | 10);
			wr32(p + 4, o->ts_val);
			wr32(p + 8, o->ts_ecr);
			p += 12;
		} else if (o->sack_ok) {
			wr32(p, TCP_OPT_NOP << 24 | TCP_OPT_NOP << 16 | TCP_OPT_SACK_OK << 8 | 2);
			p += 4;
		}
		if (o->has_wscale) {
			wr32(p, (uint32_t)TCP_OPT_NOP << 24 | TCP_OPT_WSCALE << 16 | 3 << 8 |
				    o->wscale);
			p += 4;
		}
		return (unsigned)(p - start);
	}
	if (o->has_ts) {
		wr32(p, TCP_OPT_NOP << 24 | TCP_OPT_NOP << 16 | TCP_OPT_TS << 8 | 10);
		wr32(p + 4, o->ts_val);
		wr32(p + 8, o->ts_ecr);
		p += 12;
	}
	unsigned n = o->n_sack;
	if (n > (o->has_ts ? 3u : 4u))
		n = o->has_ts ? 3 : 4;
	if (n) {
		wr32(p, (uint32_t)TCP_OPT_NOP << 24 | TCP_OPT_NOP << 16 | TCP_OPT_SACK << 8 |
			    (2 + 8 * n));
		p += 4;
		for (unsigned i = 0; i < n; i++, p += 8) {
			wr32(p, o->sack[i].start);
			wr32(p + 4, o->sack[i].end);
		}
	}
	return (unsigned)(p - start);
}

enum emit_status ip_emit_tcp(struct stack *st, struct ip_path *path, const struct tcp_segment *seg,
    uint64_t now_ns, struct frame_out *out)
{
	struct ip_half *ip = st->ip;

	if (path->generation != ip->neigh.generation || path->neigh == NEIGH_NONE) {
		if (ip_path_resolve(st, seg->dst, now_ns, path) < 0) {
			count(st, STACK_tx_no_route);
			return EMIT_NO_ROUTE;
		}
		if (path->neigh == NEIGH_NONE) {
			count(st, STACK_tx_no_neigh);
			return EMIT_NO_NEIGH;
		}
	}
	struct neigh_entry *e = &ip->neigh.entries[path->neigh];
	neigh_used(&ip->neigh, e, now_ns);
	if (!neigh_usable(e)) {
		count(st, STACK_tx_no_neigh);
		return EMIT_NO_NEIGH;
	}
	const struct netif_info *ni = &ip->netifs[path->netif];
	uint8_t opts[40];
	unsigned opt_len = tcp_options_write(opts, &seg->opt, seg->flags & TCP_SYN);
	unsigned payload = 0;
	for (unsigned i = 0; i < seg->n_pieces; i++)
		payload += seg->pieces[i].len;
	unsigned l4_hdr = TCP_LEN + opt_len, l4_len = l4_hdr + payload;
	unsigned l3_hdr = path->v4 ? IP4_LEN : IP6_LEN;

	struct frame f;
	if (!l3_frame_alloc(st, path->netif, l3_hdr + l4_len, out, &f))
		return EMIT_NO_FRAME;
	uint8_t *l3 = l2_write(ip, &f, path->netif, e->mac, path->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	/* A path MTU at the floor may hide a narrower link: let routers cut there (pmtu.c). */
	bool df = path->mtu > PMTU_FLOOR4;
	uint8_t *t = ip_write(l3, path->v4, seg->src, seg->dst, PROTO_TCP, l4_len, IP_TTL, df);
	wr16(t, seg->src_port);
	wr16(t + 2, seg->dst_port);
	wr32(t + 4, seg->seq);
	wr32(t + 8, seg->flags & TCP_ACK ? seg->ack : 0);
	wr32(t + 12, (l4_hdr / 4) << 28 | (uint32_t)seg->flags << 16 | seg->window);
	wr32(t + 16, 0);
	memcpy(t + TCP_LEN, opts, opt_len);
	uint8_t *p = t + l4_hdr;
	for (unsigned i = 0; i < seg->n_pieces; i++) {
		memcpy(p, seg->pieces[i].p, seg->pieces[i].len);
		p += seg->pieces[i].len;
	}

	const uint8_t *src = seg->src->b + (path->v4 ? 12 : 0),
		      *dst = seg->dst->b + (path->v4 ? 12 : 0);
	uint64_t sum = path->v4 ? csum_pseudo4(src, dst, PROTO_TCP, l4_len)
				: csum_pseudo6(src, dst, PROTO_TCP, l4_len);
	/* Short segments are cheaper summed here than described to the port. */
	if (payload >= 256 && ni->tx_caps & FRAME_TX_TCP_CSUM) {
		st16(t + 16, csum_fold(sum));
		f.flags |= FRAME_TX_TCP_CSUM;
		f.l2_len = (uint8_t)(l3 - f.data);
		f.l3_len = (uint8_t)l3_hdr;
		f.l4_len = (uint8_t)l4_hdr;
	} else {
		st16(t + 16, csum_finish(csum_add(sum, t, l4_len)));
	}
	out->tx[out->n_tx++] = f;
	return EMIT_SENT;
}
