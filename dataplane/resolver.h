/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resolver: a thread beside the workers that answers their questions by name service. It asks
 * configured recursors only, many questions at a time over several channels (each re-created after
 * some thousand questions, so that source ports change), keeps answers in one cache for all workers,
 * asks for a name once however many wait for it, and holds deadlines of its own. Of every DNS list
 * it knows whether it can be believed (P25): test points at start and from time to time, error
 * answers, silence, and hits on senders whose mail the backend takes suspend a list; events tell.
 *
 * Workers reach it by rings (one producer, one consumer each). At every bound the answer is
 * `failed` at once and counted, so the asker takes its stated default. Rejected: a recursor of our
 * own (unbound is there), and c-ares in each worker (its cache could not be shared, its sockets
 * would wake a packet core).
 *
 * Files: resolver_thread.c thread and rings; resolver.c channels, recursors, look-ups;
 * resolver_jobs.c what a question needs; resolver_lists.c belief in lists.
 */
#ifndef POSTERN_DATAPLANE_RESOLVER_H
#define POSTERN_DATAPLANE_RESOLVER_H

#include "worker.h"

#include "filters/policy_dns.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RESOLVER_MAX_WORKERS = 64,
	RESOLVER_RING = 512,     /* questions of a worker not yet taken */
	RESOLVER_ANSWERS = 4096, /* answers not yet fetched; beyond: lost, the asker has a deadline */
	RESOLVER_JOBS = 16384,   /* questions under way, those to single lists counted */
	RESOLVER_LOOKUPS = 8192,   /* names under way */
	RESOLVER_WAITS = 32768,    /* questions waiting for names */
	RESOLVER_WAITS_NAME = 512, /* of them, for one name */
	RESOLVER_SPF = 1024,       /* SPF checks under way */
	RESOLVER_PTR_NAMES =
	    10, /* names of one address that are looked at (RFC 7208 4.6.4 has the same) */
	RESOLVER_CHANNEL_QUESTIONS = 2048, /* then the channel is made anew */
};

/* A policy's settings with its strings: what the resolver keeps of it. */
struct resolver_settings {
	struct policy_dns dns;
	char hostname[256]; /* ours, for SPF */
	char names[POLICY_MAX_DNS_LISTS][64];
	char zones[POLICY_MAX_DNS_LISTS][POLICY_DNS_ZONE_MAX + 1];
};
void resolver_settings_of(const struct policy *policy, struct resolver_settings *ret_settings);

struct resolver_config {
	unsigned n_workers;
	uint64_t (*now_ns)(void);                 /* as workers' deadlines are counted */
	void (*wake)(void *arg, unsigned worker); /* answers are there; the resolver's thread calls */
	void (*tell)(void *arg, const char *kind, const char *text); /* an event */
	void *arg;
};

struct resolver;

/* On failure *ret_error is a sentence (caller frees). The thread runs from here on. */
int resolver_new(const struct resolver_config *config, const struct resolver_settings *settings,
    struct resolver **ret_resolver, char **ret_error);
struct resolver *resolver_free(struct resolver *r); /* ends the thread; NULL is allowed */

/* ---- any one thread that is no worker: the control thread ---- */

/* A new policy. Lists keep what is known of them by name and zone; recursors by address. */
int resolver_configure(struct resolver *r, const struct resolver_settings *settings);
void resolver_flush(struct resolver *r); /* the cache */
/* A list suspended for hits on accepted mail is tried again; every list's test points are asked
 * again at once. */
void resolver_resume(struct resolver *r, const char *list);

enum list_state { LIST_UNPROVEN, LIST_ACTIVE, LIST_SUSPENDED };
enum list_trouble {
	LIST_FINE,
	LIST_NOT_LISTED, /* 127.0.0.2 is not listed: the list is empty or gone */
	LIST_LISTS_ALL,  /* 127.0.0.1 is listed */
	LIST_ERRORS,     /* answers with error codes, or addresses */
	LIST_SILENT,     /* no answer in time */
	LIST_ACCEPTED,   /* hits senders whose mail the backend accepts */
	LIST_N_TROUBLES
};
extern const char *const list_state_words[];
extern const char *const list_trouble_words[]; /* sentences' ends */

struct resolver_report {
	unsigned n_lists, n_recursors;
	struct resolver_list_report {
		char name[64], zone[POLICY_DNS_ZONE_MAX + 1];
		uint8_t kind, families;
		struct {
			uint8_t state, trouble;
			uint64_t since_ns, probed_ns;
		} family[2]; /* IPv4, IPv6 */
		uint64_t queries, hits, sole_hits,
		    accepted /* sessions hit whose mail was accepted */, errors, timeouts;
	} lists[POLICY_MAX_DNS_LISTS];
	struct resolver_recursor_report {
		uint8_t addr[16];
		uint16_t port;
		bool up;
		uint64_t asked, answered, timeouts;
	} recursors[POLICY_MAX_RECURSORS];
	size_t cache_bytes, cache_used;
	uint64_t cache_entries, cache_evicted, cache_hits;
	uint64_t questions, answers, failed_full /* at a bound */, late /* at a deadline */,
	    answers_lost;
	uint64_t lookups, joined /* waited for one under way */, channels_made;
	unsigned jobs, lookups_open;
};
void resolver_report(struct resolver *r, struct resolver_report *ret_report);

/* One question of the control thread, waited for up to wait_ms. 0, -ETIMEDOUT, -ENOBUFS. The id is
 * filled in. */
int resolver_query(
    struct resolver *r, struct question *question, unsigned wait_ms, struct answer *ret_answer);

/* ---- a worker's thread ---- */

/* Returns how many were taken; for the rest the caller answers `failed`. */
unsigned resolver_ask(
    struct resolver *r, unsigned worker, const struct question *questions, unsigned n);
unsigned resolver_answers(
    struct resolver *r, unsigned worker, struct answer *ret_answers, unsigned capacity);
/* True while resolver_answers() would return some. */
bool resolver_has_answers(struct resolver *r, unsigned worker);

/* ---- any thread ---- */

/* A session that these lists (rows of the policy with this version of its DNS lists) named has
 * ended: did the backend accept mail of it? */
void resolver_feedback(struct resolver *r, uint32_t version, uint32_t lists, bool accepted);

#endif
