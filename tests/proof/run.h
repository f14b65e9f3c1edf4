/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run under way: what its parts share.
 *
 *	run.c      what is due, name service, beginning and end
 *	clients.c  the senders on the wire
 *	served.c   the mail server
 *	told.c     events, and the tokens that clients were given
 *	learn.c    the weeks before
 */
#ifndef POSTERN_TESTS_RUN_H
#define POSTERN_TESTS_RUN_H

#include "proof.h"

#include "dataplane/model_rig.h"
#include "filters/token.h"

enum { CLIENTS = 768, SERVED = 512, DUE_MAX = 16384, LINE = 512, TOKENS = 65536 };

enum due_kind { DUE_TRY, DUE_ANSWER, DUE_THOUGHT, DUE_PATIENCE };

struct due {
	uint64_t at_ns;
	uint32_t kind, index, generation;
	uint64_t order;
};

struct client {
	struct tcp_conn *conn; /* NULL: free */
	uint32_t generation, message;
	enum stage stage;
	bool group; /* commands went out in one write */
	bool again; /* greeted again, with HELO: what clients do whose EHLO was not understood */
	bool stateless;  /* its refusal's token needs no record */
	bool learned;    /* whether some recipient is there */
	uint8_t n_rcpts; /* of this try */
	uint8_t rcpts;   /* answered */
	uint8_t rcpt[RCPTS_MAX];
	uint64_t taken, lost; /* bits of the message's recipients */
	unsigned refused;     /* the code that refused all of it, 0: none */
	unsigned number;      /* of the sender's address */
	uint64_t began_ns;
	unsigned n_line;
	char line[LINE];
};

/* The mail server's end of a session. */
struct served {
	struct tcp_conn *conn;
	bool body, marked;
	uint32_t message; /* by its Message-ID */
	unsigned n_line;
	char line[LINE];
};

struct told {
	struct token_fields fields;
};
struct seen { /* a session's event */
	uint64_t from_ns, to_ns;
	uint16_t session;
};

struct run {
	struct rig *rig;
	struct policy *policy;
	struct corpus *corpus;
	struct score *score;
	uint64_t seed, start_ns, order;
	struct due heap[DUE_MAX];
	unsigned n_due;
	struct client clients[CLIENTS];
	struct served served[SERVED];
	struct answer answers[CLIENTS * 4];
	unsigned next_answer;
	struct told told[TOKENS];
	struct seen seen[TOKENS];
	unsigned n_told, n_seen;
	bool through[CORPUS_SENDERS]; /* something of the sender's arrived */
	struct stats_file *stats;
};

void run_due(struct run *r, uint64_t at_ns, enum due_kind kind, uint32_t index, uint32_t generation);
/* Below a bound, from the seed and what it is for: what happens elsewhere changes nothing of it. */
uint64_t run_random(const struct run *r, uint64_t what, uint64_t which, uint64_t below);
/* snprintf with a format of the corpus: its one %u becomes the address's number. */
void run_numbered(char *to, size_t size, const char *name, unsigned number);

/* clients.c */
void client_start(struct run *r, uint32_t message);
void client_thought(struct run *r, struct client *c);
void client_lost_patience(struct run *r, struct client *c);
void clients_turn(void *arg);

/* served.c */
void served_turn(void *arg);

/* told.c */
void told_event(void *arg, const struct event *e);
void told_token(struct run *r, struct client *c, const char *line);
void told_resolve(struct run *r);

#endif
