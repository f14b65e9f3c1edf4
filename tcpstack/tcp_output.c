/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a connection to segments: retransmissions first, then new data as windows allow, then an
 * ACK if none of those carried it. Nothing is sent in the middle of input: a turn's input marks
 * connections, its output serves each once, so replies and ACKs of a turn share segments.
 *
 * There is no Nagle algorithm: writes of a turn are together anyway, and the last partial segment
 * of a reply must not wait for an ACK that the peer delays. Silly windows are avoided by RFC 9293
 * 3.8.6.2.1 all the same: a partial segment is only sent when it is all there is.
 */
#include "sendq.h"

#include "cc.h"
#include "reasm.h"

enum { TCP_HEADER = 20, TS_OPTION = 12 };

static uint16_t mss_of_path(const struct tcp_conn *c)
{
	return (uint16_t)(c->path.mtu - (c->flags & CF_V4 ? 20 : 40) - TCP_HEADER);
}

void conn_set_mss(struct tcp_conn *c)
{
	uint16_t mss = c->peer_mss        ? c->peer_mss
		       : c->flags & CF_V4 ? MSS_DEFAULT_V4
					  : MSS_DEFAULT_V6;

	mss = (uint16_t)min_u32(mss, mss_of_path(c));
	/* RFC 6691: the option's number counts no options, a segment's payload does */
	mss = (uint16_t)(max_u32(mss, 88) - (c->flags & CF_TS ? TS_OPTION : 0));
	c->mss = mss;
}

/* ---- the window we offer ---- */

static bool pool_short(const struct tcp_half *half)
{
	return chunk_free_count(&half->chunks) < half->chunks.max / 8;
}

static uint32_t wanted_edge(const struct tcp_half *half, const struct tcp_conn *c)
{
	uint32_t limit = min_u32(c->rcv_limit, (uint32_t)65535 << c->rcv_wscale);
	uint32_t space = limit > c->unread ? limit - c->unread : 0;

	if (pool_short(half)) /* as little as keeps the peer going */
		space = c->unread == 0 ? min_u32(space, 2u * c->mss) : 0;
	return c->rcv_nxt + space;
}

bool tcp_window_worth_telling(const struct tcp_half *half, const struct tcp_conn *c)
{
	uint32_t edge = wanted_edge(half, c);

	return seq_lt(c->rcv_adv, edge) &&
	       edge - c->rcv_adv >= min_u32(2u * c->mss, max_u32(c->rcv_limit / 2, 1));
}

/* The window field, moving the right edge (never to the left) by at least a segment or half the
 * buffer: RFC 9293 3.8.6.2.2. Rounded up to the scale, or it would creep left. */
static uint16_t offer_window(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;
	uint32_t edge = wanted_edge(half, c), wire;

	if (seq_lt(c->rcv_adv, edge) &&
	    edge - c->rcv_adv >= min_u32(c->mss, max_u32(c->rcv_limit / 2, 1)))
		c->rcv_adv = edge;
	if (pool_short(half) && !(c->flags & CF_WND_HELD)) {
		count(st, STACK_windows_held);
		c->flags |= CF_WND_HELD;
		conn_list_append(half, &half->memory, c, LINK_MEMORY);
		half->hungry = true;
	}
	wire = (c->rcv_adv - c->rcv_nxt + ((uint32_t)1 << c->rcv_wscale) - 1) >> c->rcv_wscale;
	wire = min_u32(wire, 65535);
	if (seq_lt(c->rcv_adv, c->rcv_nxt + (wire << c->rcv_wscale)))
		c->rcv_adv = c->rcv_nxt + (wire << c->rcv_wscale);
	return (uint16_t)wire;
}

/* ---- one segment ---- */

static void segment_init(struct stack *st, struct tcp_conn *c, struct tcp_segment *seg)
{
	struct tcp_half *half = st->tcp;

	seg->src = &c->key.local;
	seg->dst = &c->key.remote;
	seg->src_port = c->key.local_port;
	seg->dst_port = c->key.remote_port;
	seg->n_pieces = 0;
	memset(&seg->opt, 0, sizeof(seg->opt));
	if (c->flags & CF_TS) {
		seg->opt.has_ts = true;
		seg->opt.ts_val = ts_clock(half->now_ns) + c->ts_offset;
		seg->opt.ts_ecr = c->ts_recent;
	}
}

enum { SACK_MAX = 4 };

