/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * postern-manager: compiles the configuration, hands it to the dataplane, serves the control
 * socket. One thread on one epoll, and one beside it for what takes long (job.h); no DPDK, no root.
 * The dataplane runs without it: whatever fails here, the last committed policy stays in force.
 *
 * manager.c turns the loop; manager_load.c makes a configuration the policy, manager_policy.c hands
 * it over; manager_methods.c serves what methods_*.c list, manager_changes.c remembers how to take
 * it back; manager_watch.c looks after files and settings whose time is up.
 */
#ifndef POSTERN_CONTROL_MANAGER_H
#define POSTERN_CONTROL_MANAGER_H

#include "audit.h"
#include "compile.h"
#include "job.h"
#include "link.h"
#include "roles.h"
#include "server.h"

#include <jansson.h>

enum {
	MANAGER_MAX_CALLS = 64, /* requests that have not been answered yet */
	MANAGER_ASK_MS = 5000,
	MANAGER_LOAD_MS = 60000,
	MANAGER_USER_MAX = 64,
	MANAGER_WATCH_MS = 2000, /* between two looks at the files */
	MANAGER_UNDO_MAX = 64, /* changes that can be taken back; beyond, the oldest are forgotten */
	MANAGER_ALARMS_MAX = 64, /* beyond: the newest are counted alone */
	MANAGER_MAX_TRANSACTIONS = 8,
	MANAGER_MAX_STEPS = 64, /* changes in one transaction */
};

struct manager_options {
	const char *config; /* absolute */
	const char *run, *state;
	const char *metrics; /* where they are served; NULL: nowhere */
	struct roles roles;
};

struct manager;
struct method;
struct load;

/* What an internal call came to: a result, or NULL and a failure. Takes nothing over. */
typedef void call_then(struct manager *m, void *ctx, json_t *result, int code, const char *message,
    const json_t *data);

/* A request that has not been answered yet. */
struct call {
	const struct method *method; /* NULL: free */
	server_client client;
	enum role role;
	uint32_t uid;
	json_t *id;                                                /* NULL: a notification */
	json_t *params;                                            /* NULL: none */
	void (*done)(struct manager *m, int call, json_t *result); /* methods.h: forward_done */
	call_then *then; /* of a step of ours: nobody else waits */
	void *ctx;
};

struct transaction {
	bool open;
	server_client client;
	json_t *steps; /* [{"method","params"}] */
};

struct source {
	char *path; /* of the file it came from: list files are beside it */
	char *text;
	size_t len;
};

struct manager {
	const struct manager_options *options;
	int epoll_fd, signal_fd, lock_fd;
	struct server *server;
	struct link link;
	struct jobs *jobs;
	struct streams *streams;
	uint64_t keep_ms;  /* next look after the event log */
	bool keeping;      /* ... is under way */
	char *events_path; /* of the event log, as last told; NULL: not yet */
	uint64_t now_ms;
	bool stop, failed; /* failed: ends with 1 */
	bool starting;     /* the configuration has not been read for the first time yet */
	uint64_t started_ms;
	struct call calls[MANAGER_MAX_CALLS];
	struct audit audit;

	/* policy */
	struct image *current; /* committed; NULL: none yet */
	struct source source;  /* what it was made from; text NULL: not known */
	json_t *overrides;     /* settings laid over it (override.h) */
	json_t *row;           /* its row of history; NULL: none */
	struct load *load;     /* on its way, not committed; NULL: none */
	bool handing_over;     /* a policy.load is under way: of load, else of current */
	bool resent;           /* ... and carries every part, since one was missed */
	char *problem;         /* why the last load was refused; NULL: it was not */
	bool synced;           /* the dataplane runs `current` */
	json_t *hello;         /* the dataplane's; NULL: not connected */
	json_t *needs_restart; /* of the last load; NULL: unknown */

	/* files and settings over time */
	uint64_t watch_ms;      /* next look */
	json_t *seen, *settled; /* stamps of the files: at the last look, of what is compiled */
	json_t *refused;        /* stamps that were compiled and refused */

