/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the IP half brings to connections: look-up of a burst, segments of flows and of TIME-WAIT,
 * connections born of a cookie or a ring entry, ICMP errors, the way into the tarpit.
 */
#include "conn.h"
#include "cc.h"
#include "rtt.h"
#include "rack.h"
#include <errno.h>

/* ---- look-up ---- */

static bool key_eq(const struct flow_key *a, const struct flow_key *b)
{
	return a->hash == b->hash && a->local_port == b->local_port &&
	       a->remote_port == b->remote_port && ip_addr_eq(&a->remote, &b->remote) &&
	       ip_addr_eq(&a->local, &b->local);
}

struct tcp_conn *conn_find(
    struct tcp_half *half, const struct flow_key *key, struct tw_entry **ret_tw)
{
	struct flow_cursor cursor = { 0 };
	uint32_t i;

	*ret_tw = NULL;
	while ((i = flow_next(&half->flows, key->hash, &cursor)) != 0) {
		if (i & FLOW_TIMEWAIT) {
			struct tw_entry *e = &half->tw.entries[i & ~FLOW_TIMEWAIT];

			if (key_eq(&e->key, key)) {
				*ret_tw = e;
				return NULL;
			}
		} else if (key_eq(&half->conns[i].key, key)) {
			return &half->conns[i];
		}
	}
	return NULL;
}

static uint32_t packet_hash(const struct tcp_half *half, const struct packet *pkt)
{
	return flow_hash(&half->flows, &pkt->dst, pkt->dst_port, &pkt->src, pkt->src_port);
}

static struct flow_key packet_key(const struct tcp_half *half, const struct packet *pkt)
{
	return (struct flow_key){
		.local = pkt->dst,
		.remote = pkt->src,
		.local_port = pkt->dst_port,
		.remote_port = pkt->src_port,
		.hash = pkt->flow_hash ? pkt->flow_hash : packet_hash(half, pkt),
	};
}

void conn_prefetch(const struct stack *st, struct packet *const *pkts, unsigned n)
{
	const struct tcp_half *half = st->tcp;

	for (unsigned i = 0; i < n; i++) {
		pkts[i]->flow_hash = packet_hash(half, pkts[i]);
		flow_prefetch(&half->flows, pkts[i]->flow_hash);
	}
	for (unsigned i = 0; i < n; i++) {
		struct flow_cursor cursor = { 0 };
		uint32_t index;

		pkts[i]->no_flow = !flow_may_hold(&half->flows, pkts[i]->flow_hash);
		if (pkts[i]->no_flow)
			continue;
		index = flow_next(&half->flows, pkts[i]->flow_hash, &cursor);
		if (index == 0 || index & FLOW_TIMEWAIT)
			continue;
		const uint8_t *line = (const uint8_t *)&half->conns[index];

		for (unsigned at = 0; at < sizeof(struct tcp_conn); at += 64)
			__builtin_prefetch(line + at, 1);
	}
}

/* ---- from the IP half ---- */

/* A segment in TIME-WAIT: acknowledged if it needs that; a FIN seen again restarts the wait. */
static void timewait_arrives(
    struct stack *st, struct tw_entry *e, const struct packet *pkt, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	struct ip_path path;
	struct tcp_segment seg = {
		.src = &e->key.local,
		.dst = &e->key.remote,
		.src_port = e->key.local_port,
		.dst_port = e->key.remote_port,
		.seq = e->snd_nxt,
		.ack = e->rcv_nxt,
		.window = e->window,
		.flags = TCP_ACK,
	};
	bool known_fin = pkt->flags & TCP_FIN && pkt->seq + pkt->payload_len + 1 == e->rcv_nxt;
	uint32_t gap = tick_after_ms(half, CHALLENGE_MS) - half->tick;

	if (pkt->flags & TCP_RST) {
		count(st, STACK_timewait_resets_ignored);
		return;
	}
	if (e->timestamps && !pkt->opt.has_ts)
		return;
	if (pkt->payload_len == 0 && !(pkt->flags & (TCP_SYN | TCP_FIN)) &&
	    pkt->seq == e->rcv_nxt && pkt->ack == e->snd_nxt)
		return; /* nothing to say to a well-formed last ACK */
	if (known_fin)
		timewait_restart(&half->tw, e, half->now_ns);
	else if (e->last_ack_tick && half->tick - e->last_ack_tick < gap)
		return;
	e->last_ack_tick = half->tick ? half->tick : 1;
	if (e->timestamps) {
		seg.opt.has_ts = true;
		seg.opt.ts_val = ts_clock(half->now_ns) + e->ts_offset;
		seg.opt.ts_ecr = e->ts_recent;
	}
	if (ip_path_resolve(st, &e->key.remote, half->now_ns, &path) == 0)
		(void)ip_emit_tcp(st, &path, &seg, half->now_ns, out);
}

