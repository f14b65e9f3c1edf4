/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What name service said, recorded, for a replay that asks none: a file of lines, or the event log of
 * the live run (events.jsonl), which holds the facts of each session; lines of both kinds may mix.
 *
 *	listed ADDRESS NAME,...|nowhere      of the policy's DNS lists; who is not named lists nobody
 *	host ADDRESS NAME|none|unconfirmed
 *	sender DOMAIN exists|none|null-mx
 *	sender DOMAIN mx ADDRESS             exists, and the client is one of its exchanges
 *	spf ADDRESS DOMAIN RESULT            of MAIL, of HELO for the null sender
 *
 * Of two lines about one thing the later holds. What no line is about has failed, as a name server
 * that is down. An answer comes at once: when it came is not recorded. Rejected: packets of the name
 * servers' own, which tells nothing where the resolver answered from its cache.
 */
#ifndef POSTERN_DATAPLANE_REPLAY_ANSWERS_H
#define POSTERN_DATAPLANE_REPLAY_ANSWERS_H

#include "filters/policy.h"
#include "worker.h"

enum { REPLAY_ANSWERS_MAX = 4000000, REPLAY_LINE_MAX = 65536 };

struct answers;

/* NULL: an empty one. ret_error: a sentence that names file and line (caller frees). */
int answers_read(
    const char *file, const struct policy *policy, struct answers **ret_answers, char **ret_error);
struct answers *answers_free(struct answers *a);
size_t answers_n(const struct answers *a);

/* False: nothing is recorded of it, and the answer is a failure. */
bool answers_find(
    const struct answers *a, const struct question *question, struct answer *ret_answer);

#endif
