/* SPDX-License-Identifier: BSD-3-Clause */
/* Held clients: fed a byte at a time, acknowledged, sent again, let go. */
#include "lab.h"

#include <stdio.h>

static const char text[] = "220-a\r\n";

static int hold(struct lab *l, unsigned port, uint32_t pace_ms)
{
	l->remains = (struct conn_remains){ .local = l->own,
		.remote = l->peer,
		.local_port = 25,
		.remote_port = (uint16_t)port,
		.snd_nxt = 5000,
		.rcv_nxt = 1000,
		.snd_wnd = 100,
		.timestamps = true,
		.ts_recent = 77 };
	return tcp_shrink_to_tarpit(l->st, (struct tcp_conn *)l, 1, pace_ms);
}

static struct lab *prepare(void **state)
{
	struct lab *l = *state;

	assert_int_equal(stack_set_tarpit_text(l->st, 1, text, sizeof(text) - 1), 0);
	return l;
}

static void peer(
    struct lab *l, uint32_t seq, uint32_t ack, uint8_t flags, const char *data, uint16_t wnd)
{
	uint8_t o[12] = { 1, 1, 8, 10, 0, 0, 0, 78, 0, 0, 0, 0 };

	lab_send(l, &(struct lab_seg){ .seq = seq,
			.ack = ack,
			.flags = flags,
			.opts = o,
			.n_opts = 12,
			.data = data,
			.len = (unsigned)strlen(data),
			.src_port = 3000,
			.window = wnd });
}

/* Time goes on until a TCP frame comes, at most `limit_ms`; returns the milliseconds. */
static unsigned until_drip(struct lab *l, unsigned limit_ms)
{
	for (unsigned ms = 1; ms <= limit_ms; ms++) {
		l->now += 1000000;
		if (ms % 1000 == 0)
			lab_learn(l);
		lab_out_free(l);
		lab_turn(l);
		if (l->counters[STACK_tarpit_drips]) {
			l->counters[STACK_tarpit_drips] = 0;
			return ms;
		}
	}
	return limit_ms + 1;
}

static void drips_one_byte_per_pace(void **state)
{
	struct lab *l = prepare(state);

	assert_int_equal(hold(l, 3000, 2000), 0);
	for (unsigned i = 0; i < 16; i++) { /* the text twice over */
		unsigned ms = until_drip(l, 3000);
		if (i)
			assert_in_range(ms, 1990, 2010);
		assert_int_equal(l->out.n_tx, 1);
		struct lab_reply r = lab_reply(l, 0);
		assert_int_equal(r.len, 1);
		assert_int_equal(r.data[0], text[i % 7]);
		assert_int_equal(r.seq, 5000 + i);
		assert_int_equal(r.ack, 1000);
		assert_true(r.opt.has_ts);
		assert_int_equal(r.opt.ts_ecr, i ? 78 : 77);
		peer(l, 1000, r.seq + 1, TCP_ACK, "", 500);
	}
	assert_int_equal(l->counters[STACK_tarpit_again], 0);
	struct stack_usage u;
	stack_usage(l->st, &u);
	assert_int_equal(u.tarpit, 1);
}

static void lost_byte_comes_again(void **state)
{
	struct lab *l = prepare(state);

	assert_int_equal(hold(l, 3000, 1000), 0);
	for (unsigned i = 0; i < 3; i++) {
		until_drip(l, 2000);
		struct lab_reply r = lab_reply(l, 0);
		assert_int_equal(r.seq, 5000);
		assert_int_equal(r.data[0], text[0]);
	}
	assert_int_equal(l->counters[STACK_tarpit_again], 2);
	peer(l, 1000, 5001, TCP_ACK, "", 500);
	until_drip(l, 2000);
	assert_int_equal(lab_reply(l, 0).seq, 5001);
	assert_int_equal(lab_reply(l, 0).data[0], text[1]);
}

