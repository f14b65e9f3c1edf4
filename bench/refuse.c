/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * refuse: complete refused sessions over memif, port time included, whole product (policy with a
 * million entries, statistics, sampled events, timers) beside the zero-state program that sends the
 * same frames, in the same process, windows interleaved, at one fixed offered load below saturation.
 * What is compared is the time of busy turns per session (from the time-stamp counter): overload
 * would measure queues. One core generates, one serves.
 *
 *	bench-refuse [--json] [--windows N] [--entries N] [--rate SESSIONS/S] [-6] [--bare] [--no-huge]
 */
#include "gen.h"
#include "listed.h"
#include "report.h"
#include "zero_state.h"

#include "dataplane/model_rig.h"
#include "hw/port.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <rte_ethdev.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The generator is worker 0 on port 1, the server worker 1 on port 0; both use queue pair 1, so
 * that each has a queue of its own and no lock is taken. */
enum { SERVER_PORT = 0, GEN_PORT = 1, QUEUE = 1, BURST = 32 };

enum mode { MODE_PAUSE, MODE_OURS, MODE_ZERO, MODE_STOP };

struct shared {
	_Alignas(64) _Atomic int mode;
	_Alignas(64) _Atomic uint64_t completed, refused_bytes, refused, resets; /* by the generator */
	_Alignas(64) _Atomic uint64_t busy_tsc, received, answered;              /* by the server */
	_Alignas(64) struct hw *hw;
	struct gen gen;
	struct zero_state zero;
	struct worker *worker;
	struct policy *policy;
	double rate; /* sessions per second */
	uint32_t entries;
	unsigned windows;
	uint64_t short_received, short_answered; /* of the last window that is worth nothing */
	bool json, v6;
	struct report report;
};

static void policy_hook(void *arg, struct policy_settings *s, struct image_writer *w)
{
	const struct shared *sh = arg;

	(void)s;
	listed_add(w, sh->entries);
}

/* ---- the generator's core ---- */

static void generate(struct shared *sh)
{
	struct gen *g = &sh->gen;
	struct frame in[BURST], out[2 * BURST];
	const double per_tsc = sh->rate / (double)hw_tsc_hz();
	uint64_t last = hw_tsc();
	double due = 0;
	int mode;

	while ((mode = atomic_load_explicit(&sh->mode, memory_order_relaxed)) != MODE_STOP) {
		unsigned n = hw_rx(sh->hw, GEN_PORT, QUEUE, in, BURST), n_out = 0, n_done = 0;
		for (unsigned i = 0; i < n; i++) {
			in[i].port = GEN_PORT;
			if (gen_answer(g, &in[i]))
				out[n_out++] = in[i];
			else
				in[n_done++] = in[i];
		}
		hw_free(sh->hw, in, n_done);
		uint64_t now = hw_tsc();
		due += (double)(now - last) * per_tsc;
		last = now;
		if (mode == MODE_PAUSE || due > 4096)
			due = 0; /* what was missed is not caught up: the load is fixed */
		while (mode != MODE_PAUSE && due >= 1 && n_out < 2 * BURST &&
		       hw_alloc(sh->hw, 0, GEN_PORT, &out[n_out])) {
			gen_syn(g, &out[n_out++]);
			due -= 1;
		}
		hw_tx(sh->hw, QUEUE, out, n_out);
		atomic_store_explicit(&sh->completed, g->completed, memory_order_relaxed);
		atomic_store_explicit(&sh->refused, g->refusals, memory_order_relaxed);
		atomic_store_explicit(&sh->refused_bytes, g->refusal_bytes, memory_order_relaxed);
		atomic_store_explicit(&sh->resets, g->resets, memory_order_relaxed);
	}
}

/* ---- the server's core ---- */

static void count_answers(struct shared *sh, unsigned received, unsigned answered)
{
	/* the serving core alone writes them: no locked addition */
	atomic_store_explicit(&sh->received,
	    atomic_load_explicit(&sh->received, memory_order_relaxed) + received,
	    memory_order_relaxed);
	atomic_store_explicit(&sh->answered,
	    atomic_load_explicit(&sh->answered, memory_order_relaxed) + answered,
	    memory_order_relaxed);
}

