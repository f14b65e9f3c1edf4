/* SPDX-License-Identifier: BSD-3-Clause */
/* Recovery: RACK and SACK, NewReno without it, and needless recoveries undone. */
#include "driver.h"

enum { MSS = 1000, ROUND_MS = 10 };

static struct td_options family(int v6, bool ts, bool sack)
{
	/* a segment carries 1,000 bytes with either set of options */
	return (
	    struct td_options){ .v6 = v6, .ts = ts, .sack = sack, .peer_mss = ts ? MSS + 12 : MSS };
}

/* Ten segments under way: 1, 1001, ... 9001; a little more queued if asked. */
static struct td *flight(const struct td_options *o, uint32_t more)
{
	static const uint8_t data[20000];
	struct td *d = td_make(TCP_ESTABLISHED, o);

	assert_int_equal(tcp_write(&d->st, d->c, data, 10 * MSS + more), 10 * MSS + more);
	td_output(d);
	assert_int_equal(d->n_out, 10);
	td_forget_output(d);
	td_run_ms(d, ROUND_MS);
	return d;
}

static void sack_to(struct td *d, uint32_t ack, uint32_t start, uint32_t end)
{
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = ack,
	    .opt = { .n_sack = 1, .sack = { { start, end } } });
}

static void sack_repairs_only_the_holes(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, true);
	struct td *d = flight(&o, 0);

	sack_to(d, 1, 1001, 2001);
	sack_to(d, 1, 1001, 3001);
	td_expect_none(d); /* two, and little time: might be reordering */
	sack_to(d, 1, 1001, 4001);
	td_expect(d, TCP_ACK, 1, 1, MSS); /* fast retransmit */
	td_expect_none(d);
	assert_int_equal(d->c->ssthresh, 5 * MSS);
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1,
	    .opt = { .n_sack = 2, .sack = { { 5001, 10001 }, { 1001, 4001 } } });
	td_expect(d, TCP_ACK, 4001, 1, MSS); /* the second hole */
	td_expect_none(d);
	assert_int_equal(d->c->retransmits, 2);
	td_run_ms(d, ROUND_MS);
	td_ack(d, 1, 10001);
	assert_int_equal(d->c->ca_state, CA_OPEN);
	assert_int_equal(d->c->cwnd, 5 * MSS);
	assert_int_equal(tcp_unsent_or_unacked(d->c), 0);
	td_free(d);
}

static void lost_retransmission_is_noticed(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, true);
	struct td *d = flight(&o, 9000);

	sack_to(d, 1, 1001, 6001);
	td_expect(d, TCP_ACK, 1, 1, MSS);
	td_expect_none(d);
	td_run_ms(d, 5);
	sack_to(d, 1, 1001, 10001); /* lets new data go */
	td_expect(d, TCP_ACK, 10001, 1, MSS);
	td_forget_output(d);
	td_run_ms(d, ROUND_MS);
	/* that arrives; the retransmission, sent before it, did not */
	sack_to(d, 1, 1001, 11001);
	td_expect(d, TCP_ACK, 1, 1, MSS);
	assert_true(d->c->ca_state == CA_RECOVERY);
	td_free(d);
}

static void reordering_is_waited_out(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, true);
	struct td *d = flight(&o, 0);

	d->c->flags |= CF_REO_SEEN; /* the path is known to reorder */
	sack_to(d, 1, 1001, 6001);
	td_expect_none(d);
	td_run_ms(d, 1);
	td_ack(d, 1, 10001);
	td_run_ms(d, 1000);
	td_expect_none(d);
	assert_int_equal(d->c->retransmits, 0);
	assert_int_equal(d->c->ca_state, CA_OPEN);
	td_free(d);
	d = flight(&o, 0); /* but not for longer than a quarter of the round trip */
	d->c->flags |= CF_REO_SEEN;
	sack_to(d, 1, 1001, 6001);
	td_run_ms(d, 4);
	td_expect(d, TCP_ACK, 1, 1, MSS);
	td_free(d);
}

