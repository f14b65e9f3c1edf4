/* SPDX-License-Identifier: BSD-3-Clause */
/* See asked.h. */
#include "asked.h"

#include <string.h>

bool asked_push(struct asked_queue *q, struct pool *pool, struct text rcpt)
{
	struct asked *a = q->untold ? NULL : pool_get(pool);

	if (!a) {
		q->untold++;
		return false;
	}
	a->next = NULL;
	a->len = rcpt.len < ASKED_TEXT ? rcpt.len : ASKED_TEXT;
	if (a->len)
		memcpy(a->text, rcpt.p, a->len);
	if (q->first)
		q->last->next = a;
	else
		q->first = a;
	q->last = a;
	return true;
}

bool asked_first(const struct asked_queue *q, struct text *ret_rcpt)
{
	if (!q->first)
		return false;
	*ret_rcpt = (struct text){ q->first->text, q->first->len };
	return true;
}

void asked_drop(struct asked_queue *q, struct pool *pool)
{
	struct asked *a = q->first;

	if (a) {
		q->first = a->next;
		pool_put(pool, a);
	} else if (q->untold) {
		q->untold--;
	}
}

void asked_clear(struct asked_queue *q, struct pool *pool)
{
	while (q->first)
		asked_drop(q, pool);
	q->untold = 0;
}
