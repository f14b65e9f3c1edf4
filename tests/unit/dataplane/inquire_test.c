/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session asks of the resolver and what it makes of the answers, in virtual time: the worker
 * between one model client and a model backend, the test in the resolver's place.
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

enum { ASKED_MAX = 64 };
#define MS 1000000ull
#define S  (1000 * MS)

/* Rows of the policy's lists. */
enum { ROW_REFUSES, ROW_LATE, ROW_V6, ROW_OFF, N_ROWS };
#define BIT(row) (1u << (row))

struct world {
	struct rig *rig;
	struct tcp_conn *conn;
	char in[8192];
	size_t len;
	const char *out;
	size_t out_len;
	bool ended;
	struct question asked[ASKED_MAX];
	unsigned n_asked;
	unsigned long all_asked;
	struct event told;
	unsigned n_told;
	/* of the policy */
	bool no_recursor, no_host, no_sender, no_spf, trusted, defers;
};

static void list(struct image_writer *w, struct policy_settings *s, const char *name,
    enum rule_state state, unsigned families, uint32_t timeout_ms)
{
	struct policy_dns_list *to = &s->dns.lists[s->dns.n_lists];
	struct policy_rule rule = { .action = VERDICT_REFUSE,
		.reason = REASON_DNS_LISTED,
		.kind = RULE_DNS,
		.state = (uint8_t)state,
		.index = s->dns.n_lists };
	int r;

	image_writer_string(w, name, &rule.name);
	image_writer_string(w, "dnsbl.example", &to->zone);
	r = image_writer_rule(w, &rule);
	assert_true(r >= 0);
	to->rule = (uint32_t)r;
	to->families = (uint8_t)families;
	to->timeout_ms = timeout_ms;
	s->dns.n_lists++;
}

static void set_policy(void *arg, struct policy_settings *s, struct image_writer *w)
{
	struct world *world = arg;
	struct policy_dns *dns = &s->dns;

	s->smtp.greet_delay_ms = 1000;
	dns->n_recursors = !world->no_recursor;
	dns->version = 77;
	dns->attempt_ms = 1500;
	dns->attempts = 3;
	dns->host = !world->no_host;
	dns->sender = !world->no_sender;
	dns->spf = !world->no_spf;
	dns->host_timeout_ms = 5000;
	dns->sender_timeout_ms = 4000;
	dns->spf_timeout_ms = 8000;
	list(w, s, "dns.refuses", RULE_ENFORCE, DNS_V4 | DNS_V6, 2000);
	list(w, s, "dns.late", RULE_ENFORCE, DNS_V4, 3000);
	list(w, s, "dns.v6", RULE_ENFORCE, DNS_V6, 2500);
	list(w, s, "dns.off", RULE_OFF, DNS_V4 | DNS_V6, 9000);
	if (world->defers)
		dns->lists[ROW_LATE].late = DNS_LATE_DEFER;
	if (world->trusted) {
		struct policy_list allow = { .verdict = VERDICT_PASS, .pool = -1 };
		struct ip_addr a = rig_client(0, false);
		int index;

		image_writer_string(w, "friends", &allow.name);
		index = image_writer_list(w, &allow);
		assert_true(index >= 0);
		assert_int_equal(image_writer_prefix(w, (unsigned)index, a.b, 32), 0);
	}
}

static void clients_turn(void *arg)
{
	struct world *w = arg;
	struct stack *st = w->rig->clients->stack;
	struct tcp_conn *c;
	unsigned events;

	while ((c = stack_next_ready(st, &events))) {
		const uint8_t *p;
		size_t n;

		while ((n = tcp_peek(c, &p)) > 0) {
			if (w->len + n < sizeof(w->in)) {
				memcpy(w->in + w->len, p, n);
				w->len += n;
				w->in[w->len] = '\0';
			}
			tcp_consume(st, c, n);
		}
		if (events & (TCP_EV_EOF | TCP_EV_RESET | TCP_EV_TIMEOUT)) {
			tcp_close(st, c);
			w->ended = c == w->conn;
			w->conn = w->ended ? NULL : w->conn;
		}
	}
	if (w->conn && w->out_len) {
		size_t n = tcp_write(st, w->conn, w->out, w->out_len);

		w->out += n;
		w->out_len -= n;
	}
}

static void on_question(void *arg, const struct question *q)
{
	struct world *w = arg;

	w->all_asked++;
	if (w->n_asked < ASKED_MAX)
		w->asked[w->n_asked++] = *q;
}