static void newreno_by_duplicate_acks(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, false);
	struct td *d = flight(&o, 0);

	td_ack(d, 1, 1);
	td_ack(d, 1, 1);
	td_expect_none(d);
	td_ack(d, 1, 1);
	td_expect(d, TCP_ACK, 1, 1, MSS);
	td_expect_none(d);
	td_run_ms(d, ROUND_MS);
	td_ack(d, 1, 3001); /* partial: the next hole at once (RFC 6582) */
	td_expect(d, TCP_ACK, 3001, 1, MSS);
	td_run_ms(d, ROUND_MS);
	td_ack(d, 1, 10001);
	assert_int_equal(d->c->ca_state, CA_OPEN);
	assert_int_equal(d->c->cwnd, 5 * MSS);
	assert_int_equal(d->c->retransmits, 2);
	td_free(d);
}

static void limited_transmit_on_first_duplicates(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, false);
	struct td *d = flight(&o, 2000);

	td_ack(d, 1, 1); /* RFC 3042 */
	td_expect(d, TCP_ACK, 10001, 1, MSS);
	td_ack(d, 1, 1);
	td_expect(d, TCP_ACK, 11001, 1, MSS);
	assert_int_equal(d->c->retransmits, 0);
	td_free(d);
}

static void without_sack_a_hole_is_told_by_duplicate_acks(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, false);
	struct td *d = td_make(TCP_ESTABLISHED, &o);

	for (uint32_t i = 0; i < 3; i++) /* a burst in one turn */
		assert_true(td_input_known(
		    d, &(struct td_in){
			   .flags = TCP_ACK, .seq = 1001 + i * 1000, .len = 1000, .ack = 1 }));
	td_output(d);
	for (int i = 0; i < 3; i++)
		td_expect(d, TCP_ACK, 1, 1, 0);
	td_expect_none(d);
	td_free(d);
}

static void timeout_repeats_one_then_slow_start(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, false);
	struct td *d = flight(&o, 0);

	td_run_ms(d, 250);
	td_expect(d, TCP_ACK, 1, 1, MSS);
	td_expect_none(d);
	assert_int_equal(d->c->cwnd, MSS);
	assert_int_equal(d->c->ssthresh, 5 * MSS);
	td_run_ms(d, ROUND_MS);
	td_ack(d, 1, 1001);
	td_expect(d, TCP_ACK, 1001, 1, MSS);
	td_expect(d, TCP_ACK, 2001, 1, MSS);
	td_expect_none(d);
	td_free(d);
}

static void echoed_timestamp_undoes_a_needless_timeout(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, true);
	struct td *d = flight(&o, 0);
	uint32_t cwnd = d->c->cwnd,
		 sent = ts_clock(d->now_ns - ROUND_MS * 1000000) + d->c->ts_offset;

	td_run_ms(d, 400); /* the path was only slow */
	assert_true(d->c->retransmits > 0);
	assert_int_equal(d->c->cwnd, MSS);
	td_forget_output(d);
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 1001,
	    .opt = { .has_ts = true, .ts_val = d->peer_ts + 500, .ts_ecr = sent });
	assert_int_equal(d->c->ca_state, CA_OPEN);
	assert_true(d->c->cwnd >= cwnd);
	assert_int_equal(d->counters[STACK_tcp_recoveries_undone], 1);
	td_expect_none(d); /* nothing more is repeated */
	td_free(d);
}

static void dsack_undoes_a_needless_recovery(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, false, true);
	struct td *d = flight(&o, 0);
	uint32_t cwnd = d->c->cwnd;

	sack_to(d, 1, 1001, 4001);
	td_expect(d, TCP_ACK, 1, 1, MSS);
	assert_true(d->c->cwnd < cwnd);
	/* the first was late, and then came again */
	td_send(d, .flags = TCP_ACK, .seq = 1, .ack = 4001,
	    .opt = { .n_sack = 1, .sack = { { 1, 1001 } } });
	assert_int_equal(d->counters[STACK_tcp_recoveries_undone], 1);
	assert_true(d->c->cwnd >= cwnd);
	assert_true(d->c->reo_mult > 1); /* and more patience from now on */
	td_free(d);
}

static void frto_undoes_without_timestamps(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, false, false);
	struct td *d = flight(&o, 5000);
	uint32_t cwnd = d->c->cwnd;

	td_run_ms(d, 250);
	td_expect(d, TCP_ACK, 1, 1, MSS);
	td_ack(d, 1, 1001); /* of the original: new data instead of repeating */
	td_expect(d, TCP_ACK, 10001, 1, MSS);
	td_expect(d, TCP_ACK, 11001, 1, MSS);
	td_expect_none(d);
	td_ack(d, 1, 2001); /* never repeated, yet it arrived */
	assert_int_equal(d->counters[STACK_tcp_recoveries_undone], 1);
	assert_true(d->c->cwnd >= cwnd);
	assert_int_equal(d->c->retransmits, 1);
	td_free(d);
}

