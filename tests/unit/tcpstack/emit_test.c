/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments on their way out: headers, options, gathered payload, checksums and offloads. */
#include "lab.h"

static struct tcp_segment segment(struct lab *l)
{
	return (struct tcp_segment){ .src = &l->own,
		.dst = &l->peer,
		.src_port = 25,
		.dst_port = 40000,
		.seq = 100,
		.ack = 200,
		.window = 300,
		.flags = TCP_ACK | TCP_PSH };
}

static enum emit_status emit(struct lab *l, const struct tcp_segment *s)
{
	struct ip_path path;

	assert_int_equal(ip_path_resolve(l->st, s->dst, l->now, &path), 0);
	return ip_emit_tcp(l->st, &path, s, l->now, &l->out);
}

static void payload_is_gathered(void **state)
{
	struct lab *l = *state;
	struct tcp_segment s = segment(l);

	s.n_pieces = 3;
	s.pieces[0].p = (const uint8_t *)"220 ";
	s.pieces[0].len = 4;
	s.pieces[1].p = (const uint8_t *)"x";
	s.pieces[1].len = 1;
	s.pieces[2].p = (const uint8_t *)" ESMTP\r\n";
	s.pieces[2].len = 8;
	assert_int_equal(emit(l, &s), EMIT_SENT);
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.len, 13);
	assert_memory_equal(r.data, "220 x ESMTP\r\n", 13);
	assert_int_equal(r.seq, 100);
	assert_int_equal(r.ack, 200);
	assert_int_equal(r.window, 300);
	assert_int_equal(r.flags, TCP_ACK | TCP_PSH);
}

static void options_in_their_order(void **state)
{
	struct lab *l = *state;
	struct tcp_segment s = segment(l);

	s.flags = TCP_SYN;
	s.opt = (struct tcp_options){ .mss = 1400,
		.has_wscale = true,
		.wscale = 5,
		.sack_ok = true,
		.has_ts = true,
		.ts_val = 7,
		.ts_ecr = 8 };
	assert_int_equal(emit(l, &s), EMIT_SENT);
	struct lab_reply r = lab_reply(l, 0);
	assert_true(r.opt.mss == 1400 && r.opt.wscale == 5 && r.opt.sack_ok && r.opt.ts_val == 7);
	assert_int_equal(r.ack, 0); /* no ACK, no number */
	s.flags = TCP_ACK;
	s.opt = (struct tcp_options){ .has_ts = true, .n_sack = 4 };
	for (unsigned i = 0; i < 4; i++)
		s.opt.sack[i] = (struct tcp_sack_block){ 1000 + i, 2000 + i };
	assert_int_equal(emit(l, &s), EMIT_SENT);
	r = lab_reply(l, 1);
	assert_int_equal(r.opt.n_sack, 3); /* what fits beside timestamps */
	assert_int_equal(r.opt.sack[2].start, 1002);
	s.opt.has_ts = false;
	assert_int_equal(emit(l, &s), EMIT_SENT);
	assert_int_equal(lab_reply(l, 2).opt.n_sack, 4);
}

static void offload_where_the_port_has_it(void **state)
{
	struct lab *l0 = *state;
	struct stack_config c;
	static const uint8_t big[1000];

	lab_config(&c);
	c.ports[0].tx_caps = FRAME_TX_TCP_CSUM;
	struct lab *l = lab_new_with(&c, l0->v4, true);
	struct tcp_segment s = segment(l);
	s.n_pieces = 1;
	s.pieces[0].p = big;
	s.pieces[0].len = 1000;
	assert_int_equal(emit(l, &s), EMIT_SENT);
	struct frame *f = &l->out.tx[0];
	assert_true(f->flags & FRAME_TX_TCP_CSUM);
	assert_int_equal(f->l2_len, 14);
	assert_int_equal(f->l3_len, l->v4 ? 20 : 40);
	/* what the port adds to the pseudo-header's sum makes it whole */
	uint8_t *t = f->data + 14 + f->l3_len;
	st16(t + 16, csum_finish(csum_add(0, t, 1020)));
	assert_int_equal(lab_reply(l, 0).len, 1000);
	lab_free(l);
	lab_now = l0;
}

static void full_output_and_no_neighbour(void **state)
{
	struct lab *l = *state;
	struct tcp_segment s = segment(l);
	struct ip_addr on_link = l->v4 ? lab_addr4(192, 0, 2, 77) : lab_addr6(0, 77);

	l->out.cap_tx = 0;
	assert_int_equal(emit(l, &s), EMIT_NO_FRAME);
	l->out.cap_tx = LAB_FRAMES;
	s.dst = &on_link;
	assert_int_equal(emit(l, &s), EMIT_NO_NEIGH);
}

#define BOTH(fn) LAB_TEST4(#fn "_v4", fn), LAB_TEST6(#fn "_v6", fn)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(payload_is_gathered),
		BOTH(options_in_their_order),
		BOTH(offload_where_the_port_has_it),
		BOTH(full_output_and_no_neighbour),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
