/* SPDX-License-Identifier: BSD-3-Clause */
/* What name servers said, judged: lists by row, rows that did not answer, names, HELO, sender, SPF. */
#include "fixture.h"

#include "checks.h"
#include "dns_judge.h"

enum { CLIENT = 0xc0000201 };

/* A row of the policy, and its rule. */
static void list(struct fixture *f, const char *name, int32_t weight, enum verdict_kind action,
    enum rule_state state, enum policy_dns_late late)
{
	struct policy_dns *dns = &image_writer_settings(f->w)->dns;
	struct policy_dns_list *to = &dns->lists[dns->n_lists];
	struct policy_rule rule = { .weight = weight,
		.reason = REASON_DNS_LISTED,
		.kind = RULE_DNS,
		.action = (uint8_t)action,
		.state = (uint8_t)state,
		.index = dns->n_lists };
	int r;

	assert_int_equal(image_writer_string(f->w, name, &rule.name), 0);
	assert_int_equal(image_writer_string(f->w, "dnsbl.example", &to->zone), 0);
	r = image_writer_rule(f->w, &rule);
	assert_true(r >= 0);
	to->rule = (uint32_t)r;
	to->late = (uint8_t)late;
	to->families = DNS_V4;
	to->timeout_ms = 3000;
	dns->n_lists++;
}

enum { SCORES, REFUSES, WHITE, IN_SHADOW, DEFERS_LATE, IS_OFF, N_LISTS };

static void begin(struct fixture *f)
{
	fixture_begin(f);
	list(f, "dns.scores", 150, VERDICT_NONE, RULE_ENFORCE, DNS_LATE_OPEN);
	list(f, "dns.refuses", 100, VERDICT_REFUSE, RULE_ENFORCE, DNS_LATE_OPEN);
	list(f, "dns.white", -200, VERDICT_PASS, RULE_ENFORCE, DNS_LATE_OPEN);
	list(f, "dns.shadow", 900, VERDICT_REFUSE, RULE_SHADOW, DNS_LATE_DEFER);
	list(f, "dns.late", 50, VERDICT_MARK, RULE_ENFORCE, DNS_LATE_DEFER);
	list(f, "dns.off", 900, VERDICT_REFUSE, RULE_OFF, DNS_LATE_DEFER);
}

static struct opinion judged(const struct fixture *f, enum phase phase, uint32_t listed,
    uint32_t known, uint32_t asked, bool trusted, struct tally *tally)
{
	struct facts facts = {
		.dns_listed = listed, .dns_known = known, .dns_asked = asked, .trusted = trusted
	};

	client4(facts.client, CLIENT);
	memset(tally, 0, sizeof(*tally));
	return dns_judge(f->p, phase, &facts, tally);
}

#define BIT(row) (1u << (row))

static void test_lists(void **state)
{
	static const struct {
		uint32_t listed;
		enum verdict_kind kind;
		int32_t score;
		unsigned hits;
	} rows[] = {
		{ 0, VERDICT_NONE, 0, 0 },
		{ BIT(SCORES), VERDICT_NONE, 150, 1 },
		{ BIT(REFUSES), VERDICT_REFUSE, 100, 1 },
		{ BIT(SCORES) | BIT(REFUSES), VERDICT_REFUSE, 250, 2 },
		{ BIT(DEFERS_LATE), VERDICT_MARK, 50, 1 },
		{ BIT(DEFERS_LATE) | BIT(REFUSES), VERDICT_REFUSE, 150, 2 },
		/* a white list ends it, whoever else names the client */
		{ BIT(WHITE), VERDICT_PASS, -200, 1 },
		{ BIT(REFUSES) | BIT(WHITE), VERDICT_PASS, -100, 2 },
		/* shadow is told and does nothing, off not even that */
		{ BIT(IN_SHADOW), VERDICT_NONE, 0, 1 },
		{ BIT(IS_OFF), VERDICT_NONE, 0, 0 },
		/* a row that the policy does not have */
		{ BIT(31), VERDICT_NONE, 0, 0 },
	};
	struct fixture f;
	struct tally tally;

	(void)state;
	begin(&f);
	fixture_open(&f);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned at = 0; at < 2; at++) {
			struct opinion o = judged(&f, at ? PHASE_CONNECT : PHASE_RCPT,
			    rows[i].listed, UINT32_MAX, BIT(N_LISTS) - 1, false, &tally);

			assert_int_equal(o.kind, rows[i].kind);
			assert_int_equal(tally.score, rows[i].score);
			assert_int_equal(tally.n, rows[i].hits);
			if (o.kind == VERDICT_REFUSE || o.kind == VERDICT_MARK)
				assert_int_equal(o.reason, REASON_DNS_LISTED);
		}
	assert_int_equal(judged(&f, PHASE_CONNECT, BIT(REFUSES), 0, 0, true, &tally).kind,
	    VERDICT_NONE); /* trusted: asked nothing */
	assert_int_equal(tally.n, 0);
	fixture_end(&f);
}

