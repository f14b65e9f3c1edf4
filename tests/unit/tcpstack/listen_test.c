/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LISTEN, SYN-RECEIVED (as cookie and as ring entry) and CLOSED: each event of the grid in each of
 * them, then what cookies, ring, refusal, trap and caps promise.
 */
#include "lab.h"

enum { ISN = 1000 };

/* ---- the grid ---- */

enum grid_state { LISTEN, COOKIE, RING, CLOSED };
enum grid_event {
	EV_SYN,
	EV_SYN_ACK,
	EV_SYN_FIN,
	EV_ACK,
	EV_BAD_ACK,
	EV_DATA_IN,
	EV_DATA_LEFT,
	EV_DATA_RIGHT,
	EV_OVERLAP,
	EV_FIN,
	EV_FIN_DATA,
	EV_RST_SEQ,
	EV_RST_WINDOW,
	EV_RST_OUTSIDE,
	EV_URG,
};
enum grid_outcome { SYNACK, RESET, OPEN, SILENCE };

struct grid {
	struct lab *lab; /* made by the setup */
	enum grid_state state;
	enum grid_event event;
	enum grid_outcome outcome;
	bool v4;
};

static void syn(struct lab *l)
{
	lab_send(l,
	    &(struct lab_seg){ .seq = ISN, .flags = TCP_SYN, .opts = lab_linux_syn, .n_opts = 20 });
}

/* Sends a SYN, returns the cookie. */
static uint32_t handshake_begin(struct lab *l)
{
	syn(l);
	struct lab_reply r = lab_reply(l, l->out.n_tx - 1);
	assert_int_equal(r.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(r.ack, ISN + 1);
	lab_out_free(l);
	return r.seq;
}

static void wait_s(struct lab *l, unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10; i++) {
		l->now += 100000000u;
		lab_turn(l);
		if (i % 10 == 9)
			lab_learn(l); /* gateways answer */
	}
	lab_out_free(l);
}

static struct lab_seg event_segment(enum grid_event e, uint32_t iss)
{
	static const struct {
		int32_t seq;
		uint8_t flags;
		unsigned len;
	} shapes[] = {
		[EV_SYN] = { -1, TCP_SYN, 0 },
		[EV_SYN_ACK] = { -1, TCP_SYN | TCP_ACK, 0 },
		[EV_SYN_FIN] = { -1, TCP_SYN | TCP_FIN, 0 },
		[EV_ACK] = { 0, TCP_ACK, 0 },
		[EV_BAD_ACK] = { 0, TCP_ACK, 0 },
		[EV_DATA_IN] = { 0, TCP_ACK | TCP_PSH, 6 },
		[EV_DATA_LEFT] = { -8, TCP_ACK, 6 },
		[EV_DATA_RIGHT] = { 10, TCP_ACK, 6 },
		[EV_OVERLAP] = { -3, TCP_ACK, 6 },
		[EV_FIN] = { 0, TCP_ACK | TCP_FIN, 0 },
		[EV_FIN_DATA] = { 0, TCP_ACK | TCP_FIN, 6 },
		[EV_RST_SEQ] = { 0, TCP_RST | TCP_ACK, 0 },
		[EV_RST_WINDOW] = { 100, TCP_RST, 0 },
		[EV_RST_OUTSIDE] = { -500, TCP_RST, 0 },
		[EV_URG] = { 0, TCP_ACK | TCP_URG, 6 },
	};
	return (struct lab_seg){
		.seq = ISN + 1 + (uint32_t)shapes[e].seq,
		.ack = shapes[e].flags & TCP_ACK ? iss + 1 + (e == EV_BAD_ACK ? 4096 : 0) : 0,
		.flags = shapes[e].flags,
		.opts = lab_linux_syn,
		.n_opts = e == EV_SYN ? 20 : 0,
		.data = "EHLO\r\n",
		.len = shapes[e].len,
	};
}

static int grid_setup(void **state)
{
	struct grid *g = *state;

	g->lab = lab_new(g->v4);
	return 0;
}

static int grid_teardown(void **state)
{
	struct grid *g = *state;

	lab_free(g->lab);
	return 0;
}

