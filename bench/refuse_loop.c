/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * refuse-loop: complete refused sessions as a pure function: generator and worker in one loop, the
 * meter around worker_turn() alone, beside the zero-state program on the same frames. It needs no
 * DPDK, so it runs anywhere; the `refuse` claim itself (ports included) is refuse.c's.
 *
 *	bench-refuse-loop [--json] [--windows N] [--entries N] [-6]
 */
#include "gen.h"
#include "listed.h"
#include "meter.h"
#include "report.h"
#include "zero_state.h"

#include "dataplane/model_rig.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { BURST = 32, SESSIONS = 100000, POOL = 4096 };

struct bench {
	struct rig *rig;
	struct gen gen;
	struct zero_state zero;
	uint32_t entries;
	bool v6;
};

/* A million entries of which the generator's sources are a part. */
static void policy(void *arg, struct policy_settings *s, struct image_writer *w)
{
	const struct bench *b = arg;

	(void)s;
	listed_add(w, b->entries);
}

/* Serves the generator until `sessions` more are complete; returns the ns spent in the server. */
static uint64_t serve(struct bench *b, bool zero, uint64_t sessions, double cycles_per_ns)
{
	struct rig *r = b->rig;
	struct gen *g = &b->gen;
	struct frame in[BURST], back[POOL];
	unsigned n_back = 0;
	uint64_t busy = 0, end = g->completed + sessions, stop = g->next + sessions;

	while (g->completed < end) {
		unsigned n = 0;
		while (n_back > 0 && n < BURST) /* answers first: the load is bounded */
			in[n++] = back[--n_back];
		while (n < BURST && g->next < stop && memframes_get(r->frames, 0, &in[n]))
			gen_syn(g, &in[n++]);
		if (n == 0)
			break;
		r->now_ns += 10000;
		uint64_t t0 = meter_tsc();
		if (zero) {
			uint8_t *data[BURST];
			uint16_t len[BURST];
			for (unsigned i = 0; i < n; i++) {
				data[i] = in[i].data;
				len[i] = in[i].len;
			}
			zero_state_burst(&b->zero, data, len, n);
			busy += meter_tsc() - t0;
			for (unsigned i = 0; i < n; i++) {
				in[i].len = len[i];
				if (len[i] && gen_answer(g, &in[i]))
					back[n_back++] = in[i];
				else
					memframes_put(r->frames, &in[i], 1);
			}
			continue;
		}
		worker_turn(r->worker, r->policy, in, n, NULL, 0, r->now_ns, &r->out);
		busy += meter_tsc() - t0;
		struct frame_out *o = &r->out.frames;
		for (unsigned i = 0; i < o->n_tx; i++) {
			if (o->tx[i].port == 0 && gen_answer(g, &o->tx[i]) && n_back < POOL)
				back[n_back++] = o->tx[i];
			else
				memframes_put(r->frames, &o->tx[i], 1);
		}
		memframes_put(r->frames, o->drop, o->n_drop);
		o->n_tx = o->n_drop = r->out.n_events = r->out.n_questions = 0;
	}
	memframes_put(r->frames, back, n_back);
	return (uint64_t)((double)busy / cycles_per_ns);
}

/* A session lost or cut short would be a cheap one: the figure is worth nothing then. */
static bool all_complete(const struct bench *b, uint64_t before, uint64_t offered)
{
	uint64_t completed = b->gen.completed - before;

	if (completed != offered)
		fprintf(stderr, "bench-refuse-loop: %llu of %llu sessions complete, %llu resets\n",
		    (unsigned long long)completed, (unsigned long long)offered,
		    (unsigned long long)b->gen.resets);
	return completed == offered;
}

static int run(struct bench *b, unsigned windows, bool json)
{
	struct rig_config config = {
		.seed = 1, .no_clients = true, .no_backends = true, .policy = policy, .arg = b
	};
	struct report report = { .claim = b->v6 ? "refuse-loop-v6" : "refuse-loop",
		.unit = "ns/session",
		.baseline_name = "zero-state",
		.windows = 0,
		.target_ratio = b->v6 ? 1.25 : 1.15,
		.lists = b->entries,
		.rules = 1,
		.events = true };
	double rate = meter_rate();

	if (rig_new(&config, &b->rig) < 0) {
		fprintf(stderr, "bench-refuse-loop: no memory\n");
		return 2;
	}
	b->gen = (struct gen){ .v6 = b->v6,
		.src_mac = { 2, 0, 0, 0, 1, 1 },
		.dst_mac = { 2, 0, 0, 0, 0, 1 },
		.n_sources = 65536,
		.dst_port = 25 };
	struct ip_addr us = rig_server(b->v6);
	memcpy(b->gen.dst, b->v6 ? us.b : us.b + 12, b->v6 ? 16 : 4);
	memcpy(b->gen.src,
	    b->v6 ? (const char *)"\x20\x01\x0d\xb8\x0b\xad\0\0\0\0\0\0\0\0\0"
		  : (const char *)"\xc6\x12\0\0",
	    b->v6 ? 16 : 4);
	serve(b, false, BURST,
	    rate); /* resolves the gateway; what waits for that is not sent again */
	uint64_t before = b->gen.completed;
	serve(b, false, SESSIONS, rate); /* warms up */
	/* the baseline's text has the length of ours */
	uint64_t mean = b->gen.refusals ? b->gen.refusal_bytes / b->gen.refusals : 0;
	char text[256];
	snprintf(text, sizeof(text), "%.*s\r\n", mean > 2 && mean < 250 ? (int)mean - 2 : 50,
	    "521 5.7.1 Your address is listed here, for a text that is as long as the other one "
	    "is, "
	    "whatever that length may be, and then some more to fill the space up to the very end");
	if (!all_complete(b, before, SESSIONS)) {
		rig_free(b->rig);
		return 1;
	}
	zero_state_init(&b->zero, b->v6, text);
	serve(b, true, SESSIONS, rate);
	before = b->gen.completed;
	for (unsigned i = 0; i < windows; i++) {
		double ours = (double)serve(b, false, SESSIONS, rate) / SESSIONS;
		double theirs = (double)serve(b, true, SESSIONS, rate) / SESSIONS;
		report_add(&report, ours, theirs);
	}
	bool complete = all_complete(b, before, 2ull * windows * SESSIONS);
	if (complete)
		report_print(&report, json);
	zero_state_fini(&b->zero);
	rig_free(b->rig);
	return complete ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "windows", required_argument, NULL, 'w' },
		{ "entries", required_argument, NULL, 'e' }, { 0 } };
	struct bench b = { .entries = 1000000 };
	unsigned windows = 9;
	bool json = false;
	int o;
	while ((o = getopt_long(argc, argv, "6", options, NULL)) != -1) {
		switch (o) {
		case 'j': json = true; break;
		case 'w': windows = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'e': b.entries = (uint32_t)strtoul(optarg, NULL, 10); break;
		case '6': b.v6 = true; break;
		default:
			fprintf(stderr,
			    "usage: bench-refuse-loop [--json] [--windows N] [--entries N] "
			    "[-6]\n");
			return 2;
		}
	}
	return run(&b, windows, json);
}
