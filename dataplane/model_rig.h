/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulation's world: one worker between a host of model clients and one of model backends,
 * on model links, in virtual time, from one seed. Whoever builds on it (simulation, conversation
 * tests, replay, benchmarks in one loop) drives the same worker_turn() as the live shell.
 *
 *	clients 192.0.2.100 +i           192.0.2.25 | worker | 198.51.100.2      backends 198.51.100.10 +i
 *	        2001:db8:1::100 +i   2001:db8:1::25 |        | 2001:db8:2::2              2001:db8:2::10 +i
 */
#ifndef POSTERN_DATAPLANE_MODEL_RIG_H
#define POSTERN_DATAPLANE_MODEL_RIG_H

#include "filters/policy.h"
#include "model_backend.h"
#include "model_client.h"
#include "model_link.h"
#include "worker.h"

enum { RIG_CLIENTS = 24, RIG_EVENTS = 256, RIG_CONFIRMS = 16, RIG_SERVERS_MAX = 8 };

struct bans;
struct greylist;
struct image_writer;
struct confirm_reader;
struct memory_alarm;
struct overlay;

struct rig_config {
	uint64_t seed;
	uint64_t start_ns;                        /* 0: 2026-01-01 */
	unsigned n_servers;                       /* of pool `main`, hello PROXY v2; 0: 1 */
	unsigned max_clients;                     /* sessions at once; 0: 64 */
	struct model_link_config outside, inside; /* seeds are derived where they are 0 */
	struct model_faults faults;
	const char *ehlo; /* the backends' words; NULL: all that we know */
	/* Changes the policy before it is built: lists, limits, switches. May be NULL. */
	void (*policy)(void *arg, struct policy_settings *settings, struct image_writer *writer);
	void *arg;
	void (*on_outcome)(void *arg, uint64_t id, enum model_outcome outcome, unsigned code);
	void (*on_end)(void *arg, const struct model_plan *plan, unsigned last_code);
	void (*on_message)(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
	    const struct ip_addr *client);
	void (*on_event)(void *arg, const struct event *event);
	/* The worker asks; rig_answer() answers, at once or later. NULL: nobody ever does. */
	void (*on_question)(void *arg, const struct question *question);
	/* Candidates of patterns are confirmed by the rig itself, so long after they were asked about;
	 * UINT64_MAX: never. */
	uint64_t confirm_ns;
	uint32_t worker_conns, worker_chunks; /* 0: 512 and 4,096 */
	uint32_t worker_window_bytes;         /* 0: 4 MiB */
	uint32_t greylist_entries;            /* 0: 4,096 */
	uint32_t memory_entries;              /* 0: 1,000 */
	bool no_clients,
	    no_backends; /* no models there: the caller serves the host's connections in */
	void (*clients_turn)(void *arg); /* these, between its input and its output; may be NULL */
	void (*backends_turn)(void *arg);
	/* A policy made elsewhere instead of the rig's own: its servers' addresses become the backend
	 * host's, behind a gateway of the inside. Outlives the rig. */
	struct policy *given_policy;
	/* of given_policy: automatic bans go there as the policy has them; NULL: nobody is banned */
	struct overlay *overlay;
	void (*on_alarm)(void *arg, const struct memory_alarm *alarm); /* may be NULL */
	uint32_t epoch;                              /* of the rig's own policy; 0: 1 */
	void (*around_turn)(void *arg, bool before); /* of the worker; may be NULL */
	/* with given_policy: clients that are nobody's neighbour, wherever their addresses lie */
	const struct ip_addr *far;
	unsigned n_far;
	uint16_t backend_port; /* with given_policy: where the host listens; 0: as its first server */
};

struct rig {
	uint64_t now_ns;
	struct rig_config config;
	struct memframes *frames;
	bool clients_deaf; /* nothing reaches the clients any more */
	struct model_link *to_worker_out, *to_clients, *to_backends, *to_worker_in;
	struct model_host *clients, *backends;
	struct model_clients *mc;
	struct model_backend *mb;
	struct worker *worker;
	struct stats_worker *stats;
	struct policy *policy;
	struct image_writer *image;
	struct worker_out out;
	_Atomic uint32_t pass_all_until_s; /* the worker's switch */
	struct answer *answers;            /* for the worker's next turn */
	unsigned n_answers;
	struct confirm_reader *reader;
	struct rig_confirm { /* in order; a worker has no more out at once */
		struct confirm_job *job;
		uint64_t id, at_ns;
	} confirms[RIG_CONFIRMS];
	unsigned n_confirms;
	/* where the policy has them; the worker's notes are applied at once */
	struct greylist *greylist;
	struct memory *memory;
	struct bans *bans;
	unsigned long n_bans; /* given */
	struct at_once *at_once;
};

/* Goes into the worker's next turn, which is then due. -ENOSPC: RIG_EVENTS wait already. */
int rig_answer(struct rig *r, const struct answer *answer);

/* Whoever moved a connection of the hosts outside of their turns: its frames go out at once. */
void rig_send(struct rig *r);

int rig_new(const struct rig_config *config, struct rig **ret_rig);
/* Asserts that no frame is lost: all are back in the pool. */
struct rig *rig_free(struct rig *r);

/* The settings that a rig begins with: our names, the default limits, one listener on port 25. */
void rig_settings(struct policy_settings *settings, struct image_writer *writer);
/* The rig's policy and its worker's configuration alone, for shells with ports of their own. The
 * policy lives on the image writer's memory: close it, then free the writer. */
int rig_policy_new(
    const struct rig_config *config, struct image_writer **ret_image, struct policy **ret_policy);
void rig_worker_config(const struct rig_config *config, struct worker_config *ret_config);
void rig_clients_config(struct model_host_config *ret_config);
void rig_backends_config(struct model_host_config *ret_config);
extern const char rig_ehlo_words[]; /* what the rig's backends offer by default */

/* Sessions that the worker holds, by its gauge. */
uint64_t rig_sessions(const struct rig *r);
/* How often this reason was given. */
uint64_t rig_reason(const struct rig *r, enum reason reason);
/* One of the worker's counters by name; false: there is none. */
bool rig_counter(const struct rig *r, const char *name, uint64_t *ret_count);

/* Client i's and our own outside address, IPv6 with v6. i < RIG_CLIENTS. */
struct ip_addr rig_client(unsigned i, bool v6);
struct ip_addr rig_server(bool v6);

/* Goes on to the next moment in which something happens (at most `limit_ns`), and does it.
 * False: nothing is due before the limit; now is the limit then. */
bool rig_step(struct rig *r, uint64_t limit_ns);
/* Steps until `done` says so or the time is used up; returns what `done` said last. */
bool rig_run(struct rig *r, uint64_t for_ns, bool (*done)(void *arg), void *arg);

#endif
