/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two whole stacks on one link, both halves real: they find each other by ARP or ND, and one talks
 * to the other's listener. What the halves promise each other is tested here and nowhere else.
 */
#include "ip_half.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FRAMES = 2048, ROOM = 2048, HEADROOM = 128, SERVER = 0, CLIENT = 1 };

struct side {
	struct stack *st;
	uint64_t counters[STACK_N_COUNTERS];
	struct frame tx[FRAMES], drop[FRAMES];
	struct frame_out out;
	struct tcp_conn *conn;
	unsigned events; /* all seen so far */
	uint8_t got[300000];
	size_t n_got;
};

struct link {
	struct side side[2];
	uint64_t now;
	uint32_t random;
	unsigned loss;                  /* of 1,000 */
	unsigned lose_next_from_client; /* TCP frames */
	enum syn_verdict verdict;
	bool v4, consume;
	long frames; /* living buffers */
};

static bool alloc_frame(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct link *k = arg;
	uint8_t *b = malloc(HEADROOM + ROOM);

	if (!b)
		return false;
	k->frames++;
	*ret_frame = (struct frame){
		.data = b + HEADROOM, .handle = b, .room = ROOM, .headroom = HEADROOM, .port = port
	};
	return true;
}

static void judge(void *arg, struct syn_judgement *syns, unsigned n)
{
	struct link *k = arg;

	for (unsigned i = 0; i < n; i++)
		syns[i].verdict = (uint8_t)k->verdict;
}

static void side_init(struct link *k, unsigned i)
{
	struct side *s = &k->side[i];
	struct stack_config c = {
		.n_ports = 1, .n_netifs = 1, .n_addrs = 2, .n_listeners = i == SERVER
	};
	struct stack_host host = { k, alloc_frame, judge };
	const uint8_t a4[4] = { 192, 0, 2, (uint8_t)(10 + i) };
	const uint8_t a6[16] = { 0x20, 1, 0xd, 0xb8, [15] = (uint8_t)(10 + i) };

	c.ports[0] = (struct stack_port){ .mac = { 2, 0, 0, 0, 0, (uint8_t)(1 + i) }, .mtu = 1500 };
	c.addrs[0] = (struct stack_ip){ ip_addr_from_v4(a4), 24, 0, false };
	c.addrs[1] = (struct stack_ip){ ip_addr_from_v6(a6), 64, 0, false };
	c.listeners[0] = (struct stack_listener){ .any = true, .port = 25, .id = 3 };
	memset(c.secrets.cookie_key, (int)i + 5, 16);
	memset(c.secrets.isn_key, (int)i + 6, 16);
	memset(c.secrets.hash_key, (int)i + 7, 16);
	c.max_conns = 64;
	c.max_timewait = 64;
	c.max_chunks = 1024;
	c.syn_ring = 64;
	c.max_tarpit = 16;
	s->out =
	    (struct frame_out){ .tx = s->tx, .drop = s->drop, .cap_tx = FRAMES, .cap_drop = FRAMES };
	assert_int_equal(stack_new(&c, &host, s->counters, k->now, &s->st), 0);
}

static void free_frame(struct link *k, struct frame *f)
{
	free(f->handle);
	k->frames--;
}

static bool is_lost(struct link *k, unsigned from, const struct frame *f)
{
	const uint8_t *l3 = f->data + 14;
	bool tcp = (rd16(f->data + 12) == ETH_TYPE_IP4 && l3[9] == PROTO_TCP) ||
		   (rd16(f->data + 12) == ETH_TYPE_IP6 && l3[6] == PROTO_TCP);

	if (tcp && from == CLIENT && k->lose_next_from_client) {
		k->lose_next_from_client--;
		return true;
	}
	k->random = k->random * 1664525u + 1013904223u;
	return tcp && (k->random >> 16) % 1000 < k->loss;
}

static void listen_to(struct link *k, unsigned i)
{
	struct side *s = &k->side[i];
	struct tcp_conn *c;
	unsigned events;

	while ((c = stack_next_ready(s->st, &events))) {
		if (!s->conn)
			s->conn = c;
		if (c != s->conn)
			continue;
		s->events |= events;
		const uint8_t *p;
		size_t n;
		while (k->consume && (n = tcp_peek(c, &p))) {
			assert_true(s->n_got + n <= sizeof(s->got));
			memcpy(s->got + s->n_got, p, n);
			s->n_got += n;
			tcp_consume(s->st, c, n);
		}
	}
}