static void acknowledges_what_comes(void **state)
{
	struct lab *l = prepare(state);

	assert_int_equal(hold(l, 3000, 60000), 0);
	peer(l, 1000, 5000, TCP_ACK, "EHLO x\r\n", 500);
	assert_int_equal(lab_reply(l, 0).ack, 1008);
	assert_int_equal(lab_reply(l, 0).seq, 5000);
	lab_out_free(l);
	peer(l, 1000, 5000, TCP_ACK, "EHLO x\r\nMORE", 500); /* overlapping */
	assert_int_equal(lab_reply(l, 0).ack, 1012);
	lab_out_free(l);
	peer(l, 1020, 5000, TCP_ACK, "gap", 500);
	assert_int_equal(lab_reply(l, 0).ack, 1012);
	lab_out_free(l);
	peer(l, 1012, 5000, TCP_ACK, "", 500);
	assert_int_equal(l->out.n_tx, 0);
}

static void ends_on_fin(void **state)
{
	struct lab *l = prepare(state);

	assert_int_equal(hold(l, 3000, 60000), 0);
	peer(l, 1000, 5000, TCP_ACK | TCP_FIN, "bye", 500);
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.flags, TCP_ACK | TCP_FIN);
	assert_int_equal(r.ack, 1004);
	assert_int_equal(l->st->ip->tarpit.count, 0);
}

static void ends_on_exact_rst(void **state)
{
	struct lab *l = prepare(state);

	assert_int_equal(hold(l, 3000, 60000), 0);
	peer(l, 1001, 5000, TCP_RST, "", 500);
	assert_int_equal(l->st->ip->tarpit.count, 1);
	peer(l, 1000, 5000, TCP_RST, "", 500);
	assert_int_equal(l->st->ip->tarpit.count, 0);
	assert_int_equal(l->out.n_tx, 0);
}

/* After how long a client gave up, by text and pace; the oldest that is let go did not. */
static void ages_of_those_who_leave(void **state)
{
	static uint64_t ages[2][TARPIT_PACES][TARPIT_AGES];
	struct lab *l = prepare(state);
	uint64_t sum = 0;

	memset(ages, 0, sizeof(ages));
	stack_set_tarpit_ages(l->st, ages, 2);
	assert_int_equal(hold(l, 3000, 1000), 0);
	l->now += 5000000000u;
	lab_turn(l);
	lab_out_free(l);
	peer(l, 1000, 5000, TCP_RST, "", 500);
	assert_int_equal(ages[1][tarpit_pace_row(1000)][tarpit_age_column(5)], 1);
	for (unsigned i = 0; i < sizeof(ages) / sizeof(uint64_t); i++)
		sum += (&ages[0][0][0])[i];
	assert_int_equal(sum, 1);
	assert_int_equal(tarpit_age_column(0), 0);
	assert_int_equal(tarpit_age_column(1), 1);
	assert_int_equal(tarpit_age_column(5), 3);
	assert_int_equal(tarpit_age_column(UINT64_MAX), TARPIT_AGES - 1);
	assert_int_equal(tarpit_pace_row(249), 0);
	assert_int_equal(tarpit_pace_row(1000), 3);
	assert_int_equal(tarpit_pace_row(600000), TARPIT_PACES - 1);
}

static void closed_window_waits(void **state)
{
	struct lab *l = prepare(state);
	uint8_t o[12] = { 1, 1, 8, 10, 0, 0, 0, 78, 0, 0, 0, 0 };

	assert_int_equal(hold(l, 3000, 1000), 0);
	struct frame f = lab_tcp(l, &(struct lab_seg){ .seq = 1000,
					.ack = 5000,
					.flags = TCP_ACK,
					.opts = o,
					.n_opts = 12,
					.src_port = 3000 });
	wr16(f.data + 14 + (l->v4 ? 20 : 40) + 14, 0);
	lab_csum(&f, 14, l->v4);
	lab_in(l, &f, 1);
	assert_int_equal(until_drip(l, 5000), 5001);
	peer(l, 1000, 5000, TCP_ACK, "", 500);
	assert_in_range(until_drip(l, 5000), 1, 1000);
}

static void the_oldest_is_let_go(void **state)
{
	struct lab *l = prepare(state);

	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(hold(l, 3000 + i, 60000), 0);
		l->now += 1000000000u;
		lab_turn(l);
	}
	assert_int_equal(l->counters[STACK_tarpit_let_go], 0);
	for (unsigned i = 64; i < 74; i++)
		assert_int_equal(hold(l, 3000 + i, 60000), 0);
	assert_int_equal(l->counters[STACK_tarpit_let_go], 10);
	assert_int_equal(l->st->ip->tarpit.count, 64);
	lab_out_free(l);
	lab_learn(l);
	lab_out_free(l);
	peer(l, 1000, 5000, TCP_ACK, "x", 500); /* 3000, the oldest */
	assert_int_equal(lab_reply(l, 0).flags, TCP_RST);
}