static uint64_t turn_ours(struct shared *sh, struct worker_out *wo)
{
	struct frame in[BURST];
	uint64_t t0 = hw_tsc();
	unsigned n = hw_rx(sh->hw, SERVER_PORT, QUEUE, in, BURST);
	uint64_t now = hw_now_ns();
	if (n == 0 && worker_next_deadline(sh->worker) > now && !wo->busy)
		return 0;
	worker_turn(sh->worker, sh->policy, in, n, NULL, 0, now, wo);
	/* the inside port is not there: what is meant for backends ends here */
	unsigned n_tx = 0;
	for (unsigned i = 0; i < wo->frames.n_tx; i++) {
		if (wo->frames.tx[i].port == 0)
			wo->frames.tx[n_tx++] = wo->frames.tx[i];
		else
			wo->frames.drop[wo->frames.n_drop++] = wo->frames.tx[i];
	}
	hw_tx(sh->hw, QUEUE, wo->frames.tx, n_tx);
	hw_free(sh->hw, wo->frames.drop, wo->frames.n_drop);
	count_answers(sh, n, n_tx);
	wo->frames.n_tx = wo->frames.n_drop = wo->n_events = wo->n_questions = 0;
	return hw_tsc() - t0;
}

static uint64_t turn_zero(struct shared *sh, uint16_t port_id)
{
	struct rte_mbuf *m[BURST];
	uint8_t *data[BURST];
	uint16_t len[BURST], n_tx = 0;
	uint64_t t0 = hw_tsc();
	uint16_t n = rte_eth_rx_burst(port_id, QUEUE, m, BURST);
	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		data[i] = rte_pktmbuf_mtod(m[i], uint8_t *);
		len[i] = m[i]->data_len;
	}
	zero_state_burst(&sh->zero, data, len, n);
	for (unsigned i = 0; i < n; i++) {
		if (!len[i]) {
			rte_pktmbuf_free(m[i]);
			continue;
		}
		m[i]->data_len = len[i];
		m[i]->pkt_len = len[i];
		m[n_tx++] = m[i];
	}
	uint16_t sent = rte_eth_tx_burst(port_id, QUEUE, m, n_tx);
	while (sent < n_tx)
		rte_pktmbuf_free(m[sent++]);
	count_answers(sh, n, n_tx);
	return hw_tsc() - t0;
}

static void serve(struct shared *sh)
{
	static struct frame tx[512], drop[512];
	static struct event events[256];
	static struct question questions[64];
	struct worker_out wo = { .frames = { .tx = tx, .cap_tx = 512, .drop = drop, .cap_drop = 512 },
		.events = events,
		.cap_events = 256,
		.questions = questions,
		.cap_questions = 64 };
	uint64_t busy = 0;
	uint16_t port_id;
	int mode;

	if (rte_eth_dev_get_port_by_name("net_memif0", &port_id) != 0)
		return;
	while ((mode = atomic_load_explicit(&sh->mode, memory_order_relaxed)) != MODE_STOP) {
		busy += mode == MODE_ZERO ? turn_zero(sh, port_id) : turn_ours(sh, &wo);
		atomic_store_explicit(&sh->busy_tsc, busy, memory_order_relaxed);
	}
}

/* ---- the windows, on a thread of their own ---- */

/* ns a session; 0: not each frame of a session got its answer, and the figure is worth nothing.
 * (What ports lose on a busy machine is no fault of the server: its work is lost, and counted.) */
static double window(struct shared *sh, enum mode mode)
{
	uint64_t received = atomic_load(&sh->received), answered = atomic_load(&sh->answered);
	atomic_store(&sh->mode, (int)mode);
	usleep(50000);
	uint64_t c0 = atomic_load(&sh->completed), b0 = atomic_load(&sh->busy_tsc);
	usleep(400000);
	uint64_t c = atomic_load(&sh->completed) - c0, b = atomic_load(&sh->busy_tsc) - b0;
	atomic_store(&sh->mode, MODE_PAUSE);
	usleep(20000);
	received = atomic_load(&sh->received) - received;
	answered = atomic_load(&sh->answered) - answered;
	/* ARP and ND may be among them, and a burst that is not yet counted */
	if (received > answered + received / 1000 + BURST) {
		sh->short_received = received;
		sh->short_answered = answered;
		return 0;
	}
	return c ? (double)b / (double)c * 1e9 / (double)hw_tsc_hz() : 0;
}

