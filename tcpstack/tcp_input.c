/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A segment for a connection, in the order of RFC 9293 3.10.7 with RFC 5961 and RFC 7323 worked
 * in: timestamps and PAWS, sequence, RST, SYN, ACK, payload, FIN. Nothing is sent from here but
 * RSTs that answer a segment; the rest is marked and leaves with the turn's output.
 */
#include "rack.h"

#include "cc.h"
#include "reasm.h"
#include "rtt.h"
#include "sack.h"

enum { PAWS_OLD_TICKS = 24u * 86400 * 1907 }; /* 24 days (RFC 7323 5.5): a second is 1,907 ticks */

static uint32_t seg_len(const struct packet *pkt)
{
	return (uint32_t)pkt->payload_len + !!(pkt->flags & TCP_SYN) + !!(pkt->flags & TCP_FIN);
}

static void ack_now(struct stack *st, struct tcp_conn *c)
{
	c->flags |= CF_ACK_NOW;
	conn_want_output(st, c);
}

/* At most one each CHALLENGE_MS and connection: a limit shared by all would be a side channel
 * (RFC 5961 section 7 as corrected by practice). */
static void challenge(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;
	uint16_t now = (uint16_t)(half->tick >> 7);
	uint16_t gap = (uint16_t)((tick_after_ms(half, CHALLENGE_MS) - half->tick) >> 7);

	if (c->tick_challenge && (uint16_t)(now - c->tick_challenge) < gap) {
		count(st, STACK_tcp_challenges_limited);
		return;
	}
	c->tick_challenge = now ? now : 1;
	count(st, STACK_tcp_challenges);
	ack_now(st, c);
}

/* ---- payload and FIN ---- */

static void note_dsack(struct tcp_conn *c, uint32_t start, uint32_t end)
{
	if (!(c->flags & CF_SACK))
		return;
	c->flags |= CF_DSACK;
	c->dsack_start = start;
	c->dsack_len = (uint16_t)(end - start);
}

static void take_in_order(
    struct stack *st, struct tcp_conn *c, const uint8_t *data, uint32_t len, bool push)
{
	struct tcp_half *half = st->tcp;

	if (c->flags & CF_ORPHAN) { /* nobody reads; told by RST once ours is delivered */
		c->flags |= CF_LOST_DATA;
		c->rcv_nxt += len;
		count(st, STACK_tcp_data_after_close);
		ack_now(st, c);
		return;
	}
	len = chain_append(st, &c->rcv_head, &c->rcv_tail, data, len, CHUNK_IN_ORDER);
	c->rcv_nxt += len;
	c->unread += len;
	if (c->ooo_head) { /* filling a hole: RFC 5681 4.2 */
		reasm_advance(st, c);
		ack_now(st, c);
	}
	if (len > 0)
		conn_tell(st, c, TCP_EV_READ);
	if (push || ++c->segs_unacked >= 2) {
		ack_now(st, c);
	} else if (c->delack_at == 0) {
		c->delack_at = tick_after_ms(half, DELACK_MS);
	}
}

/* The part of the segment's payload that is new and fits; true when its end (FIN) is reached. */
static bool take_payload(struct stack *st, struct tcp_conn *c, uint32_t seq, const uint8_t *data,
    uint32_t len, bool push)
{
	uint32_t end = seq + len;
	bool whole = true, duplicate;

	if (seq_lt(seq, c->rcv_nxt) && len > 0) {
		uint32_t old = min_u32(c->rcv_nxt - seq, len);

		note_dsack(c, seq, seq + old);
		ack_now(st, c);
		seq += old;
		data += old;
		len -= old;
	}
	if (seq_lt(c->rcv_adv, end)) { /* beyond what was offered */
		uint32_t excess = min_u32(end - c->rcv_adv, len);

		count(st, STACK_tcp_beyond_window);
		len -= excess;
		whole = false;
		ack_now(st, c);
	}
	if (len == 0)
		return whole && end == c->rcv_nxt;
	if (seq == c->rcv_nxt) {
		take_in_order(st, c, data, len, push);
		return whole && end == c->rcv_nxt;
	}
	if (c->flags & CF_ORPHAN)
		return false;
	count(st, STACK_tcp_out_of_order);
	if (!reasm_add(st, c, seq, data, len, &duplicate))
		count(st, STACK_tcp_out_of_order_dropped);
	else if (duplicate)
		note_dsack(c, seq, seq + len);
	if (c->dup_acks_owed < 8)
		c->dup_acks_owed++;
	ack_now(st, c);
	return false;
}

