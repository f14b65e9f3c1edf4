/* SPDX-License-Identifier: BSD-3-Clause */
/* What time alone brings about: retransmission, probes, keep-alive, and the ends of patience. */
#include "driver.h"

static struct td_options family(int v6)
{
	return (struct td_options){ .v6 = v6, .ts = true, .peer_mss = 1460 };
}

static void say(struct td *d, const char *text)
{
	assert_int_equal(tcp_write(&d->st, d->c, text, strlen(text)), strlen(text));
	td_output(d);
}

/* Milliseconds until something is sent, by steps of one. */
static uint32_t ms_until_output(struct td *d, uint32_t limit)
{
	uint32_t ms = 0;

	while (d->n_out == 0 && ms < limit) {
		td_run_ms(d, 1);
		ms++;
	}
	return ms;
}

static void retransmission_backs_off_to_the_user_timeout(void **state)
{
	const int v6 = td_family(state);
	/* the handshake took 10 ms, so the floor of 200 ms rules; doubled to 60 s */
	static const uint32_t gaps[] = { 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200,
		60000, 60000, 60000 };
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t total = 0;

	say(d, "220 hello\r\n");
	td_expect(d, TCP_ACK, 1, 1, 11);
	for (unsigned i = 0; i < 12; i++) {
		uint32_t ms = ms_until_output(d, 300000 - total);

		total += ms;
		if (total >= 299000)
			break;
		assert_in_range(ms, gaps[i] - 2, gaps[i] + 2);
		td_expect(d, TCP_ACK, 1, 1, 11);
	}
	td_run_ms(d, 20000);
	assert_int_equal(td_events(d), TCP_EV_TIMEOUT);
	assert_int_equal(d->c->state, TCP_CLOSED);
	assert_int_equal(d->counters[STACK_tcp_user_timeouts], 1);
	td_free(d);
}

static void answer_ends_the_backing_off(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	say(d, "a");
	td_run_ms(d, 1500);
	td_forget_output(d);
	td_ack(d, 1, 2);
	td_run_ms(d, 100000);
	td_expect_none(d); /* all timers are off */
	assert_int_equal(conn_next_deadline(&d->st), UINT64_MAX);
	say(d, "b");
	td_expect(d, TCP_ACK, 2, 1, 1);
	assert_in_range(ms_until_output(d, 1000), 198, 202);
	td_free(d);
}

static void first_timeout_is_a_second_without_a_sample(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_SYN_SENT, &o);

	assert_in_range(ms_until_output(d, 2000), 998, 1002);
	td_expect(d, TCP_SYN, 0, 0, 0);
	assert_in_range(ms_until_output(d, 3000), 1998, 2002);
	td_expect(d, TCP_SYN, 0, 0, 0);
	td_run_ms(d, 30000);
	assert_int_equal(td_events(d), TCP_EV_TIMEOUT);
	assert_int_equal(d->counters[STACK_tcp_connect_ended], 1);
	td_forget_output(d);
	td_run_ms(d, 100000);
	td_expect_none(d);
	td_free(d);
}

static void syn_ack_of_a_simultaneous_open_is_repeated(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_SYN_RECEIVED, &o);

	ms_until_output(d, 3000);
	td_expect(d, TCP_SYN | TCP_ACK, 0, 1, 0);
	td_ack(d, 1, 1);
	assert_int_equal(td_events(d), TCP_EV_OPEN);
	assert_int_equal(d->c->cwnd, d->c->mss); /* RFC 6928: a lost SYN, one segment */
	td_free(d);
}

static void fin_is_repeated(void **state)
{
	const int v6 = td_family(state);
	static const int states[] = { TCP_FIN_WAIT_1, TCP_CLOSING, TCP_LAST_ACK };

	for (unsigned i = 0; i < 3; i++) {
		struct td_options o = family(v6);
		struct td *d = td_make(states[i], &o);

		assert_in_range(ms_until_output(d, 1000), 195, 202);
		td_expect(d, TCP_FIN | TCP_ACK, 1, i == 0 ? 1 : 2, 0);
		assert_in_range(ms_until_output(d, 1000), 398, 402);
		td_expect(d, TCP_FIN | TCP_ACK, 1, i == 0 ? 1 : 2, 0);
		td_free(d);
	}
}

static void closed_window_is_probed_with_a_byte(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t gap = 200;

	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1, .zero_window = true);
	say(d, "hello");
	td_expect_none(d);
	for (int i = 0; i < 6; i++, gap *= 2) {
		struct td_seg s;

		assert_in_range(ms_until_output(d, 10000), gap - 2, gap + 2);
		s = td_expect(d, TCP_ACK, 1, 1, 1);
		assert_int_equal(s.data[0], 'h');
		td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1, .zero_window = true);
		td_expect_none(d);
	}
	assert_int_equal(d->counters[STACK_tcp_window_probes], 6);
	td_ack(d, 1, 1); /* opened */
	td_expect(d, TCP_ACK, 1, 1, 5);
	td_free(d);
}

static void probe_byte_that_was_taken_counts(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1, .zero_window = true);
	say(d, "hello");
	ms_until_output(d, 1000);
	td_expect(d, TCP_ACK, 1, 1, 1);
	td_ack(d, 1, 2);
	td_expect(d, TCP_ACK, 2, 1, 4);
	td_ack(d, 1, 6);
	assert_int_equal(tcp_unsent_or_unacked(d->c), 0);
	assert_int_equal(td_events(d), TCP_EV_SENT);
	td_free(d);
}