static void on_event(void *arg, const struct event *e)
{
	struct world *w = arg;

	if (e->kind != EVENT_SESSION)
		return;
	w->told = *e;
	w->n_told++;
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	(void)arg, (void)id, (void)digest, (void)len, (void)rcpts, (void)client;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void pass(struct world *w, uint64_t ns)
{
	rig_run(w->rig, ns, never, NULL);
}

static struct world *start(struct world *w)
{
	const struct rig_config config = { .seed = 1,
		.policy = set_policy,
		.arg = w,
		.on_event = on_event,
		.on_message = on_message,
		.on_question = on_question,
		.no_clients = true,
		.clients_turn = clients_turn };

	assert_int_equal(rig_new(&config, &w->rig), 0);
	pass(w, S); /* the health check learns the backend's words */
	return w;
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct world));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	rig_free(w->rig);
	free(w);
	return 0;
}

static uint64_t counter(const struct world *w, enum brain_counter c)
{
	return w->rig->stats->counters[STATS_AT_BRAIN + c];
}

static void dial(struct world *w, bool v6)
{
	struct tcp_connect req = {
		.src = rig_client(0, v6), .dst = rig_server(v6), .dst_port = 25, .user = w
	};

	assert_int_equal(tcp_connect(w->rig->clients->stack, &req, w->rig->now_ns, &w->conn), 0);
	w->rig->out.busy = true;
}

static void say(struct world *w, const char *text)
{
	w->len = 0;
	w->in[0] = '\0';
	w->out = text;
	w->out_len = strlen(text);
	w->rig->out.busy = true;
	pass(w, 100 * MS);
}

/* To the end of the greet delay and through EHLO, the CONNECT questions open. */
static void greeted(struct world *w, bool v6)
{
	dial(w, v6);
	pass(w, 1500 * MS);
	assert_int_equal(strncmp(w->in, "220 ", 4), 0);
	say(w, "EHLO client.example\r\n");
	assert_non_null(strstr(w->in, "250 "));
}

static const struct question *question(const struct world *w, enum question_kind kind)
{
	const struct question *found = NULL;

	for (unsigned i = 0; i < w->n_asked; i++)
		if (w->asked[i].kind == kind)
			found = &w->asked[i]; /* the latest */
	return found;
}

static unsigned asked(const struct world *w, enum question_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_asked; i++)
		n += w->asked[i].kind == kind;
	return n;
}

static struct answer answer_to(const struct world *w, enum question_kind kind)
{
	const struct question *q = question(w, kind);

	assert_non_null(q);
	return (struct answer){
		.id = q->id, .kind = q->kind, .known = q->lists, .version = q->version, .org = 0xff
	};
}

static void answer(struct world *w, const struct answer *a)
{
	assert_int_equal(rig_answer(w->rig, a), 0);
	pass(w, 10 * MS);
}

static void answer_host(struct world *w, enum answer_status status, const char *name)
{
	struct answer a = answer_to(w, QUESTION_PTR);

	a.status = (uint8_t)status;
	a.org = 4;
	snprintf(a.name, sizeof(a.name), "%s", name);
	answer(w, &a);
}

static void answer_lists(struct world *w, uint32_t listed)
{
	struct answer a = answer_to(w, QUESTION_DNSL);

	a.lists = listed;
	answer(w, &a);
}

static void answer_sender(struct world *w, enum answer_status status, bool is_mx)
{
	struct answer a = answer_to(w, QUESTION_SENDER);

	a.status = (uint8_t)status;
	a.result = is_mx;
	answer(w, &a);
}

static void answer_spf(struct world *w, unsigned result)
{
	struct answer a = answer_to(w, QUESTION_SPF);

	a.result = (uint8_t)result;
	answer(w, &a);
}

/* SPF's results in an answer count from none. */
#define SPF(fact) ((fact)-FACT_SPF_NONE)

static bool said(const struct world *w, const char *text)
{
	return strncmp(w->in, text, strlen(text)) == 0;
}

static void end(struct world *w)
{
	say(w, "QUIT\r\n");
	pass(w, S);
	assert_int_equal(w->n_told, 1);
	assert_int_equal(counter(w, BRAIN_questions), w->all_asked);
}

/* ---- what is asked ---- */