static void grid_test(void **state)
{
	struct grid *g = *state;
	struct lab *l = g->lab;
	uint32_t iss = 555555;

	if (g->state == COOKIE || g->state == RING)
		iss = handshake_begin(l);
	if (g->state == COOKIE)
		wait_s(l, 12); /* the ring has forgotten, the cookie has not */
	struct lab_seg s = event_segment(g->event, iss);
	s.dst_port = g->state == CLOSED ? 26 : 25;
	lab_send(l, &s);
	assert_int_equal(l->n_opened, g->outcome == OPEN);
	assert_int_equal(l->out.n_tx, g->outcome == SYNACK || g->outcome == RESET);
	if (g->outcome == SYNACK) {
		struct lab_reply r = lab_reply(l, 0);
		assert_int_equal(r.flags, TCP_SYN | TCP_ACK);
		assert_int_equal(r.ack, ISN + 1);
		if (g->state == RING)
			assert_int_equal(r.seq, iss);
	}
	if (g->outcome == RESET) {
		struct lab_reply r = lab_reply(l, 0);
		if (s.flags & TCP_ACK) {
			assert_int_equal(r.flags, TCP_RST);
			assert_int_equal(r.seq, s.ack);
		} else {
			assert_int_equal(r.flags, TCP_RST | TCP_ACK);
			assert_int_equal(
			    r.ack, s.seq + s.len + !!(s.flags & TCP_SYN) + !!(s.flags & TCP_FIN));
		}
	}
	if (g->outcome == OPEN) {
		assert_int_equal(l->seed.iss, iss);
		assert_int_equal(l->seed.irs, ISN);
		assert_int_equal(l->seed.syn_ns != 0, g->state == RING);
	}
	lab_out_free(l);
	/* Whoever is still half open in the ring hears the SYN-ACK again after a second. */
	l->now += 1100000000u;
	lab_turn(l);
	bool half_open = g->state == RING && g->outcome != OPEN && g->event != EV_RST_SEQ;
	if (g->event == EV_SYN && g->outcome == SYNACK)
		half_open = true;
	assert_int_equal(
	    l->counters[STACK_synack_again], (half_open ? 1 : 0) + (g->state == COOKIE ? 3 : 0));
}

/* ---- cookies ---- */

static void ack(struct lab *l, uint32_t seq, uint32_t ack_no)
{
	lab_send(l, &(struct lab_seg){ .seq = seq, .ack = ack_no, .flags = TCP_ACK });
}

static void cookie_lives_one_to_two_epochs(void **state)
{
	struct lab *l = *state;
	uint32_t iss = handshake_begin(l);

	wait_s(l, 63);
	ack(l, ISN + 1, iss + 1);
	assert_int_equal(l->n_opened, 1);
	wait_s(l, 66);
	ack(l, ISN + 1, iss + 1);
	assert_int_equal(l->n_opened, 1);
	assert_int_equal(l->counters[STACK_cookie_bad], 1);
}

