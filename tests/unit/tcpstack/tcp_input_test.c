/* SPDX-License-Identifier: BSD-3-Clause */
/* What arrives, beyond the grid: timestamps, delayed ACKs, windows, order, opening and closing. */
#include "driver.h"

static struct td_options family(int v6)
{
	return (struct td_options){ .v6 = v6, .ts = true, .sack = true, .peer_mss = 1460 };
}

static uint32_t read_all(struct td *d)
{
	const uint8_t *p;
	uint32_t total = 0;
	size_t n;

	while ((n = tcp_peek(d->c, &p)) > 0) {
		total += (uint32_t)n;
		tcp_consume(&d->st, d->c, n);
	}
	return total;
}

static void old_timestamp_is_refused(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	d->ts_val = d->peer_ts - 1;
	td_data(d, 1, 100, 1);
	td_expect(d, TCP_ACK, 1, 1, 0);
	assert_int_equal(tcp_unread(d->c), 0);
	assert_int_equal(d->counters[STACK_tcp_paws], 1);
	d->ts_val = d->peer_ts - 1; /* but an RST needs no timestamp (RFC 7323 5.2) */
	td_send(d, .flags = TCP_RST, .seq = 1);
	assert_int_equal(td_events(d) & TCP_EV_RESET, TCP_EV_RESET);
	td_free(d);
}

/* RFC 7323 5.3: R2 before R3. */
static void timestamp_outside_the_window_is_not_believed(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	d->ts_val = d->peer_ts + 0x40000000;
	td_send(d, .flags = TCP_ACK, .seq = 1u - 100000, .ack = 1);
	d->ts_val = d->peer_ts + 0x40000000;
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 100000); /* of what was never sent */
	td_forget_output(d);
	d->ts_val = 0;
	td_data(d, 1, 100, 1);
	assert_int_equal(tcp_unread(d->c), 100);
	assert_int_equal(d->counters[STACK_tcp_paws], 0);
	td_free(d);
}

static void timestamp_of_24_days_ago_is_not_compared(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	d->now_ns += 25ull * 86400 * 1000000000;
	d->ts_val = d->peer_ts - 1;
	td_data(d, 1, 100, 1);
	assert_int_equal(tcp_unread(d->c), 100);
	td_free(d);
}

static void missing_timestamp_is_dropped(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	d->omit_ts = true;
	td_data(d, 1, 100, 1);
	td_expect_none(d);
	assert_int_equal(tcp_unread(d->c), 0);
	assert_int_equal(d->counters[STACK_tcp_timestamp_missing], 1);
	td_free(d);
}

static void echo_is_of_the_earliest_unacknowledged(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	struct td_seg s;

	d->ts_val = 0x10000005;
	d->c->ts_recent = 0x10000000;
	td_data(d, 1, 100, 1); /* its ACK is delayed */
	d->ts_val = 0x10000009;
	td_data(d, 101, 100, 1);
	s = td_expect(d, TCP_ACK, 1, 201, 0);
	assert_int_equal(s.opt.ts_ecr, 0x10000005);
	td_free(d);
}

static void challenge_acks_are_limited(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	for (int i = 0; i < 20; i++)
		td_send(d, .flags = TCP_SYN, .seq = 77);
	td_expect(d, TCP_ACK, 1, 1, 0);
	td_expect_none(d);
	td_run_ms(d, 600);
	td_send(d, .flags = TCP_RST, .seq = 9);
	td_expect(d, TCP_ACK, 1, 1, 0);
	td_expect_state(d, TCP_ESTABLISHED);
	td_free(d);
}

static void ack_from_before_the_window_is_challenged(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	td_data(d, 1, 10, 1u - 65535 - 10);
	td_expect(d, TCP_ACK, 1, 1, 0);
	assert_int_equal(tcp_unread(d->c), 0);
	td_data(d, 1, 10, 1u - 65000); /* old but plausible: data counts */
	assert_int_equal(tcp_unread(d->c), 10);
	td_free(d);
}

