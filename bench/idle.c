/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idle: an appliance to which nobody comes, seen from the other end of its outside port. For a while
 * nothing is sent but answers to its own questions (ARP, neighbour discovery), and what the kernel has
 * charged to its threads is read; then single SYNs come, each after a pause in which its worker has gone
 * to sleep, and the time to the SYN-ACK is taken. bench/run starts the appliance.
 *
 *	bench-idle --device DEVICE --pid PID[,PID...] [--seconds N] [--probes N] [--json]
 */
#include "gen.h"
#include "report.h"

#include "dataplane/model_rig.h"
#include "hw/port.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { BURST = 32, WAIT_US = 2000000, PAUSE_US = 60000, PIDS_MAX = 8, PROBES_MAX = 1000 };

struct bench {
	struct hw *hw;
	struct gen gen[2];     /* by family */
	uint64_t answered_tsc; /* when the SYN-ACK that is waited for came; 0: not yet */
	uint16_t port;         /* of the client that waits */
	bool through_kernel;   /* frames pass the kernel's network stack */
};

/* ns of CPU that a process's threads have had. */
static uint64_t cpu_ns(long pid)
{
	char path[300];
	uint64_t sum = 0;

	snprintf(path, sizeof(path), "/proc/%ld/task", pid);
	DIR *d = opendir(path);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		uint64_t ran = 0;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/task/%s/schedstat", pid, e->d_name);
		FILE *f = fopen(path, "re");
		if (f && fscanf(f, "%" SCNu64, &ran) == 1)
			sum += ran;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

/* A RST of exactly the number expected: the SYN ring forgets. */
static void reset(struct gen *g, struct frame *f)
{
	gen_say(g, f, "", 0);
	f->data[14 + (g->v6 ? 40 : 20) + 13] = 0x04;
	gen_seal(f, g->v6, 20);
}

static void hear(struct bench *b)
{
	struct frame in[BURST];
	unsigned n = hw_rx(b->hw, 0, 0, in, BURST);

	for (unsigned i = 0; i < n; i++) {
		struct frame *f = &in[i];
		bool v6 = f->data[12] == 0x86;
		struct gen *g = &b->gen[v6];
		const uint8_t *tcp = f->data + 14 + (v6 ? 40 : 20);
		const char *text;
		bool arp = f->data[12] == 0x08 && f->data[13] == 0x06;
		unsigned what = arp ? GEN_OTHER : gen_heard(g, f, &text);
		bool send = false;

		/* their MAC, from what they ask first */
		if (arp && f->len >= 42 && memcmp(f->data + 28, b->gen[0].dst, 4) == 0) {
			memcpy(b->gen[0].dst_mac, f->data + 6, 6);
			memcpy(b->gen[1].dst_mac, f->data + 6, 6);
		}
		if (what == GEN_OTHER) {
			send = gen_answer(g, f);
		} else if ((what >> 16 & 0x17) == 0x12) {
			if ((tcp[2] << 8 | tcp[3]) == b->port && !b->answered_tsc)
				b->answered_tsc = hw_tsc();
			reset(g, f);
			send = true;
		}
		f->port = 0;
		if (send)
			hw_tx(b->hw, 0, f, 1);
		else
			hw_free(b->hw, f, 1);
	}
}

/* us from the SYN to its SYN-ACK; 0: none came. */
static double probe(struct bench *b, bool v6)
{
	const double per_us = (double)hw_tsc_hz() / 1e6;
	struct gen *g = &b->gen[v6];
	struct frame f;

	if (!hw_alloc(b->hw, 0, 0, &f))
		return 0;
	gen_syn(g, &f);
	f.port = 0;
	const uint8_t *tcp = f.data + 14 + (v6 ? 40 : 20);
	b->port = (uint16_t)(tcp[0] << 8 | tcp[1]);
	b->answered_tsc = 0;
	uint64_t sent = hw_tsc();
	hw_tx(b->hw, 0, &f, 1);
	while (!b->answered_tsc && (double)(hw_tsc() - sent) < WAIT_US * per_us) {
		hear(b);
		if (!b->answered_tsc && b->through_kernel)
			usleep(10); /* whose threads may need this very core */
	}
	return b->answered_tsc ? (double)(b->answered_tsc - sent) / per_us : 0;
}

static void pause_us(struct bench *b, unsigned us)
{
	for (unsigned t = 0; t < us; t += 1000) {
		usleep(1000);
		hear(b);
	}
}

static int measure(struct bench *b, const long *pids, unsigned n_pids, unsigned seconds,
    unsigned probes, bool json)
{
	struct report cpu = { .claim = "idle-cpu",
		.unit = "% of a core",
		.baseline_name = "allowed, all its processes",
		.target_ratio = 1 };
	struct report first = { .claim = "idle-first",
		.unit = "us",
		.baseline_name = "allowed, SYN to SYN-ACK, median",
		.target_ratio = 1 };
	struct report worst = { .claim = "idle-first-worst",
		.unit = "us",
		.baseline_name = "allowed, the worst of them",
		.target_ratio = 1 };
	double most = 0;
	bool up[2] = { false, false };

	for (unsigned i = 0; i < 30 && !(up[0] && up[1]); i++) {
		up[i & 1] |= probe(b, i & 1) > 0;
		pause_us(b, PAUSE_US);
	}
	if (!up[0] || !up[1]) {
		fprintf(stderr, "bench-idle: no SYN-ACK over %s\n", up[0] ? "IPv6" : "IPv4");
		return 1;
	}
	pause_us(b, 1000000);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t ns = 0, began = hw_tsc();

		for (unsigned k = 0; k < n_pids; k++)
			ns -= cpu_ns(pids[k]);
		pause_us(b, seconds * 1000000 / 3);
		for (unsigned k = 0; k < n_pids; k++)
			ns += cpu_ns(pids[k]);
		report_add(&cpu,
		    100.0 * (double)ns / ((double)(hw_tsc() - began) / (double)hw_tsc_hz() * 1e9),
		    2);
	}
	for (unsigned i = 0; i < probes; i++) {
		/* by another part of the sleep's steps each time */
		pause_us(b, PAUSE_US + i * 7919 % 40000);
		double us = probe(b, i & 1);

		if (us == 0) {
			fprintf(stderr, "bench-idle: no SYN-ACK to probe %u\n", i);
			return 1;
		}
		most = us > most ? us : most;
		report_add(&first, us, 1000);
	}
	report_add(&worst, most, 1000);
	report_print(&cpu, json);
	report_print(&first, json);
	report_print(&worst, json);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "device", required_argument, NULL, 'd' },
		{ "pid", required_argument, NULL, 'p' }, { "seconds", required_argument, NULL, 's' },
		{ "probes", required_argument, NULL, 'n' }, { "json", no_argument, NULL, 'j' },
		{ 0 } };
	struct hw_port_request port = { .name = "outside", .mtu = 1500, .queues = 1 };
	const char *eal[] = { "--no-huge", "-m", "128", "--no-telemetry" };
	struct bench b = { 0 };
	long pids[PIDS_MAX];
	unsigned n_pids = 0, seconds = 30, probes = 60;
	char *error = NULL, *end;
	bool json = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'd': port.device = optarg; break;
		case 'p':
			for (char *at = optarg; *at && n_pids < PIDS_MAX; at = *end ? end + 1 : end)
				pids[n_pids++] = strtol(at, &end, 10);
			break;
		case 's': seconds = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'n': probes = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'j': json = true; break;
		default: port.device = NULL; n_pids = 0;
		}
	}
	if (!port.device || !n_pids || !seconds || seconds > 3600 || probes > PROBES_MAX) {
		fprintf(stderr,
		    "usage: bench-idle --device DEVICE --pid PID[,PID...] [--seconds N] "
		    "[--probes N] [--json]\n");
		return 2;
	}
	int e = hw_open("bench-idle", eal, 4, &port, 1, 1, &b.hw, &error);
	if (e < 0) {
		fprintf(stderr, "bench-idle: %s\n", error ? error : strerror(-e));
		free(error);
		return 2;
	}
	b.through_kernel = strncmp(port.device, "net_memif", 9) != 0;
	prctl(PR_SET_TIMERSLACK, 1);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct gen *g = &b.gen[v6];
		struct ip_addr us = rig_server(v6);

		*g = (struct gen){ .v6 = v6, .n_sources = 4096, .dst_port = 25 };
		memcpy(g->src_mac, hw_port(b.hw, 0)->mac, 6);
		memcpy(g->dst, v6 ? us.b : us.b + 12, v6 ? 16 : 4);
		memcpy(g->src,
		    v6 ? (const char *)"\x20\x01\x0d\xb8\x0b\xad\0\0\0\0\0\0\0\0\0"
		       : (const char *)"\xc6\x12\0\0",
		    v6 ? 16 : 4);
	}
	int status = measure(&b, pids, n_pids, seconds, probes, json);
	hw_close(b.hw);
	return status;
}
