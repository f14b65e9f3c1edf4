/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Patterns over the messages that stream past (filters/pattern.h), as the body's code needs them. A
 * message keeps the pattern sets it began with, whatever becomes of the policy; it is scanned as it
 * comes, in the bytes that are forwarded too, without stuffed dots (P5).
 *
 *	first RCPT    begun: HELO name, sender, and each recipient that is forwarded
 *	body          fed piece by piece
 *	window's end  what can no longer change is judged (filters/content.h)
 *	behind it     a rule that refuses cuts the backend off at once
 *	its end       everything is judged, before the dot (or the last bytes of the last chunk) goes
 *
 * What cannot be scanned is never passed on unscanned: it has the verdict `patterns-failed`.
 */
#ifndef POSTERN_DATAPLANE_SCAN_H
#define POSTERN_DATAPLANE_SCAN_H

#include "filters/facts.h"
#include "filters/policy_patterns.h"
#include "filters/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;
struct session;
struct relay;
struct pattern_message;
struct confirm_job;
struct extent;

/* Of the transaction under way; part of the relay. */
struct scan {
	struct pattern_message *messages[POLICY_PATTERN_SETS];
	struct confirm_job *job; /* PCRE2 is at it, and the message waits (confirm.h) */
	struct extent *lines;    /* of HELO and envelope, with candidates; NULL: none */
	bool begun;
	bool asked;     /* once a message */
	bool line_lost; /* a line with a candidate was not kept */
	bool failed;    /* no memory for a message, or its set had to go */
	bool looked; /* behind the window: something that refuses was hit, and policy let it pass */
	bool judged; /* the message's end was */
};

/* A recipient goes to the backend. Begins the scan with the first. */
void scan_rcpt(struct worker *w, struct session *s, struct text rcpt);
void scan_feed(struct worker *w, struct relay *r, const uint8_t *p, size_t n);
/* Behind the window: what was fed holds something that refuses, newly. */
bool scan_is_hot(struct relay *r);
/* PHASE_BODY, with what the scan has found so far, or (`whole`) in all. */
struct verdict scan_judge(struct worker *w, struct session *s, bool whole);
/* The message's end is still to be judged. */
bool scan_is_due(const struct relay *r);
/* The transaction is over. */
void scan_end(struct worker *w, struct relay *r);
/* After a change of policy: sets that have to go are let go, some relays a turn. */
void scans_update(struct worker *w);
void scans_walk(struct worker *w);

/* ---- scan_lines.c: HELO name, sender and recipient by themselves, each in its own phase ---- */

/* Some pattern looks at what this phase knows. */
bool scan_looks_at_lines(const struct worker *w, const struct session *s, enum phase phase);
/* The phase's verdict, into w->tally (filters/content.h). Nothing is kept: a command that waits is
 * judged again. */
struct verdict scan_judge_lines(struct worker *w, struct session *s, enum phase phase);

enum { SCAN_LINE_MAX = 8 + UINT16_MAX / 32 };
/* A line of the zone `envelope` as patterns see it: "from:" or "to:" and the path, cut. Its length. */
size_t scan_line_text(char buf[SCAN_LINE_MAX], const char *prefix, struct text text);

#endif