static void second_segment_is_acknowledged_at_once(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	td_data(d, 1, 1000, 1);
	td_expect_none(d);
	td_data(d, 1001, 1000, 1);
	td_expect(d, TCP_ACK, 1, 2001, 0);
	td_data(d, 2001, 1000, 1);
	td_run_ms(d, 38);
	td_expect_none(d);
	td_run_ms(d, 3);
	td_expect(d, TCP_ACK, 1, 3001, 0);
	td_run_ms(d, 1000);
	td_expect_none(d);
	td_free(d);
}

static void push_is_acknowledged_with_the_turn(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	struct td_in in = { .flags = TCP_ACK | TCP_PSH, .seq = 1, .len = 6, .ack = 1 };

	td_input(d, &in);
	td_expect(d, TCP_ACK, 1, 7, 0);
	in.seq = 7; /* answered in the same turn: one segment carries both */
	assert_true(td_input_known(d, &in));
	tcp_write(&d->st, d->c, "250 ok\r\n", 8);
	td_output(d);
	td_expect(d, TCP_ACK, 1, 13, 8);
	td_expect_none(d);
	td_free(d);
}

static void out_of_order_is_kept_and_reported(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	const uint8_t *p;
	struct td_seg s;

	td_data(d, 1001, 500, 1);
	s = td_expect(d, TCP_ACK, 1, 1, 0);
	assert_int_equal(s.opt.n_sack, 1);
	assert_int_equal(s.opt.sack[0].start - d->irs, 1001);
	assert_int_equal(s.opt.sack[0].end - d->irs, 1501);
	td_data(d, 3001, 500, 1);
	s = td_expect(d, TCP_ACK, 1, 1, 0);
	assert_int_equal(s.opt.n_sack, 2);
	assert_int_equal(s.opt.sack[0].start - d->irs, 3001); /* the newest first */
	td_data(d, 1, 1000, 1);
	s = td_expect(d, TCP_ACK, 1, 1501, 0);
	assert_int_equal(s.opt.n_sack, 1);
	td_data(d, 1501, 1500, 1);
	s = td_expect(d, TCP_ACK, 1, 3501, 0);
	assert_int_equal(s.opt.n_sack, 0);
	for (uint32_t at = 0; at < 3500;) {
		size_t n = tcp_peek(d->c, &p);

		assert_true(n > 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], td_pattern(at + (uint32_t)i));
		at += (uint32_t)n;
		tcp_consume(&d->st, d->c, n);
	}
	assert_int_equal(d->st.tcp->chunks.used, 0);
	td_free(d);
}

static void duplicate_is_reported_by_dsack(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	struct td_seg s;

	td_data(d, 1, 100, 1);
	td_data(d, 101, 100, 1);
	td_forget_output(d);
	td_data(d, 1, 100, 1);
	s = td_expect(d, TCP_ACK, 1, 201, 0);
	assert_int_equal(s.opt.n_sack, 1);
	assert_int_equal(s.opt.sack[0].start - d->irs, 1);
	assert_int_equal(s.opt.sack[0].end - d->irs, 101);
	td_data(d, 1001, 100, 1);
	td_forget_output(d);
	td_data(d, 1001, 100, 1); /* out of order and twice: RFC 2883 4.1.2 */
	s = td_expect(d, TCP_ACK, 1, 201, 0);
	assert_int_equal(s.opt.n_sack, 2);
	assert_int_equal(s.opt.sack[0].start - d->irs, 1001);
	td_free(d);
}

