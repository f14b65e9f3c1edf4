/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model clients: honest mail clients on a model host, many at once. Each sends the messages of its
 * plan in one session and reports what became of every one. No clock, no chance of its own.
 */
#ifndef POSTERN_DATAPLANE_MODEL_CLIENT_H
#define POSTERN_DATAPLANE_MODEL_CLIENT_H

#include "model_host.h"
#include "model_mail.h"

enum model_outcome {
	MODEL_ACCEPTED, /* 250 after the final dot */
	MODEL_DEFERRED, /* 4yz somewhere, or the connection was lost before the final dot was sent */
	MODEL_REFUSED,  /* 5yz somewhere */
	MODEL_UNKNOWN,  /* lost after the final dot and before its answer: may be either */
};

struct model_plan {
	struct ip_addr src, dst;
	uint16_t port;
	bool pipelining; /* MAIL, RCPT and DATA in one write when EHLO offers it */
	bool quit;       /* else the connection is just closed after the last message */
	uint16_t rcpts;  /* per message, at least 1 */
	uint32_t messages;
	size_t body_len;
	uint64_t first_id;        /* ids are first_id, first_id + 1, ... */
	const char *domain;       /* of the recipients; static */
	uint64_t abort_after_dot; /* != 0: RST right after the dot of the message of this id */
};

struct model_clients;

struct model_clients_config {
	unsigned max; /* sessions at once */
	void *arg;
	/* Called once per message of a plan, in order. `code` is the reply that decided, 0: none. */
	void (*on_outcome)(void *arg, uint64_t id, enum model_outcome outcome, unsigned code);
	/* Called when the session is over; may be NULL. */
	void (*on_end)(void *arg, const struct model_plan *plan, unsigned last_code);
};

struct model_clients *model_clients_new(
    struct model_host *host, const struct model_clients_config *config);
struct model_clients *model_clients_free(struct model_clients *mc);

/* Opens one more session; -EBUSY: `max` are open; else as tcp_connect(). */
int model_clients_start(struct model_clients *mc, const struct model_plan *plan, uint64_t now_ns);
/* Serves every connection that is ready; between model_host_input() and _output(). */
void model_clients_turn(struct model_clients *mc, uint64_t now_ns);
/* Resets all that are open; their messages have their outcomes. For clients that wait for ever, as
 * one does whose handshake ended in a lost ACK (real ones wait five minutes for the greeting). */
void model_clients_give_up(struct model_clients *mc);
unsigned model_clients_open(const struct model_clients *mc);

#endif
