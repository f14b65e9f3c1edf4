/* SPDX-License-Identifier: BSD-3-Clause */
/* A stack on one port with one interface; see model_host.h. */
#include "model_host.h"

#include <errno.h>
#include <stdlib.h>

static void go_on(void *arg, struct syn_judgement *syns, unsigned n)
{
	(void)arg;
	for (unsigned i = 0; i < n; i++)
		syns[i].verdict = SYN_GO_ON;
}

static bool is_zero(const struct ip_addr *a)
{
	static const struct ip_addr zero;
	return ip_addr_eq(a, &zero);
}

static void put_back(void *arg, struct frame *frames, unsigned n)
{
	memframes_put(arg, frames, n);
}

struct model_pool model_pool_of(struct memframes *frames)
{
	return (struct model_pool){ frames, memframes_get, put_back };
}

int model_host_init(struct model_host *h, const struct model_host_config *config,
    struct model_pool pool, uint64_t now_ns)
{
	struct stack_config *sc = calloc(1, sizeof(*sc));
	if (!sc)
		return -ENOMEM;
	memset(h, 0, sizeof(*h));
	h->pool = pool;
	h->out = (struct frame_out){
		.tx = h->tx, .cap_tx = MODEL_TX_MAX, .drop = h->drop, .cap_drop = 2 * MODEL_TX_MAX
	};

	sc->n_ports = 1;
	memcpy(sc->ports[0].mac, config->mac, 6);
	sc->ports[0].mtu = config->mtu;
	sc->n_netifs = 1;
	sc->n_addrs = config->n_addrs;
	for (unsigned i = 0; i < config->n_addrs; i++) {
		sc->addrs[i] = config->addrs[i];
		sc->addrs[i].netif = 0;
	}
	if (!is_zero(&config->gateway_v4)) {
		struct stack_route *r = &sc->routes[sc->n_routes++];
		r->dst = ip_addr_from_v4("\0\0\0\0");
		r->via = config->gateway_v4;
	}
	if (!is_zero(&config->gateway_v6))
		sc->routes[sc->n_routes++].via = config->gateway_v6;
	if (config->listen_port) {
		sc->n_listeners = 1;
		sc->listeners[0] =
		    (struct stack_listener){ .any = true, .port = config->listen_port };
	}
	memset(&sc->secrets, config->key_seed, sizeof(sc->secrets));
	sc->max_conns = config->max_conns;
	sc->max_chunks = config->max_chunks;
	sc->rcv_buf = config->rcv_buf;
	sc->snd_buf = config->snd_buf;
	sc->syn_ring = 1024;
	sc->max_timewait = config->max_conns;
	sc->max_tarpit = 16;
	sc->max_neigh = 256;
	sc->msl_ms = 1000; /* so that a simulation ends soon */
	sc->ephemeral_first = 10000;
	sc->ephemeral_last = 65535;
	sc->ephemeral_step = 1;
	struct stack_host host = { .arg = pool.arg, .frame_alloc = pool.get, .judge_syns = go_on };
	int r = stack_new(sc, &host, h->counters, now_ns, &h->stack);
	free(sc);
	return r;
}

void model_host_fini(struct model_host *h)
{
	h->pool.put(h->pool.arg, h->tx, h->out.n_tx);
	h->out.n_tx = 0;
	h->stack = stack_free(h->stack);
}

/* The stack numbers its only port 0; the outside world may know it by another number. */
static void drop_all(struct model_host *h)
{
	h->pool.put(h->pool.arg, h->drop, h->out.n_drop);
	h->out.n_drop = 0;
}

void model_host_input(struct model_host *h, struct frame *frames, unsigned n, uint64_t now_ns)
{
	for (unsigned i = 0; i < n; i++)
		frames[i].port = 0;
	stack_input(h->stack, frames, n, now_ns, &h->out);
	drop_all(h);
}

void model_host_output(struct model_host *h, uint64_t now_ns)
{
	stack_output(h->stack, now_ns, &h->out);
	drop_all(h);
}
