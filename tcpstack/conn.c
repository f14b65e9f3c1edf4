/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of connections: the pool, the lists, the way in from the IP half and the way out of it.
 * Connections come from conn_from_cookie() or tcp_connect() and go by conn_free(); everything
 * else in the TCP half changes one that exists.
 */
#include "conn.h"

#include "cc.h"
#include "reasm.h"
#include "rtt.h"
#include "rack.h"
#include "sendq.h"

#include <errno.h>
#include <stdlib.h>

/* ---- tables ---- */

int tcp_half_new(const struct stack_config *config, uint64_t now_ns, struct tcp_half **ret_half)
{
	struct tcp_half *half = aligned_alloc(64, (sizeof(*half) + 63) & ~(size_t)63);
	size_t conns_size = ((size_t)config->max_conns + 1) * sizeof(struct tcp_conn);
	int ret = -ENOMEM;

	if (!half)
		return -ENOMEM;
	memset(half, 0, sizeof(*half));
	half_clock(half, now_ns);
	wheel_init(&half->owner_wheel, now_ns);
	half->max_conns = config->max_conns;
	half->max_servers = config->max_conns - config->max_conns / CLIENT_SHARE;
	half->max_orphans = max_u32(config->max_conns / ORPHAN_SHARE, 1);
	half->conns = aligned_alloc(64, (conns_size + 63) & ~(size_t)63);
	if (!half->conns)
		goto fail_conns;
	memset(&half->conns[0], 0, sizeof(half->conns[0]));
	half->conns[0].user = half;
	index_wheel_init(&half->wheel, &half->conns[0].timer, sizeof(half->conns[0]), now_ns);
	ret = chunk_pool_init(&half->chunks, config->max_chunks);
	if (ret < 0)
		goto fail_chunks;
	ret = timewait_init(&half->tw, config->max_timewait, config->msl_ms);
	if (ret < 0)
		goto fail_timewait;
	ret = flow_table_init(
	    &half->flows, config->max_conns + config->max_timewait, config->secrets.hash_key);
	if (ret < 0)
		goto fail_flows;
	*ret_half = half;
	return 0;

fail_flows:
	timewait_fini(&half->tw);
fail_timewait:
	chunk_pool_fini(&half->chunks);
fail_chunks:
	free(half->conns);
fail_conns:
	free(half);
	return ret;
}

struct tcp_half *tcp_half_free(struct tcp_half *half)
{
	if (!half)
		return NULL;
	flow_table_fini(&half->flows);
	timewait_fini(&half->tw);
	chunk_pool_fini(&half->chunks);
	free(half->conns);
	free(half);
	return NULL;
}

void tcp_half_usage(const struct tcp_half *half, struct stack_usage *ret_usage)
{
	ret_usage->conns = half->n_conns;
	ret_usage->timewait = half->tw.used;
	ret_usage->chunks_used = half->chunks.used;
	ret_usage->chunks_max = half->chunks.max;
}

/* ---- lists ---- */

void conn_list_append(
    struct tcp_half *half, struct conn_list *list, struct tcp_conn *c, enum conn_list_id id)
{
	uint32_t i = conn_index(half, c);

	if (conn_listed(half, c, id))
		return;
	c->link[id].prev = list->tail;
	c->link[id].next = 0;
	if (list->tail)
		half->conns[list->tail].link[id].next = i;
	else
		list->head = i;
	list->tail = i;
}

void conn_list_remove(
    struct tcp_half *half, struct conn_list *list, struct tcp_conn *c, enum conn_list_id id)
{
	struct conn_link *l = &c->link[id];

	if (!conn_listed(half, c, id))
		return;
	if (l->prev)
		half->conns[l->prev].link[id].next = l->next;
	else
		list->head = l->next;
	if (l->next)
		half->conns[l->next].link[id].prev = l->prev;
	else
		list->tail = l->prev;
	l->prev = conn_index(half, c);
}

void conn_tell(struct stack *st, struct tcp_conn *c, unsigned events)
{
	if (c->flags & CF_ORPHAN || events == 0)
		return;
	c->events |= (uint8_t)events;
	conn_list_append(st->tcp, &st->tcp->ready, c, LINK_READY);
}

void conn_want_output(struct stack *st, struct tcp_conn *c)
{
	if (c->flags & CF_STALLED) /* next hop unresolved: tried again with the others there */
		return;
	conn_list_append(st->tcp, &st->tcp->out, c, LINK_OUT);
}