static void window_never_shrinks(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t edge = 1 + 65535, seq = 1;
	struct td_seg s;

	tcp_set_window(&d->st, d->c, 0);
	while (seq < edge) {
		uint32_t n = edge - seq < 1000 ? edge - seq : 1000;

		td_send(d, .flags = TCP_ACK | TCP_PSH, .seq = seq, .len = n, .ack = 1);
		seq += n;
		s = td_expect(d, TCP_ACK, 1, seq, 0);
		assert_int_equal(s.ack - d->irs + s.window, edge);
	}
	assert_int_equal(tcp_unread(d->c), 65535);
	td_data(d, seq, 1, 1); /* the peer's probe of the closed window */
	s = td_expect(d, TCP_ACK, 1, seq, 0);
	assert_int_equal(s.window, 0);
	assert_int_equal(tcp_unread(d->c), 65535);
	assert_int_equal(read_all(d), 65535);
	td_output(d);
	td_expect_none(d); /* 0 bytes may be unread: still closed */
	tcp_set_window(&d->st, d->c, 20000);
	td_output(d);
	s = td_expect(d, TCP_ACK, 1, seq, 0);
	assert_int_equal(s.window, 20000);
	td_free(d);
}

static void silly_window_is_not_offered(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	struct td_seg s;
	uint32_t seq = 1;

	o.config.rcv_buf = 8000;
	d = td_make(TCP_ESTABLISHED, &o);
	for (; seq < 8001; seq += 1000)
		td_send(d, .flags = TCP_ACK | TCP_PSH, .seq = seq, .len = 1000, .ack = 1);
	td_forget_output(d);
	for (int i = 0; i < 28; i++) { /* 2,800 bytes by 100: below two segments */
		tcp_consume(&d->st, d->c, 100);
		td_output(d);
		td_expect_none(d);
	}
	tcp_consume(&d->st, d->c, 100);
	td_output(d);
	s = td_expect(d, TCP_ACK, 1, 8001, 0);
	assert_int_equal(s.window, 2900);
	td_free(d);
}

static void bytes_beyond_the_window_are_cut(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;

	o.config.rcv_buf = 1000;
	d = td_make(TCP_ESTABLISHED, &o);
	td_send(d, .flags = TCP_ACK | TCP_FIN, .seq = 1, .len = 1400, .ack = 1);
	td_expect(d, TCP_ACK, 1, 1001, 0);
	assert_int_equal(tcp_unread(d->c), 1000);
	td_expect_state(d, TCP_ESTABLISHED); /* the FIN lay beyond, too */
	td_free(d);
}

static void window_grows_for_a_reader_that_keeps_up(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	uint32_t seq = 1, window = 0;

	o.wscale = true;
	o.config.rcv_buf = 1u << 20;
	d = td_make(TCP_ESTABLISHED, &o);
	for (int i = 0; i < 3000; i++, seq += 1448) {
		assert_true(td_input_known(
		    d, &(struct td_in){ .flags = TCP_ACK, .seq = seq, .len = 1448, .ack = 1 }));
		read_all(d);
		if (i % 16 == 15) {
			td_output(d);
			while (d->n_out)
				window = (uint32_t)td_expect(d, TCP_ACK, 1, seq + 1448, 0).window
					 << d->c->rcv_wscale;
		}
	}
	assert_in_range(window, (1u << 20) - 65536, 1u << 20);
	assert_int_equal(d->c->rcv_wscale, 5);
	td_free(d);
}

static void data_on_the_syn_ack_and_on_the_handshakes_ack(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_SYN_SENT, &o);

	td_send(d, .flags = TCP_SYN | TCP_ACK, .seq = 0, .ack = 1, .len = 5, .data = "220 x",
	    .opt = { .mss = 1460, .sack_ok = true });
	td_expect(d, TCP_ACK, 1, 6, 0);
	assert_int_equal(td_events(d), TCP_EV_OPEN | TCP_EV_READ);
	assert_int_equal(tcp_unread(d->c), 5);
	td_free(d);
	d = td_make(TCP_ESTABLISHED, &o); /* EHLO rides on the ACK that proves the cookie */
	td_data(d, 1, 20, 1);
	assert_int_equal(td_events(d), TCP_EV_READ);
	td_free(d);
}

