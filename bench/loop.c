/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop.h"

#include "meter.h"

#include "filters/image_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct loop *loop_new(const struct loop_config *config)
{
	struct rig_config rig = { .seed = 1,
		.policy = config->policy,
		.arg = config->arg,
		.worker_conns = config->max_conns,
		.worker_chunks = 65536 };
	struct loop *l = calloc(1, sizeof(*l));
	struct worker_config *wc = calloc(1, sizeof(*wc));
	struct ip_addr us = rig_server(config->v6);

	if (!l || !wc)
		goto fail;
	l->cycles_per_ns = meter_rate();
	l->now_ns = 1767225600000000000ull;
	l->frames = memframes_new(LOOP_FRAMES, 1600);
	l->stats = aligned_alloc(64, sizeof(*l->stats));
	l->out = (struct worker_out){ .frames = { .cap_tx = 2048, .cap_drop = 2048 },
		.cap_events = 256,
		.cap_questions = 64 };
	l->out.frames.tx = calloc(2048, sizeof(struct frame));
	l->out.frames.drop = calloc(2048, sizeof(struct frame));
	l->out.events = calloc(256, sizeof(struct event));
	l->out.questions = calloc(64, sizeof(struct question));
	if (!l->frames || !l->stats || !l->out.frames.tx || !l->out.frames.drop || !l->out.events ||
	    !l->out.questions)
		goto fail;
	memset(l->stats, 0, sizeof(*l->stats));
	if (rig_policy_new(&rig, &l->image, &l->policy) < 0)
		goto fail;
	rig_worker_config(&rig, wc);
	wc->stack.max_tarpit = config->max_tarpit;
	wc->stack.syn_ring = 65536;
	wc->stack.max_timewait = 16384;
	struct stack_host host = { .arg = l->frames, .frame_alloc = memframes_get };
	if (worker_new(wc, &host, l->stats, l->policy, l->now_ns, &l->worker) < 0)
		goto fail;
	l->gen = (struct gen){ .v6 = config->v6,
		.src_mac = { 2, 0, 0, 0, 1, 1 },
		.dst_mac = { 2, 0, 0, 0, 0, 1 },
		.n_sources = 65536,
		.dst_port = 25 };
	memcpy(l->gen.dst, config->v6 ? us.b : us.b + 12, config->v6 ? 16 : 4);
	memcpy(l->gen.src,
	    config->v6 ? (const char *)"\x20\x01\x0d\xb8\x0b\xad\0\0\0\0\0\0\0\0\0"
		       : (const char *)"\xc6\x12\0\0",
	    config->v6 ? 16 : 4);
	free(wc);
	return l;
fail:
	fprintf(stderr, "bench: no memory, or a policy that cannot be\n");
	free(wc);
	return loop_free(l);
}

struct loop *loop_free(struct loop *l)
{
	if (!l)
		return NULL;
	worker_free(l->worker);
	policy_close(l->policy);
	image_writer_free(l->image);
	memframes_put(l->frames, l->back, l->n_back);
	memframes_free(l->frames);
	free(l->out.frames.tx);
	free(l->out.frames.drop);
	free(l->out.events);
	free(l->out.questions);
	free(l->stats);
	free(l);
	return NULL;
}

unsigned loop_back(struct loop *l, struct frame *in, unsigned n)
{
	n = n < l->n_back ? n : l->n_back;
	for (unsigned i = 0; i < n; i++)
		in[i] = l->back[--l->n_back];
	return n;
}

uint64_t loop_turn(struct loop *l, struct frame *in, unsigned n, uint64_t least_ns)
{
	struct frame_out *o = &l->out.frames;
	uint64_t t0 = meter_tsc();

	worker_turn(l->worker, l->policy, in, n, NULL, 0, l->now_ns, &l->out);
	uint64_t cycles = meter_tsc() - t0;
	uint64_t ns = (uint64_t)((double)cycles / l->cycles_per_ns);

	if (ns > LOOP_PREEMPTED_NS) { /* the scheduler's doing: no turn costs as much */
		ns = LOOP_PREEMPTED_NS;
		cycles = (uint64_t)((double)ns * l->cycles_per_ns);
	}
	l->busy += cycles;
	l->now_ns += ns > least_ns ? ns : least_ns;
	for (unsigned i = 0; i < o->n_tx; i++) {
		struct frame *f = &o->tx[i];
		const char *text;
		bool tcp = f->port == 0 && gen_heard(&l->gen, f, &text) != GEN_OTHER;

		if (tcp && l->heard && l->heard(l, f))
			continue;
		if ((!tcp || !l->heard) && f->port == 0 && l->n_back < LOOP_FRAMES &&
		    gen_answer(&l->gen, f))
			l->back[l->n_back++] = *f;
		else
			memframes_put(l->frames, f, 1);
	}
	memframes_put(l->frames, o->drop, o->n_drop);
	o->n_tx = o->n_drop = l->out.n_events = l->out.n_questions = 0;
	return cycles;
}

uint64_t loop_counter(const struct loop *l, const char *name)
{
	static struct stats_name names[STATS_MAX_COUNTERS];
	unsigned n = stats_fill_names(names);

	for (unsigned i = 0; i < n; i++) {
		if (!strcmp(names[i].name, name))
			return l->stats->counters[i];
	}
	fprintf(stderr, "bench: no counter %s\n", name);
	abort();
}

uint64_t loop_rss(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size, resident = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
