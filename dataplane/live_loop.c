/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's loop: one clock sample, one burst of each port, frames to whom they belong, one
 * turn of the brain, what came out to ports, rings and log. Nothing here waits, save hw_wait()
 * when there is nothing to do, before which the worker goes offline for publish.
 */
#include "confirmer.h"
#include "live.h"
#include "pace.h"
#include "resolver.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SPIN_NS = 2000000,         /* after the last frame; the next one is then met awake */
	FIRST_SLEEP_US = 10,       /* then doubled up to host.idle_sleep_max_us */
	LONGEST_SLEEP_US = 100000, /* where descriptors wake us */
	CHECK_NS = 100000000,
	CHECK_START_NS = 20000000, /* until we serve */
};

/* The state of one worker's loop that nobody else sees. */
struct loop {
	struct live_worker *w;
	unsigned orders; /* last one seen */
	struct capture *capture;
	unsigned look; /* the walk under way or done */
	bool looking;
	uint32_t epoch; /* of the last turn's policy */
	uint64_t last_frame_ns, next_check_ns;
	uint64_t max_turn_tsc;
	struct pace pace;
	double ns_per_tsc;
	unsigned sleep_us;
	bool drain_told, gateways_told;
};

/* ---- to other workers ---- */

static void spread_flush(struct live_worker *w, unsigned to)
{
	struct live_bucket *b = &w->spread[to];
	unsigned taken = hw_hand_over(w->live->hw, w->index, to, b->frames, b->n);

	w->shell[SHELL_SPREAD_OUT] += taken;
	w->shell[SHELL_SPREAD_FULL] += b->n - taken;
	hw_free(w->live->hw, b->frames + taken, b->n - taken);
	b->n = 0;
}

static void spread_put(struct live_worker *w, unsigned to, const struct frame *f)
{
	struct live_bucket *b = &w->spread[to];

	b->frames[b->n++] = *f;
	if (b->n == HW_BURST)
		spread_flush(w, to);
}

static void spread_copies(struct live_worker *w, const struct frame *f)
{
	for (unsigned to = 0; to < w->live->n_workers; to++) {
		struct frame copy;

		if (to == w->index)
			continue;
		if (!hw_alloc(w->live->hw, w->index, f->port, &copy) || copy.room < f->len) {
			w->shell[SHELL_SPREAD_FULL]++;
			continue;
		}
		memcpy(copy.data, f->data, f->len);
		copy.len = f->len;
		copy.flags = f->flags;
		copy.vlan = f->vlan;
		spread_put(w, to, &copy);
	}
}

/* Keeps what is ours, in place; returns how many those are. */
static unsigned spread(struct live_worker *w, struct frame *frames, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned to = live_owner(&w->live->spread, &frames[i], w->index);

		if (to == LIVE_TO_ALL)
			spread_copies(w, &frames[i]);
		if (to == LIVE_TO_ALL || to == w->index)
			frames[kept++] = frames[i];
		else
			spread_put(w, to, &frames[i]);
	}
	for (unsigned to = 0; to < w->live->n_workers; to++) {
		if (w->spread[to].n)
			spread_flush(w, to);
	}
	return kept;
}

static unsigned take_over(struct live_worker *w, struct frame *frames, unsigned n)
{
	unsigned got = hw_taken_over(w->live->hw, w->index, frames, n);

	w->shell[SHELL_SPREAD_IN] += got;
	for (unsigned i = 0; i < got; i++) {
		unsigned to = live_owner(&w->live->spread, &frames[i], w->index);

		if (to != w->index && to != LIVE_TO_ALL)
			w->shell[SHELL_WRONG_WORKER]++;
	}
	return got;
}

static unsigned receive(struct live_worker *w)
{
	struct live *l = w->live;
	unsigned n = 0;

	for (unsigned port = 0; port < l->n_ports; port++)
		n += hw_rx(l->hw, port, w->index, w->rx + n, HW_BURST);
	w->shell[SHELL_RX_FRAMES] += n;
	if (l->n_workers > 1) {
		n = spread(w, w->rx, n);
		n += take_over(w, w->rx + n, LIVE_RX - n);
	}
	return n;
}

/* While addresses are being probed only neighbours are heard: no client meets an appliance that
 * is about to find its address taken. */
static unsigned keep_neighbours(struct live_worker *w, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		if (live_is_neighbour(&w->rx[i]))
			w->rx[kept++] = w->rx[i];
		else
			hw_free(w->live->hw, &w->rx[i], 1);
	}
	return kept;
}

