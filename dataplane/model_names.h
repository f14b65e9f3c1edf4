/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Name service as a model: what it says of one client becomes the answer to any question about it. For
 * shells whose clients are made up, which say when the answer comes (model_rig.h: rig_answer()).
 */
#ifndef POSTERN_DATAPLANE_MODEL_NAMES_H
#define POSTERN_DATAPLANE_MODEL_NAMES_H

#include "worker.h"

struct model_names {
	uint32_t listed;       /* rows of the policy's DNS lists that name the client, a bit each */
	uint8_t host, sender;  /* enum answer_status */
	uint8_t spf;           /* enum fact_spf; 0 as none */
	uint8_t org;           /* where in host_name the organisation begins */
	bool is_mx;            /* of the sender's domain */
	const char *host_name; /* where host is ANSWER_FOUND */
	const char *pool;      /* the domain that SPF authorised; may be NULL */
};

void model_names_answer(
    const struct model_names *names, const struct question *question, struct answer *ret_answer);

#endif