/* A FIN ahead of a hole takes effect when the hole is filled, whether or not the peer repeats it
 * (RFC 9293 3.10.7.4: segments that came early are processed in order of their numbers). Sixteen
 * bits are enough, as rcv_nxt only comes nearer; one further ahead waits for its repetition. */
static void remember_fin(struct stack *st, struct tcp_conn *c, uint32_t seq)
{
	if (seq - c->rcv_nxt > UINT16_MAX || seq_lt(c->rcv_adv, seq))
		return;
	if (!c->fin_ahead)
		count(st, STACK_tcp_fin_ahead);
	c->fin_ahead = 1;
	c->fin_low = (uint16_t)seq;
}

static uint32_t remembered_fin(const struct tcp_conn *c)
{
	return c->rcv_nxt + (uint16_t)(c->fin_low - c->rcv_nxt);
}

static bool fin_acked(const struct tcp_conn *c)
{
	return c->flags & CF_FIN_SENT && c->snd_una == c->snd_nxt;
}

static void take_fin(struct stack *st, struct tcp_conn *c)
{
	c->rcv_nxt++;
	c->flags |= CF_FIN_RCVD;
	reasm_clear(st, c);
	ack_now(st, c);
	conn_tell(st, c, TCP_EV_EOF);
	switch (c->state) {
	case TCP_ESTABLISHED: c->state = TCP_CLOSE_WAIT; break;
	case TCP_FIN_WAIT_1:
		if (!fin_acked(c)) {
			c->state = TCP_CLOSING;
			break;
		}
		/* fall through */
	case TCP_FIN_WAIT_2: conn_enter_timewait(st, c); break;
	default: break;
	}
}

/* ---- ACK ---- */

/* Takes what is below `ack` off the ring; true when a retransmission was among it. */
static bool acknowledge(
    struct stack *st, struct tcp_conn *c, const struct packet *pkt, struct ack_news *news)
{
	struct tcp_half *half = st->tcp;
	bool acked_retrans = false;

	while (c->tx_count > 0) {
		struct tx_rec *r = sendq_rec(half, c, c->tx_head);
		uint32_t span = rec_span(r);

		if (!seq_lt(r->seq, pkt->ack))
			break;
		acked_retrans = acked_retrans || r->ever;
		if (!seq_leq(rec_end(r), pkt->ack)) { /* within: only the front is taken */
			uint32_t part = pkt->ack - r->seq;

			c->lost_bytes -= r->lost ? part : 0;
			c->retrans_bytes -= r->retrans ? part : 0;
			sendq_trim(half, c, r, pkt->ack);
			break;
		}
		if (r->sacked) {
			c->sacked_bytes -= span;
			c->n_sacked--;
		} else {
			rack_deliver(half, c, r, pkt, news);
			news->delivered += span;
		}
		c->lost_bytes -= r->lost ? span : 0;
		c->retrans_bytes -= r->retrans ? span : 0;
		sendq_pop(half, c);
	}
	if ((int32_t)(c->rtx_next - c->tx_head) < 0)
		c->rtx_next = c->tx_head;
	c->snd_una = pkt->ack;
	return acked_retrans;
}

static bool update_window(struct tcp_conn *c, const struct packet *pkt)
{
	uint32_t window = (uint32_t)pkt->window << c->snd_wscale;
	bool changed = window != c->snd_wnd;

	if (seq_lt(pkt->seq, c->snd_wl1))
		return false;
	c->snd_wl1 = pkt->seq;
	c->snd_wnd = window;
	c->max_wnd = max_u32(c->max_wnd, window);
	return changed;
}

static void tell_progress(struct stack *st, struct tcp_conn *c)
{
	uint32_t queued = conn_queued(c);

	if (c->flags & CF_WANT_WRITE && !conn_send_full(st, c)) {
		c->flags &= ~(uint32_t)CF_WANT_WRITE;
		conn_tell(st, c, TCP_EV_WRITE);
	}
	if (c->flags & CF_TELL_SENT && queued == 0) {
		c->flags &= ~(uint32_t)CF_TELL_SENT;
		conn_tell(st, c, TCP_EV_SENT);
	}
}

