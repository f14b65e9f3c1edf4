/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A burst, sorted by kind, each kind dealt with together.
 */
#include "ip_half.h"

enum { INPUT_BURST = 32 };

static void burst(struct stack *st, struct frame *frames, unsigned n, uint64_t now_ns,
    struct frame_out *out)
{
	struct packet pkts[INPUT_BURST];
	struct packet *tcp[INPUT_BURST];
	unsigned n_tcp = 0;

	for (unsigned i = 0; i < n; i++) {
		enum stack_counter reason;
		switch (packet_parse(st->ip, &frames[i], &pkts[i], &reason)) {
		case PACKET_TCP: tcp[n_tcp++] = &pkts[i]; break;
		case PACKET_ARP: neigh_arp_input(st, &pkts[i], now_ns, out); break;
		case PACKET_ICMP6:
			if (pkts[i].payload[0] >= 133 && pkts[i].payload[0] <= 137) {
				neigh_nd_input(st, &pkts[i], now_ns, out);
				break;
			}
			out_drop(out, &frames[i]);
			break;
		case PACKET_ICMP4:
		case PACKET_FRAGMENT: out_drop(out, &frames[i]); break;
		case PACKET_BAD:
			count(st, reason);
			out_drop(out, &frames[i]);
			break;
		}
	}
	for (unsigned i = 0; i < n_tcp; i++)
		conn_prefetch(st, tcp[i]);
	for (unsigned i = 0; i < n_tcp; i++) {
		if (!conn_input(st, tcp[i], now_ns, out) && !tcp[i]->dst_own)
			count(st, STACK_ip_dst_other);
		out_drop(out, tcp[i]->frame);
	}
}

void stack_input(struct stack *st, struct frame *frames, unsigned n, uint64_t now_ns,
    struct frame_out *out)
{
	unsigned before = out->n_tx;

	st->ip->now_ns = now_ns;
	st->counters[STACK_rx_frames] += n;
	for (unsigned i = 0; i < n; i += INPUT_BURST)
		burst(st, frames + i, n - i < INPUT_BURST ? n - i : INPUT_BURST, now_ns, out);
	st->counters[STACK_tx_frames] += out->n_tx - before;
}
