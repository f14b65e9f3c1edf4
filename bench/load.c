/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * postern-load: good sessions through an appliance, from the other end of its ports. It is the
 * internet (model clients on many addresses) on one DPDK port and the mail servers (model backends)
 * on another, both on our own stack, with its own process and memory: what is tested is a whole
 * appliance. Frames are put onto the queue pairs in turn, whoever they are from: the appliance has to
 * bring each to the worker it belongs to.
 *
 * Addresses are those of the model rig: clients 192.0.2.100.. and 2001:db8:1::100.., the appliance
 * 192.0.2.25 and 2001:db8:1::25, backends 198.51.100.10.. and 2001:db8:2::10...
 *
 * With --hold a crowd comes first whose addresses the appliance's lists hold in the tarpit (crowd.h);
 * the good sessions begin once all are held, and all they are fed meanwhile is checked and timed.
 */
#include "crowd.h"

#include "dataplane/model_rig.h"
#include "hw/port.h"
#include "postern_version.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUTSIDE, INSIDE, BURST = 32, AT_ONCE_MAX = 4096 };

struct load {
	struct hw *hw;
	struct model_host clients, backends;
	struct model_clients *mc;
	struct model_backend *mb;
	unsigned queues, turn;
	uint64_t next_id, sessions, ended;
	uint64_t accepted, deferred, refused, unknown, kept, altered;
	size_t body_len;
	unsigned at_once, messages;
	bool json, tell;
	struct crowd *crowd; /* NULL: none */
	unsigned hold_s;
	uint64_t full_ns; /* when all of it were held */
	uint64_t unsent;  /* frames that a port did not take */
};

static bool get(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct load *l = arg;
	return hw_alloc(l->hw, 0, port, ret_frame);
}

static void put(void *arg, struct frame *frames, unsigned n)
{
	struct load *l = arg;
	hw_free(l->hw, frames, n);
}

static void on_outcome(void *arg, uint64_t id, enum model_outcome outcome, unsigned code)
{
	struct load *l = arg;
	(void)id, (void)code;
	l->accepted += outcome == MODEL_ACCEPTED;
	l->deferred += outcome == MODEL_DEFERRED;
	l->refused += outcome == MODEL_REFUSED;
	l->unknown += outcome == MODEL_UNKNOWN;
}

static void on_end(void *arg, const struct model_plan *plan, unsigned last_code)
{
	struct load *l = arg;
	(void)plan, (void)last_code;
	l->ended++;
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	struct load *l = arg;
	(void)len, (void)rcpts, (void)client;
	l->kept++;
	l->altered += digest != model_text_digest(id, l->body_len);
}

static void send_all(struct load *l, struct model_host *h, unsigned port)
{
	for (unsigned i = 0; i < h->out.n_tx; i++) {
		h->tx[i].port = (uint8_t)port;
		l->unsent += hw_tx(l->hw, l->turn++ % l->queues, &h->tx[i], 1);
	}
	h->out.n_tx = 0;
}

/* Takes the crowd's frames out of a burst and says what it has to say; returns how many are left. */
static unsigned crowd_turn(struct load *l, struct frame *in, unsigned n, uint64_t now)
{
	struct frame out[2 * BURST], done[BURST];
	unsigned kept = 0, n_out = 0, n_done = 0;

	for (unsigned i = 0; i < n; i++) {
		bool send;

		if (!crowd_input(l->crowd, &in[i], now, &send)) {
			in[kept++] = in[i];
		} else if (send) {
			in[i].port = OUTSIDE;
			out[n_out++] = in[i];
		} else {
			done[n_done++] = in[i];
		}
	}
	hw_free(l->hw, done, n_done);
	while (n_out < 2 * BURST && hw_alloc(l->hw, 0, OUTSIDE, &out[n_out])) {
		if (!crowd_output(l->crowd, &out[n_out], now)) {
			hw_free(l->hw, &out[n_out], 1);
			break;
		}
		out[n_out++].port = OUTSIDE;
	}
	if (n_out)
		l->unsent += hw_tx(l->hw, l->turn++ % l->queues, out, n_out);
	if (!l->full_ns && crowd_full(l->crowd)) {
		l->full_ns = now;
		crowd_measure(l->crowd);
	}
	return kept;
}

