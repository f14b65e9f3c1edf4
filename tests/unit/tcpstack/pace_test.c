/* SPDX-License-Identifier: BSD-3-Clause */
/* New bytes leave at the owner's pace, and everything else as if there were none. */
#include "driver.h"

static struct td *paced(void **state, uint32_t bytes, uint32_t interval_ms)
{
	struct td_options o = { .v6 = td_family(state), .ts = true, .sack = true, .peer_mss = 1460 };
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	tcp_set_pace(&d->st, d->c, bytes, interval_ms);
	return d;
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

	for (; d->n_out == 0 && ms < limit; ms++)
		td_run_ms(d, 1);
	return ms;
}

static void a_byte_an_interval(void **state)
{
	static const char text[] = "220-teaser\r\n";
	struct td *d = paced(state, 1, 1000);

	say(d, text);
	for (uint32_t i = 0; text[i]; i++) {
		uint32_t ms = ms_until_output(d, 5000);
		struct td_seg s = td_expect(d, TCP_ACK, 1 + i, 1, 1);

		assert_int_equal(s.data[0], text[i]);
		if (i)
			assert_in_range(ms, 990, 1002);
		td_ack(d, 1, 2 + i);
	}
	td_run_ms(d, 100000);
	td_expect_none(d);
	assert_int_equal(td_events(d), TCP_EV_SENT);
	assert_int_equal(d->counters[STACK_tcp_window_probes], 0);
	assert_int_equal(d->counters[STACK_tcp_retransmits], 0);
	/* what was not used in a pause is not saved */
	say(d, "ab");
	td_expect(d, TCP_ACK, 13, 1, 1);
	td_expect_none(d);
	td_free(d);
}

static void lots_beyond_a_segment(void **state)
{
	struct td *d = paced(state, 4000, 500);
	static uint8_t data[9000];
	uint32_t mss = d->c->mss, at = 1, end;

	assert_int_equal(tcp_write(&d->st, d->c, data, sizeof(data)), sizeof(data));
	td_output(d);
	for (uint32_t lot = 0; lot < 3; lot++) {
		end = 1 + (lot == 2 ? 9000 : 4000 * (lot + 1));
		if (lot)
			assert_in_range(ms_until_output(d, 1000), 490, 502);
		while (at < end) {
			uint32_t len = end - at < mss ? end - at : mss;

			td_expect(d, TCP_ACK, at, 1, len);
			at += len;
		}
		td_expect_none(d);
		td_ack(d, 1, at);
		td_expect_none(d); /* an ACK opens no new lot */
	}
	td_free(d);
}

static void small_writes_share_a_lot(void **state)
{
	struct td *d = paced(state, 10, 1000);

	say(d, "1234");
	td_expect(d, TCP_ACK, 1, 1, 4);
	say(d, "56789012");
	td_expect(d, TCP_ACK, 5, 1, 6); /* the rest of the lot */
	td_expect_none(d);
	td_ack(d, 1, 11);
	assert_in_range(ms_until_output(d, 2000), 985, 1002);
	td_expect(d, TCP_ACK, 11, 1, 2);
	td_free(d);
}

static void release_lets_everything_go(void **state)
{
	struct td *d = paced(state, 1, 10000);

	say(d, "250 ok\r\n");
	td_expect(d, TCP_ACK, 1, 1, 1);
	td_ack(d, 1, 2);
	td_run_ms(d, 3000);
	td_expect_none(d);
	tcp_set_pace(&d->st, d->c, 0, 0);
	td_output(d);
	struct td_seg s = td_expect(d, TCP_ACK, 2, 1, 7);
	assert_memory_equal(s.data, "50 ok\r\n", 7);
	td_free(d);
}

static void faster_counts_at_once(void **state)
{
	struct td *d = paced(state, 1, 1000);

	say(d, "0123456789");
	td_expect(d, TCP_ACK, 1, 1, 1);
	td_ack(d, 1, 2);
	tcp_set_pace(&d->st, d->c, 4, 1000);
	td_output(d);
	td_expect(d, TCP_ACK, 2, 1, 3); /* one of this interval's four has gone */
	tcp_set_pace(&d->st, d->c, 2, 1000);
	td_output(d);
	td_expect_none(d);
	td_free(d);
}

