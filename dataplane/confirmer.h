/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that works at confirmation jobs (confirm.h) in the live shell: PCRE2 backtracks, so it
 * runs off the workers' cores, one message at a time, the workers' rings in turn. A job is worked at
 * until its message stops waiting, and for a quarter of that time at most, so that one hostile message
 * does not make others late; what is late already is only given back. Answers and jobs travel in rings
 * of one producer and one consumer as long as a worker has jobs, so none is ever full.
 */
#ifndef POSTERN_DATAPLANE_CONFIRMER_H
#define POSTERN_DATAPLANE_CONFIRMER_H

#include "worker.h"

enum { CONFIRMER_TELL_S = 60 };

struct confirmer_config {
	unsigned n_workers;
	uint64_t (*now_ns)(void);                 /* as jobs' deadlines are counted */
	void (*wake)(void *arg, unsigned worker); /* an answer is there; the thread calls */
	/* An expression was given up at a bound: its rule, once in CONFIRMER_TELL_S at most. */
	void (*costly)(void *arg, const char *rule);
	void *arg;
};

struct confirmer;

int confirmer_new(const struct confirmer_config *config, struct confirmer **ret_confirmer);
/* Ends the thread, whatever it is at. The workers have ended. NULL is allowed; returns NULL. */
struct confirmer *confirmer_free(struct confirmer *c);

/* ---- a worker's thread ---- */

void confirmer_ask(struct confirmer *c, unsigned worker, const struct question *question);
/* Returns how many of `capacity` answers were there. */
unsigned confirmer_answers(
    struct confirmer *c, unsigned worker, struct answer *ret_answers, unsigned capacity);

#endif
