/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turn of one worker (worker.h): frames in, SYNs judged in bulk, ready connections handed to
 * their sessions and relays, timers, the run queue, frames out. Everything is bounded: a burst, some
 * timers, and so much work (worker.h), of which half is kept for the run queue; what is left over waits for
 * the next turn (`busy`). A count of sessions instead would bound nothing: one may have an event to
 * note, or 64 KiB to be scanned.
 *
 * The worker is the stack's owner: the stack tells it of connections through a queue and calls back
 * for SYNs alone, so no session is ever entered from inside TCP.
 */
#include "ask.h"
#include "backend.h"
#include "overload.h"
#include "inquire.h"
#include "relay.h"
#include "session.h"
#include "sketch.h"

#include "filters/token.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SYN_BURST = 64,
	TIMERS_PER_TURN = 64,
	REFUSE_LISTED = 0, /* refuse classes of the stack */
	REFUSE_BUSY = 1,
	REFUSE_BANNED = 2,
	SYN_EVENTS_PER_SECOND = 100,
	GAUGES_NS = 100000000,
};

struct event *event_new(struct worker *w, enum event_kind kind)
{
	struct event *e;

	if (!w->out || w->out->n_events >= w->out->cap_events) {
		brain_count(w, BRAIN_event_lost);
		return NULL;
	}
	e = &w->out->events[w->out->n_events++];
	*e = (struct event){
		.kind = (uint8_t)kind,
		.worker = (uint8_t)w->config.index,
		.time_ns = w->now_ns,
		.epoch = w->epoch,
		.server = BACKEND_NONE,
	};
	return e;
}

struct note *note_new(struct worker *w, enum note_kind kind)
{
	struct note *n;

	if (!(w->config.notes >> kind & 1) || !w->out)
		return NULL;
	if (w->out->n_notes >= w->out->cap_notes) {
		brain_count(w, BRAIN_note_lost);
		return NULL;
	}
	n = &w->out->notes[w->out->n_notes++];
	memset(n, 0, sizeof(*n));
	n->kind = (uint8_t)kind;
	n->worker = (uint8_t)w->config.index;
	n->time_ns = w->now_ns;
	return n;
}

/* ---- SYNs ---- */

static void syn_event(struct worker *w, const struct syn_judgement *j, const struct verdict *v)
{
	struct event *e;

	if (w->syn_event_budget == 0) {
		if (w->now_ns < w->syn_event_refill_ns)
			return;
		w->syn_event_refill_ns = w->now_ns + 1000000000u;
		w->syn_event_budget = SYN_EVENTS_PER_SECOND;
	}
	w->syn_event_budget--;
	e = event_new(w, EVENT_REFUSED_SYN);
	if (!e)
		return;
	e->verdict = v->kind;
	e->phase = PHASE_SYN;
	e->reason = v->reason;
	e->listener = j->listener;
	e->client_port = j->src_port;
	memcpy(e->client, j->src.b, sizeof(e->client));
	e->rules[0] = (uint16_t)v->rule;
	e->n_rules = v->rule != 0;
}

static void apply_verdict(struct worker *w, struct syn_judgement *j, const struct verdict *v)
{
	switch ((enum verdict_kind)v->kind) {
	case VERDICT_DROP: j->verdict = SYN_DROP; break;
	case VERDICT_RESET: j->verdict = SYN_RESET; break;
	case VERDICT_TRAP: j->verdict = SYN_TRAP; break;
	case VERDICT_REFUSE:
		j->verdict = SYN_REFUSE;
		j->refuse_class = v->reason == REASON_BANNED ? REFUSE_BANNED : REFUSE_LISTED;
		break;
	case VERDICT_DEFER:
		j->verdict = SYN_REFUSE;
		j->refuse_class = REFUSE_BUSY;
		break;
	default: j->verdict = SYN_GO_ON; break;
	}
	if (v->kind == VERDICT_NONE)
		return;
	count_verdict(w, v->kind, PHASE_SYN);
	if (j->verdict == SYN_GO_ON)
		return;
	count_reason(w, v->reason);
	syn_event(w, j, v);
}

/* Rules that ended a connection before it began; most of a burst mostly meet the same one. */
static void count_syn_hits(
    struct worker *w, const struct syn_judgement *syns, const struct verdict *verdicts, unsigned n)
{
	unsigned rule = 0, hits = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned one = syns[i].verdict == SYN_GO_ON ? 0 : verdicts[i].rule;

		if (one != rule && hits) {
			w->stats->rules[rule].hits += hits;
			hits = 0;
		}
		rule = one;
		hits += one != 0;
	}
	if (hits)
		w->stats->rules[rule].hits += hits;
}

