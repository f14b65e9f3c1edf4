/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the brain (private): the worker that ties sessions, relays and backends together.
 *
 *	worker.c     the turn; SYN judgement; refusal texts; dispatch of ready connections
 *	session.c    a client's connection: greeting, lines, time-outs, closing
 *	commands.c   the command table: check, filters, proceed
 *	body.c       DATA and BDAT: window, streaming, final word
 *	relay.c      the conversation with a backend
 *	confirm.c    candidates of patterns, on their way to PCRE2
 *	backend.c    pools, servers, choice, limits, wait queues, health
 *
 * No re-entrancy: a relay never runs a session nor a session a relay. Each changes its own state,
 * writes what it has to, and wakes the other (session_wake), which runs from the worker's loop.
 *
 * policy, settings and out are lent for one turn and NULL between turns.
 */
#ifndef POSTERN_DATAPLANE_BRAIN_H
#define POSTERN_DATAPLANE_BRAIN_H

#include "ask.h"
#include "asked.h"
#include "confirm.h"
#include "pool.h"
#include "reply.h"
#include "smtp.h"
#include "stats_index.h"
#include "window.h"
#include "worker.h"

#include "filters/greylist.h"
#include "filters/sources.h"

#include <sys/queue.h>

struct session;
struct relay;
struct backends;

TAILQ_HEAD(session_queue, session);
LIST_HEAD(session_list, session);
TAILQ_HEAD(relay_queue, relay);
LIST_HEAD(relay_list, relay);

/* First byte of whatever tcp_user() points to. */
enum owner_kind { OWNER_SESSION = 1, OWNER_RELAY };

enum {
	SCRATCH_IN = 8192, /* body bytes decoded at a time */
	SCRATCH_HEAD =
	    16, /* in front of what is decoded: for bytes held back from the piece before */
	SCRATCH_OUT = SCRATCH_HEAD + 2 * SCRATCH_IN + 8,
	HOSTNAME_MAX = 255,
	ASK_CAPACITY = 4096,
};

/* What things cost of a turn's work (struct worker_out), in bytes of a body that is scanned. */
enum {
	WORK_RUN = 512,       /* a connection's events, a session's run, a timer */
	WORK_JUDGE = 2048,    /* a message's end: what was found against all rules */
	WORK_PIECE_MIN = 512, /* a piece of a body, whatever is left of the turn */
	WORK_COPIED = 8,      /* so many bytes that are only copied cost as one that is scanned */
};

struct worker {
	/* of this turn */
	const struct policy *policy;
	const struct policy_settings *set;
	struct worker_out *out;
	uint64_t now_ns;
	bool pass_all; /* the switch, as read at the turn's begin */
	int64_t work;  /* left of the turn's; at 0 and below everything waits for the next */

	struct stack *stack;
	uint64_t *counters; /* stats->counters + STATS_AT_BRAIN */
	struct stats_worker *stats;
	struct pool sessions, relays, sketches;
	struct pool asked; /* recipients whose answer is due (asked.h) */
	struct pool holds; /* what transactions count as (session_at_once.c) */
	struct window_pool windows;
	struct sources *sources;
	struct ask *ask;
	struct confirms confirms;
	struct backends *backends;
	struct session_queue run;       /* to run in this turn or the next */
	struct session_list all;        /* every session, for the drain */
	struct relay_list all_relays;   /* for changes of policy */
	struct relay_list dead;         /* let go in this turn, given back at its end */
	struct relay_queue inspected;   /* bodies under inspection, oldest first */
	struct greylist_keys grey_keys; /* of the RCPT under hand */
	const struct session *judged;   /* whose verdict stands in `tally` and is not yet noted */
	struct tally tally;
	uint32_t scans_at; /* the walk of scans_update() */
	uint32_t epoch;    /* of the policy last seen */
	uint64_t minute;   /* of the refusal texts */
	bool draining, drain_told;
	uint8_t overload_rung; /* overload.h */
	bool ceded;            /* new clients are a successor's */
	uint16_t session_seq;
	uint32_t syn_event_budget;
	uint64_t syn_event_refill_ns;
	uint64_t gauges_ns;

	struct stack_host host; /* the shell's */
	struct worker_config config;
	char tarpit_text[HOSTNAME_MAX + 16]; /* lent to the stack */
	uint8_t scratch[SCRATCH_OUT];
	uint8_t plain[SCRATCH_OUT]; /* the same piece as the scanner sees it */
};

static inline void brain_count(struct worker *w, enum brain_counter c)
{
	w->counters[c]++;
}

static inline void brain_add(struct worker *w, enum brain_counter c, uint64_t n)
{
	w->counters[c] += n;
}

static inline void work_done(struct worker *w, size_t bytes)
{
	w->work -= (int64_t)bytes;
}

static inline void count_reason(struct worker *w, enum reason reason)
{
	w->stats->counters[STATS_AT_REASON + reason]++;
}

static inline void count_verdict(struct worker *w, enum verdict_kind kind, enum phase phase)
{
	w->stats->counters[STATS_AT_VERDICT + kind * PHASE_N + phase]++;
}

static inline const char *smtp_hostname(const struct worker *w)
{
	return policy_string(w->policy, w->set->smtp.hostname);
}

/* A place for one note, NULL where nobody listens to its kind or the turn's array is full (counted).
 * Cleared, kind, worker and time set. */
struct note *note_new(struct worker *w, enum note_kind kind);

/* A place for one event; NULL (counted) when the turn's array is full. Cleared, kind, worker,
 * time and epoch set. */
struct event *event_new(struct worker *w, enum event_kind kind);

#endif
