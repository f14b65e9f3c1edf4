/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of connections: the pool, the lists, coming and going. They come from conn_from_cookie() or
 * tcp_connect() and go by conn_free(); everything else in the TCP half changes one that exists.
 * The way in from the IP half is conn_input.c, the way out conn_output.c.
 */
#include "conn.h"

#include "reasm.h"
#include "rtt.h"
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
	half->paces = calloc((size_t)config->max_conns + 1, sizeof(*half->paces));
	if (!half->paces)
		goto fail_paces;
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
	free(half->paces);
fail_paces:
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
	free(half->paces);
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
	const uint32_t at[] = { c->rto_at, c->probe_at, c->delack_at, c->life_at, c->keep_at,
		c->paced ? half->paces[c->self].at : 0 };
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
	c->paced = c->held = 0;
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
