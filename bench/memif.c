/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * synflood, drop, established, scaling over memif, port time included: what bench-flood measures of the
 * function, of a worker behind a port. Generator and worker have a core each; the offered load is below
 * saturation, and the worker takes a turn when a burst is due, as under full load: what is read is the
 * meter around its turns.
 *
 *   synflood     cookies a second of worker time, whole conversations in the flood, growth of memory
 *   drop         ns a listed SYN with a million entries, beside the 60 ns allowed and beside one entry
 *   established  ns a hostile session from SYN to QUIT with 550 at its RCPT, beside the 5 us allowed
 *   scaling      two workers, each with a pair of ports and a generator on its own core, beside one of
 *                them alone while the other core pauses: refused sessions, and hostile ones up to QUIT.
 *                They share policy, process and port library as the appliance's do; a line that both
 *                write for a packet would cost each some 100 ns.
 *
 *	bench-memif [--json] [--windows N] [--no-huge] [-6] synflood|drop|established|scaling
 */
#include "listed.h"
#include "loop.h"
#include "ports.h"
#include "report.h"

#include "filters/image_write.h"

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ENTRIES = 1000000,
	BURST = PORTS_BURST,
	FLOODED4 = 0x01, /* bits that tell the flood's sources from the real ones: 198.19/16, */
	FLOODED6 = 0x80, /* and the upper half of the /48 */
	BACK = 4096,
	UNDER_WAY = 1024, /* frames in the ports: half of what they hold, so that none is lost */
	IN_FLIGHT = 256,  /* conversations of a scaling generator */
	WINDOW_US = 400000,
	SETTLE_US = 50000,
	END_US = 4000000, /* for a conversation to end whose segment was lost and comes again */
};

enum mode { PAUSE, RUN, STOP };

/* Who serves, beside the workers 0 and 1: nobody, frames go back as they came, or end. */
enum { PORT_BACK = 2, PORT_END };

struct load { /* by its generator alone */
	struct gen gen, flooder;
	struct gen_talks talks;
	uint64_t flood_sent, flood_answers, sent;
	struct frame back[BACK];
	unsigned n_back;
	double due, flood_due;
	uint64_t last;
};

struct bench {
	struct hw *hw;
	struct served *served[2]; /* two policies on one port, or two workers on two */
	struct load *load[2];
	_Alignas(64) _Atomic int mode[2]; /* of each core; scaling: of each pair */
	_Atomic int which;                /* of served[], on one port; or PORT_... */
	_Atomic double talk_rate, flood_rate;
	_Alignas(64) _Atomic uint64_t talks_begun, talks_ended, talks_refused, wrong, completed,
	    flood_sent, flood_answers;
	_Alignas(64) _Atomic uint64_t done[2]; /* scaling: sessions of each pair */
	enum { SYNFLOOD, DROP, ESTABLISHED, SCALING } what;
	bool v6, json, talking; /* talking: whole conversations, else refusals */
	unsigned windows;
	int status;
};

static void policy(void *arg, struct policy_settings *s, struct image_writer *w)
{
	listed_policy(arg, s, w);
}

/* ---- the generator's core ---- */