static void index_survives_coming_and_going(void **state)
{
	struct lab *l = prepare(state);
	uint32_t r = 1;
	bool held[200] = { false };

	for (unsigned i = 0; i < 20000; i++) {
		r = r * 1664525u + 1013904223u;
		unsigned k = (r >> 16) % 60;
		if (!held[k]) {
			assert_int_equal(hold(l, 4000 + k, 60000), 0);
			held[k] = true;
		} else {
			lab_send(l,
			    &(struct lab_seg){
				.seq = 1000, .flags = TCP_RST, .src_port = (uint16_t)(4000 + k) });
			held[k] = false;
			lab_out_free(l);
		}
	}
	unsigned n = 0;
	for (unsigned k = 0; k < 60; k++)
		n += held[k];
	assert_int_equal(l->st->ip->tarpit.count, n);
	for (uint32_t b = 0; b < l->st->ip->tarpit.n_buckets && n == 0; b++)
		assert_int_equal(l->st->ip->tarpit.buckets[b].passed, 0);
}

static void busy_connection_stays(void **state)
{
	struct lab *l = prepare(state);

	l->shrink = -11; /* EAGAIN */
	assert_int_equal(hold(l, 3000, 1000), -11);
	assert_int_equal(l->st->ip->tarpit.count, 0);
	l->shrink = 0;
	l->remains.local = l->own;
	assert_int_equal(
	    tcp_shrink_to_tarpit(l->st, (struct tcp_conn *)l, 2, 1000), -22); /* no text */
	l->remains.local = l->peer;
	assert_int_equal(tcp_shrink_to_tarpit(l->st, (struct tcp_conn *)l, 1, 1000), -22);
}

static void a_new_syn_starts_anew(void **state)
{
	struct lab *l = prepare(state);

	assert_int_equal(hold(l, 3000, 60000), 0);
	lab_send(l, &(struct lab_seg){ .seq = 9, .flags = TCP_SYN, .src_port = 3000 });
	assert_int_equal(lab_reply(l, 0).flags, TCP_SYN | TCP_ACK);
	assert_int_equal(l->st->ip->tarpit.count, 0);
}

static void many_share_a_turn(void **state)
{
	struct lab *l = prepare(state);

	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(hold(l, 3000 + i, 1000), 0);
	for (unsigned i = 0; i < 1000; i++) {
		l->now += 1000000;
		lab_turn(l);
	}
	assert_in_range(l->counters[STACK_tarpit_drips], 49, 51);
}

/* What is owed after a pause goes out no faster than a turn takes its ACKs in. */
static void a_pause_makes_no_long_turn(void **state)
{
	struct lab *l = prepare(state);

	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(hold(l, 3000 + i, 1000), 0);
	l->now += 5000000000ull;
	lab_turn(l);
	assert_in_range(l->counters[STACK_tarpit_drips], 1, 32);
	for (unsigned i = 0; i < 4; i++) {
		lab_out_free(l);
		lab_turn(l);
	}
	assert_int_equal(l->counters[STACK_tarpit_drips], 60); /* and nobody has had two */
}

/* ---- those whose command is refused ---- */

enum { HOLD_S = 20, NOTE = 0x1234567 };

static size_t refused_text(
    void *arg, uint32_t note, uint64_t since_ns, bool last, char *buf, size_t cap)
{
	struct lab *l = arg;
	int n =
	    last ? snprintf(buf, cap, "550 no [%x]\r\n", note) : snprintf(buf, cap, "550-no\r\n");

	assert_int_equal(since_ns / 1000000000u, 1700000000u);
	assert_true(l->now >= since_ns);
	return (size_t)n;
}

static struct lab *refuse(void **state, uint32_t pace_ms)
{
	struct lab *l = prepare(state);