/* RFC 6191 with RFC 9293 3.6.1 for peers without timestamps. */
static bool may_reuse(const struct tw_entry *e, const struct packet *syn)
{
	if ((syn->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	if (e->timestamps && syn->opt.has_ts) {
		if (seq_lt(e->ts_recent, syn->opt.ts_val))
			return true;
		return e->ts_recent == syn->opt.ts_val && seq_lt(e->rcv_nxt, syn->seq);
	}
	return seq_lt(e->rcv_nxt, syn->seq);
}

bool conn_timewait_reuse(struct stack *st, const struct packet *syn, uint64_t now_ns)
{
	struct tcp_half *half = st->tcp;
	struct flow_key key;
	struct tw_entry *e;

	half_clock(half, now_ns);
	if (half->tw.used == 0)
		return false;
	key = packet_key(half, syn);
	conn_find(half, &key, &e);
	if (!e || !may_reuse(e, syn))
		return false;
	timewait_remove(&half->tw, &half->flows, e);
	count(st, STACK_timewait_reused);
	return true;
}

bool conn_input(struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	struct flow_key key = packet_key(half, pkt);
	struct tw_entry *e;
	struct tcp_conn *c;

	half_clock(half, now_ns);
	c = conn_find(half, &key, &e);
	if (c) {
		tcp_segment_arrives(st, c, pkt, out);
		return true;
	}
	if (!e)
		return false;
	if (may_reuse(e, pkt)) {
		timewait_remove(&half->tw, &half->flows, e);
		count(st, STACK_timewait_reused);
		return false;
	}
	timewait_arrives(st, e, pkt, out);
	return true;
}

int conn_from_cookie(struct stack *st, const struct packet *pkt, const struct conn_seed *seed,
    uint64_t now_ns, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	struct flow_key key = packet_key(half, pkt);
	struct ip_path path;
	struct tcp_conn *c;
	int ret;

	half_clock(half, now_ns);
	ret = ip_path_resolve(st, &pkt->src, now_ns, &path);
	if (ret < 0)
		return ret;
	c = conn_new(st, &key, false);
	if (!c)
		return -ENOBUFS;
	c->path = path;
	c->state = TCP_ESTABLISHED;
	c->flags |= (seed->timestamps ? CF_TS : 0) | (seed->sack ? CF_SACK : 0);
	c->snd_una = c->snd_nxt = c->recover = c->fack = seed->iss + 1;
	c->rcv_nxt = c->last_ack_sent = seed->irs + 1;
	c->rcv_adv = c->rcv_nxt + min_u32(st->config.rcv_buf, 65535);
	c->snd_wl1 = pkt->seq - 1;
	c->peer_mss = seed->peer_mss;
	if (seed->has_wscale) {
		c->snd_wscale = seed->snd_wscale;
		c->rcv_wscale = seed->rcv_wscale;
	}
	c->ts_offset = seed->ts_offset;
	c->ts_recent = pkt->opt.ts_val;
	c->ts_recent_tick = half->tick;
	c->listener = seed->listener;
	c->syn_ttl = pkt->ttl;
	conn_set_mss(c);
	cc_init(c);
	/* Not if the SYN-ACK may have been sent twice (Karn): it is repeated after a second. */
	if (seed->syn_ns != 0 && now_ns - seed->syn_ns < 900000000u)
		rtt_sample(c, (uint32_t)((now_ns - seed->syn_ns) / 1000));
	count(st, STACK_tcp_accepted);
	conn_tell(st, c, TCP_EV_OPEN);
	tcp_segment_arrives(st, c, pkt, out);
	return 0;
}

static void path_mtu_lowered(struct stack *st, struct tcp_conn *c, uint16_t mtu)
{
	struct tcp_half *half = st->tcp;
	uint16_t least = c->flags & CF_V4 ? MTU_FLOOR_V4 : MTU_FLOOR_V6;

	if (mtu < least)
		mtu = least;
	if (mtu >= c->path.mtu)
		return;
	c->path.mtu = mtu;
	conn_set_mss(c);
	count(st, STACK_path_mtu_lowered);
	/* What was too big goes again, cut smaller; that it was lost is no sign of congestion. */
	for (uint32_t i = c->tx_head; i != c->tx_head + c->tx_count; i++) {
		struct tx_rec *r = sendq_rec(half, c, i);

		if (!r->sacked && r->len > c->mss)
			rec_mark_lost(c, r, i);
	}
	conn_want_output(st, c);
}

bool conn_icmp(struct stack *st, const struct ip_addr *local, uint16_t local_port,
    const struct ip_addr *remote, uint16_t remote_port, uint32_t seq, enum icmp_event ev,
    uint16_t mtu, uint64_t now_ns)
{
	struct tcp_half *half = st->tcp;
	struct flow_key key = { *local, *remote, local_port, remote_port,
		flow_hash(&half->flows, local, local_port, remote, remote_port) };
	struct tw_entry *e;
	struct tcp_conn *c;

	half_clock(half, now_ns);
	c = conn_find(half, &key, &e);
	if (!c)
		return false;
	if (seq_lt(seq, c->snd_una) || !seq_lt(seq, c->snd_nxt)) { /* RFC 5927 4.1 */
		count(st, STACK_icmp_not_outstanding);
		return false;
	}
	if (ev == ICMP_TOO_BIG) {
		path_mtu_lowered(st, c, mtu);
	} else if (ev == ICMP_HARD && c->state == TCP_SYN_SENT) {
		count(st, STACK_icmp_connect_refused);
		conn_end(st, c, TCP_EV_RESET);
	} else {
		count(st, STACK_icmp_soft); /* RFC 5461: the time-out decides */
	}
	return true;
}

int conn_shrink(struct stack *st, struct tcp_conn *c, struct conn_remains *ret_remains)
{
	if (c->state != TCP_ESTABLISHED || c->tx_count > 0 || c->unsent > 0 || c->unread > 0 ||
	    c->ooo_head || c->flags & CF_FIN_QUEUED)
		return -EAGAIN;
	*ret_remains = (struct conn_remains){
		.local = c->key.local,
		.remote = c->key.remote,
		.local_port = c->key.local_port,
		.remote_port = c->key.remote_port,
		.snd_nxt = c->snd_nxt,
		.rcv_nxt = c->rcv_nxt,
		.snd_wnd = c->snd_wnd,
		.timestamps = c->flags & CF_TS,
		.ts_offset = c->ts_offset,
		.ts_recent = c->ts_recent,
	};
	conn_free(st, c);
	return 0;
}
