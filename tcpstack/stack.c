/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stack's life and its turn: the two halves tied together.
 *
 * The halves are allocated apart and know each other through stack.h only, so each is tested with
 * the other in place but reads none of its fields.
 */
#include "ip_half.h"

#include <errno.h>
#include <stdlib.h>

static void default_u32(uint32_t *v, uint32_t value)
{
	if (*v == 0)
		*v = value;
}

static void fill_defaults(struct stack_config *c)
{
	default_u32(&c->max_conns, 65536);
	default_u32(&c->max_timewait, 16384);
	default_u32(&c->max_chunks, 65536);
	default_u32(&c->syn_ring, 65536);
	default_u32(&c->max_tarpit, 65536);
	default_u32(&c->max_neigh, 1024);
	default_u32(&c->max_reasm, 64);
	default_u32(&c->rcv_buf, 65535);
	default_u32(&c->snd_buf, 65535);
	default_u32(&c->cap_rst, 100);
	default_u32(&c->cap_icmp, 100);
	default_u32(&c->cap_synack, 100000);
	default_u32(&c->msl_ms, 30000);
	default_u32(&c->user_timeout_ms, 300000);
	default_u32(&c->keepalive_ms, 120000);
	if (!c->ephemeral_first) {
		c->ephemeral_first = 32768;
		c->ephemeral_last = 60999;
	}
	if (!c->ephemeral_step)
		c->ephemeral_step = 1;
}

static int check(const struct stack_config *c)
{
	if (c->n_ports == 0 || c->n_ports > STACK_MAX_PORTS || c->n_netifs > STACK_MAX_NETIFS ||
	    c->n_addrs > STACK_MAX_ADDRS || c->n_routes > STACK_MAX_ROUTES ||
	    c->n_listeners > STACK_MAX_LISTENERS)
		return -EINVAL;
	if (c->syn_ring & (c->syn_ring - 1) || c->ephemeral_first > c->ephemeral_last)
		return -EINVAL;
	for (unsigned i = 0; i < c->n_netifs; i++) {
		if (c->netifs[i].port >= c->n_ports || c->netifs[i].vlan > 4094)
			return -EINVAL;
	}
	for (unsigned i = 0; i < c->n_ports; i++) {
		if (c->ports[i].mtu < 576)
			return -EINVAL; /* RFC 1122 3.3.3; IPv6 needs 1,280 and finds out by its own check */
	}
	return 0;
}

int stack_new(const struct stack_config *config, const struct stack_host *host, uint64_t *counters,
    uint64_t now_ns, struct stack **ret_stack)
{
	struct stack *st = calloc(1, sizeof(*st));
	int r;

	if (!st)
		return -ENOMEM;
	st->config = *config;
	st->host = *host;
	st->counters = counters;
	fill_defaults(&st->config);
	r = check(&st->config);
	if (r < 0)
		goto fail;
	r = ip_half_new(&st->config, now_ns, &st->ip);
	if (r < 0)
		goto fail;
	r = tcp_half_new(&st->config, now_ns, &st->tcp);
	if (r < 0)
		goto fail_ip;
	r = ip_half_start(st, now_ns);
	if (r < 0)
		goto fail_tcp;
	*ret_stack = st;
	return 0;
fail_tcp:
	tcp_half_free(st->tcp);
fail_ip:
	ip_half_free(st->ip);
fail:
	free(st);
	return r;
}

struct stack *stack_free(struct stack *st)
{
	if (st) {
		tcp_half_free(st->tcp);
		ip_half_free(st->ip);
		free(st);
	}
	return NULL;
}

void stack_output(struct stack *st, uint64_t now_ns, struct frame_out *out)
{
	unsigned before = out->n_tx;

	st->ip->now_ns = now_ns;
	if (neigh_release(st, out))
		conn_neighbour_known(st);
	conn_output(st, now_ns, out);
	listen_output(st, now_ns, out);
	tarpit_output(st, now_ns, out);
	frag_expire(st, now_ns);
	mld_output(st, now_ns, out);
	neigh_output(st, now_ns, out); /* last: it asks at once for whom the others missed */
	st->counters[STACK_tx_frames] += out->n_tx - before;
}

uint64_t stack_next_deadline(const struct stack *st)
{
	const uint64_t due[] = {
		conn_next_deadline(st),
		st->ip->neigh.next_due_ns,
		st->ip->mld_due_ns,
		synring_deadline(&st->ip->ring),
		tarpit_deadline(&st->ip->tarpit),
		st->ip->frags.next_due_ns,
	};
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < sizeof(due) / sizeof(due[0]); i++)
		next = due[i] < next ? due[i] : next;
	return next;
}

void stack_usage(const struct stack *st, struct stack_usage *ret_usage)
{
	*ret_usage = (struct stack_usage){ 0 };
	tcp_half_usage(st->tcp, ret_usage);
	ret_usage->tarpit = st->ip->tarpit.count;
	ret_usage->neigh = st->ip->neigh.used;
}

void stack_share(struct stack *st, enum stack_sharing how)
{
	st->quiet = how != STACK_ALONE;
	st->ceded = how == STACK_CEDED;
	if (st->ceded)
		st->config.neigh_follower = true;
}
