/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fixed amount of work, for counting instructions: run under
 *
 *	valgrind --tool=callgrind --toggle-collect=worker_turn bench-counts refused|relayed [N]
 *
 * and divide what is collected by N (default 200). Only worker_turn() and what it calls is counted,
 * not the models around it. Time is virtual and chance seeded, so the count repeats exactly on one
 * build; tests compare it with bench/baseline.json.
 */
#include "gen.h"

#include "dataplane/model_rig.h"
#include "filters/image_write.h"

#include <stdio.h>
#include <stdlib.h>

enum { BURST = 32 };

static void policy(void *arg, struct policy_settings *s, struct image_writer *w)
{
	struct policy_list list = { .verdict = VERDICT_REFUSE, .reason = REASON_LISTED, .pool = -1 };
	(void)arg, (void)s;
	image_writer_string(w, "blocked", &list.name);
	image_writer_v4(w, (unsigned)image_writer_list(w, &list), 0xc6120000, 15);
}

static void put_all(struct rig *r, const struct frame *frames, unsigned n)
{
	memframes_put(r->frames, frames, n);
}

/* SYN, ACK, FIN of n sessions, in bursts of equal kind. */
static bool refused(struct rig *r, unsigned n)
{
	struct ip_addr us = rig_server(false);
	struct gen g = { .src_mac = { 2, 0, 0, 0, 1, 1 },
		.dst_mac = { 2, 0, 0, 0, 0, 1 },
		.n_sources = 65536,
		.dst_port = 25,
		.src = { 198, 18 } };
	struct frame in[BURST];
	unsigned n_in = 0, idle = 0;
	memcpy(g.dst, us.b + 12, 4);
	while (g.completed < n && idle < 1000) {
		while (n_in < BURST && g.next < n && memframes_get(r->frames, 0, &in[n_in]))
			gen_syn(&g, &in[n_in++]);
		r->now_ns += 100000;
		idle = n_in ? 0 : idle + 1;
		worker_turn(r->worker, r->policy, in, n_in, NULL, 0, r->now_ns, &r->out);
		struct frame_out *o = &r->out.frames;
		n_in = 0;
		for (unsigned i = 0; i < o->n_tx; i++) {
			if (o->tx[i].port == 0 && n_in < BURST && gen_answer(&g, &o->tx[i]))
				in[n_in++] = o->tx[i];
			else
				put_all(r, &o->tx[i], 1);
		}
		put_all(r, o->drop, o->n_drop);
		o->n_tx = o->n_drop = r->out.n_events = r->out.n_questions = 0;
	}
	put_all(r, in, n_in);
	/* the first burst waits for the gateway's address; its SYNs are not sent again */
	return g.completed + BURST >= n;
}

static unsigned accepted;

static void on_outcome(void *arg, uint64_t id, enum model_outcome outcome, unsigned code)
{
	(void)arg, (void)id, (void)code;
	accepted += outcome == MODEL_ACCEPTED;
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	(void)arg, (void)id, (void)digest, (void)len, (void)rcpts, (void)client;
}

static bool no_client_open(void *arg)
{
	return model_clients_open(((struct rig *)arg)->mc) == 0;
}

static bool relayed(struct rig *r, unsigned n)
{
	uint64_t ready = r->now_ns + 3000000000ull;
	while (rig_step(r, ready)) /* backends are learned */
		;
	for (unsigned i = 0; i < n; i++) {
		struct model_plan plan = { .src = rig_client(i % RIG_CLIENTS, false),
			.dst = rig_server(false),
			.port = 25,
			.pipelining = true,
			.quit = true,
			.rcpts = 1,
			.messages = 1,
			.body_len = 4096,
			.first_id = i + 1,
			.domain = "example.org" };
		if (model_clients_start(r->mc, &plan, r->now_ns) < 0)
			return false;
		rig_run(r, 60000000000ull, no_client_open, r);
	}
	return accepted == n;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 200;
	bool is_refused = argc > 1 && strcmp(argv[1], "refused") == 0;
	bool is_relayed = argc > 1 && strcmp(argv[1], "relayed") == 0;
	struct rig_config config = { .seed = 1,
		.policy = policy,
		.no_clients = is_refused,
		.on_outcome = on_outcome,
		.on_message = on_message };
	struct rig *r;
	if ((!is_refused && !is_relayed) || n == 0) {
		fputs("usage: bench-counts refused|relayed [N]\n", stderr);
		return 2;
	}
	if (rig_new(&config, &r) < 0) {
		fputs("bench-counts: no memory\n", stderr);
		return 1;
	}
	bool good = is_refused ? refused(r, n) : relayed(r, n);
	rig_free(r);
	if (!good)
		fprintf(stderr, "bench-counts: not all of %u sessions ended as they should\n", n);
	return good ? 0 : 1;
}
