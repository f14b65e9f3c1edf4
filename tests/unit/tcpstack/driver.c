/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver. It defines the IP half's side of stack.h, so a test that uses it never links the
 * real one: an archive's member is taken only for symbols still missing.
 */
#include "driver.h"

#include <stdlib.h>

const int td_families[2] = { 0, 1 };

static const uint64_t start_ns = 1700000000ull * 1000000000ull;

/* ---- in the IP half's place ---- */

int ip_path_resolve(
    struct stack *st, const struct ip_addr *dst, uint64_t now_ns, struct ip_path *ret_path)
{
	struct td *d = st->host.arg;

	(void)now_ns;
	*ret_path = (struct ip_path){ .v4 = ip_addr_is_v4(dst), .mtu = d->o.mtu ? d->o.mtu : 1500 };
	return 0;
}

enum emit_status ip_emit_tcp(struct stack *st, struct ip_path *path, const struct tcp_segment *seg,
    uint64_t now_ns, struct frame_out *out)
{
	struct td *d = st->host.arg;
	struct td_seg tapped, *s;
	uint32_t options = 20;

	(void)now_ns;
	(void)out;
	if (d->status != EMIT_SENT)
		return d->status;
	if (d->frames_left == 0)
		return EMIT_NO_FRAME;
	d->frames_left--;
	assert_true(d->tap || d->n_out < TD_MAX_OUT);
	s = d->tap ? &tapped : &d->out[(d->out_head + d->n_out++) % TD_MAX_OUT];
	s->flags = seg->flags;
	s->seq = seg->seq;
	s->ack = seg->ack;
	s->window = seg->window;
	s->opt = seg->opt;
	s->len = 0;
	for (unsigned i = 0; i < seg->n_pieces; i++) {
		if (s->len < sizeof(s->data)) {
			size_t room = sizeof(s->data) - s->len;

			memcpy(s->data + s->len, seg->pieces[i].p,
			    seg->pieces[i].len < room ? seg->pieces[i].len : room);
		}
		s->len += seg->pieces[i].len;
	}
	/* Every segment fits the path with all its options. */
	options += seg->opt.has_ts ? 12 : 0;
	options += seg->opt.n_sack ? 4 + 8u * seg->opt.n_sack : 0;
	options += seg->opt.mss ? 4 : 0;
	assert_true(options <= 60);
	assert_true(s->len + options + (path->v4 ? 20 : 40) <= path->mtu || s->len == 0);
	if (d->tap)
		d->tap(d, s);
	return EMIT_SENT;
}

uint8_t td_pattern(uint32_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

/* ---- life ---- */

struct td *td_new(const struct td_options *o)
{
	static const uint8_t v4[2][4] = { { 192, 0, 2, 1 }, { 198, 51, 100, 7 } };
	static const uint8_t v6[2][16] = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 },
		{ 0x20, 0x01, 0x0d, 0xb8, 1, [15] = 7 } };
	struct td *d = calloc(1, sizeof(*d));
	struct stack_config *config;

	assert_non_null(d);
	d->out = calloc(TD_MAX_OUT, sizeof(*d->out));
	assert_non_null(d->out);
	d->o = *o;
	d->now_ns = start_ns;
	d->local = o->v6 ? ip_addr_from_v6(v6[0]) : ip_addr_from_v4(v4[0]);
	d->remote = o->v6 ? ip_addr_from_v6(v6[1]) : ip_addr_from_v4(v4[1]);
	d->local_port = 25;
	d->remote_port = 40000;
	d->iss = 0xfffffc00u; /* everything soon wraps */
	d->irs = 0xffffff00u;
	d->peer_ts = 0xfffffff0u;
	d->frames_left = UINT32_MAX;
	config = &d->st.config;
	*config = o->config;
	config->max_conns = config->max_conns ? config->max_conns : 8;
	config->max_timewait = config->max_timewait ? config->max_timewait : 8;
	config->max_chunks = config->max_chunks ? config->max_chunks : 1024;
	config->rcv_buf = config->rcv_buf ? config->rcv_buf : 65535;
	config->snd_buf = config->snd_buf ? config->snd_buf : 65535;
	config->msl_ms = config->msl_ms ? config->msl_ms : 30000;
	config->user_timeout_ms = config->user_timeout_ms ? config->user_timeout_ms : 300000;
	config->keepalive_ms = config->keepalive_ms ? config->keepalive_ms : 120000;
	config->ephemeral_first = 40000;
	config->ephemeral_last = 40003;
	config->ephemeral_step = 1;
	config->addrs[0].addr = d->local;
	config->n_addrs = 1;
	memset(&config->secrets, 0x5a, sizeof(config->secrets));
	d->st.host.arg = d;
	d->st.counters = d->counters;
	assert_int_equal(tcp_half_new(config, d->now_ns, &d->st.tcp), 0);
	return d;
}

