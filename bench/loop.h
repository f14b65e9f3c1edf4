/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker and a generator in one loop, without ports: the worker's clock is what its own turns cost
 * (time-stamp counter) plus the idling that a benchmark grants, so the generator's work counts
 * nowhere. The generator plays the gateway, so ARP and ND are answered here.
 */
#ifndef POSTERN_BENCH_LOOP_H
#define POSTERN_BENCH_LOOP_H

#include "gen.h"

#include "dataplane/memframes.h"
#include "dataplane/model_mail.h"
#include "dataplane/model_rig.h"

enum {
	LOOP_BURST = 32,
	LOOP_FRAMES = 65536,
	LOOP_PREEMPTED_NS = 200000, /* a turn that took longer was interrupted, and counts as this */
};

struct loop {
	struct gen gen;
	struct memframes *frames;
	struct worker *worker;
	struct stats_worker *stats;
	struct policy *policy;
	struct image_writer *image;
	struct worker_out out;
	uint64_t now_ns;
	uint64_t busy; /* cycles in worker_turn() */
	double cycles_per_ns;
	/* What comes from the worker: true when the frame was taken (sent back later, or given back). */
	bool (*heard)(struct loop *l, struct frame *f);
	void *arg;
	struct frame back[LOOP_FRAMES]; /* waiting to go in */
	unsigned n_back;
};

struct loop_config {
	bool v6;
	uint32_t max_tarpit, max_conns;
	void (*policy)(void *arg, struct policy_settings *settings, struct image_writer *writer);
	void *arg;
};

struct loop *loop_new(const struct loop_config *config); /* NULL: no memory; says so */
struct loop *loop_free(struct loop *l);
/* One turn with the frames given, which are the loop's from then on; then the clock goes on by what
 * it cost, at least `least_ns`. Returns the cycles. */
uint64_t loop_turn(struct loop *l, struct frame *in, unsigned n, uint64_t least_ns);
/* Takes up to n frames that wait to go in. */
unsigned loop_back(struct loop *l, struct frame *in, unsigned n);
uint64_t loop_counter(const struct loop *l, const char *name); /* of the worker's statistics */
uint64_t loop_rss(void);                                       /* bytes */

#endif
