/* SPDX-License-Identifier: BSD-3-Clause */
/* MLD: reports at start, answers to queries, their form and their rate. */
#include "lab.h"

static const struct ip_addr all_nodes = { { 0xff, 2, [15] = 1 } };
static const struct ip_addr mld2_routers = { { 0xff, 2, [15] = 0x16 } };
static const struct ip_addr router = { { 0xfe, 0x80, [15] = 1 } };

static struct ip_addr group(unsigned low)
{
	struct ip_addr g = { { 0xff, 2, [11] = 1, [12] = 0xff } };
	g.b[15] = (uint8_t)low;
	return g;
}

/* The MLD message in frame i and its length; NULL: it is none. Its wrapping is checked. */
static const uint8_t *message(struct lab *l, unsigned i, const struct ip_addr *src,
    unsigned *ret_len, struct ip_addr *ret_dst)
{
	const struct frame *f = &l->out.tx[i];
	const uint8_t *p = f->data + 14;

	if (rd16(f->data + 12) != ETH_TYPE_IP6 || p[6] != PROTO_HOPOPT)
		return NULL;
	static const uint8_t alert[8] = { 58, 0, 5, 2, 0, 0, 1, 0 };
	unsigned len = rd16(p + 4) - 8u;
	assert_int_equal(f->len, 14 + 40 + 8 + len);
	assert_int_equal(p[7], 1); /* hop limit */
	assert_memory_equal(p + 40, alert, 8);
	assert_memory_equal(p + 8, src->b, 16);
	assert_int_equal(rd16(f->data), 0x3333);
	assert_memory_equal(f->data + 2, p + 36, 4);
	assert_int_equal(
	    csum_fold(csum_add(csum_pseudo6(p + 8, p + 24, 58, len), p + 48, len)), 0xffff);
	*ret_dst = ip_addr_from_v6(p + 24);
	*ret_len = len;
	return p + 48;
}

static unsigned reports(struct lab *l, unsigned type, unsigned mode)
{
	static const struct ip_addr unspecified;
	struct ip_addr dst, g10 = group(10);
	unsigned n = 0, len;

	for (unsigned i = 0; i < l->out.n_tx; i++) {
		const uint8_t *p = message(l, i, &unspecified, &len, &dst);
		if (!p || p[0] != type)
			continue;
		n++;
		if (type == MLD1_REPORT) {
			assert_int_equal(len, 24);
			assert_true(ip_addr_eq(&dst, &g10));
			assert_memory_equal(p + 8, g10.b, 16);
			continue;
		}
		assert_true(ip_addr_eq(&dst, &mld2_routers));
		assert_int_equal(rd16(p + 6), 1);
		assert_int_equal(len, 8 + 20);
		assert_int_equal(p[8], mode);
		assert_int_equal(rd32(p + 8) & 0xffffff, 0); /* no auxiliary data, no sources */
		assert_memory_equal(p + 12, g10.b, 16);
	}
	return n;
}

struct query {
	struct ip_addr src, dst, about;
	unsigned len, code; /* of the message; Max Response Code */
	uint8_t hop_limit, alert;
};

static struct query general(void)
{
	return (struct query){ router, all_nodes, { { 0 } }, 28, 0, 1, 5 };
}

static void ask(struct lab *l, struct query q)
{
	struct frame f = lab_frame(l);
	uint8_t *p = f.data;

	p[0] = p[1] = 0x33;
	memcpy(p + 2, q.dst.b + 12, 4);
	memcpy(p + 6, lab_gateway_mac, 6);
	wr16(p + 12, ETH_TYPE_IP6);
	p = ip_write(p + 14, false, &q.src, &q.dst, PROTO_HOPOPT, 8 + q.len, q.hop_limit, true);
	memcpy(p, (const uint8_t[8]){ 58, 0, q.alert, 2, 0, 0, 1, 0 }, 8);
	p += 8;
	memset(p, 0, q.len);
	p[0] = MLD_QUERY;
	wr16(p + 4, (uint16_t)q.code);
	if (q.len >= 24)
		memcpy(p + 8, q.about.b, 16);
	st16(p + 2, csum_finish(csum_add(csum_pseudo6(q.src.b, q.dst.b, 58, q.len), p, q.len)));
	f.len = (uint16_t)(14 + 40 + 8 + q.len);
	lab_in(l, &f, 1);
}

static struct lab *unsettled(bool follower)
{
	struct stack_config c;

	lab_config(&c);
	c.neigh_follower = follower;
	return lab_new_with(&c, false, false);
}

static void reported_at_start_and_once_more(void **state)
{
	struct lab *l = unsettled(false);
	unsigned n = 0;
	(void)state;

	lab_turn(l);
	assert_int_equal(reports(l, MLD2_REPORT, 4), 1);
	static const struct ip_addr unspecified;
	struct ip_addr dst;
	unsigned len;
	assert_non_null(message(l, 0, &unspecified, &len, &dst)); /* before DAD's solicitation */
	lab_out_free(l);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(stack_next_deadline(l->st) <= l->now + 1000000000u);
		l->now += 100000000u;
		lab_turn(l);
		n += reports(l, MLD2_REPORT, 4);
		lab_out_free(l);
		if (i == 9)
			assert_int_equal(n, 1);
		if (i > 30)
			break;
	}
	assert_int_equal(n, 1);
	lab_free(l);
}

