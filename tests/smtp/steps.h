/* SPDX-License-Identifier: BSD-3-Clause */
/* One conversation under way: its world, the step it is at, and the first thing that went wrong. */
#ifndef POSTERN_TESTS_STEPS_H
#define POSTERN_TESTS_STEPS_H

#include "world.h"

enum {
	WAIT_MS = 3000, /* for a line that is expected */
	QUIET_MS = 400, /* for what is not to come */
	TRACE = 12,     /* lines of conversation shown of a failure */
	TRACE_LEN = 140,
};

struct run {
	struct world w;
	const struct script_line *step;
	bool verbose, failed;
	uint64_t began_ns;
	char trace[TRACE][TRACE_LEN];
	unsigned n_trace;
	unsigned reply_from[WORLD_CLIENTS], reply_to[WORLD_CLIENTS]; /* the last whole reply read */
	/* what world_run() waits for */
	struct peer *peer;
	unsigned want_backends;
};

/* Says what is wrong, with the last lines of the conversation; only the first call counts. */
__attribute__((format(printf, 2, 3))) void run_fail(struct run *r, const char *format, ...);
__attribute__((format(printf, 2, 3))) void run_trace(struct run *r, const char *format, ...);

/* ---- expect.c: waiting and comparing ---- */

bool wait_ms(struct run *r, uint64_t ms, bool (*done)(void *arg));
bool never(void *arg);
bool has_ended(void *arg); /* r->peer */
bool is_open(void *arg);   /* r->peer */
/* The next line from a peer, waited for; NULL: none came. */
const struct peer_line *next_line(struct run *r, struct peer *p);
/* Backend connection n in order of arrival, 0: the latest; waited for. NULL: failed. */
struct peer *backend_number(struct run *r, unsigned n);
void expect_line(struct run *r, struct peer *p, const char *pattern);
/* One whole reply, of one code, whose last line matches. */
void expect_reply(struct run *r, struct peer *p, const char *pattern);
/* Whether the last whole reply has a line that says `word` after its code. */
void expect_word(struct run *r, struct peer *p, const char *word, bool wanted);
void expect_event(struct run *r, char *text);
/* "NAME N": of the worker. */
void expect_counter(struct run *r, char *text);
/* Every reply was expected, and every line at a backend that the file serves itself. */
void expect_nothing_left(struct run *r);

/* ---- steps.c ---- */

void run_step(struct run *r, const struct script_line *l);

#endif