void conn_rearm(struct tcp_half *half, struct tcp_conn *c)
{
	const uint32_t at[] = { c->rto_at, c->probe_at, c->delack_at, c->life_at, c->keep_at };
	int32_t least = INT32_MAX;
	uint32_t tick;

	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		if (at[i] != 0 && (int32_t)(at[i] - half->tick) < least)
			least = (int32_t)(at[i] - half->tick);
	}
	if (least == INT32_MAX)
		return; /* an armed entry fires for nothing and is gone */
	tick = half->tick + (uint32_t)least;
	if (c->timer.tick == 0 || (int32_t)(tick - c->timer.tick) < 0)
		index_wheel_set(&half->wheel, c->self, tick);
}

/* ---- coming and going ---- */

bool conn_room(struct stack *st, bool client)
{
	const struct tcp_half *half = st->tcp;

	/* What listeners are sent must not block the way to the backends: that share is kept. */
	if (half->n_conns < half->max_conns &&
	    (client || half->n_conns - half->n_clients < half->max_servers))
		return true;
	count(st, STACK_conn_table_full);
	return false;
}

struct tcp_conn *conn_new(struct stack *st, const struct flow_key *key, bool client)
{
	struct tcp_half *half = st->tcp;
	uint32_t i = half->free_head;
	struct tcp_conn *c;

	if (!conn_room(st, client))
		return NULL;
	if (i)
		half->free_head = half->conns[i].link[0].next;
	else
		i = ++half->fresh;
	half->n_conns++;
	half->n_clients += client;
	c = &half->conns[i];
	memset(c, 0, sizeof(*c));
	c->self = i;
	for (unsigned id = 0; id < N_LINKS; id++)
		c->link[id].prev = i;
	c->key = *key;
	c->tick_rx = c->tick_tx = c->tick_opened = half->tick;
	c->rcv_limit = min_u32(st->config.rcv_buf, 65535);
	c->flags = ip_addr_is_v4(&key->remote) ? CF_V4 : 0;
	c->flags |= client ? CF_CLIENT : 0;
	rtt_init(c);
	flow_insert(&half->flows, key->hash, i);
	return c;
}

static void drop_queues(struct stack *st, struct tcp_conn *c)
{
	sendq_clear(st->tcp, c);
	reasm_clear(st, c);
}

static void orphan_remove(struct tcp_half *half, struct tcp_conn *c)
{
	if (!(c->flags & CF_ORPHAN) || !conn_listed(half, c, LINK_ORPHAN))
		return;
	conn_list_remove(half, &half->orphans, c, LINK_ORPHAN);
	half->n_orphans--;
}

/* Nobody waits for an orphan any more, and a peer that never acknowledges could hold its place for
 * the whole user time-out: beyond their share the oldest is reset. */
void conn_orphan(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;

	c->flags |= CF_ORPHAN;
	conn_list_append(half, &half->orphans, c, LINK_ORPHAN);
	if (++half->n_orphans <= half->max_orphans)
		return;
	count(st, STACK_tcp_orphans_reset);
	conn_abort(st, &half->conns[half->orphans.head]);
}

void conn_free(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;
	uint32_t i = conn_index(half, c);

	if (!(c->flags & CF_UNHASHED))
		flow_remove(&half->flows, c->key.hash, i);
	drop_queues(st, c);
	chunk_put_list(&half->chunks, c->rcv_head);
	index_wheel_cancel(&half->wheel, c->self);
	conn_list_remove(half, c->flags & CF_STALLED ? &half->stalled : &half->out, c, LINK_OUT);
	orphan_remove(half, c);
	conn_list_remove(half, &half->ready, c, LINK_READY);
	conn_list_remove(half, &half->memory, c, LINK_MEMORY);
	half->n_clients -= c->flags & CF_CLIENT ? 1 : 0;
	c->state = TCP_CLOSED;
	c->flags = CF_UNHASHED;
	c->link[0].next = half->free_head;
	half->free_head = i;
	half->n_conns--;
}

static void timers_off(struct tcp_half *half, struct tcp_conn *c)
{
	c->rto_at = c->probe_at = c->delack_at = c->life_at = c->keep_at = 0;
	index_wheel_cancel(&half->wheel, c->self);
}

