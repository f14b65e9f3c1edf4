/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pairs of memif ports in one process, and a worker served on one end of a pair with the meter around
 * all that a turn is: frames taken, worker_turn(), frames sent and freed. Two cores: hw worker 0 and 1,
 * each with queue pairs and buffers of its own.
 */
#ifndef POSTERN_BENCH_PORTS_H
#define POSTERN_BENCH_PORTS_H

#include "gen.h"

#include "dataplane/model_rig.h"
#include "hw/port.h"

enum {
	PORTS_BURST = 32,
	PORTS_TX = 512,
	PORTS_PREEMPTED_NS = 200000, /* a turn that took longer was interrupted, and counts as this */
};

/* Port 2 i is the served end of pair i, 2 i + 1 the generator's. Says what is wrong. */
int ports_open(const char *program, unsigned n_pairs, bool huge, struct hw **ret_hw);

struct served {
	struct hw *hw;
	unsigned port, queue;
	struct worker *worker;
	struct stats_worker *stats;
	struct policy *policy;
	struct image_writer *image; /* NULL: the policy is another's */
	struct worker_out out;
	struct frame tx[PORTS_TX], drop[PORTS_TX];
	struct event events[256];
	struct question questions[64];
	double cycles_per_ns;
	/* by the serving core alone, read by the one that conducts */
	_Alignas(64) _Atomic uint64_t busy; /* cycles */
	_Atomic uint64_t received, sent, unsent;
};

struct served_config {
	unsigned pair, queue;             /* queue: the hw worker's number too */
	unsigned index, n_workers;        /* of the worker */
	struct rig_config rig;            /* its policy */
	const struct served *policy_from; /* NULL: its own */
};

struct served *served_new(struct hw *hw, const struct served_config *config);
struct served *served_free(struct served *s);
/* One turn; returns how many frames came. Turns in which nothing is to do are not metered. */
unsigned served_turn(struct served *s);
/* The same without a worker: frames go back as they came, or are freed. What the port alone costs. */
unsigned served_port_turn(struct served *s, bool back);

/* The generator of a pair, ready for its first SYN: plain ones, from `n_sources` listed addresses. */
struct gen ports_gen(struct hw *hw, unsigned pair, bool v6, uint32_t n_sources);

#endif
