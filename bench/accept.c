/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * accept and latency: good sessions, one message each, relayed over memif, port time included.
 *
 *	accept   work of the serving core per session (time of busy turns), at a fixed number of
 *	         sessions at once; bench/run sets haproxy's CPU per message beside it
 *	latency  time from connect to the 250 after the final dot, through the product and directly
 *	         over the same kind of port, interleaved; medians and 99th percentiles of each window
 *
 * One core is clients and backends (models on our own stack), the other is the product.
 *
 *	bench-accept [--latency] [--json] [--windows N] [--size BYTES] [--sessions N] [--no-huge]
 */
#include "report.h"

#include "dataplane/model_rig.h"
#include "hw/port.h"

#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Pairs: 0-1 worker outside to clients, 2-3 worker inside to backends, 4-5 clients directly to
 * backends. The models are worker 0 of hw, the product worker 1; both use queue pair 1. */
enum { P_OUT, P_CLIENTS, P_IN, P_BACKENDS, P_DIRECT_C, P_DIRECT_B, N_PORTS };
enum { QUEUE = 1, BURST = 32, SAMPLES = 100000, MAX_AT_ONCE = 256 };

struct peers { /* one pair of model hosts, on two ports */
	struct model_host *clients, *backends;
	struct model_clients *mc;
	struct model_backend *mb;
	unsigned c_port, b_port;
	bool direct;
};

struct shared {
	_Alignas(64) _Atomic bool stop;
	_Alignas(64) _Atomic uint64_t busy_tsc;
	_Alignas(64) struct hw *hw;
	struct worker *worker;
	struct policy *policy;
	struct peers through, direct;
	size_t body_len;
	unsigned windows, at_once;
	bool latency, json, failed;
	/* of the models' core alone */
	uint64_t started_tsc[MAX_AT_ONCE];
	uint64_t next_id, done, accepted, kept, altered;
	uint32_t *samples;
	unsigned n_samples;
	bool measuring;
};

static bool get_models(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct shared *sh = arg;
	return hw_alloc(sh->hw, 0, port, ret_frame);
}

static void put_models(void *arg, struct frame *frames, unsigned n)
{
	struct shared *sh = arg;
	hw_free(sh->hw, frames, n);
}

static bool get_product(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct shared *sh = arg;
	return hw_alloc(sh->hw, 1, port, ret_frame);
}

static void on_outcome(void *arg, uint64_t id, enum model_outcome outcome, unsigned code)
{
	struct shared *sh = arg;
	(void)code;
	sh->done++;
	sh->accepted += outcome == MODEL_ACCEPTED;
	if (sh->measuring && outcome == MODEL_ACCEPTED && sh->n_samples < SAMPLES)
		sh->samples[sh->n_samples++] =
		    (uint32_t)((double)(hw_tsc() - sh->started_tsc[id % MAX_AT_ONCE]) * 1e9 /
			       (double)hw_tsc_hz());
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	struct shared *sh = arg;
	(void)len, (void)rcpts, (void)client;
	sh->kept++;
	if (id % 64 == 0 && digest != model_text_digest(id, sh->body_len))
		sh->altered++;
}

static void send_from(struct shared *sh, struct model_host *h, unsigned port)
{
	for (unsigned i = 0; i < h->out.n_tx; i++)
		h->tx[i].port = (uint8_t)port;
	hw_tx(sh->hw, QUEUE, h->tx, h->out.n_tx);
	h->out.n_tx = 0;
}

