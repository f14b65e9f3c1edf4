/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports.h"

#include "filters/image_write.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ports_open(const char *program, unsigned n_pairs, bool huge, struct hw **ret_hw)
{
	const char *eal[8] = { "--no-telemetry", "--force-max-simd-bitwidth=512", "-m", "1024",
		huge ? "--in-memory" : "--no-huge" };
	struct hw_port_request ports[HW_MAX_PORTS];
	char devices[HW_MAX_PORTS][160], *error = NULL;

	if (2 * n_pairs > HW_MAX_PORTS)
		return -EINVAL;
	for (unsigned i = 0; i < 2 * n_pairs; i++) {
		snprintf(devices[i], sizeof(devices[i]),
		    "net_memif%u,role=%s,id=%u,socket=/tmp/"
		    "postern-bench-%d.sock,socket-abstract=no,"
		    "rsize=11",
		    i, i & 1 ? "client" : "server", i / 2, (int)getpid());
		ports[i] = (struct hw_port_request){ .name = i & 1 ? "generator" : "server",
			.device = devices[i],
			.mtu = 1500,
			.queues = 2 };
	}
	int e = hw_open(program, eal, 5, ports, 2 * n_pairs, 2, ret_hw, &error);
	if (e < 0)
		fprintf(stderr, "%s: %s\n", program, error ? error : strerror(-e));
	free(error);
	return e;
}

static bool frame_alloc(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct served *s = arg;

	(void)port; /* the buffers of all are alike */
	return hw_alloc(s->hw, s->queue, s->port, ret_frame);
}

struct served *served_new(struct hw *hw, const struct served_config *config)
{
	struct served *s = aligned_alloc(64, (sizeof(*s) + 63) & ~(size_t)63);
	struct worker_config *wc = calloc(1, sizeof(*wc));

	if (!s || !wc) {
		free(s);
		free(wc);
		return NULL;
	}
	memset(s, 0, sizeof(*s));
	s->hw = hw;
	s->port = 2 * config->pair;
	s->queue = config->queue;
	s->cycles_per_ns = (double)hw_tsc_hz() / 1e9;
	s->out = (struct worker_out){
		.frames = { .tx = s->tx, .cap_tx = PORTS_TX, .drop = s->drop, .cap_drop = PORTS_TX },
		.events = s->events,
		.cap_events = 256,
		.questions = s->questions,
		.cap_questions = 64
	};
	s->stats = aligned_alloc(64, sizeof(*s->stats));
	if (!s->stats)
		goto fail;
	memset(s->stats, 0, sizeof(*s->stats));
	if (config->policy_from)
		s->policy = config->policy_from->policy;
	else if (rig_policy_new(&config->rig, &s->image, &s->policy) < 0)
		goto fail;
	rig_worker_config(&config->rig, wc);
	memcpy(wc->stack.ports[0].mac, hw_port(hw, s->port)->mac, 6);
	wc->stack.syn_ring = 65536;
	wc->stack.max_timewait = 16384;
	wc->index = config->index;
	wc->n_workers = config->n_workers;
	struct stack_host host = { .arg = s, .frame_alloc = frame_alloc };
	if (worker_new(wc, &host, s->stats, s->policy, hw_now_ns(), &s->worker) < 0)
		goto fail;
	free(wc);
	return s;
fail:
	fprintf(stderr, "bench: no memory, or a policy that cannot be\n");
	free(wc);
	return served_free(s);
}

struct served *served_free(struct served *s)
{
	if (!s)
		return NULL;
	worker_free(s->worker);
	if (s->image)
		policy_close(s->policy);
	image_writer_free(s->image);
	free(s->stats);
	free(s);
	return NULL;
}

/* Its owner alone writes it: no locked addition. */
static void add(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(
	    to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

static void meter(struct served *s, uint64_t t0, unsigned n, unsigned n_tx, unsigned unsent)
{
	uint64_t cycles = hw_tsc() - t0;
	double most = PORTS_PREEMPTED_NS * s->cycles_per_ns;

	add(&s->busy, (double)cycles > most ? (uint64_t)most : cycles);
	add(&s->received, n);
	add(&s->sent, n_tx - unsent);
	add(&s->unsent, unsent);
}

unsigned served_turn(struct served *s)
{
	struct frame in[PORTS_BURST];
	struct frame_out *o = &s->out.frames;
	uint64_t t0 = hw_tsc(), now_ns;
	unsigned n = hw_rx(s->hw, s->port, s->queue, in, PORTS_BURST), n_tx = 0, unsent;

	now_ns = hw_now_ns();
	if (n == 0 && worker_next_deadline(s->worker) > now_ns && !s->out.busy)
		return 0;
	for (unsigned i = 0; i < n; i++)
		in[i].port = 0;
	worker_turn(s->worker, s->policy, in, n, NULL, 0, now_ns, &s->out);
	for (unsigned i = 0; i < o->n_tx; i++) {
		if (o->tx[i].port == 0) {
			o->tx[n_tx] = o->tx[i];
			o->tx[n_tx++].port = (uint8_t)s->port;
		} else { /* the inside port is not there: what is meant for backends ends here */
			o->drop[o->n_drop++] = o->tx[i];
		}
	}
	unsent = n_tx ? hw_tx(s->hw, s->queue, o->tx, n_tx) : 0;
	hw_free(s->hw, o->drop, o->n_drop);
	o->n_tx = o->n_drop = s->out.n_events = s->out.n_questions = s->out.n_notes = 0;
	meter(s, t0, n, n_tx, unsent);
	return n;
}

unsigned served_port_turn(struct served *s, bool back)
{
	struct frame in[PORTS_BURST];
	uint64_t t0 = hw_tsc();
	unsigned n = hw_rx(s->hw, s->port, s->queue, in, PORTS_BURST), unsent = 0;

	if (!n)
		return 0;
	if (back)
		unsent = hw_tx(s->hw, s->queue, in, n);
	else
		hw_free(s->hw, in, n);
	meter(s, t0, n, back ? n : 0, unsent);
	return n;
}

struct gen ports_gen(struct hw *hw, unsigned pair, bool v6, uint32_t n_sources)
{
	struct gen g = { .v6 = v6, .n_sources = n_sources, .dst_port = 25 };
	struct ip_addr us = rig_server(v6);

	memcpy(g.src_mac, hw_port(hw, 2 * pair + 1)->mac, 6);
	memcpy(g.dst_mac, hw_port(hw, 2 * pair)->mac, 6);
	memcpy(g.dst, v6 ? us.b : us.b + 12, v6 ? 16 : 4);
	memcpy(g.src,
	    v6 ? (const char *)"\x20\x01\x0d\xb8\x0b\xad\0\0\0\0\0\0\0\0\0"
	       : (const char *)"\xc6\x12\0\0",
	    v6 ? 16 : 4);
	return g;
}
