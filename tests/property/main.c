/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The property of patterns, through the whole session: whatever the segmentation, the window, the
 * chunks, the pace of client and mail server, a message hits the rules that one block scan of the
 * decoded message up to the depth hits, each once, and has the verdict that follows from them; the
 * mail server has it unaltered or not at all.
 *
 *	property [--seeds N] [--first SEED] [--seed SEED] [GROUP...]
 *
 * A world that fails names its seed and is made plainer as long as it fails. Rejected: the same
 * worlds with tests/sim's model clients, which know nothing of content; and conversations alone,
 * in which somebody chose where to cut.
 */
#include "world.h"

#include "control/config.h"
#include "control/compile_patterns.h"
#include "dataplane/model_mail.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group {
	const char *name;
	unsigned clients;
	bool chunks, data, bare, salad, short_memory, large;
};

static const struct group groups[] = {
	{ "data", 1, false, true, false, false, false, false },
	{ "chunks", 1, true, false, false, false, false, false },
	{ "bare_line_ends", 1, false, true, true, false, false, false },
	{ "hostile_mime", 1, true, true, true, true, false, false },
	{ "slow_mail_server", 1, true, true, false, false, false, true },
	{ "short_memory", 3, true, true, false, false, true, true },
	{ "crowd", 4, true, true, true, true, false, false },
};
enum { GROUPS = sizeof(groups) / sizeof(groups[0]) };

static void draw_knobs(const struct group *g, uint64_t seed, struct knobs *k)
{
	static const uint32_t windows[] = { 0, 1, 100, 1000, 4096, 20000, 65536, 400000 };
	static const uint32_t depths[] = { 60, 700, 5000, 50000 };
	static const uint32_t pieces[] = { 1, 3, 9, 80, 700, 1460, 5000, 0 };
	uint64_t random = seed ^ (uint64_t)(g - groups + 1) << 32;

#define DRAW(n) (model_random(&random) % (n))
	*k = (struct knobs){ .seed = model_random(&random),
		.clients = g->clients,
		.chunks = g->chunks,
		.data = g->data,
		.bare = g->bare,
		.salad = g->salad };
	k->messages = 1 + (unsigned)DRAW(4);
	k->received = DRAW(3) == 0;
	k->window = windows[DRAW(8)];
	k->longest = g->large || DRAW(4) == 0 ? 40000 : 3000;
	k->depth = DRAW(3) ? 1 << 20 : depths[DRAW(4)];
	k->decoded_depth = DRAW(3) ? 1 << 20 : depths[DRAW(4)];
	k->piece = pieces[DRAW(8)];
	k->pause_us = DRAW(2) ? 0 : 1 << DRAW(15);
	if (g->large || DRAW(3) == 0) {
		k->backend_piece = 1 + (uint32_t)DRAW(6000);
		k->backend_pause_us = 1 << DRAW(15);
	}
	k->mark = DRAW(2) ? 150 : 1000;
	k->refuse = 300 + 100 * (int32_t)DRAW(4);
	if (g->short_memory)
		k->window_bytes = (32 + (uint32_t)DRAW(16)) * 4096;
#undef DRAW
}

static void *compile_rules(size_t *ret_len)
{
	struct complaints complaints;
	struct patterns_report report;
	struct patterns p;
	void *part = NULL;
	char text[4096];
	size_t n = 0;

	for (unsigned i = 0; i < RULES; i++) {
		const struct rule_row *r = &rule_rows[i];

		if (r->zone)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s:/%s/%s name=%s",
			    r->zone, r->expression, r->flags, r->name);
		else
			n += (size_t)snprintf(
			    text + n, sizeof(text) - n, "meta %s = %s", r->name, r->expression);
		n += (size_t)snprintf(text + n, sizeof(text) - n, " score=%s%d.%02d%s%s\n",
		    r->weight < 0 ? "-" : "", abs(r->weight) / 100, abs(r->weight) % 100,
		    r->action ? " action=" : "", r->action ? r->action : "");
	}
	complaints_init(&complaints);
	patterns_init(&p);
	if (patterns_parse(&p, "rules", NULL, text, n, &complaints) < 0 ||
	    !patterns_finish(&p, &complaints) ||
	    patterns_compile(&p, NULL, &complaints, &part, ret_len, &report) < 0 ||
	    complaints.total) {
		complaints_print(&complaints, stderr);
		exit(2);
	}
	patterns_fini(&p);
	complaints_fini(&complaints);
	return part;
}