static void cookie_names_the_mss(void **state)
{
	struct lab *l = *state;
	static const struct {
		uint16_t offered, v4, v6;
	} rows[] = {
		{ 1, 64, 64 },
		{ 64, 64, 64 },
		{ 536, 536, 64 },
		{ 1219, 536, 64 },
		{ 1220, 1220, 1220 },
		{ 1300, 1220, 1280 },
		{ 1400, 1360, 1360 },
		{ 1440, 1440, 1440 },
		{ 1460, 1460, 1440 },
		{ 8960, 1460, 1440 },
		{ 0, 536, 1220 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t opts[4] = { 2, 4, (uint8_t)(rows[i].offered >> 8),
			(uint8_t)rows[i].offered };
		lab_send(l, &(struct lab_seg){ .seq = ISN,
				.flags = TCP_SYN,
				.opts = opts,
				.n_opts = rows[i].offered ? 4 : 0,
				.src_port = (uint16_t)(5000 + i) });
		uint32_t iss = lab_reply(l, 0).seq;
		wait_s(l, 10);
		lab_send(l, &(struct lab_seg){ .seq = ISN + 1,
				.ack = iss + 1,
				.flags = TCP_ACK,
				.src_port = (uint16_t)(5000 + i) });
		assert_int_equal(l->n_opened, i + 1);
		assert_int_equal(l->seed.peer_mss, l->v4 ? rows[i].v4 : rows[i].v6);
		assert_false(l->seed.has_wscale);
		lab_out_free(l);
	}
}

static void synack_offers_own_mss(void **state)
{
	struct lab *l = *state;

	syn(l);
	assert_int_equal(lab_reply(l, 0).opt.mss, l->v4 ? 1460 : 1440);
}

static void timestamp_carries_options(void **state)
{
	struct lab *l = *state;

	syn(l);
	struct lab_reply r = lab_reply(l, 0);
	assert_true(r.opt.has_ts && r.opt.has_wscale && r.opt.sack_ok);
	assert_int_equal(r.opt.ts_ecr, 0x1234);
	assert_true(ts_clock(l->now) - r.opt.ts_val < 128); /* lowered, never raised */
	wait_s(l, 12);
	uint8_t o[12] = { 1, 1, 8, 10 };
	wr32(o + 4, 0x1300);
	wr32(o + 8, r.opt.ts_val);
	lab_send(
	    l, &(struct lab_seg){
		   .seq = ISN + 1, .ack = r.seq + 1, .flags = TCP_ACK, .opts = o, .n_opts = 12 });
	assert_int_equal(l->n_opened, 1);
	assert_true(l->seed.timestamps && l->seed.has_wscale && l->seed.sack);
	assert_int_equal(l->seed.snd_wscale, 7);
	assert_int_equal(l->seed.syn_ns, 0);
}

static void forged_timestamp_gives_no_options(void **state)
{
	struct lab *l = *state;
	uint32_t iss = handshake_begin(l);
	uint8_t o[12] = { 1, 1, 8, 10 };

	wait_s(l, 12);
	wr32(o + 8, ts_clock(l->now) - 10000000);
	lab_send(l, &(struct lab_seg){
			.seq = ISN + 1, .ack = iss + 1, .flags = TCP_ACK, .opts = o, .n_opts = 12 });
	assert_int_equal(l->n_opened, 1);
	assert_false(l->seed.timestamps || l->seed.has_wscale || l->seed.sack);
}

static void rotated_key_keeps_cookies(void **state)
{
	struct lab *l = *state;
	static const uint8_t key[16] = "another secret!";
	uint32_t iss = handshake_begin(l);

	stack_set_cookie_key(l->st, key);
	wait_s(l, 12);
	assert_int_equal(l->counters[STACK_synack_again], 3);
	ack(l, ISN + 1, iss + 1);
	assert_int_equal(l->n_opened, 1);
	wait_s(l, 200);
	uint32_t fresh = handshake_begin(l);
	ack(l, ISN + 1, fresh + 1);
	assert_int_equal(l->n_opened, 2);
	ack(l, ISN + 1, iss + 1);
	assert_int_equal(l->n_opened, 2);
}

static void bad_acks_leave_only_the_ring(void **state)
{
	struct lab *l = *state;
	uint32_t iss = handshake_begin(l);

	wait_s(l, 12);
	for (unsigned i = 0; i < TALLY_LIMIT; i++) {
		ack(l, 77, 88 + 8 * i);
		lab_out_free(l);
	}
	ack(l, ISN + 1, iss + 1);
	assert_int_equal(l->n_opened, 1); /* the limit itself still trusts */
	ack(l, 77, 88);
	ack(l, ISN + 1, iss + 1);
	assert_int_equal(l->n_opened, 1);
	assert_int_equal(l->counters[STACK_cookie_distrusted], 1);
	lab_out_free(l);
	uint32_t ring_iss = handshake_begin(l);
	ack(l, ISN + 1, ring_iss + 1);
	assert_int_equal(l->n_opened, 2);
	wait_s(l, 21);
	uint32_t later = handshake_begin(l);
	wait_s(l, 12);
	ack(l, ISN + 1, later + 1);
	assert_int_equal(l->n_opened, 3);
}

/* ---- ring ---- */

static void synack_again_after_1_3_7(void **state)
{
	struct lab *l = *state;
	uint64_t start = l->now;
	unsigned at_ms[8], n = 0;

	syn(l);
	struct lab_reply first = lab_reply(l, 0);
	lab_out_free(l);
	while (l->now - start < 20000000000ull) {
		l->now = stack_next_deadline(l->st) > l->now ? stack_next_deadline(l->st)
							     : l->now + 1000000;
		lab_turn(l);
		for (unsigned i = 0; i < l->out.n_tx; i++) {
			if (rd16(l->out.tx[i].data + 12) == ETH_TYPE_ARP ||
			    l->out.tx[i].data[20] == PROTO_ICMP6)
				continue;
			struct lab_reply r = lab_reply(l, i);
			assert_int_equal(r.seq, first.seq);
			assert_int_equal(r.flags, TCP_SYN | TCP_ACK);
			assert_int_equal(r.opt.mss, first.opt.mss);
			assert_int_equal(r.opt.wscale, first.opt.wscale);
			assert_int_equal(r.opt.ts_ecr, 0x1234);
			assert_true(n < 8);
			at_ms[n++] = (unsigned)((l->now - start) / 1000000);
		}
		lab_out_free(l);
	}
	assert_int_equal(n, 3);
	assert_in_range(at_ms[0], 1000, 1100);
	assert_in_range(at_ms[1], 3000, 3100);
	assert_in_range(at_ms[2], 7000, 7100);
	assert_int_equal(l->st->ip->ring.count, 0);
}

static void ring_remembers_options(void **state)
{
	struct lab *l = *state;
	static const uint8_t opts[12] = { 2, 4, 4, 0xd2, 1, 1, 4, 2, 1, 3, 3, 9 }; /* no timestamps */

	lab_send(l, &(struct lab_seg){ .seq = ISN, .flags = TCP_SYN, .opts = opts, .n_opts = 12 });
	struct lab_reply r = lab_reply(l, 0);
	assert_true(r.opt.has_wscale && r.opt.sack_ok && !r.opt.has_ts);
	ack(l, ISN + 1, r.seq + 1);
	assert_int_equal(l->n_opened, 1);
	assert_int_equal(l->seed.peer_mss, 1234);
	assert_int_equal(l->seed.snd_wscale, 9);
	assert_true(l->seed.sack && l->seed.has_wscale && !l->seed.timestamps);
	assert_int_equal(l->st->ip->ring.count, 0);
}

static void full_ring_leaves_the_cookie(void **state)
{
	struct lab *l = *state;
	static const uint8_t opts[12] = { 2, 4, 4, 0xd2, 1, 1, 4, 2, 1, 3, 3, 9 };
	unsigned bare = 0;

	for (unsigned i = 0; i < 2000; i++) {
		lab_send(l, &(struct lab_seg){ .seq = ISN,
				.flags = TCP_SYN,
				.opts = opts,
				.n_opts = 12,
				.src_port = (uint16_t)(1024 + i) });
		struct lab_reply r = lab_reply(l, 0);
		assert_true(r.opt.mss != 0);
		if (!r.opt.has_wscale) {
			assert_false(r.opt.sack_ok);
			if (!bare++) {
				lab_send(l, &(struct lab_seg){ .seq = ISN + 1,
						.ack = r.seq + 1,
						.flags = TCP_ACK,
						.src_port = (uint16_t)(1024 + i) });
				assert_int_equal(l->n_opened, 1);
				assert_int_equal(l->seed.peer_mss, l->v4 ? 1220 : 1220);
				assert_false(l->seed.has_wscale || l->seed.sack);
			}
		}
		lab_out_free(l);
	}
	assert_true(l->st->ip->ring.count <= 1024);
	assert_true(bare >= 2000 - 1024);
	assert_int_equal(l->counters[STACK_synring_full], bare);
}

/* ---- refusal ---- */

static const char text[] = "521 5.7.1 not here (t0)\r\n";

static uint32_t refuse_begin(struct lab *l, unsigned refuse_class)
{
	l->verdict = SYN_REFUSE;
	l->refuse_class = (uint8_t)refuse_class;
	assert_int_equal(stack_set_refusal(l->st, refuse_class, text, sizeof(text) - 1), 0);
	syn(l);
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.flags, TCP_SYN | TCP_ACK);
	assert_true(r.opt.mss && !r.opt.has_ts && !r.opt.sack_ok && !r.opt.has_wscale);
	lab_out_free(l);
	return r.seq;
}

