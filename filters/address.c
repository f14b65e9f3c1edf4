/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address lists. The table was built so that one look-up gives the one list that counts (allow
 * beats every block, then the more specific prefix: addrset_build.h), so this file only says what a
 * list means in each phase:
 *
 *   verdict of the list     SYN              CONNECT   RCPT
 *   pass                    pass             pass      pass (and in all other phases: `trusted`)
 *   refuse, not verified    refuse           refuse    refuse
 *   refuse, verified        none             none      refuse (550), postmaster excepted
 *   tarpit                  none             tarpit    none
 *   drop, reset, trap       the same         the same  none
 *   score (none), mark      none             as it is  none
 *
 * At SYN only what is enforced for all acts; a list in shadow, or enforced for a share of clients, is
 * judged from CONNECT on, where there is a session to remember it.
 *
 * CONNECT asks again because the list may be newer than the SYN; RCPT refuses whoever is listed
 * by then, but does not cut a session for a drop that came later. Whether a refused address is
 * verified depends on a hash of the address alone, so that a sender meets the same answer at each
 * try, and a share of the *sources* is verified and not of the connections. Under overload nobody
 * is verified from CONNECT on: a verified session costs a connection.
 *
 * A verified source may still reach the postmaster (RFC 5321 4.5.1): that is how a mistaken listing
 * is reported.
 */
#include "address.h"

#include <string.h>

enum { BURST = 64 };

bool address_verdict_known(uint8_t kind)
{
	switch (kind) {
	case VERDICT_NONE:
	case VERDICT_PASS:
	case VERDICT_MARK:
	case VERDICT_REFUSE:
	case VERDICT_TARPIT:
	case VERDICT_TRAP:
	case VERDICT_RESET:
	case VERDICT_DROP: return true;
	default: return false;
	}
}

void address_prepare(struct policy *p)
{
	for (unsigned i = 0; i < p->settings->n_lists; i++) {
		const struct policy_list *l = &p->lists[i];
		struct verdict *v = &p->syn[i + 1];

		const struct policy_rule *rule = &p->rules[l->rule];
		bool for_all = rule->state == RULE_ENFORCE && rule->share % 100 == 0;

		if (l->verdict == VERDICT_REFUSE)
			p->verify_share[i + 1] = l->verify_share;
		p->has_shares |= p->verify_share[i + 1] != 0;
		if (l->verdict == VERDICT_TARPIT || l->verdict == VERDICT_MARK || !for_all)
			continue; /* from CONNECT on */
		if (l->verdict == VERDICT_NONE)
			continue;
		v->kind = l->verdict;
		v->phase = PHASE_SYN;
		v->reason = l->verdict == VERDICT_PASS ? REASON_ALLOWED : l->reason;
	}
}

/* The share in percent, by a hash that lists and the network have no part in. */
static bool is_verified(const uint8_t client[16], unsigned share)
{
	uint64_t a, b;

	memcpy(&a, client, 8);
	memcpy(&b, client + 8, 8);
	a = (a ^ b * 0x9e3779b97f4a7c15ull) * 0xd6e8feb86659fd93ull;
	a ^= a >> 32;
	a *= 0xd6e8feb86659fd93ull;
	return (a >> 32) * 100 >> 32 < share;
}

void policy_judge_syns(
    const struct policy *p, const uint8_t (*clients)[16], unsigned n, struct verdict *verdicts)
{
	uint8_t values[BURST];

	if (!p->has_lists) {
		memset(verdicts, 0, n * sizeof(*verdicts)); /* NONE, PHASE_SYN, REASON_NONE */
		return;
	}
	for (unsigned i = 0; i < n; i += BURST) {
		unsigned m = n - i < BURST ? n - i : BURST;

		addrset_find(&p->addresses, clients + i, m, values);
		if (p->has_shares) /* who is verified counts as not listed; no branch to guess */
			for (unsigned k = 0; k < m; k++)
				values[k] &= (uint8_t)(is_verified(clients[i + k],
							   p->verify_share[values[k]]) -
						       1);
		for (unsigned k = 0; k < m; k++)
			verdicts[i + k] = p->syn[values[k]];
	}
}
_Static_assert(VERDICT_NONE == 0 && PHASE_SYN == 0 && REASON_NONE == 0, "a zeroed verdict is NONE");

const struct policy_list *policy_list_of(const struct policy *p, const uint8_t client[16])
{
	uint8_t value;

	if (!p->has_lists)
		return NULL;
	addrset_find(&p->addresses, (const uint8_t(*)[16])client, 1, &value);
	return value ? &p->lists[value - 1] : NULL;
}

bool address_is_postmaster(struct text rcpt)
{
	static const char word[] = "postmaster";

	if (rcpt.len < sizeof(word) - 1 || strncasecmp(rcpt.p, word, sizeof(word) - 1) != 0)
		return false;
	return rcpt.len == sizeof(word) - 1 || rcpt.p[sizeof(word) - 1] == '@';
}

static struct opinion opinion_of(
    const struct policy_list *l, enum phase phase, const struct facts *facts)
{
	switch (l->verdict) {
	case VERDICT_REFUSE:
		if (phase == PHASE_RCPT)
			return address_is_postmaster(facts->rcpt)
				   ? NO_OPINION
				   : (struct opinion){ VERDICT_REFUSE, REASON_LISTED_VERIFIED };
		if (facts->overload_rung == 0 && is_verified(facts->client, l->verify_share))
			return NO_OPINION;
		return (struct opinion){ VERDICT_REFUSE, l->reason };
	case VERDICT_TARPIT:
	case VERDICT_MARK:
		return phase == PHASE_CONNECT ? (struct opinion){ l->verdict, l->reason }
					      : NO_OPINION;
	case VERDICT_NONE: return NO_OPINION;
	default: /* drop, reset, trap */
		return phase == PHASE_RCPT ? NO_OPINION : (struct opinion){ l->verdict, l->reason };
	}
}

struct opinion address_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	const struct policy_list *l;
	struct opinion o;

	if (facts->trusted)
		return (struct opinion){ VERDICT_PASS, REASON_ALLOWED };
	if (phase != PHASE_SYN && phase != PHASE_CONNECT && phase != PHASE_RCPT)
		return NO_OPINION; /* a look-up out of bulk costs hundreds of ns */
	l = policy_list_of(p, facts->client);
	if (!l)
		return NO_OPINION;
	if (l->verdict == VERDICT_PASS)
		return p->rules[l->rule].state == RULE_ENFORCE
			   ? (struct opinion){ VERDICT_PASS, REASON_ALLOWED }
			   : NO_OPINION;
	o = opinion_of(l, phase, facts);
	if (phase == PHASE_SYN)
		return o;
	if (o.kind == VERDICT_NONE && (l->verdict != VERDICT_NONE || phase != PHASE_CONNECT))
		return NO_OPINION;
	return tally_hit(p, tally, facts, phase, l->rule) ? o : NO_OPINION;
}