	l->now = 1700000000ull * 1000000000u + 500000000u;
	lab_turn(l);
	lab_out_free(l);
	l->st->host.refused_text = refused_text;
	stack_set_refused_hold(l->st, HOLD_S);
	assert_int_equal(hold(l, 2999, 60000), 0);
	assert_int_equal(tcp_hold_refused(l->st, (struct tcp_conn *)l, 1, 1000, 1u << 29), -22);
	l->remains.remote_port = 3000;
	assert_int_equal(tcp_hold_refused(l->st, (struct tcp_conn *)l, 1, pace_ms, NOTE), 0);
	lab_send(l, &(struct lab_seg){ .seq = 1000, .flags = TCP_RST, .src_port = 2999 });
	assert_int_equal(l->st->ip->tarpit.count, 1);
	return l;
}

/* And no question for the neighbour. */
static bool is_tcp(const struct lab *l, unsigned i)
{
	const uint8_t *p = l->out.tx[i].data;

	return rd16(p + 12) == (l->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6) && p[l->v4 ? 23 : 20] == 6;
}

/* Until a segment with FIN comes; all that was fed before into `said`, acknowledged unless `deaf`. */
static struct lab_reply until_last(struct lab *l, char *said, size_t cap, bool deaf)
{
	size_t n = 0;

	for (unsigned ms = 1; ms <= 1000 * (HOLD_S + 30); ms++) {
		l->now += 1000000;
		if (ms % 1000 == 0)
			lab_learn(l);
		lab_out_free(l);
		lab_turn(l);
		for (unsigned i = 0; i < l->out.n_tx; i++) {
			if (!is_tcp(l, i))
				continue;
			struct lab_reply r = lab_reply(l, i);

			if (r.flags & TCP_FIN) {
				said[n] = 0;
				return r;
			}
			if (r.len != 1 || deaf)
				continue;
			assert_true(n + 1 < cap);
			assert_int_equal(r.seq, 5000 + n);
			said[n++] = (char)r.data[0];
			lab_out_free(l);
			peer(l, 1000, 5000 + (uint32_t)n, TCP_ACK, "", 500);
			break;
		}
	}
	fail_msg("the last line never came");
	return (struct lab_reply){ 0 };
}

/* The client that waits has a whole reply of many lines, and an end in good order. */
static void refused_hears_the_end(void **state)
{
	struct lab *l = refuse(state, 1000);
	char said[128];
	struct lab_reply r = until_last(l, said, sizeof(said), false);
	size_t n = strlen(said);

	assert_in_range((l->now - 1700000000ull * 1000000000u) / 1000000000u, HOLD_S, HOLD_S + 3);
	assert_in_range(n, HOLD_S - 2, HOLD_S + 3);
	assert_int_equal(r.seq, 5000 + n);
	assert_true(n + r.len < sizeof(said));
	memcpy(said + n, r.data, r.len);
	said[n + r.len] = 0;
	char want[128] = "";
	for (size_t at = 0; at < n; at += 8)
		memcpy(want + at, "550-no\r\n", 9);
	memcpy(want + strlen(want), "550 no [1234567]\r\n", 19);
	assert_string_equal(said, want);
	lab_out_free(l);
	peer(l, 1000, r.seq + r.len + 1, TCP_ACK, "", 500);
	assert_int_equal(l->counters[STACK_tarpit_refused], 1);
	peer(l, 1000, r.seq + r.len + 1, TCP_ACK, "QUIT\r\n", 500); /* too late, but no RST */
	assert_int_equal(lab_reply(l, 0).flags, TCP_ACK);
	assert_int_equal(lab_reply(l, 0).ack, 1006);
	lab_out_free(l);
	peer(l, 1006, r.seq + r.len + 1, TCP_ACK | TCP_FIN, "", 500);
	assert_int_equal(lab_reply(l, 0).flags, TCP_ACK);
	assert_int_equal(lab_reply(l, 0).ack, 1007);
	assert_int_equal(l->st->ip->tarpit.count, 0);
	assert_int_equal(l->counters[STACK_tarpit_left], 1); /* the one of the preparation */
	assert_int_equal(l->counters[STACK_tarpit_refused_lost], 0);
}

