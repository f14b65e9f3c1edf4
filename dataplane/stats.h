/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics in shared memory: one file the dataplane creates and writes, anyone with leave reads
 * (control/ maps it read-only). The layout is described here alone. Names of counters travel in
 * the file, so that a reader needs no header of the stack or of the filters and a newer reader
 * understands an older dataplane.
 *
 * Each worker writes only its own block, whole cache lines, plain stores; readers use relaxed
 * loads and tolerate a torn burst (a counter is one aligned word, never torn itself).
 */
#ifndef POSTERN_DATAPLANE_STATS_H
#define POSTERN_DATAPLANE_STATS_H

#include <stdint.h>

#define STATS_MAGIC 0x5354415453504e31ull /* "STATSPN1" */

enum {
	STATS_MAX_WORKERS = 64,
	STATS_MAX_COUNTERS = 512, /* names, and words per worker */
	STATS_MAX_SERVERS = 1024,
	STATS_NAME_LEN = 48,
	STATS_TEXT_LEN = 144,
	/* of the table of clients that gave up: classes of shaping, 0 is none; paces; ages */
	STATS_CLASSES = 9,
	STATS_PACES = 8,
	STATS_AGES = 16,
	STATS_MAX_RULES = 16384, /* by number: filters/rules.h */
};

enum stats_kind { STATS_COUNTER, STATS_GAUGE };

struct stats_name {
	char name[STATS_NAME_LEN]; /* snake_case; reasons are "reason_<name>" */
	char text[STATS_TEXT_LEN]; /* one sentence */
	uint32_t kind;             /* enum stats_kind */
	uint32_t reserved;
};

struct stats_server {
	uint32_t state; /* enum stats_server_state */
	uint32_t active, idle, waiting;
	uint64_t connects, failures, messages;
};

enum stats_server_state { SERVER_UNKNOWN, SERVER_UP, SERVER_DOWN, SERVER_DRAINED };

/* A rule's hits: of those enforced (or scored), and of those that would have been. */
struct stats_rule {
	uint64_t hits, shadow;
};

struct stats_worker {
	_Alignas(64) uint64_t counters[STATS_MAX_COUNTERS]; /* by index of names[] */
	_Alignas(64) uint64_t turns,
	    busy_turns, busy_tsc, idle_tsc; /* the cycle meter, by the live shell */
	uint64_t last_turn_ns;              /* Unix epoch; the watchdog reads it */
	uint64_t max_turn_ns;               /* longest turn since start */
	_Alignas(64) struct stats_server servers[STATS_MAX_SERVERS];
	_Alignas(64) struct stats_rule rules[STATS_MAX_RULES];
	/* Clients that were stuttered at or held and went by themselves, by class, by what they were
	 * given (below 250 ms from one lot to the next, 500 ms, 1 s ... 16 s, more), and by how long they
	 * stayed (below 1 s, 2 s, 4 s ... 16,384 s, more). */
	_Alignas(64) uint64_t gave_up[STATS_CLASSES][STATS_PACES][STATS_AGES];
};

struct stats_file {
	uint64_t magic;
	uint32_t layout; /* 3 */
	uint32_t n_workers, n_counters, n_servers;
	uint32_t pid;
	uint32_t policy_epoch; /* last published */
	uint64_t started_ns;   /* Unix epoch */
	uint64_t tsc_hz;
	uint64_t memory_bytes; /* allocated at start for packets, chunks and tables */
	char build[64];
	struct stats_name names[STATS_MAX_COUNTERS];
	char server_names[STATS_MAX_SERVERS][STATS_NAME_LEN];
	char class_names[STATS_CLASSES][STATS_NAME_LEN];  /* "": no such class; [0]: in none */
	char rule_names[STATS_MAX_RULES][STATS_NAME_LEN]; /* by number; "": none */
	struct stats_worker workers[];                    /* n_workers */
};

#endif