static void each_class_has_its_own_text(void **state)
{
	static const char *const texts[STACK_REFUSE_CLASSES] = { "521 listed\r\n", "421 busy\r\n",
		"521 banned\r\n" };
	uint32_t iss[STACK_REFUSE_CLASSES];
	struct lab *l = *state;

	for (unsigned c = 0; c < STACK_REFUSE_CLASSES; c++) {
		iss[c] = refuse_begin(l, c);
		assert_int_equal(stack_set_refusal(l->st, c, texts[c], strlen(texts[c])), 0);
	}
	for (unsigned c = 0; c < STACK_REFUSE_CLASSES; c++) {
		ack(l, ISN + 1, iss[c] + 1);
		struct lab_reply r = lab_reply(l, 0);
		assert_int_equal(r.len, strlen(texts[c]));
		assert_memory_equal(r.data, texts[c], r.len);
		lab_out_free(l);
		ack(l, ISN + 1, iss[c] + 1 + (uint32_t)r.len + 1); /* of the FIN */
		assert_int_equal(l->out.n_tx, 0);
	}
	assert_int_equal(l->counters[STACK_refuse_acked], STACK_REFUSE_CLASSES);
	assert_int_equal(l->counters[STACK_cookie_bad], 0);
}

static void refuse_in_one_segment(void **state)
{
	struct lab *l = *state;

	for (unsigned c = 0; c < STACK_REFUSE_CLASSES; c++) {
		uint32_t iss = refuse_begin(l, c);
		ack(l, ISN + 1, iss + 1);
		struct lab_reply r = lab_reply(l, 0);
		assert_int_equal(r.flags, TCP_ACK | TCP_PSH | TCP_FIN);
		assert_int_equal(r.seq, iss + 1);
		assert_int_equal(r.ack, ISN + 1);
		assert_int_equal(r.len, sizeof(text) - 1);
		assert_memory_equal(r.data, text, r.len);
		assert_false(r.opt.has_ts);
		lab_out_free(l);
		/* its ACK of the FIN is silence, its own FIN is acknowledged */
		uint32_t end = iss + 1 + (uint32_t)sizeof(text) - 1 + 1;
		ack(l, ISN + 1, end);
		assert_int_equal(l->out.n_tx, 0);
		lab_send(
		    l, &(struct lab_seg){ .seq = ISN + 1, .ack = end, .flags = TCP_ACK | TCP_FIN });
		r = lab_reply(l, 0);
		assert_int_equal(r.flags, TCP_ACK);
		assert_int_equal(r.seq, end);
		assert_int_equal(r.ack, ISN + 2);
		lab_out_free(l);
		assert_int_equal(l->n_opened, 0);
		assert_int_equal(l->st->ip->ring.count, 0);
	}
}