static void process_ack(struct stack *st, struct tcp_conn *c, const struct packet *pkt)
{
	struct tcp_half *half = st->tcp;
	struct ack_news news = { .acked = pkt->ack - c->snd_una };
	uint32_t old_wnd = c->snd_wnd;
	bool acked_retrans = false, window_changed, duplicate;

	window_changed = update_window(c, pkt);
	if (c->tx_count == 0 && news.acked == 0 && !window_changed)
		return;
	if (c->flags & CF_SACK)
		sack_process(half, c, pkt, &news);
	if (news.acked > 0)
		acked_retrans = acknowledge(st, c, pkt, &news);
	duplicate = news.acked == 0 && c->tx_count > 0 && pkt->payload_len == 0 &&
		    !window_changed && !(pkt->flags & TCP_FIN);
	if (news.has_rtt)
		rtt_sample(c, news.rtt_us);
	if (news.acked > 0)
		c->backoff = 0;
	tcp_loss_on_ack(st, c, pkt, &news, acked_retrans, duplicate);
	if (news.acked > 0 || (old_wnd == 0 && c->snd_wnd > 0)) {
		c->life_at = 0;
		c->backoff = 0;
		tcp_restart_rto(st, c);
		tell_progress(st, c);
	}
	tcp_set_probe(st, c);
	if (c->unsent > 0 || c->lost_bytes > 0 ||
	    (c->flags & (CF_FIN_QUEUED | CF_FIN_SENT)) == CF_FIN_QUEUED)
		conn_want_output(st, c);
}

/* ---- SYN-SENT ---- */

static void take_syn(struct stack *st, struct tcp_conn *c, const struct packet *pkt)
{
	struct tcp_half *half = st->tcp;

	c->rcv_nxt = pkt->seq + 1;
	c->last_ack_sent = c->rcv_nxt;
	c->rcv_adv = c->rcv_nxt + min_u32(st->config.rcv_buf, 65535);
	c->peer_mss = pkt->opt.mss;
	c->syn_ttl = pkt->ttl;
	if (pkt->opt.has_wscale)
		c->snd_wscale = pkt->opt.wscale;
	else
		c->rcv_wscale = 0;
	if (!pkt->opt.sack_ok)
		c->flags &= ~(uint32_t)CF_SACK;
	if (!pkt->opt.has_ts)
		c->flags &= ~(uint32_t)CF_TS;
	c->ts_recent = pkt->opt.ts_val;
	c->ts_recent_tick = half->tick;
	c->snd_wnd = c->max_wnd = pkt->window; /* never scaled on a SYN */
	c->snd_wl1 = pkt->seq;
	conn_set_mss(c);
}

static void establish(struct stack *st, struct tcp_conn *c)
{
	bool repeated = c->retransmits > 0;

	c->state = c->flags & CF_FIN_QUEUED ? TCP_FIN_WAIT_1 : TCP_ESTABLISHED;
	c->life_at = 0;
	c->backoff = 0;
	c->flags &= ~(uint32_t)(CF_UNDO | CF_FRTO_1 | CF_FRTO_2);
	cc_init(c);
	if (repeated) /* RFC 6928 section 2 */
		c->cwnd = c->mss;
	c->fack = c->recover = c->snd_una;
	if (c->flags & CF_KEEPALIVE)
		c->keep_at = tick_after_ms(st->tcp, st->config.keepalive_ms);
	tcp_restart_rto(st, c);
	conn_tell(st, c, TCP_EV_OPEN);
	conn_want_output(st, c);
}

static void syn_sent_arrives(
    struct stack *st, struct tcp_conn *c, const struct packet *pkt, struct frame_out *out)
{
	bool ack_ok =
	    pkt->flags & TCP_ACK && seq_lt(c->snd_una, pkt->ack) && seq_leq(pkt->ack, c->snd_nxt);

	if (pkt->flags & TCP_ACK && !ack_ok) {
		if (!(pkt->flags & TCP_RST))
			tcp_emit_reset(st, c, pkt->ack, out);
		return;
	}
	if (pkt->flags & TCP_RST) {
		if (ack_ok) {
			count(st, STACK_tcp_resets_received);
			conn_end(st, c, TCP_EV_RESET);
		}
		return;
	}
	if (!(pkt->flags & TCP_SYN))
		return;
	take_syn(st, c, pkt);
	if (ack_ok) {
		struct ack_news news = { .acked = 1 };

		acknowledge(st, c, pkt, &news);
		if (news.has_rtt)
			rtt_sample(c, news.rtt_us);
		establish(st, c);
		ack_now(st, c);
		if (take_payload(st, c, c->rcv_nxt, pkt->payload, pkt->payload_len, true) &&
		    pkt->flags & TCP_FIN)
			take_fin(st, c);
		return;
	}
	/* Simultaneous open: our SYN again, this time with an ACK. Data on theirs comes again. */
	count(st, STACK_tcp_simultaneous_opens);
	c->state = TCP_SYN_RECEIVED;
	if (c->tx_count > 0)
		rec_mark_lost(c, sendq_rec(st->tcp, c, c->tx_head), c->tx_head);
	c->flags |= CF_FORCE;
	conn_want_output(st, c);
}

