/* SPDX-License-Identifier: BSD-3-Clause */
/* Address lists: the verdict of each list in each phase, for both families, and the verified share. */
#include "address.h"
#include "fixture.h"
#include "overlay.h"

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

	policy_judge_syns(f->p, (const uint8_t(*)[16])c, 1, 0, &v);
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
	assert_null(policy_list_of(f.p, c, 0));
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
	policy_judge_syns(f.p, (const uint8_t(*)[16])c, 3, 0, v);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(v[i].kind, VERDICT_NONE);
	assert_null(policy_list_of(f.p, c[0], 0));
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
	policy_judge_syns(f.p, (const uint8_t(*)[16])c, N, 0, v);
	policy_judge_syns(f.p, (const uint8_t(*)[16])c, N, 0, again);
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
	assert_int_equal(
	    policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).kind, VERDICT_REFUSE);
	facts.overload_rung = 0;
	assert_int_equal(
	    policy_judge(f.p, PHASE_CONNECT, &facts, &(struct tally){ 0 }).kind, VERDICT_NONE);
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
		assert_int_equal(policy_judge(f.p, PHASE_RCPT, &facts, &(struct tally){ 0 }).kind,
		    tries[i].kind);
	}
	fixture_end(&f);
}

/* ---- what is said at run time ---- */

enum { NOW = 1700000000 };

struct spoken {
	struct fixture f;
	struct overlay *o;
};

static unsigned named_list(struct fixture *f, const char *name, enum verdict_kind verdict)
{
	struct policy_list list = {
		.verdict = (uint8_t)verdict, .reason = REASON_LISTED, .pool = -1
	};
	int r;

	assert_int_equal(image_writer_string(f->w, name, &list.name), 0);
	r = image_writer_list(f->w, &list);
	assert_true(r >= 0);
	return (unsigned)r;
}

/* Network 1 is compiled as friends, 2 as blocked, 3 as held; 4 and up are in no list. */
static void spoken_begin(struct spoken *s)
{
	static const uint8_t key[16] = "sixteen bytes...";

	fixture_begin(&s->f);
	list_network(&s->f, named_list(&s->f, "friends", VERDICT_PASS), true, 1);
	list_network(&s->f, named_list(&s->f, "blocked", VERDICT_REFUSE), true, 2);
	list_network(&s->f, named_list(&s->f, "held", VERDICT_TARPIT), true, 3);
	named_list(&s->f, "suspects", VERDICT_NONE);
	named_list(&s->f, "trial", VERDICT_DROP);
	image_writer_rule_at(s->f.w, image_writer_rule_of_list(s->f.w, 4))->state = RULE_SHADOW;
	image_writer_rule_at(s->f.w, image_writer_rule_of_list(s->f.w, 3))->weight = 250;
	fixture_open(&s->f);
	s->o = overlay_new(100, key);
	assert_non_null(s->o);
	assert_int_equal(overlay_list(s->o, "gone"), 1); /* numbers are not the policy's places */
	assert_int_equal(policy_attach_overlay(s->f.p, s->o), 0);
}

static void spoken_end(struct spoken *s)
{
	fixture_end(&s->f);
	overlay_free(s->o);
}

static void say(struct spoken *s, const char *list, enum verdict_kind ban, unsigned network,
    unsigned len, bool lifts)
{
	struct overlay_entry e = {
		.len = (uint8_t)len, .kind = (uint8_t)ban, .lifts = lifts, .expires_s = NOW + 60
	};

	client4(e.addr, (0x0a000001 | network << 16) & (uint32_t)(0xffffffffull << (32 - len)));
	if (*list)
		e.list = (uint8_t)overlay_list_find(s->o, list);
	assert_true(overlay_put(s->o, &e, NOW, NULL) >= 0);
}

static void expect_at(const struct spoken *s, unsigned network, uint32_t now_s,
    enum verdict_kind syn_kind, enum verdict_kind connect_kind, enum reason reason)
{
	struct facts facts = { .now_s = now_s };
	struct tally tally = { 0 };
	struct verdict v;

	client4(facts.client, 0x0a000001 | network << 16);
	policy_judge_syns(s->f.p, (const uint8_t(*)[16])facts.client, 1, now_s, &v);
	assert_int_equal(v.kind, syn_kind);
	assert_int_equal(v.reason, syn_kind == VERDICT_NONE ? REASON_NONE : reason);
	if (syn_kind == VERDICT_NONE) {
		assert_int_equal(v.rule, 0);
	} else { /* the rule that has the hit */
		const struct policy_rule *rule = policy_rule_by_id(s->f.p, v.rule);

		assert_non_null(rule);
		if (reason == REASON_BANNED)
			assert_ptr_equal(rule, policy_rule(s->f.p, CHECK_banned));
		else
			assert_int_equal(rule->kind, RULE_LIST);
	}
	v = policy_judge(s->f.p, PHASE_CONNECT, &facts, &tally);
	assert_int_equal(v.kind, connect_kind);
	assert_int_equal(v.reason, connect_kind == VERDICT_NONE ? REASON_NONE : reason);
}

