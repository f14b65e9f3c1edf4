/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * swap: pattern sets change while messages stream. No ports: the model rig's clients send messages of
 * which every second one holds what refuses; the policy is exchanged again and again for one with
 * other pattern sets, as the live shell does it: opened beside, handed over between two turns, the old
 * one closed once no message is scanned with it. Counts verdicts that are wrong and measures the CPU
 * time of the worker's longest turn (the thread's clock: who else runs on this machine does not count).
 *
 *	bench-swap [--json] [--swaps N] [--expressions N]
 */
#include "control/compile_patterns.h"
#include "control/config.h"
#include "dataplane/model_rig.h"
#include "filters/image_write.h"
#include "filters/policy.h"
#include "filters/scanner.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLIENTS = 48, BODY = 6000, OLD_MAX = 64, STEPS_PER_SWAP = 400 };

struct part {
	void *base;
	size_t len;
};

struct old {
	struct policy *policy;
	struct image_writer *image;
};

struct swap {
	struct rig_config config;
	struct rig *rig;
	struct part parts[2][POLICY_PATTERN_SETS]; /* of two policies */
	unsigned turn_of;                          /* which of them the next one is */
	struct old old[OLD_MAX];
	unsigned n_old;
	uint64_t next_id, right, wrong, before_ns, max_turn_ns, max_swap_turn_ns;
	bool swapped; /* the turn under way is the first of a new policy */
};

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Expressions like those of mail filters, of which none hits, and the one that does. */
static bool compile(unsigned n, unsigned seed, struct part *ret_part)
{
	struct complaints complaints;
	struct patterns_report report;
	struct patterns p;
	char line[256];
	bool good;

	complaints_init(&complaints);
	patterns_init(&p);
	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof(line),
		    "%s:/\\b(?:offer|winner|bank)%04u\\s{1,3}(?:now|today)[a-z]{2,8}%u/i name=R%u "
		    "score=0.1\n",
		    i % 3 == 0 ? "header" : "body", i + seed, seed, i);
		patterns_parse(&p, "made up", NULL, line, strlen(line), &complaints);
	}
	snprintf(line, sizeof(line), "header:X-Model-Id:/[02468ace]$/ name=EVEN action=refuse\n");
	patterns_parse(&p, "made up", NULL, line, strlen(line), &complaints);
	good = patterns_finish(&p, &complaints) &&
	       patterns_compile(&p, NULL, &complaints, &ret_part->base, &ret_part->len, &report) ==
		   0 &&
	       complaints.total == 0;
	complaints_print(&complaints, stderr);
	patterns_fini(&p);
	complaints_fini(&complaints);
	return good;
}

static void policy(void *arg, struct policy_settings *s, struct image_writer *w)
{
	struct swap *b = arg;
	struct part *parts = b->parts[b->turn_of];

	s->limits.connection_rate = 0;
	s->smtp.inspection_window =
	    2048; /* less than a message: it is judged behind the window too */
	s->patterns.messages = 256;
	s->patterns.on_failure = VERDICT_DEFER;
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++) {
		void *copy =
		    parts[i].base ? aligned_alloc(64, (parts[i].len + 63) & ~(size_t)63) : NULL;

		if (!copy)
			continue;
		memcpy(copy, parts[i].base, parts[i].len);
		compile_patterns_rules(NULL, w, i, copy, parts[i].len);
		image_writer_patterns(w, i, copy, parts[i].len);
	}
}

static void on_outcome(void *arg, uint64_t id, enum model_outcome outcome, unsigned code)
{
	struct swap *b = arg;
	bool good =
	    id % 2 == 0 ? outcome == MODEL_REFUSED && code == 550 : outcome == MODEL_ACCEPTED;

	b->right += good;
	b->wrong += !good;
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	(void)arg, (void)id, (void)digest, (void)len, (void)rcpts, (void)client;
}

static void around_turn(void *arg, bool before)
{
	struct swap *b = arg;
	uint64_t now = cpu_ns(), took;

	if (before) {
		b->before_ns = now;
		return;
	}
	took = now - b->before_ns;
	if (took > b->max_turn_ns)
		b->max_turn_ns = took;
	if (b->swapped && took > b->max_swap_turn_ns)
		b->max_swap_turn_ns = took;
	b->swapped = false;
}