static unsigned sack_blocks(
    const struct tcp_half *half, const struct tcp_conn *c, struct tcp_sack_block blocks[SACK_MAX])
{
	unsigned max = c->flags & CF_TS ? SACK_MAX - 1 : SACK_MAX, n = 0;

	if (!(c->flags & CF_SACK))
		return 0;
	if (c->flags & CF_DSACK)
		blocks[n++] =
		    (struct tcp_sack_block){ c->dsack_start, c->dsack_start + c->dsack_len };
	return n + reasm_sack_blocks(half, c, blocks + n, max - n);
}

static void fill_sack(const struct tcp_half *half, const struct tcp_conn *c, struct tcp_segment *seg)
{
	seg->opt.n_sack = (uint8_t)sack_blocks(half, c, seg->opt.sack);
}

static void fill_syn(const struct tcp_conn *c, const struct stack *st, struct tcp_segment *seg)
{
	bool answer = c->state == TCP_SYN_RECEIVED;

	seg->opt.mss = mss_of_path(c);
	seg->opt.sack_ok = c->flags & CF_SACK;
	seg->opt.has_wscale = !answer || c->rcv_wscale != 0 || c->snd_wscale != 0;
	seg->opt.wscale = c->rcv_wscale;
	seg->window = (uint16_t)min_u32(st->config.rcv_buf, 65535);
	if (!answer)
		seg->opt.ts_ecr = 0;
}

/* Every segment but an RST says the same about what was received. */
static enum emit_status emit(
    struct stack *st, struct tcp_conn *c, struct tcp_segment *seg, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	uint16_t mtu = c->path.mtu;
	enum emit_status status;

	if (c->state == TCP_SYN_SENT) {
		seg->ack = 0;
	} else {
		seg->ack = c->rcv_nxt;
		seg->flags |= TCP_ACK;
		if (!(seg->flags & TCP_SYN))
			seg->window = offer_window(st, c);
	}
	status = ip_emit_tcp(st, &c->path, seg, half->now_ns, out);
	if (status != EMIT_SENT)
		return status;
	count(st, STACK_tcp_segments_sent);
	c->last_ack_sent = c->rcv_nxt;
	c->segs_unacked = 0;
	c->delack_at = 0;
	c->flags &= ~(uint32_t)(CF_ACK_NOW | CF_DSACK);
	if (c->path.mtu != mtu) /* the path was resolved anew */
		conn_set_mss(c);
	return EMIT_SENT;
}

/* Beside n blocks of SACK. */
static uint32_t payload_room(const struct tcp_conn *c, unsigned n_sack)
{
	return n_sack ? c->mss - (4u + 8u * n_sack) : c->mss;
}

/* Sends a record, in several segments where the segment size has shrunk since. */
static enum emit_status emit_rec(
    struct stack *st, struct tcp_conn *c, const struct tx_rec *r, bool last, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	uint32_t done = 0;

	do {
		struct tcp_segment seg;
		uint32_t len;
		enum emit_status status;

		segment_init(st, c, &seg);
		seg.seq = r->seq + done;
		seg.flags = 0;
		if (r->syn) {
			seg.flags |= TCP_SYN;
			fill_syn(c, st, &seg);
		} else {
			fill_sack(half, c, &seg);
		}
		len = min_u32(r->len - done, payload_room(c, seg.opt.n_sack));
		sendq_gather(half, r, done, len, &seg);
		done += len;
		if (done == r->len) {
			seg.flags |= r->fin ? TCP_FIN : 0;
			seg.flags |= last && r->len > 0 ? TCP_PSH : 0;
		}
		status = emit(st, c, &seg, out);
		if (status != EMIT_SENT)
			return status;
	} while (done < r->len);
	c->tick_tx = half->tick;
	return EMIT_SENT;
}

static enum emit_status emit_ack(
    struct stack *st, struct tcp_conn *c, uint32_t seq, struct frame_out *out)
{
	struct tcp_segment seg;

	segment_init(st, c, &seg);
	seg.seq = seq;
	seg.flags = 0;
	fill_sack(st->tcp, c, &seg);
	return emit(st, c, &seg, out);
}

static enum emit_status emit_rst(
    struct stack *st, struct tcp_conn *c, uint32_t seq, bool ack, struct frame_out *out)
{
	struct tcp_segment seg;
	enum emit_status status;

	segment_init(st, c, &seg);
	seg.seq = seq;
	seg.ack = ack ? c->rcv_nxt : 0;
	seg.window = 0;
	seg.flags = (uint8_t)(TCP_RST | (ack ? TCP_ACK : 0));
	status = ip_emit_tcp(st, &c->path, &seg, st->tcp->now_ns, out);
	if (status == EMIT_SENT)
		count(st, STACK_tcp_resets_sent);
	return status;
}

