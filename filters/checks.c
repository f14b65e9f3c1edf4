/* SPDX-License-Identifier: BSD-3-Clause */
/* The built-in checks: the table made of checks.def, and the simplest judges. See checks.h. */
#include "checks.h"

#include "memory_rules.h"

#include "dns_judge.h"

#define IN(phase) (1u << (phase))

static const struct {
	check_fn *hits;
	unsigned phases;
} checks[CHECK_N] = {
#define POLICY_CHECK(name, judge, phases, reason, weight, action, state, doc)                      \
	[CHECK_##name] = { judge, phases },
#include "checks.def"
#undef POLICY_CHECK
};

bool check_talked_early(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->talked_early;
}

bool check_pipelined_early(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->pipelined_early;
}

/* Asked with the address lists (address.c), whose look-up finds it; never here. */
bool check_banned(const struct policy *p, const struct facts *facts)
{
	(void)p, (void)facts;
	return false;
}

bool check_non_smtp(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->non_smtp;
}

bool check_bare_command(const struct policy *p, const struct facts *facts)
{
	(void)p;
	return facts->bare_command;
}

void checks_open(struct policy *p)
{
	_Static_assert(CHECK_N <= 64, "a bit a check");
	for (unsigned i = 0; i < CHECK_N; i++)
		for (unsigned phase = 0; phase < PHASE_N; phase++)
			if ((checks[i].phases & IN(phase)) && p->rules[i].state != RULE_OFF)
				p->checks[phase] |= 1ull << i;
}

struct opinion checks_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	struct opinion gravest = NO_OPINION;

	for (uint64_t left = p->checks[phase]; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		const struct policy_rule *rule = &p->rules[i];

		if (!checks[i].hits(p, facts))
			continue;
		if (tally_hit(p, tally, facts, phase, i) && rule->action > gravest.kind)
			gravest = (struct opinion){ rule->action, rule->reason };
	}
	return gravest;
}
