/* SPDX-License-Identifier: BSD-3-Clause */
/* Address lists: the verdict of each list in each phase, for both families, and the verified share. */
#include "address.h"
#include "fixture.h"

static void client(uint8_t out[16], bool v4, unsigned network)
{
	if (v4)
		client4(out, 0x0a000001 | network << 16);
	else
		client6(out, (uint16_t)network, 1);
}

static void list_network(struct fixture *f, unsigned list, bool v4, unsigned network)
{
	uint8_t a[16];

	client(a, v4, network);
	assert_int_equal(image_writer_prefix(f->w, list, a, v4 ? 16 : 48), 0);
}

static struct verdict syn(const struct fixture *f, const uint8_t c[16])
{
	struct verdict v;

	policy_judge_syns(f->p, (const uint8_t(*)[16])c, 1, &v);
	return v;
}

static struct verdict judge(const struct fixture *f, enum phase phase, const uint8_t c[16])
{
	struct facts facts = { .rcpt = { "user@example.org", 16 } };

	memcpy(facts.client, c, 16);
	return policy_judge(f->p, phase, &facts, &(struct tally){ 0 });
}

static const struct {
	enum verdict_kind list;
	unsigned share;
	enum verdict_kind at_syn, at_connect, at_rcpt;
} rows[] = {
	{ VERDICT_PASS, 0, VERDICT_PASS, VERDICT_PASS, VERDICT_PASS },
	{ VERDICT_REFUSE, 0, VERDICT_REFUSE, VERDICT_REFUSE, VERDICT_REFUSE },
	{ VERDICT_REFUSE, 100, VERDICT_NONE, VERDICT_NONE, VERDICT_REFUSE },
	{ VERDICT_TARPIT, 0, VERDICT_NONE, VERDICT_TARPIT, VERDICT_NONE },
	{ VERDICT_DROP, 0, VERDICT_DROP, VERDICT_DROP, VERDICT_NONE },
	{ VERDICT_RESET, 100, VERDICT_RESET, VERDICT_RESET, VERDICT_NONE }, /* share: refuse only */
	{ VERDICT_TRAP, 0, VERDICT_TRAP, VERDICT_TRAP, VERDICT_NONE },
};
enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static void check_phases(bool v4)
{
	struct fixture f;
	uint8_t c[16];

	fixture_begin(&f);
	for (unsigned i = 0; i < N_ROWS; i++)
		list_network(&f, fixture_list(&f, rows[i].list, rows[i].share), v4, i + 1);
	fixture_open(&f);
	for (unsigned i = 0; i < N_ROWS; i++) {
		struct verdict v;

		client(c, v4, i + 1);
		v = syn(&f, c);
		assert_int_equal(v.kind, rows[i].at_syn);
		assert_int_equal(v.phase, PHASE_SYN);
		assert_int_equal(v.reason, v.kind == VERDICT_NONE   ? REASON_NONE
					   : v.kind == VERDICT_PASS ? REASON_ALLOWED
								    : REASON_LISTED);
		/* asked alone, the same answer */
		assert_int_equal(judge(&f, PHASE_SYN, c).kind, rows[i].at_syn);
		v = judge(&f, PHASE_CONNECT, c);
		assert_int_equal(v.kind, rows[i].at_connect);
		assert_int_equal(v.phase, PHASE_CONNECT);
		v = judge(&f, PHASE_RCPT, c);
		assert_int_equal(v.kind, rows[i].at_rcpt);
		if (v.kind == VERDICT_REFUSE) {
			assert_int_equal(v.reason, REASON_LISTED_VERIFIED);
			assert_int_equal(reason_infos[v.reason].code, 550);
		}
		assert_int_equal(judge(&f, PHASE_HELO, c).kind, VERDICT_NONE);
	}
	client(c, v4, 99); /* not listed */
	assert_int_equal(syn(&f, c).kind, VERDICT_NONE);
	assert_int_equal(judge(&f, PHASE_CONNECT, c).kind, VERDICT_NONE);
	assert_null(policy_list_of(f.p, c));
	fixture_end(&f);
}

