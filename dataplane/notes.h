/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From workers to the writers of shared tables: a bounded ring of notes per worker (single
 * producer, single consumer; what finds no room is lost and counted by the worker), and one thread
 * that tells every subscriber in turn. So greylist, memory and bans each have one writer and need
 * no lock among themselves. Rejected: a ring per subscriber and worker (each note would be copied
 * and counted three times).
 */
#ifndef POSTERN_DATAPLANE_NOTES_H
#define POSTERN_DATAPLANE_NOTES_H

#include "worker.h"

enum {
	NOTES_RING = 2048, /* notes a worker may have untold */
	NOTES_MAX_SUBSCRIBERS = 16,
	NOTES_TICK_MS = 10, /* the thread looks so often */
};

struct notes;

/* All called on the notes' thread. `note` hears of the kinds asked for, in order per worker; `tick`
 * after each round and at least every NOTES_TICK_MS, also when nothing came. Either may be NULL. */
struct notes_subscriber {
	uint32_t kinds; /* bits of enum note_kind */
	void (*note)(void *arg, const struct note *note);
	void (*tick)(void *arg, uint64_t now_ns); /* Unix epoch */
	void *arg;
};

int notes_new(unsigned n_workers, struct notes **ret_notes); /* -ENOMEM */
/* Ends the thread after a last round; subscribers may go afterwards. */
/* Ends the thread once it has told what is there; what comes later fills the rings and is lost, counted. */
void notes_stop(struct notes *n);
struct notes *notes_free(struct notes *n);

/* Before notes_start(). -ENOSPC. */
int notes_subscribe(struct notes *n, const struct notes_subscriber *subscriber);
/* What some subscriber listens to: worker_config.notes. */
uint32_t notes_kinds(const struct notes *n);
int notes_start(struct notes *n); /* -errno */

/* The worker's thread. Returns how many of the n found no room. */
unsigned notes_put(struct notes *n, unsigned worker, const struct note *notes, unsigned n_notes);

#endif