void tcp_emit_reset(struct stack *st, struct tcp_conn *c, uint32_t seq, struct frame_out *out)
{
	(void)emit_rst(st, c, seq, false, out);
}

/* ---- what to send ---- */

static enum emit_status send_lost(
    struct stack *st, struct tcp_conn *c, unsigned *budget, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	uint32_t tail = c->tx_head + c->tx_count;

	if (c->lost_bytes == 0 || c->flags & CF_NEXT_NOW)
		return EMIT_SENT;
	for (; c->rtx_next != tail && *budget > 0; c->rtx_next++) {
		struct tx_rec *r = sendq_rec(half, c, c->rtx_next);
		uint32_t inflight = conn_inflight(c);
		enum emit_status status;

		if (!r->lost || r->retrans || r->sacked)
			continue;
		if (!(c->flags & CF_FORCE) && inflight > 0 && inflight + rec_span(r) > c->cwnd) {
			c->flags |= CF_CWND_LIMITED;
			break;
		}
		/* A window that shrank: only the first is sent beyond it, as a probe. */
		if (c->rtx_next != c->tx_head && seq_lt(c->snd_una + c->snd_wnd, rec_end(r)))
			break;
		status = emit_rec(st, c, r, c->rtx_next + 1 == tail, out);
		if (status != EMIT_SENT)
			return status;
		c->flags &= ~(uint32_t)CF_FORCE;
		r->xmit_us = half->now_us;
		r->ever = 1;
		r->retrans = 1;
		c->retrans_bytes += rec_span(r);
		c->retransmits++;
		if (c->flags & CF_UNDO)
			c->undo_retrans++;
		count(st, STACK_tcp_retransmits);
		(*budget)--;
	}
	return EMIT_SENT;
}

static uint32_t usable_window(const struct tcp_conn *c)
{
	uint32_t edge = c->snd_una + c->snd_wnd;

	return seq_lt(c->snd_nxt, edge) ? edge - c->snd_nxt : 0;
}

/* How much of the unsent to put in one segment now; false: nothing may go. */
static bool next_length(
    const struct tcp_half *half, struct tcp_conn *c, uint32_t *ret_len, bool *ret_fin)
{
	uint32_t window = usable_window(c), inflight = conn_inflight(c), room, len;
	struct tcp_sack_block sack[SACK_MAX];
	bool fin = (c->flags & (CF_FIN_QUEUED | CF_FIN_SENT)) == CF_FIN_QUEUED;

	if ((c->unsent == 0 && !fin) || (c->unsent > 0 && c->held))
		return false;
	room = payload_room(c, sack_blocks(half, c, sack));
	len = min_u32(c->unsent, room);
	if (c->paced)
		len = min_u32(len, pace_room(&half->paces[c->self]));
	if (len > window) {
		len = window;
		if (len == 0 || (len < c->max_wnd / 2 && !(c->flags & CF_FORCE)))
			return false;
	}
	if (len > 0 && inflight > 0 && inflight + len > c->cwnd && !(c->flags & CF_FORCE)) {
		c->flags |= CF_CWND_LIMITED;
		return false;
	}
	fin = fin && len == c->unsent && (window > len || (c->unsent == 0 && c->tx_count == 0));
	*ret_len = len;
	*ret_fin = fin;
	return len > 0 || fin;
}

static enum emit_status send_new(
    struct stack *st, struct tcp_conn *c, unsigned *budget, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	struct tx_rec r;
	uint32_t len;
	bool fin;

	if (c->state == TCP_SYN_SENT && c->snd_nxt == c->snd_una) {
		enum emit_status status;

		if (!sendq_next(half, c, 0, false, &r))
			return EMIT_SENT;
		r.syn = 1;
		r.xmit_us = half->now_us;
		status = emit_rec(st, c, &r, false, out);
		if (status == EMIT_SENT)
			sendq_commit(half, c, &r);
		return status;
	}
	if (c->state < TCP_ESTABLISHED)
		return EMIT_SENT;
	while (*budget > 0 && next_length(half, c, &len, &fin)) {
		enum emit_status status;

		if (!sendq_next(half, c, len, fin, &r)) {
			count(st, STACK_chunks_exhausted);
			break;
		}
		r.xmit_us = half->now_us;
		status = emit_rec(st, c, &r, len == c->unsent, out);
		if (status != EMIT_SENT)
			return status;
		sendq_commit(half, c, &r);
		if (c->paced)
			c->held = pace_took(&half->paces[c->self], len, half->tick);
		c->flags &= ~(uint32_t)(CF_FORCE | CF_PROBED);
		if (fin)
			c->flags |= CF_FIN_SENT;
		(*budget)--;
	}
	c->flags &= ~(uint32_t)CF_NEXT_NOW;
	return EMIT_SENT;
}

