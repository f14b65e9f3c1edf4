/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulation: worlds from seeds, each with its own link, clients and backend faults, in which
 * mail must survive. Clients retry as mail servers do. What is asserted, for every message:
 *
 *	lost      accepted (250 after the dot) and not kept by a backend           never
 *	altered   kept with another digest                                         never
 *	doubled   kept more often than accepted, beyond the attempts whose answer
 *	          to the final dot was lost on the way (the window of RFC 1047)     never
 *	stuck     neither accepted nor refused at the end of the time              never
 *	hung      a session open for an hour                                       never
 *	held      a sender or recipient counted as under way behind the last       never
 *	passed    kept though every policy's patterns refuse it (--patterns)       never
 *
 *	sim [--seeds N] [--first SEED] [--seed SEED] [--tight] [--patterns] [--verbose]
 *
 * --tight leaves the worker so little memory that everything runs out at times. --patterns has pattern
 * sets that come and go (patterns.h).
 * A failing world prints its seed; `sim --seed SEED --verbose` shows it again, event by event.
 */
#include "patterns.h"

#include "filters/at_once.h"
#include "filters/image_write.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_MESSAGES = 512, MAX_ATTEMPTS = 40 };

struct message {
	uint16_t kept, accepted, refused, attempts;
	uint16_t open_window; /* attempts whose final answer may have been lost */
	bool altered, under_way;
	unsigned last_code;
};

struct world {
	struct rig *rig;
	uint64_t seed, random;
	unsigned n_messages, n_done;
	size_t body_len;
	bool verbose, faults;
	struct sim_patterns *patterns; /* NULL: none */
	uint32_t at_once;              /* limit of the world's senders and recipients; 0: none */
	struct message messages[MAX_MESSAGES];
};

struct totals {
	unsigned long worlds, messages, accepted, refused, retried, doubled, limited, failed;
	uint64_t virtual_ns;
	uint64_t unscanned, content, swaps, confirmed, refuted, late; /* with patterns */
};

static bool settled(const struct message *m)
{
	return m->accepted || m->refused;
}

static void on_outcome(void *arg, uint64_t id, enum model_outcome outcome, unsigned code)
{
	static const char *const words[] = { "accepted", "deferred", "refused", "unknown" };
	struct world *w = arg;
	struct message *m = &w->messages[id - 1];
	m->attempts++;
	m->last_code = code;
	m->under_way = false;
	switch (outcome) {
	case MODEL_ACCEPTED: m->accepted++; break;
	case MODEL_REFUSED: m->refused++; break;
	case MODEL_DEFERRED:
		/* 451 after the dot, because the backend was lost after it: the other half of the
		 * window, between the backend's keeping and our hearing of it */
		m->open_window = (uint16_t)(m->open_window + (code == 451));
		break;
	case MODEL_UNKNOWN: m->open_window++; break;
	}
	if (settled(m))
		w->n_done++;
	if (w->verbose)
		printf("%14.6f  message %" PRIu64 " %s (%u)\n", (double)w->rig->now_ns / 1e9, id,
		    words[outcome], code);
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	struct world *w = arg;
	(void)len, (void)rcpts, (void)client;
	if (id == 0 || id > w->n_messages) {
		w->messages[0].altered = true;
		return;
	}
	struct message *m = &w->messages[id - 1];
	m->kept++;
	if (digest != model_text_digest(id, w->body_len))
		m->altered = true;
	if (w->verbose)
		printf("%14.6f  backend keeps %" PRIu64 "%s\n", (double)w->rig->now_ns / 1e9, id,
		    m->altered ? " ALTERED" : "");
}

static void on_event(void *arg, const struct event *e)
{
	struct world *w = arg;
	if (w->patterns)
		sim_patterns_event(w->patterns, e);
	if (w->verbose)
		printf("%14.6f  event kind %u verdict %s reason %s code %u\n",
		    (double)w->rig->now_ns / 1e9, e->kind, verdict_words[e->verdict],
		    reason_infos[e->reason].name, e->last_code);
}

