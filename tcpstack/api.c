/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner's side of a connection: tcpstack.h's tcp_* functions, the ready queue and the owner's
 * timers. They change queues and marks; segments leave with the turn's output.
 */
#include "conn.h"

#include "cc.h"
#include "reasm.h"
#include "sendq.h"
#include "siphash.h"

#include <errno.h>

/* ---- events and timers ---- */

struct tcp_conn *stack_next_ready(struct stack *st, unsigned *ret_events)
{
	struct tcp_half *half = st->tcp;
	struct tcp_conn *c;

	if (!half->ready.head)
		return NULL;
	c = &half->conns[half->ready.head];
	conn_list_remove(half, &half->ready, c, LINK_READY);
	*ret_events = c->events;
	c->events = 0;
	return c;
}

void stack_timer_set(struct stack *st, struct stack_timer *t, uint64_t deadline_ns)
{
	wheel_set(&st->tcp->owner_wheel, t, deadline_ns);
}

void stack_timer_cancel(struct stack *st, struct stack_timer *t)
{
	wheel_cancel(&st->tcp->owner_wheel, t);
}

unsigned stack_timers_run(struct stack *st, uint64_t now_ns, unsigned limit, void *arg)
{
	struct stack_timer *t;
	unsigned n = 0;

	half_clock(st->tcp, now_ns);
	while (n < limit && (t = wheel_pop(&st->tcp->owner_wheel, now_ns)) != NULL) {
		t->fire(t, now_ns, arg);
		n++;
	}
	return n;
}

void *tcp_user(const struct tcp_conn *c)
{
	return c->user;
}

void tcp_set_user(struct tcp_conn *c, void *user)
{
	c->user = user;
}

/* ---- reading ---- */

/* An owner that keeps up and empties half the buffer each round trip is given more of it. */
static void tune_window(struct stack *st, struct tcp_conn *c, uint32_t n)
{
	uint16_t now = (uint16_t)st->tcp->tick;
	uint32_t rtt_ticks =
	    (uint32_t)((uint64_t)(c->srtt_us ? c->srtt_us : 100000) * 1000 >> WHEEL_SHIFT);

	if (c->window_fixed || c->rcv_limit >= st->config.rcv_buf)
		return;
	if ((uint16_t)(now - c->tune_tick) > rtt_ticks) {
		c->tune_read = 0;
		c->tune_tick = now;
	}
	c->tune_read += n;
	if (c->tune_read > c->rcv_limit / 2) {
		c->rcv_limit = min_u32(c->rcv_limit * 2, st->config.rcv_buf);
		c->tune_tick = now;
		c->tune_read = 0;
	}
}

size_t tcp_unread(const struct tcp_conn *c)
{
	return c->unread;
}

size_t tcp_peek(struct tcp_conn *c, const uint8_t **ret_data)
{
	const struct chunk *k;

	if (c->unread == 0)
		return 0;
	k = chunk_at(&conn_half(c)->chunks, c->rcv_head);
	*ret_data = k->data + k->start;
	return (size_t)(k->end - k->start);
}

void tcp_consume(struct stack *st, struct tcp_conn *c, size_t n)
{
	struct tcp_half *half = st->tcp;
	size_t left = n;

	assert(n <= c->unread);
	c->unread -= (uint32_t)n;
	while (left > 0) {
		struct chunk *k = chunk_at(&half->chunks, c->rcv_head);
		size_t m = (size_t)(k->end - k->start) < left ? (size_t)(k->end - k->start) : left;
		uint32_t next = k->next;

		k->start = (uint16_t)(k->start + m);
		left -= m;
		if (k->start < k->end)
			break;
		chunk_put(&half->chunks, c->rcv_head);
		c->rcv_head = next;
		if (next == 0)
			c->rcv_tail = 0;
	}
	if (c->state == TCP_CLOSED)
		return;
	tune_window(st, c, (uint32_t)n);
	if (!(c->flags & CF_FIN_RCVD) && tcp_window_worth_telling(half, c)) {
		c->flags |= CF_ACK_NOW;
		conn_want_output(st, c);
	}
}

void tcp_set_window(struct stack *st, struct tcp_conn *c, uint32_t bytes)
{
	c->rcv_limit = min_u32(bytes, st->config.rcv_buf);
	c->window_fixed = 1;
	if (c->state >= TCP_ESTABLISHED && tcp_window_worth_telling(st->tcp, c)) {
		c->flags |= CF_ACK_NOW;
		conn_want_output(st, c);
	}
}

/* ---- writing ---- */

void tcp_set_pace(struct stack *st, struct tcp_conn *c, uint32_t bytes, uint32_t interval_ms)
{
	struct tcp_half *half = st->tcp;
	struct conn_pace *p = &half->paces[c->self];

	if (c->state == TCP_CLOSED)
		return;
	if (bytes == 0 || interval_ms == 0) {
		c->paced = c->held = 0;
	} else {
		if (!c->paced)
			pace_over(p); /* whatever an earlier connection left here */
		c->held = pace_set(p, bytes, tick_after_ms(half, interval_ms) - half->tick);
		c->paced = 1;
	}
	if (c->unsent > 0 && !c->held)
		conn_want_output(st, c);
}

