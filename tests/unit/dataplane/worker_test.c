/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker from outside: frames in, frames out, between model clients and a model backend over
 * lossless links in virtual time. What single conversations show is in tests/smtp; here stand the
 * bounds, events and counters, and what takes many sessions at once.
 */
#include "model_rig.h"
#include "stats_index.h"

#include "filters/image_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { CLIENTS = 24, INPUT = 32768, SECOND = 1000000000 };

struct talker {
	struct tcp_conn *conn;
	bool opened, ended;
	char in[INPUT];
	size_t len;
	const char *out; /* still to be written */
	size_t out_len;
};

struct fixture {
	struct rig *rig;
	struct rig_config config;
	struct talker t[CLIENTS];
	struct event last_session;
	unsigned sessions, kept, events_of[8];
	/* of the policy */
	uint32_t inspection_window, window_quota;
	int tarpit_client; /* -1: none */
};

static void clients_turn(void *arg)
{
	struct fixture *f = arg;
	struct stack *st = f->rig->clients->stack;
	struct tcp_conn *c;
	unsigned events;

	while ((c = stack_next_ready(st, &events))) {
		struct talker *t = tcp_user(c);
		const uint8_t *p;
		size_t n;

		t->opened |= (events & TCP_EV_OPEN) != 0;
		while ((n = tcp_peek(c, &p)) > 0) {
			assert_true(n < sizeof(t->in));
			if (t->len + n >= sizeof(t->in))
				t->len = 0; /* random talk: nobody reads it */
			memcpy(t->in + t->len, p, n);
			t->len += n;
			t->in[t->len] = 0;
			tcp_consume(st, c, n);
		}
		if (events & (TCP_EV_EOF | TCP_EV_RESET | TCP_EV_TIMEOUT)) {
			tcp_close(st, c);
			t->conn = NULL;
			t->ended = true;
		}
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct talker *t = &f->t[i];

		if (t->conn && t->out_len) {
			size_t n = tcp_write(st, t->conn, t->out, t->out_len);

			t->out += n;
			t->out_len -= n;
		}
	}
}

static void on_event(void *arg, const struct event *e)
{
	struct fixture *f = arg;

	f->events_of[e->kind]++;
	if (e->kind == EVENT_SESSION) {
		f->last_session = *e;
		f->sessions++;
	}
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	struct fixture *f = arg;

	(void)id, (void)digest, (void)len, (void)rcpts, (void)client;
	f->kept++;
}

