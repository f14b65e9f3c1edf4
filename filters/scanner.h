/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pattern set made ready for the workers: the set, and a workspace of each worker (pattern.h). Made
 * and freed off the worker cores. It may outlive the policy that brought it: a message that began
 * under it goes on with it, so whoever frees it asks scanner_open() first; and policies that carry the
 * same part share one, so that a change of a list does not open 10,000 streams again.
 *
 * What holds on to an old set is bounded by scanner_condemn(): workers let go of its messages, whose
 * verdict is then `patterns-failed`.
 */
#ifndef POSTERN_FILTERS_SCANNER_H
#define POSTERN_FILTERS_SCANNER_H

#include "pattern.h"
#include "policy_patterns.h"

#include <stdbool.h>
#include <stddef.h>

struct scanner;

enum { SCANNER_MAX_WORKERS = 64 };

/* What the settings say, shared out: limits of one of n_workers. */
struct pattern_limits scanner_limits(const struct policy_patterns *settings, unsigned n_workers);

/* The part's bytes must outlive it. -EBADMSG with a sentence in ret_error, -ENOMEM. */
int scanner_new(const void *base, size_t len, const struct pattern_limits *limits,
    unsigned n_workers, struct scanner **ret_scanner, const char **ret_error);
struct scanner *scanner_free(struct scanner *s); /* NULL is allowed; returns NULL */

const struct pattern_set *scanner_set(const struct scanner *s);
/* NULL: no such worker. */
struct pattern_workspace *scanner_workspace(const struct scanner *s, unsigned worker);
/* Messages in flight on it, all workers: any thread may ask. 0 stays 0 once no policy has it. */
unsigned scanner_open(const struct scanner *s);
size_t scanner_bytes(const struct scanner *s); /* of its workspaces */

/* Its messages are to end: workers see it at their next change of policy. Any thread. */
void scanner_condemn(struct scanner *s);

#endif
