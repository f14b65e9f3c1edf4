/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The relay matrix: who may send where. Source (internal by address or by forward-confirmed name),
 * sender (null, of ours, other) and recipient (served or not) choose a cell; the default lets mail
 * to served domains in, lets internal sources with a sender of ours out, and refuses all else
 * ("Relaying not permitted"). Pure; any thread. Public, since the dataplane asks it at RCPT and
 * `posternctl relay self-test` of the running policy.
 */
#ifndef POSTERN_FILTERS_RELAY_H
#define POSTERN_FILTERS_RELAY_H

#include "policy.h"

#include <stdbool.h>

void relay_defaults(struct policy_relay *relay);

/* facts.client, facts.host_name. */
enum relay_source relay_source(const struct policy *p, const struct facts *facts);
/* facts.mail: its canonical forms must all be ours. */
enum relay_sender relay_sender(const struct policy *p, const struct facts *facts);
/* False: whoever the sender is, the cell says the same. */
bool relay_asks_sender(
    const struct policy *p, enum relay_source source, enum relay_recipient recipient);
enum relay_action relay_action(const struct policy *p, enum relay_source source,
    enum relay_sender sender, enum relay_recipient recipient);

extern const char *const relay_source_words[RELAY_N_SOURCES];
extern const char *const relay_sender_words[RELAY_N_SENDERS];
extern const char *const relay_action_words[RELAY_N_ACTIONS];

#endif