static bool may_write(const struct tcp_conn *c)
{
	if (c->flags & CF_FIN_QUEUED)
		return false;
	return c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT ||
	       c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED;
}

size_t tcp_unsent_or_unacked(const struct tcp_conn *c)
{
	return c->state == TCP_CLOSED ? 0 : conn_queued(c);
}

size_t tcp_write_space(const struct stack *st, const struct tcp_conn *c)
{
	uint32_t queued = conn_queued(c), room;
	uint64_t memory;

	if (!may_write(c) || queued >= st->config.snd_buf)
		return 0;
	room = st->config.snd_buf - queued;
	/* What the pool has, or a reply that was found to fit would be cut in the middle. */
	memory = (uint64_t)chunk_left(&st->tcp->chunks, CHUNK_SEND) * CHUNK_DATA;
	if (c->snd_tail)
		memory += CHUNK_DATA - chunk_at(&st->tcp->chunks, c->snd_tail)->end;
	return memory < room ? (uint32_t)memory : room;
}

static void wait_for_memory(struct tcp_half *half, struct tcp_conn *c)
{
	conn_list_append(half, &half->memory, c, LINK_MEMORY);
	half->hungry = true;
}

void tcp_want_write(struct stack *st, struct tcp_conn *c)
{
	if (!may_write(c))
		return;
	c->flags |= CF_WANT_WRITE;
	if (!conn_send_full(st, c)) /* else an ACK will tell */
		wait_for_memory(st->tcp, c);
}

size_t tcp_write(struct stack *st, struct tcp_conn *c, const void *data, size_t len)
{
	struct tcp_half *half = st->tcp;
	uint32_t queued = conn_queued(c), n, done;

	if (!may_write(c) || len == 0)
		return 0;
	n = queued < st->config.snd_buf ? st->config.snd_buf - queued : 0;
	if (len < n)
		n = (uint32_t)len;
	if (queued == 0 && half->tick - c->tick_tx > tick_after_us(half, c->rto_us) - half->tick)
		cc_on_idle(c);
	done = sendq_write(half, c, data, n);
	if (done < n) {
		count(st, STACK_chunks_exhausted);
		wait_for_memory(half, c);
	}
	if (done < len)
		c->flags |= CF_WANT_WRITE;
	if (done > 0) {
		c->flags |= CF_TELL_SENT;
		conn_want_output(st, c);
	}
	return done;
}

/* ---- ending ---- */

void tcp_shutdown(struct stack *st, struct tcp_conn *c)
{
	if (c->flags & CF_FIN_QUEUED || c->state == TCP_CLOSED)
		return;
	c->flags |= CF_FIN_QUEUED;
	if (c->state == TCP_ESTABLISHED)
		c->state = TCP_FIN_WAIT_1;
	else if (c->state == TCP_CLOSE_WAIT)
		c->state = TCP_LAST_ACK;
	conn_want_output(st, c);
}

void tcp_close(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;

	assert(!(c->flags & CF_ORPHAN));
	if (c->state == TCP_SYN_SENT ||
	    (c->state == TCP_CLOSED && !(c->flags & CF_ACK_NOW && conn_listed(half, c, LINK_OUT)))) {
		conn_free(st, c);
		return;
	}
	c->flags &= ~(uint32_t)(CF_KEEPALIVE | CF_WANT_WRITE | CF_TELL_SENT);
	c->events = 0;
	conn_list_remove(half, &half->ready, c, LINK_READY);
	conn_orphan(st, c);
	chunk_put_list(&half->chunks, c->rcv_head);
	c->rcv_head = c->rcv_tail = 0;
	c->unread = 0;
	reasm_clear(st, c);
	tcp_set_pace(st, c, 0, 0);
	if (c->state == TCP_CLOSED) /* its last ACK leaves, then it is gone */
		return;
	if (c->state == TCP_FIN_WAIT_2) {
		c->life_at = tick_after_ms(half, FIN_WAIT2_MS);
		conn_rearm(half, c);
	}
	tcp_shutdown(st, c);
}

void tcp_abort(struct stack *st, struct tcp_conn *c)
{
	assert(!(c->flags & CF_ORPHAN));
	conn_abort(st, c);
}

void tcp_set_keepalive(struct stack *st, struct tcp_conn *c, bool on)
{
	if (!on) {
		c->flags &= ~(uint32_t)CF_KEEPALIVE;
		c->keep_at = 0;
		return;
	}
	c->flags |= CF_KEEPALIVE;
	if (c->state >= TCP_ESTABLISHED) {
		c->keep_at = tick_after_ms(st->tcp, st->config.keepalive_ms);
		conn_rearm(st->tcp, c);
	}
}

/* ---- connecting ---- */

/* RFC 6528: a 4 us clock and a keyed hash of the flow. */
static uint32_t client_isn(const struct stack *st, const struct flow_key *key)
{
	uint8_t in[36];

	memcpy(in, key->local.b, 16);
	memcpy(in + 16, key->remote.b, 16);
	memcpy(in + 32, &key->local_port, 2);
	memcpy(in + 34, &key->remote_port, 2);
	return (uint32_t)(st->tcp->now_ns >> 12) +
	       (uint32_t)siphash24(st->config.secrets.isn_key, in, sizeof(in));
}

