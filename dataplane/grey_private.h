/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the store thread (grey.c) and the operators' questions to it (grey_requests.c) share. A
 * request lives on its asker's stack and is served by the store thread between two batches, so that
 * nothing here but the mailbox needs the lock.
 */
#ifndef POSTERN_DATAPLANE_GREY_PRIVATE_H
#define POSTERN_DATAPLANE_GREY_PRIVATE_H

#include "grey.h"

#include <pthread.h>
#include <stdatomic.h>

struct ring {
	_Alignas(64) _Atomic uint64_t head; /* notes put; the producer's */
	_Atomic uint64_t full;              /* lost; the producer's */
	_Alignas(64) _Atomic uint64_t tail; /* notes taken; the store thread's */
	_Atomic uint64_t durable;           /* likewise */
	struct grey_note *notes;
};

/* A change that waits for its commit. ABSENT: only the old one goes. */
struct op {
	struct greylist_entry was;
	struct store_record is;
};

struct request {
	void (*serve)(struct grey *g, struct request *r);
	const void *in;
	void *out;
	unsigned n;
	unsigned n_out;
	struct store_position *position;
	int rc;
	bool done;
	struct request *next;
};

struct grey {
	struct greylist *index;
	struct store *store;
	struct ring *rings;
	unsigned n_producers, ring_mask;
	uint32_t pause_ms;
	uint32_t (*now_s)(void *arg);
	void *arg;
	pthread_t thread;
	bool started;

	/* the store thread's */
	struct policy_grey settings;
	struct op *ops;
	unsigned n_ops;
	uint32_t cursor; /* of the sweep */
	uint64_t next_sweep_ms;
	struct grey_stats stats;

	/* between threads, under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake, served;
	struct request *requests;
	bool stop;
};

/* The store thread's: room for one more change of the batch, and the batch into the file. */
struct op *grey_add_op(struct grey *g, const struct greylist_change *c);
int grey_commit(struct grey *g);

#endif
