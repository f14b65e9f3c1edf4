/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of the chain: allow before all, lists before limits, and the same answer each time. */
#include "fixture.h"

static void begin(struct fixture *f)
{
	struct policy_limits *l;
	unsigned allow, drop;

	fixture_begin(f);
	allow = fixture_list(f, VERDICT_PASS, 0);
	drop = fixture_list(f, VERDICT_DROP, 0);
	image_writer_v4(f->w, allow, 0x0a010000, 16);
	image_writer_v4(f->w, drop, 0x0a000000, 8);
	l = &image_writer_settings(f->w)->limits;
	l->connections = l->commands = l->errors = 1;
	l->message_size = 1;
	fixture_open(f);
}

static struct facts over_all_limits(uint32_t client)
{
	struct facts facts = {
		.source_connections = 9,
		.commands = 9,
		.errors = 9,
		.declared_size = 9,
		.body_size = 9,
	};

	client4(facts.client, client);
	return facts;
}

static void test_allow_beats_limits(void **state)
{
	struct fixture f;
	struct facts facts = over_all_limits(0x0a010203);

	(void)state;
	begin(&f);
	assert_int_equal(
	    policy_judge(f.p, PHASE_SYN, &facts, &(struct tally){ 0 }).kind, VERDICT_PASS);
	assert_int_equal(
	    policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).kind, VERDICT_PASS);
	facts.trusted = true; /* as the session notes it */
	for (enum phase phase = PHASE_SYN; phase < PHASE_N; phase++) {
		struct verdict v = policy_judge(f.p, phase, &facts, &(struct tally){ .score = -5 });

		assert_int_equal(v.kind, VERDICT_PASS);
		assert_int_equal(v.reason, REASON_ALLOWED);
		assert_int_equal(v.phase, phase);
		assert_int_equal(v.score, -5);
	}
	assert_int_equal(policy_judge_command(f.p, &facts).kind, VERDICT_NONE);
	fixture_end(&f);
}

static void test_lists_before_limits(void **state)
{
	struct fixture f;
	struct facts facts = over_all_limits(0x0a020304);

	(void)state;
	begin(&f);
	assert_int_equal(
	    policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).kind, VERDICT_DROP);
	client4(facts.client, 0x0b000001);
	assert_int_equal(policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).reason,
	    REASON_CONNECTION_LIMIT);
	assert_int_equal(
	    policy_judge(f.p, PHASE_SYN, &facts, &(struct tally){ 0 }).kind, VERDICT_NONE);
	fixture_end(&f);
}

/* Commands without a phase of their own. */
static void test_any_command(void **state)
{
	struct fixture f;
	struct facts facts = { .commands = 1 };

	(void)state;
	begin(&f);
	assert_int_equal(policy_judge_command(f.p, &facts).kind, VERDICT_NONE);
	facts.commands = 2;
	assert_int_equal(policy_judge_command(f.p, &facts).reason, REASON_COMMAND_LIMIT);
	facts.errors = 1;
	assert_int_equal(policy_judge_command(f.p, &facts).reason, REASON_ERROR_LIMIT);
	fixture_end(&f);
}

static void test_reasons_table(void **state)
{
	(void)state;
	assert_true(REASON_N <= 256); /* a token carries it in a byte */
	for (unsigned i = 0; i < REASON_N; i++) {
		const struct reason_info *r = &reason_infos[i];
		bool said = r->code != 0;

		assert_true(r->name[0] && r->doc[0]);
		assert_int_equal(said, r->text[0] != 0);
		assert_int_equal(said, r->enhanced[0] != 0);
		if (said) /* P23: the enhanced code agrees with the reply's class */
			assert_int_equal(r->enhanced[0], '0' + r->code / 100);
	}
	for (unsigned i = 0; i < VERDICT_N_KINDS; i++)
		assert_non_null(verdict_words[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allow_beats_limits),
		cmocka_unit_test(test_lists_before_limits),
		cmocka_unit_test(test_any_command),
		cmocka_unit_test(test_reasons_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