/* One offset per pair of addresses, so that timestamps rise over connections (RFC 7323 7.1 and
 * RFC 6191) and do not tell how long we have been up. */
static uint32_t client_ts_offset(const struct stack *st, const struct flow_key *key)
{
	uint8_t in[32];

	memcpy(in, key->local.b, 16);
	memcpy(in + 16, key->remote.b, 16);
	return (uint32_t)siphash24(st->config.secrets.isn_key, in, sizeof(in));
}

/*
 * RFC 6056 algorithm 4 in spirit: a keyed start per destination, then on by steps. At most
 * PORT_TRIES are looked at; the next connect goes on where this one gave up, so that ports in use in
 * a row cost each connect a bound and all of them together one round.
 */
static bool choose_port(struct stack *st, struct flow_key *key)
{
	struct tcp_half *half = st->tcp;
	uint32_t step = st->config.ephemeral_step ? st->config.ephemeral_step : 1;
	uint32_t n, at, tries;

	if (st->config.ephemeral_first == 0 ||
	    st->config.ephemeral_last < st->config.ephemeral_first)
		return false;
	n = (st->config.ephemeral_last - st->config.ephemeral_first) / step + 1u;
	at = (uint32_t)((client_ts_offset(st, key) + half->port_counter) % n);
	tries = min_u32(n, PORT_TRIES);
	for (uint32_t i = 0; i < tries; i++, at = at + 1 == n ? 0 : at + 1) {
		struct tw_entry *e;

		half->port_counter++;
		key->local_port = (uint16_t)(st->config.ephemeral_first + at * step);
		key->hash = flow_hash(
		    &half->flows, &key->local, key->local_port, &key->remote, key->remote_port);
		if (conn_find(half, key, &e))
			continue;
		if (!e)
			return true;
		/* Ours to take again after a second, with timestamps: the peer sees a newer one. */
		if (e->timestamps && half->now_ns - e->since_ns > 1000000000u) {
			timewait_remove(&half->tw, &half->flows, e);
			count(st, STACK_timewait_reused);
			return true;
		}
	}
	return false;
}

int tcp_connect(
    struct stack *st, const struct tcp_connect *req, uint64_t now_ns, struct tcp_conn **ret_conn)
{
	struct tcp_half *half = st->tcp;
	struct flow_key key = {
		.local = req->src,
		.remote = req->dst,
		.remote_port = req->dst_port,
	};
	struct ip_path path;
	struct tcp_conn *c;
	bool own = req->transparent;

	half_clock(half, now_ns);
	for (unsigned i = 0; i < st->config.n_addrs && !own; i++)
		own = ip_addr_eq(&st->config.addrs[i].addr, &req->src);
	if (!own || ip_addr_is_v4(&req->src) != ip_addr_is_v4(&req->dst))
		return -EADDRNOTAVAIL;
	if (ip_path_resolve(st, &req->dst, now_ns, &path) < 0)
		return -ENETUNREACH;
	if (!conn_room(st, true))
		return -ENOBUFS;
	if (!choose_port(st, &key)) {
		count(st, STACK_tcp_ports_exhausted);
		return -EADDRNOTAVAIL;
	}
	c = conn_new(st, &key, true);
	c->path = path;
	c->user = req->user;
	c->state = TCP_SYN_SENT;
	c->flags |= CF_TS | CF_SACK;
	c->snd_una = c->snd_nxt = client_isn(st, &key);
	c->ts_offset = client_ts_offset(st, &key);
	c->rcv_wscale = conn_wscale_for(st->config.rcv_buf);
	conn_set_mss(c);
	cc_init(c);
	c->life_at = tick_after_ms(half, req->timeout_ms ? req->timeout_ms : 30000);
	conn_rearm(half, c);
	count(st, STACK_tcp_connects);
	conn_want_output(st, c);
	*ret_conn = c;
	return 0;
}

void tcp_get_info(const struct tcp_conn *c, struct tcp_info *ret_info)
{
	/* 32 bits of it are kept, half a millisecond each */
	uint64_t tick = conn_half(c)->now_ns >> WHEEL_SHIFT;
	uint64_t opened = tick - (uint32_t)((uint32_t)tick - c->tick_opened);

	*ret_info = (struct tcp_info){
		.local = c->key.local,
		.remote = c->key.remote,
		.local_port = c->key.local_port,
		.remote_port = c->key.remote_port,
		.listener = c->listener,
		.mss = c->mss,
		.client_role = c->flags & CF_CLIENT,
		.timestamps = c->flags & CF_TS,
		.sack = c->flags & CF_SACK,
		.snd_wscale = c->snd_wscale,
		.rcv_wscale = c->rcv_wscale,
		.syn_ttl = c->syn_ttl,
		.srtt_us = c->srtt_us,
		.opened_ns = opened << WHEEL_SHIFT,
		.retransmits = c->retransmits,
	};
}