static void each_once_and_in_its_phase(void **state)
{
	struct world *w = start(*state);
	struct ip_addr client = rig_client(0, false);
	const struct question *q;
	uint64_t at_ns;

	at_ns = w->rig->now_ns;
	dial(w, false);
	pass(w, 500 * MS); /* within the greet delay */
	assert_int_equal(w->len, 0);
	assert_int_equal(w->n_asked, 2);
	q = question(w, QUESTION_DNSL);
	assert_int_equal(q->lists, BIT(ROW_REFUSES) | BIT(ROW_LATE)); /* IPv4, and not off */
	assert_int_equal(q->version, 77);
	assert_memory_equal(q->addr, client.b, 16);
	assert_in_range(q->deadline_ns - at_ns, 3000 * MS, 3100 * MS); /* that of the slowest row */
	q = question(w, QUESTION_PTR);
	assert_in_range(q->deadline_ns - at_ns, 5000 * MS, 5100 * MS);
	pass(w, S);
	say(w, "EHLO client.example\r\n");
	assert_int_equal(w->n_asked, 2);
	at_ns = w->rig->now_ns;
	say(w, "MAIL FROM:<Jane@Example.net>\r\n");
	assert_true(said(w, "250 ")); /* MAIL waits for nobody */
	assert_int_equal(w->n_asked, 4);
	q = question(w, QUESTION_SENDER);
	assert_string_equal(q->sender, "Example.net");
	assert_in_range(q->deadline_ns - at_ns, 4000 * MS, 4100 * MS);
	q = question(w, QUESTION_SPF);
	assert_string_equal(q->sender, "Jane@Example.net");
	assert_string_equal(q->helo, "client.example");
	assert_in_range(q->deadline_ns - at_ns, 8000 * MS, 8100 * MS);
	answer_lists(w, 0);
	answer_host(w, ANSWER_NONE, "");
	answer_sender(w, ANSWER_FOUND, false);
	answer_spf(w, SPF(FACT_SPF_PASS));
	say(w, "RCPT TO:<u@example.org>\r\n");
	assert_true(said(w, "250 "));
	say(w, "RCPT TO:<v@example.org>\r\n");
	assert_int_equal(w->n_asked, 4); /* not again for each recipient */
	say(w, "RSET\r\n");
	say(w, "MAIL FROM:<joe@example.com>\r\n");
	assert_int_equal(w->n_asked, 6); /* the sender's two, the client's not */
	assert_int_equal(asked(w, QUESTION_SENDER), 2);
	assert_int_equal(asked(w, QUESTION_SPF), 2);
	assert_string_equal(question(w, QUESTION_SENDER)->sender, "example.com");
	end(w);
}

static void ipv6_clients_have_their_rows(void **state)
{
	struct world *w = start(*state);
	uint64_t at_ns = w->rig->now_ns;

	dial(w, true);
	pass(w, 500 * MS);
	assert_int_equal(question(w, QUESTION_DNSL)->lists, BIT(ROW_REFUSES) | BIT(ROW_V6));
	assert_in_range(question(w, QUESTION_DNSL)->deadline_ns - at_ns, 2500 * MS, 2600 * MS);
}

static void nothing_without_a_recursor(void **state)
{
	struct world *w = *state;

	w->no_recursor = true;
	greeted(start(w), false);
	say(w, "MAIL FROM:<a@example.net>\r\n");
	say(w, "RCPT TO:<u@example.org>\r\n");
	assert_true(said(w, "250 "));
	assert_int_equal(w->n_asked, 0);
}

static void nothing_about_the_trusted(void **state)
{
	struct world *w = *state;

	w->trusted = true;
	greeted(start(w), false);
	say(w, "MAIL FROM:<a@example.net>\r\n");
	say(w, "RCPT TO:<u@example.org>\r\n");
	assert_true(said(w, "250 "));
	assert_int_equal(w->n_asked, 0);
}

static void nothing_that_is_switched_off(void **state)
{
	struct world *w = *state;

	w->no_host = w->no_sender = w->no_spf = true;
	greeted(start(w), false);
	say(w, "MAIL FROM:<a@example.net>\r\n");
	assert_int_equal(w->n_asked, 1);
	assert_int_equal(asked(w, QUESTION_DNSL), 1);
}

/* The null sender has no domain, and SPF takes the HELO name (RFC 7208 2.4); a literal has none. */
static void senders_without_a_domain(void **state)
{
	struct world *w = start(*state);

	greeted(w, false);
	say(w, "MAIL FROM:<>\r\n");
	assert_true(said(w, "250 "));
	assert_int_equal(asked(w, QUESTION_SENDER), 0);
	assert_int_equal(asked(w, QUESTION_SPF), 1);
	assert_string_equal(question(w, QUESTION_SPF)->sender, "");
	say(w, "RSET\r\n");
	say(w, "MAIL FROM:<a@[192.0.2.7]>\r\n");
	assert_int_equal(asked(w, QUESTION_SENDER), 0);
	assert_int_equal(asked(w, QUESTION_SPF), 2);
}

/* ---- answers ---- */

