/* SPDX-License-Identifier: BSD-3-Clause */
/* What leaves: sizes, windows, coalescing, path MTU, and being out of frames or of a neighbour. */
#include "driver.h"

static struct td_options family(int v6)
{
	return (struct td_options){ .v6 = v6, .ts = true, .sack = true, .peer_mss = 1460 };
}

static uint32_t write_pattern(struct td *d, uint32_t from, uint32_t len)
{
	static uint8_t data[1u << 20];

	for (uint32_t i = 0; i < len; i++)
		data[i] = td_pattern(from + i);
	return (uint32_t)tcp_write(&d->st, d->c, data, len);
}

static void writes_of_a_turn_share_a_segment(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	struct td_seg s;

	tcp_write(&d->st, d->c, "250-a\r\n", 7);
	tcp_write(&d->st, d->c, "250 b\r\n", 7);
	td_output(d);
	s = td_expect(d, TCP_ACK, 1, 1, 14);
	assert_true(s.flags & TCP_PSH);
	assert_memory_equal(s.data, "250-a\r\n250 b\r\n", 14);
	td_expect_none(d);
	td_free(d);
}

static void last_partial_segment_does_not_wait(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t mss = d->c->mss;

	write_pattern(d, 0, 2 * mss + 100);
	td_output(d);
	td_expect(d, TCP_ACK, 1, 1, mss);
	td_expect(d, TCP_ACK, 1 + mss, 1, mss);
	td_expect(d, TCP_ACK, 1 + 2 * mss, 1, 100); /* no Nagle */
	write_pattern(d, 2 * mss + 100, 10);
	td_output(d);
	td_expect(d, TCP_ACK, 101 + 2 * mss, 1, 10);
	td_free(d);
}

static void first_flight_is_ten_segments(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t mss = d->c->mss;

	assert_int_equal(write_pattern(d, 0, 60000), 60000);
	td_output(d);
	assert_int_equal(d->n_out, 10);
	td_forget_output(d);
	td_ack(d, 1, 1 + 2 * mss); /* slow start: two acknowledged, four more */
	assert_int_equal(d->n_out, 4);
	td_free(d);
}

static void segment_size_from_option_default_and_path(void **state)
{
	const int v6 = td_family(state);
	static const struct {
		uint16_t mss, mtu, v4, v6;
	} cases[] = {
		{ 0, 1500, 536, 1220 },
		{ 1460, 1500, 1460, 1440 },
		{ 9000, 1500, 1460, 1440 },
		{ 1460, 1300, 1260, 1240 },
		{ 600, 1500, 600, 600 },
		{ 9000, 9000, 8960, 8940 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct td_options o = { .v6 = v6, .peer_mss = cases[i].mss, .mtu = cases[i].mtu };
		struct td *d = td_make(TCP_ESTABLISHED, &o);
		uint32_t mss = v6 ? cases[i].v6 : cases[i].v4;

		write_pattern(d, 0, 20000);
		td_output(d);
		td_expect(d, TCP_ACK, 1, 1, mss);
		td_free(d);
	}
}

static void every_byte_arrives_across_the_wrap(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t written = 0, acked = 0;

	while (acked < 200000) { /* our numbers wrap after 1,024 */
		written += write_pattern(d, written, 10000);
		td_output(d);
		while (d->n_out) {
			struct td_seg s = d->out[d->out_head];

			s = td_expect(d, TCP_ACK, 1 + acked, 1, s.len);
			for (uint32_t i = 0; i < s.len; i++)
				assert_int_equal(s.data[i], td_pattern(acked + i));
			acked += s.len;
		}
		td_ack(d, 1, 1 + acked);
	}
	assert_int_equal(d->c->retransmits, 0);
	td_free(d);
}

static void sender_avoids_silly_windows(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	uint32_t mss = v6 ? 1428 : 1448;

	o.peer_window = 5000;
	d = td_make(TCP_ESTABLISHED, &o);
	write_pattern(d, 0, 20000);
	td_output(d); /* 3 full; the 656 that are left of the window are not worth it */
	assert_int_equal(d->n_out, 3);
	td_forget_output(d);
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1 + 3 * mss, .window = 1000);
	td_expect_none(d); /* below half the largest window ever seen */
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1 + 3 * mss, .window = 2600);
	td_expect(d, TCP_ACK, 1 + 3 * mss, 1, mss);
	td_expect_none(d);
	td_free(d);
}