/* Lost, the first byte and the last line come again; then it is let go without a word. */
static void refused_and_deaf(void **state)
{
	struct lab *l = refuse(state, 1000);
	char said[128];
	struct lab_reply r = until_last(l, said, sizeof(said), true);
	unsigned again = 0;

	assert_int_equal(r.seq, 5000);
	assert_int_equal(r.len, 8 + 18);
	assert_memory_equal(r.data, "550-no\r\n550 no [1234567]\r\n", r.len);
	for (unsigned ms = 1; ms <= 100000; ms++) {
		l->now += 1000000;
		if (ms % 1000 == 0)
			lab_learn(l);
		lab_out_free(l);
		lab_turn(l);
		for (unsigned i = 0; i < l->out.n_tx; i++)
			again += is_tcp(l, i) && lab_reply(l, i).flags & TCP_FIN;
	}
	assert_in_range(again, 15, 25);
	assert_int_equal(l->st->ip->tarpit.count, 0);
	assert_int_equal(l->counters[STACK_tarpit_refused], 0);
	assert_int_equal(l->counters[STACK_tarpit_refused_lost], 1);
}

/* It closes just as the last line is under way: that still arrives. */
static void refused_closes_meanwhile(void **state)
{
	struct lab *l = refuse(state, 1000);
	char said[128];
	struct lab_reply r = until_last(l, said, sizeof(said), false);
	size_t n = strlen(said);

	lab_out_free(l);
	peer(l, 1000, 5000 + (uint32_t)n, TCP_ACK | TCP_FIN, "", 500);
	assert_int_equal(lab_reply(l, 0).flags, TCP_ACK);
	assert_int_equal(lab_reply(l, 0).ack, 1001);
	lab_out_free(l);
	peer(l, 1001, r.seq + r.len + 1, TCP_ACK, "", 500);
	assert_int_equal(l->counters[STACK_tarpit_refused], 1);
	l->now += 200000000000u;
	lab_turn(l);
	lab_out_free(l);
	lab_turn(l);
	assert_int_equal(l->st->ip->tarpit.count, 0);
}

static void refused_goes_before_the_end(void **state)
{
	static uint64_t ages[2][TARPIT_PACES][TARPIT_AGES];
	struct lab *l = refuse(state, 1000);

	memset(ages, 0, sizeof(ages));
	stack_set_tarpit_ages(l->st, ages, 2);
	l->now += 9000000000u;
	lab_turn(l);
	lab_out_free(l);
	peer(l, 1000, 5000, TCP_ACK | TCP_FIN, "", 500);
	assert_int_equal(lab_reply(l, 0).flags, TCP_ACK | TCP_FIN);
	assert_int_equal(l->st->ip->tarpit.count, 0);
	assert_int_equal(ages[1][tarpit_pace_row(1000)][tarpit_age_column(9)], 1);
}

/* A pace that would carry the end far beyond its time is quickened; without words nobody is held. */
static void refused_within_its_time(void **state)
{
	struct lab *l = refuse(state, 300000);
	char said[128];

	until_last(l, said, sizeof(said), false);
	assert_in_range((l->now - 1700000000ull * 1000000000u) / 1000000000u, HOLD_S, HOLD_S + 6);
	l->st->host.refused_text = NULL;
	assert_int_equal(tcp_hold_refused(l->st, (struct tcp_conn *)l, 1, 1000, 1), -22);
}

#define BOTH(fn) LAB_TEST4(#fn "_v4", fn), LAB_TEST6(#fn "_v6", fn)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(drips_one_byte_per_pace),
		BOTH(lost_byte_comes_again),
		BOTH(acknowledges_what_comes),
		BOTH(ends_on_fin),
		BOTH(ends_on_exact_rst),
		BOTH(closed_window_waits),
		BOTH(ages_of_those_who_leave),
		BOTH(the_oldest_is_let_go),
		BOTH(index_survives_coming_and_going),
		BOTH(busy_connection_stays),
		BOTH(a_new_syn_starts_anew),
		BOTH(many_share_a_turn),
		BOTH(a_pause_makes_no_long_turn),
		BOTH(refused_hears_the_end),
		BOTH(refused_and_deaf),
		BOTH(refused_closes_meanwhile),
		BOTH(refused_goes_before_the_end),
		BOTH(refused_within_its_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
