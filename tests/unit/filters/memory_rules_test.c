/* SPDX-License-Identifier: BSD-3-Clause */
/* What is remembered meets the policy: rates, recipients by file, bounces and their tags, states. */
#include "fixture.h"

#include "batv.h"
#include "memory.h"

#include <errno.h>

enum { DAY = 86400, NOW = 20454 * DAY };

static struct verdict judge(
    const struct fixture *f, enum phase phase, struct facts facts, struct tally *ret_tally)
{
	struct tally tally = { 0 };
	struct verdict v;

	client4(facts.client, 0xc0000201);
	facts.now_s = NOW;
	v = policy_judge(f->p, phase, &facts, &tally);
	if (ret_tally)
		*ret_tally = tally;
	return v;
}

static void test_rates(void **state)
{
	const struct policy_rate rate = { .subject = MEMORY_ADDRESS, .per_hour = 5 };
	struct verdict v;
	struct fixture f;
	struct tally t;
	int second;

	(void)state;
	fixture_begin(&f);
	assert_true(image_writer_rate(f.w, "slow", &rate) > 0);
	second = image_writer_rate(f.w, "shadowed", &rate);
	image_writer_rule_at(f.w, (unsigned)second)->state = RULE_SHADOW;
	fixture_open(&f);
	v = judge(&f, PHASE_MAIL, (struct facts){ .rates_over = 1 }, NULL);
	assert_int_equal(v.kind, VERDICT_DEFER);
	assert_int_equal(v.reason, REASON_RATE);
	assert_int_equal(
	    judge(&f, PHASE_CONNECT, (struct facts){ .rates_over = 1 }, NULL).kind, VERDICT_DEFER);
	assert_int_equal(
	    judge(&f, PHASE_MAIL, (struct facts){ .rates_over = 2 }, &t).kind, VERDICT_NONE);
	assert_int_equal(t.n, 1);
	assert_int_equal(
	    judge(&f, PHASE_MAIL, (struct facts){ .rates_over = 4 }, &t).kind, VERDICT_NONE);
	assert_int_equal(t.n, 0);
	fixture_end(&f);
}

/* A limit at once is a rate with a reason of its own: the sender's, or the recipient's. */
static void test_at_once(void **state)
{
	const struct policy_rate sender = { .subject = MEMORY_SENDER, .at_once = 5 };
	const struct policy_rate bounces = { .subject = MEMORY_BOUNCES, .at_once = 1 };
	const struct policy_rate address = { .subject = MEMORY_ADDRESS, .at_once = 1 };
	struct image_part parts[IMAGE_MAX_PARTS];
	const char *error = "";
	struct policy *p;
	struct verdict v;
	struct fixture f;
	unsigned n;

	(void)state;
	fixture_begin(&f);
	assert_true(image_writer_rate(f.w, "crowd", &sender) > 0);
	assert_true(image_writer_rate(f.w, "bounces", &bounces) > 0);
	fixture_open(&f);
	v = judge(&f, PHASE_MAIL, (struct facts){ .rates_over = 1 }, NULL);
	assert_int_equal(v.kind, VERDICT_DEFER);
	assert_int_equal(v.reason, REASON_SENDER_AT_ONCE);
	v = judge(&f, PHASE_RCPT, (struct facts){ .rates_over = 2 }, NULL);
	assert_int_equal(v.reason, REASON_RECIPIENT_AT_ONCE);
	fixture_end(&f);

	fixture_begin(&f); /* of an address: nothing would count it */
	image_writer_rate(f.w, "wrong", &address);
	assert_int_equal(image_writer_finish(f.w, parts, &n, &error), 0);
	assert_int_equal(policy_open(parts, n, 1, &p, &error), -EBADMSG);
	assert_string_equal(error, "policy: a rate is out of range");
	fixture_end(&f);
}

static void test_too_many_rates(void **state)
{
	const struct policy_rate rate = { .per_hour = 5 };
	struct fixture f;
	char name[16];

	(void)state;
	fixture_begin(&f);
	for (unsigned i = 0; i < POLICY_MAX_RATES; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		assert_true(image_writer_rate(f.w, name, &rate) > 0);
	}
	assert_int_equal(image_writer_rate(f.w, "more", &rate), -E2BIG);
	fixture_open(&f);
	fixture_end(&f);
}

static enum reason to(const struct fixture *f, const char *sender, const char *rcpt)
{
	return judge(f, PHASE_RCPT,
	    (struct facts){ .mail = text_of(sender), .null_sender = !*sender, .rcpt = text_of(rcpt) },
	    NULL)
	    .reason;
}

