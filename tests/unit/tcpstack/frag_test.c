/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments: in order, out of order, duplicate, overlapping, tiny, too many, too late. */
#include "lab.h"

/* A SYN with 100 bytes of data, as L4 bytes: 20 + 20 + 100. */
enum { L4 = 140 };

static void l4_bytes(struct lab *l, uint8_t *out)
{
	uint8_t data[100];

	memset(data, 'd', sizeof(data));
	struct frame f = lab_tcp(l, &(struct lab_seg){ .seq = 1000,
					.flags = TCP_SYN,
					.opts = lab_linux_syn,
					.n_opts = 20,
					.data = data,
					.len = 100 });
	memcpy(out, f.data + 14 + (l->v4 ? 20 : 40), L4);
	free(f.handle);
}

static struct frame piece(
    struct lab *l, const uint8_t *l4, unsigned off, unsigned len, bool more, uint32_t id)
{
	struct frame f = lab_frame(l);
	uint8_t *p = f.data, *l3 = p + 14;

	memcpy(p, lab_mac, 6);
	memcpy(p + 6, lab_gateway_mac, 6);
	wr16(p + 12, l->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	uint8_t *d;
	if (l->v4) {
		d = ip_write(l3, true, &l->peer, &l->own, PROTO_TCP, len, 60, false);
		wr16(l3 + 4, (uint16_t)id);
		wr16(l3 + 6, (uint16_t)(off / 8 | (more ? IP4_MF : 0)));
		wr16(l3 + 10, 0);
		st16(l3 + 10, csum_finish(csum_add(0, l3, 20)));
	} else {
		d = ip_write(l3, false, &l->peer, &l->own, PROTO_FRAGMENT, 8 + len, 60, false);
		d[0] = PROTO_TCP;
		d[1] = 0;
		wr16(d + 2, (uint16_t)(off | more));
		wr32(d + 4, id);
		d += 8;
	}
	memcpy(d, l4 + off, len);
	f.len = (uint16_t)(d + len - p);
	return f;
}

static void put(struct lab *l, const uint8_t *l4, unsigned off, unsigned len, bool more, uint32_t id)
{
	struct frame f = piece(l, l4, off, len, more, id);

	lab_in(l, &f, 1);
}

static void in_order(void **state)
{
	struct lab *l = *state;
	uint8_t b[L4];

	l4_bytes(l, b);
	put(l, b, 0, 64, true, 1);
	put(l, b, 64, 64, true, 1);
	assert_int_equal(l->out.n_tx, 0);
	put(l, b, 128, 12, false, 1);
	assert_int_equal(l->out.n_tx, 1);
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(r.ack, 1001);
	assert_int_equal(l->counters[STACK_frag_reassembled], 1);
}

static void out_of_order(void **state)
{
	struct lab *l = *state;
	uint8_t b[L4];

	l4_bytes(l, b);
	put(l, b, 128, 12, false, 1);
	put(l, b, 64, 64, true, 1);
	put(l, b, 0, 64, true, 1);
	assert_int_equal(lab_reply(l, 0).flags, TCP_SYN | TCP_ACK);
}

static void duplicate(void **state)
{
	struct lab *l = *state;
	uint8_t b[L4];

	l4_bytes(l, b);
	put(l, b, 0, 64, true, 1);
	put(l, b, 0, 64, true, 1);
	put(l, b, 64, 76, false, 1);
	assert_int_equal(lab_reply(l, 0).flags, TCP_SYN | TCP_ACK);
	assert_int_equal(l->counters[STACK_frag_overlap], 0);
}

static void overlap_condemns_the_datagram(void **state)
{
	struct lab *l = *state;
	uint8_t b[L4];

	l4_bytes(l, b);
	put(l, b, 0, 64, true, 1);
	put(l, b, 56, 64, true, 1);
	put(l, b, 64, 76, false, 1);
	put(l, b, 0, 64, true, 1);
	assert_int_equal(l->out.n_tx, 0);
	assert_int_equal(l->counters[STACK_frag_overlap], 3);
	/* the same bytes twice with other contents */
	uint8_t c[L4];
	memcpy(c, b, L4);
	c[70] ^= 1;
	put(l, b, 64, 64, true, 2);
	put(l, c, 64, 64, true, 2);
	assert_int_equal(l->counters[STACK_frag_overlap], 4);
	/* two ends, and a piece beyond the end */
	put(l, b, 64, 76, false, 3);
	put(l, b, 64, 68, false, 3);
	assert_int_equal(l->counters[STACK_frag_overlap], 5);
	put(l, b, 128, 8, true, 4);
	put(l, b, 64, 64, false, 4);
	assert_int_equal(l->counters[STACK_frag_overlap], 6);
	assert_int_equal(l->out.n_tx, 0);
}

static void tiny_first_piece(void **state)
{
	struct lab *l = *state;
	uint8_t b[L4];

	l4_bytes(l, b);
	put(l, b, 0, 8, true, 1);
	put(l, b, 0, 16, true, 1);
	put(l, b, 0, 24, true, 1); /* options cut off */
	put(l, b, 8, 64, true, 1); /* overwrites flags, the old attack */
	put(l, b, 16, 64, true, 1);
	assert_int_equal(l->counters[STACK_frag_tiny], 5);
	assert_int_equal(l->st->ip->frags.used, 0);
}

static void bad_lengths(void **state)
{
	struct lab *l = *state;
	uint8_t b[L4 + 4000] = { 0 };

	l4_bytes(l, b);
	put(l, b, 0, 63, true, 1);
	put(l, b, 64, 0, false, 1);
	assert_int_equal(l->counters[STACK_frag_bad], 2);
	put(l, b, 2040, 16, false, 1);
	assert_int_equal(l->counters[STACK_frag_too_big], 1);
	put(l, b, 2040, 8, false, 1); /* the last that fits */
	assert_int_equal(l->counters[STACK_frag_too_big], 1);
}

static void other_protocols(void **state)
{
	struct lab *l = *state;
	uint8_t b[L4];
	struct frame f;

	l4_bytes(l, b);
	f = piece(l, b, 0, 64, true, 1);
	if (l->v4) {
		f.data[14 + 9] = PROTO_ICMP;
		wr16(f.data + 24, 0);
		st16(f.data + 24, csum_finish(csum_add(0, f.data + 14, 20)));
	} else {
		f.data[14 + 40] = PROTO_ICMP6;
	}
	lab_in(l, &f, 1);
	assert_int_equal(l->counters[STACK_frag_not_tcp], 1);
}

static void table_is_bounded(void **state)
{
	struct lab *l = *state;
	uint8_t b[L4];

	l4_bytes(l, b);
	for (unsigned i = 0; i < 100; i++)
		put(l, b, 0, 64, true, i);
	assert_int_equal(l->counters[STACK_frag_table_full], 36);
	put(l, b, 64, 76, false, 5); /* one under way still completes */
	assert_int_equal(lab_reply(l, 0).flags, TCP_SYN | TCP_ACK);
	lab_out_free(l);
	l->now += 61 * 1000000000ull;
	lab_turn(l);
	assert_int_equal(l->counters[STACK_frag_timeout], 63);
	assert_int_equal(l->st->ip->frags.used, 0);
}

static void late_piece_is_too_late(void **state)
{
	struct lab *l = *state;
	uint8_t b[L4];

	l4_bytes(l, b);
	put(l, b, 0, 64, true, 1);
	l->now += (l->v4 ? FRAG_LIFE4_S : FRAG_LIFE6_S) * 1000000000ull;
	assert_true(stack_next_deadline(l->st) <= l->now);
	put(l, b, 64, 76, false, 1);
	assert_int_equal(l->out.n_tx, 0);
	assert_int_equal(l->counters[STACK_frag_timeout], 1);
}

static void random_pieces(void **state)
{
	struct lab *l = *state;
	uint64_t r = 99991;
	uint8_t b[4096];

	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 7);
	for (unsigned i = 0; i < 100000; i++) {
		r = r * 6364136223846793005ull + 1442695040888963407ull;
		unsigned off = (unsigned)(r >> 33) % 256 * 8, len = (unsigned)(r >> 20) % 200;
		put(l, b, off, len, r >> 60 & 1, (uint32_t)(r >> 50) % 90);
		l->now += 1000000;
		lab_out_free(l);
	}
	assert_true(l->st->ip->frags.used <= 64);
}

#define BOTH(fn) LAB_TEST4(#fn "_v4", fn), LAB_TEST6(#fn "_v6", fn)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(in_order),
		BOTH(out_of_order),
		BOTH(duplicate),
		BOTH(overlap_condemns_the_datagram),
		BOTH(tiny_first_piece),
		BOTH(bad_lengths),
		BOTH(other_protocols),
		BOTH(table_is_bounded),
		BOTH(late_piece_is_too_late),
		BOTH(random_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