static void very_small_window_is_used_in_the_end(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	uint32_t at = 1;

	o.peer_window = 7;
	d = td_make(TCP_ESTABLISHED, &o);
	write_pattern(d, 0, 70);
	td_output(d);
	while (at < 71) {
		uint32_t n = d->n_out ? d->out[d->out_head].len : 0;

		if (n == 0) {
			td_run_ms(d, 1000);
			continue;
		}
		assert_in_range(n, 1, 7);
		td_expect(d, TCP_ACK, at, 1, n);
		at += n;
		td_forget_output(d);
		td_ack(d, 1, at);
	}
	assert_int_equal(tcp_unsent_or_unacked(d->c), 0);
	td_free(d);
}

static void window_that_shrinks_is_survived(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t mss = d->c->mss;

	write_pattern(d, 0, 10 * mss);
	td_output(d);
	assert_int_equal(d->n_out, 10);
	td_forget_output(d);
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1 + mss, .window = 1000); /* edge moves left */
	td_expect_none(d);
	td_run_ms(d, 2000); /* only the first is repeated, as the probe */
	while (d->n_out)
		td_expect(d, TCP_ACK, 1 + mss, 1, mss);
	td_ack(d, 1, 1 + 2 * mss); /* it got the probe, and has room again */
	td_expect(d, TCP_ACK, 1 + 2 * mss, 1, mss);
	td_expect(d, TCP_ACK, 1 + 3 * mss, 1, mss);
	td_ack(d, 1, 1 + 10 * mss);
	assert_int_equal(tcp_unsent_or_unacked(d->c), 0);
	td_free(d);
}

static void window_update_lets_go_on(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	uint32_t mss = v6 ? 1428 : 1448;

	o.peer_window = (uint16_t)(2 * mss);
	d = td_make(TCP_ESTABLISHED, &o);
	write_pattern(d, 0, 4 * mss);
	td_output(d);
	assert_int_equal(d->n_out, 2);
	td_forget_output(d);
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1 + 2 * mss, .zero_window = true);
	td_expect_none(d);
	td_ack(d, 1, 1 + 2 * mss);
	td_expect(d, TCP_ACK, 1 + 2 * mss, 1, mss);
	td_expect(d, TCP_ACK, 1 + 3 * mss, 1, mss);
	td_free(d);
}

static void path_mtu_lowered_in_mid_transfer(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t mss = d->c->mss, small = (v6 ? 1280 - 60 : 1280 - 40) - 12, cwnd, at = 1;

	write_pattern(d, 0, 3 * mss);
	td_output(d);
	td_forget_output(d);
	cwnd = d->c->cwnd;
	/* forged: not outstanding */
	assert_false(conn_icmp(&d->st, &d->local, 25, &d->remote, 40000, d->iss + 1 + 3 * mss,
	    ICMP_TOO_BIG, 1280, d->now_ns));
	assert_false(conn_icmp(
	    &d->st, &d->local, 25, &d->remote, 40000, d->iss, ICMP_TOO_BIG, 1280, d->now_ns));
	td_output(d);
	td_expect_none(d);
	assert_int_equal(d->c->mss, mss);
	assert_true(conn_icmp(
	    &d->st, &d->local, 25, &d->remote, 40000, d->iss + 1, ICMP_TOO_BIG, 1280, d->now_ns));
	td_output(d);
	while (at < 1 + 3 * mss) { /* all of it again, cut smaller */
		struct td_seg s = d->out[d->out_head];

		assert_in_range(s.len, 1, small);
		s = td_expect(d, TCP_ACK, at, 1, s.len);
		assert_int_equal(s.data[0], td_pattern(at - 1));
		at += s.len;
	}
	td_expect_none(d);
	assert_int_equal(d->c->cwnd, cwnd); /* no sign of congestion */
	td_ack(d, 1, at);
	assert_int_equal(tcp_unsent_or_unacked(d->c), 0);
	td_free(d);
}

static void absurd_path_mtu_is_bounded(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	write_pattern(d, 0, 1000);
	td_output(d);
	assert_true(conn_icmp(
	    &d->st, &d->local, 25, &d->remote, 40000, d->iss + 1, ICMP_TOO_BIG, 68, d->now_ns));
	assert_int_equal(d->c->mss, v6 ? 1280 - 72 : 552 - 52);
	td_free(d);
}

static void icmp_errors_end_nothing(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	write_pattern(d, 0, 1000);
	td_output(d);
	for (int ev = ICMP_SOFT; ev <= ICMP_HARD; ev++)
		conn_icmp(&d->st, &d->local, 25, &d->remote, 40000, d->iss + 1, (enum icmp_event)ev,
		    0, d->now_ns);
	td_expect_state(d, TCP_ESTABLISHED);
	assert_int_equal(td_events(d), 0);
	td_free(d);
	d = td_make(TCP_SYN_SENT, &o); /* a soft one does not end a connect either */
	conn_icmp(&d->st, &d->local, d->local_port, &d->remote, 25, d->iss, ICMP_SOFT, 0, d->now_ns);
	td_expect_state(d, TCP_SYN_SENT);
	conn_icmp(&d->st, &d->local, d->local_port, &d->remote, 25, d->iss, ICMP_HARD, 0, d->now_ns);
	assert_int_equal(td_events(d), TCP_EV_RESET);
	td_free(d);
}