static void *conduct(void *arg)
{
	struct shared *sh = arg;
	char text[256];

	for (unsigned i = 0; i < 50 && atomic_load(&sh->completed) == 0; i++)
		window(sh, MODE_OURS); /* the ports connect, the gateway is resolved */
	uint64_t refused = atomic_load(&sh->refused);
	uint64_t mean = refused ? atomic_load(&sh->refused_bytes) / refused : 50;
	snprintf(text, sizeof(text), "%.*s\r\n", mean > 2 && mean < 250 ? (int)mean - 2 : 50,
	    "521 5.7.1 Your address is listed here, for a text that is as long as the other one "
	    "is, "
	    "whatever that length may be, and then some more to fill the space up to the very end");
	memcpy(sh->zero.text, text, strlen(text));
	sh->zero.text_len = (uint16_t)strlen(text);
	window(sh, MODE_ZERO);
	for (unsigned i = 0; i < 3 * sh->windows && sh->report.windows < sh->windows; i++) {
		double ours = window(sh, MODE_OURS);
		double theirs = ours > 0 ? window(sh, MODE_ZERO) : 0;
		if (theirs > 0)
			report_add(&sh->report, ours, theirs);
	}
	atomic_store(&sh->mode, MODE_STOP);
	return NULL;
}

static void core(void *arg)
{
	/* hw_run_workers() gives worker i its own argument: [0] generates, [1] serves */
	void **pair = arg;
	if (pair[1])
		serve(pair[0]);
	else
		generate(pair[0]);
}

static void memif_name(char *buf, size_t room, unsigned number, const char *role)
{
	snprintf(buf, room,
	    "net_memif%u,role=%s,id=0,socket=/tmp/postern-bench-%d.sock,"
	    "socket-abstract=no,rsize=11",
	    number, role, (int)getpid());
}

static int open_ports(struct shared *sh, bool huge)
{
	static char dev0[160], dev1[160];
	const char *eal[8] = { "--no-pci", "--no-telemetry", "--force-max-simd-bitwidth=512", "-m",
		"1024" };
	unsigned n_eal = 5;
	char *error = NULL;
	if (huge) {
		eal[n_eal++] = "--in-memory";
	} else {
		eal[n_eal++] = "--no-huge";
	}
	memif_name(dev0, sizeof(dev0), 0, "server");
	memif_name(dev1, sizeof(dev1), 1, "client");
	struct hw_port_request ports[2] = {
		{ .name = "server", .device = dev0, .mtu = 1500, .queues = 2 },
		{ .name = "generator", .device = dev1, .mtu = 1500, .queues = 2 },
	};
	int e = hw_open("bench-refuse", eal, n_eal, ports, 2, 2, &sh->hw, &error);
	if (e < 0) {
		fprintf(stderr, "bench-refuse: %s\n", error ? error : strerror(-e));
		free(error);
	}
	return e;
}

struct alloc_arg {
	struct hw *hw;
};

static bool frame_alloc(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct alloc_arg *a = arg;
	return hw_alloc(a->hw, 1, port, ret_frame);
}

