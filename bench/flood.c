/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * synflood, drop, established: the worker as a pure function in one loop (loop.h), the meter around
 * worker_turn() alone, the whole product behind it (a million entries, statistics, events, timers).
 *
 *   synflood     cookies per second to SYNs that are judged `go on`, ring full and overwritten, with
 *                real sessions in between: each a whole conversation up to QUIT, which must end in 221.
 *                Beside it: the floor that PERFORMANCE sets.
 *   drop         a listed SYN with 1,000,000 entries beside the same with one entry.
 *   established  a hostile session from SYN to QUIT with 550 at its RCPT, in which all local checks are
 *                asked, beside the 5 us allowed.
 *
 *	bench-flood [--json] [--windows N] [-6] synflood|drop|established
 */
#include "listed.h"
#include "loop.h"
#include "report.h"

#include "filters/image_write.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SYNS = 2000000,
	SESSIONS = 20000,
	AT_ONCE = 256,
	REAL_EVERY = 1024,
	FLOODED4 = 0x01, /* bits that tell the flood's sources from the real ones: 198.19/16, */
	FLOODED6 = 0x80  /* and the upper half of the /48 */
};

struct bench {
	struct loop *l;
	struct listed policy;
	struct gen_talks talks;
	uint64_t answers; /* to the flood */
};

static void policy(void *arg, struct policy_settings *s, struct image_writer *w)
{
	const struct bench *b = arg;

	listed_policy(&b->policy, s, w);
}

static struct loop *open_loop(struct bench *b, bool v6, bool (*heard)(struct loop *, struct frame *))
{
	struct loop_config config = {
		.v6 = v6, .max_tarpit = 1, .max_conns = 16384, .policy = policy, .arg = b
	};

	b->l = loop_new(&config);
	if (!b->l)
		return NULL;
	b->l->gen.n_sources = 32768;
	b->l->heard = heard;
	b->l->arg = b;
	return b->l;
}

/* ---- conversations ---- */

static bool talk(struct loop *l, struct frame *f)
{
	struct bench *b = l->arg;
	const char *text;

	if (f->data[14 + (l->gen.v6 ? 30 : 17)] & (l->gen.v6 ? FLOODED6 : FLOODED4)) {
		b->answers += (gen_heard(&l->gen, f, &text) >> 16 & 0x17) == 0x12;
		return false; /* nobody is there */
	}
	if (!gen_talk(&l->gen, f, &b->talks))
		return false;
	l->back[l->n_back++] = *f;
	return true;
}

/* Conversations until `sessions` more have ended; ns of worker_turn() each. 0: some did not. */
static double converse(struct bench *b, uint64_t sessions)
{
	struct loop *l = b->l;
	struct frame in[LOOP_BURST];
	uint64_t busy = l->busy, end = b->talks.ended + sessions, started = b->talks.ended, idle = 0;

	while (b->talks.ended < end && idle < 100000) {
		unsigned n = loop_back(l, in, LOOP_BURST);

		while (n < LOOP_BURST && started < end && started - b->talks.ended < AT_ONCE &&
		       memframes_get(l->frames, 0, &in[n])) {
			gen_syn(&l->gen, &in[n++]);
			started++;
		}
		idle = n ? 0 : idle + 1;
		loop_turn(l, in, n, n ? 0 : 100000);
	}
	if (b->talks.ended < end || b->talks.wrong) {
		fprintf(stderr, "bench-flood: %llu sessions did not end, %llu frames were wrong\n",
		    (unsigned long long)(end - b->talks.ended), (unsigned long long)b->talks.wrong);
		return 0;
	}
	return (double)(l->busy - busy) / l->cycles_per_ns / (double)sessions;
}

static int established(struct bench *b, bool v6, unsigned windows, bool json)
{
	struct report report = { .claim = v6 ? "established-v6" : "established",
		.unit = "ns/session",
		.baseline_name = "allowed (ports not included)",
		.target_ratio = 1,
		.lists = b->policy.entries,
		.rules = CHECK_N + 1,
		.events = true };

	b->policy.verdict = VERDICT_REFUSE;
	if (!open_loop(b, v6, talk))
		return 2;
	b->l->gen.plain = true;
	for (unsigned i = 0; i < 200; i++) /* resolves the gateway */
		converse(b, 1);
	b->talks.wrong = 0;
	converse(b, SESSIONS);
	for (unsigned i = 0; i < windows; i++) {
		uint64_t refused = b->talks.refused;
		double ns = converse(b, SESSIONS);

		if (ns == 0 || b->talks.refused - refused < SESSIONS)
			return 1;
		report_add(&report, ns, 5000);
	}
	report_print(&report, json);
	return 0;
}

/* ---- SYNs ---- */

/* ns of worker_turn() a SYN. Every REAL_EVERY turns a real conversation begins; they go on between. */
static double flood(struct bench *b, uint64_t syns, bool real, uint64_t *ret_begun)
{
	struct loop *l = b->l;
	struct frame in[LOOP_BURST];
	uint64_t busy = l->busy, sent = 0, begun = 0;
	struct gen flooder = l->gen;

	flooder.plain = false;
	flooder.src[l->gen.v6 ? 6 : 1] |= l->gen.v6 ? FLOODED6 : FLOODED4;
	for (uint64_t turn = 0; sent < syns; turn++) {
		unsigned n = real ? loop_back(l, in, LOOP_BURST / 4) : 0;

		if (real && turn % (REAL_EVERY / LOOP_BURST) == 0 &&
		    memframes_get(l->frames, 0, &in[n])) {
			gen_syn(&l->gen, &in[n++]);
			begun++;
		}
		for (; n < LOOP_BURST && memframes_get(l->frames, 0, &in[n]); n++, sent++) {
			flooder.next =
			    flooder.next * 6364136223846793005ull + 1442695040888963407ull;
			gen_syn(&flooder, &in[n]);
			flooder.next ^= flooder.next >> 29;
		}
		loop_turn(l, in, n, 0);
	}
	if (ret_begun)
		*ret_begun = begun;
	return (double)(l->busy - busy) / l->cycles_per_ns / (double)sent;
}

