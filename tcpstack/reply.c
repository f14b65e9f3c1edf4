/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers without state, written over the frame that asked.
 *
 * All headers are written anew from parsed values instead of being swapped in place: the request's
 * may have IP options, extension headers or another VLAN form, and 60 bytes of stores cost less
 * than the branches that would spare some of them. The checksum is a sum of the values at hand.
 */
#include "ip_half.h"
#include "checksum.h"

void reply_ts(struct reply *r, uint32_t ts_val, uint32_t ts_ecr)
{
	uint8_t head[4] = { TCP_OPT_NOP, TCP_OPT_NOP, TCP_OPT_TS, 10 };

	r->opts[0] = ld32(head);
	r->opts[1] = htobe32(ts_val);
	r->opts[2] = htobe32(ts_ecr);
	r->n_opts = 3;
}

static inline __attribute__((always_inline)) bool reply_write(struct stack *st,
    const struct packet *pkt, const struct reply *r, const struct reply_path *path,
    struct frame_out *out)
{
	struct frame *f = pkt->frame;

	if (__builtin_expect(out->n_tx >= out->cap_tx, 0)) {
		count(st, STACK_tx_out_full);
		out_drop(out, f);
		return false;
	}
	unsigned l4_hdr = TCP_LEN + r->n_opts * 4u, l4_len = l4_hdr + r->payload_len;
	unsigned len = st->ip->netifs[path->netif].hdr_len + (pkt->v4 ? IP4_LEN : IP6_LEN) + l4_len;
	if (__builtin_expect(len > f->room, 0)) {
		count(st, STACK_tx_no_frame);
		out_drop(out, f);
		return false;
	}
	/* Copied before it is changed, then changed in place: again no wide load over narrow stores. */
	struct frame *to_send = &out->tx[out->n_tx];
	*to_send = *f;
	f = to_send;
	uint8_t *l3 =
	    l2_write(st->ip, f, path->netif, path->mac, pkt->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	uint8_t *t = ip_write(l3, pkt->v4, &pkt->dst, &pkt->src, PROTO_TCP, l4_len, IP_TTL, true);
	uint32_t w[4] = {
		htobe32((uint32_t)pkt->dst_port << 16 | pkt->src_port),
		htobe32(r->seq),
		htobe32(r->ack),
		htobe32((l4_hdr / 4) << 28 | (uint32_t)r->flags << 16 | r->window),
	};
	uint64_t sum = r->payload_sum + w[0] + w[1] + w[2] + w[3];
	sum += pkt->v4 ? csum_pseudo4(pkt->src.b + 12, pkt->dst.b + 12, PROTO_TCP, l4_len)
		       : csum_pseudo6(pkt->src.b, pkt->dst.b, PROTO_TCP, l4_len);
	/* Word by word, as they were written: a wide load over fresh narrow stores stalls for 5 ns. */
	const uint32_t *o = r->opts;
	uint8_t *to = t + TCP_LEN;
	switch (r->n_opts) {
	case 6: sum += o[5]; memcpy(to + 20, o + 5, 4); /* fallthrough */
	case 5: sum += o[4]; memcpy(to + 16, o + 4, 4); /* fallthrough */
	case 4: sum += o[3]; memcpy(to + 12, o + 3, 4); /* fallthrough */
	case 3: sum += o[2]; memcpy(to + 8, o + 2, 4);  /* fallthrough */
	case 2: sum += o[1]; memcpy(to + 4, o + 1, 4);  /* fallthrough */
	case 1: sum += o[0]; memcpy(to, o, 4);          /* fallthrough */
	default: break;
	}
	for (unsigned i = 0; i < 4; i++)
		memcpy(t + 4 * i, &w[i], 4);
	st16(t + 16, csum_finish(sum));
	st16(t + 18, 0);
	if (r->payload_len)
		memcpy(t + l4_hdr, r->payload, r->payload_len);
	f->len = (uint16_t)len;
	out->n_tx++;
	return true;
}

/* The next hop is unresolved: the answer waits there (RFC 1122 2.3.2.2), its frame does not. */
static __attribute__((noinline, cold)) void reply_hold(struct stack *st, const struct packet *pkt,
    const struct reply *r, const struct reply_path *path, struct frame_out *out)
{
	struct frame held;
	struct frame_out aside = {
		.tx = &held, .drop = out->drop, .n_drop = out->n_drop, .cap_tx = 1
	};

	if (path->neigh != NEIGH_NONE && reply_write(st, pkt, r, path, &aside)) {
		unsigned l2 = st->ip->netifs[path->netif].hdr_len;
		neigh_hold(st, path->neigh, pkt->v4, held.data + l2, held.len - l2);
	} else if (aside.n_drop != out->n_drop) {
		out->n_drop = aside.n_drop; /* dropped by reply_write() */
		return;
	}
	out_drop(out, pkt->frame);
}

bool reply_tcp_via(struct stack *st, const struct packet *pkt, const struct reply_path *path,
    const struct reply *r, struct frame_out *out)
{
	if (__builtin_expect(path->resolved, 1))
		return reply_write(st, pkt, r, path, out);
	reply_hold(st, pkt, r, path, out);
	return false;
}

bool reply_tcp(struct stack *st, const struct packet *pkt, const struct reply *r, uint64_t now_ns,
    struct frame_out *out)
{
	struct reply_path path;

	reply_route(st, &pkt->src, pkt->v4, now_ns, &path);
	return reply_tcp_via(st, pkt, &path, r, out);
}

void reply_rst(struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	struct reply r = { .flags = TCP_RST };

	if (pkt->flags & TCP_RST) {
		out_drop(out, pkt->frame);
		return;
	}
	if (st->quiet) {
		count(st, STACK_rst_withheld);
		out_drop(out, pkt->frame);
		return;
	}
	if (!ratelimit_take(&st->ip->cap_rst, prefix_key(&pkt->src, pkt->v4), now_ns)) {
		count(st, STACK_rst_capped);
		out_drop(out, pkt->frame);
		return;
	}
	if (pkt->flags & TCP_ACK) {
		r.seq = pkt->ack;
	} else {
		r.flags |= TCP_ACK;
		r.ack = pkt->seq + pkt->payload_len + !!(pkt->flags & TCP_SYN) +
			!!(pkt->flags & TCP_FIN);
	}
	if (reply_tcp(st, pkt, &r, now_ns, out))
		count(st, STACK_rst_tx);
}
