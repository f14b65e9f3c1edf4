/* SPDX-License-Identifier: BSD-3-Clause */
/* SACK blocks to marks. */
#include "sack.h"

static void mark_sacked(struct tcp_half *half, struct tcp_conn *c, struct tx_rec *r,
    const struct packet *pkt, struct ack_news *news)
{
	uint32_t span = rec_span(r);

	rack_deliver(half, c, r, pkt, news);
	if (r->lost)
		c->lost_bytes -= span;
	if (r->retrans)
		c->retrans_bytes -= span;
	r->lost = r->retrans = 0;
	r->sacked = 1;
	c->sacked_bytes += span;
	c->n_sacked++;
	news->sacked = true;
	news->delivered += span;
}

void sack_process(
    struct tcp_half *half, struct tcp_conn *c, const struct packet *pkt, struct ack_news *news)
{
	const struct tcp_sack_block *b = pkt->opt.sack;
	unsigned first = 0, n = pkt->opt.n_sack;

	if (n == 0)
		return;
	if (seq_leq(b[0].end, pkt->ack) ||
	    (n > 1 && seq_leq(b[1].start, b[0].start) && seq_leq(b[0].end, b[1].end))) {
		first = 1;
		/* Believable only near what was sent. */
		news->dsack = seq_lt(b[0].start, b[0].end) && seq_leq(b[0].end, c->snd_nxt) &&
			      seq_leq(c->snd_una - c->max_wnd, b[0].start);
	}
	for (unsigned i = first; i < n; i++) {
		uint32_t start = b[i].start, tail = c->tx_head + c->tx_count, at;

		if (!seq_lt(start, b[i].end) || !seq_leq(c->snd_una, start) ||
		    !seq_leq(b[i].end, c->snd_nxt))
			continue;
		/* [sk_start, fack) was marked by an earlier ACK of the same run. */
		if (c->n_sacked && seq_leq(c->sk_start, start) && seq_lt(start, c->fack))
			start = seq_lt(b[i].end, c->fack) ? b[i].end : c->fack;
		at = sendq_find(half, c, start);
		for (; at != tail; at++) {
			struct tx_rec *r = sendq_rec(half, c, at);

			if (!seq_leq(rec_end(r), b[i].end))
				break;
			if (!r->sacked)
				mark_sacked(half, c, r, pkt, news);
		}
		if (seq_leq(c->fack, b[i].end))
			c->sk_start = b[i].start;
	}
}

void sack_forget(struct tcp_half *half, struct tcp_conn *c)
{
	for (uint32_t i = c->tx_head; i != c->tx_head + c->tx_count; i++)
		sendq_rec(half, c, i)->sacked = 0;
	c->sacked_bytes = 0;
	c->n_sacked = 0;
	c->sk_start = c->fack;
}