static void expect(const struct spoken *s, unsigned network, enum verdict_kind syn_kind,
    enum verdict_kind connect_kind, enum reason reason)
{
	expect_at(s, network, NOW, syn_kind, connect_kind, reason);
}

static void test_run_time_entries(void **state)
{
	struct spoken s;

	(void)state;
	spoken_begin(&s);
	expect(&s, 2, VERDICT_REFUSE, VERDICT_REFUSE, REASON_LISTED);
	expect(&s, 4, VERDICT_NONE, VERDICT_NONE, REASON_NONE);
	say(&s, "blocked", 0, 4, 32, false); /* where nothing is compiled */
	expect(&s, 4, VERDICT_REFUSE, VERDICT_REFUSE, REASON_LISTED);
	expect_at(&s, 4, NOW + 60, VERDICT_NONE, VERDICT_NONE, REASON_NONE);
	say(&s, "blocked", 0, 1, 32, false); /* a compiled allow list wins */
	expect(&s, 1, VERDICT_PASS, VERDICT_PASS, REASON_ALLOWED);
	say(&s, "friends", 0, 2, 8, false); /* one of run time wins over what is more specific */
	expect(&s, 2, VERDICT_PASS, VERDICT_PASS, REASON_ALLOWED);
	expect(&s, 4, VERDICT_PASS, VERDICT_PASS, REASON_ALLOWED);
	assert_int_equal(overlay_remove(s.o, (uint8_t[16]){ [10] = 0xff, 0xff, 10 }, 8,
			     (unsigned)overlay_list_find(s.o, "friends")),
	    0);
	say(&s, "held", 0, 2, 16, false); /* a block of run time stands above a compiled one */
	expect(&s, 2, VERDICT_NONE, VERDICT_TARPIT, REASON_LISTED);
	spoken_end(&s);
}

static void test_lifted_listings(void **state)
{
	struct spoken s;

	(void)state;
	spoken_begin(&s);
	say(&s, "blocked", 0, 2, 32, true);
	expect(&s, 2, VERDICT_NONE, VERDICT_NONE, REASON_NONE);
	expect_at(&s, 2, NOW + 60, VERDICT_REFUSE, VERDICT_REFUSE, REASON_LISTED);
	say(&s, "blocked", 0, 3, 32, true); /* of another list: it holds */
	expect(&s, 3, VERDICT_NONE, VERDICT_TARPIT, REASON_LISTED);
	say(&s, "friends", 0, 1, 32, true); /* an exception lifted: what is said beside it counts */
	say(&s, "", VERDICT_DROP, 1, 24, false);
	expect(&s, 1, VERDICT_DROP, VERDICT_DROP, REASON_BANNED);
	spoken_end(&s);
}

static void test_bans(void **state)
{
	struct spoken s;
	struct facts facts = { .now_s = NOW, .rcpt = { "user@example.org", 16 } };
	struct tally tally = { 0 };

	(void)state;
	spoken_begin(&s);
	say(&s, "", VERDICT_REFUSE, 4, 24, false);
	expect(&s, 4, VERDICT_REFUSE, VERDICT_REFUSE, REASON_BANNED);
	say(&s, "", VERDICT_TARPIT, 5, 24, false);
	expect(&s, 5, VERDICT_NONE, VERDICT_TARPIT, REASON_BANNED);
	say(&s, "", VERDICT_TRAP, 1, 24, false); /* an allow list beats bans */
	expect(&s, 1, VERDICT_PASS, VERDICT_PASS, REASON_ALLOWED);
	client4(facts.client, 0x0a040001);
	assert_int_equal(policy_judge(s.f.p, PHASE_RCPT, &facts, &tally).kind, VERDICT_REFUSE);
	assert_int_equal(tally.n, 1);
	assert_int_equal(tally.hits[0] & RULE_ID_MASK, policy_rule(s.f.p, CHECK_banned)->id);
	spoken_end(&s);
}

static void test_run_time_entries_follow_their_list(void **state)
{
	struct spoken s;
	struct facts facts = { .now_s = NOW };
	struct tally tally = { 0 };

	(void)state;
	spoken_begin(&s);
	say(&s, "gone", 0, 4, 32, false); /* no list of this policy */
	expect(&s, 4, VERDICT_NONE, VERDICT_NONE, REASON_NONE);
	say(&s, "trial", 0, 4, 32, false); /* in shadow */
	expect(&s, 4, VERDICT_NONE, VERDICT_NONE, REASON_NONE);
	say(&s, "suspects", 0, 5, 32, false); /* only scores */
	client4(facts.client, 0x0a050001);
	assert_int_equal(policy_judge(s.f.p, PHASE_CONNECT, &facts, &tally).kind, VERDICT_NONE);
	assert_int_equal(tally.score, 250);
	spoken_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_phases),
		cmocka_unit_test(test_nothing_listed),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_share_under_overload),
		cmocka_unit_test(test_postmaster_is_reached),
		cmocka_unit_test(test_run_time_entries),
		cmocka_unit_test(test_lifted_listings),
		cmocka_unit_test(test_bans),
		cmocka_unit_test(test_run_time_entries_follow_their_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
