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
 * What is said at run time (overlay.h) stands above what was compiled: an allow list of either wins;
 * then the overlay's word, the most specific first; then the compiled table's, unless lifted there. A
 * ban is judged as `refuse, not verified`, tarpit, drop, reset or trap, under the rule checks.banned.
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

static bool for_all_clients(const struct policy_rule *rule)
{
	return rule->state == RULE_ENFORCE && rule->share % 100 == 0;
}

void address_prepare(struct policy *p)
{
	for (unsigned i = 0; i < p->settings->n_lists; i++) {
		const struct policy_list *l = &p->lists[i];
		struct verdict *v = &p->syn[i + 1];

		const struct policy_rule *rule = &p->rules[l->rule];
		bool for_all = for_all_clients(rule);

		p->passes[i + 1] = l->verdict == VERDICT_PASS && rule->state == RULE_ENFORCE;
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
		v->rule = rule->id;
	}
}

/* The share in percent, by a hash that lists and the network have no part in. */
static bool is_verified(const uint8_t client[16], unsigned share)
{
	return rule_place(client, 0) < share; /* 0 is no rule's number */
}

int policy_attach_overlay(struct policy *p, struct overlay *overlay)
{
	bool used[OVERLAY_LISTS] = { false };

	for (unsigned i = 0; i < p->settings->n_lists; i++) {
		const struct policy_list *l = &p->lists[i];
		int number = overlay_list(overlay, policy_string(p, l->name));

		if (number < 0)
			return number;
		used[number] = true;
		overlay_lists_used(overlay, used); /* not to be given to the next name */
		p->overlay_values[number] = (uint8_t)(i + 1);
		p->overlay_numbers[i + 1] = (uint8_t)number;
		/* an allow list not in force says nothing; one that scores is the mildest */
		p->overlay_kinds[number] = l->verdict == VERDICT_PASS && !p->passes[i + 1]
					       ? VERDICT_NONE
					   : l->verdict == VERDICT_NONE ? VERDICT_MARK
									: l->verdict;
		if (p->rules[l->rule].state == RULE_OFF)
			p->overlay_kinds[number] = VERDICT_NONE;
	}
	p->overlay = overlay;
	return 0;
}

static bool asks_overlay(const struct policy *p)
{
	return p->overlay && !overlay_is_empty(p->overlay);
}

/* Moves the compiled table's values on to what counts; bans (NONE: not banned) stand beside. */
static void overlay_over(const struct policy *p, const uint8_t (*clients)[16], unsigned n,
    uint32_t now_s, uint8_t *values, uint8_t *ret_bans)
{
	struct overlay_hit hits[BURST];
	uint8_t compiled[BURST] = { 0 }; /* GCC with ASan does not see that n is not 0 */

	for (unsigned k = 0; k < n; k++)
		compiled[k] = p->overlay_numbers[values[k]];
	overlay_judge(p->overlay, p->overlay_kinds, clients, compiled, n, now_s, hits);
	for (unsigned k = 0; k < n; k++) {
		const struct overlay_hit *hit = &hits[k];

		ret_bans[k] = VERDICT_NONE;
		if (hit->lifted)
			values[k] = 0;
		if (hit->kind == VERDICT_NONE || p->passes[values[k]])
			continue;
		if (hit->list == OVERLAY_BAN)
			ret_bans[k] = hit->kind;
		values[k] = p->overlay_values[hit->list];
	}
}
_Static_assert(OVERLAY_BAN == 0, "a ban has value 0: no list");

static void find_values(
    const struct policy *p, const uint8_t (*clients)[16], unsigned n, uint8_t *ret_values)
{
	if (p->has_lists)
		addrset_find(&p->addresses, clients, n, ret_values);
	else
		memset(ret_values, 0, n);
}

void policy_judge_syns(const struct policy *p, const uint8_t (*clients)[16], unsigned n,
    uint32_t now_s, struct verdict *verdicts)
{
	bool overlay = asks_overlay(p), bans_act = for_all_clients(&p->rules[CHECK_banned]);
	const struct verdict ban = {
		.phase = PHASE_SYN, .reason = REASON_BANNED, .rule = p->rules[CHECK_banned].id
	};
	uint8_t values[BURST], bans[BURST];

	if (!p->has_lists && !overlay) {
		memset(verdicts, 0, n * sizeof(*verdicts)); /* NONE, PHASE_SYN, REASON_NONE */
		return;
	}
	for (unsigned i = 0; i < n; i += BURST) {
		unsigned m = n - i < BURST ? n - i : BURST;

		find_values(p, clients + i, m, values);
		if (overlay)
			overlay_over(p, clients + i, m, now_s, values, bans);
		if (p->has_shares) /* who is verified counts as not listed; no branch to guess */
			for (unsigned k = 0; k < m; k++)
				values[k] &= (uint8_t)(is_verified(clients[i + k],
							   p->verify_share[values[k]]) -
						       1);
		for (unsigned k = 0; k < m; k++)
			verdicts[i + k] = p->syn[values[k]];
		if (!overlay || !bans_act)
			continue;
		for (unsigned k = 0; k < m; k++)
			if (bans[k] != VERDICT_NONE && bans[k] != VERDICT_TARPIT) {
				verdicts[i + k] = ban;
				verdicts[i + k].kind = bans[k];
			}
	}
}
_Static_assert(VERDICT_NONE == 0 && PHASE_SYN == 0 && REASON_NONE == 0, "a zeroed verdict is NONE");

const struct policy_list *policy_compiled_list_of(const struct policy *p, const uint8_t client[16])
{
	uint8_t value;

	find_values(p, (const uint8_t(*)[16])client, 1, &value);
	return value ? &p->lists[value - 1] : NULL;
}

static const struct policy_list *look_up(
    const struct policy *p, const uint8_t client[16], uint32_t now_s, uint8_t *ret_ban)
{
	uint8_t value;

	*ret_ban = VERDICT_NONE;
	find_values(p, (const uint8_t(*)[16])client, 1, &value);
	if (asks_overlay(p))
		overlay_over(p, (const uint8_t(*)[16])client, 1, now_s, &value, ret_ban);
	return value ? &p->lists[value - 1] : NULL;
}

const struct policy_list *policy_list_of(
    const struct policy *p, const uint8_t client[16], uint32_t now_s)
{
	uint8_t ban;

	return look_up(p, client, now_s, &ban);
}

/* As with lists: a session let in before is not cut, but gets no message through where it is refused. */
static struct opinion banned(const struct policy *p, enum phase phase, const struct facts *facts,
    struct tally *tally, uint8_t kind)
{
	if (phase == PHASE_RCPT && kind != VERDICT_REFUSE)
		return NO_OPINION;
	if (phase != PHASE_SYN && !tally_hit(p, tally, facts, phase, CHECK_banned))
		return NO_OPINION;
	return (struct opinion){ kind, REASON_BANNED };
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
	uint8_t ban;

	if (facts->trusted)
		return (struct opinion){ VERDICT_PASS, REASON_ALLOWED };
	if (phase != PHASE_SYN && phase != PHASE_CONNECT && phase != PHASE_RCPT)
		return NO_OPINION; /* a look-up out of bulk costs hundreds of ns */
	l = look_up(p, facts->client, facts->now_s, &ban);
	if (ban != VERDICT_NONE)
		return banned(p, phase, facts, tally, ban);
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
