/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recipients whose answer is due from a backend, for the note that tells of it (worker.h, NOTE_RCPT):
 * in order, out of one pool per worker. Where the pool is used up a recipient is not told of, and
 * those behind it are not either until the earlier answers have come, so that texts and answers stay
 * in step. Rejected: texts in each relay (a hundred recipients in all of them).
 */
#ifndef POSTERN_DATAPLANE_ASKED_H
#define POSTERN_DATAPLANE_ASKED_H

#include "filters/facts.h"
#include "pool.h"

#include <stdbool.h>
#include <stdint.h>

enum { ASKED_TEXT = 118, ASKED_POOL = 4096 };

struct asked {
	uint32_t next; /* its place in the pool; of the last: of the first */
	uint16_t len;
	char text[ASKED_TEXT]; /* cut */
};

struct asked_queue {
	uint32_t last;   /* its place in the pool, plus one; 0: none. It leads to the first */
	uint32_t untold; /* behind them, without a text */
};

/* False: no room; it counts as one without a text. */
bool asked_push(struct asked_queue *q, struct pool *pool, struct text rcpt);
/* The recipient that is answered now; lent until asked_drop(). False: it has no text. */
bool asked_first(const struct asked_queue *q, const struct pool *pool, struct text *ret_rcpt);
void asked_drop(struct asked_queue *q, struct pool *pool);
void asked_clear(struct asked_queue *q, struct pool *pool);

#endif