	/* changes */
	json_t *undo; /* [{"id","time","user","role","text","steps":[...]}], the newest last */
	json_int_t next_id;
	json_t *alarms; /* [{"id","kind","text","since","count"}] */
	struct transaction transactions[MANAGER_MAX_TRANSACTIONS];
};

/* 0 after SIGTERM or SIGINT; 1 with words on stderr when it cannot start. */
int manager_run(const struct manager_options *options);

/* ---- between manager*.c ---- */

__attribute__((format(printf, 1, 2))) void manager_log(const char *format, ...);
int64_t manager_time(void); /* seconds since 1970 */
/* A user's name, or his number. */
void manager_user(uint32_t uid, char ret_name[MANAGER_USER_MAX]);

/* Of calls[call]; -1: nobody waits. Each call is answered once. They take result and data. */
void manager_reply(struct manager *m, int call, json_t *result);
void manager_fail(struct manager *m, int call, int code, const char *message, json_t *data);
/* Serves a method as a step of ours, with the role and user of `outer` (-1: the manager itself);
 * `then` is called exactly once, perhaps before it returns. params is taken. */
void manager_step(
    struct manager *m, int outer, const char *method, json_t *params, call_then *then, void *ctx);
void manager_calls_fini(struct manager *m);
bool manager_line(
    void *arg, server_client client, enum role role, uint32_t uid, const char *line, size_t len);
void manager_client_gone(void *arg, server_client client);

/* ---- policy ---- */

struct load_order {
	const char *how;    /* a word for history: "load", "set", ... */
	const char *path;   /* read this file; NULL: the source in force again */
	uint32_t rollback;  /* not 0: that epoch as it was, whatever else is said */
	json_t *overrides;  /* taken; NULL: as they are */
	const char *reason; /* NULL: none */
	json_t *undo;       /* taken; what takes it back; NULL: going back to the epoch before */
};
/* Compiles, hands over, commits; then answers the call (-1: nobody; the log is told). */
void manager_load(struct manager *m, int call, const struct load_order *order);
/* What the dataplane made of it: result, or NULL with a failure. */
void manager_load_told(
    struct manager *m, const json_t *result, int code, const char *message, const char *word);
const struct image *manager_load_image(const struct manager *m);
unsigned manager_load_percent(const struct manager *m);
void manager_load_free(struct load *load);
uint32_t manager_next_epoch(const struct manager *m);

/* At start: the last committed image, then the configuration, as soon as the dataplane has greeted
 * or is known not to be there. Without either the manager stops and fails. */
void manager_policy_start(struct manager *m);
/* Of the load's image where there is one, else of the current. */
void manager_hand_over(struct manager *m, bool every_part);
/* Brings the dataplane to `current`, when it runs something else. */
void manager_synchronize(struct manager *m);
void manager_link_state(void *arg, bool connected);
void manager_policy_fini(struct manager *m);

/* ---- files and time ---- */

/* Looks at files and at settings whose time is up; returns the next deadline in ms. */
uint64_t manager_watch(struct manager *m);
/* After a commit or a refusal: from here on only what changes counts. */
void manager_watch_settled(struct manager *m);

/* The event log: as the dataplane says, else where it was last. NULL: it keeps none. */
const char *manager_events_path(struct manager *m);
/* Masks and deletes what is due; returns the next deadline in ms. */
uint64_t manager_events(struct manager *m);

/* ---- changes ---- */

void manager_changes_start(struct manager *m);
/* Called by manager_reply() and manager_fail() for methods that change something. */
void manager_changed(
    struct manager *m, int call, const json_t *result, int code, const char *message);
/* Runs steps one after the other for a call, backs out of what was done when one fails, and answers
 * it. undo_id: the change that is thereby taken back, 0: none. Takes steps. */
void manager_steps(struct manager *m, int call, json_t *steps, json_int_t undo_id, const char *text);
struct transaction *manager_transaction(struct manager *m, server_client client);
void manager_alarm(struct manager *m, const char *kind, const char *text);
/* Alarms of a kind end by themselves. */
void manager_alarm_clear(struct manager *m, const char *kind);
void manager_alarms_keep(const struct manager *m);
void manager_changes_fini(struct manager *m);

#endif
