/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * postern-manager: compiles the configuration, hands it to the dataplane, serves the control
 * socket. One thread on one epoll; no DPDK, no root. The dataplane runs without it: whatever fails
 * here, the last committed policy stays in force.
 *
 * manager.c turns the loop, manager_policy.c commits and hands over, manager_methods.c serves
 * what methods_*.c list.
 */
#ifndef POSTERN_CONTROL_MANAGER_H
#define POSTERN_CONTROL_MANAGER_H

#include "compile.h"
#include "link.h"
#include "roles.h"
#include "server.h"

#include <jansson.h>

enum {
	MANAGER_MAX_CALLS = 64, /* requests that wait for the dataplane */
	MANAGER_ASK_MS = 5000,
	MANAGER_LOAD_MS = 60000,
};

struct manager_options {
	const char *config; /* absolute */
	const char *run, *state;
	struct roles roles;
};

struct manager;
struct method;

/* A request of a client that has not been answered yet. */
struct call {
	const struct method *method; /* NULL: free */
	server_client client;
	enum role role;
	uint32_t uid;
	json_t *id;                                                /* NULL: a notification */
	json_t *params;                                            /* NULL: none */
	void (*done)(struct manager *m, int call, json_t *result); /* methods.h: forward_done */
};

struct manager {
	const struct manager_options *options;
	int epoll_fd, signal_fd, lock_fd;
	struct server *server;
	struct link link;
	uint64_t now_ms;
	bool stop, failed; /* failed: ends with 1 */
	bool starting;     /* the configuration has not been read for the first time yet */
	uint64_t started_ms;
	struct call calls[MANAGER_MAX_CALLS];

	/* policy */
	struct image *current;   /* committed; NULL: none yet */
	struct image *candidate; /* on its way to the dataplane, not committed; NULL: none */
	bool handing_over;       /* a policy.load is under way: of candidate, else of current */
	bool resent;             /* ... and carries every part, since one was missed */
	int load_call;           /* who asked for the candidate; -1: nobody waits */
	char *problem;           /* why the last load was refused; NULL: it was not */
	bool synced;             /* the dataplane runs `current` */
	json_t *hello;           /* the dataplane's; NULL: not connected */
	json_t *needs_restart;   /* of the last load; NULL: unknown */
};

/* 0 after SIGTERM or SIGINT; 1 with words on stderr when it cannot start. */
int manager_run(const struct manager_options *options);

/* ---- between manager*.c ---- */

__attribute__((format(printf, 1, 2))) void manager_log(const char *format, ...);

/* Of calls[call]; -1: nobody waits. Each call is answered once. They take result and data. */
void manager_reply(struct manager *m, int call, json_t *result);
void manager_fail(struct manager *m, int call, int code, const char *message, json_t *data);
void manager_calls_fini(struct manager *m);

/* At start: the last committed image, then the configuration, as soon as the dataplane has greeted
 * or is known not to be there. Without either the manager stops and fails. */
void manager_policy_start(struct manager *m);
/* Compiles, hands over, commits. call: who is answered, -1 for nobody (the log is told). */
void manager_load(struct manager *m, const char *path, int call);
void manager_link_state(void *arg, bool connected);
void manager_policy_fini(struct manager *m);

bool manager_line(
    void *arg, server_client client, enum role role, uint32_t uid, const char *line, size_t len);

#endif
