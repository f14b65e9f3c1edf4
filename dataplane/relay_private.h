/* SPDX-License-Identifier: BSD-3-Clause */
/* Between relay.c (life) and relay_talk.c (what is said), nobody else's. */
#ifndef POSTERN_DATAPLANE_RELAY_PRIVATE_H
#define POSTERN_DATAPLANE_RELAY_PRIVATE_H

#include "relay.h"
#include "session.h"

/* relay.c */
uint8_t relay_hello(const struct worker *w, const struct relay *r);  /* enum policy_hello */
void relay_deadline(struct worker *w, struct relay *r, uint32_t ms); /* 0: none */
void relay_rcpt_deadline(struct worker *w, struct relay *r); /* of answers to RCPTs, if any are due */
/* Enters a state and sets its time-out. */
void relay_state(struct worker *w, struct relay *r, enum relay_state state);
void relay_wake(struct worker *w, struct relay *r);
/* Another server, where one is left. `down`: this one is taken for dead until a check succeeds. */
void relay_retry(struct worker *w, struct relay *r, bool down);

void relay_lost(struct worker *w, struct relay *r);
bool relay_reusable(const struct worker *w, const struct relay *r);
void relay_idle(struct worker *w, struct relay *r);

/* relay_talk.c */
void relay_say_hello(
    struct worker *w, struct relay *r); /* XCLIENT or EHLO on a connection taken over */
void relay_say_rset(struct worker *w, struct relay *r);
void relay_say_quit(struct worker *w, struct relay *r);

#endif