/* ---- start and once in a while, worker 0 ---- */

static void fatal(struct live *l, char *sentence)
{
	char *none = NULL;

	if (!atomic_compare_exchange_strong(&l->fatal, &none, sentence))
		free(sentence);
	live_stop(l, 1);
}

static void check_conflicts(struct loop *loop, bool probing)
{
	struct live *l = loop->w->live;
	uint8_t mac[6];

	for (unsigned i = 0; i < l->n_stack_addrs; i++) {
		char *text = NULL;

		if (!stack_address_conflict(worker_stack(loop->w->worker), i, mac))
			continue;
		if (asprintf(&text,
			"address %s is in use on this link by %02x:%02x:%02x:%02x:%02x:%02x: "
			"choose "
			"another in host.interfaces, or take it from the other host",
			l->addr_text[i], mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]) < 0)
			return;
		if (probing) {
			fatal(l, text);
			return;
		}
		if (!(l->conflicts_told & 1ull << i)) {
			l->conflicts_told |= 1ull << i;
			events_tell(l->events, hw_now_ns(), "address-conflict", "%s", text);
		}
		free(text);
	}
}

static void check_gateways(struct loop *loop, uint64_t now_ns)
{
	struct live *l = loop->w->live;
	unsigned long before = atomic_load(&loop->w->unreachable), now = 0;

	for (unsigned i = 0; i < l->host.n_routes; i++) {
		if (!stack_route_reachable(worker_stack(loop->w->worker), i))
			now |= 1ul << i;
	}
	atomic_store(&loop->w->unreachable, now);
	if (now_ns < l->started_ns + LIVE_GATEWAY_MS * 1000000ull)
		return;
	for (unsigned i = 0; i < l->host.n_routes; i++) {
		bool silent = now >> i & 1;

		if (loop->gateways_told && silent == (before >> i & 1))
			continue;
		if (silent) {
			fprintf(stderr,
			    "postern-dataplane: gateway %s does not answer ARP or neighbour "
			    "discovery: "
			    "nothing beyond it can be reached; check host.routes, cable and VLAN\n",
			    l->route_text[i]);
			events_tell(l->events, now_ns, "gateway-silent", "%s", l->route_text[i]);
		} else if (loop->gateways_told) {
			events_tell(l->events, now_ns, "gateway-answers", "%s", l->route_text[i]);
		}
	}
	loop->gateways_told = true;
}

/* The gateways that have not answered, in words. */
static void silent_gateways(const struct live *l, unsigned long silent, char *ret_text, size_t size)
{
	size_t at = 0;

	ret_text[0] = '\0';
	for (unsigned i = 0; i < l->host.n_routes && at < size; i++) {
		if (silent >> i & 1)
			at += (size_t)snprintf(ret_text + at, size - at, "%s%s on port %s",
			    at ? ", " : "", l->route_text[i], l->route_port[i]);
	}
}

/*
 * Clients are heard once our addresses are known to be free and every gateway has answered: what
 * is wrong with cable, VLAN or route is then said by an exit status, not found out by senders. The
 * alternative, to serve at once and log, answers SYNs of one's own link and nobody else's.
 */
static void check_start(struct loop *loop, uint64_t now_ns)
{
	struct live *l = loop->w->live;
	unsigned long silent = atomic_load(&loop->w->unreachable);
	char *sentence = NULL, names[256];

	if (atomic_load(&loop->w->stop) ||
	    (now_ns < l->started_ns + LIVE_PROBE_MS * 1000000ull && !l->taken_over))
		return;
	if (silent == 0 || l->gateway_wait_ms == 0) {
		atomic_store(&l->serving, true);
		return;
	}
	if (now_ns < l->started_ns + l->gateway_wait_ms * 1000000ull)
		return;
	silent_gateways(l, silent, names, sizeof(names));
	if (asprintf(&sentence,
		"no answer to ARP or neighbour discovery within %llu s from the gateway %s: check "
		"host.routes, cable and VLAN, or start without it by --gateway-wait 0",
		(unsigned long long)(l->gateway_wait_ms / 1000), names) < 0)
		sentence = NULL;
	fatal(l, sentence);
}

/* ---- orders from control ---- */