/* A byte beyond the closed window (RFC 9293 3.8.6.1). It gets no record: if the peer takes it, the
 * ACK says so and tcp_input.c makes good. */
static enum emit_status send_probe_byte(struct stack *st, struct tcp_conn *c, struct frame_out *out)
{
	struct tcp_segment seg;
	struct tx_rec r;
	enum emit_status status;

	if (!sendq_next(st->tcp, c, 1, false, &r))
		return EMIT_SENT;
	segment_init(st, c, &seg);
	seg.seq = c->snd_nxt;
	seg.flags = 0;
	sendq_gather(st->tcp, &r, 0, 1, &seg);
	status = emit(st, c, &seg, out);
	if (status == EMIT_SENT) {
		c->flags |= CF_PROBED;
		c->flags &= ~(uint32_t)CF_FORCE;
		count(st, STACK_tcp_window_probes);
	}
	return status;
}

enum emit_status tcp_transmit(
    struct stack *st, struct tcp_conn *c, struct frame_out *out, bool *ret_more)
{
	unsigned budget = SEGMENTS_PER_TURN;
	uint32_t outstanding = c->tx_count;
	enum emit_status status;

	*ret_more = false;
	if (c->flags & CF_RST) {
		status = emit_rst(st, c, c->snd_nxt, true, out);
		if (status != EMIT_NO_FRAME) {
			c->flags &= ~(uint32_t)CF_RST;
			conn_free(st, c);
			status = EMIT_SENT;
		}
		return status;
	}
	if (c->state == TCP_CLOSED) { /* in TIME-WAIT already: the ACK of the peer's FIN */
		status = c->flags & CF_ACK_NOW ? emit_ack(st, c, c->snd_nxt, out) : EMIT_SENT;
		if (status != EMIT_NO_FRAME) {
			status = EMIT_SENT;
			if (c->flags & CF_ORPHAN)
				conn_free(st, c);
		}
		return status;
	}
	c->flags &= ~(uint32_t)CF_CWND_LIMITED;
	status = send_lost(st, c, &budget, out);
	if (status == EMIT_SENT)
		status = send_new(st, c, &budget, out);
	if (status == EMIT_SENT && c->flags & CF_FORCE && c->flags & CF_PERSIST && c->unsent > 0 &&
	    !c->held)
		status = send_probe_byte(st, c, out);
	c->flags &= ~(uint32_t)CF_FORCE;
	/* Without SACK it takes three duplicate ACKs, not one, to tell the peer of a hole. */
	while (status == EMIT_SENT && c->dup_acks_owed > 1 && !(c->flags & CF_SACK)) {
		status = emit_ack(st, c, c->snd_nxt, out);
		c->dup_acks_owed--;
		c->flags |= CF_ACK_NOW;
	}
	if (status == EMIT_SENT && c->flags & CF_ACK_NOW)
		status = emit_ack(st, c, c->snd_nxt, out);
	if (status == EMIT_SENT)
		c->dup_acks_owed = 0;
	/* One octet left of the window asks for an ACK (RFC 9293 3.8.4). */
	if (status == EMIT_SENT && c->flags & CF_KEEP_PROBE) {
		status = emit_ack(st, c, c->snd_una - 1, out);
		if (status == EMIT_SENT) {
			c->flags &= ~CF_KEEP_PROBE;
			count(st, STACK_tcp_keepalive_probes);
		}
	}
	/* Slow start may go on while at least half of the window is used. */
	if (c->cwnd < c->ssthresh && conn_inflight(c) * 2 > c->cwnd)
		c->flags |= CF_CWND_LIMITED;
	if (c->tx_count > 0 ? outstanding == 0 || c->rto_at == 0
			    : conn_outstanding(c) && c->rto_at == 0)
		tcp_restart_rto(st, c);
	if (c->tx_count != outstanding)
		tcp_set_probe(st, c);
	conn_rearm(st->tcp, c);
	*ret_more = budget == 0;
	return status;
}