void conn_end(struct stack *st, struct tcp_conn *c, unsigned events)
{
	struct tcp_half *half = st->tcp;

	if (c->flags & CF_ORPHAN) {
		conn_free(st, c);
		return;
	}
	if (!(c->flags & CF_UNHASHED))
		flow_remove(&half->flows, c->key.hash, conn_index(half, c));
	drop_queues(st, c);
	timers_off(half, c);
	c->state = TCP_CLOSED;
	c->flags = (c->flags & ~(uint32_t)(CF_ACK_NOW | CF_WANT_WRITE | CF_TELL_SENT)) | CF_UNHASHED;
	conn_tell(st, c, events);
}

void conn_enter_timewait(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;
	bool evicted;
	struct tw_entry *e;

	flow_remove(&half->flows, c->key.hash, conn_index(half, c));
	c->flags |= CF_UNHASHED;
	e = timewait_add(&half->tw, &half->flows, &c->key, half->now_ns, &evicted);
	if (evicted)
		count(st, STACK_timewait_evicted);
	e->snd_nxt = c->snd_nxt;
	e->rcv_nxt = c->rcv_nxt;
	e->ts_recent = c->ts_recent;
	e->ts_offset = c->ts_offset;
	e->timestamps = c->flags & CF_TS;
	e->window = (uint16_t)min_u32((c->rcv_adv - c->rcv_nxt) >> c->rcv_wscale, 65535);
	drop_queues(st, c);
	timers_off(half, c);
	c->state = TCP_CLOSED;
	if (!(c->flags & CF_ACK_NOW) && c->flags & CF_ORPHAN)
		conn_free(st, c);
}

void conn_abort(struct stack *st, struct tcp_conn *c)
{
	if (c->state == TCP_CLOSED || c->state == TCP_SYN_SENT) {
		conn_free(st, c);
		return;
	}
	orphan_remove(st->tcp, c);
	flow_remove(&st->tcp->flows, c->key.hash, conn_index(st->tcp, c));
	drop_queues(st, c);
	timers_off(st->tcp, c);
	conn_list_remove(st->tcp, &st->tcp->ready, c, LINK_READY);
	c->state = TCP_CLOSED;
	c->flags |= CF_RST | CF_ORPHAN | CF_UNHASHED;
	conn_want_output(st, c);
}

uint8_t conn_wscale_for(uint32_t rcv_buf)
{
	uint8_t scale = 0;

	while (scale < 14 && (uint32_t)65535 << scale < rcv_buf)
		scale++;
	return scale;
}

/* ---- look-up ---- */

static bool key_eq(const struct flow_key *a, const struct flow_key *b)
{
	return a->hash == b->hash && a->local_port == b->local_port &&
	       a->remote_port == b->remote_port && ip_addr_eq(&a->remote, &b->remote) &&
	       ip_addr_eq(&a->local, &b->local);
}

struct tcp_conn *conn_find(
    struct tcp_half *half, const struct flow_key *key, struct tw_entry **ret_tw)
{
	struct flow_cursor cursor = { 0 };
	uint32_t i;

	*ret_tw = NULL;
	while ((i = flow_next(&half->flows, key->hash, &cursor)) != 0) {
		if (i & FLOW_TIMEWAIT) {
			struct tw_entry *e = &half->tw.entries[i & ~FLOW_TIMEWAIT];

			if (key_eq(&e->key, key)) {
				*ret_tw = e;
				return NULL;
			}
		} else if (key_eq(&half->conns[i].key, key)) {
			return &half->conns[i];
		}
	}
	return NULL;
}

static uint32_t packet_hash(const struct tcp_half *half, const struct packet *pkt)
{
	return flow_hash(&half->flows, &pkt->dst, pkt->dst_port, &pkt->src, pkt->src_port);
}

static struct flow_key packet_key(const struct tcp_half *half, const struct packet *pkt)
{
	return (struct flow_key){
		.local = pkt->dst,
		.remote = pkt->src,
		.local_port = pkt->dst_port,
		.remote_port = pkt->src_port,
		.hash = pkt->flow_hash ? pkt->flow_hash : packet_hash(half, pkt),
	};
}

void conn_prefetch(const struct stack *st, struct packet *const *pkts, unsigned n)
{
	const struct tcp_half *half = st->tcp;

	for (unsigned i = 0; i < n; i++) {
		pkts[i]->flow_hash = packet_hash(half, pkts[i]);
		flow_prefetch(&half->flows, pkts[i]->flow_hash);
	}
	for (unsigned i = 0; i < n; i++) {
		struct flow_cursor cursor = { 0 };
		uint32_t index;

		pkts[i]->no_flow = !flow_may_hold(&half->flows, pkts[i]->flow_hash);
		if (pkts[i]->no_flow)
			continue;
		index = flow_next(&half->flows, pkts[i]->flow_hash, &cursor);
		if (index == 0 || index & FLOW_TIMEWAIT)
			continue;
		const uint8_t *line = (const uint8_t *)&half->conns[index];

		for (unsigned at = 0; at < sizeof(struct tcp_conn); at += 64)
			__builtin_prefetch(line + at, 1);
	}
}

