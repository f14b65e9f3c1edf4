/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rule is whatever can speak for or against a client: a built-in check (checks.def), an address
 * list, a DNS list, a set of access rules, a pattern, the greylist. One array of rows in the
 * settings, so that state, weight and action mean the same for all, and one number per rule, so
 * that a session's record of what hit it is a few bytes.
 *
 * The number (`id`) comes from the rule's name: it survives a reload that adds or removes other
 * rules, save for the rare two names that meet in one place (then the one made first keeps it). So
 * a session judged by two policies neither scores a rule twice nor tells of a wrong one.
 * Rejected: the row's place (moves with each reload), and the name itself (48 bytes a hit).
 */
#ifndef POSTERN_FILTERS_RULES_H
#define POSTERN_FILTERS_RULES_H

#include "facts.h"
#include "verdict.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct policy;

enum {
	POLICY_MAX_RULES = 8192,
	RULE_ID_BITS = 14,
	RULE_ID_MASK = (1 << RULE_ID_BITS) - 1,
	RULE_ID_SHADOW = 1 << 14,      /* in tally.hits: would have counted */
	RULE_ID_TRANSACTION = 1 << 15, /* in tally.hits: forgotten with the transaction */
	TALLY_MAX = 16,                /* hits kept of one session */
};

/* One row per built-in check: the settings' rules begin with these, in this order. */
enum policy_check {
#define POLICY_CHECK(name, judge, phases, reason, weight, action, state, doc) CHECK_##name,
#include "checks.def"
#undef POLICY_CHECK
	CHECK_N
};

enum rule_kind {
	RULE_CHECK,
	RULE_LIST,
	RULE_DNS,
	RULE_ACCESS,
	RULE_PATTERN,
	RULE_GREY,
	RULE_BAN,
	RULE_RATE,
	RULE_RECIPIENTS,
	RULE_N_KINDS
};

enum rule_state { RULE_ENFORCE, RULE_SHADOW, RULE_OFF };

/* Part of the SETTINGS layout (policy.h). A zeroed state and share enforce for all. */
struct policy_rule {
	uint32_t name;  /* policy_str: "checks.talked_early", "lists.blocked" */
	int32_t weight; /* hundredths of a point, added to the score when it hits */
	uint16_t reason;
	uint16_t id; /* 1 to RULE_ID_MASK; by the writer */
	uint8_t kind;
	uint8_t action; /* enum verdict_kind; NONE: only scores */
	uint8_t state;  /* enum rule_state */
	uint8_t share; /* with ENFORCE: percent of clients, by a hash; 0 is 100; the rest is shadow */
	uint32_t index; /* of the kind's own table */
};

/* At which score (hundredths of a point) a phase that may refuse does: CONNECT, RCPT and BODY. The
 * gravest reached counts. INT32_MAX: never. */
struct policy_score {
	int32_t mark, defer, refuse;
	int32_t tarpit; /* at CONNECT */
};

/* What a session's rules came to. Belongs to the session; copied, judged into, and kept. */
struct tally {
	int32_t score;       /* sum of weights, those of the transaction included */
	int32_t transaction; /* of that: what goes with the transaction */
	int32_t unlisted;    /* of that: patterns of the message that found no room below */
	uint8_t n;
	bool full; /* more hit than there was room for; those count nothing */
	uint16_t hits[TALLY_MAX];
};

const struct policy_rule *policy_rules(const struct policy *p, unsigned *ret_n);
const struct policy_rule *policy_rule(const struct policy *p, unsigned index);
const struct policy_rule *policy_rule_by_id(const struct policy *p, unsigned id); /* NULL: none */

/* Rule `index` hits. Records it once a session (or transaction: phases from MAIL on), adds its
 * weight, and says whether its action is to be done: false for off, shadow and a client outside
 * the share. Pure but for the tally. */
bool tally_hit(const struct policy *p, struct tally *t, const struct facts *facts, enum phase phase,
    unsigned index);
/* Adds to what an event will tell: hits that are not in it yet, as room is, and the higher score; or
 * those of shadow rules alone. So what a message that passed has hit outlives its transaction. */
void tally_tell(struct tally *told, const struct tally *t, bool shadow_only);
/* A new transaction: forgets what was found since MAIL. */
void tally_forget_transaction(struct tally *t);

/* The number a rule of this name has unless another took it first, and where it is looked for next. */
unsigned policy_rule_first_id(const char *name);
unsigned policy_rule_next_id(unsigned id);

/* The client's place in 0..99 for a share: by address and rule, so that a client always meets the
 * same answer and shares of two rules are not the same clients. */
static inline unsigned rule_place(const uint8_t client[16], unsigned id)
{
	uint64_t a, b;

	memcpy(&a, client, 8);
	memcpy(&b, client + 8, 8);
	a = (a ^ b * 0x9e3779b97f4a7c15ull ^ id) * 0xd6e8feb86659fd93ull;
	a ^= a >> 32;
	a *= 0xd6e8feb86659fd93ull;
	return (unsigned)((a >> 32) * 100 >> 32);
}

#endif
