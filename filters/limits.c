/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits by number (struct policy_limits; 0: no limit). What a count holds decides the comparison:
 * connections and commands include the one being judged, so the limit may be reached and the next
 * one is too many; errors, messages and accepted recipients are those before it, so at the limit
 * this one is too many. All of them defer (421, 452), as RFC 5321 4.5.3.1.10 and 7.8 have it, save a
 * message over the size, which no later try makes smaller (552, RFC 1870 6).
 */
#include "limits.h"

static bool above(uint64_t count, uint64_t limit)
{
	return limit && count > limit;
}

static struct opinion defer(enum reason reason)
{
	return (struct opinion){ VERDICT_DEFER, reason };
}

struct opinion limits_connections(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	const struct policy_limits *l = &p->settings->limits;

	(void)phase, (void)tally;
	if (facts->overload_rung >= 2 && !facts->good_history) /* dataplane/overload.h */
		return defer(REASON_OVERLOAD);
	if (above(facts->source_connections, l->connections))
		return defer(REASON_CONNECTION_LIMIT);
	if (above(facts->prefix_connections, l->prefix_connections))
		return defer(REASON_PREFIX_LIMIT);
	if (above(facts->source_rate, l->connection_rate))
		return defer(REASON_CONNECTION_RATE);
	return NO_OPINION;
}

struct opinion limits_commands(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	const struct policy_limits *l = &p->settings->limits;

	(void)phase, (void)tally;
	if (above((uint64_t)facts->errors + 1, l->errors))
		return defer(REASON_ERROR_LIMIT);
	if (above(facts->commands, l->commands))
		return defer(REASON_COMMAND_LIMIT);
	return NO_OPINION;
}

struct opinion limits_transaction(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally)
{
	const struct policy_limits *l = &p->settings->limits;
	uint64_t next_rcpt = (uint64_t)facts->rcpts_accepted + 1;

	(void)tally;
	if (phase == PHASE_MAIL && above((uint64_t)facts->messages + 1, l->messages))
		return defer(REASON_MESSAGE_LIMIT);
	if (phase == PHASE_RCPT && above(next_rcpt, l->recipients))
		return defer(REASON_RECIPIENT_LIMIT);
	if (phase == PHASE_RCPT && facts->null_sender && above(next_rcpt, l->null_recipients))
		return defer(REASON_RECIPIENT_LIMIT);
	if ((phase == PHASE_MAIL && above(facts->declared_size, l->message_size)) ||
	    (phase == PHASE_BODY && above(facts->body_size, l->message_size)))
		return (struct opinion){ VERDICT_REFUSE, REASON_MESSAGE_SIZE };
	return NO_OPINION;
}
