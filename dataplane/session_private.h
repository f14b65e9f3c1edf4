/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the session's own files, nobody else's. */
#ifndef POSTERN_DATAPLANE_SESSION_PRIVATE_H
#define POSTERN_DATAPLANE_SESSION_PRIVATE_H

#include "relay.h"
#include "session.h"

/* session.c */
void session_close(struct worker *w, struct session *s); /* the record is gone afterwards */
void session_abort(struct worker *w, struct session *s); /* likewise */
void session_end(struct worker *w, struct session *s);   /* likewise; the connection went before */
void session_release_relay(struct worker *w, struct session *s);
void session_command_deadline(struct worker *w, struct session *s);

/* session_open.c */
bool session_judge_connect(struct worker *w, struct session *s); /* false: it ended, or ends */
void session_greet(struct worker *w, struct session *s);

/* The number after `last` (0: none yet) of this worker. Each has those that leave index + 1 as the
 * remainder by n_workers, so that a token names one session of the box among 65,535 / n_workers in
 * a row; 0 is nobody's. */
uint16_t session_number(uint16_t last, unsigned worker, unsigned n_workers);

/* Cut, zero-terminated. */
void session_copy_text(char *buf, size_t cap, struct text t);

/* session_hold.c */
void session_tarpit(struct worker *w, struct session *s); /* tries; the record may be gone */
void session_hold(struct worker *w, struct session *s);   /* no words any more but the record's */

/* session_line.c: one command. False: nothing more can be done now; the record may be gone. */
bool session_command(struct worker *w, struct session *s);

/* session_text.c */
void session_forget(struct worker *w, struct session *s); /* the transaction, not the relay's */
struct text session_rcpt(const struct session *s);        /* the first accepted, cut */

#endif