/* ---- synchronised states ---- */

static bool acceptable(const struct tcp_conn *c, uint32_t seq, uint32_t len)
{
	uint32_t window = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;

	/* RFC 9293 table 6; with a closed window what lies at its edge is still looked at, for its
	 * ACK, RST or probe byte. */
	if (seq - c->rcv_nxt < window || seq == c->rcv_nxt)
		return true;
	if (len == 0 && seq == c->rcv_adv)
		return true; /* a bare ACK from a peer that has used the window up */
	return len > 0 && seq_lt(seq, c->rcv_nxt) && seq_lt(c->rcv_nxt, seq + len);
}

static void unacceptable(
    struct stack *st, struct tcp_conn *c, const struct packet *pkt, uint32_t len)
{
	if (pkt->flags & TCP_RST)
		return;
	count(st, STACK_tcp_unacceptable);
	if (len == 0) { /* two ends that think differently must not volley ACKs */
		challenge(st, c);
		return;
	}
	if (pkt->payload_len > 0 && seq_leq(pkt->seq + pkt->payload_len, c->rcv_nxt))
		note_dsack(c, pkt->seq, pkt->seq + pkt->payload_len);
	ack_now(st, c);
}

static void reset_arrives(struct stack *st, struct tcp_conn *c, const struct packet *pkt)
{
	uint32_t window = c->rcv_adv - c->rcv_nxt;

	if (pkt->seq == c->rcv_nxt) {
		count(st, STACK_tcp_resets_received);
		conn_end(st, c, TCP_EV_RESET);
	} else if (pkt->seq - c->rcv_nxt < window) {
		challenge(st, c); /* RFC 5961 3.2 */
	} else {
		count(st, STACK_tcp_resets_ignored);
	}
}

/* False: dropped, and answered where that is due. */
static bool check_timestamp(
    struct stack *st, struct tcp_conn *c, const struct packet *pkt, uint32_t len)
{
	struct tcp_half *half = st->tcp;

	if (!(c->flags & CF_TS) || pkt->flags & TCP_RST)
		return true;
	if (!pkt->opt.has_ts) { /* RFC 7323 3.2 */
		count(st, STACK_tcp_timestamp_missing);
		return false;
	}
	if (seq_lt(pkt->opt.ts_val, c->ts_recent) &&
	    half->tick - c->ts_recent_tick < PAWS_OLD_TICKS) {
		count(st, STACK_tcp_paws);
		if (len > 0)
			unacceptable(st, c, pkt, len);
		else
			challenge(st, c);
		return false;
	}
	return true;
}

/* RFC 7323 4.3 and 5.3 R3: after the sequence and the ACK were found good, lest anyone who guesses
 * the ports alone lets PAWS drop all that the peer says. */
static void take_timestamp(struct stack *st, struct tcp_conn *c, const struct packet *pkt)
{
	if (c->flags & CF_TS && pkt->opt.has_ts && seq_leq(pkt->seq, c->last_ack_sent)) {
		c->ts_recent = pkt->opt.ts_val;
		c->ts_recent_tick = st->tcp->tick;
	}
}

/* The peer took the probe byte, which has no record yet. */
static void settle_probe(struct stack *st, struct tcp_conn *c, const struct packet *pkt)
{
	struct tx_rec r;

	if (!(c->flags & CF_PROBED) || pkt->ack != c->snd_nxt + 1 || c->unsent == 0)
		return;
	if (!sendq_next(st->tcp, c, 1, false, &r))
		return;
	r.xmit_us = st->tcp->now_us;
	r.ever = 1; /* no sample from it */
	sendq_commit(st->tcp, c, &r);
	c->flags &= ~(uint32_t)CF_PROBED;
}

/* False: the segment is dealt with. */
static bool check_ack(
    struct stack *st, struct tcp_conn *c, const struct packet *pkt, struct frame_out *out)
{
	if (!(pkt->flags & TCP_ACK))
		return false;
	if (c->state == TCP_SYN_RECEIVED) {
		if (!seq_lt(c->snd_una, pkt->ack) || !seq_leq(pkt->ack, c->snd_nxt)) {
			tcp_emit_reset(st, c, pkt->ack, out);
			return false;
		}
		establish(st, c);
		return true;
	}
	settle_probe(st, c, pkt);
	if (seq_lt(c->snd_nxt, pkt->ack) || seq_lt(pkt->ack, c->snd_una - c->max_wnd)) {
		challenge(st, c); /* RFC 5961 5.2 */
		return false;
	}
	return true;
}

