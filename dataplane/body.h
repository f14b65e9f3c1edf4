/* SPDX-License-Identifier: BSD-3-Clause */
/* Between body.c (DATA) and chunk.c (BDAT), nobody else's. */
#ifndef POSTERN_DATAPLANE_BODY_H
#define POSTERN_DATAPLANE_BODY_H

#include "relay.h"
#include "session.h"

enum { BODY_STEPS = 64 /* pieces moved at a time, then others get their turn */ };

enum body_step {
	BODY_GOES_ON,
	BODY_WAITS_CLIENT,
	BODY_WAITS_BACKEND,
	BODY_WAITS_CONFIRM,
	BODY_GONE, /* another state of the session */
};

/* Prepares the relay's body, with our Received line where configured. False: no window memory. */
bool body_begin(struct worker *w, struct session *s, bool bdat);
/* Decodes n bytes at most into the scratch, without fields in our name; returns the bytes used,
 * ret_out says how many came of them. */
size_t body_decode(struct worker *w, struct relay *r, const uint8_t *p, size_t n, size_t *ret_out);
uint32_t body_window_limit(const struct worker *w, const struct body *b); /* bytes; 0: none */

enum body_collected { COLLECT_WAITS, COLLECT_FULL, COLLECT_REFUSED };
/* Reads into the window until it is full, the message (or, with `left`, the chunk) is read or memory
 * is short: FULL. WAITS: for the client (*ret_step). REFUSED: by body_check(). */
enum body_collected body_collect(
    struct worker *w, struct session *s, uint64_t *left, enum body_step *ret_step);
void body_account(struct worker *w, struct relay *r);
void body_discard(struct worker *w, struct relay *r);
void body_refuse(struct worker *w, struct relay *r, unsigned code, enum reason reason);
bool body_check(struct worker *w, struct session *s);
bool body_judge(struct worker *w, struct session *s, bool whole);
/* Behind the window, before what was decoded goes on; `whole`: nothing follows. False: refused. */
bool body_check_content(struct worker *w, struct session *s, bool whole);
enum body_step body_idle(struct worker *w, struct session *s);
void body_refused(struct worker *w, struct session *s);
bool body_dropped_enough(struct worker *w, struct session *s, uint64_t n);
void body_pace(struct worker *w, struct session *s, enum body_step step);
bool body_flush(struct worker *w, struct relay *r);
size_t body_fit(struct worker *w, struct relay *r, size_t run);
void body_push(struct worker *w, struct relay *r, const uint8_t *p, size_t n);

#endif
