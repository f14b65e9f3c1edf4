/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A burst, sorted by kind, each kind dealt with together: all frames parsed (the next ones being
 * fetched meanwhile), then SYNs in bulk, then connections, then what belongs to none.
 *
 * Segments of one flow keep their order save that a SYN overtakes the flow's older segments of the
 * same burst; it then meets a connection and is challenged, as it would be on a reordering path.
 */
#include "ip_half.h"

enum {
	INPUT_BURST = SIPHASH_LANES, /* a hash each in one call */
	FETCH_AHEAD = 4,
};

static void not_tcp(struct stack *st, struct packet *pkt, enum packet_kind kind, uint64_t now_ns,
    struct frame_out *out)
{
	switch (kind) {
	case PACKET_ARP: neigh_arp_input(st, pkt, now_ns, out); return;
	case PACKET_ICMP6:
		if (pkt->payload[0] >= 133 && pkt->payload[0] <= 137) {
			neigh_nd_input(st, pkt, now_ns, out);
			return;
		}
		if ((pkt->payload[0] >= MLD_QUERY && pkt->payload[0] <= MLD1_DONE) ||
		    pkt->payload[0] == MLD2_REPORT) {
			mld_input(st, pkt, now_ns, out);
			return;
		}
		icmp_input(st, pkt, now_ns, out);
		return;
	case PACKET_ICMP4: icmp_input(st, pkt, now_ns, out); return;
	case PACKET_BAD:
	case PACKET_FRAGMENT:
	case PACKET_TCP: break;
	}
	out_drop(out, pkt->frame);
}

static void burst(
    struct stack *st, struct frame *frames, unsigned n, uint64_t now_ns, struct frame_out *out)
{
	struct packet pkts[INPUT_BURST];
	struct packet *syns[INPUT_BURST], *others[INPUT_BURST], *unknown[INPUT_BURST];
	unsigned n_syns = 0, n_others = 0, n_known = 0, n_unknown = 0;
	struct others nobodys;

	for (unsigned i = 0; i < n && i < FETCH_AHEAD; i++)
		__builtin_prefetch(frames[i].data);
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = &pkts[i];
		enum stack_counter reason = STACK_rx_short;
		if (i + FETCH_AHEAD < n)
			__builtin_prefetch(frames[i + FETCH_AHEAD].data);
		enum packet_kind kind = packet_parse(st->ip, &frames[i], p, &reason);
		if (__builtin_expect(kind == PACKET_FRAGMENT, 0)) {
			if (!frag_input(st, p, now_ns)) {
				out_drop(out, &frames[i]);
				continue;
			}
			kind = packet_parse(st->ip, &frames[i], p, &reason);
		}
		if (__builtin_expect(kind == PACKET_TCP, 1)) {
			if ((p->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN)
				syns[n_syns++] = p;
			else
				others[n_others++] = p;
		} else if (kind == PACKET_BAD) {
			count(st, reason);
			out_drop(out, &frames[i]);
		} else {
			not_tcp(st, p, kind, now_ns, out);
		}
	}

	/* With no connection at all (a flood, a benchmark of refusals) nothing is looked up. */
	struct stack_usage usage = { 0 };
	tcp_half_usage(st->tcp, &usage);
	bool conns = usage.conns || usage.timewait;
	if (conns)
		conn_prefetch(st, others, n_others);
	for (unsigned i = 0; i < n_others; i++) {
		if (conns && !others[i]->no_flow)
			others[n_known++] = others[i];
		else
			unknown[n_unknown++] = others[i];
	}
	nobodys.n = 0;
	if (n_unknown)
		listen_others_begin(st, &nobodys, unknown, n_unknown, now_ns, out);
	if (n_syns)
		listen_syns(st, syns, n_syns, conns, now_ns, out);
	n_unknown = 0;
	for (unsigned i = 0; i < n_known; i++) {
		if (conn_input(st, others[i], now_ns, out))
			out_drop(out, others[i]->frame);
		else
			unknown[n_unknown++] = others[i];
	}
	if (n_unknown)
		listen_others_begin(st, &nobodys, unknown, n_unknown, now_ns, out);
	if (nobodys.n)
		listen_others_end(st, &nobodys, now_ns, out);
}

void stack_input(
    struct stack *st, struct frame *frames, unsigned n, uint64_t now_ns, struct frame_out *out)
{
	unsigned before = out->n_tx;

	st->ip->now_ns = now_ns;
	st->counters[STACK_rx_frames] += n;
	for (unsigned i = 0; i < n; i += INPUT_BURST)
		burst(st, frames + i, n - i < INPUT_BURST ? n - i : INPUT_BURST, now_ns, out);
	st->counters[STACK_tx_frames] += out->n_tx - before;
}
