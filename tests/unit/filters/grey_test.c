/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the greylist's fact meets the policy: score, exempt recipients, traps, states. */
#include "fixture.h"

static struct policy_grey *begin(struct fixture *f, int32_t from_score)
{
	static const char *const names[] = { "urgent@example.org", "trap@example.org",
		"spam@example.org" };
	struct policy_grey *g;

	fixture_begin(f);
	assert_int_equal(image_writer_greylist(f->w), 0);
	g = &image_writer_settings(f->w)->grey;
	g->from_score = from_score;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(image_writer_name(f->w,
				     i == 0   ? g->exempt
				     : i == 1 ? g->greytraps
					      : g->spamtraps,
				     NAME_ADDRESS, names[i], 0),
		    0);
	return g;
}

static struct verdict judged(
    const struct fixture *f, enum fact_grey grey, const char *rcpt, int32_t score)
{
	struct facts facts = { .grey = grey, .rcpt = { rcpt, (uint16_t)strlen(rcpt) } };
	struct tally tally = { .score = score };

	client4(facts.client, 0xc0000201);
	return policy_judge(f->p, PHASE_RCPT, &facts, &tally);
}

static void test_by_fact(void **state)
{
	static const struct {
		enum fact_grey grey;
		enum verdict_kind kind;
		enum reason reason;
	} rows[] = {
		{ GREY_UNASKED, VERDICT_NONE, REASON_NONE },
		{ GREY_FIRST, VERDICT_GREY, REASON_GREYLISTED },
		{ GREY_EARLY, VERDICT_GREY, REASON_GREYLISTED },
		{ GREY_PASSED, VERDICT_NONE, REASON_NONE },
		{ GREY_WHITE, VERDICT_NONE, REASON_NONE },
		{ GREY_TRAP, VERDICT_REFUSE, REASON_GREYTRAPPED },
	};
	struct fixture f;

	(void)state;
	begin(&f, 0);
	fixture_open(&f);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = judged(&f, rows[i].grey, "u@example.org", 0);

		assert_int_equal(v.kind, rows[i].kind);
		assert_int_equal(v.reason, rows[i].reason);
		/* they need not wait, and no trap closes their door */
		assert_int_equal(
		    judged(&f, rows[i].grey, "Urgent@example.org", 0).kind, VERDICT_NONE);
		assert_int_equal(judged(&f, rows[i].grey, "Postmaster", 0).kind, VERDICT_NONE);
		assert_int_equal(
		    judged(&f, rows[i].grey, "spam@example.org", 0).reason, REASON_SPAMTRAP);
	}
	assert_int_equal(judged(&f, GREY_FIRST, "trap@example.org", 0).reason, REASON_GREYTRAPPED);
	assert_int_equal(judged(&f, GREY_PASSED, "trap@example.org", 0).reason, REASON_GREYTRAPPED);
	assert_int_equal(judged(&f, GREY_WHITE, "trap@example.org", 0).kind, VERDICT_NONE);
	fixture_end(&f);
}

static void test_by_score(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 150);
	fixture_open(&f);
	assert_int_equal(judged(&f, GREY_FIRST, "u@example.org", 149).kind, VERDICT_NONE);
	assert_int_equal(judged(&f, GREY_FIRST, "u@example.org", 150).kind, VERDICT_GREY);
	/* a trap is one at any score */
	assert_int_equal(judged(&f, GREY_FIRST, "trap@example.org", 0).kind, VERDICT_REFUSE);
	fixture_end(&f);
}

static void test_score_refuses_first(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	image_writer_settings(f.w)->score.refuse = 500;
	fixture_open(&f);
	assert_int_equal(judged(&f, GREY_FIRST, "u@example.org", 500).reason, REASON_SCORE);
	fixture_end(&f);
}

static void test_states(void **state)
{
	struct policy_grey *g;
	struct fixture f;

	(void)state;
	g = begin(&f, 0);
	image_writer_rule_at(f.w, g->rule)->state = RULE_SHADOW;
	image_writer_rule_at(f.w, g->rule_trapped)->state = RULE_OFF;
	image_writer_rule_at(f.w, g->rule_spamtrap)->action = VERDICT_NONE;
	fixture_open(&f);
	assert_int_equal(judged(&f, GREY_FIRST, "u@example.org", 0).kind, VERDICT_NONE);
	assert_int_equal(judged(&f, GREY_TRAP, "u@example.org", 0).kind, VERDICT_NONE);
	assert_int_equal(judged(&f, GREY_WHITE, "spam@example.org", 0).kind, VERDICT_NONE);
	fixture_end(&f);
}

static void test_no_greylist(void **state)
{
	struct fixture f;

	(void)state;
	fixture_begin(&f);
	fixture_open(&f);
	assert_int_equal(judged(&f, GREY_FIRST, "u@example.org", 9999).kind, VERDICT_NONE);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_fact),
		cmocka_unit_test(test_by_score),
		cmocka_unit_test(test_score_refuses_first),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_no_greylist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