/* All senders are one, and so are many of the recipients: the limits are met all the time. */
static void set_policy(void *arg, struct policy_settings *settings, struct image_writer *writer)
{
	const struct world *w = arg;
	struct policy_rate sender = { .subject = MEMORY_SENDER, .at_once = 2 * w->at_once };
	struct policy_rate rcpt = { .subject = MEMORY_RECIPIENT, .at_once = w->at_once };
	struct policy_rate domain = { .subject = MEMORY_RECIPIENT_DOMAIN, .at_once = 64 };

	(void)settings;
	if (w->patterns)
		sim_patterns_policy(w->patterns, settings, writer);
	if (w->at_once && (image_writer_rate(writer, "sender", &sender) < 0 ||
			      image_writer_rate(writer, "rcpt", &rcpt) < 0 ||
			      image_writer_rate(writer, "domain", &domain) < 0))
		abort();
}

static uint64_t draw(struct world *w, uint64_t below)
{
	return below ? model_random(&w->random) % below : 0;
}

static void draw_world(struct world *w, struct rig_config *c)
{
	static const size_t lengths[] = { 0, 1, 300, 4096, 20000, 70000, 200000 };
	uint64_t kind = draw(w, 4); /* clean, slow, lossy, hostile network */
	w->body_len = lengths[draw(w, 7)];
	w->n_messages = 1 + (unsigned)draw(w, w->body_len > 50000 ? 12 : 60);
	*c = (struct rig_config){ .seed = w->seed,
		.n_servers = 1 + (unsigned)draw(w, 3),
		.arg = w,
		.on_outcome = on_outcome,
		.on_message = on_message,
		.on_event = on_event,
		.policy = set_policy,
		.max_clients = 32 };
	w->at_once = w->seed % 2 ? 4 + (uint32_t)(w->seed / 2 % 8) : 0;
	struct model_link_config link = { .delay_ns = 1000 * (1 + draw(w, 200)) };
	if (kind >= 1) {
		link.delay_ns = 1000000 * draw(w, 80);
		link.jitter_ns = 1000000 * draw(w, 20);
	}
	if (kind >= 2)
		link.loss = (uint16_t)draw(w, 100);
	if (kind == 3) {
		link.duplicate = (uint16_t)draw(w, 30);
		link.corrupt = (uint16_t)draw(w, 20);
	}
	c->outside = link;
	c->inside = (struct model_link_config){ .delay_ns = 50000 + 1000 * draw(w, 500) };
	if (draw(w, 4) == 0)
		c->inside.loss = (uint16_t)draw(w, 50);
	w->faults = draw(w, 2) == 0;
	if (w->faults)
		c->faults = (struct model_faults){ .rcpt_refused = (uint16_t)draw(w, 100),
			.data_deferred = (uint16_t)draw(w, 100),
			.dot_deferred = (uint16_t)draw(w, 100),
			.dot_refused = (uint16_t)draw(w, 50),
			.lost_before_dot = (uint16_t)draw(w, 100),
			.lost_after_dot = (uint16_t)draw(w, 100),
			.stored_then_lost = (uint16_t)draw(w, 50) };
}

/* So little memory that pools, tables and windows run out all the time. Mail may wait. */
static void draw_tight(struct world *w, struct rig_config *c)
{
	c->worker_chunks = 64 + (uint32_t)draw(w, 449);
	c->worker_conns = 16 + (uint32_t)draw(w, 113);
	c->worker_window_bytes = 32 * 4096 + 4096 * (uint32_t)draw(w, 64);
}

/* Starts sessions for messages that have none under way; a few messages a session at first, one
 * by one when tried again. */
static void start_sessions(struct world *w)
{
	for (unsigned i = 0; i < w->n_messages;) {
		struct message *m = &w->messages[i];
		if (settled(m) || m->under_way || m->attempts >= MAX_ATTEMPTS) {
			i++;
			continue;
		}
		bool v6 = draw(w, 2);
		struct model_plan plan = { .src = rig_client((unsigned)draw(w, RIG_CLIENTS), v6),
			.dst = rig_server(v6),
			.port = 25,
			.pipelining = draw(w, 2),
			.quit = draw(w, 8),
			.rcpts = (uint16_t)(1 + draw(w, 4)),
			.body_len = w->body_len,
			.first_id = i + 1,
			.domain = "example.org",
			.messages = 1 };
		if (draw(w, 40) == 0)
			plan.abort_after_dot = i + 1;
		uint64_t more = m->attempts ? 0 : draw(w, 6);
		while (plan.messages <= more && i + plan.messages < w->n_messages &&
		       !w->messages[i + plan.messages].attempts)
			plan.messages++;
		if (model_clients_start(w->rig->mc, &plan, w->rig->now_ns) < 0)
			return; /* all busy: at the next round */
		for (unsigned k = 0; k < plan.messages; k++)
			w->messages[i + k].under_way = true;
		i += plan.messages;
	}
}