static int run(struct shared *sh, bool huge, bool bare)
{
	struct rig_config config = { .seed = 1, .policy = policy_hook, .arg = sh };
	struct stats_worker *stats = aligned_alloc(64, sizeof(*stats));
	struct worker_config *wc = calloc(1, sizeof(*wc));
	struct image_writer *image = NULL;
	struct alloc_arg alloc;
	int e = -ENOMEM;

	if (!stats || !wc)
		goto out;
	memset(stats, 0, sizeof(*stats));
	e = open_ports(sh, huge);
	if (e < 0)
		goto out;
	alloc.hw = sh->hw;
	e = rig_policy_new(&config, &image, &sh->policy);
	if (e < 0)
		goto out;
	rig_worker_config(&config, wc);
	memcpy(wc->stack.ports[0].mac, hw_port(sh->hw, SERVER_PORT)->mac, 6);
	struct stack_host host = { .arg = &alloc, .frame_alloc = frame_alloc };
	e = worker_new(wc, &host, stats, sh->policy, hw_now_ns(), &sh->worker);
	if (e < 0)
		goto out;
	sh->gen = (struct gen){ .v6 = sh->v6, .n_sources = 65536, .dst_port = 25 };
	memcpy(sh->gen.src_mac, hw_port(sh->hw, GEN_PORT)->mac, 6);
	memcpy(sh->gen.dst_mac, hw_port(sh->hw, SERVER_PORT)->mac, 6);
	struct ip_addr us = rig_server(sh->v6);
	memcpy(sh->gen.dst, sh->v6 ? us.b : us.b + 12, sh->v6 ? 16 : 4);
	memcpy(sh->gen.src,
	    sh->v6 ? (const char *)"\x20\x01\x0d\xb8\x0b\xad\0\0\0\0\0\0\0\0\0"
		   : (const char *)"\xc6\x12\0\0",
	    sh->v6 ? 16 : 4);
	e = zero_state_init(&sh->zero, sh->v6, "521 5.7.1 refused\r\n");
	if (e < 0)
		goto out;
	sh->zero.bare = bare;
	pthread_t conductor;
	pthread_create(&conductor, NULL, conduct, sh);
	void *roles[2][2] = { { sh, NULL }, { sh, sh } };
	char *error = NULL;
	e = hw_run_workers(sh->hw, core, (void *const[]){ roles[0], roles[1] }, 2, &error);
	if (e < 0)
		fprintf(stderr, "bench-refuse: %s\n", error ? error : strerror(-e));
	pthread_join(conductor, NULL);
	free(error);
	if (e == 0 && atomic_load(&sh->completed) == 0) {
		fprintf(stderr, "bench-refuse: no session completed (%lu resets)\n",
		    (unsigned long)atomic_load(&sh->resets));
		e = -EIO;
	} else if (e == 0 && sh->report.windows < sh->windows) {
		fprintf(stderr,
		    "bench-refuse: %u of %u windows; of %lu frames in one %lu were answered\n",
		    sh->report.windows, sh->windows, (unsigned long)sh->short_received,
		    (unsigned long)sh->short_answered);
		e = -EIO;
	}
	if (e == 0)
		report_print(&sh->report, sh->json);
out:
	worker_free(sh->worker);
	policy_close(sh->policy);
	image_writer_free(image);
	zero_state_fini(&sh->zero);
	hw_close(sh->hw);
	free(stats);
	free(wc);
	return e < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "windows", required_argument, NULL, 'w' },
		{ "entries", required_argument, NULL, 'e' },
		{ "rate", required_argument, NULL, 'r' }, { "bare", no_argument, NULL, 'b' },
		{ "no-huge", no_argument, NULL, 'n' }, { 0 } };
	static struct shared sh = { .entries = 1000000, .windows = 7, .rate = 1e6 };
	bool huge = true, bare = false;
	int o;
	while ((o = getopt_long(argc, argv, "6", options, NULL)) != -1) {
		switch (o) {
		case 'j': sh.json = true; break;
		case 'w': sh.windows = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'e': sh.entries = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'r': sh.rate = strtod(optarg, NULL); break;
		case 'b': bare = true; break;
		case 'n': huge = false; break;
		case '6': sh.v6 = true; break;
		default:
			fprintf(stderr, "usage: bench-refuse [--json] [--windows N] [--entries N] "
					"[--rate SESSIONS/S] [-6] [--bare] [--no-huge]\n");
			return 2;
		}
	}
	sh.report = (struct report){ .claim = sh.v6  ? bare ? "refuse-v6-bare" : "refuse-v6"
					      : bare ? "refuse-bare"
						     : "refuse",
		.unit = "ns/session",
		.baseline_name = bare ? "cookie and reply" : "zero-state",
		.target_ratio = bare    ? 1.35
				: sh.v6 ? 1.25
					: 1.15,
		.lists = sh.entries,
		.rules = 1,
		.events = true };
	return run(&sh, huge, bare);
}