static void turn_peers(struct shared *sh, struct peers *p, unsigned want_open)
{
	struct frame in[BURST];
	uint64_t now = hw_now_ns();
	unsigned n = hw_rx(sh->hw, p->c_port, QUEUE, in, BURST);
	while (model_clients_open(p->mc) < want_open) {
		struct model_plan plan = { .src = rig_client(
					       (unsigned)(sh->next_id % RIG_CLIENTS), false),
			.dst = p->direct ? ip_addr_from_v4("\xc0\x00\x02\xc8") : rig_server(false),
			.port = 25,
			.pipelining = true,
			.quit = true,
			.rcpts = 1,
			.messages = 1,
			.body_len = sh->body_len,
			.first_id = ++sh->next_id,
			.domain = "example.org" };
		sh->started_tsc[sh->next_id % MAX_AT_ONCE] = hw_tsc();
		if (model_clients_start(p->mc, &plan, now) < 0)
			break;
	}
	model_host_input(p->clients, in, n, now);
	model_clients_turn(p->mc, now);
	model_host_output(p->clients, now);
	send_from(sh, p->clients, p->c_port);
	n = hw_rx(sh->hw, p->b_port, QUEUE, in, BURST);
	model_host_input(p->backends, in, n, now);
	model_backend_turn(p->mb, now);
	model_host_output(p->backends, now);
	send_from(sh, p->backends, p->b_port);
}