struct td *td_free(struct td *d)
{
	if (!d)
		return NULL;
	tcp_half_free(d->st.tcp);
	free(d->out);
	free(d);
	return NULL;
}

/* ---- the peer ---- */

static void fill_packet(struct td *d, const struct td_in *in, struct packet *pkt, uint8_t *data)
{
	*pkt = (struct packet){
		.src = d->remote,
		.dst = d->local,
		.src_port = d->remote_port,
		.dst_port = d->local_port,
		.seq = d->irs + in->seq,
		.ack = in->flags & TCP_ACK ? d->iss + in->ack : 0,
		.window = in->zero_window    ? 0
			  : in->window       ? in->window
			  : d->o.peer_window ? d->o.peer_window
					     : 65535,
		.payload_len = (uint16_t)in->len,
		.payload = in->data ? in->data : data,
		.flags = in->flags,
		.ttl = 64,
		.v4 = !d->o.v6,
		.opt = in->opt,
	};
	for (unsigned i = 0; i < in->opt.n_sack; i++) {
		pkt->opt.sack[i].start += d->iss;
		pkt->opt.sack[i].end += d->iss;
	}
	if (d->o.ts && !d->omit_ts) {
		pkt->opt.has_ts = true;
		pkt->opt.ts_val = d->ts_val
				      ? d->ts_val
				      : d->peer_ts + (uint32_t)((d->now_ns - start_ns) / 1000000);
		if (!in->opt.has_ts)
			pkt->opt.ts_ecr = d->c && d->c->state != TCP_CLOSED
					      ? ts_clock(d->now_ns) + d->c->ts_offset
					      : 0;
	}
	d->ts_val = 0;
	for (uint32_t i = 0; i < in->len; i++)
		data[i] = td_pattern(in->seq - 1 + i);
}

bool td_input_known(struct td *d, const struct td_in *in)
{
	static uint8_t data[TD_MAX_PAYLOAD];
	struct packet pkt;

	fill_packet(d, in, &pkt, data);
	conn_prefetch(&d->st, &(struct packet *){ &pkt }, 1);
	return conn_input(&d->st, &pkt, d->now_ns, NULL);
}

void td_input(struct td *d, const struct td_in *in)
{
	assert_true(td_input_known(d, in));
	td_output(d);
}

void td_ack(struct td *d, uint32_t seq, uint32_t ack)
{
	td_send(d, .flags = TCP_ACK, .seq = seq, .ack = ack);
}

void td_data(struct td *d, uint32_t seq, uint32_t len, uint32_t ack)
{
	td_send(d, .flags = TCP_ACK, .seq = seq, .len = len, .ack = ack);
}

/* ---- time ---- */

static void collect_events(struct td *d)
{
	struct tcp_conn *c;
	unsigned events;

	while ((c = stack_next_ready(&d->st, &events)) != NULL)
		d->events |= events;
}

void td_output(struct td *d)
{
	collect_events(d);
	conn_output(&d->st, d->now_ns, NULL);
	collect_events(d);
}

void td_run_ms(struct td *d, uint32_t ms)
{
	uint64_t end_ns = d->now_ns + (uint64_t)ms * 1000000;

	for (;;) {
		uint64_t at = conn_next_deadline(&d->st);

		if (at > end_ns)
			break;
		if (at > d->now_ns)
			d->now_ns = at;
		td_output(d);
		if (conn_next_deadline(&d->st) <= d->now_ns)
			d->now_ns +=
			    1000000; /* output that waits for frames: the shell's next turn */
	}
	if (d->now_ns < end_ns)
		d->now_ns = end_ns;
	td_output(d);
}

/* ---- what came out ---- */

