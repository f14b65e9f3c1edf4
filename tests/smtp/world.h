/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a conversation happens in: the rig's worker between a host of clients and a host of mail
 * servers, virtual time, a policy made from the file's directives. The mail servers' easy part
 * (greeting, EHLO, QUIT, health checks) is played here; the rest is the file's, or `auto=all`.
 */
#ifndef POSTERN_TESTS_WORLD_H
#define POSTERN_TESTS_WORLD_H

#include "dataplane/model_rig.h"
#include "dataplane/peer.h"
#include "dataplane/script.h"

enum {
	WORLD_CLIENTS = 40,
	WORLD_BACKENDS = 64,
	WORLD_SERVERS = RIG_SERVERS_MAX,
	WORLD_POLICIES = 8,
	WORLD_EVENTS = 256,
};

enum backend_mode {
	BACKEND_EHLO, /* all but greeting, EHLO, RSET, NOOP, XCLIENT and QUIT is the file's */
	BACKEND_ALL,  /* everything is answered well */
	BACKEND_NONE, /* everything is the file's, health checks apart */
};

struct world_server {
	char name[32];
	char ehlo[1024]; /* its reply, after the first line */
	struct ip_addr addr;
	bool dead;    /* nothing listens there */
	bool refuses; /* resets each connection */
	bool proxy;   /* its pool sends PROXY */
};

struct world {
	struct script *script;
	bool v6, settled;
	bool show; /* lines answered by themselves are the file's to check too */
	enum backend_mode mode;
	struct rig *rig;
	struct policy *policies[WORLD_POLICIES];
	struct image_writer *images[WORLD_POLICIES];
	unsigned n_policies;
	struct world_server servers[WORLD_SERVERS];
	unsigned n_servers;
	unsigned client_address[WORLD_CLIENTS]; /* by number of the client: the rig's index */
	struct peer *clients[WORLD_CLIENTS];
	struct peer *backends[WORLD_BACKENDS]; /* in order of arrival, without checks */
	struct peer *checks[WORLD_BACKENDS];
	unsigned n_backends, n_checks;
	struct event events[WORLD_EVENTS];
	bool event_taken[WORLD_EVENTS];
	unsigned n_events;
	char error[256]; /* what the directives did wrong */
};

/* Everything up: addresses proven, servers' words learned. False: w->error says what failed. */
bool world_init(struct world *w, struct script *script, bool v6);
void world_fini(struct world *w);

/* Another policy with the directives' settings changed by "key=value ..."; false: w->error. */
bool world_change(struct world *w, char *settings);

/* Opens client n, from its address. */
bool world_connect(struct world *w, unsigned n);
/* Sends at once what clients and servers have queued. */
void world_kick(struct world *w);
/* Runs until the time is used up or `done` says so. */
bool world_run(struct world *w, uint64_t for_ns, bool (*done)(void *arg), void *arg);
/* A line the file answers: 354 and 220 after STARTTLS change how the server reads on. */
void world_backend_says(struct world *w, struct peer *p, const char *line);

#endif
