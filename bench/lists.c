/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lists: 10 M IPv4 hosts, 1 M prefixes and 1 M IPv6 prefixes as one compiled policy: how long until it
 * is a view that workers can read, what a copy takes, and what a look-up in bulk costs, hits and misses
 * mixed. Hosts are clustered as in feeds: four fifths in a fifth of the /16s.
 *
 *	bench-lists [--json] [--windows N] [--hosts N]
 */
#include "meter.h"
#include "report.h"

#include "dataplane/model_mail.h"
#include "filters/image.h"
#include "filters/image_write.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BURST = 32, LOOKUPS = 1 << 20, SEED_V6 = 2 };

static uint32_t host_at(uint64_t *random)
{
	uint64_t r = model_random(random);
	uint32_t net = (uint32_t)(r >> 32);

	if (r % 5) /* clustered */
		net = net % 13107 * 5;
	return net << 16 | ((uint32_t)r & 0xffff);
}

static void v6_at(uint64_t *random, uint8_t addr[16])
{
	uint64_t r = model_random(random);

	memset(addr, 0, 16);
	addr[0] = 0x2a;
	addr[1] = (uint8_t)(r % 20);
	memcpy(addr + 2, &r, 4);
}

static struct image_writer *fill(uint32_t hosts)
{
	struct image_writer *w = image_writer_new();
	struct policy_list list = { .verdict = VERDICT_DROP, .reason = REASON_LISTED, .pool = -1 };
	uint64_t random = 1, random_v6 = SEED_V6;
	uint8_t addr[16];

	if (!w)
		return NULL;
	image_writer_string(w, "mx.example.org", &image_writer_settings(w)->smtp.hostname);
	image_writer_settings(w)->default_pool = -1;
	image_writer_string(w, "blocked", &list.name);
	unsigned index = (unsigned)image_writer_list(w, &list);
	for (uint32_t i = 0; i < hosts; i++)
		image_writer_v4(w, index, host_at(&random), 32);
	for (uint32_t i = 0; i < hosts / 10; i++)
		image_writer_v4(w, index, host_at(&random), 16 + (unsigned)(i % 9));
	for (uint32_t i = 0; i < hosts / 10; i++) {
		v6_at(&random_v6, addr);
		image_writer_v6(w, index, addr, i & 1 ? 48 : 64);
	}
	return w;
}

/* ns a look-up over a burst; half of them known entries. */
static double look_up(const struct policy *p, bool v6, double cycles_per_ns, uint64_t *ret_hits)
{
	static uint8_t clients[LOOKUPS][16];
	struct verdict verdicts[BURST];
	uint64_t known = 1, known_v6 = SEED_V6, random = 77, hits = 0, t;

	for (uint32_t i = 0; i < LOOKUPS; i++) {
		uint8_t *a = clients[i];
		uint32_t host = i & 1 ? host_at(&known) : (uint32_t)model_random(&random);

		if (v6) { /* the others: from the /16s that the entries lie in */
			v6_at(i & 1 ? &known_v6 : &random, a);
			continue;
		}
		memset(a, 0, 16);
		a[10] = a[11] = 0xff;
		for (unsigned k = 0; k < 4; k++)
			a[12 + k] = (uint8_t)(host >> (24 - 8 * k));
	}
	t = meter_tsc();
	for (uint32_t i = 0; i < LOOKUPS; i += BURST) {
		policy_judge_syns(p, (const uint8_t(*)[16])clients[i], BURST, 0, verdicts);
		for (unsigned k = 0; k < BURST; k++)
			hits += verdicts[k].kind != VERDICT_NONE;
	}
	t = meter_tsc() - t;
	*ret_hits = hits;
	return (double)t / cycles_per_ns / LOOKUPS;
}

static int run(uint32_t hosts, unsigned windows, bool json)
{
	struct report open = { .claim = "lists-open",
		.unit = "ms",
		.baseline_name = "allowed, parts to view",
		.target_ratio = 1,
		.lists = hosts + hosts / 5,
		.rules = 1,
		.events = false };
	struct report v4 = open, v6 = open, size = open, build = open;
	struct image_part parts[IMAGE_MAX_PARTS];
	unsigned n_parts;
	const char *error;
	double rate = meter_rate();
	uint64_t bytes = 0, hits, t = meter_clock_ns();
	struct image_writer *w = fill(hosts);
	int ret = 1;

	v4.claim = "lists-v4";
	v6.claim = "lists-v6";
	v4.unit = v6.unit = "ns/look-up";
	v4.baseline_name = v6.baseline_name = "allowed";
	size.claim = "lists-size";
	size.unit = "MiB";
	size.baseline_name = "allowed";
	build.claim = "lists-build";
	build.unit = "s";
	build.baseline_name = "(for scale)";
	build.target_ratio = 0;
	if (!w || image_writer_finish(w, parts, &n_parts, &error) < 0) {
		fprintf(stderr, "bench-lists: cannot be made\n");
		goto out;
	}
	report_add(&build, (double)(meter_clock_ns() - t) / 1e9, 1);
	for (unsigned i = 0; i < n_parts; i++)
		bytes += parts[i].len;
	report_add(&size, (double)bytes / 1048576, 128);
	for (unsigned i = 0; i < windows; i++) {
		struct policy *p;

		t = meter_clock_ns();
		if (policy_open(parts, n_parts, i + 1, &p, &error) < 0) {
			fprintf(stderr, "bench-lists: %s\n", error);
			goto out;
		}
		report_add(&open, (double)(meter_clock_ns() - t) / 1e6, 10);
		double ns4 = look_up(p, false, rate, &hits);
		bool good = hits > LOOKUPS / 4;
		double ns6 = look_up(p, true, rate, &hits);
		good &= hits > LOOKUPS / 4;
		policy_close(p);
		if (!good) {
			fprintf(stderr, "bench-lists: too few look-ups hit\n");
			goto out;
		}
		report_add(&v4, ns4, 25);
		report_add(&v6, ns6, 35);
	}
	report_print(&v4, json);
	report_print(&v6, json);
	report_print(&open, json);
	report_print(&size, json);
	report_print(&build, json);
	ret = 0;
out:
	image_writer_free(w);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "windows", required_argument, NULL, 'w' },
		{ "hosts", required_argument, NULL, 'n' }, { 0 } };
	uint32_t hosts = 10000000;
	unsigned windows = 7;
	bool json = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'j': json = true; break;
		case 'w': windows = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'n': hosts = (uint32_t)strtoul(optarg, NULL, 10); break;
		default:
			fprintf(stderr, "usage: bench-lists [--json] [--windows N] [--hosts N]\n");
			return 2;
		}
	}
	return run(hosts, windows ? windows : 1, json);
}