static int synflood(struct bench *b, bool v6, unsigned windows, bool json)
{
	struct report report = { .claim = v6 ? "synflood-v6" : "synflood",
		.unit = "cookies/s",
		.baseline_name = "wanted of the function alone, ring kept",
		.more_is_better = true,
		.target_ratio = 1,
		.lists = b->policy.entries,
		.rules = CHECK_N + 1,
		.events = true };
	struct report real = report, memory = report;
	struct loop *l = open_loop(b, v6, talk);
	uint64_t begun;

	real.claim = v6 ? "synflood-real-v6" : "synflood-real";
	real.unit = "% complete";
	real.baseline_name = "wanted, of the sessions in the flood";
	memory.claim = v6 ? "synflood-memory-v6" : "synflood-memory";
	memory.unit = "KiB grown";
	memory.baseline_name = "allowed";
	memory.more_is_better = false;
	if (!l)
		return 2;
	l->gen.plain = true;
	for (unsigned i = 0; i < 200; i++)
		converse(b, 1);
	b->talks.wrong = 0;
	converse(b, SESSIONS);
	flood(b, SYNS, false, NULL);
	uint64_t rss = loop_rss();
	for (unsigned i = 0; i < windows; i++) {
		uint64_t answers = b->answers, ended = b->talks.ended;
		double ns = flood(b, SYNS, false, NULL);

		if (b->answers - answers < SYNS - SYNS / 1000) {
			fprintf(stderr, "bench-flood: %llu of %u SYNs were answered\n",
			    (unsigned long long)(b->answers - answers), SYNS);
			return 1;
		}
		report_add(&report, 1e9 / ns, v6 ? 16e6 : 20e6);
		flood(b, SYNS, true, &begun);
		for (unsigned t = 0; t < 100000 && l->n_back; t++) { /* those under way end */
			struct frame in[LOOP_BURST];

			loop_turn(l, in, loop_back(l, in, LOOP_BURST), 0);
		}
		report_add(&real, 100.0 * (double)(b->talks.ended - ended) / (double)begun, 99.9);
	}
	report_add(&memory, (double)(loop_rss() - rss) / 1024, 1024);
	report_print(&report, json);
	report_print(&real, json);
	report_print(&memory, json);
	return 0;
}

static int drop(struct bench *b, bool v6, unsigned windows, bool json)
{
	struct report report = { .claim = v6 ? "drop-v6" : "drop",
		.unit = "ns/packet",
		.baseline_name = "one entry",
		.target_ratio = 1.3,
		.lists = b->policy.entries,
		.rules = CHECK_N + 1,
		.events = true };
	struct bench one = { .policy = { .entries = 1, .listed = true, .verdict = VERDICT_DROP } };
	int ret = 1;

	b->policy.listed = true;
	b->policy.verdict = VERDICT_DROP;
	if (!open_loop(b, v6, talk) || !open_loop(&one, v6, talk))
		goto out;
	flood(b, SYNS, false, NULL);
	flood(&one, SYNS, false, NULL);
	uint64_t before = loop_counter(b->l, "verdict_drop_syn"), answers = b->answers;
	for (unsigned i = 0; i < windows; i++)
		report_add(&report, flood(b, SYNS, false, NULL), flood(&one, SYNS, false, NULL));
	if (loop_counter(b->l, "verdict_drop_syn") - before < (uint64_t)windows * SYNS ||
	    b->answers != answers) {
		fprintf(stderr, "bench-flood: %llu were dropped, %llu answered\n",
		    (unsigned long long)(loop_counter(b->l, "verdict_drop_syn") - before),
		    (unsigned long long)(b->answers - answers));
		goto out;
	}
	report_print(&report, json);
	ret = 0;
out:
	loop_free(one.l);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "windows", required_argument, NULL, 'w' }, { 0 } };
	struct bench b = { .policy.entries = 1000000 };
	bool json = false, v6 = false;
	unsigned windows = 7;
	int o, ret = 2;

	while ((o = getopt_long(argc, argv, "6", options, NULL)) != -1) {
		switch (o) {
		case 'j': json = true; break;
		case 'w': windows = (unsigned)strtoul(optarg, NULL, 10); break;
		case '6': v6 = true; break;
		default: optind = argc + 1;
		}
	}
	if (optind == argc - 1 && !strcmp(argv[optind], "synflood"))
		ret = synflood(&b, v6, windows, json);
	else if (optind == argc - 1 && !strcmp(argv[optind], "drop"))
		ret = drop(&b, v6, windows, json);
	else if (optind == argc - 1 && !strcmp(argv[optind], "established"))
		ret = established(&b, v6, windows, json);
	else
		fprintf(stderr, "usage: bench-flood [--json] [--windows N] [-6] "
				"synflood|drop|established\n");
	loop_free(b.l);
	return ret;
}