static void fin_on_the_syn_ack(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_SYN_SENT, &o);

	td_send(d, .flags = TCP_SYN | TCP_ACK | TCP_FIN, .seq = 0, .ack = 1);
	td_expect(d, TCP_ACK, 1, 2, 0);
	td_expect_state(d, TCP_CLOSE_WAIT);
	td_free(d);
}

static void options_the_server_lacks_are_not_used(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	struct td_seg s;

	o.config.rcv_buf = 1u << 20;
	d = td_new(&o);
	assert_true(td_connect(d));
	td_output(d);
	s = td_expect(d, TCP_SYN, 0, 0, 0);
	assert_int_equal(s.opt.mss, v6 ? 1440 : 1460);
	assert_true(s.opt.has_ts && s.opt.sack_ok && s.opt.has_wscale);
	assert_int_equal(s.opt.wscale, 5);
	d->o.ts = false;
	td_send(d, .flags = TCP_SYN | TCP_ACK, .seq = 0, .ack = 1);
	s = td_expect(d, TCP_ACK, 1, 1, 0);
	assert_false(s.opt.has_ts);
	assert_int_equal(s.window, 65535); /* unscaled */
	assert_int_equal(d->c->mss, v6 ? 1220 : 536);
	td_free(d);
}

static void simultaneous_open(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_SYN_SENT, &o);
	struct td_seg s;

	td_send(d, .flags = TCP_SYN, .seq = 0,
	    .opt = { .mss = 1400, .sack_ok = true, .has_wscale = true, .wscale = 3 });
	s = td_expect(d, TCP_SYN | TCP_ACK, 0, 1, 0);
	assert_true(s.opt.has_ts && s.opt.sack_ok && s.opt.mss);
	td_expect_state(d, TCP_SYN_RECEIVED);
	assert_int_equal(td_events(d), 0);
	td_send(d, .flags = TCP_SYN | TCP_ACK, .seq = 0, .ack = 1);
	td_expect_state(d, TCP_ESTABLISHED);
	assert_int_equal(td_events(d), TCP_EV_OPEN);
	td_free(d);
}

static void simultaneous_close(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	struct stack_usage usage;

	tcp_shutdown(&d->st, d->c);
	td_output(d);
	td_expect(d, TCP_FIN | TCP_ACK, 1, 1, 0);
	td_send(d, .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 1);
	td_expect(d, TCP_ACK, 2, 2, 0);
	td_expect_state(d, TCP_CLOSING);
	td_ack(d, 2, 2);
	td_expect_none(d);
	tcp_half_usage(d->st.tcp, &usage);
	assert_int_equal(usage.timewait, 1);
	tcp_close(&d->st, d->c);
	tcp_half_usage(d->st.tcp, &usage);
	assert_int_equal(usage.conns, 0);
	td_free(d);
}

static void half_closed_client_is_still_heard_and_served(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_FIN_WAIT_2, &o); /* we sent FIN, the client goes on */

	for (uint32_t seq = 1; seq < 5001; seq += 1000)
		td_data(d, seq, 1000, 2);
	assert_int_equal(read_all(d), 5000);
	td_free(d);
	d = td_make(TCP_CLOSE_WAIT, &o); /* the client sent FIN, we go on */
	assert_int_equal(tcp_write(&d->st, d->c, "221 bye\r\n", 9), 9);
	td_output(d);
	td_expect(d, TCP_ACK, 1, 2, 9);
	tcp_shutdown(&d->st, d->c);
	td_output(d);
	td_expect(d, TCP_FIN | TCP_ACK, 10, 2, 0);
	td_ack(d, 2, 11);
	assert_int_equal(d->c->state, TCP_CLOSED);
	td_free(d);
}

