/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a recipient goes: the pool that serves its domain, or the outbound pool, if the relay matrix
 * lets this source and sender do so. Pure over policy and facts: the worker asks at RCPT, the
 * self-test of the relay rules asks the running policy the same.
 */
#ifndef POSTERN_DATAPLANE_ROUTE_H
#define POSTERN_DATAPLANE_ROUTE_H

#include "smtp.h"

#include "filters/policy.h"
#include "filters/relay.h"

struct route {
	enum relay_action action;
	enum relay_source source;
	enum relay_sender sender; /* OTHER where the matrix has no use for it */
	enum relay_recipient recipient;
	unsigned pool, tenant; /* with ACCEPT */
};

/* facts: client, host_name, mail, now_s. Every host the mail could be relayed through must be
 * served (P15): a path with a hidden one that is not is refused whoever asks. */
void route_recipient(const struct policy *p, const struct facts *facts,
    const struct smtp_path *path, struct route *ret_route);

#endif
