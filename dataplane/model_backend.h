/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model mail server on a model host. It reads a PROXY v2 header where one comes, keeps no
 * message, and tells its owner the id and digest of each, before it answers the final dot. Faults
 * are drawn from one seed: the simulation lives on them.
 */
#ifndef POSTERN_DATAPLANE_MODEL_BACKEND_H
#define POSTERN_DATAPLANE_MODEL_BACKEND_H

#include "model_host.h"
#include "model_mail.h"

/* Chances in 1/1000 of a message, drawn at its final dot or before. */
struct model_faults {
	uint16_t rcpt_refused;     /* 550 5.1.1 to a recipient */
	uint16_t data_deferred;    /* 451 instead of 354 */
	uint16_t dot_deferred;     /* 451 after the dot, nothing kept */
	uint16_t dot_refused;      /* 554 after the dot */
	uint16_t lost_before_dot;  /* RST in the body */
	uint16_t lost_after_dot;   /* RST at the dot, nothing kept */
	uint16_t stored_then_lost; /* kept, then RST instead of 250: the honest window of doubles */
};

struct model_backend;

struct model_backend_config {
	unsigned max; /* connections at once */
	uint64_t seed;
	struct model_faults faults;
	const char *ehlo; /* lines after the first, each "250-WORD\r\n", the last "250 WORD\r\n" */
	void *arg;
	/* A message kept. `client` is from the PROXY header, else the TCP peer. */
	void (*on_message)(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
	    const struct ip_addr *client);
};

struct model_backend *model_backend_new(
    struct model_host *host, const struct model_backend_config *config);
struct model_backend *model_backend_free(struct model_backend *mb);
void model_backend_turn(struct model_backend *mb, uint64_t now_ns);
unsigned model_backend_open(const struct model_backend *mb);

#endif