static void closed_by_the_owner_still_delivers(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	td_data(d, 1, 50, 1); /* never read */
	tcp_write(&d->st, d->c, "554 no\r\n", 8);
	tcp_close(&d->st, d->c);
	td_output(d);
	td_expect(d, TCP_FIN | TCP_ACK, 1, 51, 8); /* text and FIN in one */
	td_data(d, 51, 50, 1); /* not yet acknowledged: no RST may overtake the text */
	td_expect(d, TCP_ACK, 10, 101, 0);
	td_ack(d, 101, 10);
	td_expect(d, TCP_RST | TCP_ACK, 10, 101, 0); /* RFC 9293 3.6.1 */
	assert_false(td_input_known(d, &(struct td_in){ .flags = TCP_ACK, .seq = 101, .ack = 10 }));
	assert_int_equal(d->st.tcp->n_conns, 0);
	assert_int_equal(d->st.tcp->chunks.used, 0);
	td_free(d);
}

static void data_after_close_is_reset(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_FIN_WAIT_2, &o);

	tcp_close(&d->st, d->c);
	td_data(d, 1, 10, 2);
	td_expect(d, TCP_RST | TCP_ACK, 2, 11, 0);
	assert_int_equal(d->st.tcp->n_conns, 0);
	td_free(d);
}

static void orphan_ends_in_time_wait_with_its_last_ack(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	tcp_close(&d->st, d->c);
	td_output(d);
	td_expect(d, TCP_FIN | TCP_ACK, 1, 1, 0);
	td_send(d, .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 2);
	td_expect(d, TCP_ACK, 2, 2, 0);
	assert_int_equal(d->st.tcp->n_conns, 0);
	assert_int_equal(d->st.tcp->tw.used, 1);
	td_free(d);
}

static void abort_sends_rst(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	tcp_write(&d->st, d->c, "x", 1);
	tcp_abort(&d->st, d->c);
	td_output(d);
	td_expect(d, TCP_RST | TCP_ACK, 1, 1, 0);
	td_expect_none(d);
	assert_int_equal(d->st.tcp->n_conns, 0);
	td_free(d);
	d = td_make(TCP_SYN_SENT, &o); /* RFC 9293 3.10.5: nothing to reset */
	tcp_abort(&d->st, d->c);
	td_output(d);
	td_expect_none(d);
	assert_int_equal(d->st.tcp->n_conns, 0);
	td_free(d);
}

static void reset_at_every_byte(void **state)
{
	const int v6 = td_family(state);
	for (uint32_t at = 0; at <= 40; at++) {
		struct td_options o = family(v6);
		struct td *d = td_make(TCP_ESTABLISHED, &o);

		for (uint32_t i = 0; i < at; i++)
			td_data(d, 1 + i, 1, 1);
		tcp_write(&d->st, d->c, "answer", 6);
		td_output(d);
		td_forget_output(d);
		td_send(d, .flags = TCP_RST, .seq = 1 + at);
		assert_true(td_events(d) & TCP_EV_RESET);
		td_expect_none(d);                      /* no RST to a RST */
		assert_int_equal(tcp_unread(d->c), at); /* still readable */
		assert_int_equal(read_all(d), at);
		tcp_close(&d->st, d->c);
		assert_int_equal(d->st.tcp->n_conns, 0);
		assert_int_equal(d->st.tcp->chunks.used, 0);
		td_free(d);
	}
}

static void connect_refused(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_SYN_SENT, &o);

	td_send(d, .flags = TCP_RST | TCP_ACK, .seq = 0, .ack = 1);
	assert_int_equal(td_events(d), TCP_EV_RESET);
	td_expect_none(d);
	td_free(d);
}