/* The last rung: who is neither trusted nor known to send mail is told to come back, without state. */
static void turn_away_strangers(
    struct worker *w, const uint8_t (*clients)[16], unsigned n, struct verdict *verdicts)
{
	for (unsigned i = 0; i < n; i++)
		if (verdicts[i].kind == VERDICT_NONE && !sources_good(w->sources, clients[i]))
			verdicts[i] = (struct verdict){
				.kind = VERDICT_DEFER,
				.phase = PHASE_SYN,
				.reason = REASON_OVERLOAD,
			};
}

static void judge_syns(void *arg, struct syn_judgement *syns, unsigned n)
{
	struct worker *w = arg;
	uint8_t clients[SYN_BURST][16];
	struct verdict verdicts[SYN_BURST];

	for (unsigned at = 0; at < n; at += SYN_BURST) {
		unsigned k = n - at < SYN_BURST ? n - at : SYN_BURST;

		if (w->ceded) {
			for (unsigned i = 0; i < k; i++)
				syns[at + i].verdict = SYN_DROP;
			continue;
		}
		if (w->draining) { /* another MX is asked at once */
			for (unsigned i = 0; i < k; i++)
				syns[at + i].verdict = SYN_RESET;
			continue;
		}
		if (w->pass_all) { /* what the lists would have done is noted at CONNECT */
			for (unsigned i = 0; i < k; i++)
				syns[at + i].verdict = SYN_GO_ON;
			continue;
		}
		for (unsigned i = 0; i < k; i++)
			memcpy(clients[i], syns[at + i].src.b, 16);
		policy_judge_syns(w->policy, (const uint8_t(*)[16])clients, k,
		    (uint32_t)(w->now_ns / 1000000000u), verdicts);
		if (w->overload_rung == OVERLOAD_RUNGS - 1)
			turn_away_strangers(w, (const uint8_t(*)[16])clients, k, verdicts);
		for (unsigned i = 0; i < k; i++)
			apply_verdict(w, &syns[at + i], &verdicts[i]);
		count_syn_hits(w, &syns[at], verdicts, k);
	}
}

static bool frame_alloc(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct worker *w = arg;

	return w->host.frame_alloc(w->host.arg, port, ret_frame);
}

/* ---- texts of the stack ---- */

static void set_refusal(struct worker *w, unsigned refuse_class, unsigned code, enum reason reason)
{
	char buf[REPLY_MAX];
	struct reply_token token = {
		.key = w->config.token_key,
		.epoch = w->epoch,
		.now_ns = w->now_ns,
		.session = 0, /* refused without state */
		.url = policy_string(w->policy, w->set->smtp.contact_url),
	};
	size_t n = reply_reason(buf, code, reason, &token);

	if (n > STACK_REFUSE_TEXT_MAX) {
		token.url = "";
		n = reply_reason(buf, code, reason, &token);
	}
	stack_set_refusal(w->stack, refuse_class, buf, n);
}

static void set_texts(struct worker *w)
{
	uint64_t minute = w->now_ns / 60000000000ull;

	if (minute == w->minute)
		return;
	w->minute = minute;
	set_refusal(w, REFUSE_LISTED, 521, REASON_LISTED);
	set_refusal(w, REFUSE_BUSY, 421, REASON_OVERLOAD);
	set_refusal(w, REFUSE_BANNED, 521, REASON_BANNED);
}

_Static_assert((int)STATS_PACES == (int)TARPIT_PACES && (int)STATS_AGES == (int)TARPIT_AGES &&
		   (int)STATS_CLASSES == POLICY_MAX_CLASSES + 1,
    "one table");

static void policy_changed(struct worker *w)
{
	int n = snprintf(w->tarpit_text, sizeof(w->tarpit_text), "220-%.255s\r\n", smtp_hostname(w));

	w->epoch = policy_epoch(w->policy);
	w->minute = UINT64_MAX;
	for (unsigned i = 0; i < STATS_CLASSES; i++) /* one text; its number is the class */
		stack_set_tarpit_text(w->stack, i, w->tarpit_text, (size_t)n);
	stack_set_refused_hold(w->stack, w->set->shape.refusal_s);
	backends_update(w);
	scans_update(w);
}

/* ---- life ---- */

static void turn_begins(
    struct worker *w, const struct policy *policy, uint64_t now_ns, struct worker_out *out)
{
	const _Atomic uint32_t *pass_all_until_s = w->config.shared.pass_all_until_s;