static void set_policy(void *arg, struct policy_settings *s, struct image_writer *w)
{
	struct fixture *f = arg;

	if (f->inspection_window)
		s->smtp.inspection_window = f->inspection_window;
	s->smtp.window_quota = f->window_quota;
	if (f->tarpit_client >= 0) {
		struct policy_list list = { .verdict = VERDICT_TARPIT,
			.reason = REASON_LISTED,
			.tarpit_pace_ms = 1000,
			.pool = -1 };
		struct ip_addr a = rig_client((unsigned)f->tarpit_client, false);
		int index;

		image_writer_string(w, "slow", &list.name);
		index = image_writer_list(w, &list);
		assert_true(index >= 0);
		assert_int_equal(image_writer_prefix(w, (unsigned)index, a.b, 32), 0);
	}
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void pass(struct fixture *f, uint64_t ns)
{
	rig_run(f->rig, ns, never, NULL);
}

static struct fixture *start(struct fixture *f)
{
	f->config = (struct rig_config){ .seed = 1,
		.faults = f->config.faults,
		.policy = set_policy,
		.arg = f,
		.on_event = on_event,
		.on_message = on_message,
		.no_clients = true,
		.clients_turn = clients_turn,
		.worker_conns = f->config.worker_conns };
	assert_int_equal(rig_new(&f->config, &f->rig), 0);
	pass(f, SECOND); /* the health check learns the backend's words */
	return f;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->tarpit_client = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_free(f->rig);
	free(f);
	return 0;
}

static uint64_t counter(const struct fixture *f, enum brain_counter c)
{
	return f->rig->stats->counters[STATS_AT_BRAIN + c];
}

/* Client i connects from the model host's address i. */
static struct talker *dial(struct fixture *f, unsigned i)
{
	struct tcp_connect req = { .src = rig_client(i % RIG_CLIENTS, false),
		.dst = rig_server(false),
		.dst_port = 25,
		.user = &f->t[i] };

	assert_int_equal(
	    tcp_connect(f->rig->clients->stack, &req, f->rig->now_ns, &f->t[i].conn), 0);
	f->rig->out.busy = true; /* the world is to take a step now */
	return &f->t[i];
}

static void say_bytes(struct fixture *f, struct talker *t, const char *text, size_t len)
{
	assert_int_equal(t->out_len, 0);
	t->out = text;
	t->out_len = len;
	f->rig->out.busy = true;
}

/* Says it and gives the world a second. */
static void say(struct fixture *f, struct talker *t, const char *text)
{
	say_bytes(f, t, text, strlen(text));
	pass(f, SECOND);
}

/* Gauges are written at most ten times a second, in a turn: a health check later they are fresh. */
static void gauges(struct fixture *f)
{
	pass(f, 6ull * SECOND);
}

static unsigned count_lines(const struct talker *t, const char *begin)
{
	unsigned n = 0;
	const char *p = t->in;

	while (*p) {
		n += strncmp(p, begin, strlen(begin)) == 0;
		p = strchr(p, '\n');
		if (!p)
			break;
		p++;
	}
	return n;
}

static void transaction(struct fixture *f, struct talker *t)
{
	pass(f, SECOND);
	say(f, t, "EHLO client.example\r\n");
	say(f, t, "MAIL FROM:<a@example.net>\r\nRCPT TO:<u@example.org>\r\nDATA\r\n");
	assert_int_equal(count_lines(t, "354"), 1);
}

static void a_session_is_told_in_one_event(void **state)
{
	struct fixture *f = start(*state);
	struct talker *t = dial(f, 0);

	transaction(f, t);
	say(f, t, "Subject: x\r\n\r\nhello\r\n.\r\n");
	say(f, t, "QUIT\r\n");
	assert_int_equal(count_lines(t, "221"), 1);
	assert_true(t->ended);
	assert_int_equal(f->kept, 1);
	assert_int_equal(f->sessions, 1);
	assert_int_equal(f->last_session.messages, 1);
	assert_int_equal(f->last_session.rcpts, 1);
	assert_int_equal(f->last_session.last_code, 221);
	assert_int_equal(f->last_session.server, 0);
	assert_int_equal(f->last_session.commands, 5);
	assert_string_equal(f->last_session.helo, "client.example");
	assert_string_equal(f->last_session.mail, "a@example.net");
	assert_string_equal(f->last_session.rcpt, "u@example.org");
	assert_int_equal(f->last_session.bytes_out, t->len);
	assert_int_equal(counter(f, BRAIN_messages_accepted), 1);
	assert_int_equal(counter(f, BRAIN_sessions_opened), counter(f, BRAIN_sessions_closed));
	assert_int_equal(f->events_of[EVENT_BACKEND_UP], 1);
	assert_int_equal(f->rig->stats->servers[0].state, SERVER_UP);
	assert_int_equal(f->rig->stats->servers[0].messages, 1);
	pass(f, 20ull * SECOND);
	assert_int_equal(counter(f, BRAIN_sessions), 0);
	assert_int_equal(counter(f, BRAIN_window_bytes), 0);
	assert_int_equal(f->rig->stats->servers[0].active, 0);
}

static void open_sessions_are_listed(void **state)
{
	struct fixture *f = start(*state);
	struct session_row rows[4];
	struct session_walk walk = { .rows = rows, .cap = 4 };
	struct ip_addr third = rig_client(2, false);

	for (unsigned i = 0; i < 6; i++)
		dial(f, i);
	pass(f, SECOND);
	say(f, &f->t[2], "EHLO c.example.net\r\nMAIL FROM:<a@example.net>\r\n");
	while (!worker_sessions(f->rig->worker, &walk, 1))
		pass(f, 1000000); /* the world goes on between the parts of a walk */
	assert_int_equal(walk.met, 6);
	assert_int_equal(walk.n, 4); /* at the bound: counted, not shown */

	walk = (struct session_walk){ .rows = rows, .cap = 4, .prefix_len = 128 };
	memcpy(walk.addr, third.b, 16);
	assert_true(worker_sessions(f->rig->worker, &walk, 1000));
	assert_int_equal(walk.met, 1);
	assert_int_equal(walk.n, 1);
	assert_memory_equal(rows[0].client, third.b, 16);
	assert_string_equal(worker_session_word(rows[0].state), "command");
	assert_string_equal(rows[0].helo, "c.example.net");
	assert_string_equal(rows[0].mail, "a@example.net");
	assert_int_equal(rows[0].commands, 2);
	assert_int_equal(rows[0].last_code, 250);

	say(f, &f->t[2], "QUIT\r\n");
	pass(f, 20ull * SECOND);
	walk.n = walk.met = walk.at = 0;
	assert_true(worker_sessions(f->rig->worker, &walk, 1000));
	assert_int_equal(walk.met, 0); /* its place in the pool is not it */
}

static void a_full_session_table_answers_421(void **state)
{
	struct fixture *f = *state;

	f->config.worker_conns = 32; /* hence 16 sessions */
	start(f);
	for (unsigned i = 0; i < 17; i++) /* at once: before the ladder is looked at */
		dial(f, i);
	pass(f, 2ull * SECOND);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(count_lines(&f->t[i], "220 "), 1);
		assert_false(f->t[i].ended);
	}
	assert_int_equal(count_lines(&f->t[16], "421 4.3.2 "), 1);
	assert_true(f->t[16].ended);
	assert_int_equal(counter(f, BRAIN_session_table_full), 1);
	assert_int_equal(counter(f, BRAIN_overload_rung), 3);
	for (unsigned i = 0; i < 8; i++)
		say(f, &f->t[i], "QUIT\r\n");
	pass(f, 1ull * SECOND);
	assert_int_equal(counter(f, BRAIN_overload_rung), 0);
	dial(f, 17);
	pass(f, 3ull * SECOND);
	assert_int_equal(count_lines(&f->t[17], "220 "), 1);
}