static void connection_table_full(void **state)
{
	struct td_options o = { .config = { .max_conns = 1 } };
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	struct tcp_connect req = { .src = d->local, .dst = d->remote, .dst_port = 25 };
	struct conn_seed seed = { .iss = 1, .irs = 1 };
	struct packet pkt = {
		.src = d->remote, .dst = d->local, .src_port = 1, .dst_port = 25, .flags = TCP_ACK
	};
	struct tcp_conn *c = NULL;

	(void)state;
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &c), -105 /* ENOBUFS */);
	assert_null(c);
	assert_int_equal(conn_from_cookie(&d->st, &pkt, &seed, d->now_ns, NULL), -105);
	assert_int_equal(d->counters[STACK_conn_table_full], 2);
	td_free(d);
}

/* A client by the ACK of a cookie, told apart by its port. */
static int accept_one(struct td *d, uint16_t port, struct tcp_conn **ret_conn)
{
	struct conn_seed seed = { .iss = 1, .irs = 1 };
	struct packet pkt = { .src = d->remote,
		.dst = d->local,
		.src_port = port,
		.dst_port = 25,
		.seq = 2,
		.ack = 2,
		.window = 65535,
		.ttl = 64,
		.v4 = !d->o.v6,
		.flags = TCP_ACK };
	unsigned events;
	int r = conn_from_cookie(&d->st, &pkt, &seed, d->now_ns, NULL);

	if (r == 0)
		*ret_conn = stack_next_ready(&d->st, &events);
	return r;
}

static void clients_leave_backends_their_share(void **state)
{
	struct td_options o = { .v6 = td_family(state), .config = { .max_conns = 16 } };
	struct td *d = td_new(&o);
	struct tcp_connect req = { .src = d->local, .dst = d->remote, .dst_port = 25 };
	struct tcp_conn *c[16], *client, *last;

	for (unsigned i = 0; i < 14; i++)
		assert_int_equal(accept_one(d, (uint16_t)(1000 + i), &c[i]), 0);
	assert_int_equal(accept_one(d, 2000, &last), -105 /* ENOBUFS: answered by RST */);
	assert_int_equal(d->counters[STACK_conn_table_full], 1);
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &client), 0);
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &last), 0);
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &last), -105);
	assert_int_equal(d->counters[STACK_conn_table_full], 2);
	tcp_close(&d->st, client); /* its place is the backends' still */
	assert_int_equal(accept_one(d, 2000, &last), -105);
	tcp_abort(&d->st, c[0]);
	td_output(d);
	assert_int_equal(accept_one(d, 2000, &last), 0);
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &client), 0);
	td_free(d);
}

static void the_oldest_orphan_is_reset(void **state)
{
	struct td_options o = { .v6 = td_family(state), .config = { .max_conns = 16 } };
	struct td *d = td_new(&o);
	struct stack_usage usage;
	struct tcp_conn *c[16], *last;

	for (unsigned i = 0; i < 14; i++)
		assert_int_equal(accept_one(d, (uint16_t)(1000 + i), &c[i]), 0);
	for (unsigned i = 0; i < 4; i++)
		tcp_close(&d->st, c[i]);
	td_output(d);
	for (unsigned i = 0; i < 4; i++)
		td_expect(d, TCP_FIN | TCP_ACK, 2 - d->iss, 2 - d->irs, 0);
	td_expect_none(d);
	assert_int_equal(d->counters[STACK_tcp_orphans_reset], 0);
	for (unsigned i = 4; i < 14; i++) { /* none of the peers acknowledges */
		tcp_close(&d->st, c[i]);
		td_output(d);
	}
	tcp_half_usage(d->st.tcp, &usage);
	assert_int_equal(usage.conns, 4); /* a quarter, whatever the clients do */
	assert_int_equal(d->counters[STACK_tcp_orphans_reset], 10);
	assert_int_equal(d->counters[STACK_tcp_resets_sent], 10);
	/* the first are gone, the last are left: the flow of the fourteenth is still taken */
	d->local_port = 25;
	d->remote_port = 1000;
	assert_false(td_input_known(d, &(const struct td_in){ .flags = TCP_ACK, .seq = 1 }));
	d->remote_port = 1013;
	assert_true(td_input_known(d, &(const struct td_in){ .flags = TCP_ACK, .seq = 1 }));
	assert_int_equal(accept_one(d, 2000, &last), 0);
	td_run_ms(d, 301000); /* those left end by the user time-out, and leave the list */
	tcp_half_usage(d->st.tcp, &usage);
	assert_int_equal(usage.conns, 1);
	tcp_close(&d->st, last);
	td_output(d);
	assert_int_equal(d->counters[STACK_tcp_orphans_reset], 10);
	td_free(d);
}