static void start_clients(struct swap *b)
{
	struct model_plan plan = { .dst = rig_server(false),
		.port = 25,
		.pipelining = true,
		.quit = true,
		.rcpts = 1,
		.messages = 1,
		.body_len = BODY,
		.domain = "example.org" };

	while (model_clients_open(b->rig->mc) < CLIENTS) {
		plan.src = rig_client((unsigned)(b->next_id % 64), false);
		plan.first_id = ++b->next_id;
		if (model_clients_start(b->rig->mc, &plan, b->rig->now_ns) < 0)
			return;
	}
}

static bool is_used(const struct policy *p)
{
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		if (policy_scanner(p, i) && scanner_open(policy_scanner(p, i)) > 0)
			return true;
	return false;
}

static void sweep(struct swap *b, bool all)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < b->n_old; i++) {
		if (!all && is_used(b->old[i].policy)) {
			b->old[kept++] = b->old[i];
			continue;
		}
		policy_close(b->old[i].policy);
		image_writer_free(b->old[i].image);
	}
	b->n_old = kept;
}

static bool swap_policy(struct swap *b)
{
	struct old next;

	sweep(b, false);
	if (b->n_old == OLD_MAX)
		return false;
	b->turn_of ^= 1;
	b->config.epoch++;
	if (rig_policy_new(&b->config, &next.image, &next.policy) < 0)
		return false;
	b->old[b->n_old++] = (struct old){ b->rig->policy, b->rig->image };
	b->rig->policy = next.policy;
	b->rig->image = next.image;
	b->swapped = true;
	return true;
}

static int run(struct swap *b, unsigned swaps, unsigned expressions, bool json)
{
	int ret = 1;

	if (!compile(expressions, 0, &b->parts[0][0]) ||
	    !compile(expressions, 5000, &b->parts[1][0]) || !compile(5, 9000, &b->parts[1][1]))
		return 1;
	b->config = (struct rig_config){ .seed = 1,
		.max_clients = CLIENTS,
		.policy = policy,
		.arg = b,
		.on_outcome = on_outcome,
		.on_message = on_message,
		.around_turn = around_turn,
		.epoch = 1 };
	if (rig_new(&b->config, &b->rig) < 0)
		return 1;
	for (unsigned i = 0; i < swaps; i++) {
		for (unsigned k = 0; k < STEPS_PER_SWAP; k++) {
			start_clients(b);
			rig_step(b->rig, UINT64_MAX);
		}
		if (!swap_policy(b))
			goto out;
		if (i == 1) /* until then pages of connections are touched for the first time */
			b->max_turn_ns = 0;
	}
	while (model_clients_open(b->rig->mc) > 0)
		rig_step(b->rig, UINT64_MAX);
	if (json)
		printf("{\"claim\": \"swap\", \"swaps\": %u, \"messages\": %llu, \"wrong\": %llu, "
		       "\"value\": "
		       "%.1f, \"unit\": \"us\", \"swap_turn_us\": %.1f}\n",
		    swaps, (unsigned long long)(b->right + b->wrong), (unsigned long long)b->wrong,
		    (double)b->max_turn_ns / 1e3, (double)b->max_swap_turn_ns / 1e3);
	else
		printf(
		    "%u swaps, %llu messages: max turn %.1f us (%.1f us with a new policy), wrong "
		    "verdicts %llu\n",
		    swaps, (unsigned long long)(b->right + b->wrong), (double)b->max_turn_ns / 1e3,
		    (double)b->max_swap_turn_ns / 1e3, (unsigned long long)b->wrong);
	ret = b->wrong == 0 && b->right > swaps ? 0 : 1;
out:
	rig_free(b->rig);
	sweep(b, true);
	for (unsigned i = 0; i < 4; i++)
		free(b->parts[i / 2][i % 2].base);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "swaps", required_argument, NULL, 's' },
		{ "expressions", required_argument, NULL, 'e' }, { 0 } };
	unsigned long swaps = 200, expressions = 1000;
	bool json = false;
	struct swap *b;
	int o, ret;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'j': json = true; break;
		case 's': swaps = strtoul(optarg, NULL, 10); break;
		case 'e': expressions = strtoul(optarg, NULL, 10); break;
		default:
			fprintf(
			    stderr, "usage: bench-swap [--json] [--swaps N] [--expressions N]\n");
			return 2;
		}
	}
	b = calloc(1, sizeof(*b));
	if (!b || swaps == 0 || swaps > 100000 || expressions > 9000)
		return 2;
	ret = run(b, (unsigned)swaps, (unsigned)expressions, json);
	free(b);
	return ret;
}