static void test_recipients(void **state)
{
	struct fixture f;
	int domains, names;

	(void)state;
	fixture_begin(&f);
	domains = image_writer_set(f.w);
	names = image_writer_set(f.w);
	image_writer_name(f.w, (unsigned)domains, NAME_DOMAIN, "example.org", 0);
	image_writer_name(f.w, (unsigned)names, NAME_ADDRESS, "user@example.org", 0);
	assert_int_equal(image_writer_recipients(f.w, (unsigned)domains, (unsigned)names), 0);
	fixture_open(&f);
	assert_int_equal(to(&f, "a@example.net", "User@Example.org"), REASON_NONE);
	assert_int_equal(to(&f, "a@example.net", "nobody@example.org"), REASON_UNKNOWN_RECIPIENT);
	assert_int_equal(to(&f, "a@example.net", "nobody@example.com"), REASON_NONE);
	assert_int_equal(to(&f, "a@example.net", "Postmaster@example.org"), REASON_NONE);
	assert_int_equal(to(&f, "", "prvs=0123abcdef=user@example.org"), REASON_NONE);
	assert_int_equal(to(&f, "", "prvs=0123abcdef=nobody@example.org"), REASON_UNKNOWN_RECIPIENT);
	fixture_end(&f);
}

static void test_bounces(void **state)
{
	struct policy_memory *m;
	char tag[11], path[64];
	struct fixture f;
	struct tally t;
	int domains;

	(void)state;
	fixture_begin(&f);
	m = &image_writer_settings(f.w)->memory;
	domains = image_writer_set(f.w);
	image_writer_name(f.w, (unsigned)domains, NAME_DOMAIN, "example.org", 0);
	m->has_batv = 1;
	m->batv_domains = (uint32_t)domains;
	m->n_batv_keys = 1;
	m->batv_keys[0] = (struct policy_batv_key){ .number = 4, .len = 6, .secret = "secret" };
	fixture_open(&f);
	batv_tag(&policy_settings(f.p)->memory.batv_keys[0], NOW / DAY + 3,
	    text_of("user@example.org"), tag);
	snprintf(path, sizeof(path), "prvs=%s=user@example.org", tag);
	assert_int_equal(to(&f, "", path), REASON_NONE);
	path[13] ^= 1;
	assert_int_equal(to(&f, "", path), REASON_BOUNCE_UNSIGNED);
	assert_int_equal(to(&f, "", "user@example.org"), REASON_BOUNCE_UNSIGNED);
	assert_int_equal(to(&f, "", "postmaster@example.org"), REASON_NONE);
	assert_int_equal(to(&f, "", "user@example.com"), REASON_NONE);
	assert_int_equal(to(&f, "a@example.net", "user@example.org"), REASON_NONE);
	judge(&f, PHASE_RCPT,
	    (struct facts){
		.null_sender = true, .rcpts_accepted = 1, .rcpt = text_of("u@a.example") },
	    &t);
	assert_int_equal(t.score, 200); /* a second recipient */
	judge(&f, PHASE_RCPT, (struct facts){ .null_sender = true, .rcpt = text_of("u@a.example") },
	    &t);
	assert_int_equal(t.score, 0);
	fixture_end(&f);
}

static void test_checks(void **state)
{
	static const struct {
		enum phase phase;
		uint8_t memory;
		int32_t score;
	} rows[] = {
		{ PHASE_CONNECT, MEMORY_HARVESTS, 300 },
		{ PHASE_RCPT, MEMORY_HARVESTS, 300 },
		{ PHASE_RCPT, MEMORY_SPREAD | MEMORY_NO_SUCH, 150 },
		{ PHASE_RCPT, MEMORY_KNOWN, 0 },
		{ PHASE_MAIL, MEMORY_UNUSUAL, 100 },
		{ PHASE_MAIL, MEMORY_UNUSUAL | MEMORY_IN_ALL, 0 },
	};
	struct fixture f;
	struct tally t;

	(void)state;
	fixture_begin(&f);
	image_writer_rule_at(f.w, CHECK_unusual_internal)->state = RULE_ENFORCE;
	fixture_open(&f);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		judge(&f, rows[i].phase, (struct facts){ .memory = rows[i].memory }, &t);
		assert_int_equal(t.score, rows[i].score);
	}
	assert_int_equal(
	    judge(&f, PHASE_RCPT, (struct facts){ .memory = MEMORY_UNUSUAL | MEMORY_IN_ALL }, NULL).kind,
	    VERDICT_DEFER);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_too_many_rates),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_bounces),
		cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
