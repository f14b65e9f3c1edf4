/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The header by which a mail server learns what was found: `X-Postern: mark score=4.50 rules=...
 * token=...` on top of a marked message, and only ours: fields of that name that came with the
 * message are taken out. RFC 5321 6.4 lets a relay add on top; what is removed is a claim in our
 * name. Pure; one thread.
 *
 * A message in chunks (BDAT) is looked at as far as its window reaches, since the backend is told the
 * size of later chunks before they are read; a header longer than that keeps what is behind.
 */
#ifndef POSTERN_DATAPLANE_MARK_H
#define POSTERN_DATAPLANE_MARK_H

#include "filters/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MARK_HEADER_MAX = 640, /* bytes of the header with its folds; RFC 1870's SIZE leaves 1,024 */
	MARK_HELD_MAX = 12,    /* bytes of a line's beginning that may be held back */
};

/* Does the tally ask for a mark: a rule whose action it is, or the score? */
bool mark_wanted(const struct policy *p, const struct tally *tally);

/* The field with its CR LF; returns its bytes, below MARK_HEADER_MAX. Rules beyond the room are
 * counted as `+N`. */
size_t mark_header(const struct policy *p, const struct tally *tally, const char *token,
    char buf[MARK_HEADER_MAX]);

/* ---- forged ones ---- */

struct mark_strip {
	uint8_t state; /* private */
	uint8_t held;  /* bytes of the name seen at the line's start and not yet passed on */
	bool found;    /* some field was taken out */
	char name[MARK_HELD_MAX]; /* ... as they were written */
};

void mark_strip_init(struct mark_strip *m);
/* Bytes of the message in order, from `in` to `out`, which may be the same memory or lie up to
 * MARK_HELD_MAX bytes in front of it. At most len + MARK_HELD_MAX bytes come out. */
size_t mark_strip_feed(struct mark_strip *m, const uint8_t *in, size_t len, uint8_t *out);
/* The message ends, or is no longer to be looked at: what is held comes out; all that follows
 * passes. */
size_t mark_strip_end(struct mark_strip *m, uint8_t out[MARK_HELD_MAX]);

#endif
