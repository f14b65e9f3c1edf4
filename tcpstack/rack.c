/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RACK. The scan for losses walks the ring from its head and ends at the first record that was
 * sent once only and after the newest delivered one: those behind it were sent later still. Runs
 * that SACK has marked throughout are jumped over, so a single hole in a large window stays cheap.
 */
#include "rack.h"

#include "rtt.h"

static bool sent_after(uint32_t a_us, uint32_t a_end, uint32_t b_us, uint32_t b_end)
{
	return (int32_t)(a_us - b_us) > 0 || (a_us == b_us && seq_lt(b_end, a_end));
}

void rack_deliver(struct tcp_half *half, struct tcp_conn *c, const struct tx_rec *r,
    const struct packet *pkt, struct ack_news *news)
{
	uint32_t rtt_us = half->now_us - r->xmit_us, end = rec_end(r);

	if (!r->ever) {
		news->original = true;
		if (!news->has_rtt || rtt_us < news->rtt_us)
			news->rtt_us = rtt_us;
		news->has_rtt = true;
		if (seq_lt(end, c->fack))
			c->flags |= CF_REO_SEEN;
	} else {
		/* Which transmission arrived? Not the last, if the echo is older than it. */
		if (c->flags & CF_TS && pkt->opt.has_ts) {
			uint32_t age_ms = ts_clock(half->now_ns) + c->ts_offset - pkt->opt.ts_ecr;

			if ((int32_t)age_ms >= 0 && (uint64_t)age_ms * 1000 > (uint64_t)rtt_us + 1000)
				return;
		}
		if (rtt_us < c->min_rtt_us)
			return;
	}
	if (seq_lt(c->fack, end))
		c->fack = end;
	if (c->rack_rtt_us == 0 || sent_after(r->xmit_us, end, c->rack_xmit_us, c->rack_end)) {
		c->rack_xmit_us = r->xmit_us;
		c->rack_end = end;
		c->rack_rtt_us = rtt_us ? rtt_us : 1;
	}
}

void rec_mark_lost(struct tcp_conn *c, struct tx_rec *r, uint32_t index)
{
	if (r->retrans) {
		r->retrans = 0;
		c->retrans_bytes -= rec_span(r);
	}
	if (!r->lost) {
		r->lost = 1;
		c->lost_bytes += rec_span(r);
	}
	if ((int32_t)(index - c->rtx_next) < 0)
		c->rtx_next = index;
}

static uint32_t reordering_window(const struct tcp_conn *c)
{
	uint32_t least = c->min_rtt_us == UINT32_MAX ? c->srtt_us : c->min_rtt_us;
	uint64_t us;

	if (!(c->flags & CF_REO_SEEN) && (c->ca_state != CA_OPEN || c->n_sacked >= 3))
		return 0;
	us = (uint64_t)least / 4 * (c->reo_mult ? c->reo_mult : 1);
	return us < c->srtt_us ? (uint32_t)us : c->srtt_us;
}

bool rack_detect(struct tcp_half *half, struct tcp_conn *c)
{
	uint32_t window = reordering_window(c), tail = c->tx_head + c->tx_count, wait_us = 0;
	bool found = false;

	if (c->flags & CF_REO_TIMER) {
		c->flags &= ~(uint32_t)CF_REO_TIMER;
		c->probe_at = 0;
	}
	if (c->rack_rtt_us == 0)
		return false;
	for (uint32_t i = c->tx_head; i != tail;) {
		struct tx_rec *r = sendq_rec(half, c, i);
		int32_t left_us;

		if (r->sacked) {
			if (seq_leq(c->sk_start, r->seq) && seq_lt(r->seq, c->fack))
				i = max_u32(i + 1 - c->tx_head,
					sendq_find(half, c, c->fack) - c->tx_head) +
				    c->tx_head;
			else
				i++;
			continue;
		}
		i++;
		if (!sent_after(c->rack_xmit_us, c->rack_end, r->xmit_us, rec_end(r))) {
			if (!r->ever)
				break;
			continue;
		}
		if (r->lost && !r->retrans)
			continue;
		left_us = (int32_t)(r->xmit_us + c->rack_rtt_us + window - half->now_us);
		if (left_us <= 0) {
			rec_mark_lost(c, r, i - 1);
			found = true;
		} else if ((uint32_t)left_us > wait_us) {
			wait_us = (uint32_t)left_us;
		}
	}
	if (wait_us) {
		c->probe_at = tick_after_us(half, wait_us);
		c->flags |= CF_REO_TIMER;
	}
	return found;
}

void rack_on_dsack(struct tcp_conn *c)
{
	if (c->reo_mult < 16)
		c->reo_mult = (uint8_t)(c->reo_mult ? c->reo_mult + 1 : 2);
	c->reo_persist = 16;
}