/* Runs `sessions` through p; ns of the product's busy turns per session. */
static double window(struct shared *sh, struct peers *p, uint64_t sessions, unsigned at_once)
{
	uint64_t end = sh->done + sessions, limit = hw_now_ns() + 20000000000ull;
	uint64_t busy = atomic_load(&sh->busy_tsc), from = sh->done;
	sh->n_samples = 0;
	while (sh->done < end && hw_now_ns() < limit)
		turn_peers(sh, p, at_once);
	uint64_t did = sh->done - from;
	double ns = (double)(atomic_load(&sh->busy_tsc) - busy) * 1e9 / (double)hw_tsc_hz();
	while (model_clients_open(p->mc) && hw_now_ns() < limit)
		turn_peers(sh, p, 0);
	if (did < sessions || sh->accepted != sh->done)
		sh->failed = true;
	return did ? ns / (double)did : 0;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static double percentile(struct shared *sh, double p)
{
	if (!sh->n_samples)
		return 0;
	qsort(sh->samples, sh->n_samples, sizeof(*sh->samples), by_value);
	return sh->samples[(unsigned)(p * (sh->n_samples - 1))] / 1000.0;
}

static void models_core(struct shared *sh)
{
	struct report work = { .claim = "accept",
		.unit = "us/session",
		.baseline_name = "none: see bench/run accept" };
	struct report p50 = { .claim = "latency-p50", .unit = "us", .baseline_name = "direct" };
	struct report added = { .claim = "latency",
		.unit = "us",
		.baseline_name = "allowed at the 99th percentile",
		.target_ratio = 1 };
	struct report p99 = { .claim = "latency-p99", .unit = "us", .baseline_name = "direct" };

	uint64_t warm = hw_now_ns() + 3000000000ull; /* ports connect, backends are learned */
	while (hw_now_ns() < warm) {
		turn_peers(sh, &sh->through, 0);
		turn_peers(sh, &sh->direct, 0);
	}
	window(sh, &sh->through, 500, 8);
	for (unsigned i = 0; i < sh->windows && !sh->failed; i++) {
		if (!sh->latency) {
			report_add(&work, window(sh, &sh->through, 5000, sh->at_once) / 1000, 0);
			continue;
		}
		sh->measuring = true;
		window(sh, &sh->through, 2000, sh->at_once);
		double t50 = percentile(sh, 0.5), t99 = percentile(sh, 0.99);
		window(sh, &sh->direct, 2000, sh->at_once);
		report_add(&p50, t50, percentile(sh, 0.5));
		double d99 = percentile(sh, 0.99);
		report_add(&p99, t99, d99);
		report_add(&added, t99 - d99, 100);
	}
	atomic_store(&sh->stop, true);
	if (sh->failed || sh->altered) {
		fprintf(stderr,
		    "bench-accept: %llu sessions, %llu accepted, %llu kept, %llu altered\n",
		    (unsigned long long)sh->done, (unsigned long long)sh->accepted,
		    (unsigned long long)sh->kept, (unsigned long long)sh->altered);
		sh->failed = true;
	} else if (sh->latency) {
		report_print(&added, sh->json);
		report_print(&p50, sh->json);
		report_print(&p99, sh->json);
	} else {
		report_print(&work, sh->json);
	}
}

static void product_core(struct shared *sh)
{
	static struct frame tx[512], drop[512];
	static struct event events[256];
	static struct question questions[64];
	static const unsigned ports[2] = { P_OUT, P_IN };
	struct worker_out wo = { .frames = { .tx = tx, .cap_tx = 512, .drop = drop, .cap_drop = 512 },
		.events = events,
		.cap_events = 256,
		.questions = questions,
		.cap_questions = 64 };
	uint64_t busy = 0;

	while (!atomic_load_explicit(&sh->stop, memory_order_relaxed)) {
		struct frame in[2 * BURST];
		uint64_t t0 = hw_tsc();
		unsigned n = 0;
		for (unsigned i = 0; i < 2; i++) {
			unsigned got = hw_rx(sh->hw, ports[i], QUEUE, in + n, BURST);
			for (unsigned k = 0; k < got; k++)
				in[n + k].port = (uint8_t)i;
			n += got;
		}
		uint64_t now = hw_now_ns();
		if (n == 0 && !wo.busy && worker_next_deadline(sh->worker) > now)
			continue;
		worker_turn(sh->worker, sh->policy, in, n, NULL, 0, now, &wo);
		for (unsigned i = 0; i < wo.frames.n_tx; i++)
			tx[i].port = (uint8_t)ports[tx[i].port];
		hw_tx(sh->hw, QUEUE, tx, wo.frames.n_tx);
		hw_free(sh->hw, drop, wo.frames.n_drop);
		wo.frames.n_tx = wo.frames.n_drop = wo.n_events = wo.n_questions = 0;
		busy += hw_tsc() - t0;
		atomic_store_explicit(&sh->busy_tsc, busy, memory_order_relaxed);
	}
}

static void core(void *arg)
{
	void **pair = arg;
	if (pair[1])
		product_core(pair[0]);
	else
		models_core(pair[0]);
}

static int open_ports(struct shared *sh, bool huge)
{
	static char dev[N_PORTS][160];
	struct hw_port_request ports[N_PORTS];
	const char *eal[] = { "--no-pci", "--no-telemetry", "--force-max-simd-bitwidth=512", "-m",
		"1024", huge ? "--in-memory" : "--no-huge" };
	char *error = NULL;
	for (unsigned i = 0; i < N_PORTS; i++) {
		snprintf(dev[i], sizeof(dev[i]),
		    "net_memif%u,role=%s,id=%u,"
		    "socket=/tmp/postern-bench-%d.sock,socket-abstract=no,rsize=11",
		    i, i & 1 ? "client" : "server", i / 2, (int)getpid());
		ports[i] = (struct hw_port_request){
			.name = "memif", .device = dev[i], .mtu = 1500, .queues = 2
		};
	}
	int e = hw_open("bench-accept", eal, 6, ports, N_PORTS, 2, &sh->hw, &error);
	if (e < 0)
		fprintf(stderr, "bench-accept: %s\n", error ? error : strerror(-e));
	free(error);
	return e;
}

static int make_peers(struct shared *sh, struct peers *p, bool direct)
{
	struct model_pool pool = { sh, get_models, put_models };
	struct model_clients_config cc = {
		.max = MAX_AT_ONCE / 2, .arg = sh, .on_outcome = on_outcome
	};
	struct model_backend_config bc = {
		.max = 1024, .seed = 1, .ehlo = rig_ehlo_words, .arg = sh, .on_message = on_message
	};
	struct model_host_config hc;
	p->direct = direct;
	p->c_port = direct ? P_DIRECT_C : P_CLIENTS;
	p->b_port = direct ? P_DIRECT_B : P_BACKENDS;
	p->clients = calloc(1, sizeof(*p->clients));
	p->backends = calloc(1, sizeof(*p->backends));
	if (!p->clients || !p->backends)
		return -ENOMEM;
	rig_clients_config(&hc);
	memcpy(hc.mac, hw_port(sh->hw, p->c_port)->mac, 6);
	hc.max_conns = 8192;
	int e = model_host_init(p->clients, &hc, pool, hw_now_ns());
	if (e < 0)
		return e;
	rig_backends_config(&hc);
	memcpy(hc.mac, hw_port(sh->hw, p->b_port)->mac, 6);
	hc.max_conns = 8192;
	if (direct) /* on the clients' link */
		hc.addrs[hc.n_addrs++] =
		    (struct stack_ip){ .addr = ip_addr_from_v4("\xc0\x00\x02\xc8"),
			    .prefix_len = 24 };
	e = model_host_init(p->backends, &hc, pool, hw_now_ns());
	if (e < 0)
		return e;
	p->mc = model_clients_new(p->clients, &cc);
	p->mb = model_backend_new(p->backends, &bc);
	return p->mc && p->mb ? 0 : -ENOMEM;
}

static void free_peers(struct peers *p)
{
	if (p->clients && p->clients->stack)
		model_host_fini(p->clients);
	if (p->backends && p->backends->stack)
		model_host_fini(p->backends);
	model_clients_free(p->mc);
	model_backend_free(p->mb);
	free(p->clients);
	free(p->backends);
}

static int run(struct shared *sh, bool huge)
{
	struct rig_config config = { .seed = 1, .worker_conns = 16384, .worker_chunks = 32768 };
	struct stats_worker *stats = aligned_alloc(64, sizeof(*stats));
	struct worker_config *wc = calloc(1, sizeof(*wc));
	struct image_writer *image = NULL;
	char *error = NULL;
	int e = -ENOMEM;

	sh->samples = malloc(SAMPLES * sizeof(*sh->samples));
	if (!stats || !wc || !sh->samples)
		goto out;
	memset(stats, 0, sizeof(*stats));
	e = open_ports(sh, huge);
	if (e < 0)
		goto out;
	e = rig_policy_new(&config, &image, &sh->policy);
	if (e < 0)
		goto out;
	rig_worker_config(&config, wc);
	wc->window_bytes = 64u << 20;
	memcpy(wc->stack.ports[0].mac, hw_port(sh->hw, P_OUT)->mac, 6);
	memcpy(wc->stack.ports[1].mac, hw_port(sh->hw, P_IN)->mac, 6);
	struct stack_host host = { .arg = sh, .frame_alloc = get_product };
	e = worker_new(wc, &host, stats, sh->policy, hw_now_ns(), &sh->worker);
	e = e ? e : make_peers(sh, &sh->through, false);
	e = e ? e : make_peers(sh, &sh->direct, true);
	if (e < 0)
		goto out;
	void *roles[2][2] = { { sh, NULL }, { sh, sh } };
	e = hw_run_workers(sh->hw, core, (void *const[]){ roles[0], roles[1] }, 2, &error);
out:
	if (e < 0)
		fprintf(stderr, "bench-accept: %s\n", error ? error : strerror(-e));
	free(error);
	free_peers(&sh->through);
	free_peers(&sh->direct);
	worker_free(sh->worker);
	policy_close(sh->policy);
	hw_close(sh->hw);
	free(sh->samples);
	free(stats);
	free(wc);
	return e < 0 || sh->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "latency", no_argument, NULL, 'l' }, { "windows", required_argument, NULL, 'w' },
		{ "size", required_argument, NULL, 's' },
		{ "sessions", required_argument, NULL, 'n' }, { "no-huge", no_argument, NULL, 'h' },
		{ 0 } };
	static struct shared sh = { .windows = 5, .body_len = 4096, .at_once = 16 };
	bool huge = true;
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'j': sh.json = true; break;
		case 'l':
			sh.latency = true;
			sh.at_once = 4; /* some 25,000 sessions a second */
			break;
		case 'w': sh.windows = (unsigned)strtoul(optarg, NULL, 10); break;
		case 's': sh.body_len = strtoul(optarg, NULL, 10); break;
		case 'n': sh.at_once = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'h': huge = false; break;
		default:
			fprintf(stderr, "usage: bench-accept [--latency] [--json] [--windows N] "
					"[--size BYTES] [--sessions AT_ONCE] [--no-huge]\n");
			return 2;
		}
	}
	if (sh.at_once == 0 || sh.at_once > MAX_AT_ONCE / 2) {
		fprintf(stderr, "bench-accept: --sessions takes 1 to %d\n", MAX_AT_ONCE / 2);
		return 2;
	}
	return run(&sh, huge);
}