static void a_connect_looks_at_so_many_ports(void **state)
{
	struct td_options o = { .v6 = td_family(state), .config = { .max_conns = 1024 } };
	struct td *d = td_new(&o);
	struct tcp_connect req = { .src = d->local, .dst = d->remote, .dst_port = 25 };
	struct tcp_conn *c[1000], *again = NULL;
	unsigned tries = 0;
	uint16_t freed;

	d->st.config.ephemeral_last = 40999;
	for (unsigned i = 0; i < 1000; i++) /* free ones are found at once, each another */
		assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &c[i]), 0);
	assert_int_equal(d->st.tcp->port_counter, 1000);
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &again), -99 /* EADDRNOTAVAIL */);
	assert_int_equal(d->st.tcp->port_counter, 1064);
	freed = c[500]->key.local_port;
	tcp_close(&d->st, c[500]);
	while (tcp_connect(&d->st, &req, d->now_ns, &again) != 0)
		assert_true(++tries < 16); /* the only free one within one round of the range */
	assert_int_equal(again->key.local_port, freed);
	td_free(d);
}

static void ports_exhausted(void **state)
{
	struct td_options o = { 0 };
	struct td *d = td_new(&o);
	struct tcp_connect req = { .src = d->local, .dst = d->remote, .dst_port = 25 };
	struct tcp_conn *c;
	unsigned seen = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &c), 0);
		seen |= 1u << (c->key.local_port - 40000);
	}
	assert_int_equal(seen, 15);
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &c), -99 /* EADDRNOTAVAIL */);
	req.dst_port = 26; /* another destination has ports of its own */
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &c), 0);
	req.src = d->remote; /* not ours */
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &c), -99);
	td_free(d);
}

static void isn_is_keyed_and_moves(void **state)
{
	struct td_options o = { 0 };
	struct td *d = td_new(&o), *e;
	uint32_t first;

	(void)state;
	assert_true(td_connect(d));
	first = d->c->snd_una;
	e = td_new(&o);
	memset(e->st.config.secrets.isn_key, 1, 16);
	assert_true(td_connect(e));
	e->c->key.local_port = d->c->key.local_port;
	assert_int_not_equal(first, e->c->snd_una);
	td_free(e);
	e = td_new(&o); /* the same flow a second later: 250,000 further (RFC 6528) */
	e->now_ns += 1024000000;
	assert_true(td_connect(e));
	assert_int_equal(e->c->key.local_port, d->c->key.local_port);
	assert_int_equal(e->c->snd_una - first, 250000);
	td_free(e);
	td_free(d);
}

static void chunks_exhausted_closes_the_window(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	struct td_seg s = { 0 };
	uint32_t seq = 1;

	o.config.max_chunks = 16;
	o.peer_window = 65535;
	d = td_make(TCP_ESTABLISHED, &o);
	while (d->st.tcp->chunks.used < 15) { /* a sixteenth is kept for sending */
		td_send(d, .flags = TCP_ACK | TCP_PSH, .seq = seq, .len = 1000, .ack = 1);
		seq = d->c->rcv_nxt - d->irs;
	}
	td_send(d, .flags = TCP_ACK | TCP_PSH, .seq = seq, .len = 1400, .ack = 1);
	td_send(d, .flags = TCP_ACK | TCP_PSH, .seq = d->c->rcv_nxt - d->irs, .len = 1400, .ack = 1);
	assert_true(d->counters[STACK_chunks_exhausted] > 0);
	assert_true(d->counters[STACK_windows_held] > 0);
	seq = d->c->rcv_nxt - d->irs;
	td_forget_output(d);
	read_all(d);
	td_output(d); /* room again: the edge moves on */
	s = td_expect(d, TCP_ACK, 1, seq, 0);
	assert_true(s.window > 50000);
	td_free(d);
}