static void out_of_frames_goes_on_next_turn(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t mss = d->c->mss;

	write_pattern(d, 0, 5 * mss);
	d->frames_left = 2;
	td_output(d);
	td_expect(d, TCP_ACK, 1, 1, mss);
	td_expect(d, TCP_ACK, 1 + mss, 1, mss);
	td_expect_none(d);
	assert_int_equal(conn_next_deadline(&d->st), d->now_ns); /* at once, please */
	d->frames_left = 100;
	td_output(d);
	td_expect(d, TCP_ACK, 1 + 2 * mss, 1, mss);
	td_expect(d, TCP_ACK, 1 + 3 * mss, 1, mss);
	td_expect(d, TCP_ACK, 1 + 4 * mss, 1, mss);
	td_expect_none(d);
	assert_int_equal(d->c->retransmits, 0);
	td_free(d);
}

static void unresolved_neighbour_is_tried_again(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_new(&o);

	assert_true(td_connect(d));
	d->status = EMIT_NO_NEIGH;
	td_output(d);
	assert_in_range(conn_next_deadline(&d->st), d->now_ns + 1, d->now_ns + 205000000);
	td_run_ms(d, 100);
	td_expect_none(d);
	d->status = EMIT_SENT;
	td_run_ms(d, 205);
	td_expect(d, TCP_SYN, 0, 0, 0);
	td_free(d);
}

/* RFC 1122 2.3.2.2: the answer to the question sends what waits for it. */
static void resolved_neighbour_lets_all_go(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_new(&o);

	assert_true(td_connect(d));
	d->status = EMIT_NO_NEIGH;
	td_output(d);
	d->now_ns += 1000000;
	d->status = EMIT_SENT;
	td_output(d);
	td_expect_none(d);
	conn_neighbour_known(&d->st);
	td_output(d);
	td_expect(d, TCP_SYN, 0, 0, 0);
	assert_int_equal(d->counters[STACK_tcp_timeouts], 0);
	td_free(d);
}

static void send_buffer_is_bounded_and_told(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;

	o.config.snd_buf = 4000;
	d = td_make(TCP_ESTABLISHED, &o);
	assert_int_equal(tcp_write_space(&d->st, d->c), 4000);
	assert_int_equal(write_pattern(d, 0, 5000), 4000);
	assert_int_equal(tcp_write_space(&d->st, d->c), 0);
	assert_int_equal(write_pattern(d, 4000, 1000), 0);
	td_output(d);
	td_ack(d, 1, 101);
	assert_int_equal(td_events(d), 0); /* room for 100 is not worth a turn */
	td_ack(d, 1, 1449);
	assert_int_equal(td_events(d), TCP_EV_WRITE);
	td_ack(d, 1, 4001);
	assert_int_equal(td_events(d), TCP_EV_SENT);
	assert_int_equal(d->st.tcp->chunks.used, 0);
	td_free(d);
}

static void chunk_budget_is_shared_and_waited_for(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;

	o.config.max_chunks = 16;
	o.config.snd_buf = 1u << 20;
	d = td_make(TCP_ESTABLISHED, &o);
	assert_int_equal(write_pattern(d, 0, 60000), 16 * CHUNK_DATA); /* the whole pool */
	assert_int_equal(tcp_write_space(&d->st, d->c), 0);
	td_output(d);
	assert_int_equal(td_events(d), 0);
	for (uint32_t at = 1; tcp_unsent_or_unacked(d->c) > 0;) {
		uint32_t end = d->c->snd_nxt - d->iss;

		at = end;
		td_ack(d, 1, at);
		td_run_ms(d, 10);
	}
	assert_true(td_events(d) & TCP_EV_WRITE);
	td_free(d);
}

/* What a peer sent and nobody read must not keep the owner from sending it on. */
static void unread_data_leaves_room_to_send(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;

	o.config.max_chunks = 32;
	d = td_make(TCP_ESTABLISHED, &o);
	for (unsigned i = 0; i < 200 && d->counters[STACK_chunks_exhausted] == 0; i++) {
		td_data(d, d->c->rcv_nxt - d->irs, 1000, 1);
		td_forget_output(d);
	}
	assert_true(d->counters[STACK_chunks_exhausted] > 0);
	assert_int_equal(tcp_write_space(&d->st, d->c), 2 * CHUNK_DATA);
	assert_int_equal(write_pattern(d, 0, 3000), 3000);
	td_free(d);
}