static void refuse_answers_data_on_the_ack(void **state)
{
	struct lab *l = *state;
	uint32_t iss = refuse_begin(l, 0);

	lab_send(l, &(struct lab_seg){ .seq = ISN + 1,
			.ack = iss + 1,
			.flags = TCP_ACK | TCP_PSH,
			.data = "EHLO x\r\n",
			.len = 8 });
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.ack, ISN + 9);
	assert_int_equal(r.len, sizeof(text) - 1);
	lab_out_free(l);
	lab_send(l, &(struct lab_seg){ .seq = ISN + 1,
			.ack = iss + 1,
			.flags = TCP_ACK | TCP_FIN,
			.data = "EHLO x\r\n",
			.len = 8 });
	r = lab_reply(l, 0);
	assert_int_equal(r.ack, ISN + 10);
}

static void refuse_resets_talk_after_the_end(void **state)
{
	struct lab *l = *state;
	uint32_t iss = refuse_begin(l, 0), end = iss + 1 + (uint32_t)sizeof(text) - 1 + 1;

	lab_send(l, &(struct lab_seg){ .seq = ISN + 1,
			.ack = end,
			.flags = TCP_ACK | TCP_PSH,
			.data = "QUIT\r\n",
			.len = 6 });
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.flags, TCP_RST);
	assert_int_equal(r.seq, end);
}

static void refuse_timestamp_mirrors_the_segment(void **state)
{
	struct lab *l = *state;
	uint32_t iss = refuse_begin(l, 1);
	uint8_t o[12] = { 1, 1, 8, 10, 0, 0, 9, 9, 0, 0, 0, 0 };

	lab_send(l, &(struct lab_seg){
			.seq = ISN + 1, .ack = iss + 1, .flags = TCP_ACK, .opts = o, .n_opts = 12 });
	struct lab_reply r = lab_reply(l, 0);
	assert_true(r.opt.has_ts);
	assert_int_equal(r.opt.ts_ecr, 0x909);
	assert_int_equal(r.opt.ts_val, ts_clock(l->now));
}

static void refuse_cookie_opens_nothing(void **state)
{
	struct lab *l = *state;
	uint32_t iss = refuse_begin(l, 0);

	/* All eight indexes over the MAC it was given. */
	for (uint32_t i = 0; i < 8; i++)
		ack(l, ISN + 1, ((iss & ~7u) | i) + 1);
	assert_int_equal(l->n_opened, 0);
}

static void refuse_renewed_text_ends_the_old(void **state)
{
	struct lab *l = *state;
	uint32_t iss = refuse_begin(l, 0), end = iss + 1 + (uint32_t)sizeof(text) - 1 + 1;

	assert_int_equal(
	    stack_set_refusal(l->st, 0, "521 longer than the other one was\r\n", 35), 0);
	lab_send(l, &(struct lab_seg){ .seq = ISN + 1, .ack = end, .flags = TCP_ACK | TCP_FIN });
	assert_int_equal(lab_reply(l, 0).flags, TCP_ACK);
}

static void refuse_text_has_a_bound(void **state)
{
	struct lab *l = *state;
	static const char big[STACK_REFUSE_TEXT_MAX + 1];

	assert_int_equal(stack_set_refusal(l->st, 0, big, sizeof(big)), -90 /* EMSGSIZE */);
	assert_int_equal(stack_set_refusal(l->st, STACK_REFUSE_CLASSES, "x", 1), -22 /* EINVAL */);
	assert_int_equal(stack_set_refusal(l->st, 0, big, sizeof(big) - 1), 0);
}

/* ---- other verdicts ---- */

