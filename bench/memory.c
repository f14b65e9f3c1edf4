/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory: a flood of made-up sources against the memory of sources (filters/memory.h), with honest
 * senders and abusers beside it: does it grow, is an honest one throttled, are the abusers still
 * found, and what do a note and a judgement cost? Virtual time: a million made-up sources a minute.
 *
 *	bench-memory [--json] [--sources N] [--capacity N]
 */
#include "meter.h"

#include "dataplane/model_mail.h"
#include "filters/memory.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T0 = 1767225600, HONEST = 2000, ABUSERS = 200, LIMIT = 60, EVERY = 1000, JUDGED = 1 << 20 };

struct run {
	struct memory *m;
	struct policy_memory settings;
	uint64_t judged, throttled, abuse_judged, abuse_found;
};

static void address(uint32_t a, uint8_t client[16])
{
	memset(client, 0, 16);
	client[10] = client[11] = 0xff;
	for (unsigned i = 0; i < 4; i++)
		client[12 + i] = (uint8_t)(a >> (24 - 8 * i));
}

/* Half of it IPv6 networks out of one /32, half IPv4 addresses. */
static void made_up(uint64_t *random, uint8_t client[16])
{
	uint64_t r = model_random(random);

	if (r & 1) {
		static const uint8_t net[4] = { 0x20, 0x01, 0x0d, 0xb8 };

		memset(client, 0, 16);
		memcpy(client, net, 4);
		memcpy(client + 4, (uint8_t *)&r + 4, 4);
		client[15] = 1;
	} else {
		address(0x40000000 + (uint32_t)(r >> 8) % 0x60000000, client);
	}
}

static void opened(struct run *r, const uint8_t client[16], uint32_t now_s)
{
	struct memory_note note = { .kind = MEMORY_OPENED, .who.client = client, .now_s = now_s };
	struct memory_alarm alarms[MEMORY_MAX_ALARMS];

	memory_apply(r->m, &r->settings, &note, alarms);
}

static bool is_over(struct run *r, const uint8_t client[16], uint32_t now_s)
{
	struct memory_query query = { .client = client };
	struct memory_answer answer;

	memory_judge(r->m, &r->settings, PHASE_CONNECT, &query, now_s, &answer);
	return answer.rates_over != 0;
}

/* What is ours: pages of the program's own file come in lots. */
static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long kib = -1;

	while (f && kib < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "Anonymous: %ld", &kib) != 1)
			kib = -1;
	if (f)
		fclose(f);
	return kib;
}

/* Honest ones connect 20 times an hour, abusers 600 times; they are judged as they come. */
static void neighbours(struct run *r, uint64_t tick, uint64_t per_hour, uint32_t now_s)
{
	uint64_t honest = HONEST * 20ull * EVERY, abuse = ABUSERS * 600ull * EVERY;
	uint8_t client[16];

	for (uint64_t n = tick * honest / per_hour; n < (tick + 1) * honest / per_hour; n++) {
		address(0x0a000000 + (uint32_t)(n % HONEST) * 256, client);
		r->judged++;
		r->throttled += is_over(r, client, now_s);
		opened(r, client, now_s);
	}
	for (uint64_t n = tick * abuse / per_hour; n < (tick + 1) * abuse / per_hour; n++) {
		address(0x0b000000 + (uint32_t)(n % ABUSERS) * 256, client);
		r->abuse_judged += now_s > T0 + 420; /* their first sixty are their right */
		r->abuse_found += now_s > T0 + 420 && is_over(r, client, now_s);
		opened(r, client, now_s);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "sources", required_argument, NULL, 's' },
		{ "capacity", required_argument, NULL, 'c' }, { 0 } };
	const uint64_t per_minute = 1000000, per_hour = 60 * per_minute;
	const uint8_t key[16] = "bench of memory";
	uint64_t sources = 100000000, random = 1;
	uint32_t capacity = 1000000;
	double note_ns = 0, judge_ns;
	struct run r = { 0 };
	bool json = false;
	uint8_t client[16];
	long before, after;
	int c;

	while ((c = getopt_long(argc, argv, "js:c:", options, NULL)) != -1) {
		switch (c) {
		case 'j': json = true; break;
		case 's': sources = strtoull(optarg, NULL, 10); break;
		case 'c': capacity = (uint32_t)strtoul(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	memory_defaults(&r.settings);
	r.settings.n_rates = 1;
	r.settings.rates[0] = (struct policy_rate){
		.subject = MEMORY_ADDRESS, .measure = MEMORY_CONNECTIONS, .per_hour = LIMIT
	};
	r.m = memory_new(capacity, key);
	if (!r.m || sources < EVERY) {
		fprintf(stderr, "bench-memory: no memory, or fewer than %d sources\n", EVERY);
		return 1;
	}
	for (unsigned i = 0; i < EVERY; i++) { /* what is called is loaded */
		made_up(&random, client);
		opened(&r, client, T0);
		is_over(&r, client, T0);
	}
	neighbours(&r, 0, per_hour, T0);
	resident_kib();
	before = resident_kib();
	for (uint64_t i = 0; i < sources; i += EVERY) {
		uint32_t now_s = T0 + (uint32_t)(i * 60 / per_minute);
		uint64_t start = meter_clock_ns();

		for (unsigned n = 0; n < EVERY; n++) {
			made_up(&random, client);
			opened(&r, client, now_s);
		}
		note_ns += (double)(meter_clock_ns() - start);
		neighbours(&r, i / EVERY, per_hour, now_s);
	}
	after = resident_kib();
	judge_ns = (double)meter_clock_ns();
	for (unsigned i = 0; i < JUDGED; i++) {
		made_up(&random, client);
		r.judged += is_over(&r, client, T0 + (uint32_t)(sources * 60 / per_minute));
	}
	judge_ns = ((double)meter_clock_ns() - judge_ns) / JUDGED;
	note_ns /= (double)sources;
	if (json)
		printf("{\"claim\": \"memory\", \"sources\": %llu, \"rss_growth_kib\": %ld, "
		       "\"honest_throttled_percent\": %.4f, \"abusers_found_percent\": %.2f, "
		       "\"note_ns\": %.0f, \"judge_ns\": %.0f, \"mib\": %.0f}\n",
		    (unsigned long long)sources, after - before,
		    100.0 * (double)r.throttled / (double)r.judged,
		    100.0 * (double)r.abuse_found / (double)(r.abuse_judged + !r.abuse_judged),
		    note_ns, judge_ns, (double)memory_bytes(r.m) / 1048576);
	else
		printf(
		    "%llu made-up sources: rss growth %ld, honest throttled %.4f %%, abusers found "
		    "%.2f %%, note %.0f ns, judgement %.0f ns, memory %.0f MiB\n",
		    (unsigned long long)sources, after - before,
		    100.0 * (double)r.throttled / (double)r.judged,
		    100.0 * (double)r.abuse_found / (double)(r.abuse_judged + !r.abuse_judged),
		    note_ns, judge_ns, (double)memory_bytes(r.m) / 1048576);
	c = after - before > 0 || r.throttled * 1000 > r.judged;
	memory_free(r.m);
	return c;
}