static void window_closed_for_too_long_ends_it(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	uint32_t probes = 0;

	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1, .zero_window = true);
	say(d, "hello");
	for (int s = 0; s < 299; s++) { /* a peer that never reads, yet answers every probe */
		td_run_ms(d, 1000);
		if (d->n_out == 0)
			continue;
		probes++;
		td_forget_output(d);
		td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1, .zero_window = true);
		td_forget_output(d);
		assert_int_equal(td_events(d), 0);
	}
	assert_in_range(probes, 8, 14);
	td_run_ms(d, 2000);
	assert_int_equal(td_events(d), TCP_EV_TIMEOUT);
	td_free(d);
}

static void keepalive_asks_and_gives_up(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	tcp_set_keepalive(&d->st, d->c, true);
	assert_in_range(ms_until_output(d, 130000), 119990, 120010);
	td_expect(d, TCP_ACK, 0, 1, 0); /* left of the window, no data */
	td_ack(d, 1, 1);
	td_run_ms(d, 119000);
	td_expect_none(d); /* it answered: a whole new interval */
	td_run_ms(d, 2000);
	td_expect(d, TCP_ACK, 0, 1, 0);
	td_run_ms(d, 8 * 15000 + 1000);
	assert_int_equal(d->n_out, 7);
	assert_int_equal(td_events(d), TCP_EV_TIMEOUT);
	assert_int_equal(d->counters[STACK_tcp_keepalive_ended], 1);
	td_free(d);
	d = td_make(TCP_ESTABLISHED, &o); /* not asked for */
	td_run_ms(d, 1000000);
	td_expect_none(d);
	td_free(d);
}

static void orphan_does_not_wait_for_a_fin_for_ever(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_FIN_WAIT_2, &o);

	td_run_ms(d, 1000000); /* while the owner holds it, it may wait */
	td_expect_state(d, TCP_FIN_WAIT_2);
	tcp_close(&d->st, d->c);
	td_run_ms(d, 59000);
	assert_int_equal(d->st.tcp->n_conns, 1);
	td_run_ms(d, 2000);
	assert_int_equal(d->st.tcp->n_conns, 0);
	assert_int_equal(d->counters[STACK_tcp_fin_wait2_ended], 1);
	td_free(d);
}

static void peer_that_never_closes_after_our_close(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	tcp_close(&d->st, d->c); /* its FIN is never acknowledged */
	td_run_ms(d, 310000);
	assert_int_equal(d->st.tcp->n_conns, 0);
	td_free(d);
}

static void tail_loss_is_probed(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	uint8_t data[4000] = { 0 };

	o.sack = true;
	d = td_make(TCP_ESTABLISHED, &o);
	assert_int_equal(tcp_write(&d->st, d->c, data, 4000), 4000);
	td_output(d);
	assert_int_equal(d->n_out, 3);
	td_forget_output(d);
	/* 2 * 10 ms, long before the time-out, and the last segment, not the first */
	assert_in_range(ms_until_output(d, 1000), 20, 24);
	td_expect(d, TCP_ACK, 1 + 2 * d->c->mss, 1, 4000 - 2u * d->c->mss);
	td_run_ms(d, 150);
	td_expect_none(d); /* one probe only */
	assert_int_equal(d->counters[STACK_tcp_tail_probes], 1);
	assert_true(d->c->cwnd >= 10u * d->c->mss);
	td_free(d);
}

static void tail_probe_sends_new_data_if_there_is_some(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d;
	uint8_t data[20000] = { 0 };

	o.sack = true;
	d = td_make(TCP_ESTABLISHED, &o);
	tcp_write(&d->st, d->c, data, 20000);
	td_output(d);
	assert_int_equal(d->n_out, 10); /* the initial window */
	td_forget_output(d);
	ms_until_output(d, 1000);
	td_expect(d, TCP_ACK, 1 + 10 * d->c->mss, 1, d->c->mss);
	assert_int_equal(d->c->retransmits, 0);
	td_free(d);
}

static void idle_sender_starts_slowly_again(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	d->c->cwnd = 1000000;
	td_run_ms(d, 1000);
	say(d, "x");
	assert_int_equal(d->c->cwnd, 10 * d->c->mss);
	td_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TD_BOTH(retransmission_backs_off_to_the_user_timeout),
		TD_BOTH(answer_ends_the_backing_off),
		TD_BOTH(first_timeout_is_a_second_without_a_sample),
		TD_BOTH(syn_ack_of_a_simultaneous_open_is_repeated),
		TD_BOTH(fin_is_repeated),
		TD_BOTH(closed_window_is_probed_with_a_byte),
		TD_BOTH(probe_byte_that_was_taken_counts),
		TD_BOTH(window_closed_for_too_long_ends_it),
		TD_BOTH(keepalive_asks_and_gives_up),
		TD_BOTH(orphan_does_not_wait_for_a_fin_for_ever),
		TD_BOTH(peer_that_never_closes_after_our_close),
		TD_BOTH(tail_loss_is_probed),
		TD_BOTH(tail_probe_sends_new_data_if_there_is_some),
		TD_BOTH(idle_sender_starts_slowly_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
