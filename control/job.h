/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread for what takes long (compiling, hashing, writing images), so that the control socket
 * answers meanwhile. Jobs run in the order given; what they touch is theirs until `done`, which runs
 * in the manager's thread. (Rejected: a child process; the image would have to be written, read and
 * verified once more to come back.)
 */
#ifndef POSTERN_CONTROL_JOB_H
#define POSTERN_CONTROL_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { JOBS_MAX = 16 }; /* waiting and running; beyond: -EBUSY */

struct job {
	void (*run)(struct job *job);             /* in the thread */
	void (*done)(void *arg, struct job *job); /* afterwards, in the manager's */
	atomic_uint percent;                      /* written by run(), read by anybody; 0 to 100 */
};

struct jobs;

/* Adds its eventfd to epoll_fd with `data`. -errno. */
int jobs_new(int epoll_fd, uint64_t data, void *arg, struct jobs **ret_jobs);
/* Waits for nothing. False: a job is under way, and the process had better end with what it uses
 * still in place. NULL is allowed. */
bool jobs_stop(struct jobs *jobs);
int jobs_add(struct jobs *jobs, struct job *job);
/* An epoll event of ours: calls done() of what has finished. */
void jobs_event(struct jobs *jobs);
unsigned jobs_waiting(const struct jobs *jobs);

#endif