static bool finished(void *arg)
{
	const struct world *w = arg;

	if (w->patterns)
		sim_patterns_turn(w->patterns);
	return model_clients_open(w->rig->mc) == 0;
}

static bool idle(void *arg)
{
	const struct world *w = arg;
	return worker_is_idle(w->rig->worker);
}

/* Whoever is still there is sent away; then nothing may count as under way any more. */
static bool all_given_back(struct world *w)
{
	worker_drain(w->rig->worker);
	if (!rig_run(w->rig, 3600ull * 1000000000, idle, w))
		printf("seed %" PRIu64 ": does not drain\n", w->seed);
	else if (at_once_held(w->rig->at_once) > 0)
		printf("seed %" PRIu64 ": %" PRIu64 " senders and recipients are still held\n",
		    w->seed, at_once_held(w->rig->at_once));
	else if (w->patterns && sim_patterns_held(w->patterns) > 0)
		printf("seed %" PRIu64 ": a pattern set is still held\n", w->seed);
	else
		return true;
	return false;
}

/* NULL: it went as its content has it. */
static const char *against_fate(const struct world *w, unsigned id)
{
	const struct message *m = &w->messages[id - 1];
	enum sim_fate fate = sim_patterns_fate(w->patterns, id, w->body_len);

	if (fate == SIM_DOOMED && (m->kept || m->accepted))
		return "passed, though every policy refuses it";
	/* with limits at once a group's DATA may find no recipient: 503, which the model takes for a no */
	if (fate == SIM_FREE && m->refused && !w->faults && !w->at_once)
		return "refused, though no policy does";
	return NULL;
}

static bool judge(const struct world *w, struct totals *t)
{
	bool good = true;
	for (unsigned i = 0; i < w->n_messages; i++) {
		const struct message *m = &w->messages[i];
		const char *what = NULL;
		if (m->altered)
			what = "altered";
		else if (m->accepted && !m->kept)
			what = "lost";
		else if (m->kept > m->accepted + m->open_window)
			what = "doubled outside the window";
		else if (!settled(m))
			what = "stuck";
		else if (w->patterns)
			what = against_fate(w, i + 1);
		t->accepted += m->accepted;
		t->refused += m->refused;
		t->retried += m->attempts > 1;
		t->doubled += m->kept > 1;
		if (what) {
			printf("seed %" PRIu64
			       ": message %u %s: kept %u accepted %u refused %u attempts %u "
			       "window %u last code %u\n",
			    w->seed, i + 1, what, m->kept, m->accepted, m->refused, m->attempts,
			    m->open_window, m->last_code);
			good = false;
		}
	}
	t->messages += w->n_messages;
	return good;
}

static uint64_t count(const struct rig *r, const char *name)
{
	uint64_t n = 0;

	if (!rig_counter(r, name, &n))
		exit(2);
	return n;
}