static void trap_never_opens(void **state)
{
	struct lab *l = *state;

	l->verdict = SYN_TRAP;
	syn(l);
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(r.window, 0);
	lab_out_free(l);
	uint32_t iss = r.seq;
	ack(l, ISN + 1, iss + 1);
	assert_int_equal(l->out.n_tx, 0); /* silence */
	/* a window probe, as Linux sends it, is told again: nothing fits; and data is not taken */
	for (unsigned i = 0; i < 2; i++) {
		lab_send(l,
		    &(struct lab_seg){
			.seq = ISN + i, .ack = iss + 1, .flags = TCP_ACK, .data = "E", .len = i });
		r = lab_reply(l, 0);
		assert_int_equal(r.flags, TCP_ACK);
		assert_int_equal(r.window, 0);
		assert_int_equal(r.ack, ISN + 1);
		assert_int_equal(r.seq, iss + 1);
		lab_out_free(l);
	}
	l->now += 1800 * 1000000000ull; /* half an hour later it is still held */
	lab_turn(l);
	lab_learn(l);
	lab_out_free(l);
	lab_send(l, &(struct lab_seg){ .seq = ISN, .ack = iss + 1, .flags = TCP_ACK });
	assert_int_equal(lab_reply(l, 0).window, 0);
	assert_int_equal(lab_reply(l, 0).flags, TCP_ACK);
	assert_int_equal(l->n_opened, 0);
	assert_int_equal(l->st->ip->ring.count, 0);
}

static void drop_says_nothing(void **state)
{
	struct lab *l = *state;

	l->verdict = SYN_DROP;
	syn(l);
	assert_int_equal(l->out.n_tx, 0);
	assert_int_equal(l->counters[STACK_syn_dropped], 1);
}

static void reset_is_a_rst(void **state)
{
	struct lab *l = *state;

	l->verdict = SYN_RESET;
	syn(l);
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.flags, TCP_RST | TCP_ACK);
	assert_int_equal(r.ack, ISN + 1);
}

static void syns_are_judged_once_a_burst(void **state)
{
	struct lab *l = *state;
	struct frame f[32];

	for (unsigned i = 0; i < 32; i++)
		f[i] = lab_tcp(
		    l, &(struct lab_seg){
			   .seq = ISN, .flags = TCP_SYN, .src_port = (uint16_t)(2000 + i) });
	lab_in(l, f, 32);
	assert_int_equal(l->judge_calls, 1);
	assert_int_equal(l->judged, 32);
	assert_int_equal(l->out.n_tx, 32);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(lab_reply(l, i).dst_port, 2000 + i);
}

/* Two processes on one address, one handing over to the other. */
static void a_stack_that_shares_withholds_resets(void **state)
{
	struct lab *l = *state;

	stack_share(l->st, STACK_QUIET);
	ack(l, 5, 6);
	assert_int_equal(l->out.n_tx, 0);
	assert_int_equal(l->counters[STACK_rst_withheld], 1);
	syn(l);
	assert_int_equal(l->out.n_tx, 1); /* new clients are still ours */
	lab_out_free(l);
	stack_share(l->st, STACK_ALONE);
	ack(l, 5, 6);
	assert_int_equal(l->out.n_tx, 1);
}

static void rst_is_capped_per_prefix(void **state)
{
	struct lab *l = *state;

	for (unsigned i = 0; i < 150; i++)
		ack(l, 5, 6);
	assert_int_equal(l->out.n_tx, 100);
	assert_int_equal(l->counters[STACK_rst_capped], 50);
	lab_out_free(l);
	l->peer.b[l->v4 ? 14 : 7] ^= 1; /* the neighbouring prefix has its own */
	ack(l, 5, 6);
	assert_int_equal(l->out.n_tx, 1);
	lab_out_free(l);
	l->peer.b[l->v4 ? 14 : 7] ^= 1;
	l->now += 500000000u;
	for (unsigned i = 0; i < 150; i++)
		ack(l, 5, 6);
	assert_in_range(l->out.n_tx, 49, 51); /* it decays by time */
}

static void synack_is_capped_per_prefix(void **state)
{
	(void)state;
	struct stack_config c;

	for (unsigned v4 = 0; v4 < 2; v4++) {
		lab_config(&c);
		c.cap_synack = 20;
		struct lab *l = lab_new_with(&c, v4, true);
		for (unsigned i = 0; i < 50; i++)
			lab_send(
			    l, &(struct lab_seg){
				   .seq = i, .flags = TCP_SYN, .src_port = (uint16_t)(2000 + i) });
		assert_int_equal(l->out.n_tx, 20);
		assert_int_equal(l->counters[STACK_synack_capped], 30);
		lab_free(l);
	}
}

static void full_table_is_a_rst(void **state)
{
	struct lab *l = *state;
	uint32_t iss = handshake_begin(l);

	l->conn_full = true;
	ack(l, ISN + 1, iss + 1);
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.flags, TCP_RST);
	assert_int_equal(r.seq, iss + 1);
	assert_int_equal(l->counters[STACK_conn_refused_full], 1);
}

static void full_output_is_counted(void **state)
{
	struct lab *l = *state;

	l->out.cap_tx = 1;
	syn(l);
	syn(l);
	assert_int_equal(l->out.n_tx, 1);
	assert_int_equal(l->counters[STACK_tx_out_full], 1);
	l->out.cap_tx = LAB_FRAMES;
}

