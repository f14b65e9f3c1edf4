/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store thread: the greylist's one writer. Workers put notes into rings, one each; the thread
 * applies them to the index, which workers read, and to the file (store.h), many in one commit.
 * A note is acknowledged once its commit is on disk. Whatever must not run beside it (an operator's
 * look or change) is handed to it and done between two batches.
 *
 * At the bounds: a full ring loses the note, counted (the client is asked to come back once more);
 * a file that fills up lets the oldest go that never passed; a disk that fails keeps the
 * batch for later, takes no further notes, so that the rings fill, and answers operators with the error.
 */
#ifndef POSTERN_DATAPLANE_GREY_H
#define POSTERN_DATAPLANE_GREY_H

#include "store.h"

struct grey;

enum {
	GREY_MAX_PRODUCERS = 64,
	GREY_PAGE = 256,        /* records in one answer, and in one import */
	GREY_SCAN = 16384,      /* records looked at for one answer */
	GREY_RING_NOTES = 4096, /* default */
	GREY_BATCH = 4096,      /* notes in one commit */
};

struct grey_config {
	const char *path; /* of the file */
	uint32_t capacity;
	unsigned n_producers;
	unsigned ring_notes; /* each; a power of two; 0: GREY_RING_NOTES */
	uint32_t pause_ms;   /* between commits; 0: 3 */
	struct policy_grey settings;
	uint32_t (*now_s)(void *arg); /* for what expires; the store thread's; NULL: the system's */
	void *arg;
};

/* Reads the file into the index and starts the thread. A broken file is set aside as PATH.broken
 * and *ret_error is a sentence although 0 is returned: mail is delayed once more, not refused. */
int grey_new(const struct grey_config *config, struct grey **ret_grey, char **ret_error);
/* Everything noted so far is committed first. */
/* Writes what is left and lets go of the file; the index goes on to be read. No request after it. */
void grey_stop(struct grey *g);
struct grey *grey_free(struct grey *g);

const struct greylist *grey_index(const struct grey *g);
const uint8_t *grey_secret(const struct grey *g);

/* A producer's own thread. False: the ring is full; the note is lost and counted. */
bool grey_put(struct grey *g, unsigned producer, const struct grey_note *note);
/* How many of the producer's notes, in order, are on disk. Any thread. */
uint64_t grey_durable(const struct grey *g, unsigned producer);

/* ---- any thread; these wait for the store thread, between two batches ---- */

void grey_settings(struct grey *g, const struct policy_grey *settings);

struct grey_query {
	uint8_t state; /* enum greylist_state; ABSENT: any */
	bool pools_only;
	char text[128]; /* somewhere in pool, sender or recipient, lower case; "": any */
};
/* One page: up to cap (at most GREY_PAGE) records into recs. A page may be empty with more behind;
 * position->table 2 says that nothing is left. */
int grey_show(struct grey *g, const struct grey_query *query, struct store_position *position,
    struct store_record *recs, unsigned cap, unsigned *ret_n);

/* Puts records as they are, displacing by rank; those that find no room are left out. On disk when
 * it returns. n at most GREY_PAGE. */
int grey_add(struct grey *g, const struct store_record *recs, unsigned n, unsigned *ret_added);
/* -ENOENT: not there. On disk when it returns; *ret_was (NULL is allowed) says what it was. */
int grey_del(struct grey *g, uint64_t key, struct store_record *ret_was);

struct grey_stats {
	struct greylist_counts counts;
	struct store_usage usage;
	uint64_t notes, ring_full, commits, written, erased, failed_commits;
	uint64_t let_go; /* never passed, removed because the file was nearly full */
	int error;       /* of the last commit, 0: none */
	bool was_broken; /* the file was set aside at start */
};
void grey_stats(struct grey *g, struct grey_stats *ret_stats);

#endif