	w->policy = policy;
	w->set = policy_settings(policy);
	w->out = out;
	w->now_ns = now_ns;
	w->pass_all =
	    pass_all_until_s &&
	    now_ns < atomic_load_explicit(pass_all_until_s, memory_order_relaxed) * 1000000000ull;
}

static void turn_ends(struct worker *w)
{
	w->policy = NULL;
	w->set = NULL;
	w->out = NULL;
}

int worker_new(const struct worker_config *config, const struct stack_host *host,
    struct stats_worker *stats, const struct policy *policy, uint64_t now_ns,
    struct worker **ret_worker)
{
	struct stack_host own = { .frame_alloc = frame_alloc,
		.judge_syns = judge_syns,
		.refused_text = session_refused_text };
	struct worker *w = calloc(1, sizeof(*w));
	uint32_t max_conns = config->stack.max_conns ? config->stack.max_conns : 65536;
	int r = -ENOMEM;

	if (!w)
		return -ENOMEM;
	w->config = *config;
	w->host = *host;
	w->stats = stats;
	w->counters = stats->counters + STATS_AT_BRAIN;
	TAILQ_INIT(&w->run);
	TAILQ_INIT(&w->inspected);
	LIST_INIT(&w->all);
	LIST_INIT(&w->all_relays);
	LIST_INIT(&w->dead);
	if (!w->config.max_sessions)
		w->config.max_sessions = max_conns / 2;
	if (!w->config.window_bytes)
		w->config.window_bytes = 64u << 20;
	if (!w->config.source_entries)
		w->config.source_entries = 65536;
	if (!w->config.n_workers)
		w->config.n_workers = 1;
	r = pool_init(&w->sessions, sizeof(struct session), w->config.max_sessions);
	if (r < 0)
		goto fail;
	/* every session may have one, and health checks and connections being closed theirs */
	r = pool_init(&w->relays, sizeof(struct relay), w->config.max_sessions + POLICY_MAX_SERVERS);
	if (r < 0)
		goto fail;
	r = sketches_init(w);
	if (r < 0)
		goto fail;
	r = pool_init(&w->asked, sizeof(struct asked), ASKED_POOL);
	if (r < 0)
		goto fail;
	r = pool_init(&w->holds, hold_size(), w->config.max_sessions + w->config.max_sessions / 2);
	if (r < 0)
		goto fail;
	r = window_pool_init(&w->windows, w->config.window_bytes);
	if (r < 0)
		goto fail;
	r = ask_new(ASK_CAPACITY, &w->ask);
	if (r < 0)
		goto fail;
	r = confirms_init(&w->confirms);
	if (r < 0)
		goto fail;
	r = backends_new(w, &w->backends);
	if (r < 0)
		goto fail;
	r = -ENOMEM;
	w->sources = sources_new(w->config.source_entries, config->stack.secrets.hash_key);
	if (!w->sources)
		goto fail;
	own.arg = w;
	r = stack_new(&w->config.stack, &own, stats->counters + STATS_AT_STACK, now_ns, &w->stack);
	if (r < 0)
		goto fail;
	stack_set_tarpit_ages(w->stack, stats->gave_up, STATS_CLASSES);
	turn_begins(w, policy, now_ns, NULL);
	policy_changed(w);
	set_texts(w);
	turn_ends(w);
	*ret_worker = w;
	return 0;
fail:
	worker_free(w);
	return r;
}

struct worker *worker_free(struct worker *w)
{
	if (!w)
		return NULL;
	stack_free(w->stack);
	sources_free(w->sources);
	backends_free(w->backends);
	confirms_fini(&w->confirms);
	ask_free(w->ask);
	window_pool_fini(&w->windows);
	sketches_fini(w);
	pool_fini(&w->holds);
	pool_fini(&w->asked);
	pool_fini(&w->relays);
	pool_fini(&w->sessions);
	free(w);
	return NULL;
}

/* ---- the turn ---- */

static void dispatch(struct worker *w, struct tcp_conn *conn, unsigned events)
{
	const uint8_t *owner = tcp_user(conn);

	if (!owner && (events & TCP_EV_OPEN))
		session_accept(w, conn, events);
	else if (!owner)
		tcp_abort(w->stack, conn);
	else if (*owner == OWNER_SESSION)
		session_event(w, tcp_user(conn), events);
	else
		relay_event(w, tcp_user(conn), events);
}

static void run_ready(struct worker *w)
{
	struct tcp_conn *conn;
	unsigned events;

	while (w->work > 0 && (conn = stack_next_ready(w->stack, &events))) {
		work_done(w, WORK_RUN);
		dispatch(w, conn, events);
	}
	if (w->work <= 0)
		w->out->busy = true;
}