/* As tables fill, strangers are turned away; who sent accepted mail before keeps coming in. */
static void the_ladder_keeps_room_for_good_history(void **state)
{
	struct fixture *f = *state;
	struct talker *known;

	f->config.worker_conns = 32;
	start(f);
	known = dial(f, 0);
	transaction(f, known);
	say(f, known, "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n");
	pass(f, 20ull * SECOND);
	for (unsigned i = 1; i < 15; i++) {
		dial(f, i);
		pass(f, 1ull * SECOND);
		assert_int_equal(count_lines(&f->t[i], "220 "), 1);
	}
	assert_int_equal(counter(f, BRAIN_overload_rung), 2); /* 14 of 16 */
	dial(f, 15);
	pass(f, 1ull * SECOND);
	assert_int_equal(count_lines(&f->t[15], "421 4.3.2 "), 1);
	assert_int_equal(counter(f, BRAIN_session_table_full), 0);
	known = dial(f, 0);
	pass(f, 1ull * SECOND);
	assert_int_equal(count_lines(known, "220 "), 2); /* the first session's, too */
}

/* 24 windows of up to 1 MiB in 3.5 MiB of extents: some are judged early, none is refused. */
static void short_window_memory_judges_early_and_loses_nothing(void **state)
{
	enum { BODY = 400000 };
	struct fixture *f = *state;
	static char body[BODY];

	f->inspection_window = 1 << 20;
	start(f);
	for (size_t i = 0; i < BODY; i += 50) {
		memset(body + i, 'x', 48);
		memcpy(body + i + 48, "\r\n", 2);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		transaction(f, dial(f, i));
	for (unsigned i = 0; i < CLIENTS; i++) {
		f->t[i].len = 0;
		f->t[i].in[0] = 0;
		say_bytes(f, &f->t[i], body, BODY);
	}
	pass(f, 10ull * SECOND);
	assert_true(counter(f, BRAIN_windows_early) > 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		say(f, &f->t[i], ".\r\n");
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(count_lines(&f->t[i], "250 "), 1);
	assert_int_equal(f->kept, CLIENTS);
	gauges(f);
	assert_int_equal(counter(f, BRAIN_window_bytes), 0);
}

static void a_sources_quota_ends_its_window(void **state)
{
	enum { BODY = 60000 };
	static char body[BODY];
	struct fixture *f = *state;
	struct talker *t;

	f->window_quota = 8192;
	start(f);
	for (size_t i = 0; i < BODY; i += 50) {
		memset(body + i, 'x', 48);
		memcpy(body + i + 48, "\r\n", 2);
	}
	t = dial(f, 0);
	transaction(f, t);
	say_bytes(f, t, body, BODY);
	pass(f, SECOND);
	assert_int_equal(counter(f, BRAIN_windows_early), 1);
	gauges(f);
	assert_int_equal(counter(f, BRAIN_window_bytes), 0); /* it streams */
	t->len = 0;
	say(f, t, ".\r\n");
	assert_int_equal(count_lines(t, "250 "), 1);
}

/* One write of 300 pipelined RCPTs, more than one chunk of the receive queue holds. */
static void a_long_group_is_answered_in_order(void **state)
{
	struct fixture *f = start(*state);
	struct talker *t = dial(f, 0);
	char group[16384];
	size_t n = 0;

	pass(f, SECOND);
	say(f, t, "EHLO client.example\r\n");
	t->len = 0;
	n += (size_t)snprintf(group, sizeof(group), "MAIL FROM:<a@example.net>\r\n");
	for (unsigned i = 0; i < 300; i++)
		n += (size_t)snprintf(group + n, sizeof(group) - n, "RCPT TO:<user%u@%s>\r\n", i,
		    i % 30 == 2 ? "elsewhere.example" : "example.org");
	snprintf(group + n, sizeof(group) - n, "DATA\r\n");
	say(f, t, group);
	assert_int_equal(count_lines(t, "250"), 1 + 290);
	assert_int_equal(count_lines(t, "550 5.7.1"), 10);
	assert_int_equal(count_lines(t, "354"), 1);
	n = 0;
	for (const char *p = strchr(t->in, '\n') + 1; n < 300; p = strchr(p, '\n') + 1, n++)
		assert_memory_equal(p, n % 30 == 2 ? "550" : "250", 3);
}

static void a_tarpitted_client_is_held_without_a_session(void **state)
{
	struct fixture *f = *state;
	struct talker *t;

	f->tarpit_client = 3;
	start(f);
	t = dial(f, 3);
	for (unsigned i = 0; i < 40 && f->sessions == 0; i++)
		pass(f, SECOND / 10);
	assert_int_equal(count_lines(t, "220-"), 1);
	assert_int_equal(counter(f, BRAIN_tarpitted), 1);
	assert_int_equal(f->sessions, 1);
	assert_int_equal(f->last_session.verdict, VERDICT_TARPIT);
	assert_int_equal(f->last_session.reason, REASON_LISTED);
	size_t before = t->len;
	pass(f, 10ull * SECOND);
	assert_in_range(t->len - before, 8, 12); /* a byte a second */
	assert_int_equal(counter(f, BRAIN_sessions), 0);
	assert_int_equal(counter(f, BRAIN_tarpit_held), 1);
	assert_false(t->ended);
}

static void a_drained_worker_comes_to_rest(void **state)
{
	struct fixture *f = start(*state);
	struct talker *idle = dial(f, 0), *busy = dial(f, 1), *late;

	transaction(f, busy);
	worker_drain(f->rig->worker);
	pass(f, SECOND);
	assert_int_equal(count_lines(idle, "421 4.3.2"), 1);
	assert_true(idle->ended);
	assert_false(busy->ended);
	assert_false(worker_is_idle(f->rig->worker));
	late = dial(f, 2);
	pass(f, 3ull * SECOND);
	assert_true(late->ended);
	assert_false(late->opened);
	say(f, busy, "hello\r\n.\r\n");
	assert_int_equal(f->kept, 1);
	assert_int_equal(count_lines(busy, "421 4.3.2"), 1);
	pass(f, 15ull * SECOND);
	assert_true(worker_is_idle(f->rig->worker));
}

static void an_operators_drain_of_a_server_leaves_nobody_to_serve(void **state)
{
	struct fixture *f = start(*state);
	struct talker *t = dial(f, 0);

	worker_backend_drain(f->rig->worker, 0, true);
	pass(f, SECOND);
	say(f, t, "EHLO client.example\r\n");
	say(f, t, "MAIL FROM:<a@example.net>\r\nRCPT TO:<u@example.org>\r\n");
	assert_int_equal(count_lines(t, "451 4.3.2"), 1);
	assert_int_equal(f->rig->stats->servers[0].state, SERVER_DRAINED);
	worker_backend_drain(f->rig->worker, 0, false);
	say(f, t, "RSET\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<u@example.org>\r\n");
	assert_int_equal(count_lines(t, "250 2.1.5"), 1);
}

static void silence_before_the_greeting_is_no_offence_and_talk_is_noticed(void **state)
{
	struct fixture *f = start(*state);
	struct talker *t = dial(f, 0);

	say_bytes(f, t, "EHLO early.example\r\n", 20); /* leaves with the handshake's end */
	pass(f, SECOND);
	assert_int_equal(count_lines(t, "220 "), 1);
	assert_int_equal(count_lines(t, "250 "), 1);
}

/* ---- random talk ---- */

static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static const char *const words[] = {
	"EHLO client.example\r\n",
	"HELO client.example\r\n",
	"MAIL FROM:<a@example.net>\r\n",
	"MAIL FROM:<> SIZE=1000 BODY=8BITMIME\r\n",
	"RCPT TO:<u@example.org>\r\n",
	"RCPT TO:<v@example.org>\r\n",
	"RCPT TO:<x@elsewhere.example>\r\n",
	"DATA\r\n",
	"Subject: x\r\n\r\nhello\r\n..\r\n",
	".\r\n",
	"\r\n.\r\n",
	"BDAT 10\r\n0123456789",
	"BDAT 5 LAST\r\nabcd\n",
	"BDAT 0 LAST\r\n",
	"BDAT 70000\r\n",
	"RSET\r\n",
	"NOOP\r\n",
	"VRFY u\r\n",
	"QUIT\r\n",
	"STARTTLS\r\n",
	"a bare\nline\r",
	"GET / HTTP/1.1\r\n",
	"x",
};

/* 3 of 4 scripts begin as mail does, so that the later states are reached. */
static size_t random_script(uint64_t *random, char *buf, size_t cap)
{
	size_t n = 0;

	if (draw(random) % 4)
		n = (size_t)snprintf(buf, cap, "%s%s%s%s", words[0], words[2 + draw(random) % 2],
		    words[4], draw(random) % 2 ? words[7] : "");
	for (unsigned k = (unsigned)(draw(random) % 24); k > 0; k--) {
		const char *w = words[draw(random) % (sizeof(words) / sizeof(words[0]))];
		unsigned times = draw(random) % 16 ? 1 : 1 + (unsigned)(draw(random) % 600);

		while (times-- && n + strlen(w) < cap) {
			memcpy(buf + n, w, strlen(w));
			n += strlen(w);
		}
	}
	return n;
}

static void random_world(uint64_t seed)
{
	static char scripts[CLIENTS][20000];
	struct fixture *f = calloc(1, sizeof(*f));
	uint64_t random = seed * 0x9e3779b97f4a7c15ull + 1;

	assert_non_null(f);
	f->tarpit_client = -1;
	f->inspection_window = draw(&random) % 2 ? 3000 : 65536;
	f->window_quota = draw(&random) % 2 ? 5000 : 0;
	f->config.faults = (struct model_faults){ .rcpt_refused = 100,
		.data_deferred = 100,
		.dot_deferred = 100,
		.lost_before_dot = 100,
		.lost_after_dot = 100,
		.stored_then_lost = 100 };
	start(f);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < CLIENTS; i++) {
			struct talker *t = &f->t[i];
			size_t n = random_script(&random, scripts[i], sizeof(scripts[i]));

			if (!t->conn) {
				*t = (struct talker){ 0 };
				dial(f, i);
			}
			t->len = t->out_len = 0;
			say_bytes(f, t, scripts[i], n);
			if (draw(&random) % 2)
				pass(f, draw(&random) % (SECOND / 4));
		}
		pass(f, 3ull * SECOND);
		for (unsigned i = 0; i < CLIENTS; i++) {
			struct talker *t = &f->t[i];

			if (!t->conn || draw(&random) % 2)
				continue;
			if (draw(&random) % 2)
				tcp_abort(f->rig->clients->stack, t->conn);
			else
				tcp_close(f->rig->clients->stack, t->conn);
			t->conn = NULL;
			f->rig->out.busy = true;
		}
	}
	worker_drain(f->rig->worker);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (f->t[i].conn)
			tcp_close(f->rig->clients->stack, f->t[i].conn);
		f->t[i].conn = NULL;
	}
	f->rig->out.busy = true;
	pass(f, 700ull * SECOND);
	assert_true(worker_is_idle(f->rig->worker));
	assert_int_equal(f->sessions, counter(f, BRAIN_sessions_opened));
	assert_int_equal(counter(f, BRAIN_sessions_closed), counter(f, BRAIN_sessions_opened));
	assert_int_equal(counter(f, BRAIN_sessions), 0);
	assert_int_equal(counter(f, BRAIN_relays), 0);
	assert_int_equal(counter(f, BRAIN_window_bytes), 0);
	assert_true(f->kept >= counter(f, BRAIN_messages_accepted));
	rig_free(f->rig);
	free(f);
}

/* Whatever is said, in whatever pieces, and wherever it stops: no crash, nothing left behind, never
 * more accepted than a backend kept. */
static void random_talk_leaves_nothing_behind(void **state)
{
	const char *seeds = getenv("WORKER_SEEDS");
	unsigned n = seeds ? (unsigned)strtoul(seeds, NULL, 10) : 20;

	(void)state;
	for (unsigned seed = 1; seed <= n; seed++)
		random_world(seed);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_session_is_told_in_one_event),
		CASE(open_sessions_are_listed),
		CASE(a_full_session_table_answers_421),
		CASE(the_ladder_keeps_room_for_good_history),
		CASE(short_window_memory_judges_early_and_loses_nothing),
		CASE(a_sources_quota_ends_its_window),
		CASE(a_long_group_is_answered_in_order),
		CASE(a_tarpitted_client_is_held_without_a_session),
		CASE(a_drained_worker_comes_to_rest),
		CASE(an_operators_drain_of_a_server_leaves_nobody_to_serve),
		CASE(silence_before_the_greeting_is_no_offence_and_talk_is_noticed),
		cmocka_unit_test(random_talk_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