static bool fails(
    const struct knobs *k, struct oracle *o, const void *part, size_t len, struct tried *t)
{
	world_try(k, o, part, len, t);
	return t->why[0];
}

/* Plainer worlds, each kept if it still fails. */
static void shrink(struct knobs *k, struct oracle *o, const void *part, size_t len, struct tried t)
{
	for (unsigned step = 0; step < 24; step++) {
		struct knobs plain = *k;
		struct tried now = { 0 };

		switch (step) {
		case 0: plain.clients = 1; break;
		case 1:
		case 2:
		case 3:
		case 4:
			plain.only = step <= plain.messages && !plain.only ? step : plain.only;
			break;
		case 5: plain.piece = 0; break;
		case 6: plain.pause_us = 0; break;
		case 7: plain.backend_piece = plain.backend_pause_us = 0; break;
		case 8: plain.window = 400000; break;
		case 9: plain.depth = 1 << 20; break;
		case 10: plain.decoded_depth = 1 << 20; break;
		case 11: plain.received = false; break;
		case 12: plain.window_bytes = 0; break;
		default: plain.longest = plain.longest * 2 / 3; break;
		}
		if (memcmp(&plain, k, sizeof(plain)) != 0 && fails(&plain, o, part, len, &now)) {
			*k = plain;
			t = now;
		}
	}
	printf("# plainest: clients %u only %u window %u depth %u decoded_depth %u longest %u "
	       "piece %u pause_us %u backend_piece %u window_bytes %u: %s\n",
	    k->clients, k->only, k->window, k->depth, k->decoded_depth, k->longest, k->piece,
	    k->pause_us, k->backend_piece, k->window_bytes, t.why);
}

static bool try_group(const struct group *g, unsigned number, uint64_t first, unsigned long n,
    struct oracle *o, const void *part, size_t len, struct tried *all)
{
	struct tried t = { 0 };
	bool good = true;

	for (uint64_t seed = first; seed < first + n && good; seed++) {
		struct knobs k;

		draw_knobs(g, seed, &k);
		if (!fails(&k, o, part, len, &t))
			continue;
		good = false;
		printf("# %s --seed %" PRIu64 ": %s\n", g->name, seed, t.why);
		shrink(&k, o, part, len, t);
	}
	printf("# %s: %lu messages, %lu accepted, %lu refused, %lu deferred\n", g->name, t.messages,
	    t.accepted, t.refused, t.deferred);
	printf("%sok %u - %s\n", good ? "" : "not ", number, g->name);
	fflush(stdout);
	for (unsigned i = 0; i < RULES; i++)
		all->seen[i] |= t.seen[i];
	all->messages += t.messages;
	return good;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seeds", required_argument, NULL, 'n' },
		{ "first", required_argument, NULL, 'f' }, { "seed", required_argument, NULL, 's' },
		{ 0 } };
	unsigned long n = 100;
	uint64_t first = 1;
	struct tried all = { 0 };
	unsigned number = 0;
	bool good = true, idle = false;
	struct oracle *oracle;
	size_t len;
	void *part;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'n': n = strtoul(optarg, NULL, 10); break;
		case 'f': first = strtoull(optarg, NULL, 10); break;
		case 's': first = strtoull(optarg, NULL, 10), n = 1; break;
		default:
			fprintf(stderr, "usage: property [--seeds N] [--first SEED] [--seed SEED] "
					"[GROUP...]\n");
			return 2;
		}
	}
	oracle = oracle_new();
	part = compile_rules(&len);
	for (unsigned i = 0; i < GROUPS; i++) {
		bool wanted = optind == argc;

		for (int k = optind; k < argc; k++)
			wanted |= strcmp(argv[k], groups[i].name) == 0;
		if (wanted)
			good &= try_group(&groups[i], ++number, first, n, oracle, part, len, &all);
	}
	/* a rule that nothing ever hits proves nothing */
	for (unsigned i = 0; i < RULES && n > 20 && optind == argc; i++) {
		idle |= !all.seen[i];
		if (!all.seen[i])
			printf("# %s was never hit\n", rule_rows[i].name);
	}
	if (n > 20 && optind == argc)
		printf("%sok %u - every_rule_is_hit\n", idle ? "not " : "", ++number);
	printf("1..%u\n", number);
	oracle_free(oracle);
	free(part);
	return !good || idle;
}