static void data_on_syn_is_not_taken(void **state)
{
	struct lab *l = *state;

	lab_send(l, &(struct lab_seg){ .seq = ISN, .flags = TCP_SYN, .data = "EHLO\r\n", .len = 6 });
	assert_int_equal(lab_reply(l, 0).ack, ISN + 1);
}

static void sequence_numbers_wrap(void **state)
{
	struct lab *l = *state;

	lab_send(l, &(struct lab_seg){ .seq = 0xffffffffu, .flags = TCP_SYN });
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.ack, 0);
	ack(l, 0, r.seq + 1);
	assert_int_equal(l->n_opened, 1);
	assert_int_equal(l->seed.irs, 0xffffffffu);
}

static void reserved_address_listens_to_nobody(void **state)
{
	(void)state;
	struct stack_config c;

	for (unsigned v4 = 0; v4 < 2; v4++) {
		lab_config(&c);
		c.addrs[0].reserved_for_connect = c.addrs[1].reserved_for_connect = true;
		struct lab *l = lab_new_with(&c, v4, true);
		syn(l);
		assert_int_equal(lab_reply(l, 0).flags, TCP_RST | TCP_ACK);
		lab_free(l);
	}
}

static void syn_of_a_living_flow_is_its_own(void **state)
{
	struct lab *l = *state;

	l->conns = 1;
	l->conn_takes = true;
	syn(l);
	assert_int_equal(l->n_input, 1);
	assert_int_equal(l->out.n_tx, 0);
	l->reuse = true; /* TIME-WAIT lets it start anew */
	syn(l);
	assert_int_equal(l->out.n_tx, 1);
	assert_int_equal(l->n_input, 1);
}

static void no_rst_to_a_rst(void **state)
{
	struct lab *l = *state;

	lab_send(l, &(struct lab_seg){ .seq = 1, .flags = TCP_RST, .dst_port = 99 });
	lab_send(l, &(struct lab_seg){ .seq = 1, .ack = 3, .flags = TCP_RST | TCP_ACK });
	lab_send(l, &(struct lab_seg){ .seq = 1, .flags = TCP_SYN | TCP_RST });
	assert_int_equal(l->out.n_tx, 0);
}

