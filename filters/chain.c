/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chain: filters in order, each asked in the phases of its row. The first that has an opinion
 * ends the argument, so the cheapest and the most decisive stand first; an allow list stands before
 * all. Behind them the checks, which score and may act, and then the score itself. A const table
 * and no registration: reading it is knowing what runs.
 */
#include "chain.h"

#include "access.h"
#include "address.h"
#include "checks.h"
#include "dns_judge.h"
#include "grey.h"
#include "limits.h"
#include "memory_rules.h"
#include "score.h"

#define IN(phase) (1u << (phase))

enum {
	COMMANDS = IN(PHASE_HELO) | IN(PHASE_MAIL) | IN(PHASE_RCPT) | IN(PHASE_DATA),
	ALL = IN(PHASE_N) - 1,
	NOT_SYN = ALL & ~IN(PHASE_SYN),
};

static const struct {
	filter_fn *judge;
	unsigned phases;
} filters[] = {
	{ access_exceptions, IN(PHASE_RCPT) },
	{ address_judge, ALL },
	{ limits_connections, IN(PHASE_CONNECT) },
	{ limits_commands, COMMANDS },
	{ limits_transaction, IN(PHASE_MAIL) | IN(PHASE_RCPT) | IN(PHASE_BODY) },
	{ access_judge, IN(PHASE_RCPT) },
	{ recipients_judge, IN(PHASE_RCPT) },
	{ rates_judge, IN(PHASE_CONNECT) | IN(PHASE_MAIL) | IN(PHASE_RCPT) },
	{ dns_judge, IN(PHASE_CONNECT) | IN(PHASE_RCPT) },
	{ checks_judge, NOT_SYN },
	{ score_judge, IN(PHASE_CONNECT) | IN(PHASE_RCPT) | IN(PHASE_BODY) },
	{ grey_judge, IN(PHASE_RCPT) },
};

static struct verdict verdict_of(struct opinion o, enum phase phase, int32_t score)
{
	return (struct verdict){
		.kind = (uint8_t)o.kind,
		.phase = (uint8_t)phase,
		.reason = (uint16_t)o.reason,
		.score = score,
	};
}

struct verdict policy_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	struct opinion mark = NO_OPINION;

	for (unsigned i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		struct opinion o;

		if (!(filters[i].phases & IN(phase)))
			continue;
		o = filters[i].judge(p, phase, facts, tally);
		if (o.kind == VERDICT_MARK) /* the mail goes on, so does the argument */
			mark = o;
		else if (o.kind != VERDICT_NONE)
			return verdict_of(o, phase, tally->score);
	}
	return verdict_of(mark, phase, tally->score);
}

struct verdict policy_judge_command(const struct policy *p, const struct facts *facts)
{
	struct tally none = { 0 };
	struct opinion o =
	    facts->trusted ? NO_OPINION : limits_commands(p, PHASE_HELO, facts, &none);

	return verdict_of(o, PHASE_HELO, 0);
}
