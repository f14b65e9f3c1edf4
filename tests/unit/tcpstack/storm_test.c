/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random segments near every edge, random calls of the owner, random shortage of frames and
 * chunks, from every state: nothing breaks, and in the end nothing is left.
 */
#include "driver.h"

static uint64_t rng;

static uint32_t pick(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 20) % n;
}

/* Near an edge more often than not. */
static uint32_t near_edge(uint32_t edge)
{
	static const int32_t offsets[] = { 0, 0, 0, 1, -1, 100, -100, 1448, -1448, 5000, 65535,
		-65536, 70000 };

	return edge + (uint32_t)offsets[pick(sizeof(offsets) / sizeof(offsets[0]))];
}

static void random_segment(struct td *d)
{
	static const uint8_t flags[] = { TCP_ACK, TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH,
		TCP_ACK | TCP_FIN, TCP_SYN, TCP_SYN | TCP_ACK, TCP_RST, TCP_RST | TCP_ACK, 0, 0x3f };
	uint32_t una = d->c ? d->c->snd_una - d->iss : 1, nxt = d->c ? d->c->snd_nxt - d->iss : 1;
	struct td_in in = {
		.flags = flags[pick(pick(4) ? 5 : sizeof(flags))],
		.seq = near_edge(d->c ? d->c->rcv_nxt - d->irs : 1),
		.ack = pick(2) ? nxt : near_edge(pick(2) ? una : nxt),
		.len = pick(3) ? pick(1449) : 0,
		.window = (uint16_t)(pick(4) ? 65535 : pick(3000) + 1),
		.zero_window = pick(20) == 0,
		.opt = { .n_sack = (uint8_t)pick(4) },
	};

	for (unsigned i = 0; i < in.opt.n_sack; i++) {
		in.opt.sack[i].start = una + pick(nxt - una + 100);
		in.opt.sack[i].end = in.opt.sack[i].start + pick(5000);
	}
	d->omit_ts = pick(50) == 0;
	d->ts_val = pick(30) ? 0 : pick(UINT32_MAX);
	(void)td_input_known(d, &in);
}

static void serve(struct td *d)
{
	static const uint8_t data[20000];
	struct tcp_conn *c;
	unsigned events;

	while ((c = stack_next_ready(&d->st, &events)) != NULL)
		assert_ptr_equal(c, d->c);
	if (!d->c)
		return;
	switch (pick(13)) {
	case 0:
	case 1:
	case 2: tcp_write(&d->st, d->c, data, pick(sizeof(data))); break;
	case 3:
	case 4:
	case 5: tcp_consume(&d->st, d->c, pick((uint32_t)tcp_unread(d->c) + 1)); break;
	case 6: tcp_set_window(&d->st, d->c, pick(100000)); break;
	case 11: tcp_set_pace(&d->st, d->c, pick(3) ? pick(5000) : 0, pick(300)); break;
	case 7:
		conn_icmp(&d->st, &d->local, d->local_port, &d->remote, d->remote_port,
		    d->c->snd_una + pick(3000), (enum icmp_event)pick(3), (uint16_t)pick(1600),
		    d->now_ns);
		break;
	case 8:
		if (pick(40) == 0)
			tcp_shutdown(&d->st, d->c);
		break;
	case 9:
		if (pick(60) == 0) {
			tcp_close(&d->st, d->c);
			d->c = NULL;
		}
		break;
	case 10:
		if (pick(200) == 0) {
			tcp_abort(&d->st, d->c);
			d->c = NULL;
		}
		break;
	default: tcp_set_keepalive(&d->st, d->c, pick(2)); break;
	}
}

static void storm(void **state)
{
	static const int states[] = { TCP_SYN_SENT, TCP_SYN_RECEIVED, TCP_ESTABLISHED,
		TCP_ESTABLISHED, TCP_FIN_WAIT_1, TCP_FIN_WAIT_2, TCP_CLOSING, TCP_CLOSE_WAIT,
		TCP_LAST_ACK };
	const int v6 = td_family(state);

	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct td_options o = { .v6 = v6,
			.ts = seed & 1,
			.sack = seed & 2,
			.peer_mss = 1460,
			.wscale = seed & 4,
			.peer_wscale = 3,
			.config = { .max_chunks = seed % 3 ? 1024 : 24,
			    .snd_buf = 100000,
			    .rcv_buf = 200000 } };
		struct td *d = td_make(states[seed % 9], &o);

		rng = seed * 0x9e3779b97f4a7c15u;
		for (int i = 0; i < 400; i++) {
			uint32_t adv = d->c ? d->c->rcv_adv : 0;
			bool synced = d->c && d->c->state >= TCP_ESTABLISHED;

			random_segment(d);
			serve(d);
			if (synced && d->c) /* the window never shrinks */
				assert_true(seq_leq(adv, d->c->rcv_adv));
			d->frames_left = pick(4) ? 1000 : pick(3);
			d->status = pick(30) ? EMIT_SENT : EMIT_NO_NEIGH;
			conn_output(&d->st, d->now_ns, NULL);
			td_forget_output(d);
			d->now_ns += (uint64_t)pick(pick(10) ? 20000 : 900000) * 1000;
			if (d->c) {
				assert_true(tcp_unread(d->c) <= 265535);
				assert_true(tcp_unsent_or_unacked(d->c) <= 100000);
			}
		}
		if (d->c)
			tcp_close(&d->st, d->c);
		d->c = NULL;
		d->status = EMIT_SENT;
		for (int i = 0; i < 800; i++) { /* the peer has gone: time ends it all */
			d->frames_left = 1000;
			d->now_ns += 1000000000;
			conn_output(&d->st, d->now_ns, NULL);
			td_forget_output(d);
		}
		assert_int_equal(d->st.tcp->n_conns, 0);
		assert_int_equal(d->st.tcp->chunks.used, 0);
		assert_int_equal(d->st.tcp->tw.used, 0);
		assert_int_equal(d->st.tcp->flows.used, 0);
		assert_int_equal(d->st.tcp->wheel.clock.armed, 0);
		td_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TD_BOTH(storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