static void test_phases(void **state)
{
	(void)state;
	check_phases(true);
	check_phases(false);
}

static void test_nothing_listed(void **state)
{
	struct fixture f;
	struct verdict v[3];
	uint8_t c[3][16] = { { 0 } };

	(void)state;
	fixture_begin(&f);
	fixture_list(&f, VERDICT_DROP, 0); /* a list without entries */
	fixture_open(&f);
	memset(v, 0xff, sizeof(v));
	policy_judge_syns(f.p, (const uint8_t(*)[16])c, 3, v);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(v[i].kind, VERDICT_NONE);
	assert_null(policy_list_of(f.p, c[0]));
	fixture_end(&f);
}

/* The share is of sources, steady for each, and near what was asked. */
static void check_share(bool v4, unsigned share)
{
	enum { N = 4096 };
	static uint8_t c[N][16];
	static struct verdict v[N], again[N];
	unsigned verified = 0;
	struct fixture f;

	fixture_begin(&f);
	list_network(&f, fixture_list(&f, VERDICT_REFUSE, share), v4, 5);
	fixture_open(&f);
	for (unsigned i = 0; i < N; i++) {
		client(c[i], v4, 5);
		c[i][14] = (uint8_t)(i >> 8);
		c[i][15] = (uint8_t)i;
	}
	policy_judge_syns(f.p, (const uint8_t(*)[16])c, N, v);
	policy_judge_syns(f.p, (const uint8_t(*)[16])c, N, again);
	assert_memory_equal(v, again, sizeof(v));
	for (unsigned i = 0; i < N; i++) {
		verified += v[i].kind == VERDICT_NONE;
		/* CONNECT agrees with SYN; either way nobody gets a message through */
		assert_int_equal(judge(&f, PHASE_CONNECT, c[i]).kind, v[i].kind);
		assert_int_equal(judge(&f, PHASE_RCPT, c[i]).kind, VERDICT_REFUSE);
	}
	if (share == 0 || share == 100)
		assert_int_equal(verified, N * share / 100);
	else
		assert_in_range(verified, N * (share - 4) / 100, N * (share + 4) / 100);
	fixture_end(&f);
}

static void test_share(void **state)
{
	(void)state;
	for (unsigned share = 0; share <= 100; share += 25) {
		check_share(true, share);
		check_share(false, share);
	}
}

static void test_share_under_overload(void **state)
{
	struct facts facts = { .overload_rung = 1 };
	struct fixture f;

	(void)state;
	fixture_begin(&f);
	list_network(&f, fixture_list(&f, VERDICT_REFUSE, 100), true, 5);
	fixture_open(&f);
	client(facts.client, true, 5);
	assert_int_equal(policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).kind, VERDICT_REFUSE);
	facts.overload_rung = 0;
	assert_int_equal(policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).kind, VERDICT_NONE);
	fixture_end(&f);
}

/* RFC 5321 4.5.1: who is listed by mistake can say so. */
static void test_postmaster_is_reached(void **state)
{
	static const struct {
		const char *rcpt;
		enum verdict_kind kind;
	} tries[] = { { "postmaster@example.org", VERDICT_NONE }, { "PostMaster", VERDICT_NONE },
		{ "postmaster2@example.org", VERDICT_REFUSE }, { "postmas", VERDICT_REFUSE },
		{ "a@postmaster", VERDICT_REFUSE }, { "", VERDICT_REFUSE } };
	struct fixture f;

	(void)state;
	fixture_begin(&f);
	list_network(&f, fixture_list(&f, VERDICT_REFUSE, 100), true, 5);
	fixture_open(&f);
	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct facts facts = { .rcpt = text_of(tries[i].rcpt) };

		client(facts.client, true, 5);
		assert_int_equal(policy_judge(f.p, PHASE_RCPT, &facts, &(struct tally){ 0 }).kind, tries[i].kind);
	}
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_phases),
		cmocka_unit_test(test_nothing_listed),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_share_under_overload),
		cmocka_unit_test(test_postmaster_is_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