/* One millisecond of the link: everything sent before arrives now. */
static void step(struct link *k)
{
	struct frame in[2][FRAMES];
	unsigned n_in[2] = { 0, 0 };

	k->now += 1000000;
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &k->side[i];
		for (unsigned j = 0; j < s->out.n_tx; j++) {
			if (is_lost(k, i, &s->tx[j]))
				free_frame(k, &s->tx[j]);
			else
				in[!i][n_in[!i]++] = s->tx[j];
		}
		for (unsigned j = 0; j < s->out.n_drop; j++)
			free_frame(k, &s->drop[j]);
		s->out.n_tx = s->out.n_drop = 0;
	}
	for (unsigned i = 0; i < 2; i++) {
		stack_input(k->side[i].st, in[i], n_in[i], k->now, &k->side[i].out);
		listen_to(k, i);
		stack_output(k->side[i].st, k->now, &k->side[i].out);
	}
}

static void run_ms(struct link *k, unsigned ms)
{
	while (ms--)
		step(k);
}

static void connect_now(struct link *k)
{
	struct tcp_connect req = { .dst_port = 25, .timeout_ms = 60000 };

	req.src = k->side[CLIENT].st->config.addrs[k->v4 ? 0 : 1].addr;
	req.dst = k->side[SERVER].st->config.addrs[k->v4 ? 0 : 1].addr;
	assert_int_equal(tcp_connect(k->side[CLIENT].st, &req, k->now, &k->side[CLIENT].conn), 0);
	stack_output(k->side[CLIENT].st, k->now, &k->side[CLIENT].out);
}

static struct link *link_new(bool v4)
{
	struct link *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	k->now = 1700000000ull * 1000000000u;
	k->v4 = v4;
	k->consume = true;
	k->random = 7;
	side_init(k, SERVER);
	side_init(k, CLIENT);
	return k;
}

static int setup4(void **state)
{
	*state = link_new(true);
	return 0;
}

static int setup6(void **state)
{
	*state = link_new(false);
	return 0;
}

static int teardown(void **state)
{
	struct link *k = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &k->side[i];
		for (unsigned j = 0; j < s->out.n_tx; j++)
			free_frame(k, &s->tx[j]);
		for (unsigned j = 0; j < s->out.n_drop; j++)
			free_frame(k, &s->drop[j]);
		stack_free(s->st);
	}
	assert_int_equal(k->frames, 0);
	free(k);
	return 0;
}

static void run_until(struct link *k, unsigned side, unsigned event, unsigned limit_ms)
{
	for (unsigned i = 0; i < limit_ms && !(k->side[side].events & event); i++)
		step(k);
	assert_true(k->side[side].events & event);
}

static void open_both(struct link *k, unsigned limit_ms)
{
	connect_now(k);
	run_until(k, CLIENT, TCP_EV_OPEN, limit_ms);
	run_until(k, SERVER, TCP_EV_OPEN, limit_ms);
}

static void banner_and_mail(struct link *k, size_t bytes, unsigned limit_ms)
{
	struct side *s = &k->side[SERVER], *c = &k->side[CLIENT];
	static const char banner[] = "220 hello\r\n";
	uint8_t block[1000];
	size_t sent = 0;

	assert_int_equal(tcp_write(s->st, s->conn, banner, 11), 11);
	for (unsigned i = 0; i < limit_ms && (s->n_got < bytes || c->n_got < 11); i++) {
		while (sent < bytes) {
			size_t n = bytes - sent < sizeof(block) ? bytes - sent : sizeof(block);
			for (size_t b = 0; b < n; b++)
				block[b] = (uint8_t)((sent + b) * 31 >> 3);
			size_t took = tcp_write(c->st, c->conn, block, n);
			sent += took;
			if (took < n)
				break;
		}
		step(k);
	}
	assert_int_equal(c->n_got, 11);
	assert_memory_equal(c->got, banner, 11);
	assert_int_equal(s->n_got, bytes);
	for (size_t b = 0; b < bytes; b++)
		assert_int_equal(s->got[b], (uint8_t)(b * 31 >> 3));
}

