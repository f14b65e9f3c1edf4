/* SPDX-License-Identifier: BSD-3-Clause */
/* Access rules: the published precedence, exceptions, hidden hosts, expiry. */
#include "fixture.h"

static unsigned add_access(struct fixture *f, enum access_kind kind, enum verdict_kind action,
    const char *entry, const char *except)
{
	static const enum reason reasons[] = { REASON_ACCESS_HOST, REASON_ACCESS_SENDER,
		REASON_ACCESS_RECIPIENT, REASON_ACCESS_PAIR };
	struct policy_rule rule = {
		.kind = RULE_ACCESS,
		.action = (uint8_t)action,
		.reason = (uint16_t)reasons[kind],
	};
	struct policy_access access = { .kind = (uint8_t)kind, .except = POLICY_NO_SET };
	char text[NAMES_MAX_LEN + 1], name[64];
	enum name_kind form;
	static unsigned serial;

	snprintf(name, sizeof(name), "access.r%u", serial++);
	assert_int_equal(image_writer_string(f->w, name, &rule.name), 0);
	access.rule = (uint32_t)image_writer_rule(f->w, &rule);
	access.set = (uint16_t)image_writer_set(f->w);
	assert_null(nameset_read(entry, kind == ACCESS_PAIR, &form, text));
	assert_int_equal(image_writer_name(f->w, access.set, form, text, 1000), 0);
	if (except) {
		access.except = (uint16_t)image_writer_set(f->w);
		assert_null(nameset_read(except, kind == ACCESS_PAIR, &form, text));
		assert_int_equal(image_writer_name(f->w, access.except, form, text, 0), 0);
	}
	assert_true(image_writer_access(f->w, &access) >= 0);
	return access.rule;
}

static struct verdict ask(
    struct fixture *f, const char *host, const char *sender, const char *rcpt, uint32_t now_s)
{
	struct facts facts = {
		.host_name = text_of(host),
		.mail = text_of(sender),
		.rcpt = text_of(rcpt),
		.now_s = now_s,
	};
	struct tally t = { 0 };

	client4(facts.client, 0x0a000001);
	return policy_judge(f->p, PHASE_RCPT, &facts, &t);
}

static void test_precedence(void **state)
{
	struct fixture f;

	(void)state;
	fixture_begin(&f);
	add_access(&f, ACCESS_PAIR, VERDICT_REFUSE, "* b@y.example", NULL);
	add_access(&f, ACCESS_RECIPIENT, VERDICT_DEFER, "b@y.example", NULL);
	add_access(&f, ACCESS_SENDER, VERDICT_REFUSE, "x.example", "good@x.example");
	add_access(&f, ACCESS_HOST, VERDICT_REFUSE, ".dialup.example", NULL);
	fixture_open(&f);
	assert_int_equal(ask(&f, "a.dialup.example", "s@x.example", "b@y.example", 1).reason,
	    REASON_ACCESS_HOST);
	assert_int_equal(ask(&f, "", "s@x.example", "b@y.example", 1).reason, REASON_ACCESS_SENDER);
	assert_int_equal(
	    ask(&f, "", "s@z.example", "b@y.example", 1).reason, REASON_ACCESS_RECIPIENT);
	assert_int_equal(ask(&f, "", "s@z.example", "b@y.example", 1).kind, VERDICT_DEFER);
	assert_int_equal(ask(&f, "", "s@z.example", "c@y.example", 1).kind, VERDICT_NONE);
	/* the exception of a rule is not meant by it */
	assert_int_equal(ask(&f, "", "Good@X.example", "c@y.example", 1).kind, VERDICT_NONE);
	/* entries end */
	assert_int_equal(ask(&f, "", "s@x.example", "b@y.example", 1000).kind, VERDICT_NONE);
	fixture_end(&f);
}

static void test_pass_wins(void **state)
{
	struct fixture f;
	unsigned refuse;
	struct facts facts = { .mail = text_of("s@x.example"), .rcpt = text_of("abuse@y.example") };
	struct tally t = { 0 };

	(void)state;
	fixture_begin(&f);
	refuse = fixture_list(&f, VERDICT_REFUSE, 100);
	image_writer_v4(f.w, refuse, 0x0a000001, 32);
	add_access(&f, ACCESS_HOST, VERDICT_REFUSE, "*", NULL);
	add_access(&f, ACCESS_RECIPIENT, VERDICT_PASS, "abuse@", NULL);
	image_writer_settings(f.w)->limits.commands = 5;
	fixture_open(&f);
	client4(facts.client, 0x0a000001);
	assert_int_equal(policy_judge(f.p, PHASE_RCPT, &facts, &t).reason, REASON_EXCEPTED);
	facts.commands = 6; /* what protects us still does */
	assert_int_equal(policy_judge(f.p, PHASE_RCPT, &facts, &t).reason, REASON_COMMAND_LIMIT);
	facts.commands = 1;
	facts.rcpt = text_of("other@y.example");
	assert_int_equal(policy_judge(f.p, PHASE_RCPT, &facts, &t).reason, REASON_LISTED_VERIFIED);
	fixture_end(&f);
}

/* A block is met by what is hidden in an address; a pass is not opened by it. */
static void test_hidden(void **state)
{
	struct fixture f;

	(void)state;
	fixture_begin(&f);
	add_access(&f, ACCESS_RECIPIENT, VERDICT_REFUSE, "boss@y.example", NULL);
	add_access(&f, ACCESS_SENDER, VERDICT_PASS, "friend@x.example", NULL);
	fixture_open(&f);
	assert_int_equal(
	    ask(&f, "", "s@x.example", "boss%y.example@z.example", 1).kind, VERDICT_REFUSE);
	assert_int_equal(ask(&f, "", "s@x.example", "\"boss\"@Y.example", 1).kind, VERDICT_REFUSE);
	assert_int_equal(
	    ask(&f, "", "s@x.example", "@r.example:boss@y.example", 1).kind, VERDICT_REFUSE);
	assert_int_equal(ask(&f, "", "friend@x.example", "boss@y.example", 1).kind, VERDICT_PASS);
	assert_int_equal(
	    ask(&f, "", "friend%x.example@evil.example", "boss@y.example", 1).kind, VERDICT_REFUSE);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_pass_wins),
		cmocka_unit_test(test_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
