/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * swap: pattern sets change while messages stream. No ports: the model rig's clients send messages of
 * which every second one holds what refuses; the policy is exchanged again and again for one with
 * other pattern sets, as the live shell does it: opened by another thread meanwhile, handed over
 * between two turns, the old one closed by that thread once no message is scanned with it. Before each
 * change as many turns go by without one, to compare.
 *
 * Every turn is timed by the wall clock. What it takes is our work and what the host takes: a tick, a
 * page of another process, the hypervisor. Which of them it was no clock tells (the thread's own counts
 * interrupts and stolen time too), but the rig is deterministic: turn i of a second pass does the same
 * work, and the host does not come again at the same turn. So the least of some passes is what turn i
 * costs us, and the greatest of those is the claim; the greatest as it happened stands beside it, with
 * how long the host keeps a loop that does nothing. Apart from them stand the turns before the first
 * change, in which code and memory are touched for the first time in a process's life. The alternative, to leave out turns with an
 * involuntary switch, leaves the hypervisor in, and takes out what we may have to answer for.
 *
 * With --lists the policies hold N addresses each besides, others in turn, among them one client's: what
 * is exchanged is then lists.
 *
 *	bench-swap [--json] [--swaps N] [--expressions N] [--passes N] [--lists N]
 */
#include "report.h"

#include "control/compile_patterns.h"
#include "control/config.h"
#include "dataplane/model_mail.h"
#include "dataplane/model_rig.h"
#include "filters/image_write.h"
#include "filters/policy.h"
#include "filters/scanner.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	CLIENTS = 48,
	BODY = 6000,
	OLD_MAX = 64,
	STEPS_QUIET = 200, /* without a change */
	STEPS_OPEN = 50,   /* while the next policy is opened */
	STEPS_OPENED = 50, /* it is: the thread that waited for it finds its caches again */
	STEPS_NEW = 100,   /* with it */
	STEPS = STEPS_QUIET + STEPS_OPEN + STEPS_OPENED + STEPS_NEW,
	STEPS_END = 20000, /* the last messages, at most */
	PASSES_MAX = 20,
	SPIN_S = 2,
	MAX_US = 100, /* the claim */
	LISTED = 5,   /* the client on the list */
};

/* Of one pass, in memory that parent and child share. */
struct pass {
	uint64_t right, wrong, faults;
	uint32_t n;
	uint32_t turn_ns[];
};

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
	uint32_t hosts;                            /* on its list */
	struct old old[OLD_MAX];
	unsigned n_old;
	struct old next; /* opened by the other thread */
	int error;       /* of it */
	uint64_t next_id, before_ns;
	long faults;
	struct pass *pass;
};

static uint64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
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

static void list(struct swap *b, struct image_writer *w)
{
	struct policy_list list = { .verdict = VERDICT_REFUSE, .reason = REASON_LISTED, .pool = -1 };
	struct ip_addr client = rig_client(LISTED, false);
	uint64_t random = 1 + b->turn_of;
	unsigned index;

	image_writer_string(w, "blocked", &list.name);
	index = (unsigned)image_writer_list(w, &list);
	image_writer_v4(w, index,
	    (uint32_t)client.b[12] << 24 | (uint32_t)client.b[13] << 16 |
		(uint32_t)client.b[14] << 8 | client.b[15],
	    32);
	for (uint32_t i = 1; i < b->hosts; i++) {
		uint32_t a = (uint32_t)model_random(&random);

		if (a >> 24 != 192 && a >> 24 != 198)
			image_writer_v4(w, index, a, i & 7 ? 32 : 24);
	}
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
	if (b->hosts)
		list(b, w);
}

static void on_outcome(void *arg, uint64_t id, enum model_outcome outcome, unsigned code)
{
	struct swap *b = arg;
	bool good =
	    id % 2 == 0 ? outcome == MODEL_REFUSED && code == 550 : outcome == MODEL_ACCEPTED;

	if (b->hosts && (id - 1) % RIG_CLIENTS == LISTED)
		good = outcome == MODEL_REFUSED && code == 521;

	b->pass->right += good;
	b->pass->wrong += !good;
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	(void)arg, (void)id, (void)digest, (void)len, (void)rcpts, (void)client;
}

static long faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_minflt + u.ru_majflt;
}