static void close_both(struct link *k, unsigned limit_ms)
{
	tcp_shutdown(k->side[CLIENT].st, k->side[CLIENT].conn);
	run_until(k, SERVER, TCP_EV_EOF, limit_ms);
	tcp_close(k->side[SERVER].st, k->side[SERVER].conn);
	run_until(k, CLIENT, TCP_EV_EOF, limit_ms);
	tcp_close(k->side[CLIENT].st, k->side[CLIENT].conn);
	run_ms(k, 70000);
	for (unsigned i = 0; i < 2; i++) {
		struct stack_usage u;
		stack_usage(k->side[i].st, &u);
		assert_int_equal(u.conns, 0);
		assert_int_equal(u.timewait, 0);
		assert_int_equal(u.chunks_used, 0);
	}
}

static void a_session(void **state)
{
	struct link *k = *state;
	struct tcp_info info;

	open_both(k, 3000);
	tcp_get_info(k->side[SERVER].conn, &info);
	assert_int_equal(info.listener, 3);
	assert_int_equal(info.mss, (k->v4 ? 1460 : 1440) - (info.timestamps ? 12 : 0));
	assert_true(info.sack && info.timestamps);
	banner_and_mail(k, 200000, 20000);
	close_both(k, 5000);
	assert_int_equal(k->side[SERVER].counters[STACK_cookie_good], 1);
	assert_int_equal(k->side[SERVER].counters[STACK_tcp_checksum_bad], 0);
}

static void a_session_over_a_lossy_link(void **state)
{
	struct link *k = *state;

	k->loss = 50;
	open_both(k, 60000);
	banner_and_mail(k, 200000, 300000);
	close_both(k, 120000);
}

/* The client believes in the connection; its ACK never came; it waits for the banner. */
static void lost_handshake_ack(void **state)
{
	struct link *k = *state;

	connect_now(k);
	for (unsigned i = 0; i < 3000 && !(k->side[CLIENT].events & TCP_EV_OPEN); i++) {
		if (k->side[SERVER].counters[STACK_synack_tx])
			k->lose_next_from_client = 1; /* the next one is the ACK */
		step(k);
	}
	assert_true(k->side[CLIENT].events & TCP_EV_OPEN);
	for (unsigned i = 0; i < 20; i++)
		step(k);
	k->lose_next_from_client = 0;
	assert_false(k->side[SERVER].events & TCP_EV_OPEN);
	run_until(k, SERVER, TCP_EV_OPEN, 1500);
	assert_int_equal(k->side[SERVER].counters[STACK_synack_again], 1);
	banner_and_mail(k, 1000, 3000);
}

static void refused_client_reads_the_text(void **state)
{
	struct link *k = *state;
	struct side *c = &k->side[CLIENT];
	static const char text[] = "521 5.7.1 no\r\n";

	k->verdict = SYN_REFUSE;
	stack_set_refusal(k->side[SERVER].st, 0, text, sizeof(text) - 1);
	connect_now(k);
	run_until(k, CLIENT, TCP_EV_EOF, 3000);
	assert_int_equal(c->n_got, sizeof(text) - 1);
	assert_memory_equal(c->got, text, sizeof(text) - 1);
	tcp_close(c->st, c->conn);
	run_ms(k, 100);
	assert_int_equal(k->side[SERVER].counters[STACK_refuse_closed], 1);
	assert_int_equal(k->side[SERVER].counters[STACK_rst_tx], 0);
	struct stack_usage u;
	stack_usage(k->side[SERVER].st, &u);
	assert_int_equal(u.conns, 0);
}

static void trapped_client_hears_nothing(void **state)
{
	struct link *k = *state;
	struct side *c = &k->side[CLIENT];

	k->verdict = SYN_TRAP;
	connect_now(k);
	run_until(k, CLIENT, TCP_EV_OPEN, 3000);
	tcp_write(c->st, c->conn, "EHLO spam\r\n", 11);
	run_ms(k, 60000);
	assert_int_equal(c->n_got, 0);
	assert_false(c->events & (TCP_EV_RESET | TCP_EV_EOF | TCP_EV_SENT));
	struct stack_usage u;
	stack_usage(k->side[SERVER].st, &u);
	assert_int_equal(u.conns, 0);
}