static void put(_Atomic uint64_t *to, uint64_t v)
{
	atomic_store_explicit(to, v, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

static void hear(struct bench *b, struct load *l, struct frame *f)
{
	const char *text;

	if (atomic_load_explicit(&b->which, memory_order_relaxed) >= PORT_BACK) {
		hw_free(b->hw, f, 1);
		return;
	}
	if (f->data[14 + (b->v6 ? 30 : 17)] & (b->v6 ? FLOODED6 : FLOODED4) &&
	    (gen_heard(&l->gen, f, &text) >> 16 & 0x17) == 0x12) {
		l->flood_answers++;
		hw_free(b->hw, f, 1);
		return;
	}
	bool arp = f->data[12] == 0x08 && f->data[13] == 0x06;
	bool tcp = !arp && gen_heard(&l->gen, f, &text) != GEN_OTHER;
	bool say = tcp && b->talking ? gen_talk(&l->gen, f, &l->talks) : gen_answer(&l->gen, f);

	if (say && l->n_back < BACK)
		l->back[l->n_back++] = *f;
	else
		hw_free(b->hw, f, 1);
}

/* As many as are due, up to `room`, at the places that a random number names. */
static unsigned flood(struct bench *b, struct load *l, struct frame *out, unsigned room,
    unsigned worker, unsigned port)
{
	struct gen *g = &l->flooder;
	unsigned n = 0;

	for (; n < room && l->flood_due >= 1 && hw_alloc(b->hw, worker, port, &out[n]); n++) {
		g->next = g->next * 6364136223846793005ull + 1442695040888963407ull;
		gen_syn(g, &out[n]);
		g->next ^= g->next >> 29;
		out[n].port = (uint8_t)port;
		l->flood_due -= 1;
	}
	l->flood_sent += n;
	return n;
}

static unsigned begin(struct bench *b, struct load *l, struct frame *out, unsigned room,
    unsigned worker, unsigned port)
{
	unsigned n = 0;

	for (; n < room && l->due >= 1 && hw_alloc(b->hw, worker, port, &out[n]); n++) {
		gen_syn(&l->gen, &out[n]);
		out[n].port = (uint8_t)port;
		l->due -= 1;
		l->talks.begun++;
	}
	return n;
}

static unsigned say_back(struct load *l, struct frame *out, unsigned room, unsigned port)
{
	unsigned n = l->n_back < room ? l->n_back : room;

	for (unsigned i = 0; i < n; i++) {
		out[i] = l->back[--l->n_back];
		out[i].port = (uint8_t)port;
	}
	return n;
}

static uint64_t received(struct bench *b)
{
	return get(&b->served[0]->received) + (b->served[1] ? get(&b->served[1]->received) : 0);
}

/* On the queue pair that the worker serves; buffers come from hw worker 0, whose core this is. */
static void generate(struct bench *b)
{
	struct load *l = b->load[0];
	struct frame in[BURST], out[2 * BURST];
	const double hz = (double)hw_tsc_hz();
	int mode;

	l->last = hw_tsc();
	while ((mode = atomic_load_explicit(&b->mode[0], memory_order_relaxed)) != STOP) {
		unsigned n = hw_rx(b->hw, 1, 1, in, BURST), n_out;
		uint64_t now = hw_tsc();

		for (unsigned i = 0; i < n; i++)
			hear(b, l, &in[i]);
		l->due += (double)(now - l->last) / hz * atomic_load(&b->talk_rate);
		l->flood_due += (double)(now - l->last) / hz * atomic_load(&b->flood_rate);
		l->last = now;
		if (mode == PAUSE || l->due > 1024)
			l->due = 0; /* what was missed is not caught up: the load is fixed */
		if (mode == PAUSE || l->flood_due > 4096)
			l->flood_due = 0;
		n_out = say_back(l, out, BURST, 1);
		if (l->sent - received(b) < UNDER_WAY) {
			n_out += begin(b, l, out + n_out, BURST / 2, 0, 1);
			n_out += flood(b, l, out + n_out, 2 * BURST - n_out, 0, 1);
		}
		if (n_out)
			l->sent += n_out - hw_tx(b->hw, 1, out, n_out);
		put(&b->talks_begun, l->talks.begun);
		put(&b->talks_ended, l->talks.ended);
		put(&b->talks_refused, l->talks.refused);
		put(&b->wrong, l->talks.wrong);
		put(&b->completed, l->gen.completed);
		put(&b->flood_sent, l->flood_sent);
		put(&b->flood_answers, l->flood_answers);
	}
}

/* ---- the serving core ---- */

/* A turn when a burst is due at the rate offered; at once again while bursts come full. */
static void serve(struct bench *b)
{
	uint64_t next = 0;

	while (atomic_load_explicit(&b->mode[1], memory_order_relaxed) != STOP) {
		int which = atomic_load_explicit(&b->which, memory_order_relaxed);
		/* frames a second: a conversation has some ten */
		double rate = atomic_load(&b->flood_rate) + 10 * atomic_load(&b->talk_rate);

		if (hw_tsc() < next)
			continue;
		unsigned n = which < PORT_BACK ? served_turn(b->served[which])
					       : served_port_turn(b->served[0], which == PORT_BACK);
		if (n < BURST && rate > 0)
			next = hw_tsc() + (uint64_t)(BURST / rate * (double)hw_tsc_hz());
	}
}

/* ---- scaling: each core does both, and meters the worker alone ---- */

static void both(struct bench *b, unsigned pair)
{
	struct load *l = b->load[pair];
	struct frame in[BURST], out[BURST];
	unsigned port = 2 * pair + 1;
	int mode;

	while ((mode = atomic_load_explicit(&b->mode[pair], memory_order_relaxed)) != STOP) {
		unsigned n, n_out;
		uint64_t done, begun;

		if (mode == PAUSE) {
			__builtin_ia32_pause();
			continue;
		}
		n = hw_rx(b->hw, port, pair, in, BURST);
		for (unsigned i = 0; i < n; i++)
			hear(b, l, &in[i]);
		done = b->talking ? l->talks.ended : l->gen.completed;
		begun = l->talks.begun;
		n_out = say_back(l, out, BURST, port);
		l->due = begun - done < IN_FLIGHT ? IN_FLIGHT - (double)(begun - done) : 0;
		if (!n && !n_out && l->due < 1) {
			/* some were lost before the port was up: others take their places */
			l->talks.begun = done;
			usleep(1000);
		}
		n_out += begin(b, l, out + n_out, BURST - n_out, pair, port);
		if (n_out)
			hw_tx(b->hw, pair, out, n_out);
		served_turn(b->served[pair]);
		put(&b->done[pair], done);
	}
}

static void core(void *arg)
{
	void **pair = arg;
	struct bench *b = pair[0];
	unsigned number = pair[1] ? 1 : 0;

	if (b->what == SCALING)
		both(b, number);
	else if (number)
		serve(b);
	else
		generate(b);
}

/* ---- windows ---- */

struct counts {
	uint64_t busy, received, sent, unsent, begun, ended, refused, flood_sent, flood_answers;
};

static struct counts now(struct bench *b, unsigned which)
{
	struct served *s = b->served[which < PORT_BACK ? which : 0];

	return (struct counts){ get(&s->busy), get(&s->received), get(&s->sent), get(&s->unsent),
		get(&b->talks_begun), get(&b->talks_ended), get(&b->talks_refused),
		get(&b->flood_sent), get(&b->flood_answers) };
}

/* What came and went in a window under these rates. */
static struct counts window(struct bench *b, unsigned which, double talks, double syns)
{
	atomic_store(&b->which, (int)which);
	atomic_store(&b->talk_rate, talks);
	atomic_store(&b->flood_rate, syns);
	atomic_store(&b->mode[0], RUN);
	usleep(SETTLE_US);
	struct counts a = now(b, which);
	usleep(WINDOW_US);
	struct counts z = now(b, which);
	atomic_store(&b->mode[0], PAUSE);
	usleep(SETTLE_US);
	return (struct counts){ z.busy - a.busy, z.received - a.received, z.sent - a.sent,
		z.unsent - a.unsent, z.begun - a.begun, z.ended - a.ended, z.refused - a.refused,
		z.flood_sent - a.flood_sent, z.flood_answers - a.flood_answers };
}

static double ns(const struct bench *b, uint64_t cycles)
{
	return (double)cycles / b->served[0]->cycles_per_ns;
}

static double per_frame(struct bench *b, struct counts c)
{
	return c.received ? ns(b, c.busy) / (double)c.received : 0;
}

/* Ours beside what the port alone costs, in the same windows. */
static void add_port(struct bench *b, struct report *r, unsigned which, double ours)
{
	double port = per_frame(b, window(b, which, 0, 4e6));

	if (port > 0)
		report_add(r, ours, port);
}

/* The ports connect, the gateway is resolved. */
static bool warm_up(struct bench *b, unsigned which)
{
	for (unsigned i = 0; i < 50; i++) {
		struct counts c = window(b, which, 1000, 0);

		if (c.ended || (b->what == DROP && c.received > 100))
			return true;
	}
	fprintf(stderr, "bench-memif: no session in %u windows\n", 50);
	return false;
}

static struct report begin_report(const struct bench *b, const char *claim, const char *claim_v6)
{
	return (struct report){ .claim = b->v6 ? claim_v6 : claim,
		.target_ratio = 1,
		.lists = ENTRIES,
		.rules = CHECK_N + 1,
		.events = true };
}

static bool enough(const struct bench *b, const struct report *r, const char *why)
{
	if (r->windows >= b->windows)
		return true;
	fprintf(stderr, "bench-memif: %u of %u windows: %s\n", r->windows, b->windows, why);
	return false;
}

static bool synflood(struct bench *b)
{
	struct report speed = begin_report(b, "synflood-memif", "synflood-memif-v6");
	struct report real = begin_report(b, "synflood-memif-real", "synflood-memif-real-v6");
	struct report memory = begin_report(b, "synflood-memif-memory", "synflood-memif-memory-v6");

	speed.unit = "cookies/s";
	speed.baseline_name = "wanted";
	speed.more_is_better = real.more_is_better = true;
	real.unit = "% complete";
	real.baseline_name = "wanted, of the sessions in the flood";
	struct report port = begin_report(b, "synflood-memif-port", "synflood-memif-port-v6");

	port.unit = "ns/packet";
	port.baseline_name = "the port alone, there and back";
	port.target_ratio = 0;
	memory.unit = "KiB grown";
	memory.baseline_name = "allowed";
	window(b, 0, 1000, 4e6);
	uint64_t rss = loop_rss();
	for (unsigned i = 0; i < 3 * b->windows && speed.windows < b->windows; i++) {
		struct counts c = window(b, 0, 0, 4e6);

		/* what ports lose on a busy machine is no fault of the worker, and no measure of it */
		if (c.received < 100000 || c.sent < c.received - c.received / 500)
			continue;
		report_add(&speed, 1e9 / per_frame(b, c), b->v6 ? 8e6 : 10e6);
		add_port(b, &port, PORT_BACK, per_frame(b, c));
	}
	for (unsigned i = 0; i < b->windows; i++) {
		struct counts a = now(b, 0), z;

		window(b, 0, 4000, 2e6);
		for (unsigned t = 0; t < END_US / SETTLE_US; t++) { /* those under way end */
			z = now(b, 0);
			if (z.ended - a.ended == z.begun - a.begun)
				break;
			usleep(SETTLE_US);
		}
		if (z.begun > a.begun)
			report_add(&real,
			    100.0 * (double)(z.ended - a.ended) / (double)(z.begun - a.begun), 99.9);
	}
	report_add(&memory, (double)(loop_rss() - rss) / 1024, 1024);
	if (!enough(b, &speed, "SYNs were lost before they were answered"))
		return false;
	report_print(&speed, b->json);
	report_print(&port, b->json);
	report_print(&real, b->json);
	report_print(&memory, b->json);
	return true;
}

static bool drop(struct bench *b)
{
	struct report allowed = begin_report(b, "drop-memif", "drop-memif-v6");
	struct report one = begin_report(b, "drop-memif-one", "drop-memif-one-v6");

	struct report port = begin_report(b, "drop-memif-port", "drop-memif-port-v6");

	port.baseline_name = "the port alone, one way";
	port.target_ratio = 0;
	allowed.unit = one.unit = port.unit = "ns/packet";
	allowed.baseline_name = "allowed, port included";
	one.baseline_name = "one entry";
	one.target_ratio = 1.3;
	window(b, 0, 0, 4e6);
	window(b, 1, 0, 4e6);
	for (unsigned i = 0; i < 3 * b->windows && one.windows < b->windows; i++) {
		struct counts many = window(b, 0, 0, 4e6), few = window(b, 1, 0, 4e6);

		if (many.received < 100000 || few.received < 100000)
			continue;
		if (many.sent > 100 || few.sent > 100) {
			fprintf(stderr, "bench-memif: listed SYNs were answered\n");
			return false;
		}
		report_add(&allowed, per_frame(b, many), 60);
		report_add(&one, per_frame(b, many), per_frame(b, few));
		add_port(b, &port, PORT_END, per_frame(b, many));
	}
	if (!enough(b, &one, "too few SYNs came"))
		return false;
	report_print(&allowed, b->json);
	report_print(&one, b->json);
	report_print(&port, b->json);
	return true;
}

static bool established(struct bench *b)
{
	struct report r = begin_report(b, "established-memif", "established-memif-v6");

	r.unit = "ns/session";
	r.baseline_name = "allowed";
	window(b, 0, 100000, 0);
	for (unsigned i = 0; i < 3 * b->windows && r.windows < b->windows; i++) {
		struct counts c = window(b, 0, 100000, 0);

		/* those that began are those that ended, but for a busy machine's losses */
		if (c.ended > 1000 && c.refused > c.ended - c.ended / 50 &&
		    c.ended > c.begun - c.begun / 50)
			report_add(&r, ns(b, c.busy) / (double)c.ended, 5000);
	}
	if (!enough(b, &r, "sessions did not end"))
		return false;
	report_print(&r, b->json);
	return true;
}

/* ns a session of the pairs that run. */
static double pairs(struct bench *b, bool first, bool second)
{
	uint64_t busy = 0, done = 0, at[2], were[2];

	for (unsigned i = 0; i < 2; i++)
		atomic_store(&b->mode[i], (i ? second : first) ? RUN : PAUSE);
	usleep(SETTLE_US);
	for (unsigned i = 0; i < 2; i++) {
		at[i] = get(&b->served[i]->busy);
		were[i] = get(&b->done[i]);
	}
	usleep(WINDOW_US / 2);
	for (unsigned i = 0; i < 2; i++) {
		busy += get(&b->served[i]->busy) - at[i];
		done += get(&b->done[i]) - were[i];
	}
	return done > 1000 ? ns(b, busy) / (double)done : 0;
}

static bool scaling(struct bench *b)
{
	static const char *claims[2][2] = { { "scaling", "scaling-v6" },
		{ "scaling-talk", "scaling-talk-v6" } };
	struct report r = begin_report(b, claims[b->talking][0], claims[b->talking][1]);

	r.unit = "ns/session";
	r.baseline_name =
	    b->talking ? "one worker, hostile sessions to QUIT" : "one worker, refused";
	r.target_ratio = 1.03;
	for (unsigned i = 0; i < 50 && (!pairs(b, true, false) || !pairs(b, false, true)); i++)
		continue; /* the ports connect */
	for (unsigned i = 0; i < 4 * b->windows && r.windows < 2 * b->windows; i++) {
		double one = pairs(b, true, false), both = pairs(b, true, true),
		       other = pairs(b, false, true);

		if (one > 0 && both > 0 && other > 0)
			report_add(&r, both, (one + other) / 2);
	}
	if (!enough(b, &r, "no sessions completed"))
		return false;
	report_print(&r, b->json);
	return true;
}

static void *conduct(void *arg)
{
	struct bench *b = arg;
	bool ok;

	if (b->what == SCALING)
		ok = scaling(b);
	else
		ok = warm_up(b, 0) && (b->what != DROP || warm_up(b, 1)) &&
		     (b->what == SYNFLOOD  ? synflood(b)
			 : b->what == DROP ? drop(b)
					   : established(b));
	b->status = ok ? 0 : 1;
	atomic_store(&b->mode[0], STOP);
	atomic_store(&b->mode[1], STOP);
	return NULL;
}

static bool make(struct bench *b)
{
	struct listed many = { .entries = ENTRIES, .verdict = VERDICT_REFUSE }, one;
	struct served_config config = { .queue = 1, .n_workers = 1 };

	many.listed = b->what == DROP || (b->what == SCALING && !b->talking);
	if (b->what == DROP)
		many.verdict = VERDICT_DROP;
	one = many;
	one.entries = 1;
	config.rig = (struct rig_config){
		.seed = 1, .policy = policy, .arg = &many, .worker_conns = 16384, .worker_chunks = 65536
	};
	if (b->what == SCALING) {
		config.queue = 0;
		config.n_workers = 2;
	}
	b->served[0] = served_new(b->hw, &config);
	if (!b->served[0])
		return false;
	if (b->what == SCALING) {
		config.pair = config.queue = config.index = 1;
		config.policy_from = b->served[0];
		b->served[1] = served_new(b->hw, &config);
	} else if (b->what == DROP) {
		config.rig.arg = &one;
		b->served[1] = served_new(b->hw, &config);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct load *l = b->load[i] = calloc(1, sizeof(*l));

		if (!l || (b->what >= SCALING && !b->served[i]))
			return false;
		l->gen = ports_gen(b->hw, b->what == SCALING ? i : 0, b->v6, 32768);
		l->gen.plain = true;
		l->flooder = l->gen;
		l->flooder.plain = false;
		l->flooder.src[b->v6 ? 6 : 1] |= b->v6 ? FLOODED6 : FLOODED4;
	}
	return b->what != DROP || b->served[1];
}

static int run(struct bench *b, bool huge)
{
	void *roles[2][2] = { { b, NULL }, { b, b } };
	char *error = NULL;
	pthread_t conductor;

	b->status = 2;
	if (ports_open("bench-memif", b->what == SCALING ? 2 : 1, huge, &b->hw) < 0)
		return 2;
	if (make(b) && pthread_create(&conductor, NULL, conduct, b) == 0) {
		if (hw_run_workers(b->hw, core, (void *const[]){ roles[0], roles[1] }, 2, &error) <
		    0) {
			fprintf(stderr, "bench-memif: %s\n", error ? error : "no cores");
			b->status = 2;
		}
		pthread_join(conductor, NULL);
	}
	free(error);
	for (unsigned i = 2; i-- > 0;) {
		served_free(b->served[i]);
		free(b->load[i]);
	}
	hw_close(b->hw);
	return b->status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "windows", required_argument, NULL, 'w' }, { "no-huge", no_argument, NULL, 'n' },
		{ "talk", no_argument, NULL, 't' }, { 0 } };
	static const char *const names[] = { "synflood", "drop", "established", "scaling" };
	static struct bench b = { .windows = 7 };
	bool huge = true, talk = false;
	int o, what = -1;

	while ((o = getopt_long(argc, argv, "6", options, NULL)) != -1) {
		switch (o) {
		case 'j': b.json = true; break;
		case 'w': b.windows = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'n': huge = false; break;
		case 't': talk = true; break;
		case '6': b.v6 = true; break;
		default: optind = argc + 1;
		}
	}
	for (int i = 0; i < 4 && optind == argc - 1; i++)
		what = strcmp(argv[optind], names[i]) ? what : i;
	if (what < 0) {
		fprintf(stderr,
		    "usage: bench-memif [--json] [--windows N] [--no-huge] [--talk] [-6] "
		    "synflood|drop|established|scaling\n");
		return 2;
	}
	b.what = (unsigned)what;
	b.talking = b.what == SCALING ? talk : true;
	return run(&b, huge);
}
