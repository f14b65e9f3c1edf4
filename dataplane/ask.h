/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions under way: what the brain asked of a service thread and who waits for the answer. An
 * id is slot and generation, so an answer that comes after its deadline, or for a session that has
 * gone, finds nobody and is ignored. The asker stays parked until ask_answer() or ask_due() names
 * it; past the deadline it goes on with the default it stated.
 *
 * Bound: `capacity` questions. At it ask_open() says -ENOBUFS and the asker takes its default at
 * once. Pure memory; time is an argument. One thread.
 */
#ifndef POSTERN_DATAPLANE_ASK_H
#define POSTERN_DATAPLANE_ASK_H

#include <stdint.h>

struct ask;

int ask_new(uint32_t capacity, struct ask **ret_ask); /* -ENOMEM, -EINVAL: none or over 65,536 */
struct ask *ask_free(struct ask *a);

/* -ENOBUFS: the table is full. ret_id is never 0. */
int ask_open(struct ask *a, void *asker, uint64_t deadline_ns, uint64_t *ret_id);
/* The asker whose question this answers, NULL when it is late or was never ours. The question is
 * closed. */
void *ask_answer(struct ask *a, uint64_t id);
/* The same asker, the question stays open. */
void *ask_asker(struct ask *a, uint64_t id);
/* The asker has gone. A late id is allowed. */
void ask_cancel(struct ask *a, uint64_t id);
/* An asker whose deadline has passed (the earliest first), NULL when there is none; its question
 * is closed. */
void *ask_due(struct ask *a, uint64_t now_ns);
uint64_t ask_next_deadline(const struct ask *a); /* UINT64_MAX: none */
uint32_t ask_open_count(const struct ask *a);

#endif
