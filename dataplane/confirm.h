/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Candidates of patterns with `confirm`, on their way to PCRE2 and back. When a message with
 * candidates is about to be judged, at the window's end or at its own, what the window holds is
 * copied into a job and leaves the turn as a question; the message waits, as RCPT waits for names,
 * until the answer comes with a later turn or patterns.confirm_ms is over. Who works at the job (a
 * service thread in the live shell, the shell itself elsewhere) fills in the candidates' answers.
 *
 *	free -> out (the shell's, until its answer is given to a turn) -> free
 *
 * A job that is out pins the pattern sets it names (pattern_workspace_hold()), whatever becomes of
 * message, session and policy; one whose message has gone on comes back all the same. Bound:
 * CONFIRM_JOBS a worker, taken at start; beyond, and for what the window does not hold any more,
 * candidates count as not hit, counted. (Rejected: to lend the window's own extents, which would
 * have to outlive a client that goes away.)
 */
#ifndef POSTERN_DATAPLANE_CONFIRM_H
#define POSTERN_DATAPLANE_CONFIRM_H

#include "filters/pattern_confirm.h"
#include "filters/policy_patterns.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONFIRM_JOBS = 16,        /* of a worker, out at once */
	CONFIRM_BYTES = 68 << 10, /* of a message: the default window, and what stuffing adds */
	CONFIRM_LINES = 4096,     /* bytes of HELO and envelope */
	CONFIRM_SHARE = 4,        /* one message may have PCRE2 for 1/4 of confirm_ms */
	CONFIRM_STEPS = 10000000, /* of one message, where no clock is asked */
};
_Static_assert((int)CONFIRM_CANDIDATES == (int)PATTERN_MAX_CONFIRM * (int)POLICY_PATTERN_SETS,
    "both sets' candidates find room");

struct worker;
struct session;
struct relay;
struct scan;

struct confirm_job {
	/* the brain's */
	uint64_t id;         /* generation and place */
	struct relay *asker; /* NULL: nobody waits for it any more */
	struct pattern_workspace *held[POLICY_PATTERN_SETS];
	struct confirm_job *next; /* free */
	/* what is asked, and whose it is while the job is out */
	uint64_t deadline_ns, most_ns; /* of work at it */
	struct confirm_message message;
	unsigned n;
	struct confirm_candidate candidates[CONFIRM_CANDIDATES];
	uint8_t lines[CONFIRM_LINES];
	uint8_t bytes[CONFIRM_BYTES];
};

struct confirms {
	struct confirm_job *jobs, *free;
	unsigned n_waiting; /* jobs with an asker */
};

int confirms_init(struct confirms *c); /* -ENOMEM */
void confirms_fini(struct confirms *c);
uint64_t confirms_next_deadline(const struct confirms *c);
void confirms_due(struct worker *w);
void confirm_answered(struct worker *w, uint64_t id);

/* The message is about to be judged: asks where there is something to ask. True: it waits. */
bool confirm_waits(struct worker *w, struct session *s, bool whole);
/* A line that holds a candidate. */
void confirm_keep_line(
    struct worker *w, struct scan *scan, enum pattern_zone zone, const void *text, size_t len);
/* The scan ends; whatever is out comes back later. */
void confirm_forget(struct worker *w, struct relay *r);

/* For shells without a thread for it: answers in the caller's, the same for the same job. */
void confirm_work(struct confirm_job *job, struct confirm_reader *reader);

#endif
