/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens when a connection's deadlines pass: retransmission (RFC 6298), the tail loss probe
 * and the reordering timer (RFC 8985), zero-window probes, the delayed ACK, keep-alive, and the one
 * that ends it (connect, user time-out, FIN-WAIT-2 of an orphan share `life_at`: no state needs
 * two). They only mark; the output of the same turn sends.
 */
#include "rack.h"

#include "cc.h"
#include "rtt.h"

void tcp_restart_rto(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;

	c->flags &= ~(uint32_t)CF_PERSIST;
	if (!conn_outstanding(c)) {
		c->rto_at = c->probe_at = 0;
		c->flags &= ~(uint32_t)CF_REO_TIMER;
		if (c->state >= TCP_ESTABLISHED && c->state != TCP_FIN_WAIT_2)
			c->life_at = 0;
		return;
	}
	if (c->tx_count == 0)
		c->flags |= CF_PERSIST;
	c->rto_at = tick_after_us(half, rtt_rto_us(c));
	if (c->life_at == 0)
		c->life_at = tick_after_ms(half, st->config.user_timeout_ms);
}

void tcp_set_probe(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;
	uint64_t us;

	if (c->flags & CF_REO_TIMER)
		return;
	c->probe_at = 0;
	if (!(c->flags & CF_SACK) || c->ca_state != CA_OPEN || c->tx_count == 0 || c->n_sacked ||
	    c->flags & CF_TLP || c->backoff || c->srtt_us == 0 || c->state < TCP_ESTABLISHED)
		return;
	us = 2 * (uint64_t)c->srtt_us;
	/* A lone segment may meet a delayed ACK. */
	us += c->tx_count == 1 ? 200000 : 2000;
	c->probe_at = tick_after_us(half, us);
	if (c->rto_at && (int32_t)(c->probe_at - c->rto_at) > 0)
		c->probe_at = c->rto_at; /* in its place: cheaper for the window */
}

static void probe_tail(struct stack *st, struct tcp_conn *c)
{
	uint32_t last = c->tx_head + c->tx_count - 1, edge = c->snd_una + c->snd_wnd;

	if (c->tx_count == 0)
		return;
	c->flags |= CF_TLP | CF_FORCE;
	if (c->unsent > 0 && !c->paced && seq_leq(c->snd_nxt + min_u32(c->unsent, c->mss), edge)) {
		c->flags &= ~(uint32_t)CF_TLP_RETRANS;
		c->tlp_end = c->snd_nxt + min_u32(c->unsent, c->mss);
	} else {
		c->flags |= CF_TLP_RETRANS;
		c->tlp_end = c->snd_nxt;
		rec_mark_lost(c, sendq_rec(st->tcp, c, last), last);
	}
	count(st, STACK_tcp_tail_probes);
	tcp_restart_rto(st, c);
	conn_want_output(st, c);
}

static void rto_fired(struct stack *st, struct tcp_conn *c)
{
	c->rto_at = 0;
	if (!conn_outstanding(c))
		return;
	if (c->backoff < 15)
		c->backoff++;
	if (c->tx_count > 0) {
		count(st, STACK_tcp_timeouts);
		tcp_enter_loss(st, c);
	}
	c->flags |= CF_FORCE;
	tcp_restart_rto(st, c);
	conn_want_output(st, c);
}

static void keepalive_fired(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;
	uint32_t due = c->tick_rx + (tick_after_ms(half, st->config.keepalive_ms) - half->tick);

	c->keep_at = 0;
	if (!(c->flags & CF_KEEPALIVE) || c->state < TCP_ESTABLISHED)
		return;
	if ((int32_t)(half->tick - due) < 0) { /* heard from meanwhile */
		c->keep_probes = 0;
		c->keep_at = due ? due : 1;
		return;
	}
	if (c->keep_probes == KEEPALIVE_PROBES) {
		count(st, STACK_tcp_keepalive_ended);
		conn_end(st, c, TCP_EV_TIMEOUT);
		return;
	}
	c->keep_at = tick_after_ms(half, KEEPALIVE_STEP_MS);
	if (conn_outstanding(c)) /* the time-out asks already */
		return;
	c->keep_probes++;
	c->flags |= CF_KEEP_PROBE;
	conn_want_output(st, c);
}

static void life_over(struct stack *st, struct tcp_conn *c)
{
	count(st, c->state == TCP_FIN_WAIT_2 ? STACK_tcp_fin_wait2_ended
		  : c->state == TCP_SYN_SENT ? STACK_tcp_connect_ended
					     : STACK_tcp_user_timeouts);
	conn_end(st, c, TCP_EV_TIMEOUT);
}

void tcp_timers(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;

	if (c->state == TCP_CLOSED)
		return;
	if (tick_due(half, c->life_at)) {
		life_over(st, c);
		return;
	}
	if (tick_due(half, c->keep_at)) {
		keepalive_fired(st, c);
		if (c->state == TCP_CLOSED)
			return;
	}
	if (c->paced && tick_due(half, half->paces[c->self].at)) {
		pace_over(&half->paces[c->self]);
		c->held = 0;
		if (c->unsent > 0)
			conn_want_output(st, c);
	}
	if (tick_due(half, c->delack_at)) {
		c->delack_at = 0;
		c->flags |= CF_ACK_NOW;
		conn_want_output(st, c);
	}
	if (tick_due(half, c->probe_at) && !(c->flags & CF_REO_TIMER)) {
		c->probe_at = 0;
		probe_tail(st, c);
	} else if (tick_due(half, c->rto_at)) {
		rto_fired(st, c);
	} else if (tick_due(half, c->probe_at)) {
		c->probe_at = 0;
		if (rack_detect(half, c)) {
			if (c->ca_state == CA_OPEN)
				tcp_enter_recovery(half, c);
			conn_want_output(st, c);
		}
	}
	conn_rearm(half, c);
}