static unsigned receive(struct load *l, unsigned port, struct frame *in)
{
	unsigned n = 0;
	for (unsigned q = 0; q < l->queues && n < BURST; q++)
		n += hw_rx(l->hw, port, q, in + n, BURST - n);
	return n;
}

static void start(struct load *l, uint64_t now)
{
	while (l->sessions && model_clients_open(l->mc) < l->at_once) {
		uint64_t k = l->sessions;
		bool v6 = k & 1;
		struct model_plan plan = { .src = rig_client((unsigned)(k / 2 % RIG_CLIENTS), v6),
			.dst = rig_server(v6),
			.port = 25,
			.pipelining = k & 2,
			.quit = true,
			.rcpts = 1,
			.messages = l->messages,
			.body_len = l->body_len,
			.first_id = l->next_id,
			.domain = "example.org" };
		if (model_clients_start(l->mc, &plan, now) < 0)
			return;
		l->next_id += l->messages;
		l->sessions--;
	}
}

static void turn(struct load *l, bool may_start)
{
	struct frame in[BURST];
	uint64_t now = hw_now_ns();
	unsigned n = receive(l, OUTSIDE, in), heard = n;
	if (l->crowd)
		n = crowd_turn(l, in, n, now);
	if (may_start && (!l->crowd || l->full_ns))
		start(l, now);
	model_host_input(&l->clients, in, n, now);
	model_clients_turn(l->mc, now);
	model_host_output(&l->clients, now);
	send_all(l, &l->clients, OUTSIDE);
	unsigned m = receive(l, INSIDE, in);
	model_host_input(&l->backends, in, m, now);
	model_backend_turn(l->mb, now);
	model_host_output(&l->backends, now);
	send_all(l, &l->backends, INSIDE);
	if (heard + m == 0)
		usleep(20); /* leaves the core to the appliance where they share it */
}

static bool crowd_done(const struct load *l)
{
	return !l->crowd || (l->full_ns && hw_now_ns() > l->full_ns + l->hold_s * 1000000000ull);
}

static void print_crowd(const struct load *l, uint64_t started)
{
	struct crowd_told t;

	if (!l->crowd)
		return;
	crowd_tell(l->crowd, &t);
	printf(l->json ? ", \"held\": %" PRIu64 ", \"held_after_s\": %.3f, \"fed\": %" PRIu64
			 ", \"fed_in_window\": %" PRIu64 ", \"unfed\": %" PRIu32
			 ", \"whole\": %" PRIu32 ", \"again\": %" PRIu64 ", \"gone\": %" PRIu64
			 ", \"wrong\": %" PRIu64 ", \"retried\": %" PRIu64 ", \"skipped\": %" PRIu64
			 ", \"unsent\": %" PRIu64 ", \"late_ms\": {\"slow\": [%.1f, %.1f, %.1f], "
			 "\"fast\": [%.1f, %.1f, %.1f]}"
		       : "; held %" PRIu64 " after %.3f s, fed %" PRIu64 " bytes, %" PRIu64
			 " of them timed; unfed %" PRIu32 ", whole text %" PRIu32 ", again %" PRIu64
			 ", gone %" PRIu64 ", wrong %" PRIu64 ", retried %" PRIu64
			 ", skipped %" PRIu64 ", unsent %" PRIu64
			 "; late by (median, 99 %%, worst) %.1f %.1f %.1f ms, fast ones "
			 "%.1f %.1f %.1f ms",
	    t.held, l->full_ns ? (double)(l->full_ns - started) / 1e9 : 0.0, t.bytes, t.in_window,
	    t.unfed, t.whole, t.again, t.gone, t.wrong, t.retried, t.skipped, l->unsent,
	    t.late_ms[CROWD_SLOW][0], t.late_ms[CROWD_SLOW][1], t.late_ms[CROWD_SLOW][2],
	    t.late_ms[CROWD_FAST][0], t.late_ms[CROWD_FAST][1], t.late_ms[CROWD_FAST][2]);
}

