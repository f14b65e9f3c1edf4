/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The policy in force, by RCU pointer (liburcu, quiescent-state flavour). Control publishes and
 * never waits: a generation that was replaced is freed by a thread of this module once every
 * worker that could see it has passed a quiescent state. A worker that says nothing for a second
 * defers that freeing and is reported; it does not hold up control.
 *
 * Rejected: a reference count per generation (a line written by every core each turn).
 */
#ifndef POSTERN_DATAPLANE_PUBLISH_H
#define POSTERN_DATAPLANE_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

struct publish;
struct generation;

enum { PUBLISH_SILENT_NS = 1000000000 };

/* free_fn runs on the module's own thread. first may be NULL. */
int publish_new(unsigned n_workers, struct generation *first,
    void (*free_fn)(struct generation *gen, void *arg), void *arg, struct publish **ret_publish);
/* All workers have ended. Frees the last generation too. */
struct publish *publish_free(struct publish *p);

/* ---- control, one thread ---- */

/* Would publish_set() take one now? Only control fills the places, so a yes holds until it does. */
bool publish_has_room(struct publish *p);
/* Takes ownership. -EBUSY when PUBLISH_MAX_WAITING replaced ones still wait to be freed: nothing
 * was published then. */
enum { PUBLISH_MAX_WAITING = 3 };
int publish_set(struct publish *p, struct generation *gen);

/* ---- the worker's thread; calls bracket every use of publish_get()'s result ---- */

void publish_worker_begin(struct publish *p, unsigned worker, uint64_t now_ns);
void publish_worker_end(struct publish *p, unsigned worker);
/* The one in force; valid until this worker's next quiescent, offline or end call. */
struct generation *publish_get(struct publish *p);
void publish_quiescent(struct publish *p, unsigned worker, uint64_t now_ns);
void publish_offline(struct publish *p, unsigned worker); /* before any sleep */
void publish_online(struct publish *p, unsigned worker, uint64_t now_ns);

/* ---- the watchdog, any one thread ---- */

/* Calls tell once per silence for each worker that is online and silent for a second. */
void publish_watch(struct publish *p, uint64_t now_ns,
    void (*tell)(unsigned worker, uint64_t silent_ns, void *arg), void *arg);

#endif
