/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run of a corpus against one policy: clients, mail server and name service as models around
 * worker_turn() (dataplane/model_rig.h), in virtual time. Frames carry the senders' own addresses.
 */
#ifndef POSTERN_TESTS_PROOF_H
#define POSTERN_TESTS_PROOF_H

#include "corpus.h"

struct policy;

/* How far a connection came: where it was refused, told to come back, or gave up. */
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

/* Sums over seeds. A connection is a try; a message is tried until taken, refused or given up. */
struct score {
	unsigned long tries[N_KINDS][N_STAGES];
	unsigned long messages[N_KINDS], accepted[N_KINDS], refused[N_KINDS], gave_up[N_KINDS];
	unsigned long delayed[N_KINDS], twice[N_KINDS];
	double delay_s[N_KINDS]; /* of the delayed */
	unsigned long harvested; /* addresses that harvesters found */
	double held_s;           /* that hostile connections lasted */
	unsigned long replies;   /* given to them */
	unsigned long tokens, tokens_self, unresolved;
	unsigned long stuck; /* messages without an end */
	bool tell;           /* each session's event line on standard output */
};

/* Plays the corpus of the seed and adds to the score. The rows of the policy's DNS lists are known to
 * the model by their kind. False: the policy or the rig cannot be made. */
bool proof_run(struct policy *policy, struct corpus *corpus, uint64_t seed, struct score *score);

#endif