static bool run_world(uint64_t seed, bool verbose, bool tight, bool patterns, struct totals *t)
{
	const uint64_t hour_ns = 3600ull * 1000000000;
	struct world *w = calloc(1, sizeof(*w));
	struct rig_config config;

	w->seed = w->random = seed;
	w->verbose = verbose;
	draw_world(w, &config);
	if (tight)
		draw_tight(w, &config);
	if (patterns)
		w->patterns = sim_patterns_new(seed, w->n_messages, w->body_len);
	if (rig_new(&config, &w->rig) < 0) {
		fprintf(stderr, "sim: no memory for a world\n");
		exit(2);
	}
	if (patterns)
		sim_patterns_ready(w->patterns, w->rig, &config);
	uint64_t start = w->rig->now_ns;
	bool hung = false;
	while (rig_step(w->rig, start + 2000000000)) /* health checks learn the backends */
		;
	for (unsigned round = 0; w->n_done < w->n_messages && round < 3 * MAX_ATTEMPTS; round++) {
		start_sessions(w);
		if (!rig_run(w->rig, hour_ns, finished, w)) {
			/* The appliance may have forgotten a client, never the other way round. */
			hung = hung || rig_sessions(w->rig) > 0;
			model_clients_give_up(w->rig->mc);
		}
		uint64_t retry_ns = w->rig->now_ns + 60ull * 1000000000; /* as mail servers wait */
		while (rig_step(w->rig, retry_ns))
			;
	}
	bool good = judge(w, t) && !hung;
	if (hung)
		printf("seed %" PRIu64 ": a session was open for an hour\n", seed);
	good = all_given_back(w) && good;
	t->limited += rig_reason(w->rig, REASON_SENDER_AT_ONCE) +
		      rig_reason(w->rig, REASON_RECIPIENT_AT_ONCE);
	t->worlds++;
	t->failed += !good;
	t->virtual_ns += w->rig->now_ns - start;
	if (patterns) {
		struct sim_patterns_counts counts = sim_patterns_counts(w->patterns);

		t->unscanned += counts.unscanned;
		t->content += counts.refused;
		t->swaps += counts.swaps;
		t->confirmed += count(w->rig, "patterns_confirmed");
		t->refuted += count(w->rig, "patterns_refuted");
		t->late += count(w->rig, "confirm_late");
		sim_patterns_over(w->patterns);
	}
	rig_free(w->rig);
	sim_patterns_free(w->patterns);
	free(w);
	return good;
}

static double wall_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void usage(FILE *to)
{
	fputs("usage: sim [--seeds N] [--first SEED] [--seed SEED] [--tight] [--patterns]\n"
	      "           [--verbose]\n"
	      "Runs N worlds [500] from SEED on [1], or one world; exit 0 when no message was\n"
	      "lost, altered, stuck, or doubled outside the window.\n",
	    to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seeds", required_argument, NULL, 'n' },
		{ "first", required_argument, NULL, 'f' }, { "seed", required_argument, NULL, 's' },
		{ "verbose", no_argument, NULL, 'v' }, { "tight", no_argument, NULL, 't' },
		{ "patterns", no_argument, NULL, 'p' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	unsigned long n = 500;
	uint64_t first = 1;
	bool verbose = false, tight = false, patterns = false;
	struct totals t = { 0 };
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'n': n = strtoul(optarg, NULL, 10); break;
		case 'f': first = strtoull(optarg, NULL, 10); break;
		case 's': first = strtoull(optarg, NULL, 10), n = 1; break;
		case 'v': verbose = true; break;
		case 't': tight = true; break;
		case 'p': patterns = true; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	double start = wall_s();
	for (uint64_t seed = first; seed < first + n; seed++) {
		run_world(seed, verbose, tight, patterns, &t);
		if ((seed - first + 1) % 50 == 0)
			fprintf(stderr,
			    "sim: %" PRIu64 " of %lu worlds, %lu messages, %lu failed, %.0f s\n",
			    seed - first + 1, n, t.messages, t.failed, wall_s() - start);
	}
	printf("sim: worlds %lu messages %lu accepted %lu refused %lu retried %lu "
	       "doubled-in-window %lu limited-at-once %lu "
	       "virtual %.0f s; worlds with lost, altered, stuck or doubled mail: %lu\n",
	    t.worlds, t.messages, t.accepted, t.refused, t.retried, t.doubled, t.limited,
	    (double)t.virtual_ns / 1e9, t.failed);
	if (n >= 20 && t.limited == 0) {
		puts("sim: no limit at once was ever met");
		return 1;
	}
	if (patterns)
		printf("sim: refused for content %" PRIu64 " not scanned and deferred %" PRIu64
		       " policies swapped %" PRIu64 " candidates confirmed %" PRIu64
		       " refuted %" PRIu64 " answered late %" PRIu64 "\n",
		    t.content, t.unscanned, t.swaps, t.confirmed, t.refuted, t.late);
	if (patterns && n >= 50 &&
	    !(t.content && t.unscanned && t.swaps && t.confirmed && t.refuted && t.late)) {
		printf("sim: nothing of one of these proves nothing\n");
		return 1;
	}
	return t.failed != 0;
}