static void frto_gives_way_to_a_real_loss(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, false, false);
	struct td *d = flight(&o, 5000);

	td_run_ms(d, 250);
	td_expect(d, TCP_ACK, 1, 1, MSS);
	td_ack(d, 1, 1001);
	td_forget_output(d);
	td_ack(d, 1, 1001); /* a duplicate: 1001 is missing */
	td_expect(d, TCP_ACK, 1001, 1, MSS);
	assert_int_equal(d->counters[STACK_tcp_recoveries_undone], 0);
	td_free(d);
}

static void reneging_peer_gets_everything_again(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, true);
	struct td *d = flight(&o, 0);
	uint32_t at = 1;

	sack_to(d, 1, 1001, 10001);
	td_forget_output(d);
	td_ack(d, 1, 1001); /* the hole is filled, and what was sacked is gone */
	for (int i = 0; i < 100 && at < 10001; i++) {
		td_run_ms(d, 20);
		while (d->n_out) {
			struct td_seg s = d->out[d->out_head];

			d->out_head = (d->out_head + 1) % TD_MAX_OUT;
			d->n_out--;
			if (s.seq - d->iss <= 1001 || s.seq - d->iss <= at)
				at = s.seq - d->iss + s.len > at ? s.seq - d->iss + s.len : at;
		}
		td_ack(d, 1, at < 1001 ? 1001 : at);
	}
	assert_int_equal(at, 10001);
	assert_true(d->counters[STACK_tcp_sack_reneged] > 0);
	td_free(d);
}

static void probe_that_repaired_a_loss_halves_the_window(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, true);
	struct td *d = flight(&o, 0);
	uint32_t cwnd;

	td_ack(d, 1, 9001); /* the last is lost */
	cwnd = d->c->cwnd;
	td_run_ms(d, 240);
	td_expect(d, TCP_ACK, 9001, 1, MSS);
	td_forget_output(d);
	td_ack(d, 1, 10001);
	assert_int_equal(tcp_write(&d->st, d->c, "more", 4), 4);
	td_output(d);
	td_forget_output(d);
	td_ack(d, 1, 10005); /* no duplicate report came: it was a loss */
	assert_true(d->c->cwnd < cwnd);
	assert_int_equal(d->counters[STACK_tcp_tail_losses], 1);
	td_free(d);
}

static void forged_blocks_mark_nothing(void **state)
{
	const int v6 = td_family(state);
	struct td_options o = family(v6, true, true);
	struct td *d = flight(&o, 0);
	static const uint32_t blocks[][2] = { { 10001, 20001 }, { 5001, 4001 }, { 0u - 5000, 2001 },
		{ 1001, 1002 }, { 1500, 2500 }, { 9001, 10002 } };

	for (unsigned i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		sack_to(d, 1, blocks[i][0], blocks[i][1]);
	assert_int_equal(d->c->sacked_bytes, 0);
	assert_int_equal(d->c->n_sacked, 0);
	td_expect_none(d);
	td_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TD_BOTH(sack_repairs_only_the_holes),
		TD_BOTH(lost_retransmission_is_noticed),
		TD_BOTH(reordering_is_waited_out),
		TD_BOTH(newreno_by_duplicate_acks),
		TD_BOTH(limited_transmit_on_first_duplicates),
		TD_BOTH(without_sack_a_hole_is_told_by_duplicate_acks),
		TD_BOTH(timeout_repeats_one_then_slow_start),
		TD_BOTH(echoed_timestamp_undoes_a_needless_timeout),
		TD_BOTH(dsack_undoes_a_needless_recovery),
		TD_BOTH(frto_undoes_without_timestamps),
		TD_BOTH(frto_gives_way_to_a_real_loss),
		TD_BOTH(reneging_peer_gets_everything_again),
		TD_BOTH(probe_that_repaired_a_loss_halves_the_window),
		TD_BOTH(forged_blocks_mark_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