struct td_seg td_expect_at(struct td *d, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len,
    const char *file, int line)
{
	struct td_seg s;

	if (d->n_out == 0) {
		print_error("expected flags %02x seq %u ack %u len %u, nothing was sent\n", flags,
		    seq, ack, len);
		_fail(file, line);
	}
	s = d->out[d->out_head];
	d->out_head = (d->out_head + 1) % TD_MAX_OUT;
	d->n_out--;
	if ((s.flags & ~TCP_PSH) != (flags & ~TCP_PSH) || s.seq - d->iss != seq ||
	    (flags & TCP_ACK && s.ack - d->irs != ack) || s.len != len) {
		print_error("expected flags %02x seq %u ack %u len %u, got %02x %u %u %u\n", flags,
		    seq, ack, len, s.flags, s.seq - d->iss, s.ack - d->irs, s.len);
		_fail(file, line);
	}
	/* RFC 7323 3.2: on every segment but RST once negotiated */
	if (d->o.ts && !(flags & (TCP_RST | TCP_SYN)) && !s.opt.has_ts) {
		print_error("timestamp missing\n");
		_fail(file, line);
	}
	return s;
}

void td_expect_none_at(struct td *d, const char *file, int line)
{
	const struct td_seg *s = &d->out[d->out_head];

	if (d->n_out == 0)
		return;
	print_error("expected nothing, got %u segments, the first %02x seq %u ack %u len %u\n",
	    d->n_out, s->flags, s->seq - d->iss, s->ack - d->irs, s->len);
	_fail(file, line);
}

void td_forget_output(struct td *d)
{
	d->n_out = 0;
}

unsigned td_events(struct td *d)
{
	unsigned events;

	collect_events(d);
	events = d->events;
	d->events = 0;
	return events;
}

void td_state_at(struct td *d, int state, const char *file, int line)
{
	if (d->c->state == state)
		return;
	print_error("expected state %d, is %d\n", state, d->c->state);
	_fail(file, line);
}

/* ---- any state in one call ---- */

bool td_connect(struct td *d)
{
	struct tcp_connect req = { .src = d->local, .dst = d->remote, .dst_port = 25 };

	if (tcp_connect(&d->st, &req, d->now_ns, &d->c) != 0)
		return false;
	d->remote_port = 25;
	d->local_port = d->c->key.local_port;
	d->iss = d->c->snd_una;
	if (!d->o.ts || !d->o.sack) /* as if we had not asked: the tests choose */
		d->c->flags &= ~(uint32_t)((d->o.ts ? 0 : CF_TS) | (d->o.sack ? 0 : CF_SACK));
	return true;
}

static void establish(struct td *d)
{
	static uint8_t none[1];
	struct packet pkt;
	struct conn_seed seed = {
		.iss = d->iss,
		.irs = d->irs,
		.peer_mss = d->o.peer_mss,
		.timestamps = d->o.ts,
		.sack = d->o.sack,
		.has_wscale = d->o.wscale,
		.snd_wscale = d->o.peer_wscale,
		.rcv_wscale = conn_wscale_for(d->st.config.rcv_buf),
		.ts_offset = 12345,
		.listener = 3,
		.syn_ns = d->now_ns - 10000000, /* 10 ms */
	};

	fill_packet(d, &(struct td_in){ .flags = TCP_ACK, .seq = 1, .ack = 1 }, &pkt, none);
	assert_int_equal(conn_from_cookie(&d->st, &pkt, &seed, d->now_ns, NULL), 0);
	d->c = stack_next_ready(&d->st, &d->events);
	assert_non_null(d->c);
	assert_int_equal(d->events, TCP_EV_OPEN);
	d->events = 0;
	td_output(d);
}

struct td *td_make(int state, const struct td_options *o)
{
	struct td *d = td_new(o);

	switch (state) {
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
		assert_true(td_connect(d));
		td_output(d);
		if (state == TCP_SYN_RECEIVED)
			td_send(d, .flags = TCP_SYN, .opt = { .mss = 1460 });
		break;
	case TCP_CLOSED:
		establish(d);
		td_send(d, .flags = TCP_RST, .seq = 1);
		break;
	default:
		establish(d);
		if (state == TCP_ESTABLISHED)
			break;
		if (state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK) {
			td_send(d, .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 1);
			if (state == TCP_LAST_ACK) {
				tcp_shutdown(&d->st, d->c);
				td_output(d);
			}
			break;
		}
		tcp_shutdown(&d->st, d->c);
		td_output(d);
		if (state == TCP_CLOSING)
			td_send(d, .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 1);
		if (state == TCP_FIN_WAIT_2 || state == TD_TIME_WAIT)
			td_ack(d, 1, 2);
		if (state == TD_TIME_WAIT)
			td_send(d, .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 2);
		break;
	}
	td_expect_state(d, state == TD_TIME_WAIT ? TCP_CLOSED : state);
	td_forget_output(d);
	td_events(d);
	return d;
}
