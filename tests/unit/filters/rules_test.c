/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules: states and shares, the tally that a session keeps, numbers that survive a reload. */
#include "fixture.h"

#include "rules.h"

static unsigned add_rule(struct fixture *f, const char *name, int32_t weight,
    enum verdict_kind action, enum rule_state state, unsigned share)
{
	struct policy_rule rule = {
		.weight = weight,
		.reason = REASON_SCORE,
		.kind = RULE_PATTERN,
		.action = (uint8_t)action,
		.state = (uint8_t)state,
		.share = (uint8_t)share,
	};
	int r;

	assert_int_equal(image_writer_string(f->w, name, &rule.name), 0);
	r = image_writer_rule(f->w, &rule);
	assert_true(r >= (int)CHECK_N);
	return (unsigned)r;
}

static void test_states(void **state)
{
	struct fixture f;
	struct facts facts = { 0 };
	struct tally t = { 0 };
	unsigned on, off, shadow;

	(void)state;
	fixture_begin(&f);
	on = add_rule(&f, "patterns.on", 150, VERDICT_NONE, RULE_ENFORCE, 0);
	off = add_rule(&f, "patterns.off", 150, VERDICT_REFUSE, RULE_OFF, 0);
	shadow = add_rule(&f, "patterns.shadow", 150, VERDICT_REFUSE, RULE_SHADOW, 0);
	fixture_open(&f);
	assert_true(tally_hit(f.p, &t, &facts, PHASE_CONNECT, on));
	assert_false(tally_hit(f.p, &t, &facts, PHASE_CONNECT, off));
	assert_false(tally_hit(f.p, &t, &facts, PHASE_CONNECT, shadow));
	assert_int_equal(t.n, 2);
	assert_int_equal(t.score, 150);
	assert_int_equal(t.hits[0], policy_rule(f.p, on)->id);
	assert_int_equal(t.hits[1], policy_rule(f.p, shadow)->id | RULE_ID_SHADOW);
	assert_ptr_equal(policy_rule_by_id(f.p, t.hits[0]), policy_rule(f.p, on));
	/* once a session, though it still says what it is for */
	assert_true(tally_hit(f.p, &t, &facts, PHASE_HELO, on));
	assert_int_equal(t.n, 2);
	assert_int_equal(t.score, 150);
	fixture_end(&f);
}

static void test_pass_all(void **state)
{
	struct fixture f;
	struct facts facts = { .pass_all = true };
	struct tally t = { 0 };
	unsigned on;

	(void)state;
	fixture_begin(&f);
	on = add_rule(&f, "patterns.on", 150, VERDICT_REFUSE, RULE_ENFORCE, 0);
	fixture_open(&f);
	assert_false(tally_hit(f.p, &t, &facts, PHASE_CONNECT, on));
	assert_int_equal(t.score, 0);
	assert_true(t.hits[0] & RULE_ID_SHADOW);
	fixture_end(&f);
}

static void test_share(void **state)
{
	struct fixture f;
	struct facts facts = { 0 };
	unsigned tenth, other, n = 0, both = 0;

	(void)state;
	fixture_begin(&f);
	tenth = add_rule(&f, "patterns.tenth", 1, VERDICT_NONE, RULE_ENFORCE, 10);
	other = add_rule(&f, "patterns.other", 1, VERDICT_NONE, RULE_ENFORCE, 10);
	fixture_open(&f);
	for (uint32_t i = 0; i < 10000; i++) {
		struct tally t = { 0 };
		bool a, b;

		client4(facts.client, 0x0a000000 + i * 7);
		a = tally_hit(f.p, &t, &facts, PHASE_CONNECT, tenth);
		b = tally_hit(f.p, &t, &facts, PHASE_CONNECT, other);
		assert_int_equal(t.n, 2); /* those outside are shadow */
		n += a;
		both += a && b;
	}
	assert_in_range(n, 850, 1150);
	assert_in_range(both, 50, 160); /* a tenth of the tenth: other clients */
	fixture_end(&f);
}

static void test_transaction(void **state)
{
	struct fixture f;
	struct facts facts = { 0 };
	struct tally t = { 0 };
	unsigned a, b;

	(void)state;
	fixture_begin(&f);
	a = add_rule(&f, "patterns.a", 100, VERDICT_NONE, RULE_ENFORCE, 0);
	b = add_rule(&f, "patterns.b", 30, VERDICT_NONE, RULE_ENFORCE, 0);
	fixture_open(&f);
	tally_hit(f.p, &t, &facts, PHASE_MAIL, b);
	tally_hit(f.p, &t, &facts, PHASE_CONNECT, a);
	assert_int_equal(t.score, 130);
	tally_forget_transaction(&t);
	assert_int_equal(t.score, 100);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.hits[0], policy_rule(f.p, a)->id);
	tally_forget_transaction(&t);
	assert_int_equal(t.score, 100);
	fixture_end(&f);
}

