/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model host: one instance of our stack on one port, fed and drained by hand. The shells without
 * NICs give the worker its counterparts with it: clients on the outside, servers on the inside.
 * (Our own stack as the peer is a common-mode risk; the kernel's TCP is the peer in tests/e2e.)
 */
#ifndef POSTERN_DATAPLANE_MODEL_HOST_H
#define POSTERN_DATAPLANE_MODEL_HOST_H

#include "memframes.h"
#include "tcpstack/tcpstack.h"

enum { MODEL_BURST = 64, MODEL_TX_MAX = 256 };

struct model_host_config {
	uint8_t mac[6];
	uint16_t mtu;
	uint16_t n_addrs;
	struct stack_ip addrs[STACK_MAX_ADDRS]; /* netif is set by model_host_new() */
	struct ip_addr gateway_v4, gateway_v6;  /* all zero: none */
	uint16_t listen_port;                   /* 0: listens nowhere */
	uint32_t max_conns, max_chunks;
	uint32_t rcv_buf, snd_buf; /* 0: the stack's defaults */
	uint8_t key_seed;
};

/* Where buffers come from and go to: plain memory, or a port's pool in benchmarks. */
struct model_pool {
	void *arg;
	bool (*get)(void *arg, uint8_t port, struct frame *ret_frame);
	void (*put)(void *arg, struct frame *frames, unsigned n);
};
struct model_pool model_pool_of(struct memframes *frames);

struct model_host {
	struct stack *stack;
	struct model_pool pool;
	struct frame_out out;
	struct frame tx[MODEL_TX_MAX], drop[2 * MODEL_TX_MAX];
	uint64_t counters[STACK_N_COUNTERS];
};

/* Frames to send come from the pool, which outlives the host. */
int model_host_init(struct model_host *h, const struct model_host_config *config,
    struct model_pool pool, uint64_t now_ns);
void model_host_fini(struct model_host *h);

/* One half turn each: between them the owner works on the connections that are ready. What is to
 * be sent then stands in h->out.tx[0..n_tx); the caller takes it and sets n_tx to 0. */
void model_host_input(struct model_host *h, struct frame *frames, unsigned n, uint64_t now_ns);
void model_host_output(struct model_host *h, uint64_t now_ns);

#endif
