/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sum of the weights against the thresholds (struct policy_score). Judged where a refusal can
 * be told well: at CONNECT, before anything was spent on the client; at RCPT, where sender and
 * recipient are known for the log; and when the body has been seen. HELO and MAIL only add to it.
 * The postmaster hears of mistakes (RFC 5321 4.5.1), so no score keeps mail from there at RCPT.
 */
#include "score.h"

#include "address.h"

struct opinion score_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	const struct policy_score *s = &p->settings->score;
	int32_t score = tally->score;

	if (facts->trusted || facts->pass_all)
		return NO_OPINION;
	if (phase == PHASE_RCPT && address_is_postmaster(facts->rcpt))
		return NO_OPINION;
	if (phase == PHASE_CONNECT && score >= s->tarpit)
		return (struct opinion){ VERDICT_TARPIT, REASON_SCORE };
	if (score >= s->refuse)
		return (struct opinion){ VERDICT_REFUSE, REASON_SCORE };
	if (score >= s->defer)
		return (struct opinion){ VERDICT_DEFER, REASON_SCORE_DEFERRED };
	if (score >= s->mark)
		return (struct opinion){ VERDICT_MARK, REASON_SCORE };
	return NO_OPINION;
}