/* A list of kind backscatter is for bounces: who is on it may send other mail. */
static void test_backscatter(void **state)
{
	static const struct {
		enum phase phase;
		bool null_sender, answered;
		enum verdict_kind kind;
		int32_t score;
	} rows[] = {
		{ PHASE_CONNECT, false, true, VERDICT_NONE, 0 },
		{ PHASE_RCPT, false, true, VERDICT_NONE, 0 },
		{ PHASE_RCPT, false, false, VERDICT_NONE, 0 },
		{ PHASE_RCPT, true, true, VERDICT_REFUSE, 250 },
		{ PHASE_RCPT, true, false, VERDICT_DEFER, 0 },
	};
	struct fixture f;

	(void)state;
	fixture_begin(&f);
	list(&f, "dns.bounces", 250, VERDICT_REFUSE, RULE_ENFORCE, DNS_LATE_DEFER);
	image_writer_settings(f.w)->dns.lists[0].kind = DNS_LIST_BACKSCATTER;
	fixture_open(&f);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct facts facts = { .dns_asked = 1,
			.dns_listed = rows[i].answered,
			.dns_known = rows[i].answered,
			.null_sender = rows[i].null_sender };
		struct tally tally = { 0 };

		client4(facts.client, CLIENT);
		assert_int_equal(dns_judge(f.p, rows[i].phase, &facts, &tally).kind, rows[i].kind);
		assert_int_equal(tally.score, rows[i].score);
	}
	fixture_end(&f);
}

/* What has not answered by RCPT names nobody, and defers where the row says so. */
static void test_late(void **state)
{
	struct fixture f;
	struct tally tally;
	struct opinion o;

	(void)state;
	begin(&f);
	fixture_open(&f);
	o = judged(&f, PHASE_RCPT, 0, 0, BIT(SCORES) | BIT(REFUSES), false, &tally);
	assert_int_equal(o.kind, VERDICT_NONE);
	o = judged(&f, PHASE_RCPT, 0, 0, BIT(DEFERS_LATE), false, &tally);
	assert_int_equal(o.kind, VERDICT_DEFER);
	assert_int_equal(o.reason, REASON_DNS_LATE);
	assert_int_equal(tally.n, 0);
	/* at CONNECT it may still come */
	assert_int_equal(
	    judged(&f, PHASE_CONNECT, 0, 0, BIT(DEFERS_LATE), false, &tally).kind, VERDICT_NONE);
	/* it has answered, or was not asked */
	assert_int_equal(
	    judged(&f, PHASE_RCPT, 0, BIT(DEFERS_LATE), BIT(DEFERS_LATE), false, &tally).kind,
	    VERDICT_NONE);
	assert_int_equal(judged(&f, PHASE_RCPT, 0, 0, 0, false, &tally).kind, VERDICT_NONE);
	/* one in shadow, one that is off */
	assert_int_equal(
	    judged(&f, PHASE_RCPT, 0, 0, BIT(IN_SHADOW) | BIT(IS_OFF), false, &tally).kind,
	    VERDICT_NONE);
	/* another list's refusal is not made a deferral */
	assert_int_equal(judged(&f, PHASE_RCPT, BIT(REFUSES), BIT(REFUSES),
			     BIT(REFUSES) | BIT(DEFERS_LATE), false, &tally)
			     .kind,
	    VERDICT_REFUSE);
	fixture_end(&f);
}

#define TEXT(s)                                                                                    \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}

