/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session asks of the resolver, and what it makes of the answers: at the proven cookie its
 * address (DNS lists, reverse name), at MAIL the sender (its domain, SPF). Answers become facts as
 * they come; the end of the greet delay judges what is there, RCPT waits for the rest up to each
 * question's deadline, and then the policy's default holds. Trusted clients ask nothing, nor does
 * anybody where no recursor is configured.
 *
 * Bounds: ASK_CAPACITY questions of a worker and the turn's array; beyond, the question counts as
 * failed at once. A late answer finds nobody (ask.h).
 */
#ifndef POSTERN_DATAPLANE_INQUIRE_H
#define POSTERN_DATAPLANE_INQUIRE_H

#include "session.h"

void inquire_connect(struct worker *w, struct session *s);
void inquire_mail(struct worker *w, struct session *s); /* session_mail() is the new sender */
/* The transaction is over: its questions are nobody's any more. */
void inquire_forget_mail(struct worker *w, struct session *s);
void inquire_end(struct worker *w, struct session *s);

void inquire_answer(struct worker *w, const struct answer *answer);
/* Questions whose time is over. */
void inquire_due(struct worker *w);
/* The policy has changed: answers about its earlier DNS lists name other rows. */
void inquire_recheck(const struct worker *w, struct session *s);

#endif
