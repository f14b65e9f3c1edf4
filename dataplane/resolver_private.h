/* SPDX-License-Identifier: BSD-3-Clause */
/* What the resolver's files share. All of it is the resolver thread's unless marked otherwise. */
#ifndef POSTERN_DATAPLANE_RESOLVER_PRIVATE_H
#define POSTERN_DATAPLANE_RESOLVER_PRIVATE_H

#include "ask.h"
#include "dnscache.h"
#include "dnsmsg.h"
#include "resolver.h"

#include <pthread.h>
#include <stdatomic.h>

struct spf;

/* ---- look-ups: one name and type under way ---- */

struct wait;

struct lookup {
	struct lookup *next; /* of the bucket, or free */
	struct wait *waits;
	unsigned n_waits;
	uint32_t bucket;
	uint16_t type;
	uint8_t attempts, recursor, tried; /* tried: a bit each */
	bool test;                         /* of the recursor itself; in no bucket */
	bool starting, ended_at_once;      /* c-ares answered within the call that asked */
	struct channel *channel;
	char name[DNS_NAME_MAX];
};

/* ---- jobs: one question of a worker, or a part of one ---- */

enum job_kind { JOB_HOST, JOB_LISTS, JOB_LIST, JOB_SENDER, JOB_SPF, JOB_PROBE };

struct job {
	struct job *parent; /* JOB_LIST */
	struct wait *waits;
	uint64_t id;       /* of the question */
	uint64_t deadline; /* of the deadline table; 0: none */
	uint8_t kind, worker, list;
	bool done, v6, failed, listed; /* listed: JOB_PROBE asks for the point that is */
	bool exists, is_mx, starting;
	uint16_t pending;      /* look-ups, or children */
	uint32_t lists, known; /* JOB_LISTS */
	uint32_t version;
	struct spf *spf;
	struct job *next; /* free */
	uint8_t addr[16];
	char name[DNS_NAME_MAX]; /* JOB_SENDER: the domain */
};

struct wait {
	struct lookup *lookup;
	struct job *job; /* NULL: it has gone */
	struct wait *next_of_lookup, *next_of_job;
	uint8_t tag;
};

/* ---- belief in lists ---- */

struct list_family {
	uint8_t state, trouble;
	uint8_t silent_probes;
	uint8_t probes;    /* under way, of two or one */
	uint8_t result[2]; /* of the points 127.0.0.1 and 127.0.0.2: enum probe_result */
	uint64_t since_ns, probed_ns, next_probe_ns;
};

struct list_belief {
	struct list_family family[2];
	uint64_t queries, hits, sole_hits, accepted, errors, timeouts;
	unsigned errors_row, silent_row, hits_row;
	uint32_t ended_hits, ended_accepted; /* sessions lately */
};

enum probe_result { PROBE_MISS, PROBE_HIT, PROBE_ERROR, PROBE_SILENT };

/* ---- recursors ---- */

struct recursor {
	bool up, testing;
	unsigned silent_row;
	uint64_t hold_ns, next_test_ns;
	uint64_t asked, answered, timeouts;
};

struct ring;    /* resolver_thread.c */
struct channel; /* resolver.c */

enum { LOOKUP_BUCKETS = 16384, CHANNELS_MAX = 64 };

struct resolver {
	struct resolver_config config;
	unsigned n_askers; /* workers, and the control thread as the last */
	struct ring *questions[RESOLVER_MAX_WORKERS + 1], *answers[RESOLVER_MAX_WORKERS + 1];
	bool to_wake[RESOLVER_MAX_WORKERS + 1];
	pthread_t thread;
	bool thread_runs;
	int epoll_fd, wake_fd;

	/* shared */
	_Alignas(64) atomic_bool asleep;
	atomic_bool stop, flush, want_report;
	atomic_uint version;
	atomic_uint feedback[POLICY_MAX_DNS_LISTS][2]; /* ended, accepted; taken by the thread */
	atomic_uint resume;                            /* lists, a bit each */
	pthread_mutex_t lock;                          /* of what follows */
	struct resolver_settings *next_settings;
	struct resolver_report report;
	uint64_t reports;        /* made so far */
	pthread_cond_t answered; /* for the control thread: an answer, a report */
	uint64_t control_id;     /* the control thread's */

	/* the thread's */
	_Alignas(64) struct resolver_settings settings;
	struct dnscache *cache;
	uint8_t hash_key[16];
	struct ask *deadlines;
	struct job *jobs, *free_jobs;
	struct wait *waits, *free_waits;
	struct lookup *lookups, *free_lookups, *buckets[LOOKUP_BUCKETS];
	uint8_t *spf_memory;
	struct spf **free_spf;
	unsigned n_free_spf;
	unsigned n_jobs, n_lookups;
	struct recursor recursors[POLICY_MAX_RECURSORS];
	struct list_belief lists[POLICY_MAX_DNS_LISTS];
	struct channel *channels[CHANNELS_MAX];
	unsigned next_channel;
	bool stopping;
	uint64_t now_ns, next_tick_ns;
	uint64_t cache_hits, n_questions, n_answers, failed_full, late, n_lookups_made, joined,
	    channels_made, answers_lost;
	void *psl;
};

/* ---- resolver.c ---- */

/* Asks for a name on behalf of a job. True: *ret_answer is filled (cached, or failed at once); false:
 * job_step() will come. `fresh`: not from the cache. */
bool lookup_need(struct resolver *r, struct job *job, const char *name, unsigned type, unsigned tag,
    bool fresh, struct dns_answer *ret_answer);
/* The job waits for nothing any more. */
void lookup_forget(struct resolver *r, struct job *job);
void lookups_init(struct resolver *r);
int channels_library(bool on);
void channels_fill(struct resolver *r);
void channels_reap(struct resolver *r); /* never within a callback of c-ares */
void channels_fini(struct resolver *r);
/* Waits for sockets up to so long and serves them. */
void channels_serve(struct resolver *r, unsigned timeout_ms);
void channels_timeouts(struct resolver *r);
void recursors_configure(struct resolver *r, const struct resolver_settings *next);
void recursors_tick(struct resolver *r);
/* False: not one recursor is up, so silence says nothing about a list. */
bool recursors_up(const struct resolver *r);

/* ---- resolver_thread.c ---- */

void resolver_reply(struct resolver *r, unsigned worker, const struct answer *answer);
void resolver_tell(struct resolver *r, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- resolver_jobs.c ---- */

int jobs_init(struct resolver *r);
void jobs_fini(struct resolver *r);
void job_start(struct resolver *r, unsigned worker, const struct question *question);
void job_probe(struct resolver *r, unsigned list, bool v6, bool listed);
void job_step(struct resolver *r, struct job *job, const char *name, unsigned tag,
    const struct dns_answer *answer);
void jobs_due(struct resolver *r);
/* Their rows are about to change. */
void jobs_end_lists(struct resolver *r);

/* ---- resolver_lists.c ---- */

void lists_configure(struct resolver *r, const struct resolver_settings *old);
/* May the row be asked about such a client? */
bool list_is_asked(const struct resolver *r, unsigned list, bool v6);
void list_probed(struct resolver *r, unsigned list, bool v6, bool listed, enum probe_result result);
enum list_outcome { OUTCOME_MISS, OUTCOME_HIT, OUTCOME_ERROR, OUTCOME_SILENT };
void list_answered(struct resolver *r, unsigned list, bool v6, enum list_outcome outcome);
/* A question to several has ended: who named the client alone? */
void lists_named(struct resolver *r, uint32_t lists);
void lists_tick(struct resolver *r);
void lists_report(const struct resolver *r, struct resolver_report *report);

#endif