static void around_turn(void *arg, bool before)
{
	struct swap *b = arg;
	uint64_t now;

	if (before) {
		b->faults = faults();
		b->before_ns = wall_ns();
		return;
	}
	now = wall_ns();
	b->pass->turn_ns[b->pass->n++] = (uint32_t)(now - b->before_ns);
	b->pass->faults += (uint64_t)(faults() - b->faults);
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
		plan.src = rig_client((unsigned)(b->next_id % RIG_CLIENTS), false);
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

/* The other thread: closes what nobody uses any more, opens the next. */
static void *open_next(void *arg)
{
	struct swap *b = arg;

	sweep(b, false);
	b->turn_of ^= 1;
	b->config.epoch++;
	b->error =
	    b->n_old == OLD_MAX ? -1 : rig_policy_new(&b->config, &b->next.image, &b->next.policy);
	return NULL;
}

static void steps(struct swap *b, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		start_clients(b);
		rig_step(b->rig, UINT64_MAX);
	}
}

static bool swap_policy(struct swap *b)
{
	pthread_t other;

	if (pthread_create(&other, NULL, open_next, b) != 0)
		return false;
	steps(b, STEPS_OPEN);
	pthread_join(other, NULL);
	if (b->error < 0)
		return false;
	steps(b, STEPS_OPENED);
	b->old[b->n_old++] = (struct old){ b->rig->policy, b->rig->image };
	b->rig->policy = b->next.policy;
	b->rig->image = b->next.image;
	return true;
}

static bool run_pass(struct swap *b, unsigned swaps)
{
	bool good = true;

	b->config = (struct rig_config){ .seed = 1,
		.max_clients = CLIENTS,
		.policy = policy,
		.arg = b,
		.on_outcome = on_outcome,
		.on_message = on_message,
		.around_turn = around_turn,
		.epoch = 1 };
	if (rig_new(&b->config, &b->rig) < 0)
		return false;
	for (unsigned i = 0; i < swaps && good; i++) {
		steps(b, STEPS_QUIET);
		good = swap_policy(b);
		if (good)
			steps(b, STEPS_NEW);
	}
	for (unsigned k = 0; k < STEPS_END && model_clients_open(b->rig->mc) > 0; k++)
		rig_step(b->rig, UINT64_MAX);
	rig_free(b->rig);
	sweep(b, true);
	return good;
}

