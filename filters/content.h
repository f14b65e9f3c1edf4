/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a scan of a message means: hits of pattern sets become rules of the policy, and those a verdict.
 * Pure.
 *
 * A message that outgrows the inspection window is judged twice. At the window's end only what can no
 * longer change counts: rules that are hit by expressions, and those of their actions that refuse. Metas
 * (a negation may turn them), the score (a rule of negative weight may still be hit) and what defers
 * (something that refuses may still be hit) wait for the message's end, so that the verdict does not
 * depend on where the window ends; the score may mark there, since a header can only be put on top
 * before the message goes on.
 */
#ifndef POSTERN_FILTERS_CONTENT_H
#define POSTERN_FILTERS_CONTENT_H

#include "policy.h"
#include "verdict.h"

struct pattern_hits;
struct pattern_set;

enum {
	CONTENT_MAX = 128,       /* rules of one message: PATTERN_MAX_HITS of each set */
	CONTENT_LINES = 1 << 15, /* in rules[]: looks at HELO and envelope alone */
};

struct content {
	bool failed;  /* could not be scanned: nothing else counts */
	bool partial; /* the message goes on */
	uint16_t n;
	uint16_t rules[CONTENT_MAX]; /* rows of the policy's rules, and CONTENT_LINES */
};

/* Adds what a set has found. `set` may be of an older policy: its rules are then found by name, and
 * what the policy does not know any more is left out. */
void content_add(const struct policy *p, struct content *c, const struct pattern_set *set,
    const struct pattern_hits *hits);

/* PHASE_BODY with content. Every hit adds its weight, those that find no place in the tally too. */
struct verdict policy_judge_content(const struct policy *p, const struct facts *facts,
    const struct content *content, struct tally *tally);

/* What the lines of a session hit, each by itself, before there is a message. */
enum content_line { CONTENT_HELO, CONTENT_SENDER, CONTENT_RCPT, CONTENT_N_LINES };

/*
 * A phase with the lines known in it. Rules are counted where their line is: of the HELO name for
 * the session, of the sender for the transaction, and of a recipient for it too, but see
 * content_forget_rcpt(). Their actions:
 *
 *	HELO name   at each RCPT; the postmaster's excepted, who hears of mistakes (RFC 5321 4.5.1)
 *	sender      at MAIL; where an access rule may except a recipient, at RCPT
 *	recipient   at its RCPT, that recipient alone
 *
 * At the message's end rules of CONTENT_LINES count in metas and score, no more than once, but have
 * had their say: what excepted a recipient from them holds. Metas are the message's.
 */
struct verdict policy_judge_lines(const struct policy *p, enum phase phase,
    const struct facts *facts, const struct content lines[CONTENT_N_LINES], struct tally *tally);

/* A recipient was refused: what its address added to the tally, which had n_before hits when it came,
 * is not to burden the others. */
void content_forget_rcpt(const struct policy *p, struct tally *tally, unsigned n_before);

#endif
