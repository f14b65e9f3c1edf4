/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run of a corpus against one policy: clients, mail server and name service as models around
 * worker_turn() (dataplane/model_rig.h), in virtual time. Frames carry the senders' own addresses;
 * greylist, memory of sources and automatic bans hear the worker's notes as in the live shell.
 */
#ifndef POSTERN_TESTS_PROOF_H
#define POSTERN_TESTS_PROOF_H

#include "corpus.h"

#include <stddef.h>

struct overlay;
struct policy;

/* How far a connection came: where it was refused, told to come back, or gave up. Who looks for
 * addresses came through (ACCEPTED) once the mail server said of one whether it is there. */
enum stage {
	STAGE_SYN, /* 521 without state, or no connection */
	STAGE_CONNECT,
	STAGE_HELO,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_BODY,
	STAGE_ACCEPTED,
	N_STAGES
};

enum { SCORE_RULES = 64, PROOF_MEMORY = 8192 /* sources remembered in a run */ };

/* Sums over seeds. A connection is a try; a message is tried until taken, refused or given up. */
struct score {
	unsigned long tries[N_KINDS][N_STAGES];
	unsigned long messages[N_KINDS];
	unsigned long arrived[N_KINDS]; /* hostile: to anybody; honest: to all that are there */
	unsigned long copies[N_KINDS];  /* recipients that got one */
	unsigned long refused[N_KINDS], gave_up[N_KINDS]; /* for somebody that is there */
	unsigned long delayed[N_KINDS], twice[N_KINDS], marked[N_KINDS];
	double delay_s[N_KINDS]; /* of the delayed */
	unsigned long senders[N_KINDS],
	    through[N_KINDS];    /* senders, and those with something arrived */
	unsigned long harvested; /* addresses that harvesters found */
	unsigned long unknown;   /* recipients asked of the mail server in vain */
	double held_s;           /* that hostile connections lasted */
	unsigned long replies;   /* given to them */
	unsigned long bans, alarms;
	unsigned long tokens, tokens_self, unresolved;
	unsigned long stuck;                 /* messages without an end */
	unsigned long refusing[SCORE_RULES]; /* rules that hit in refused sessions of honest senders */
	bool tell;                           /* each session's event line on standard output */
};

/* What the memory of sources has learned in twelve weeks with bursts of corpus_weekly. */
struct learned {
	void *snapshot;
	size_t len;
};
bool proof_learn(const struct policy *policy, struct learned *ret_learned);
void proof_forget(struct learned *learned);

struct proof {
	struct policy *policy; /* its overlay is attached, and its run's own */
	struct overlay *overlay;
	const struct learned *learned;
	const struct corpus_options *options;
	uint64_t seed;
};

/* Plays the corpus of the seed and adds to the score. The rows of the policy's DNS lists are known to
 * the model by their kind. False: the rig cannot be made. */
bool proof_run(const struct proof *proof, struct corpus *corpus, struct score *score);

#endif
