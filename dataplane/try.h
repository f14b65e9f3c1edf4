/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * postern-try: a conversation file against a candidate policy, in a process of its own. The brain
 * between our own TCP at the clients' end and model mail servers that accept everything; time is
 * virtual, nothing leaves the process.
 *
 *	try.c         options, what is printed
 *	try_policy.c  from a configuration to a policy, through postern-compile
 *	try_steps.c   what the lines of a script do
 *
 * The format is that of our own conversation tests, less what only they need. (Rejected: asking the
 * running appliance, which a wrong script could hurt and which has no candidate policy.)
 */
#ifndef POSTERN_DATAPLANE_TRY_H
#define POSTERN_DATAPLANE_TRY_H

#include "model_names.h"
#include "model_rig.h"
#include "peer.h"
#include "script.h"

#include <jansson.h>

enum {
	TRY_CLIENTS = 32,
	TRY_WAIT_MS = 60000, /* for a line that is expected */
	TRY_QUIET_MS = 1000, /* for what is not to come */
	TRY_BODY_MAX = 512 * 1024,
	TRY_EVENTS = 256,
	TRY_LISTS = 32,
};

struct
try {
	struct rig *rig;
	struct policy *policy;
	const struct script *script;
	const struct script_line *step;
	uint64_t began_ns;
	struct peer *clients[TRY_CLIENTS];
	struct ip_addr address[TRY_CLIENTS], far[TRY_CLIENTS];
	struct peer *waited; /* for world_run's question */
	struct event events[TRY_EVENTS];
	bool event_taken[TRY_EVENTS];
	unsigned n_events;
	/* what name service says of every client, by the lines N */
	struct model_names names;
	char host_name[256];
	bool json, failed;
	char failure[600];
	unsigned failed_line;
	json_t *lines; /* told so far */
};

/* Reads the directives, before there is a rig; returns how many of t->far are to be routed. */
unsigned try_prepare(struct try *t);
/* Runs the script. False: t->failure says what was otherwise, at t->failed_line. */
bool try_run(struct try *t);
void try_fini(struct try *t); /* the clients */

/* rig_config's, with struct try */
void try_clients_turn(void *arg);
void try_answer(void *arg, const struct question *question);
void try_on_event(void *arg, const struct event *e);

const char *try_rule(const struct try *t, unsigned hit);

/* Compiles `config` into an image beside others in `folder` (made, and to be removed by
 * try_compile_done()). 0; else the exit code, with words told. */
struct try_compiled {
	char folder[64], image[80];
};
int try_compile(const char *config, bool json, struct try_compiled *ret_compiled);
void try_compile_done(const struct try_compiled *compiled);

#endif