static int run(struct load *l, uint64_t sessions, unsigned seconds, unsigned warm_ms)
{
	uint64_t started = hw_now_ns(), limit = started + seconds * 1000000000ull, told = started;
	uint64_t warm = started + warm_ms * 1000000ull;
	l->sessions = sessions;
	while ((l->ended < sessions || !crowd_done(l)) && hw_now_ns() < limit) {
		turn(l, hw_now_ns() >= warm);
		if (l->tell && hw_now_ns() > told + 1000000000ull) {
			told = hw_now_ns();
			fprintf(stderr, "\rpostern-load: %" PRIu64 " of %" PRIu64 " sessions",
			    l->ended, sessions);
		}
	}
	double s = (double)(hw_now_ns() - started) / 1e9;
	uint64_t settle =
	    hw_now_ns() + 300000000ull; /* the last FINs and the backends' last words */
	while (hw_now_ns() < settle)
		turn(l, false);
	if (l->tell)
		fputs("\r\033[K", stderr);
	printf(l->json
		   ? "{\"sessions\": %" PRIu64 ", \"ended\": %" PRIu64 ", \"accepted\": %" PRIu64
		     ", \"deferred\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"unknown\": %" PRIu64
		     ", \"kept\": %" PRIu64 ", \"altered\": %" PRIu64 ", \"seconds\": %.3f"
		   : "sessions %" PRIu64 " ended %" PRIu64 " accepted %" PRIu64 " deferred %" PRIu64
		     " refused %" PRIu64 " unknown %" PRIu64 " kept %" PRIu64 " altered %" PRIu64
		     " in %.3f s",
	    sessions, l->ended, l->accepted, l->deferred, l->refused, l->unknown, l->kept,
	    l->altered, s);
	print_crowd(l, started);
	puts(l->json ? "}" : "");
	return crowd_done(l) && (!l->crowd || crowd_held(l->crowd)) && l->ended == sessions &&
		       l->accepted == sessions * l->messages && !l->altered
		   ? 0
		   : 1;
}

static int make(struct load *l)
{
	struct model_pool pool = { l, get, put };
	struct model_clients_config cc = {
		.max = l->at_once, .arg = l, .on_outcome = on_outcome, .on_end = on_end
	};
	struct model_backend_config bc = {
		.max = 8192, .seed = 1, .ehlo = rig_ehlo_words, .arg = l, .on_message = on_message
	};
	struct model_host_config hc;
	rig_clients_config(&hc);
	memcpy(hc.mac, hw_port(l->hw, OUTSIDE)->mac, 6);
	hc.max_conns = 2 * AT_ONCE_MAX;
	int e = model_host_init(&l->clients, &hc, pool, hw_now_ns());
	if (e < 0)
		return e;
	rig_backends_config(&hc);
	memcpy(hc.mac, hw_port(l->hw, INSIDE)->mac, 6);
	hc.max_conns = 2 * AT_ONCE_MAX;
	e = model_host_init(&l->backends, &hc, pool, hw_now_ns());
	if (e < 0)
		return e;
	l->mc = model_clients_new(&l->clients, &cc);
	l->mb = model_backend_new(&l->backends, &bc);
	return l->mc && l->mb ? 0 : -ENOMEM;
}

