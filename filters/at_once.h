/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many messages are under way at once by one sender or to one recipient, over all workers
 * (`rates` with `at_once`). Counted from MAIL, or from the RCPT that goes to the backend, to the end
 * of the transaction, however it ends.
 *
 * One table of counters a worker, all in one piece of memory taken at the start. A worker writes its
 * own alone, at MAIL, at RCPT and at the end of a transaction; any worker reads all of them (relaxed),
 * so a limit holds over the box and no word has two writers. Two workers that ask in the same instant
 * both see the count before them: it is exceeded by at most one a worker.
 *
 * A bucket is one cache line of eight words: 48 bits of the key, 16 of the count. A bucket that is
 * full of others does not count the newcomer (the caller's statistic): mail is not refused for want of
 * memory. Keys are SipHash under a secret, so nobody can aim at a bucket. Rejected: one table with
 * atomic additions (a line that every core writes), the notes of memory.h (late by up to 100 ms, which
 * a burst needs no more than), and texts instead of hashes.
 *
 * No tenant is in the key: a recipient's domain names it already, and at MAIL none is known.
 */
#ifndef POSTERN_FILTERS_AT_ONCE_H
#define POSTERN_FILTERS_AT_ONCE_H

#include "facts.h"
#include "policy_memory.h"

#include <stdbool.h>
#include <stdint.h>

struct at_once;

enum { AT_ONCE_MAX = 65535 /* of one key in one worker */ };

/* entries: of each worker, rounded up to a power of two. NULL: no memory. */
struct at_once *at_once_new(unsigned n_workers, uint32_t entries, const uint8_t key[16]);
struct at_once *at_once_free(struct at_once *a); /* NULL is allowed; returns NULL */

/* May a rate of this subject have a limit at once? Senders, recipients, their domains, bounces. */
bool at_once_counts(enum memory_subject subject);

/* The key of a subject; 0: it has none here (the null sender, a path without domain). Case does not
 * matter, tags of bounce addresses neither. */
uint64_t at_once_key(
    const struct at_once *a, enum memory_subject subject, struct text sender, struct text rcpt);

/* How many there are, in all workers. Any thread. */
uint32_t at_once_count(const struct at_once *a, uint64_t key);

/* One more, one less, by this worker's own thread. False: no place, or too many; it is not counted
 * then and must not be given back. */
bool at_once_take(struct at_once *a, unsigned worker, uint64_t key);
void at_once_give(struct at_once *a, unsigned worker, uint64_t key);

/* All that is held, by all workers: 0 when no transaction is open. For tests. */
uint64_t at_once_held(const struct at_once *a);

#endif
