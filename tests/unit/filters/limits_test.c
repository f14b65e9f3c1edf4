/* SPDX-License-Identifier: BSD-3-Clause */
/* Each limit at its bound, one past it, and switched off. */
#include "fixture.h"

struct row {
	const char *name;
	enum phase phase;
	enum verdict_kind kind;
	enum reason reason;
	size_t limit_at, limit_size; /* in struct policy_limits */
	void (*set)(struct facts *f, uint32_t n);
	uint32_t last_good; /* with a limit of 10 */
};

static void set_connections(struct facts *f, uint32_t n)
{
	f->source_connections = n;
}

static void set_prefix(struct facts *f, uint32_t n)
{
	f->prefix_connections = n;
}

static void set_rate(struct facts *f, uint32_t n)
{
	f->source_rate = n;
}

static void set_commands(struct facts *f, uint32_t n)
{
	f->commands = n;
}

static void set_errors(struct facts *f, uint32_t n)
{
	f->errors = n;
}

static void set_messages(struct facts *f, uint32_t n)
{
	f->messages = n;
}

static void set_rcpts(struct facts *f, uint32_t n)
{
	f->rcpts_accepted = n;
}

static void set_null_rcpts(struct facts *f, uint32_t n)
{
	f->null_sender = true;
	f->rcpts_accepted = n;
}

static void set_declared(struct facts *f, uint32_t n)
{
	f->declared_size = n;
}

static void set_body(struct facts *f, uint32_t n)
{
	f->body_size = n;
}

#define LIMIT(field)                                                                               \
	offsetof(struct policy_limits, field), sizeof(((struct policy_limits *)0)->field)

static const struct row rows[] = {
	{ "connections", PHASE_CONNECT, VERDICT_DEFER, REASON_CONNECTION_LIMIT, LIMIT(connections),
	    set_connections, 10 },
	{ "prefix", PHASE_CONNECT, VERDICT_DEFER, REASON_PREFIX_LIMIT, LIMIT(prefix_connections),
	    set_prefix, 10 },
	{ "rate", PHASE_CONNECT, VERDICT_DEFER, REASON_CONNECTION_RATE, LIMIT(connection_rate),
	    set_rate, 10 },
	{ "commands", PHASE_HELO, VERDICT_DEFER, REASON_COMMAND_LIMIT, LIMIT(commands),
	    set_commands, 10 },
	{ "commands", PHASE_DATA, VERDICT_DEFER, REASON_COMMAND_LIMIT, LIMIT(commands),
	    set_commands, 10 },
	{ "errors", PHASE_MAIL, VERDICT_DEFER, REASON_ERROR_LIMIT, LIMIT(errors), set_errors, 9 },
	{ "errors", PHASE_RCPT, VERDICT_DEFER, REASON_ERROR_LIMIT, LIMIT(errors), set_errors, 9 },
	{ "messages", PHASE_MAIL, VERDICT_DEFER, REASON_MESSAGE_LIMIT, LIMIT(messages),
	    set_messages, 9 },
	{ "recipients", PHASE_RCPT, VERDICT_DEFER, REASON_RECIPIENT_LIMIT, LIMIT(recipients),
	    set_rcpts, 9 },
	{ "null recipients", PHASE_RCPT, VERDICT_DEFER, REASON_RECIPIENT_LIMIT,
	    LIMIT(null_recipients), set_null_rcpts, 9 },
	{ "SIZE", PHASE_MAIL, VERDICT_REFUSE, REASON_MESSAGE_SIZE, LIMIT(message_size),
	    set_declared, 10 },
	{ "body", PHASE_BODY, VERDICT_REFUSE, REASON_MESSAGE_SIZE, LIMIT(message_size), set_body,
	    10 },
};

static void check_row(const struct row *row, uint32_t limit, uint32_t count, bool good)
{
	struct facts facts = { .client = { 0x20, 0x01, 0x0d, 0xb8 } };
	struct fixture f;
	struct verdict v;
	uint8_t *at;

	fixture_begin(&f);
	at = (uint8_t *)&image_writer_settings(f.w)->limits + row->limit_at;
	image_writer_rule_at(f.w, CHECK_bounce_recipients)->weight = 0;
	memcpy(at, &limit, sizeof(limit)); /* the low half of a 64-bit limit, too */
	fixture_open(&f);
	row->set(&facts, count);
	v = policy_judge(f.p, row->phase, &facts, &(struct tally){ .score = 123 });
	if (v.kind != (good ? VERDICT_NONE : row->kind))
		fail_msg("%s: %u with a limit of %u: %s", row->name, count, limit,
		    verdict_words[v.kind]);
	assert_int_equal(v.reason, good ? REASON_NONE : row->reason);
	assert_int_equal(v.phase, row->phase);
	assert_int_equal(v.score, 123);
	fixture_end(&f);
}

static void test_bounds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check_row(&rows[i], 10, 0, true);
		check_row(&rows[i], 10, rows[i].last_good, true);
		check_row(&rows[i], 10, rows[i].last_good + 1, false);
		check_row(&rows[i], 10, UINT32_MAX, false);
		check_row(&rows[i], 0, UINT32_MAX, true); /* no limit */
	}
}

/* Each limit is asked in its phases only. */
static void test_other_phases(void **state)
{
	struct facts facts = {
		.source_connections = 100,
		.prefix_connections = 100,
		.source_rate = 100,
		.messages = 100,
		.rcpts_accepted = 100,
	};
	struct policy_limits *l;
	struct fixture f;

	(void)state;
	fixture_begin(&f);
	l = &image_writer_settings(f.w)->limits;
	l->connections = l->prefix_connections = l->connection_rate = l->messages = 1;
	l->recipients = 1;
	fixture_open(&f);
	assert_int_equal(
	    policy_judge(f.p, PHASE_HELO, &facts, &(struct tally){ 0 }).kind, VERDICT_NONE);
	assert_int_equal(
	    policy_judge(f.p, PHASE_DATA, &facts, &(struct tally){ 0 }).kind, VERDICT_NONE);
	assert_int_equal(
	    policy_judge(f.p, PHASE_BODY, &facts, &(struct tally){ 0 }).kind, VERDICT_NONE);
	assert_int_equal(policy_judge(f.p, PHASE_MAIL, &facts, &(struct tally){ 0 }).reason,
	    REASON_MESSAGE_LIMIT);
	assert_int_equal(policy_judge(f.p, PHASE_RCPT, &facts, &(struct tally){ 0 }).reason,
	    REASON_RECIPIENT_LIMIT);
	fixture_end(&f);
}

/* The ladder's second rung turns strangers away, and nobody else. */
static void test_overload(void **state)
{
	struct fixture f;
	struct facts facts = { .overload_rung = 1 };

	(void)state;
	fixture_begin(&f);
	fixture_open(&f);
	assert_int_equal(
	    policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).kind, VERDICT_NONE);
	facts.overload_rung = 2;
	assert_int_equal(
	    policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).reason, REASON_OVERLOAD);
	assert_int_equal(
	    policy_judge(f.p, PHASE_MAIL, &facts, &(struct tally){ 0 }).kind, VERDICT_NONE);
	facts.good_history = true;
	assert_int_equal(
	    policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).kind, VERDICT_NONE);
	facts.good_history = false;
	facts.trusted = true;
	assert_int_equal(
	    policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).kind, VERDICT_PASS);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_other_phases),
		cmocka_unit_test(test_overload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