static void rcpt_waits_and_goes_on(void **state)
{
	struct world *w = start(*state);

	greeted(w, false);
	say(w, "MAIL FROM:<a@example.net>\r\n");
	say(w, "RCPT TO:<u@example.org>\r\n");
	answer_host(w, ANSWER_FOUND, "out.example.net");
	answer_sender(w, ANSWER_FOUND, true);
	answer_spf(w, SPF(FACT_SPF_SOFTFAIL));
	assert_int_equal(w->len, 0); /* the lists are still due */
	answer_lists(w, 0);
	pass(w, 100 * MS);
	assert_true(said(w, "250 "));
	end(w);
	assert_int_equal(w->told.host, HOST_CONFIRMED);
	assert_string_equal(w->told.host_name, "out.example.net");
	assert_int_equal(w->told.sender, SENDER_EXISTS);
	assert_true(w->told.facts & EVENT_SENDER_IS_MX);
	assert_int_equal(w->told.spf, FACT_SPF_SOFTFAIL);
	assert_int_equal(w->told.n_dns, 0);
	assert_int_equal(counter(w, BRAIN_questions_late), 0);
}

/* Rows come one by one; the listing of the first is kept until the last has come. */
static void rows_add_up(void **state)
{
	struct world *w = start(*state);
	struct answer a;

	greeted(w, false);
	a = answer_to(w, QUESTION_DNSL);
	a.more = 1;
	a.lists = a.known = BIT(ROW_REFUSES);
	answer(w, &a);
	say(w, "MAIL FROM:<a@example.net>\r\n");
	answer_host(w, ANSWER_UNCONFIRMED, "");
	answer_sender(w, ANSWER_NULL_MX, false);
	answer_spf(w, SPF(FACT_SPF_NONE));
	say(w, "RCPT TO:<u@example.org>\r\n");
	assert_int_equal(w->len, 0); /* the other row is open */
	a.more = 0;
	a.lists = 0;
	a.known = BIT(ROW_LATE);
	answer(w, &a);
	pass(w, 100 * MS);
	assert_true(said(w, "550 "));
	end(w);
	assert_int_equal(w->told.reason, REASON_DNS_LISTED);
	assert_int_equal(w->told.n_dns, 1);
	assert_int_equal(w->told.host, HOST_UNCONFIRMED);
	assert_int_equal(w->told.sender, SENDER_NULL_MX);
}

static void what_was_heard_before_the_banner_refuses_there(void **state)
{
	struct world *w = start(*state);

	dial(w, false);
	pass(w, 500 * MS);
	answer_lists(w, BIT(ROW_REFUSES));
	pass(w, S);
	assert_true(said(w, "5"));
}

static void at_the_deadlines_the_defaults_hold(void **state)
{
	struct world *w = *state;
	uint64_t before_ns;

	greeted(start(w), false);
	say(w, "MAIL FROM:<a@example.net>\r\n");
	before_ns = w->rig->now_ns;
	say(w, "RCPT TO:<u@example.org>\r\n");
	while (w->len == 0 && w->rig->now_ns - before_ns < 20 * S)
		pass(w, 10 * MS);
	assert_true(said(w, "250 "));
	assert_in_range(w->rig->now_ns - before_ns, 7800 * MS, 8000 * MS); /* SPF's, the longest */
	assert_int_equal(counter(w, BRAIN_questions_late), 4);
	answer_lists(w, BIT(ROW_REFUSES)); /* nobody's any more */
	assert_int_equal(counter(w, BRAIN_answers_late), 1);
	say(w, "RCPT TO:<v@example.org>\r\n");
	assert_true(said(w, "250 "));
	end(w);
	assert_int_equal(w->told.host, HOST_FAILED);
	assert_int_equal(w->told.sender, SENDER_FAILED);
	assert_int_equal(w->told.spf, FACT_SPF_TEMPERROR);
	assert_int_equal(w->told.n_dns, 0);
}

static void a_late_row_may_defer(void **state)
{
	struct world *w = *state;

	w->defers = w->no_host = w->no_sender = w->no_spf = true;
	greeted(start(w), false);
	say(w, "MAIL FROM:<a@example.net>\r\n");
	say(w, "RCPT TO:<u@example.org>\r\n");
	assert_int_equal(w->len, 0);
	pass(w, 2 * S);
	assert_true(said(w, "451 "));
	end(w);
	assert_int_equal(w->told.reason, REASON_DNS_LATE);
}