static void reset_client_is_told(void **state)
{
	struct link *k = *state;

	k->verdict = SYN_RESET;
	connect_now(k);
	run_until(k, CLIENT, TCP_EV_RESET, 3000);
	tcp_close(k->side[CLIENT].st, k->side[CLIENT].conn);
}

static void held_client_gets_byte_by_byte(void **state)
{
	struct link *k = *state;
	struct side *s = &k->side[SERVER], *c = &k->side[CLIENT];

	assert_int_equal(stack_set_tarpit_text(s->st, 0, "220-wait\r\n", 10), 0);
	open_both(k, 3000);
	tcp_write(s->st, s->conn, "2", 1);
	assert_int_equal(tcp_shrink_to_tarpit(s->st, s->conn, 0, 1000), -11 /* EAGAIN */);
	run_until(k, SERVER, TCP_EV_SENT, 2000);
	assert_int_equal(tcp_shrink_to_tarpit(s->st, s->conn, 0, 1000), 0);
	tcp_write(c->st, c->conn, "EHLO spam\r\n", 11);
	k->loss = 200;
	run_ms(k, 40000);
	k->loss = 0;
	run_ms(k, 3000);
	assert_in_range(c->n_got, 15, 45);
	assert_memory_equal(c->got, "2220-wait\r\n220-", 15);
	assert_true(c->events & TCP_EV_SENT); /* what it said was acknowledged */
	struct stack_usage u;
	stack_usage(s->st, &u);
	assert_int_equal(u.conns, 0);
	assert_int_equal(u.tarpit, 1);
	tcp_close(c->st, c->conn);
	run_ms(k, 3000);
	stack_usage(s->st, &u);
	assert_int_equal(u.tarpit, 0);
}

/* Neither side knows the other's MAC: the SYN leaves when the question is answered, not when a
 * timer says so (RFC 1122 2.3.2.2). Question, answer, SYN, SYN-ACK, ACK: five trips of 1 ms. */
static void first_connect_waits_for_the_neighbour_only(void **state)
{
	struct link *k = *state;

	open_both(k, 6);
	assert_int_equal(k->side[CLIENT].counters[STACK_tcp_timeouts], 0);
}

/* The listener's side must ask too where the client's MAC is not learnt from its question. */
static void synack_waits_for_the_neighbour_only(void **state)
{
	struct link *k = *state;

	open_both(k, 6);
	tcp_abort(k->side[CLIENT].st, k->side[CLIENT].conn);
	k->side[CLIENT].events = k->side[SERVER].events = 0;
	run_ms(k, 10);
	tcp_close(k->side[SERVER].st, k->side[SERVER].conn);
	k->side[SERVER].conn = NULL;
	/* as after ten minutes of silence */
	struct neigh_table *t = &k->side[SERVER].st->ip->neigh;
	uint16_t slot = neigh_find(t, 0, &k->side[CLIENT].st->config.addrs[k->v4 ? 0 : 1].addr);
	assert_true(slot != NEIGH_NONE);
	t->entries[slot].state = NEIGH_FAILED;
	t->incomplete++;
	t->entries[slot].due_ns = k->now;
	t->next_due_ns = k->now;
	k->side[SERVER].events = 0;
	open_both(k, 7);
	assert_int_equal(k->side[SERVER].counters[STACK_synack_again], 0);
	assert_int_equal(k->side[SERVER].counters[STACK_neigh_held_sent], 1);
}

static void nobody_there_times_out(void **state)
{
	struct link *k = *state;

	k->loss = 1000;
	connect_now(k);
	run_until(k, CLIENT, TCP_EV_TIMEOUT, 70000);
	tcp_close(k->side[CLIENT].st, k->side[CLIENT].conn);
}

#define BOTH(fn)                                                                                   \
	{ #fn "_v4", fn, setup4, teardown, NULL },                                                 \
	{                                                                                          \
#fn "_v6", fn, setup6, teardown, NULL                                              \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_session),
		BOTH(a_session_over_a_lossy_link),
		BOTH(lost_handshake_ack),
		BOTH(refused_client_reads_the_text),
		BOTH(trapped_client_hears_nothing),
		BOTH(reset_client_is_told),
		BOTH(held_client_gets_byte_by_byte),
		BOTH(first_connect_waits_for_the_neighbour_only),
		BOTH(synack_waits_for_the_neighbour_only),
		BOTH(nobody_there_times_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
