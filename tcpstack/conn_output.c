/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The second half of a turn: memory given back under pressure, connections that waited for it or for
 * a neighbour, timers, and everything that is queued to be sent.
 */
#include "conn.h"
#include "reasm.h"

/* ---- memory pressure ---- */

void conn_leave_memory_list(struct tcp_half *half, struct tcp_conn *c)
{
	if (!c->ooo_head && !(c->flags & (CF_WND_HELD | CF_WANT_WRITE)))
		conn_list_remove(half, &half->memory, c, LINK_MEMORY);
}

bool conn_relieve_pressure(struct stack *st)
{
	struct tcp_half *half = st->tcp;
	uint32_t next;

	for (uint32_t i = half->memory.head, n = 0; i && n < 4096; i = next, n++) {
		struct tcp_conn *c = &half->conns[i];

		next = c->link[LINK_MEMORY].next;
		if (!c->ooo_head)
			continue;
		reasm_clear(st, c);
		count(st, STACK_reasm_evicted);
		if (chunk_allowed(&half->chunks, CHUNK_IN_ORDER))
			return true;
	}
	return false;
}

static bool can_feed(const struct tcp_half *half)
{
	uint32_t left = chunk_free_count(&half->chunks);

	return half->hungry && left >= FEED_LEAST && left > half->chunks.max / 32;
}

/* Writers first, who give memory back; windows open when there is plenty. */
void conn_feed_starved(struct stack *st)
{
	struct tcp_half *half = st->tcp;
	bool plenty = chunk_free_count(&half->chunks) > half->chunks.max / 4;
	uint32_t last = half->memory.tail, next;

	if (!can_feed(half))
		return;
	half->hungry = false;
	for (uint32_t i = half->memory.head, n = 0; i; i = next, n++) {
		struct tcp_conn *c = &half->conns[i];
		uint32_t flags = c->flags & (CF_WANT_WRITE | (plenty ? (uint32_t)CF_WND_HELD : 0));

		if (n == FEED_LOOKS) {
			half->hungry = true;
			break;
		}
		next = i == last ? 0 : c->link[LINK_MEMORY].next;
		if (conn_send_full(st, c))
			flags &= ~(uint32_t)CF_WANT_WRITE; /* its own bound: an ACK will tell */
		/* What holds data still, or waits on, goes to the end, so that all have their turn. */
		c->flags &= ~flags;
		conn_list_remove(half, &half->memory, c, LINK_MEMORY);
		if (c->ooo_head || c->flags & CF_WND_HELD)
			conn_list_append(half, &half->memory, c, LINK_MEMORY);
		half->hungry = half->hungry || c->flags & CF_WND_HELD;
		if (flags & CF_WND_HELD && c->state != TCP_CLOSED &&
		    tcp_window_worth_telling(half, c)) {
			c->flags |= CF_ACK_NOW;
			conn_want_output(st, c);
		}
		if (flags & CF_WANT_WRITE)
			conn_tell(st, c, TCP_EV_WRITE);
	}
}

/* ---- the turn's output ---- */

static void run_timers(struct stack *st)
{
	struct tcp_half *half = st->tcp;
	uint32_t i;
	unsigned limit = TIMERS_PER_TURN;

	while (limit-- > 0 && (i = index_wheel_pop(&half->wheel, half->now_ns)) != 0)
		tcp_timers(st, &half->conns[i]);
	timewait_expire(&half->tw, &half->flows, half->now_ns, TIMERS_PER_TURN);
}

static void stall(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;

	conn_list_remove(half, &half->out, c, LINK_OUT);
	if (!half->stalled.head)
		half->stalled_until_ns = half->now_ns + STALL_MS * 1000000u;
	c->flags |= CF_STALLED;
	conn_list_append(half, &half->stalled, c, LINK_OUT);
}

static void unstall(struct stack *st)
{
	struct tcp_half *half = st->tcp;

	if (!half->stalled.head || half->now_ns < half->stalled_until_ns)
		return;
	while (half->stalled.head) {
		struct tcp_conn *c = &half->conns[half->stalled.head];

		conn_list_remove(half, &half->stalled, c, LINK_OUT);
		c->flags &= ~CF_STALLED;
		conn_list_append(half, &half->out, c, LINK_OUT);
	}
}

void conn_neighbour_known(struct stack *st)
{
	st->tcp->stalled_until_ns = 0;
}

void conn_output(struct stack *st, uint64_t now_ns, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	uint32_t last;

	half_clock(half, now_ns);
	run_timers(st);
	unstall(st);
	conn_feed_starved(st);
	half->out_full = false;
	last = half->out.tail;
	while (half->out.head) {
		uint32_t i = half->out.head;
		struct tcp_conn *c = &half->conns[i];
		bool more;
		enum emit_status status = tcp_transmit(st, c, out, &more);

		if (status == EMIT_NO_FRAME) { /* it keeps its place */
			half->out_full = true;
			count(st, STACK_tcp_output_waits);
			break;
		}
		if (half->out.head == i) { /* not freed */
			if (status != EMIT_SENT) {
				stall(st, c);
			} else {
				conn_list_remove(half, &half->out, c, LINK_OUT);
				if (more) /* the others first */
					conn_list_append(half, &half->out, c, LINK_OUT);
			}
		}
		if (i == last)
			break;
	}
}

uint64_t conn_next_deadline(const struct stack *st)
{
	const struct tcp_half *half = st->tcp;
	uint64_t least = wheel_clock_next(&half->wheel.clock), at = wheel_next(&half->owner_wheel);

	if (half->out.head || half->ready.head)
		return half->now_ns;
	least = at < least ? at : least;
	at = timewait_deadline(&half->tw);
	least = at < least ? at : least;
	if (half->stalled.head && half->stalled_until_ns < least)
		least = half->stalled_until_ns;
	if (can_feed(half) && half->now_ns + FEED_MS * 1000000u < least)
		least = half->now_ns + FEED_MS * 1000000u;
	return least;
}