/* What an event tells of a session: each rule once, the highest score; or those in shadow alone. */
static void test_told(void **state)
{
	struct tally told = { 0 }, full = { .n = TALLY_MAX };
	struct tally low = { .score = -50, .n = 2, .hits = { 1, 2 | RULE_ID_SHADOW } };
	struct tally high = { .score = 300, .n = 2, .hits = { 3, 1 | RULE_ID_TRANSACTION } };

	(void)state;
	tally_tell(&told, &low, true);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.score, 0);
	told = (struct tally){ 0 };
	tally_tell(&told, &low, false);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.score, -50);
	tally_tell(&told, &high, false);
	assert_int_equal(told.n, 3);
	assert_int_equal(told.hits[2], 3);
	assert_int_equal(told.score, 300);
	tally_tell(&told, &low, false);
	assert_int_equal(told.n, 3);
	assert_int_equal(told.score, 300);
	tally_tell(&full, &high, false);
	assert_int_equal(full.n, TALLY_MAX);
}

static void test_bound(void **state)
{
	struct fixture f;
	struct facts facts = { 0 };
	struct tally t = { 0 };
	unsigned first = 0;
	char name[32];

	(void)state;
	fixture_begin(&f);
	for (unsigned i = 0; i <= TALLY_MAX; i++) {
		snprintf(name, sizeof(name), "patterns.p%u", i);
		first = i == 0 ? add_rule(&f, name, 1, VERDICT_NONE, RULE_ENFORCE, 0)
			       : (add_rule(&f, name, 1, VERDICT_NONE, RULE_ENFORCE, 0), first);
	}
	fixture_open(&f);
	for (unsigned i = 0; i < TALLY_MAX; i++)
		assert_true(tally_hit(f.p, &t, &facts, PHASE_CONNECT, first + i));
	assert_false(t.full);
	assert_false(tally_hit(f.p, &t, &facts, PHASE_CONNECT, first + TALLY_MAX));
	assert_true(t.full);
	assert_int_equal(t.score, TALLY_MAX);
	fixture_end(&f);
}

static void test_numbers_survive(void **state)
{
	struct fixture f;
	unsigned a, id;

	(void)state;
	fixture_begin(&f);
	a = add_rule(&f, "patterns.a", 1, VERDICT_NONE, RULE_ENFORCE, 0);
	fixture_open(&f);
	id = policy_rule(f.p, a)->id;
	fixture_end(&f);
	fixture_begin(&f);
	add_rule(&f, "patterns.before", 1, VERDICT_NONE, RULE_ENFORCE, 0);
	a = add_rule(&f, "patterns.a", 1, VERDICT_NONE, RULE_ENFORCE, 0);
	fixture_open(&f);
	assert_int_equal(policy_rule(f.p, a)->id, id);
	assert_null(policy_rule_by_id(f.p, 0));
	fixture_end(&f);
}

/* A list that only scores, one in shadow, and the thresholds behind them. */
static void test_lists_and_score(void **state)
{
	struct fixture f;
	struct facts facts = { .rcpt = text_of("user@example.org") };
	struct tally t = { 0 };
	uint8_t clients[2][16];
	struct verdict v, syn[2];
	unsigned scores, shadow;

	(void)state;
	fixture_begin(&f);
	scores = fixture_list(&f, VERDICT_NONE, 0);
	shadow = fixture_list(&f, VERDICT_DROP, 0);
	image_writer_rule_at(f.w, image_writer_rule_of_list(f.w, scores))->weight = 400;
	image_writer_rule_at(f.w, image_writer_rule_of_list(f.w, shadow))->state = RULE_SHADOW;
	image_writer_v4(f.w, scores, 0x0a000001, 32);
	image_writer_v4(f.w, shadow, 0x0a000002, 32);
	image_writer_settings(f.w)->score.mark = 300;
	image_writer_settings(f.w)->score.refuse = 500;
	fixture_open(&f);
	client4(clients[0], 0x0a000001);
	client4(clients[1], 0x0a000002);
	policy_judge_syns(f.p, (const uint8_t(*)[16])clients, 2, 0, syn);
	assert_int_equal(syn[0].kind, VERDICT_NONE);
	assert_int_equal(syn[1].kind, VERDICT_NONE);

	memcpy(facts.client, clients[0], 16);
	v = policy_judge(f.p, PHASE_CONNECT, &facts, &t);
	assert_int_equal(v.kind, VERDICT_MARK);
	assert_int_equal(v.score, 400);
	facts.talked_early = true; /* 300 more */
	v = policy_judge(f.p, PHASE_CONNECT, &facts, &t);
	assert_int_equal(v.kind, VERDICT_REFUSE);
	assert_int_equal(v.reason, REASON_SCORE);
	facts.rcpt = text_of("postmaster@example.org");
	assert_int_equal(policy_judge(f.p, PHASE_RCPT, &facts, &t).kind, VERDICT_NONE);

	memset(&t, 0, sizeof(t));
	facts.talked_early = false;
	memcpy(facts.client, clients[1], 16);
	assert_int_equal(policy_judge(f.p, PHASE_CONNECT, &facts, &t).kind, VERDICT_NONE);
	assert_int_equal(t.n, 1);
	assert_true(t.hits[0] & RULE_ID_SHADOW);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_pass_all),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_transaction),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_numbers_survive),
		cmocka_unit_test(test_lists_and_score),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