/* An owner that asked for the space and did not write is woken, too. */
static void wanted_space_is_told(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;

	o.config.max_chunks = 16;
	o.config.snd_buf = 1u << 20;
	d = td_make(TCP_ESTABLISHED, &o);
	assert_int_equal(write_pattern(d, 0, 16 * CHUNK_DATA), 16 * CHUNK_DATA);
	tcp_want_write(&d->st, d->c);
	td_output(d);
	assert_int_equal(td_events(d), 0);
	while (tcp_unsent_or_unacked(d->c) > 8000) {
		td_ack(d, 1, d->c->snd_nxt - d->iss);
		td_run_ms(d, 10);
		td_forget_output(d);
	}
	assert_true(td_events(d) & TCP_EV_WRITE);
	td_free(d);
}

static void segments_of_a_turn_are_bounded(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	uint32_t mss = v6 ? 1428 : 1448;
	unsigned first;

	o.wscale = true;
	o.peer_wscale = 8;
	o.config.snd_buf = 1u << 20;
	d = td_make(TCP_ESTABLISHED, &o);
	td_ack(d, 1, 1); /* a scaled window */
	d->c->cwnd = 1u << 20;
	write_pattern(d, 0, 200 * mss);
	td_output(d);
	first = d->n_out;
	assert_int_equal(first, SEGMENTS_PER_TURN);
	assert_int_equal(conn_next_deadline(&d->st), d->now_ns);
	td_output(d);
	td_output(d);
	td_output(d);
	assert_int_equal(d->n_out, 200);
	td_free(d);
}

static void large_flight_is_recorded_and_released(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	uint32_t mss = v6 ? 1428 : 1448;
	uint32_t done = 0;

	o.wscale = true;
	o.peer_wscale = 8;
	o.config.snd_buf = 1u << 20;
	o.config.max_chunks = 2048;
	d = td_make(TCP_ESTABLISHED, &o);
	td_ack(d, 1, 1);
	d->c->cwnd = 1u << 20;
	for (int round = 0; round < 5; round++) {
		uint32_t n = 700 * mss;

		assert_int_equal(write_pattern(d, done, n), n);
		for (int i = 0; i < 11; i++)
			td_output(d);
		assert_int_equal(d->n_out, 700);
		for (uint32_t i = 0; i < 700; i++) {
			struct td_seg s = td_expect(d, TCP_ACK, 1 + done, 1, mss);

			assert_int_equal(s.data[7], td_pattern(done + 7));
			done += mss;
		}
		td_ack(d, 1, 1 + done - 100 * mss);
		td_ack(d, 1, 1 + done - 50);
		td_ack(d, 1, 1 + done);
		assert_int_equal(d->st.tcp->chunks.used, 0);
	}
	td_free(d);
}

static void fin_rides_on_the_last_segment(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t mss = d->c->mss;

	write_pattern(d, 0, 2000);
	tcp_shutdown(&d->st, d->c);
	assert_int_equal(tcp_write(&d->st, d->c, "x", 1), 0);
	td_output(d);
	td_expect(d, TCP_ACK, 1, 1, mss);
	td_expect(d, TCP_ACK | TCP_FIN, 1 + mss, 1, 2000 - mss);
	td_ack(d, 1, 2002);
	td_expect_state(d, TCP_FIN_WAIT_2);
	td_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TD_BOTH(writes_of_a_turn_share_a_segment),
		TD_BOTH(last_partial_segment_does_not_wait),
		TD_BOTH(first_flight_is_ten_segments),
		TD_BOTH(segment_size_from_option_default_and_path),
		TD_BOTH(every_byte_arrives_across_the_wrap),
		TD_BOTH(sender_avoids_silly_windows),
		TD_BOTH(very_small_window_is_used_in_the_end),
		TD_BOTH(window_that_shrinks_is_survived),
		TD_BOTH(window_update_lets_go_on),
		TD_BOTH(path_mtu_lowered_in_mid_transfer),
		TD_BOTH(absurd_path_mtu_is_bounded),
		TD_BOTH(icmp_errors_end_nothing),
		TD_BOTH(out_of_frames_goes_on_next_turn),
		TD_BOTH(unresolved_neighbour_is_tried_again),
		TD_BOTH(resolved_neighbour_lets_all_go),
		TD_BOTH(send_buffer_is_bounded_and_told),
		TD_BOTH(chunk_budget_is_shared_and_waited_for),
		TD_BOTH(unread_data_leaves_room_to_send),
		TD_BOTH(wanted_space_is_told),
		TD_BOTH(segments_of_a_turn_are_bounded),
		TD_BOTH(large_flight_is_recorded_and_released),
		TD_BOTH(fin_rides_on_the_last_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