static void usage(FILE *to)
{
	fputs(
	    "usage: postern-load --outside DEVICE --inside DEVICE [options]\n"
	    "Passes good sessions through an appliance from the other end of its ports.\n"
	    "  --outside DEVICE  DPDK port toward the appliance's clients' side\n"
	    "  --inside DEVICE   DPDK port toward its backends' side\n"
	    "  --eal ARG         one more argument for DPDK; may be repeated\n"
	    "  --sessions N      [1000]      --at-once N   sessions open at once [32, at most "
	    "4096]\n"
	    "  --messages N      each [1]    --size BYTES  of a body [4096]\n"
	    "  --queues N        queue pairs of each port [1]\n"
	    "  --seconds N       at most [60] --warm-ms N  before the first session [2000]\n"
	    "  --hold N          clients that the lists hold in the tarpit come first [0]\n"
	    "  --hold-fast N     of them on the addresses of a faster list [0]\n"
	    "  --hold-pace MS    those lists' tarpit_pace_ms [10000]; --hold-fast-pace MS [1000]\n"
	    "  --hold-text TEXT  each is told, without its line end [220-mx.example.org]\n"
	    "  --hold-seconds N  fed and timed, from when all are held [12]\n"
	    "  --json\n"
	    "Exit status: 0 each message was accepted, none altered, and all are held; 1 not so; 2 "
	    "wrong usage.\n",
	    to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "outside", required_argument, NULL, 'o' },
		{ "inside", required_argument, NULL, 'i' }, { "eal", required_argument, NULL, 'e' },
		{ "sessions", required_argument, NULL, 'n' },
		{ "at-once", required_argument, NULL, 'a' },
		{ "messages", required_argument, NULL, 'm' },
		{ "size", required_argument, NULL, 's' }, { "queues", required_argument, NULL, 'q' },
		{ "seconds", required_argument, NULL, 't' },
		{ "warm-ms", required_argument, NULL, 'w' }, { "json", no_argument, NULL, 'j' },
		{ "hold", required_argument, NULL, 'H' },
		{ "hold-fast", required_argument, NULL, 'F' },
		{ "hold-pace", required_argument, NULL, 'P' },
		{ "hold-fast-pace", required_argument, NULL, 'Q' },
		{ "hold-text", required_argument, NULL, 'T' },
		{ "hold-seconds", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'v' }, { 0 } };
	static struct load l = {
		.queues = 1, .next_id = 1, .at_once = 32, .messages = 1, .body_len = 4096, .hold_s = 12
	};
	struct crowd_config crowd = { .at_once = 1024, .pace_ms = { 10000, 1000 } };
	char text[256] = "220-mx.example.org\r\n";
	struct hw_port_request ports[2] = { { .name = "outside", .mtu = 1500 },
		{ .name = "inside", .mtu = 1500 } };
	const char *eal[32];
	unsigned n_eal = 0, seconds = 60, warm_ms = 2000;
	uint64_t sessions = 1000;
	char *error = NULL;
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'o': ports[OUTSIDE].device = optarg; break;
		case 'i': ports[INSIDE].device = optarg; break;
		case 'e':
			if (n_eal < 32)
				eal[n_eal++] = optarg;
			break;
		case 'n': sessions = strtoull(optarg, NULL, 10); break;
		case 'a': l.at_once = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'm': l.messages = (unsigned)strtoul(optarg, NULL, 10); break;
		case 's': l.body_len = strtoul(optarg, NULL, 10); break;
		case 'q': l.queues = (unsigned)strtoul(optarg, NULL, 10); break;
		case 't': seconds = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'w': warm_ms = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'j': l.json = true; break;
		case 'H': crowd.n = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'F': crowd.fast = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'P': crowd.pace_ms[CROWD_SLOW] = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'Q': crowd.pace_ms[CROWD_FAST] = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'T': snprintf(text, sizeof(text), "%s\r\n", optarg); break;
		case 'S': l.hold_s = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'h': usage(stdout); return 0;
		case 'v': puts("postern-load " POSTERN_VERSION); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (!ports[OUTSIDE].device || !ports[INSIDE].device || !l.queues || !l.messages ||
	    !l.at_once || l.at_once > AT_ONCE_MAX || crowd.n > CROWD_MAX || crowd.fast > crowd.n ||
	    optind != argc) {
		usage(stderr);
		return 2;
	}
	l.tell = isatty(STDERR_FILENO);
	ports[OUTSIDE].queues = ports[INSIDE].queues = (uint16_t)l.queues;
	int e = hw_open("postern-load", eal, n_eal, ports, 2, 1, &l.hw, &error);
	if (e == 0)
		e = make(&l);
	if (e == 0 && crowd.n) {
		crowd.text = text;
		memcpy(crowd.mac, hw_port(l.hw, OUTSIDE)->mac, 6);
		l.crowd = crowd_new(&crowd);
		e = l.crowd ? 0 : -ENOMEM;
	}
	if (e < 0) {
		fprintf(stderr, "postern-load: %s\n", error ? error : strerror(-e));
		return 1;
	}
	int status = run(&l, sessions, seconds, warm_ms);
	if (l.clients.stack)
		model_host_fini(&l.clients);
	if (l.backends.stack)
		model_host_fini(&l.backends);
	model_clients_free(l.mc);
	model_backend_free(l.mb);
	crowd_free(l.crowd);
	hw_close(l.hw);
	return status;
}