/* Control raises look_wanted last: what was read before it was still the same is of that request. */
static void begin_look(struct loop *loop)
{
	struct live_worker *w = loop->w;
	unsigned wanted = atomic_load(&w->look_wanted);
	uint64_t words[2];

	if (wanted == loop->look)
		return;
	words[0] = atomic_load(&w->look_addr[0]);
	words[1] = atomic_load(&w->look_addr[1]);
	w->look.prefix_len = (uint8_t)atomic_load(&w->look_len);
	memcpy(w->look.addr, words, sizeof(words));
	w->look.cap = LIVE_LOOKS;
	w->look.n = w->look.met = w->look.at = 0;
	loop->look = wanted;
	loop->looking = true;
}

/* A part of the walk a turn. */
static void look(struct loop *loop)
{
	struct live_worker *w = loop->w;

	if (!worker_sessions(w->worker, &w->look, LIVE_LOOK_STEPS))
		return;
	loop->looking = false;
	atomic_store_explicit(&w->look_done, loop->look, memory_order_release);
}

static void obey(struct loop *loop, const struct policy *policy)
{
	struct live_worker *w = loop->w;
	unsigned orders = atomic_load_explicit(&w->orders, memory_order_acquire);

	if (orders == loop->orders && policy_epoch(policy) == loop->epoch)
		return;
	loop->orders = orders;
	loop->epoch = policy_epoch(policy);
	for (unsigned i = 0; i < policy_settings(policy)->n_servers && i < STATS_MAX_SERVERS; i++)
		worker_backend_drain(
		    w->worker, i, atomic_load_explicit(&w->drained[i], memory_order_relaxed));
	worker_share(w->worker, atomic_load(&w->sharing));
	if (atomic_load(&w->drain) && !loop->drain_told) {
		loop->drain_told = true;
		worker_drain(w->worker);
	}
	begin_look(loop);
	loop->capture = atomic_load(&w->capture);
	atomic_store_explicit(&w->obeyed, orders, memory_order_release);
}

/* ---- what a turn gave ---- */

/* Candidates of patterns go to PCRE2's thread; returns how many questions are left, moved up. */
static unsigned confirm(struct live_worker *w, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		if (w->questions[i].kind == QUESTION_CONFIRM)
			confirmer_ask(w->live->confirmer, w->index, &w->questions[i]);
		else if (kept++ < i)
			w->questions[kept - 1] = w->questions[i];
	}
	return kept;
}

/* Other questions go to the resolver; where its ring is full the answer is `failed` at once, so that no
 * session waits for a deadline. Then comes what it has answered meanwhile. */
static void ask(struct live_worker *w, const struct worker_out *out)
{
	unsigned taken = 0, n = confirm(w, out->n_questions);

	if (n)
		taken = resolver_ask(w->live->resolver, w->index, w->questions, n);
	w->n_answers = 0;
	for (unsigned i = taken; i < n; i++) {
		struct answer *a = &w->answers[w->n_answers++];

		*a = (struct answer){ .id = w->questions[i].id,
			.kind = w->questions[i].kind,
			.status = ANSWER_FAILED };
	}
	w->shell[SHELL_QUESTIONS_UNANSWERED] += n - taken;
	w->n_answers += confirmer_answers(
	    w->live->confirmer, w->index, w->answers + w->n_answers, LIVE_QUESTIONS - w->n_answers);
	w->n_answers += resolver_answers(
	    w->live->resolver, w->index, w->answers + w->n_answers, LIVE_QUESTIONS - w->n_answers);
}

static void give_away(struct loop *loop, struct worker_out *out, uint64_t now_ns)
{
	struct live_worker *w = loop->w;
	struct live *l = w->live;

	w->shell[SHELL_TX_FRAMES] += out->frames.n_tx;
	if (loop->capture && out->frames.n_tx)
		capture_put(loop->capture, w->index, w->tx, out->frames.n_tx, true, now_ns);
	if (out->frames.n_tx)
		w->shell[SHELL_TX_REFUSED] += hw_tx(l->hw, w->index, w->tx, out->frames.n_tx);
	if (out->frames.n_drop)
		hw_free(l->hw, w->drop, out->frames.n_drop);
	if (out->n_events)
		w->shell[SHELL_EVENTS_LOST] +=
		    events_put(l->events, w->index, w->events, out->n_events);
	if (out->n_notes)
		w->shell[SHELL_NOTES_LOST] += notes_put(l->notes, w->index, w->notes, out->n_notes);
	ask(w, out);
}

