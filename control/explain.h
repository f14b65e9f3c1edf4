/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands behind a token or an address: the record of the event log that a token means, and the
 * policy of its epoch as it was.
 *
 * A token names its session by number, epoch and a minute in which the session was open; no token
 * is stored. Numbers are one session's among 65,535 of the box in a row, so where more open within
 * one session's life and minute, several records fit: those that gave the token's reason are told,
 * and a client's address picks one. (Rejected: every token in the log, kept per session meanwhile:
 * bytes of each session for what an arithmetic of four numbers finds.)
 */
#ifndef POSTERN_CONTROL_EXPLAIN_H
#define POSTERN_CONTROL_EXPLAIN_H

#include "filters/policy.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	EXPLAIN_RECORDS = 8,           /* that fit, at most */
	EXPLAIN_AFTER_MS = 86400000,   /* a session's record is looked for so long behind a token */
	EXPLAIN_ENOUGH_MS = 3600000,   /* ... and so long once one fits */
	EXPLAIN_SYN_MS = 60000,        /* between a SYN and its refusal without state, at most */
	EXPLAIN_BACK_BYTES = 256 << 20 /* of the log, read backward for an address */
};

struct explain_token {
	const char *reason; /* as logs have it */
	unsigned epoch;     /* low 16 bits */
	int64_t minute;     /* since 1970 */
	unsigned session;   /* 0: refused without state */
};

enum explain_fit { EXPLAIN_NOT, EXPLAIN_MAY, EXPLAIN_FITS };

/* Whether the token may be of this record; FITS: the record gave that reason, or was refused so. */
enum explain_fit explain_fits(const struct explain_token *t, const json_t *event);
/* The epoch's low bits with the high ones of an epoch that came later, or is the same. */
uint32_t explain_epoch(unsigned low, uint32_t running);

/* Records that fit, FITS before MAY (of which none is told beside one of those). client: NULL for
 * any. ret_oldest_ms: of the log, INT64_MAX where it is empty. -errno. */
int explain_find_token(const char *path, const struct explain_token *t, const char *client,
    json_t **ret_events, int64_t *ret_oldest_ms);
/* The newest `limit` records of a client up to a time, newest first. */
int explain_find_client(
    const char *path, const char *client, int64_t until_ms, unsigned limit, json_t **ret_events);

/* {"word","code","enhanced","text","doc"}; NULL: no such reason. */
json_t *explain_reason(const char *word);
/* Rules of a record in order, with what each weighs and does by the policy (NULL: names alone), and
 * whether it decided: [{"name","doc","weight","action","state","share","decided"}]. */
json_t *explain_rules(const struct policy *p, const json_t *event, const char *key);
/* {"mark","tarpit","defer","refuse"}, in points; without those never reached. */
json_t *explain_score(const struct policy *p);
/* The list of the policy that holds an address, by its configuration: {"name","action","reason"}, null:
 * none. */
json_t *explain_list(const struct policy *p, const char *client);
/* Commands for what an engineer may want next: ["posternctl ..."]. now: of explain.now, NULL allowed. */
json_t *explain_next(const struct policy *p, const char *reason, const char *client,
    const json_t *rules, const json_t *now);

#endif