static void a_follower_is_silent(void **state)
{
	struct lab *l = unsettled(true);
	(void)state;

	lab_turn(l);
	ask(l, general());
	l->now += 2000000000u;
	lab_turn(l);
	assert_int_equal(l->counters[STACK_mld_tx], 0);
	lab_free(l);
}

static void no_frame_means_soon_again(void **state)
{
	struct lab *l = unsettled(false);
	(void)state;

	l->out.cap_tx = 0;
	lab_turn(l);
	l->out.cap_tx = LAB_FRAMES;
	l->now += 100000000u;
	lab_turn(l);
	assert_int_equal(reports(l, MLD2_REPORT, 4), 1);
	lab_free(l);
}

static void general_query_is_answered(void **state)
{
	struct lab *l = *state;

	ask(l, general());
	lab_turn(l);
	assert_int_equal(reports(l, MLD2_REPORT, 2), 1);
	assert_int_equal(l->counters[STACK_mld_rx], 1);
}

static void query_about_a_group(void **state)
{
	struct lab *l = *state;
	struct query q = general();

	q.about = q.dst = group(11); /* not ours */
	ask(l, q);
	lab_turn(l);
	assert_int_equal(l->counters[STACK_mld_tx], 0);
	q.about = q.dst = group(10);
	ask(l, q);
	lab_turn(l);
	assert_int_equal(reports(l, MLD2_REPORT, 2), 1);
}

static void old_router_gets_old_reports(void **state)
{
	struct lab *l = *state;
	struct query q = general();

	q.len = 24;
	ask(l, q);
	lab_turn(l);
	assert_int_equal(reports(l, MLD1_REPORT, 0), 1);
	assert_int_equal(reports(l, MLD2_REPORT, 2), 0);
}

static void answers_wait_as_asked(void **state)
{
	static const struct {
		unsigned len, code, max_ms;
	} rows[] = { { 28, 1000, 1000 }, { 24, 0xffff, 10000 }, { 28, 0x8000, 10000 } };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct lab *l = lab_new(false);
		struct query q = general();
		uint64_t asked = l->now;
		q.len = rows[i].len;
		q.code = rows[i].code;
		ask(l, q);
		while (l->counters[STACK_mld_tx] == 0 && l->now < asked + 11000000000u) {
			l->now += 1000000;
			lab_turn(l);
		}
		assert_in_range(l->now - asked, 1000000, (rows[i].max_ms + 1) * 1000000ull);
		lab_free(l);
	}
}

static void a_report_a_second_at_most(void **state)
{
	struct lab *l = *state;

	for (unsigned i = 0; i < 500; i++) { /* five seconds */
		ask(l, general());
		lab_turn(l);
		l->now += 10000000;
	}
	assert_in_range(reports(l, MLD2_REPORT, 2), 4, 6);
	assert_true(l->counters[STACK_mld_merged] > 400);
}

static void bad_queries(void **state)
{
	struct lab *l = *state;

	for (unsigned i = 0; i < 5; i++) {
		struct query q = general();
		if (i == 0)
			q.src = lab_addr6(0, 1); /* not link-local */
		else if (i == 1)
			q.hop_limit = 2;
		else if (i == 2)
			q.alert = 7;
		else if (i == 3)
			q.len = 20;
		else
			q.len = 26;
		ask(l, q);
		lab_turn(l);
	}
	assert_int_equal(l->counters[STACK_mld_bad], 5);
	assert_int_equal(l->counters[STACK_mld_tx], 0);
}

static void many_groups_share_reports_once_each(void **state)
{
	struct stack_config c;
	static const struct ip_addr own = { { 0xfe, 0x80, [13] = 1, [15] = 9 } };
	struct ip_addr dst;
	unsigned len, records = 0, frames = 0;
	(void)state;

	lab_config(&c);
	for (unsigned i = 2; i < 62; i++)
		c.addrs[i] = (struct stack_ip){ lab_addr6(0, 10 + i / 2 * 2), 64, 0, false };
	c.addrs[62] = (struct stack_ip){ own, 64, 0, false };
	for (unsigned i = 3; i < 62; i += 2)
		c.addrs[i].addr.b[7] = 1; /* the same low bits on another prefix: one group */
	c.n_addrs = 63;
	struct lab *l = lab_new_with(&c, false, false);
	lab_turn(l);
	for (unsigned i = 0; i < l->out.n_tx; i++) {
		const uint8_t *p = message(l, i, &own, &len, &dst);
		if (!p)
			continue;
		frames++;
		records += rd16(p + 6);
		assert_int_equal(len, 8 + 20 * rd16(p + 6));
	}
	assert_int_equal(records, 1 + 30 + 1);
	assert_int_equal(frames, 2);
	lab_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reported_at_start_and_once_more),
		cmocka_unit_test(a_follower_is_silent),
		cmocka_unit_test(no_frame_means_soon_again),
		LAB_TEST6("general_query_is_answered", general_query_is_answered),
		LAB_TEST6("query_about_a_group", query_about_a_group),
		LAB_TEST6("old_router_gets_old_reports", old_router_gets_old_reports),
		cmocka_unit_test(answers_wait_as_asked),
		LAB_TEST6("a_report_a_second_at_most", a_report_a_second_at_most),
		LAB_TEST6("bad_queries", bad_queries),
		cmocka_unit_test(many_groups_share_reports_once_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
