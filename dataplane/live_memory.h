/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of sources in the live shell (filters/memory.h): written on the notes' thread, looked at
 * and told to forget on the control thread, under one lock; kept in STATE/memory.snapshot, written by a
 * thread of its own from a copy, so that no disk is waited for. At most LIVE_MEMORY_KEEP_S are lost
 * by kill -9.
 */
#ifndef POSTERN_DATAPLANE_LIVE_MEMORY_H
#define POSTERN_DATAPLANE_LIVE_MEMORY_H

#include "filters/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct live;

enum { LIVE_MEMORY_KEEP_S = 300 };

struct live_memory {
	struct live *live;
	struct memory *memory;
	pthread_mutex_t lock;          /* of memory's writing side, settings and counts */
	struct policy_memory settings; /* of the running policy */
	uint64_t notes, alarms, kept, failed;
	uint32_t kept_s; /* when it was last copied */

	/* the keeper's */
	char path[4096];
	char *copy; /* a snapshot's room, taken at start */
	size_t copy_max, copy_len;
	pthread_t keeper;
	pthread_mutex_t keep_lock;
	pthread_cond_t keep_wake;
	bool has_keeper, full, stop; /* under keep_lock; full: the copy is to be written */
	atomic_int error;            /* of the last write, errno */
};

#endif