#define BOTH(fn) LAB_TEST4(#fn "_v4", fn), LAB_TEST6(#fn "_v6", fn)
#define G(name, state, event, outcome)                                                             \
	{ name "_v4", grid_test, grid_setup, grid_teardown,                                        \
		&(struct grid){ NULL, state, event, outcome, true } },                             \
	{                                                                                          \
		name "_v6", grid_test, grid_setup, grid_teardown, &(struct grid)                   \
		{                                                                                  \
			NULL, state, event, outcome, false                                         \
		}                                                                                  \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		G("listen_syn", LISTEN, EV_SYN, SYNACK),
		G("listen_syn_ack", LISTEN, EV_SYN_ACK, RESET),
		G("listen_syn_fin", LISTEN, EV_SYN_FIN, SILENCE),
		G("listen_bare_ack", LISTEN, EV_ACK, RESET),
		G("listen_bad_ack", LISTEN, EV_BAD_ACK, RESET),
		G("listen_data_in_window", LISTEN, EV_DATA_IN, RESET),
		G("listen_data_left", LISTEN, EV_DATA_LEFT, RESET),
		G("listen_data_right", LISTEN, EV_DATA_RIGHT, RESET),
		G("listen_overlap", LISTEN, EV_OVERLAP, RESET),
		G("listen_fin", LISTEN, EV_FIN, RESET),
		G("listen_fin_with_data", LISTEN, EV_FIN_DATA, RESET),
		G("listen_rst_in_sequence", LISTEN, EV_RST_SEQ, SILENCE),
		G("listen_rst_in_window", LISTEN, EV_RST_WINDOW, SILENCE),
		G("listen_rst_outside", LISTEN, EV_RST_OUTSIDE, SILENCE),
		G("listen_urg", LISTEN, EV_URG, RESET),

		G("cookie_syn", COOKIE, EV_SYN, SYNACK),
		G("cookie_syn_ack", COOKIE, EV_SYN_ACK, RESET),
		G("cookie_syn_fin", COOKIE, EV_SYN_FIN, SILENCE),
		G("cookie_bare_ack", COOKIE, EV_ACK, OPEN),
		G("cookie_bad_ack", COOKIE, EV_BAD_ACK, RESET),
		G("cookie_data_in_window", COOKIE, EV_DATA_IN, OPEN),
		G("cookie_data_left", COOKIE, EV_DATA_LEFT, RESET),
		G("cookie_data_right", COOKIE, EV_DATA_RIGHT, RESET),
		G("cookie_overlap", COOKIE, EV_OVERLAP, RESET),
		G("cookie_fin", COOKIE, EV_FIN, OPEN),
		G("cookie_fin_with_data", COOKIE, EV_FIN_DATA, OPEN),
		G("cookie_rst_in_sequence", COOKIE, EV_RST_SEQ, SILENCE),
		G("cookie_rst_in_window", COOKIE, EV_RST_WINDOW, SILENCE),
		G("cookie_rst_outside", COOKIE, EV_RST_OUTSIDE, SILENCE),
		G("cookie_urg", COOKIE, EV_URG, OPEN),

		G("ring_syn", RING, EV_SYN, SYNACK),
		G("ring_syn_ack", RING, EV_SYN_ACK, RESET),
		G("ring_syn_fin", RING, EV_SYN_FIN, SILENCE),
		G("ring_bare_ack", RING, EV_ACK, OPEN),
		G("ring_bad_ack", RING, EV_BAD_ACK, RESET),
		G("ring_data_in_window", RING, EV_DATA_IN, OPEN),
		G("ring_data_left", RING, EV_DATA_LEFT, RESET),
		G("ring_data_right", RING, EV_DATA_RIGHT, RESET),
		G("ring_overlap", RING, EV_OVERLAP, RESET),
		G("ring_fin", RING, EV_FIN, OPEN),
		G("ring_fin_with_data", RING, EV_FIN_DATA, OPEN),
		G("ring_rst_in_sequence", RING, EV_RST_SEQ, SILENCE),
		G("ring_rst_in_window", RING, EV_RST_WINDOW, SILENCE),
		G("ring_rst_outside", RING, EV_RST_OUTSIDE, SILENCE),
		G("ring_urg", RING, EV_URG, OPEN),

		G("closed_syn", CLOSED, EV_SYN, RESET),
		G("closed_syn_ack", CLOSED, EV_SYN_ACK, RESET),
		G("closed_syn_fin", CLOSED, EV_SYN_FIN, RESET),
		G("closed_bare_ack", CLOSED, EV_ACK, RESET),
		G("closed_bad_ack", CLOSED, EV_BAD_ACK, RESET),
		G("closed_data_in_window", CLOSED, EV_DATA_IN, RESET),
		G("closed_data_left", CLOSED, EV_DATA_LEFT, RESET),
		G("closed_data_right", CLOSED, EV_DATA_RIGHT, RESET),
		G("closed_overlap", CLOSED, EV_OVERLAP, RESET),
		G("closed_fin", CLOSED, EV_FIN, RESET),
		G("closed_fin_with_data", CLOSED, EV_FIN_DATA, RESET),
		G("closed_rst_in_sequence", CLOSED, EV_RST_SEQ, SILENCE),
		G("closed_rst_in_window", CLOSED, EV_RST_WINDOW, SILENCE),
		G("closed_rst_outside", CLOSED, EV_RST_OUTSIDE, SILENCE),
		G("closed_urg", CLOSED, EV_URG, RESET),

		BOTH(cookie_lives_one_to_two_epochs),
		BOTH(cookie_names_the_mss),
		BOTH(synack_offers_own_mss),
		BOTH(timestamp_carries_options),
		BOTH(forged_timestamp_gives_no_options),
		BOTH(rotated_key_keeps_cookies),
		BOTH(bad_acks_leave_only_the_ring),
		BOTH(synack_again_after_1_3_7),
		BOTH(ring_remembers_options),
		BOTH(full_ring_leaves_the_cookie),
		BOTH(each_class_has_its_own_text),
		BOTH(refuse_in_one_segment),
		BOTH(refuse_answers_data_on_the_ack),
		BOTH(refuse_resets_talk_after_the_end),
		BOTH(refuse_timestamp_mirrors_the_segment),
		BOTH(refuse_cookie_opens_nothing),
		BOTH(refuse_renewed_text_ends_the_old),
		BOTH(refuse_text_has_a_bound),
		BOTH(trap_never_opens),
		BOTH(drop_says_nothing),
		BOTH(reset_is_a_rst),
		BOTH(syns_are_judged_once_a_burst),
		BOTH(a_stack_that_shares_withholds_resets),
		BOTH(rst_is_capped_per_prefix),
		cmocka_unit_test(synack_is_capped_per_prefix),
		BOTH(full_table_is_a_rst),
		BOTH(full_output_is_counted),
		BOTH(data_on_syn_is_not_taken),
		BOTH(sequence_numbers_wrap),
		cmocka_unit_test(reserved_address_listens_to_nobody),
		BOTH(syn_of_a_living_flow_is_its_own),
		BOTH(no_rst_to_a_rst),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
