/* SPDX-License-Identifier: BSD-3-Clause */
/* Echo, errors about our segments, path MTU. */
#include "lab.h"

/* An ICMP message with a body after its eight bytes. */
static struct frame icmp(
    struct lab *l, unsigned type, unsigned code, uint32_t rest, const void *body, unsigned len)
{
	struct frame f = lab_frame(l);
	uint8_t *p = f.data;

	memcpy(p, lab_mac, 6);
	memcpy(p + 6, lab_gateway_mac, 6);
	wr16(p + 12, l->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	uint8_t *m = ip_write(
	    p + 14, l->v4, &l->peer, &l->own, l->v4 ? PROTO_ICMP : PROTO_ICMP6, 8 + len, 60, true);
	wr32(m, type << 24 | code << 16);
	wr32(m + 4, rest);
	memcpy(m + 8, body, len);
	uint64_t sum = l->v4 ? 0 : csum_pseudo6(l->peer.b, l->own.b, PROTO_ICMP6, 8 + len);
	st16(m + 2, csum_finish(csum_add(sum, m, 8 + len)));
	f.len = (uint16_t)(m + 8 + len - p);
	return f;
}

static void put(struct lab *l, struct frame f)
{
	lab_in(l, &f, 1);
}

static void echo_is_answered(void **state)
{
	struct lab *l = *state;

	put(l, icmp(l, l->v4 ? 8 : 128, 0, 0x00070001, "hello", 5));
	assert_int_equal(l->out.n_tx, 1);
	const struct frame *f = &l->out.tx[0];
	const uint8_t *l3 = f->data + 14, *m = l3 + (l->v4 ? 20 : 40);
	assert_memory_equal(f->data, lab_gateway_mac, 6);
	assert_int_equal(m[0], l->v4 ? 0 : 129);
	assert_int_equal(rd32(m + 4), 0x00070001);
	assert_memory_equal(m + 8, "hello", 5);
	uint64_t sum = l->v4 ? 0 : csum_pseudo6(l3 + 8, l3 + 24, PROTO_ICMP6, 13);
	assert_int_equal(csum_fold(csum_add(sum, m, 13)), 0xffff);
	assert_memory_equal(l3 + (l->v4 ? 16 : 24), l->peer.b + (l->v4 ? 12 : 0), l->v4 ? 4 : 16);
}

static void echo_is_capped(void **state)
{
	struct lab *l = *state;

	for (unsigned i = 0; i < 150; i++)
		put(l, icmp(l, l->v4 ? 8 : 128, 0, i, "x", 1));
	assert_int_equal(l->out.n_tx, 100);
	assert_int_equal(l->counters[STACK_icmp_capped], 50);
}

static void bad_checksum_is_dropped(void **state)
{
	struct lab *l = *state;
	struct frame f = icmp(l, l->v4 ? 8 : 128, 0, 1, "x", 1);

	f.data[f.len - 1] ^= 1;
	put(l, f);
	assert_int_equal(l->out.n_tx, 0);
	assert_int_equal(l->counters[STACK_icmp_checksum_bad], 1);
}

/* What a router quotes of a segment of ours: IP header and eight bytes. */
static unsigned quote(struct lab *l, uint8_t *q)
{
	uint8_t *t = ip_write(q, l->v4, &l->own, &l->peer, PROTO_TCP, 1000, 60, true);

	wr16(t, 25);
	wr16(t + 2, 40000);
	wr32(t + 4, 12345);
	return (unsigned)(t + 8 - q);
}

static void errors_reach_the_connection(void **state)
{
	struct lab *l = *state;
	static const struct {
		uint8_t type, code;
		enum icmp_event ev;
	} rows4[] = {
		{ 3, 0, ICMP_SOFT }, { 3, 1, ICMP_SOFT }, { 3, 2, ICMP_HARD }, { 3, 3, ICMP_HARD },
		{ 3, 4, ICMP_TOO_BIG }, { 11, 0, ICMP_SOFT }, { 12, 0, ICMP_SOFT },
	}, rows6[] = {
		{ 1, 0, ICMP_SOFT }, { 1, 3, ICMP_SOFT }, { 1, 4, ICMP_HARD }, { 2, 0, ICMP_TOO_BIG },
		{ 3, 0, ICMP_SOFT }, { 4, 1, ICMP_SOFT }, { 1, 1, ICMP_SOFT },
	};
	uint8_t q[64];
	unsigned len = quote(l, q);

	for (unsigned i = 0; i < 7; i++) {
		put(l, icmp(l, l->v4 ? rows4[i].type : rows6[i].type,
			   l->v4 ? rows4[i].code : rows6[i].code, 1400, q, len));
		assert_int_equal(l->n_icmp, i + 1);
		assert_int_equal(l->icmp, l->v4 ? rows4[i].ev : rows6[i].ev);
		if (l->icmp == ICMP_TOO_BIG)
			assert_int_equal(l->icmp_mtu, 1400);
	}
	assert_int_equal(l->out.n_tx, 0);
}

static void forged_too_big_lowers_nothing(void **state)
{
	struct lab *l = *state;
	uint8_t q[64];
	unsigned len = quote(l, q);

	put(l, icmp(l, l->v4 ? 3 : 2, l->v4 ? 4 : 0, 1300, q, len));
	assert_int_equal(pmtu_get(l->st, &l->peer), 0);
	assert_int_equal(l->counters[STACK_icmp_error_ignored], 1);
}

static void genuine_too_big_lowers_and_expires(void **state)
{
	struct lab *l = *state;
	struct ip_path path;
	uint8_t q[64];
	unsigned len = quote(l, q);

	l->believe = true;
	assert_int_equal(ip_path_resolve(l->st, &l->peer, l->now, &path), 0);
	assert_int_equal(path.mtu, 1500);
	put(l, icmp(l, l->v4 ? 3 : 2, l->v4 ? 4 : 0, 1300, q, len));
	assert_int_equal(pmtu_get(l->st, &l->peer), 1300);
	assert_true(path.generation != l->st->ip->neigh.generation); /* paths resolve anew */
	assert_int_equal(ip_path_resolve(l->st, &l->peer, l->now, &path), 0);
	assert_int_equal(path.mtu, 1300);
	put(l, icmp(l, l->v4 ? 3 : 2, l->v4 ? 4 : 0, 1400, q, len)); /* never raised */
	assert_int_equal(pmtu_get(l->st, &l->peer), 1300);
	l->now += 601 * 1000000000ull;
	lab_turn(l);
	assert_int_equal(pmtu_get(l->st, &l->peer), 0);
}

static void too_big_has_a_floor(void **state)
{
	struct lab *l = *state;
	uint8_t q[64];
	unsigned len = quote(l, q);

	l->believe = true;
	put(l, icmp(l, l->v4 ? 3 : 2, l->v4 ? 4 : 0, 68, q, len));
	assert_int_equal(pmtu_get(l->st, &l->peer), l->v4 ? 552 : 1280);
	/* Then IPv4 lets routers cut. */
	struct ip_path path;
	assert_int_equal(ip_path_resolve(l->st, &l->peer, l->now, &path), 0);
	struct tcp_segment seg = {
		.src = &l->own, .dst = &l->peer, .src_port = 25, .dst_port = 40000, .flags = TCP_ACK
	};
	assert_int_equal(ip_emit_tcp(l->st, &path, &seg, l->now, &l->out), EMIT_SENT);
	if (l->v4)
		assert_int_equal(rd16(l->out.tx[0].data + 14 + 6) & IP4_DF, 0);
}

static void path_table_is_bounded(void **state)
{
	struct lab *l = *state;
	unsigned known = 0;

	for (unsigned i = 0; i < 5000; i++) {
		struct ip_addr a = l->v4 ? lab_addr4(10, 0, i >> 8, i & 255) : lab_addr6(7, i);
		pmtu_lower(l->st, &a, 1300, l->now + i);
	}
	for (unsigned i = 0; i < 5000; i++) {
		struct ip_addr a = l->v4 ? lab_addr4(10, 0, i >> 8, i & 255) : lab_addr6(7, i);
		known += pmtu_get(l->st, &a) == 1300;
	}
	assert_in_range(known, 900, 1024);
}

static void useless_quotes(void **state)
{
	struct lab *l = *state;
	uint8_t q[64];
	unsigned len = quote(l, q);

	for (unsigned cut = 0; cut < len; cut++)
		put(l, icmp(l, l->v4 ? 3 : 1, 1, 0, q, cut));
	q[l->v4 ? 9 : 6] = 17; /* UDP */
	put(l, icmp(l, l->v4 ? 3 : 1, 1, 0, q, len));
	assert_int_equal(l->n_icmp, 0);
	assert_int_equal(l->counters[STACK_icmp_error_ignored], len + 1);
}

static void other_messages_are_counted(void **state)
{
	struct lab *l = *state;

	put(l, icmp(l, l->v4 ? 5 : 200, 0, 0, "redirect me", 11));
	assert_int_equal(l->counters[STACK_icmp_other], 1);
	assert_int_equal(l->out.n_tx, 0);
}

#define BOTH(fn) LAB_TEST4(#fn "_v4", fn), LAB_TEST6(#fn "_v6", fn)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(echo_is_answered),
		BOTH(echo_is_capped),
		BOTH(bad_checksum_is_dropped),
		BOTH(errors_reach_the_connection),
		BOTH(forged_too_big_lowers_nothing),
		BOTH(genuine_too_big_lowers_and_expires),
		BOTH(too_big_has_a_floor),
		BOTH(path_table_is_bounded),
		BOTH(useless_quotes),
		BOTH(other_messages_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
