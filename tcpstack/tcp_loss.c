/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery: what ACKs, duplicates and time-outs do to the congestion window and to the marks.
 *
 * With SACK, RACK says what is lost and the window is halved once a round trip. Without it three
 * duplicate ACKs mark the first segment and each partial ACK the next (RFC 6582). A recovery that
 * proves needless is undone: by an echoed timestamp older than the retransmission (Eifel, RFC
 * 3522), by DSACK for everything sent twice (RFC 3708), or, without timestamps, by F-RTO
 * (RFC 5682).
 */
#include "rack.h"

#include "cc.h"
#include "sack.h"

static void begin_episode(struct tcp_half *half, struct tcp_conn *c)
{
	c->recover = c->snd_nxt;
	c->flags |= CF_UNDO;
	c->undo_ts = ts_clock(half->now_ns) + c->ts_offset;
	c->undo_retrans = 0;
}

void tcp_enter_recovery(struct tcp_half *half, struct tcp_conn *c)
{
	c->flags &= ~(uint32_t)(CF_UNDO | CF_TLP);
	cc_on_loss(c);
	begin_episode(half, c);
	c->ca_state = CA_RECOVERY;
	c->flags |= CF_FORCE; /* RFC 6675 section 5 (4.3): the first goes regardless of the pipe */
}

void tcp_enter_loss(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;

	if (sendq_rec(half, c, c->tx_head)->sacked) {
		count(st, STACK_tcp_sack_reneged);
		sack_forget(half, c);
	}
	if (c->ca_state == CA_OPEN)
		c->flags &= ~(uint32_t)CF_UNDO;
	cc_on_rto(c);
	if (c->ca_state != CA_LOSS) {
		bool fresh = c->ca_state == CA_OPEN;

		if (fresh) {
			begin_episode(half, c);
		} else {
			c->recover = c->snd_nxt;
		}
		c->ca_state = CA_LOSS;
		if (fresh && !(c->flags & CF_TS))
			c->flags = (c->flags & ~(uint32_t)CF_FRTO_2) | CF_FRTO_1;
	} else {
		c->flags &= ~(uint32_t)(CF_FRTO_1 | CF_FRTO_2);
	}
	c->flags &= ~(uint32_t)(CF_TLP | CF_NEXT_NOW);
	c->dupacks = 0;
	for (uint32_t i = c->tx_head; i != c->tx_head + c->tx_count; i++) {
		struct tx_rec *r = sendq_rec(half, c, i);

		if (!r->sacked)
			rec_mark_lost(c, r, i);
	}
	c->rtx_next = c->tx_head;
}

static void unmark_all(struct tcp_half *half, struct tcp_conn *c)
{
	for (uint32_t i = c->tx_head; i != c->tx_head + c->tx_count; i++) {
		struct tx_rec *r = sendq_rec(half, c, i);

		r->lost = r->retrans = 0;
	}
	c->lost_bytes = c->retrans_bytes = 0;
}

static void undo(struct stack *st, struct tcp_conn *c)
{
	count(st, STACK_tcp_recoveries_undone);
	cc_undo(c);
	unmark_all(st->tcp, c);
	c->ca_state = CA_OPEN;
	c->backoff = 0;
	c->dupacks = 0;
	c->flags &= ~(uint32_t)(CF_UNDO | CF_FRTO_1 | CF_FRTO_2 | CF_NEXT_NOW);
}

/* RFC 5682 section 2.1: two ACKs in a row that advance after sending new data only. */
static bool frto_spurious(struct tcp_conn *c, const struct ack_news *news, bool duplicate)
{
	if (!(c->flags & (CF_FRTO_1 | CF_FRTO_2)))
		return false;
	if (duplicate || news->acked == 0 || seq_leq(c->recover, c->snd_una)) {
		if (duplicate || news->acked)
			c->flags &= ~(uint32_t)(CF_FRTO_1 | CF_FRTO_2 | CF_NEXT_NOW);
		return false;
	}
	if (c->flags & CF_FRTO_2)
		return true;
	c->flags &= ~(uint32_t)CF_FRTO_1;
	if (c->unsent > 0 && !c->held) {
		c->flags |= CF_FRTO_2 | CF_NEXT_NOW;
		c->cwnd = max_u32(c->cwnd, conn_inflight(c) + 2u * c->mss);
	}
	return false;
}