/* ---- from the IP half ---- */

/* A segment in TIME-WAIT: acknowledged if it needs that; a FIN seen again restarts the wait. */
static void timewait_arrives(
    struct stack *st, struct tw_entry *e, const struct packet *pkt, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	struct ip_path path;
	struct tcp_segment seg = {
		.src = &e->key.local,
		.dst = &e->key.remote,
		.src_port = e->key.local_port,
		.dst_port = e->key.remote_port,
		.seq = e->snd_nxt,
		.ack = e->rcv_nxt,
		.window = e->window,
		.flags = TCP_ACK,
	};
	bool known_fin = pkt->flags & TCP_FIN && pkt->seq + pkt->payload_len + 1 == e->rcv_nxt;
	uint32_t gap = tick_after_ms(half, CHALLENGE_MS) - half->tick;

	if (pkt->flags & TCP_RST) {
		count(st, STACK_timewait_resets_ignored);
		return;
	}
	if (e->timestamps && !pkt->opt.has_ts)
		return;
	if (pkt->payload_len == 0 && !(pkt->flags & (TCP_SYN | TCP_FIN)) &&
	    pkt->seq == e->rcv_nxt && pkt->ack == e->snd_nxt)
		return; /* nothing to say to a well-formed last ACK */
	if (known_fin)
		timewait_restart(&half->tw, e, half->now_ns);
	else if (e->last_ack_tick && half->tick - e->last_ack_tick < gap)
		return;
	e->last_ack_tick = half->tick ? half->tick : 1;
	if (e->timestamps) {
		seg.opt.has_ts = true;
		seg.opt.ts_val = ts_clock(half->now_ns) + e->ts_offset;
		seg.opt.ts_ecr = e->ts_recent;
	}
	if (ip_path_resolve(st, &e->key.remote, half->now_ns, &path) == 0)
		(void)ip_emit_tcp(st, &path, &seg, half->now_ns, out);
}