static void lost_bytes_come_again_at_once(void **state)
{
	struct td *d = paced(state, 2, 30000);

	say(d, "abcd");
	td_expect(d, TCP_ACK, 1, 1, 2);
	assert_in_range(ms_until_output(d, 2000), 195, 420); /* probe or time-out, not the pace */
	struct td_seg s = td_expect(d, TCP_ACK, 1, 1, 2);
	assert_memory_equal(s.data, "ab", 2);
	td_free(d);
}

static void held_bytes_are_not_overdue(void **state)
{
	struct td *d;
	struct td_options o = {
		.v6 = td_family(state), .ts = true, .peer_mss = 1460, .config.user_timeout_ms = 5000
	};

	d = td_make(TCP_ESTABLISHED, &o);
	tcp_set_pace(&d->st, d->c, 1, 20000);
	say(d, "abc");
	td_expect(d, TCP_ACK, 1, 1, 1);
	td_ack(d, 1, 2);
	td_run_ms(d, 19900); /* far beyond the user time-out, and no probe of an open window */
	td_expect_none(d);
	td_expect_state(d, TCP_ESTABLISHED);
	td_run_ms(d, 200);
	td_expect(d, TCP_ACK, 2, 1, 1);
	assert_int_equal(td_events(d) & TCP_EV_TIMEOUT, 0);
	td_free(d);
}

static void closed_window_is_probed_all_the_same(void **state)
{
	struct td *d = paced(state, 1, 500);

	say(d, "abc");
	td_expect(d, TCP_ACK, 1, 1, 1);
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 2, .zero_window = true);
	td_run_ms(d, 3000);
	assert_true(d->counters[STACK_tcp_window_probes] > 0);
	td_forget_output(d);
	td_ack(d, 1, 2); /* it opens */
	assert_in_range(ms_until_output(d, 1000), 0, 502);
	struct td_seg s = td_expect(d, TCP_ACK, 2, 1, 1);
	assert_int_equal(s.data[0], 'b');
	td_free(d);
}

static void acks_are_not_held(void **state)
{
	struct td *d = paced(state, 1, 10000);

	say(d, "abc");
	td_expect(d, TCP_ACK, 1, 1, 1);
	td_ack(d, 1, 2);
	td_data(d, 1, 3000, 2);
	td_run_ms(d, 50); /* delayed, as ever */
	td_expect(d, TCP_ACK, 2, 3001, 0);
	td_free(d);
}

static void fin_follows_the_last_byte(void **state)
{
	struct td *d = paced(state, 2, 1000);

	tcp_write(&d->st, d->c, "abc", 3);
	tcp_shutdown(&d->st, d->c);
	td_output(d);
	td_expect(d, TCP_ACK, 1, 1, 2);
	td_expect_none(d);
	td_ack(d, 1, 3);
	assert_in_range(ms_until_output(d, 2000), 990, 1002);
	td_expect(d, TCP_ACK | TCP_FIN, 3, 1, 1);
	td_free(d);
}

static void close_takes_it_off(void **state)
{
	struct td *d = paced(state, 1, 10000);

	say(d, "221 bye\r\n");
	td_expect(d, TCP_ACK, 1, 1, 1);
	tcp_close(&d->st, d->c);
	d->c = NULL;
	td_output(d);
	td_expect(d, TCP_ACK | TCP_FIN, 2, 1, 8);
	td_free(d);
}

/* A connection in the place of a paced one is not paced. */
static void pace_does_not_outlive_the_connection(void **state)
{
	struct td *d = paced(state, 1, 10000);
	struct tcp_conn *was = d->c;

	say(d, "abc");
	td_forget_output(d);
	tcp_abort(&d->st, d->c);
	td_output(d);
	td_forget_output(d);
	assert_true(td_connect(d));
	assert_ptr_equal(d->c, was);
	assert_false(d->c->paced);
	tcp_set_pace(&d->st, d->c, 2, 10000); /* a new pace begins with a whole lot */
	assert_int_equal(pace_room(&d->st.tcp->paces[d->c->self]), 2);
	td_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TD_BOTH(a_byte_an_interval),
		TD_BOTH(lots_beyond_a_segment),
		TD_BOTH(small_writes_share_a_lot),
		TD_BOTH(release_lets_everything_go),
		TD_BOTH(faster_counts_at_once),
		TD_BOTH(lost_bytes_come_again_at_once),
		TD_BOTH(held_bytes_are_not_overdue),
		TD_BOTH(closed_window_is_probed_all_the_same),
		TD_BOTH(acks_are_not_held),
		TD_BOTH(fin_follows_the_last_byte),
		TD_BOTH(close_takes_it_off),
		TD_BOTH(pace_does_not_outlive_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
