/* SPDX-License-Identifier: BSD-3-Clause */
/* Reassembly against a plain array: random pieces, overlapping and repeated, in random order. */
#include "driver.h"

#include "reasm.h"

#include <stdlib.h>

static void random_pieces_make_the_same_bytes(void **state)
{
	enum { TOTAL = 30000 };
	uint32_t x = 12345;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct td_options o = { .v6 = round & 1, .sack = true, .peer_mss = 1460 };
		struct td *d = td_make(TCP_ESTABLISHED, &o);
		uint32_t read = 0;

		for (int i = 0; i < 20000 && d->c->rcv_nxt - d->irs < 1 + TOTAL; i++) {
			uint32_t next = d->c->rcv_nxt - d->irs, at, len;
			const uint8_t *p;
			size_t n;

			x = x * 1664525 + 1013904223;
			at = next + (x >> 8) % 9000;
			len = 1 + (x >> 4) % 1400;
			if (i % 9 == 0)
				at = next > 300 ? next - 300 : 1;
			if (at > TOTAL)
				continue;
			len = len > 1 + TOTAL - at ? 1 + TOTAL - at : len;
			td_data(d, at, len, 1);
			td_forget_output(d);
			while ((n = tcp_peek(d->c, &p)) > 0) {
				for (size_t k = 0; k < n; k++)
					assert_int_equal(p[k], td_pattern(read + (uint32_t)k));
				read += (uint32_t)n;
				tcp_consume(&d->st, d->c, n);
			}
		}
		assert_int_equal(read, TOTAL);
		assert_int_equal(d->c->ooo_runs, 0);
		assert_int_equal(d->st.tcp->chunks.used, 0);
		td_free(d);
	}
}

static void neighbours_become_one_run(void **state)
{
	struct td_options o = { .sack = true, .peer_mss = 1460 };
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	struct td_seg s;

	(void)state;
	td_data(d, 1001, 500, 1);
	td_data(d, 2001, 500, 1);
	td_data(d, 3001, 500, 1);
	assert_int_equal(d->c->ooo_runs, 3);
	td_forget_output(d);
	td_data(d, 1201, 1900, 1); /* overlaps all three */
	s = td_expect(d, TCP_ACK, 1, 1, 0);
	assert_int_equal(d->c->ooo_runs, 1);
	assert_int_equal(s.opt.n_sack, 1);
	assert_int_equal(s.opt.sack[0].start - d->irs, 1001);
	assert_int_equal(s.opt.sack[0].end - d->irs, 3501);
	td_free(d);
}

static struct td *fin_test(void **state)
{
	struct td_options o = { .v6 = td_family(state), .sack = true, .peer_mss = 1460 };

	return td_make(TCP_ESTABLISHED, &o);
}

/* 100 bytes are lost, what follows them carries the FIN: filling the hole closes. */
static void fin_with_data_ahead_of_a_hole(void **state)
{
	struct td *d = fin_test(state);

	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 101, .ack = 1, .len = 50);
	td_output(d);
	td_expect(d, TCP_ACK, 1, 1, 0);
	td_expect_state(d, TCP_ESTABLISHED);
	assert_int_equal(td_events(d) & TCP_EV_EOF, 0);
	assert_int_equal(d->counters[STACK_tcp_fin_ahead], 1);
	td_data(d, 1, 100, 1);
	td_output(d);
	td_expect(d, TCP_ACK, 1, 152, 0);
	td_expect_state(d, TCP_CLOSE_WAIT);
	assert_int_equal(td_events(d), TCP_EV_READ | TCP_EV_EOF);
	assert_int_equal(tcp_unread(d->c), 150);
	td_free(d);
}

static void bare_fin_ahead_of_a_hole(void **state)
{
	struct td *d = fin_test(state);

	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 3001, .ack = 1);
	td_data(d, 1001, 1000, 1);
	td_data(d, 1, 1000, 1);
	td_forget_output(d);
	td_expect_state(d, TCP_ESTABLISHED);
	td_data(d, 2001, 1000, 1);
	td_output(d);
	td_expect(d, TCP_ACK, 1, 3002, 0);
	td_expect_state(d, TCP_CLOSE_WAIT);
	assert_true(td_events(d) & TCP_EV_EOF);
	td_free(d);
}

/* The end of what is in order does not wait for a FIN further on, and it may be repeated. */
static void fin_ahead_repeated_in_order(void **state)
{
	struct td *d = fin_test(state);

	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 101, .ack = 1, .len = 50);
	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 101, .ack = 1, .len = 50);
	assert_int_equal(d->counters[STACK_tcp_fin_ahead], 1);
	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 1, .ack = 1, .len = 150);
	td_forget_output(d);
	td_expect_state(d, TCP_CLOSE_WAIT);
	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 151, .ack = 1);
	td_output(d);
	td_expect(d, TCP_ACK, 1, 152, 0);
	td_expect_state(d, TCP_CLOSE_WAIT);
	td_free(d);
}

/* Bytes beyond it: the peer contradicts itself, and only a FIN at the real end counts. */
static void fin_ahead_belied_by_data(void **state)
{
	struct td *d = fin_test(state);

	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 101, .ack = 1);
	td_data(d, 51, 150, 1);
	td_data(d, 1, 50, 1);
	td_forget_output(d);
	td_expect_state(d, TCP_ESTABLISHED);
	assert_int_equal(tcp_unread(d->c), 200);
	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 201, .ack = 1);
	td_expect_state(d, TCP_CLOSE_WAIT);
	td_free(d);
}

static void fin_beyond_the_window_is_not_remembered(void **state)
{
	struct td *d = fin_test(state);

	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 65536 - 100, .ack = 1, .len = 200);
	assert_int_equal(d->counters[STACK_tcp_fin_ahead], 0);
	td_free(d);
}

/* Our side has closed too: the hole's filler ends it. */
static void fin_ahead_in_fin_wait_2(void **state)
{
	struct td_options o = { .v6 = td_family(state), .sack = true, .peer_mss = 1460 };
	struct td *d = td_make(TCP_FIN_WAIT_2, &o);

	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 101, .ack = 2, .len = 50);
	td_forget_output(d);
	td_expect_state(d, TCP_FIN_WAIT_2);
	td_data(d, 1, 100, 2);
	td_output(d);
	td_expect_state(d, TCP_CLOSED); /* the rest is TIME-WAIT's */
	assert_int_equal(d->st.tcp->tw.used, 1);
	td_expect(d, TCP_ACK, 2, 152, 0);
	td_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_pieces_make_the_same_bytes),
		cmocka_unit_test(neighbours_become_one_run),
		TD_BOTH(fin_with_data_ahead_of_a_hole),
		TD_BOTH(bare_fin_ahead_of_a_hole),
		TD_BOTH(fin_ahead_repeated_in_order),
		TD_BOTH(fin_ahead_belied_by_data),
		TD_BOTH(fin_beyond_the_window_is_not_remembered),
		TD_BOTH(fin_ahead_in_fin_wait_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