static void run_sessions(struct worker *w)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&w->run))) {
		TAILQ_REMOVE(&w->run, s, run);
		s->queued = false;
		work_done(w, WORK_RUN);
		session_run(w, s);
		if (w->work <= 0) /* one at least */
			break;
	}
	if (!TAILQ_EMPTY(&w->run))
		w->out->busy = true;
}

static void take_answers(struct worker *w, const struct answer *answers, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (answers[i].kind == QUESTION_CONFIRM)
			confirm_answered(w, answers[i].id);
		else
			inquire_answer(w, &answers[i]);
	}
}

/* Everyone looks at w->draining once; those past 354 go on (P10). */
static void tell_drain(struct worker *w)
{
	struct session *s;

	w->drain_told = true;
	LIST_FOREACH(s, &w->all, all)
	session_wake(w, s);
	relays_drain(w);
}

static void set_gauges(struct worker *w)
{
	struct stack_usage u;

	if (w->now_ns < w->gauges_ns)
		return;
	w->gauges_ns = w->now_ns + GAUGES_NS;
	stack_usage(w->stack, &u);
	w->counters[BRAIN_sessions] = w->sessions.used;
	w->counters[BRAIN_relays] = w->relays.used;
	w->counters[BRAIN_window_bytes] = (uint64_t)w->windows.extents.used * EXTENT_SIZE;
	w->counters[BRAIN_connections] = u.conns;
	w->counters[BRAIN_timewait] = u.timewait;
	w->counters[BRAIN_tarpit_held] = u.tarpit;
	w->counters[BRAIN_chunks_used] = u.chunks_used;
	w->counters[BRAIN_neighbours] = u.neigh;
	backends_stats(w);
	const struct overload_table tables[] = {
		{ w->sessions.used, w->config.max_sessions },
		{ u.conns, w->config.stack.max_conns },
		{ u.chunks_used, u.chunks_max },
		{ w->windows.extents.used, w->windows.extents.total },
	};
	w->overload_rung =
	    (uint8_t)overload_rung(w->overload_rung, tables, sizeof(tables) / sizeof(tables[0]));
	w->counters[BRAIN_overload_rung] = w->overload_rung;
}

void worker_turn(struct worker *w, const struct policy *policy, struct frame *frames,
    unsigned n_frames, const struct answer *answers, unsigned n_answers, uint64_t now_ns,
    struct worker_out *out)
{
	uint32_t work = out->work ? out->work : WORKER_WORK;
	unsigned timers;

	out->busy = false;
	w->work = work / 2;
	turn_begins(w, policy, now_ns, out);
	if (policy_epoch(policy) != w->epoch)
		policy_changed(w);
	set_texts(w);
	stack_input(w->stack, frames, n_frames, now_ns, &out->frames);
	take_answers(w, answers, n_answers);
	inquire_due(w);
	confirms_due(w);
	run_ready(w);
	timers = stack_timers_run(w->stack, now_ns, TIMERS_PER_TURN, w);
	work_done(w, timers * WORK_RUN);
	if (timers == TIMERS_PER_TURN)
		out->busy = true;
	backends_turn(w);
	if (w->draining && !w->drain_told)
		tell_drain(w);
	w->work += work - work / 2;
	run_sessions(w);
	scans_walk(w);
	relays_bury(w);
	stack_output(w->stack, now_ns, &out->frames);
	set_gauges(w);
	out->worked = (uint32_t)((int64_t)work - w->work);
	turn_ends(w);
}

uint64_t worker_next_deadline(const struct worker *w)
{
	uint64_t stack = stack_next_deadline(w->stack), backends = backends_next_deadline(w);
	uint64_t confirms = confirms_next_deadline(&w->confirms);

	if (!TAILQ_EMPTY(&w->run) || (w->draining && !w->drain_told))
		return 0;
	if (backends < stack)
		stack = backends;
	if (confirms < stack)
		stack = confirms;
	return ask_next_deadline(w->ask) < stack ? ask_next_deadline(w->ask) : stack;
}

void worker_drain(struct worker *w)
{
	w->draining = true;
}

void worker_share(struct worker *w, enum stack_sharing how)
{
	w->ceded = how == STACK_CEDED;
	stack_share(w->stack, how);
}

bool worker_is_idle(const struct worker *w)
{
	return w->draining && w->drain_told && w->sessions.used == 0 && w->relays.used == 0;
}

void worker_backend_drain(struct worker *w, unsigned server, bool drain)
{
	backends_drain_server(w, server, drain);
}

struct stack *worker_stack(struct worker *w)
{
	return w->stack;
}
