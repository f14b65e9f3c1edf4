/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one place that writes our own SMTP replies. Plain replies are rows of a table; refusals and
 * deferrals are built from the reason's row (filters/reasons.def) and end in the token and the
 * contact URL:
 *
 *	550 5.7.1 Relaying not permitted [4K7...] https://example.org/mail-help
 *
 * Pure functions, any thread.
 */
#ifndef POSTERN_DATAPLANE_REPLY_H
#define POSTERN_DATAPLANE_REPLY_H

#include "filters/verdict.h"

#include <stddef.h>
#include <stdint.h>

enum { REPLY_MAX = 768 }; /* bytes with CR LF, of any reply of ours */

enum reply {
#define REPLY(name, code, enhanced, text) REPLY_##name,
#include "replies.def"
#undef REPLY
	REPLY_N
};

/* What a token says and whom to ask. */
struct reply_token {
	const uint8_t *key; /* 16 bytes */
	uint32_t epoch;
	uint64_t now_ns;
	uint16_t session;
	const char *url; /* "" for none; one that does not fit is left out, never cut */
};

/* The line, CR LF included; not zero-terminated within *ret_len. */
const char *reply_plain(enum reply reply, size_t *ret_len);
uint16_t reply_plain_code(enum reply reply);
/* Returns the bytes written, CR LF included. */
size_t reply_reason(
    char buf[REPLY_MAX], unsigned code, enum reason reason, const struct reply_token *token);

/* The code for a verdict of this kind and reason in a phase: the row's, save that a deferral is
 * never a 5yz nor a refusal a silence, and that a 521 (which closes) is a 550 past the greeting. */
unsigned reply_code(enum verdict_kind kind, enum reason reason, enum phase phase);

#endif
