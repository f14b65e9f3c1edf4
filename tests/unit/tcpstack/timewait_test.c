/* SPDX-License-Identifier: BSD-3-Clause */
/* TIME-WAIT: how long, how many, and who may take over. */
#include "driver.h"

static struct td_options family(int v6, bool ts)
{
	return (struct td_options){ .v6 = v6, .ts = ts, .peer_mss = 1460 };
}

static void lasts_two_lifetimes(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true);
	struct td *d = td_make(TD_TIME_WAIT, &o);

	td_run_ms(d, 59900);
	assert_int_equal(d->st.tcp->tw.used, 1);
	td_run_ms(d, 200);
	assert_int_equal(d->st.tcp->tw.used, 0);
	assert_false(td_input_known(d, &(struct td_in){ .flags = TCP_ACK, .seq = 2, .ack = 2 }));
	td_free(d);
}

static void fin_seen_again_restarts_it(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true);
	struct td *d = td_make(TD_TIME_WAIT, &o);

	td_run_ms(d, 50000);
	td_send(d, .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 2);
	td_expect(d, TCP_ACK, 2, 2, 0);
	td_run_ms(d, 59000);
	assert_int_equal(d->st.tcp->tw.used, 1);
	td_free(d);
}

static void reset_does_not_end_it(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true);
	struct td *d = td_make(TD_TIME_WAIT, &o);

	td_send(d, .flags = TCP_RST, .seq = 2); /* RFC 1337 */
	td_expect_none(d);
	assert_int_equal(d->st.tcp->tw.used, 1);
	td_free(d);
}

static bool syn(struct td *d, uint32_t seq, uint32_t ts_val)
{
	struct td_in in = { .flags = TCP_SYN, .seq = seq };

	d->ts_val = ts_val;
	return td_input_known(d, &in);
}

static void newer_timestamp_takes_over(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true);
	struct td *d = td_make(TD_TIME_WAIT, &o);

	assert_true(syn(d, 900000, d->peer_ts - 1)); /* older: refused, whatever its number */
	td_expect(d, TCP_ACK, 2, 2, 0);
	assert_true(syn(d, 1, d->peer_ts)); /* equal, and a lower number */
	assert_int_equal(d->st.tcp->tw.used, 1);
	assert_false(syn(d, 1, d->peer_ts + 1)); /* newer: the listener's */
	assert_int_equal(d->st.tcp->tw.used, 0);
	assert_int_equal(d->counters[STACK_timewait_reused], 1);
	td_free(d);
}

static void higher_number_takes_over_without_timestamps(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, false);
	struct td *d = td_make(TD_TIME_WAIT, &o);
	struct packet p = { .src = d->remote,
		.dst = d->local,
		.src_port = 40000,
		.dst_port = 25,
		.flags = TCP_SYN,
		.seq = d->irs + 2 };

	assert_false(conn_timewait_reuse(&d->st, &p, d->now_ns));
	p.seq++;
	assert_true(conn_timewait_reuse(&d->st, &p, d->now_ns));
	assert_int_equal(d->st.tcp->tw.used, 0);
	td_free(d);
}

static void oldest_is_let_go_at_the_bound(void **state)
{
	struct td_options o = family(0, true);
	struct td *d;
	struct flow_key first;

	(void)state;
	o.config.max_timewait = 2;
	d = td_make(TD_TIME_WAIT, &o);
	first = d->c->key;
	for (uint16_t port = 1; port <= 2; port++) {
		struct flow_key key = first;
		bool evicted;

		key.remote_port = port;
		key.hash += port;
		timewait_add(&d->st.tcp->tw, &d->st.tcp->flows, &key, d->now_ns, &evicted);
		assert_int_equal(evicted, port == 2);
	}
	assert_int_equal(d->st.tcp->tw.used, 2);
	assert_false(td_input_known(d, &(struct td_in){ .flags = TCP_ACK, .seq = 2, .ack = 2 }));
	td_free(d);
}

static void our_own_port_is_taken_again_after_a_second(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true);
	struct td *d = td_new(&o);
	struct tcp_connect req = { .src = d->local, .dst = d->remote, .dst_port = 25 };
	struct tcp_conn *c;
	bool evicted;

	for (uint16_t port = 40000; port <= 40003; port++) {
		struct flow_key key = { d->local, d->remote, port, 25,
			flow_hash(&d->st.tcp->flows, &d->local, port, &d->remote, 25) };

		timewait_add(&d->st.tcp->tw, &d->st.tcp->flows, &key, d->now_ns, &evicted)->timestamps =
		    true;
	}
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns, &c), -99);
	assert_int_equal(tcp_connect(&d->st, &req, d->now_ns + 1500000000, &c), 0);
	td_free(d);
}

static void answers_are_spaced(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true);
	struct td *d = td_make(TD_TIME_WAIT, &o);

	for (int i = 0; i < 10; i++)
		td_data(d, 2, 10, 2);
	td_expect(d, TCP_ACK, 2, 2, 0);
	td_expect_none(d);
	td_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TD_BOTH(lasts_two_lifetimes),
		TD_BOTH(fin_seen_again_restarts_it),
		TD_BOTH(reset_does_not_end_it),
		TD_BOTH(newer_timestamp_takes_over),
		TD_BOTH(higher_number_takes_over_without_timestamps),
		cmocka_unit_test(oldest_is_let_go_at_the_bound),
		TD_BOTH(our_own_port_is_taken_again_after_a_second),
		TD_BOTH(answers_are_spaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