static void what_failed_says_nothing(void **state)
{
	static const struct {
		enum question_kind kind;
		enum answer_status status;
	} rows[] = { { QUESTION_DNSL, ANSWER_FAILED }, { QUESTION_PTR, ANSWER_FAILED },
		{ QUESTION_SENDER, ANSWER_FAILED },
		{ QUESTION_SPF, (enum answer_status)(ANSWER_NULL_MX + 1) } };
	struct world *w = start(*state);

	greeted(w, false);
	say(w, "MAIL FROM:<a@example.net>\r\n");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct answer a = answer_to(w, rows[i].kind);

		a.status = (uint8_t)rows[i].status;
		a.lists = UINT32_MAX;
		answer(w, &a);
	}
	say(w, "RCPT TO:<u@example.org>\r\n");
	assert_true(said(w, "250 "));
	end(w);
	assert_int_equal(w->told.host, HOST_FAILED);
	assert_int_equal(w->told.sender, SENDER_FAILED);
	assert_int_equal(w->told.spf, FACT_SPF_TEMPERROR);
}

/* Rows of another policy: the bits mean other lists. A result that SPF does not have is an error. */
static void what_does_not_fit_is_not_believed(void **state)
{
	struct world *w = start(*state);
	struct answer a;

	greeted(w, false);
	say(w, "MAIL FROM:<a@example.net>\r\n");
	a = answer_to(w, QUESTION_DNSL);
	a.version++;
	a.lists = BIT(ROW_REFUSES);
	answer(w, &a);
	answer(w, &a); /* twice */
	assert_int_equal(counter(w, BRAIN_answers_late), 1);
	answer_host(w, ANSWER_NONE, "");
	answer_sender(w, ANSWER_NONE, true);
	answer_spf(w, 99);
	say(w, "RCPT TO:<u@example.org>\r\n");
	assert_true(said(w, "250 "));
	end(w);
	assert_int_equal(w->told.host, HOST_NONE);
	assert_int_equal(w->told.sender, SENDER_NONE);
	assert_false(w->told.facts & EVENT_SENDER_IS_MX);
	assert_int_equal(w->told.spf, FACT_SPF_TEMPERROR);
}

/* The transaction is over: what comes for its sender does not become the next one's. */
static void a_reset_forgets_the_senders_questions(void **state)
{
	struct world *w = start(*state);
	struct answer old;

	greeted(w, false);
	answer_lists(w, 0);
	answer_host(w, ANSWER_NONE, "");
	say(w, "MAIL FROM:<a@example.net>\r\n");
	old = answer_to(w, QUESTION_SPF);
	old.result = SPF(FACT_SPF_FAIL);
	say(w, "RSET\r\n");
	say(w, "MAIL FROM:<b@example.com>\r\n");
	answer(w, &old);
	assert_int_equal(counter(w, BRAIN_answers_late), 1);
	answer_sender(w, ANSWER_FOUND, false);
	answer_spf(w, SPF(FACT_SPF_PASS));
	say(w, "RCPT TO:<u@example.org>\r\n");
	assert_true(said(w, "250 "));
	end(w);
	assert_int_equal(w->told.spf, FACT_SPF_PASS);
}

/* No room in the turn: the question has failed at once, is counted, and nobody waits for it. */
static void beyond_the_bound_it_has_failed(void **state)
{
	struct world *w = start(*state);

	w->rig->out.cap_questions = 1;
	greeted(w, false);
	assert_int_equal(w->n_asked, 1);
	assert_int_equal(w->asked[0].kind, QUESTION_DNSL);
	assert_int_equal(counter(w, BRAIN_questions_full), 1);
	w->rig->out.cap_questions = 0;
	say(w, "MAIL FROM:<a@example.net>\r\n");
	assert_int_equal(counter(w, BRAIN_questions_full), 3);
	answer_lists(w, 0);
	say(w, "RCPT TO:<u@example.org>\r\n");
	assert_true(said(w, "250 "));
	end(w);
	assert_int_equal(w->told.host, HOST_FAILED);
	assert_int_equal(w->told.sender, SENDER_FAILED);
	assert_int_equal(w->told.spf, FACT_SPF_TEMPERROR);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_once_and_in_its_phase, setup, teardown),
		cmocka_unit_test_setup_teardown(ipv6_clients_have_their_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_without_a_recursor, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_about_the_trusted, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_that_is_switched_off, setup, teardown),
		cmocka_unit_test_setup_teardown(senders_without_a_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(rcpt_waits_and_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_was_heard_before_the_banner_refuses_there, setup, teardown),
		cmocka_unit_test_setup_teardown(at_the_deadlines_the_defaults_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(a_late_row_may_defer, setup, teardown),
		cmocka_unit_test_setup_teardown(what_failed_says_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_reset_forgets_the_senders_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(beyond_the_bound_it_has_failed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