static bool needless(const struct tcp_conn *c, const struct packet *pkt,
    const struct ack_news *news, bool acked_retrans)
{
	if (!(c->flags & CF_UNDO))
		return false;
	if (c->flags & CF_TS && pkt->opt.has_ts && acked_retrans &&
	    seq_lt(pkt->opt.ts_ecr, c->undo_ts))
		return true;
	return news->dsack && c->undo_retrans == 0 && c->ca_state != CA_OPEN;
}

/* RFC 8985 7.4: did the probe repair a loss, or was it one segment too many? */
static void probe_outcome(struct stack *st, struct tcp_conn *c, const struct packet *pkt,
    const struct ack_news *news, bool duplicate)
{
	if (!(c->flags & CF_TLP) || seq_lt(pkt->ack, c->tlp_end))
		return;
	if (!(c->flags & CF_TLP_RETRANS) || news->dsack || (duplicate && news->acked == 0)) {
		c->flags &= ~(uint32_t)CF_TLP;
	} else if (seq_lt(c->tlp_end, pkt->ack)) {
		c->flags &= ~(uint32_t)CF_TLP;
		if (c->ca_state == CA_OPEN) {
			cc_on_loss(c);
			count(st, STACK_tcp_tail_losses);
		}
	}
}

/* RFC 6582, for peers without SACK. */
static bool reno_on_ack(
    struct tcp_conn *c, struct tcp_half *half, const struct ack_news *news, bool duplicate)
{
	if (news->acked > 0) {
		/* one of them filled the hole, the others had been counted as duplicates */
		uint32_t gone = news->acked > c->mss ? news->acked / c->mss - 1 : 0;

		c->dupacks = (uint8_t)(c->dupacks > gone ? c->dupacks - gone : 0);
		if (c->ca_state != CA_RECOVERY || seq_leq(c->recover, c->snd_una)) {
			c->dupacks = 0;
			return false;
		}
		if (c->tx_count > 0) { /* partial: the next hole */
			struct tx_rec *r = sendq_rec(half, c, c->tx_head);

			if (!r->retrans)
				rec_mark_lost(c, r, c->tx_head);
			c->flags |= CF_FORCE;
		}
		return true;
	}
	if (!duplicate || c->dupacks == UINT8_MAX)
		return false;
	c->dupacks++;
	if (c->dupacks == 3 && c->ca_state == CA_OPEN && seq_leq(c->recover, c->snd_una)) {
		rec_mark_lost(c, sendq_rec(half, c, c->tx_head), c->tx_head);
		return true;
	}
	return false;
}

void tcp_loss_on_ack(struct stack *st, struct tcp_conn *c, const struct packet *pkt,
    struct ack_news *news, bool acked_retrans, bool duplicate)
{
	struct tcp_half *half = st->tcp;
	bool lost;

	if (news->dsack) {
		rack_on_dsack(c);
		if (c->undo_retrans > 0)
			c->undo_retrans--;
	}
	probe_outcome(st, c, pkt, news, duplicate);
	if (needless(c, pkt, news, acked_retrans) || frto_spurious(c, news, duplicate)) {
		undo(st, c);
		return;
	}
	lost = c->flags & CF_SACK ? rack_detect(half, c) : reno_on_ack(c, half, news, duplicate);
	if (c->ca_state != CA_OPEN && seq_leq(c->recover, c->snd_una)) {
		if (c->ca_state == CA_RECOVERY)
			c->cwnd = c->ssthresh;
		c->ca_state = CA_OPEN;
		c->flags &= ~(uint32_t)(CF_FRTO_1 | CF_FRTO_2 | CF_NEXT_NOW);
		if (c->reo_persist > 0 && --c->reo_persist == 0)
			c->reo_mult = 1;
	}
	if (c->ca_state == CA_OPEN && lost)
		tcp_enter_recovery(half, c);
	else if (c->ca_state != CA_RECOVERY && news->acked > 0 && !(c->flags & CF_NEXT_NOW))
		cc_on_ack(c, news->acked);
}