static void out_of_order_goes_first_under_pressure(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;

	o.config.max_chunks = 16;
	d = td_make(TCP_ESTABLISHED, &o);
	for (uint32_t i = 0; i < 20; i++)
		td_data(d, 30001 + i * 1000, 10, 1);
	assert_int_equal(d->st.tcp->chunks.used, 12); /* a quarter is kept free */
	assert_true(d->counters[STACK_tcp_out_of_order_dropped] >= 8);
	for (uint32_t seq = 1; seq < 14001; seq += 1000)
		td_data(d, seq, 1000, 1);
	assert_int_equal(tcp_unread(d->c), 14000);
	assert_int_equal(d->counters[STACK_reasm_evicted], 1);
	assert_int_equal(d->c->ooo_runs, 0);
	td_free(d);
}

static void runs_are_bounded(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	for (uint32_t i = 0; i < 100; i++)
		td_data(d, 101 + i * 200, 10, 1);
	assert_int_equal(d->c->ooo_runs, 32);
	assert_int_equal(d->counters[STACK_reasm_runs_full], 68);
	assert_int_equal(d->st.tcp->chunks.used, 32);
	td_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TD_BOTH(old_timestamp_is_refused),
		TD_BOTH(timestamp_outside_the_window_is_not_believed),
		TD_BOTH(timestamp_of_24_days_ago_is_not_compared),
		TD_BOTH(missing_timestamp_is_dropped),
		TD_BOTH(echo_is_of_the_earliest_unacknowledged),
		TD_BOTH(challenge_acks_are_limited),
		TD_BOTH(ack_from_before_the_window_is_challenged),
		TD_BOTH(second_segment_is_acknowledged_at_once),
		TD_BOTH(push_is_acknowledged_with_the_turn),
		TD_BOTH(out_of_order_is_kept_and_reported),
		TD_BOTH(duplicate_is_reported_by_dsack),
		TD_BOTH(window_never_shrinks),
		TD_BOTH(silly_window_is_not_offered),
		TD_BOTH(bytes_beyond_the_window_are_cut),
		TD_BOTH(window_grows_for_a_reader_that_keeps_up),
		TD_BOTH(data_on_the_syn_ack_and_on_the_handshakes_ack),
		TD_BOTH(fin_on_the_syn_ack),
		TD_BOTH(options_the_server_lacks_are_not_used),
		TD_BOTH(simultaneous_open),
		TD_BOTH(simultaneous_close),
		TD_BOTH(half_closed_client_is_still_heard_and_served),
		TD_BOTH(closed_by_the_owner_still_delivers),
		TD_BOTH(data_after_close_is_reset),
		TD_BOTH(orphan_ends_in_time_wait_with_its_last_ack),
		TD_BOTH(abort_sends_rst),
		TD_BOTH(reset_at_every_byte),
		TD_BOTH(connect_refused),
		cmocka_unit_test(connection_table_full),
		TD_BOTH(clients_leave_backends_their_share),
		TD_BOTH(the_oldest_orphan_is_reset),
		TD_BOTH(a_connect_looks_at_so_many_ports),
		cmocka_unit_test(ports_exhausted),
		cmocka_unit_test(isn_is_keyed_and_moves),
		TD_BOTH(chunks_exhausted_closes_the_window),
		TD_BOTH(out_of_order_goes_first_under_pressure),
		TD_BOTH(runs_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
