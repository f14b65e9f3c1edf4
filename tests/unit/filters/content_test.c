/* SPDX-License-Identifier: BSD-3-Clause */
/* What patterns found as verdicts: lines in their own phases, messages in parts and whole. */
#include "content.h"
#include "fixture.h"

enum { REFUSES, DEFERS, SCORES, GOOD, SHADOWED, N_RULES };

struct rig {
	struct fixture f;
	unsigned row[N_RULES];
	struct facts facts;
	struct tally tally;
	struct content lines[CONTENT_N_LINES], message;
};

static unsigned add_rule(struct rig *r, const char *name, struct policy_rule rule)
{
	rule.kind = RULE_PATTERN;
	rule.reason = REASON_PATTERN;
	assert_int_equal(image_writer_string(r->f.w, name, &rule.name), 0);
	return (unsigned)image_writer_rule(r->f.w, &rule);
}

static void rig_begin(struct rig *r)
{
	struct policy_settings *s;

	memset(r, 0, sizeof(*r));
	fixture_begin(&r->f);
	r->row[REFUSES] = add_rule(
	    r, "patterns.refuses", (struct policy_rule){ .action = VERDICT_REFUSE, .weight = 100 });
	r->row[DEFERS] =
	    add_rule(r, "patterns.defers", (struct policy_rule){ .action = VERDICT_DEFER });
	r->row[SCORES] = add_rule(r, "patterns.scores", (struct policy_rule){ .weight = 300 });
	r->row[GOOD] = add_rule(r, "patterns.good", (struct policy_rule){ .weight = -400 });
	r->row[SHADOWED] = add_rule(r, "patterns.shadowed",
	    (struct policy_rule){ .action = VERDICT_REFUSE, .weight = 900, .state = RULE_SHADOW });
	s = image_writer_settings(r->f.w);
	s->score = (struct policy_score){
		.mark = INT32_MAX, .defer = INT32_MAX, .refuse = 500, .tarpit = INT32_MAX
	};
	s->patterns.on_failure = VERDICT_DEFER;
	client4(r->facts.client, 0xc0000201);
	r->facts.rcpt = text_of("user@example.org");
}

static void put(struct content *c, const struct rig *r, unsigned rule, unsigned flags)
{
	c->rules[c->n++] = (uint16_t)(r->row[rule] | flags);
}

static struct verdict at(struct rig *r, enum phase phase)
{
	return policy_judge_lines(r->f.p, phase, &r->facts, r->lines, &r->tally);
}

static struct verdict body(struct rig *r, bool partial)
{
	r->message.partial = partial;
	return policy_judge_content(r->f.p, &r->facts, &r->message, &r->tally);
}

static void test_helo(void **state)
{
	struct rig r;
	struct verdict v;

	(void)state;
	rig_begin(&r);
	fixture_open(&r.f);
	put(&r.lines[CONTENT_HELO], &r, REFUSES, CONTENT_LINES);
	assert_int_equal(at(&r, PHASE_HELO).kind, VERDICT_NONE);
	assert_int_equal(r.tally.score, 100);
	assert_int_equal(r.tally.transaction, 0);
	assert_int_equal(at(&r, PHASE_MAIL).kind, VERDICT_NONE);
	v = at(&r, PHASE_RCPT);
	assert_int_equal(v.kind, VERDICT_REFUSE);
	assert_int_equal(v.reason, REASON_PATTERN_ENVELOPE);
	assert_int_equal(v.phase, PHASE_RCPT);
	r.facts.rcpt = text_of("Postmaster");
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_NONE);
	/* once, and for the session */
	assert_int_equal(r.tally.n, 1);
	assert_int_equal(r.tally.score, 100);
	tally_forget_transaction(&r.tally);
	assert_int_equal(r.tally.n, 1);
	fixture_end(&r.f);
}

static void test_sender(void **state)
{
	struct policy_rule pass = { .kind = RULE_ACCESS, .action = VERDICT_PASS };
	struct policy_access access = { .kind = ACCESS_RECIPIENT, .except = POLICY_NO_SET };
	struct rig r;

	(void)state;
	rig_begin(&r);
	fixture_open(&r.f);
	put(&r.lines[CONTENT_SENDER], &r, DEFERS, CONTENT_LINES);
	assert_int_equal(at(&r, PHASE_MAIL).kind, VERDICT_DEFER);
	assert_int_equal(at(&r, PHASE_MAIL).reason, REASON_PATTERN_DEFERRED);
	put(&r.lines[CONTENT_SENDER], &r, REFUSES, CONTENT_LINES);
	assert_int_equal(at(&r, PHASE_MAIL).kind, VERDICT_REFUSE);
	assert_int_equal(r.tally.transaction, 100);
	fixture_end(&r.f);

	/* an access rule may except a recipient: the sender waits for it */
	rig_begin(&r);
	assert_int_equal(image_writer_string(r.f.w, "access.pass", &pass.name), 0);
	access.rule = (uint32_t)image_writer_rule(r.f.w, &pass);
	access.set = (uint16_t)image_writer_set(r.f.w);
	assert_int_equal(
	    image_writer_name(r.f.w, access.set, NAME_ADDRESS, "abuse@example.org", 0), 0);
	assert_true(image_writer_access(r.f.w, &access) >= 0);
	fixture_open(&r.f);
	put(&r.lines[CONTENT_SENDER], &r, REFUSES, CONTENT_LINES);
	assert_int_equal(at(&r, PHASE_MAIL).kind, VERDICT_NONE);
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_REFUSE);
	r.facts.rcpt = text_of("abuse@example.org");
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_PASS);
	fixture_end(&r.f);
}