/* States that end with the acknowledgement of our FIN; false: the connection is gone. */
static bool after_fin_acked(struct stack *st, struct tcp_conn *c)
{
	if (!fin_acked(c))
		return true;
	switch (c->state) {
	case TCP_FIN_WAIT_1:
		c->state = TCP_FIN_WAIT_2;
		if (c->flags & CF_ORPHAN)
			c->life_at = tick_after_ms(st->tcp, FIN_WAIT2_MS);
		return true;
	case TCP_CLOSING: conn_enter_timewait(st, c); return false;
	case TCP_LAST_ACK: conn_end(st, c, 0); return false;
	default: return true;
	}
}

static void synchronised_arrives(
    struct stack *st, struct tcp_conn *c, const struct packet *pkt, struct frame_out *out)
{
	uint32_t len = seg_len(pkt);
	bool at_end;

	if (!check_timestamp(st, c, pkt, len))
		return;
	if (!acceptable(c, pkt->seq, len)) {
		if (pkt->flags & TCP_SYN)
			challenge(st, c);
		else
			unacceptable(st, c, pkt, len);
		return;
	}
	if (pkt->flags & TCP_RST) {
		reset_arrives(st, c, pkt);
		return;
	}
	if (pkt->flags & TCP_SYN) { /* RFC 5961 4.2 */
		challenge(st, c);
		return;
	}
	if (!check_ack(st, c, pkt, out))
		return;
	take_timestamp(st, c, pkt);
	if (seq_leq(c->snd_una, pkt->ack))
		process_ack(st, c, pkt);
	if (!after_fin_acked(st, c))
		return;
	if (pkt->flags & TCP_URG)
		count(st, STACK_tcp_urgent_ignored); /* the bytes are data like others (RFC 6093) */
	if (c->flags & CF_FIN_RCVD) {
		if (len > 0)
			ack_now(st, c);
		return;
	}
	if (c->flags & CF_ORPHAN && c->state == TCP_FIN_WAIT_2 &&
	    (pkt->payload_len > 0 || c->flags & CF_LOST_DATA)) {
		count(st, STACK_tcp_data_after_close);
		if (pkt->payload_len > 0 && seq_lt(c->rcv_nxt, pkt->seq + pkt->payload_len))
			c->rcv_nxt = pkt->seq + pkt->payload_len;
		conn_abort(st, c); /* RFC 9293 3.6.1 */
		return;
	}
	uint32_t early_fin = remembered_fin(c);
	at_end = len == 0 ? false
			  : take_payload(st, c, pkt->seq, pkt->payload, pkt->payload_len,
				pkt->flags & TCP_PSH);
	if (pkt->flags & TCP_FIN && !at_end) {
		ack_now(st, c);
		if (seq_lt(c->rcv_nxt, pkt->seq + pkt->payload_len)) {
			remember_fin(st, c, pkt->seq + pkt->payload_len);
			return;
		}
	}
	if (pkt->flags & TCP_FIN && at_end) {
		take_fin(st, c);
	} else if (c->fin_ahead && seq_leq(early_fin, c->rcv_nxt)) {
		c->fin_ahead = 0;
		if (early_fin == c->rcv_nxt) /* else there were bytes behind it: it was none */
			take_fin(st, c);
	}
}

/* The other half of a simultaneous open: its SYN counts no more (RFC 9293 figure 8). */
static void crossed_syn_arrives(
    struct stack *st, struct tcp_conn *c, const struct packet *pkt, struct frame_out *out)
{
	struct packet p = *pkt;

	if (!(pkt->flags & TCP_ACK)) { /* the same SYN again: ours may have been lost */
		if (c->tx_count > 0)
			rec_mark_lost(c, sendq_rec(st->tcp, c, c->tx_head), c->tx_head);
		c->flags |= CF_FORCE;
		conn_want_output(st, c);
		return;
	}
	p.flags &= (uint8_t)~TCP_SYN;
	p.seq++;
	synchronised_arrives(st, c, &p, out);
}

void tcp_segment_arrives(
    struct stack *st, struct tcp_conn *c, const struct packet *pkt, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;

	count(st, STACK_tcp_segments_received);
	c->tick_rx = half->tick;
	c->keep_probes = 0;
	if (c->state == TCP_SYN_SENT)
		syn_sent_arrives(st, c, pkt, out);
	else if (c->state == TCP_SYN_RECEIVED && pkt->flags & TCP_SYN && pkt->seq + 1 == c->rcv_nxt)
		crossed_syn_arrives(st, c, pkt, out);
	else
		synchronised_arrives(st, c, pkt, out);
	if (c->state != TCP_CLOSED)
		conn_rearm(half, c);
}
