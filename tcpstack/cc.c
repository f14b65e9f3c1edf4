/* SPDX-License-Identifier: BSD-3-Clause */
/* NewReno. The window grows only while it is what limits sending (RFC 7661's concern). */
#include "cc.h"

static uint32_t initial_window(const struct tcp_conn *c)
{
	/* RFC 6928 */
	return min_u32(10u * c->mss, max_u32(2u * c->mss, 14600));
}

void cc_init(struct tcp_conn *c)
{
	c->cwnd = initial_window(c);
	c->ssthresh = UINT32_MAX / 2;
	c->ca_state = CA_OPEN;
}

void cc_on_ack(struct tcp_conn *c, uint32_t acked)
{
	if (!(c->flags & CF_CWND_LIMITED))
		return;
	if (c->cwnd < c->ssthresh) {
		/* One ACK may stand for a whole burst of ours; L is 2 after a time-out only. */
		c->cwnd += c->ca_state == CA_LOSS ? min_u32(acked, 2u * c->mss) : acked;
	} else {
		uint64_t step = (uint64_t)c->mss * acked / c->cwnd;

		c->cwnd += step ? (uint32_t)step : 1;
	}
	c->cwnd = min_u32(c->cwnd, 1u << 30);
}

static void remember(struct tcp_conn *c)
{
	if (!(c->flags & CF_UNDO))
		c->undo_cwnd = c->cwnd;
}

static uint32_t half_flight(const struct tcp_conn *c)
{
	return max_u32((c->snd_nxt - c->snd_una) / 2, 2u * c->mss);
}

void cc_on_loss(struct tcp_conn *c)
{
	remember(c);
	c->ssthresh = half_flight(c);
	c->cwnd = c->ssthresh;
}

void cc_on_rto(struct tcp_conn *c)
{
	remember(c);
	/* RFC 5681 (4): once for the same data, not at each time-out of it */
	if (c->ca_state != CA_LOSS)
		c->ssthresh = half_flight(c);
	c->cwnd = c->mss;
}

void cc_undo(struct tcp_conn *c)
{
	c->cwnd = max_u32(c->cwnd, c->undo_cwnd);
	c->ssthresh = max_u32(c->ssthresh, c->undo_cwnd);
}

void cc_on_idle(struct tcp_conn *c)
{
	c->cwnd = min_u32(c->cwnd, initial_window(c));
}