static void test_recipient(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r);
	fixture_open(&r.f);
	put(&r.lines[CONTENT_HELO], &r, GOOD, CONTENT_LINES);
	at(&r, PHASE_HELO);
	put(&r.lines[CONTENT_RCPT], &r, REFUSES, CONTENT_LINES);
	put(&r.lines[CONTENT_RCPT], &r, SHADOWED, CONTENT_LINES);
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_REFUSE);
	assert_int_equal(r.tally.n, 3);
	assert_int_equal(r.tally.score, -300);
	/* it is gone with its recipient; what is the client's stays */
	content_forget_rcpt(r.f.p, &r.tally, 1);
	assert_int_equal(r.tally.n, 1);
	assert_int_equal(r.tally.score, -400);
	assert_int_equal(r.tally.transaction, 0);
	r.lines[CONTENT_RCPT].n = 0;
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_NONE);
	/* the score counts at RCPT */
	put(&r.lines[CONTENT_RCPT], &r, SCORES, CONTENT_LINES);
	r.tally.score = 200;
	assert_int_equal(at(&r, PHASE_RCPT).reason, REASON_SCORE);
	content_forget_rcpt(r.f.p, &r.tally, 9); /* the transaction was forgotten meanwhile */
	assert_int_equal(r.tally.n, 2);
	fixture_end(&r.f);
}

static void test_who_is_spared(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r);
	fixture_open(&r.f);
	put(&r.lines[CONTENT_RCPT], &r, SHADOWED, CONTENT_LINES);
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_NONE);
	assert_int_equal(r.tally.n, 1);
	assert_int_equal(r.tally.score, 0);
	put(&r.lines[CONTENT_RCPT], &r, REFUSES, CONTENT_LINES);
	r.facts.pass_all = true;
	r.lines[CONTENT_RCPT].failed = true;
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_NONE);
	assert_int_equal(r.tally.n, 2);
	r.facts.pass_all = false;
	r.facts.trusted = true;
	memset(&r.tally, 0, sizeof(r.tally));
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_PASS);
	assert_int_equal(r.tally.n, 0);
	fixture_end(&r.f);
}

static void test_failed(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r);
	fixture_open(&r.f);
	r.lines[CONTENT_HELO].failed = true; /* told where its action would be */
	assert_int_equal(at(&r, PHASE_HELO).kind, VERDICT_NONE);
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_DEFER);
	assert_int_equal(at(&r, PHASE_RCPT).reason, REASON_PATTERNS_FAILED);
	put(&r.lines[CONTENT_RCPT], &r, REFUSES, CONTENT_LINES);
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_REFUSE);
	r.message.failed = true;
	assert_int_equal(body(&r, false).reason, REASON_PATTERNS_FAILED);
	fixture_end(&r.f);
}

/* The action holds without room in the tally, and the weight is the message's end's. */
static void test_full_tally(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r);
	fixture_open(&r.f);
	r.tally.n = TALLY_MAX;
	put(&r.lines[CONTENT_RCPT], &r, REFUSES, CONTENT_LINES);
	assert_int_equal(at(&r, PHASE_RCPT).kind, VERDICT_REFUSE);
	assert_true(r.tally.full);
	assert_int_equal(r.tally.score, 0);
	r.message = r.lines[CONTENT_RCPT];
	assert_int_equal(body(&r, true).kind, VERDICT_NONE);
	assert_int_equal(r.tally.score, 100);
	body(&r, false);
	assert_int_equal(r.tally.score, 100);
	fixture_end(&r.f);
}

static void test_message(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r);
	fixture_open(&r.f);
	/* a line has had its say, and counts once */
	put(&r.lines[CONTENT_HELO], &r, REFUSES, CONTENT_LINES);
	at(&r, PHASE_HELO);
	r.message = r.lines[CONTENT_HELO];
	assert_int_equal(body(&r, false).kind, VERDICT_NONE);
	assert_int_equal(r.tally.score, 100);
	/* what the message holds acts */
	r.message.n = 0;
	put(&r.message, &r, DEFERS, 0);
	assert_int_equal(body(&r, true).kind, VERDICT_NONE); /* something may yet refuse */
	assert_int_equal(body(&r, false).kind, VERDICT_DEFER);
	assert_int_equal(body(&r, false).reason, REASON_PATTERN_DEFERRED);
	put(&r.message, &r, REFUSES, 0);
	assert_int_equal(body(&r, true).kind, VERDICT_REFUSE);
	assert_int_equal(body(&r, false).reason, REASON_PATTERN);
	/* the score waits */
	r.message.n = 0;
	put(&r.message, &r, SCORES, 0);
	r.tally.score += 100;
	assert_int_equal(body(&r, true).kind, VERDICT_MARK);
	assert_int_equal(body(&r, false).reason, REASON_SCORE);
	put(&r.message, &r, GOOD, 0);
	assert_int_equal(body(&r, false).kind, VERDICT_NONE);
	fixture_end(&r.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_recipient),
		cmocka_unit_test(test_who_is_spared),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_full_tally),
		cmocka_unit_test(test_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