/* RFC 6191 with RFC 9293 3.6.1 for peers without timestamps. */
static bool may_reuse(const struct tw_entry *e, const struct packet *syn)
{
	if ((syn->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	if (e->timestamps && syn->opt.has_ts) {
		if (seq_lt(e->ts_recent, syn->opt.ts_val))
			return true;
		return e->ts_recent == syn->opt.ts_val && seq_lt(e->rcv_nxt, syn->seq);
	}
	return seq_lt(e->rcv_nxt, syn->seq);
}

bool conn_timewait_reuse(struct stack *st, const struct packet *syn, uint64_t now_ns)
{
	struct tcp_half *half = st->tcp;
	struct flow_key key;
	struct tw_entry *e;

	half_clock(half, now_ns);
	if (half->tw.used == 0)
		return false;
	key = packet_key(half, syn);
	conn_find(half, &key, &e);
	if (!e || !may_reuse(e, syn))
		return false;
	timewait_remove(&half->tw, &half->flows, e);
	count(st, STACK_timewait_reused);
	return true;
}

bool conn_input(struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	struct flow_key key = packet_key(half, pkt);
	struct tw_entry *e;
	struct tcp_conn *c;

	half_clock(half, now_ns);
	c = conn_find(half, &key, &e);
	if (c) {
		tcp_segment_arrives(st, c, pkt, out);
		return true;
	}
	if (!e)
		return false;
	if (may_reuse(e, pkt)) {
		timewait_remove(&half->tw, &half->flows, e);
		count(st, STACK_timewait_reused);
		return false;
	}
	timewait_arrives(st, e, pkt, out);
	return true;
}

int conn_from_cookie(struct stack *st, const struct packet *pkt, const struct conn_seed *seed,
    uint64_t now_ns, struct frame_out *out)
{
	struct tcp_half *half = st->tcp;
	struct flow_key key = packet_key(half, pkt);
	struct ip_path path;
	struct tcp_conn *c;
	int ret;

	half_clock(half, now_ns);
	ret = ip_path_resolve(st, &pkt->src, now_ns, &path);
	if (ret < 0)
		return ret;
	c = conn_new(st, &key, false);
	if (!c)
		return -ENOBUFS;
	c->path = path;
	c->state = TCP_ESTABLISHED;
	c->flags |= (seed->timestamps ? CF_TS : 0) | (seed->sack ? CF_SACK : 0);
	c->snd_una = c->snd_nxt = c->recover = c->fack = seed->iss + 1;
	c->rcv_nxt = c->last_ack_sent = seed->irs + 1;
	c->rcv_adv = c->rcv_nxt + min_u32(st->config.rcv_buf, 65535);
	c->snd_wl1 = pkt->seq - 1;
	c->peer_mss = seed->peer_mss;
	if (seed->has_wscale) {
		c->snd_wscale = seed->snd_wscale;
		c->rcv_wscale = seed->rcv_wscale;
	}
	c->ts_offset = seed->ts_offset;
	c->ts_recent = pkt->opt.ts_val;
	c->ts_recent_tick = half->tick;
	c->listener = seed->listener;
	c->syn_ttl = pkt->ttl;
	conn_set_mss(c);
	cc_init(c);
	/* Not if the SYN-ACK may have been sent twice (Karn): it is repeated after a second. */
	if (seed->syn_ns != 0 && now_ns - seed->syn_ns < 900000000u)
		rtt_sample(c, (uint32_t)((now_ns - seed->syn_ns) / 1000));
	count(st, STACK_tcp_accepted);
	conn_tell(st, c, TCP_EV_OPEN);
	tcp_segment_arrives(st, c, pkt, out);
	return 0;
}

static void path_mtu_lowered(struct stack *st, struct tcp_conn *c, uint16_t mtu)
{
	struct tcp_half *half = st->tcp;
	uint16_t least = c->flags & CF_V4 ? MTU_FLOOR_V4 : MTU_FLOOR_V6;

	if (mtu < least)
		mtu = least;
	if (mtu >= c->path.mtu)
		return;
	c->path.mtu = mtu;
	conn_set_mss(c);
	count(st, STACK_path_mtu_lowered);
	/* What was too big goes again, cut smaller; that it was lost is no sign of congestion. */
	for (uint32_t i = c->tx_head; i != c->tx_head + c->tx_count; i++) {
		struct tx_rec *r = sendq_rec(half, c, i);

		if (!r->sacked && r->len > c->mss)
			rec_mark_lost(c, r, i);
	}
	conn_want_output(st, c);
}

bool conn_icmp(struct stack *st, const struct ip_addr *local, uint16_t local_port,
    const struct ip_addr *remote, uint16_t remote_port, uint32_t seq, enum icmp_event ev,
    uint16_t mtu, uint64_t now_ns)
{
	struct tcp_half *half = st->tcp;
	struct flow_key key = { *local, *remote, local_port, remote_port,
		flow_hash(&half->flows, local, local_port, remote, remote_port) };
	struct tw_entry *e;
	struct tcp_conn *c;

	half_clock(half, now_ns);
	c = conn_find(half, &key, &e);
	if (!c)
		return false;
	if (seq_lt(seq, c->snd_una) || !seq_lt(seq, c->snd_nxt)) { /* RFC 5927 4.1 */
		count(st, STACK_icmp_not_outstanding);
		return false;
	}
	if (ev == ICMP_TOO_BIG) {
		path_mtu_lowered(st, c, mtu);
	} else if (ev == ICMP_HARD && c->state == TCP_SYN_SENT) {
		count(st, STACK_icmp_connect_refused);
		conn_end(st, c, TCP_EV_RESET);
	} else {
		count(st, STACK_icmp_soft); /* RFC 5461: the time-out decides */
	}
	return true;
}

int conn_shrink(struct stack *st, struct tcp_conn *c, struct conn_remains *ret_remains)
{
	if (c->state != TCP_ESTABLISHED || c->tx_count > 0 || c->unsent > 0 || c->unread > 0 ||
	    c->ooo_head || c->flags & CF_FIN_QUEUED)
		return -EAGAIN;
	*ret_remains = (struct conn_remains){
		.local = c->key.local,
		.remote = c->key.remote,
		.local_port = c->key.local_port,
		.remote_port = c->key.remote_port,
		.snd_nxt = c->snd_nxt,
		.rcv_nxt = c->rcv_nxt,
		.snd_wnd = c->snd_wnd,
		.timestamps = c->flags & CF_TS,
		.ts_offset = c->ts_offset,
		.ts_recent = c->ts_recent,
	};
	conn_free(st, c);
	return 0;
}

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