static void rest(struct loop *loop, uint64_t now_ns)
{
	struct live_worker *w = loop->w;
	struct live *l = w->live;
	uint64_t deadline = worker_next_deadline(w->worker);
	unsigned us;

	/* physical ports are looked at without a pause: that is what the core is for */
	if (!l->all_virtual || l->idle_sleep_max_us == 0)
		return;
	if (now_ns < loop->last_frame_ns + SPIN_NS) {
		/* Ports with descriptors are the kernel's, whose threads may carry what we just sent and
		 * want this very core. */
		if (l->all_interrupts)
			sched_yield();
		return;
	}
	if (l->all_interrupts) {
		us = LONGEST_SLEEP_US;
	} else {
		us = loop->sleep_us;
		loop->sleep_us = us * 2 < l->idle_sleep_max_us ? us * 2 : l->idle_sleep_max_us;
	}
	if (deadline <= now_ns)
		return;
	if (deadline - now_ns < us * 1000ull)
		us = (unsigned)((deadline - now_ns) / 1000);
	if (us == 0)
		return;
	w->shell[SHELL_SLEEPS]++;
	publish_offline(l->publish, w->index);
	hw_wait(l->hw, w->index, us);
	publish_online(l->publish, w->index, hw_now_ns());
}

void live_run(void *arg)
{
	struct live_worker *w = arg;
	struct live *l = w->live;
	struct loop loop = { .w = w, .sleep_us = FIRST_SLEEP_US, .last_frame_ns = hw_now_ns() };
	uint64_t tsc = hw_tsc();

	pace_init(&loop.pace);
	loop.ns_per_tsc = 1e9 / (double)l->stats->tsc_hz;
	publish_worker_begin(l->publish, w->index, hw_now_ns());
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		const struct policy *policy = publish_get(l->publish)->policy;
		uint64_t now_ns = hw_now_ns(), before, after;
		struct worker_out out = {
			.frames = { .tx = w->tx,
			    .cap_tx = LIVE_TX,
			    .drop = w->drop,
			    .cap_drop = LIVE_RX },
			.questions = w->questions,
			.cap_questions = LIVE_QUESTIONS,
			.events = w->events,
			.cap_events = LIVE_EVENTS,
			.notes = w->notes,
			.cap_notes = LIVE_NOTES,
			.work = loop.pace.work,
		};
		bool probing = !atomic_load_explicit(&l->serving, memory_order_relaxed), busy;
		unsigned n = receive(w), n_answers = w->n_answers;

		if (probing)
			n = keep_neighbours(w, n);
		w->n_answers = 0;
		if (loop.capture && n)
			capture_put(loop.capture, w->index, w->rx, n, false, now_ns);
		before = hw_tsc();
		worker_turn(w->worker, policy, w->rx, n, w->answers, n_answers, now_ns, &out);
		after = hw_tsc();
		pace_note(
		    &loop.pace, (uint64_t)((double)(after - before) * loop.ns_per_tsc), out.worked);
		obey(&loop, policy); /* servers' numbers are this policy's since the turn */
		give_away(&loop, &out, now_ns);
		if (loop.looking)
			look(&loop);
		if (w->index == 0 && now_ns >= loop.next_check_ns) {
			loop.next_check_ns = now_ns + (probing ? CHECK_START_NS : CHECK_NS);
			check_conflicts(&loop, probing);
			check_gateways(&loop, now_ns);
			if (probing)
				check_start(&loop, now_ns);
		}
		publish_quiescent(l->publish, w->index, now_ns);

		busy = n > 0 || out.frames.n_tx > 0 || out.n_events > 0;
		w->stats->turns++;
		w->stats->last_turn_ns = now_ns;
		if (after - before > loop.max_turn_tsc) {
			loop.max_turn_tsc = after - before;
			w->stats->max_turn_ns =
			    (uint64_t)((double)loop.max_turn_tsc * loop.ns_per_tsc);
		}
		if (n > 0) {
			loop.last_frame_ns = now_ns;
			loop.sleep_us = FIRST_SLEEP_US;
		}
		if (loop.drain_told)
			atomic_store_explicit(
			    &w->idle, worker_is_idle(w->worker), memory_order_relaxed);
		if (!busy && !out.busy && !loop.looking && w->n_answers == 0)
			rest(&loop, now_ns);
		after = hw_tsc();
		if (busy) {
			w->stats->busy_turns++;
			w->stats->busy_tsc += after - tsc;
		} else {
			w->stats->idle_tsc += after - tsc;
		}
		tsc = after;
	}
	publish_worker_end(l->publish, w->index);
}