static void test_names(void **state)
{
	static const struct {
		check_fn *check;
		struct facts facts;
		bool hits;
	} rows[] = {
		{ check_host_missing, { .host = HOST_NONE }, true },
		{ check_host_missing, { .host = HOST_UNKNOWN }, false },
		{ check_host_missing, { .host = HOST_FAILED }, false },
		{ check_host_missing, { .host = HOST_UNCONFIRMED }, false },
		{ check_host_unconfirmed, { .host = HOST_UNCONFIRMED }, true },
		{ check_host_unconfirmed, { .host = HOST_FAILED }, false },
		{ check_host_unconfirmed, { .host = HOST_CONFIRMED }, false },
		{ check_host_generic, { .host = HOST_CONFIRMED, .host_generic = true }, true },
		{ check_host_generic, { .host = HOST_CONFIRMED }, false },
		{ check_host_generic, { .host = HOST_UNCONFIRMED, .host_generic = true }, false },
		{ check_helo_no_dot, { .helo = TEXT("desktop") }, true },
		{ check_helo_no_dot, { .helo = TEXT("mail.example.net") }, false },
		{ check_helo_no_dot, { .helo = TEXT("") }, false },
		{ check_helo_bare_address, { .helo = TEXT("192.0.2.1") }, true },
		{ check_helo_bare_address, { .helo = TEXT("[192.0.2.1]") }, false },
		{ check_helo_ours, { .helo = TEXT("MX.example.org") }, true },
		{ check_helo_ours, { .helo = TEXT("mx.example.net") }, false },
		{ check_helo_foreign_literal, { .helo = TEXT("[198.51.100.7]") }, true },
		{ check_helo_foreign_literal, { .helo = TEXT("[192.0.2.1]") }, false },
		{ check_helo_differs,
		    { .helo = TEXT("mail.example.com"),
			.host = HOST_CONFIRMED,
			.host_name = TEXT("out.example.net"),
			.host_org = 4 },
		    true },
		{ check_helo_differs,
		    { .helo = TEXT("mail.example.net"),
			.host = HOST_CONFIRMED,
			.host_name = TEXT("out.example.net"),
			.host_org = 4 },
		    false },
		{ check_helo_differs,
		    { .helo = TEXT("mail.example.com"),
			.host = HOST_UNCONFIRMED,
			.host_name = TEXT("out.example.net") },
		    false },
		{ check_sender_unknown, { .sender = SENDER_NONE }, true },
		{ check_sender_unknown, { .sender = SENDER_FAILED }, false },
		{ check_sender_unknown, { .sender = SENDER_UNKNOWN }, false },
		{ check_sender_null_mx, { .sender = SENDER_NULL_MX }, true },
		{ check_sender_null_mx, { .sender = SENDER_NONE }, false },
		{ check_sender_is_mx, { .sender = SENDER_EXISTS, .sender_is_mx = true }, true },
		{ check_sender_is_mx, { .sender = SENDER_EXISTS }, false },
		{ check_spf_fail, { .spf = FACT_SPF_FAIL }, true },
		{ check_spf_fail, { .spf = FACT_SPF_NONE }, false },
		{ check_spf_fail, { .spf = FACT_SPF_TEMPERROR }, false },
		{ check_spf_fail,
		    { .spf = FACT_SPF_FAIL,
			.host = HOST_CONFIRMED,
			.host_name = TEXT("Forward.example.net") },
		    false },
		{ check_spf_fail,
		    { .spf = FACT_SPF_FAIL,
			.host = HOST_UNCONFIRMED, /* anybody's claim */
			.host_name = TEXT("forward.example.net") },
		    true },
		{ check_spf_softfail, { .spf = FACT_SPF_SOFTFAIL }, true },
		{ check_spf_softfail, { .spf = FACT_SPF_FAIL }, false },
		{ check_spf_softfail,
		    { .spf = FACT_SPF_SOFTFAIL,
			.host = HOST_CONFIRMED,
			.host_name = TEXT("forward.example.net") },
		    false },
		{ check_spf_permerror, { .spf = FACT_SPF_PERMERROR }, true },
		{ check_spf_permerror, { .spf = FACT_SPF_TEMPERROR }, false },
		{ check_spf_pass, { .spf = FACT_SPF_PASS }, true },
		{ check_spf_pass, { .spf = FACT_SPF_NONE }, false },
		{ check_spf_pass, { .spf = FACT_SPF_UNKNOWN }, false },
	};
	struct policy_settings *s;
	struct fixture f;
	int set;

	(void)state;
	fixture_begin(&f);
	s = image_writer_settings(f.w);
	assert_int_equal(image_writer_string(f.w, "mx.example.org", &s->smtp.hostname), 0);
	set = image_writer_set(f.w);
	assert_true(set >= 0);
	s->dns.forwarders = (uint32_t)set;
	assert_int_equal(
	    image_writer_name(f.w, s->dns.forwarders, NAME_DOMAIN, "forward.example.net", 0), 0);
	fixture_open(&f);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct facts facts = rows[i].facts;

		client4(facts.client, CLIENT);
		client4(facts.server, 0xc0000219);
		if (rows[i].check(f.p, &facts) != rows[i].hits)
			fail_msg("row %u", i);
	}
	fixture_end(&f);
}

/* Without a set of forwarders none is excepted. */
static void test_no_forwarders(void **state)
{
	const struct facts facts = { .spf = FACT_SPF_FAIL,
		.host = HOST_CONFIRMED,
		.host_name = TEXT("forward.example.net") };
	struct fixture f;

	(void)state;
	fixture_begin(&f);
	fixture_open(&f);
	assert_true(check_spf_fail(f.p, &facts));
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_backscatter),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_forwarders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