/* In a process of its own, so that each touches its memory for the first time. */
static bool pass(struct swap *b, unsigned swaps, struct pass *p)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return false;
	if (child == 0) {
		b->pass = p;
		_exit(run_pass(b, swaps) ? 0 : 1);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* How long the host keeps a loop that does nothing but look at the clock. */
static uint64_t host_ns(void)
{
	uint64_t begin = wall_ns(), last = begin, most = 0;

	while (last - begin < SPIN_S * 1000000000ull) {
		uint64_t now = wall_ns();

		if (now - last > most)
			most = now - last;
		last = now;
	}
	return most;
}

struct result {
	/* greatest of the turns' least: in the first STEPS_QUIET, without a change, around one, the
	 * first of a new policy */
	uint64_t start_ns, quiet_ns, change_ns, first_ns;
	uint64_t met_ns; /* greatest as it happened, any pass */
	unsigned over;   /* turns over MAX_US as they happened, a pass */
};

static struct result look(struct pass *const *passes, unsigned n_passes, unsigned swaps)
{
	struct result r = { 0 };

	for (uint32_t i = 0; i < passes[0]->n; i++) {
		unsigned in = i % STEPS;
		uint64_t least = UINT64_MAX, *most;

		for (unsigned k = 0; k < n_passes; k++) {
			uint64_t ns = passes[k]->turn_ns[i];

			if (ns < least)
				least = ns;
			if (ns > r.met_ns)
				r.met_ns = ns;
			r.over += ns > MAX_US * 1000;
		}
		if (i < STEPS_QUIET)
			most = &r.start_ns;
		else if (i / STEPS >= swaps || in < STEPS_QUIET)
			most = &r.quiet_ns;
		else if (in == STEPS_QUIET + STEPS_OPEN) /* after a pause that the product has not */
			continue;
		else if (in == STEPS - STEPS_NEW)
			most = &r.first_ns;
		else
			most = &r.change_ns;
		if (least > *most)
			*most = least;
	}
	r.over /= n_passes;
	return r;
}

static double greatest_us(const struct result *r)
{
	uint64_t ns = r->quiet_ns > r->change_ns ? r->quiet_ns : r->change_ns;

	return (double)(ns > r->first_ns ? ns : r->first_ns) / 1e3;
}

static void line(const char *claim, double us, const char *beside, double beside_us, bool json,
    const struct swap *b, unsigned expressions)
{
	struct report r = { .claim = claim,
		.unit = "us",
		.baseline_name = beside,
		.target_ratio = beside_us == MAX_US ? 1 : 0,
		.lists = b->hosts,
		.rules = expressions };

	report_add(&r, us, beside_us);
	report_print(&r, json);
}

static int report(struct swap *b, struct pass *const *passes, unsigned n_passes, unsigned swaps,
    unsigned expressions, bool json)
{
	struct result r = look(passes, n_passes, swaps);
	const struct pass *p = passes[0];
	double max_us = greatest_us(&r), host_us = (double)host_ns() / 1e3;
	unsigned long long wrong = 0;

	for (unsigned k = 0; k < n_passes; k++) {
		wrong += passes[k]->wrong;
		if (passes[k]->n == p->n && passes[k]->right == p->right)
			continue;
		fprintf(stderr, "swap: two passes did not do the same work\n");
		return 1;
	}
	line(b->hosts ? "lists-swap" : "swap", max_us, "allowed", MAX_US, json, b, expressions);
	line("swap-around", (double)(r.change_ns > r.first_ns ? r.change_ns : r.first_ns) / 1e3,
	    "turns without a change", (double)r.quiet_ns / 1e3, json, b, expressions);
	line("swap-met", (double)r.met_ns / 1e3, "an idle loop on this host", host_us, json, b,
	    expressions);
	fprintf(stderr,
	    "max turn %s %u us, wrong verdicts %llu: %u swaps, %llu messages, %u passes of %u "
	    "turns\n"
	    "longest that is ours: %.1f us without a change, %.1f us around one, %.1f us the first "
	    "of "
	    "a new policy, %.1f us before the first; as met %.1f us, %u turns of a pass over %u "
	    "us, "
	    "%llu page faults\n",
	    max_us <= MAX_US ? "<=" : ">", MAX_US, wrong, swaps,
	    (unsigned long long)(p->right + p->wrong), n_passes, p->n, (double)r.quiet_ns / 1e3,
	    (double)r.change_ns / 1e3, (double)r.first_ns / 1e3, (double)r.start_ns / 1e3,
	    (double)r.met_ns / 1e3, r.over, MAX_US, (unsigned long long)p->faults);
	return wrong == 0 && p->right > swaps && max_us <= MAX_US ? 0 : 1;
}

static int run(struct swap *b, unsigned swaps, unsigned expressions, unsigned n_passes, bool json)
{
	size_t turns = (size_t)swaps * STEPS + STEPS_END;
	size_t size = sizeof(struct pass) + turns * sizeof(uint32_t);
	struct pass *passes[PASSES_MAX];

	if (!compile(expressions, 0, &b->parts[0][0]) ||
	    !compile(expressions, 5000, &b->parts[1][0]) || !compile(5, 9000, &b->parts[1][1]))
		return 1;
	for (unsigned k = 0; k < n_passes; k++) {
		passes[k] = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (passes[k] == MAP_FAILED || !pass(b, swaps, passes[k]))
			return 1;
	}
	return report(b, passes, n_passes, swaps, expressions, json);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "swaps", required_argument, NULL, 's' },
		{ "expressions", required_argument, NULL, 'e' },
		{ "passes", required_argument, NULL, 'p' },
		{ "lists", required_argument, NULL, 'l' }, { 0 } };
	unsigned long swaps = 200, expressions = 1000, passes = 9, hosts = 0;
	bool json = false;
	struct swap *b;
	int o, ret;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'j': json = true; break;
		case 's': swaps = strtoul(optarg, NULL, 10); break;
		case 'e': expressions = strtoul(optarg, NULL, 10); break;
		case 'l': hosts = strtoul(optarg, NULL, 10); break;
		case 'p': passes = strtoul(optarg, NULL, 10); break;
		default:
			fprintf(stderr,
			    "usage: bench-swap [--json] [--swaps N] [--expressions N] [--passes N] "
			    "[--lists N]\n");
			return 2;
		}
	}
	b = calloc(1, sizeof(*b));
	if (!b || swaps == 0 || swaps > 10000 || expressions > 9000 || passes == 0 ||
	    passes > PASSES_MAX || hosts > 20000000) {
		free(b);
		return 2;
	}
	b->hosts = (uint32_t)hosts;
	ret = run(b, (unsigned)swaps, (unsigned)expressions, (unsigned)passes, json);
	for (unsigned i = 0; i < 4; i++)
		free(b->parts[i / 2][i % 2].base);
	free(b);
	return ret;
}
