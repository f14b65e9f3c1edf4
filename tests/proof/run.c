/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run; see proof.h. Everything due is in one heap by time: tries of messages, answers of name
 * service, clients that have thought or lost patience; between two of them the rig steps.
 */
#include "proof.h"

#include "dataplane/events.h"
#include "dataplane/model_rig.h"
#include "filters/policy.h"
#include "filters/rules.h"
#include "filters/token.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 512, SERVED = 512, DUE_MAX = 16384, LINE = 1024, TOKENS = 65536, GIVE_UP = 14 };

enum due_kind { DUE_TRY, DUE_ANSWER, DUE_THOUGHT, DUE_PATIENCE };

struct due {
	uint64_t at_ns;
	uint32_t kind, index, generation;
	uint64_t order;
};

struct client {
	struct tcp_conn *conn; /* NULL: free */
	uint32_t generation, message;
	enum stage stage;
	bool open, group; /* commands went out in one write */
	bool thinking;
	uint16_t rcpts, taken; /* answered, accepted */
	uint64_t began_ns;
	unsigned code; /* of the last reply */
	bool rcpt_deferred;
	bool again; /* greeted again, with HELO: what clients do whose EHLO was not understood */
	bool stateless; /* its refusal's token needs no record */
	uint32_t address;
	unsigned n_line, number; /* of the sender's address */
	char line[LINE];
};

/* The mail server's end of a session. */
struct served {
	struct tcp_conn *conn;
	bool body;
	unsigned n_line;
	char line[LINE];
};

struct told {
	uint64_t at_ns;
	struct token_fields fields;
};
struct seen { /* a session's event */
	uint64_t from_ns, to_ns;
	uint16_t session;
};

struct run {
	struct rig *rig;
	struct policy *policy;
	struct corpus *corpus;
	struct score *score;
	uint64_t random, start_ns, order;
	struct due heap[DUE_MAX];
	unsigned n_due, n_open;
	struct client clients[CLIENTS];
	struct served served[SERVED];
	struct answer answers[CLIENTS * 4];
	unsigned next_answer;
	struct told told[TOKENS];
	struct seen seen[TOKENS];
	unsigned n_told, n_seen;
	struct stats_file *stats;
};

/* ---- what is due ---- */

static bool before(const struct due *a, const struct due *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void add_due(
    struct run *r, uint64_t at_ns, enum due_kind kind, uint32_t index, uint32_t generation)
{
	unsigned i = r->n_due++;
	struct due d = { at_ns, kind, index, generation, r->order++ };

	assert(r->n_due <= DUE_MAX);
	for (; i > 0 && before(&d, &r->heap[(i - 1) / 2]); i = (i - 1) / 2)
		r->heap[i] = r->heap[(i - 1) / 2];
	r->heap[i] = d;
}

static struct due take_due(struct run *r)
{
	struct due first = r->heap[0], last = r->heap[--r->n_due];
	unsigned i = 0, next;

	while ((next = 2 * i + 1) < r->n_due) {
		if (next + 1 < r->n_due && before(&r->heap[next + 1], &r->heap[next]))
			next++;
		if (!before(&r->heap[next], &last))
			break;
		r->heap[i] = r->heap[next];
		i = next;
	}
	r->heap[i] = last;
	return first;
}

/* ---- name service ---- */

static const struct sender *asked_of(struct run *r, const struct question *q, unsigned *ret_number)
{
	const uint8_t *b = q->addr + 12;

	return corpus_of(r->corpus,
	    (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3], ret_number);
}

/* snprintf with a format of the corpus: its one %u becomes the address's number. */
static void numbered(char *to, size_t size, const char *name, unsigned number)
{
	const char *at = strstr(name, "%u");

	if (at)
		snprintf(to, size, "%.*s%u%s", (int)(at - name), name, number, at + 2);
	else
		snprintf(to, size, "%s", name);
}

static void on_question(void *arg, const struct question *q)
{
	static const uint8_t hosts[] = {
		[HOST_NONE] = ANSWER_NONE, [HOST_UNCONFIRMED] = ANSWER_UNCONFIRMED, [HOST_CONFIRMED] = ANSWER_FOUND
	};
	static const uint8_t domains[] = {
		[SENDER_EXISTS] = ANSWER_FOUND, [SENDER_NONE] = ANSWER_NONE, [SENDER_NULL_MX] = ANSWER_NULL_MX
	};
	struct run *r = arg;
	unsigned number = 0, i = r->next_answer++ % (CLIENTS * 4);
	const struct sender *s = asked_of(r, q, &number);
	struct answer *a = &r->answers[i];
	const struct policy_dns *dns = &policy_settings(r->policy)->dns;

	assert(s);
	*a = (struct answer){ .id = q->id, .kind = q->kind, .org = 0xff };
	switch (q->kind) {
	case QUESTION_PTR:
		a->status = hosts[s->host];
		if (a->status == ANSWER_FOUND) {
			numbered(a->name, sizeof(a->name), s->name, number);
			/* a longer number moves the organisation */
			a->org =
			    (uint8_t)(strstr(s->name, "%u") ? strcspn(a->name, ".") + 1 : s->org);
		}
		break;
	case QUESTION_DNSL:
		a->version = q->version;
		a->known = q->lists;
		for (unsigned row = 0; row < dns->n_lists; row++)
			if ((q->lists & 1u << row) && (s->listed & 1u << dns->lists[row].kind))
				a->lists |= 1u << row;
		break;
	case QUESTION_SENDER:
		a->status = domains[s->domain];
		a->result = s->is_mx;
		break;
	default:
		a->result = (uint8_t)(s->spf - FACT_SPF_NONE);
		snprintf(a->name, sizeof(a->name), "%s", s->mail_domain);
		break;
	}
	add_due(
	    r, r->rig->now_ns + 1000000 * (5 + model_random(&r->random) % 400), DUE_ANSWER, i, 0);
}

/* ---- events ---- */

static void on_event(void *arg, const struct event *e)
{
	struct run *r = arg;
	char line[EVENTS_LINE_MAX];

	if (e->kind != EVENT_SESSION)
		return;
	size_t n = events_format(e, r->stats, (const uint8_t[16]){ 0 }, line);
	if (r->score->tell)
		fwrite(line, 1, n, stdout);
	assert(n > 2 && line[n - 1] == '\n' && r->n_seen < TOKENS);
	r->seen[r->n_seen++] = (struct seen){ e->time_ns - e->duration_ns, e->time_ns, e->session };
}

/* As `posternctl explain` does: by itself, or by the line of its session. */
static void resolve_tokens(struct run *r)
{
	struct score *score = r->score;

	for (unsigned i = 0; i < r->n_told; i++) {
		const struct told *t = &r->told[i];
		bool found = t->fields.session == 0;

		score->tokens++;
		score->tokens_self += found;
		for (unsigned k = 0; k < r->n_seen && !found; k++) {
			const struct seen *s = &r->seen[k];
			uint64_t minute_ns = t->fields.minute * 60000000000ull;

			found = s->session == t->fields.session &&
				minute_ns + 60000000000ull > s->from_ns && minute_ns <= s->to_ns;
		}
		if (!found)
			score->unresolved++;
	}
}

static void note_token(struct run *r, struct client *c, const char *line)
{
	const char *from = strrchr(line, '['), *to = from ? strchr(from, ']') : NULL;
	char token[TOKEN_LEN + 1];
	struct told *t = &r->told[r->n_told];

	if (!to || to - from != TOKEN_LEN + 1)
		return;
	assert(r->n_told < TOKENS);
	memcpy(token, from + 1, TOKEN_LEN);
	token[TOKEN_LEN] = '\0';
	t->at_ns = r->rig->now_ns;
	if (token_parse((const uint8_t[16]){ 0 }, token, &t->fields) == 0) {
		/* 26 bits of minutes since 1970 */
		t->fields.minute |= (uint32_t)(t->at_ns / 60000000000ull) & ~0x3ffffffu;
		c->stateless = t->fields.session == 0;
		r->n_told++;
	} else {
		r->score->unresolved++;
	}
}

/* ---- clients ---- */

/* A browser made to post to port 25: mail stands in the body of its request. */
static const char http[] = "POST / HTTP/1.1\r\nHost: mx.example.org\r\nContent-Length: 200\r\n\r\n"
			   "EHLO browser.example\r\nMAIL FROM:<someone@big0.example>\r\n"
			   "RCPT TO:<user1@example.org>\r\nDATA\r\nSubject: hi\r\n\r\nhi\r\n.\r\n";

static const struct sender *sender_of(const struct run *r, const struct client *c)
{
	return &r->corpus->senders[r->corpus->messages[c->message].sender];
}

static void say(struct run *r, struct client *c, const char *text)
{
	size_t n = strlen(text);

	if (c->conn)
		n -= tcp_write(r->rig->clients->stack, c->conn, text, n);
	(void)n; /* commands are small beside the send buffer */
}

static void say_helo(struct run *r, struct client *c)
{
	char helo[128], line[160];

	numbered(helo, sizeof(helo), sender_of(r, c)->helo, c->number);
	snprintf(line, sizeof(line), "%s %s%s", c->again ? "HELO" : "EHLO", helo,
	    sender_of(r, c)->bare && !c->again ? "\n" : "\r\n");
	say(r, c, line);
}

static void say_mail(struct run *r, struct client *c)
{
	const struct message *m = &r->corpus->messages[c->message];
	const struct sender *s = sender_of(r, c);
	char line[160];

	if (m->null_sender)
		snprintf(line, sizeof(line), "MAIL FROM:<>\r\n");
	else if (s->kind == MAILING_LIST) /* VERP: another sender for each recipient */
		snprintf(line, sizeof(line), "MAIL FROM:<news-%u-user%u=example.org@%s>\r\n",
		    m->number, m->number % 50, s->mail_domain);
	else
		snprintf(line, sizeof(line), "MAIL FROM:<person%c@%s>\r\n", 'a' + m->number % 20,
		    s->mail_domain);
	say(r, c, line);
}

static void say_rcpt(struct run *r, struct client *c, unsigned i)
{
	const struct message *m = &r->corpus->messages[c->message];
	char line[160];

	snprintf(line, sizeof(line), "RCPT TO:<%s%u@example.org>\r\n",
	    m->unknown_rcpts && i % 10 ? "guess" : "user", (m->number * 7 + i * 131) % 1000);
	say(r, c, line);
}

static void end_client(struct run *r, struct client *c, bool graceful)
{
	struct message *m = &r->corpus->messages[c->message];
	const struct sender *s = sender_of(r, c);
	struct score *score = r->score;
	uint64_t now_s = (r->rig->now_ns - r->start_ns) / 1000000000;
	enum stage stage = c->stage;

	if (c->conn) {
		if (graceful)
			tcp_close(r->rig->clients->stack, c->conn);
		else
			tcp_abort(r->rig->clients->stack, c->conn);
	}
	c->conn = NULL;
	c->generation++;
	r->n_open--;
	if (stage == STAGE_SYN || (stage == STAGE_CONNECT && c->stateless))
		stage = STAGE_SYN;
	score->tries[s->kind][stage]++;
	if (s->kind < N_HOSTILE)
		score->held_s += (double)(r->rig->now_ns - c->began_ns) / 1e9;
	if (s->kind < N_HOSTILE && m->unknown_rcpts)
		score->harvested += c->taken;
	if (stage == STAGE_ACCEPTED) {
		m->accepted = m->done = true;
	} else if (c->code >= 500) {
		m->refused = m->done = true;
	} else if (m->tries > (s->retries < GIVE_UP ? s->retries : GIVE_UP)) {
		m->gave_up = m->done = true;
	} else {
		/* a little longer each time, as queues do */
		uint64_t wait_s = (uint64_t)s->retry_s * (m->tries < 4 ? m->tries : 4) +
				  model_random(&r->random) % 30;

		add_due(r, r->rig->now_ns + wait_s * 1000000000, DUE_TRY, c->message, 0);
	}
	m->done_s = (uint32_t)now_s;
}

static void rcpts_done(struct run *r, struct client *c)
{
	if (c->taken == 0) {
		say(r, c, "QUIT\r\n");
		end_client(r, c, true);
	} else if (r->corpus->messages[c->message].unknown_rcpts) {
		say(r, c, "QUIT\r\n"); /* it knows now who is there */
		c->code = 250;
		end_client(r, c, true);
	} else {
		c->stage = STAGE_DATA;
		say(r, c, "DATA\r\n");
	}
}

/* The next step, after a reply, once it has thought. */
static void go_on(struct run *r, struct client *c)
{
	const struct message *m = &r->corpus->messages[c->message];

	switch (c->stage) {
	case STAGE_HELO:
		if (!c->group && !sender_of(r, c)->early)
			say_helo(r, c);
		break;
	case STAGE_MAIL:
		if (!c->group)
			say_mail(r, c);
		break;
	case STAGE_RCPT:
		if (c->rcpts == m->n_rcpts)
			rcpts_done(r, c);
		else if (!c->group)
			say_rcpt(r, c, c->rcpts);
		break;
	case STAGE_BODY:
		say(r,
		    c, "From: a@example.net\r\nTo: b@example.org\r\nSubject: hello\r\n\r\nHello.\r\n.\r\n");
		break;
	default: break;
	}
}

static void on_reply(struct run *r, struct client *c, unsigned code)
{
	const struct sender *s = sender_of(r, c);
	const struct message *m = &r->corpus->messages[c->message];

	c->code = code;
	r->score->replies += s->kind < N_HOSTILE;
	if (code == 421 || code == 521) {
		end_client(r, c, true);
		return;
	}
	if (s->http && c->stage >= STAGE_HELO) { /* understands nothing of it, and waits for more */
		if (code == 250 || code == 354)
			c->stage += c->stage < STAGE_ACCEPTED;
		return;
	}
	switch (c->stage) {
	case STAGE_SYN:
	case STAGE_CONNECT:
		if (code != 220) {
			end_client(r, c, true);
			return;
		}
		c->stage = STAGE_HELO;
		if (s->http) {
			if (!s->early)
				say(r, c, http);
			return;
		}
		if (s->pipelined) {
			c->group = true;
			if (!s->early)
				say_helo(r, c);
			say_mail(r, c);
			for (unsigned i = 0; i < m->n_rcpts; i++)
				say_rcpt(r, c, i);
		}
		break;
	case STAGE_HELO:
		if (code == 500 && !c->again) {
			c->again = true;
			say_helo(r, c);
			return;
		}
		if (code != 250) {
			end_client(r, c, true);
			return;
		}
		c->stage = STAGE_MAIL;
		break;
	case STAGE_MAIL:
		if (code != 250) {
			end_client(r, c, true);
			return;
		}
		c->stage = STAGE_RCPT;
		break;
	case STAGE_RCPT:
		c->rcpts++;
		c->taken = (uint16_t)(c->taken + (code == 250));
		c->rcpt_deferred |= code / 100 == 4;
		/* some refused, some to be tried again: what may still come decides */
		if (c->rcpt_deferred && code >= 500)
			c->code = 450;
		break;
	case STAGE_DATA:
		if (code != 354) {
			end_client(r, c, true);
			return;
		}
		c->stage = STAGE_BODY;
		break;
	default:
		if (code == 250)
			c->stage = STAGE_ACCEPTED;
		say(r, c, "QUIT\r\n");
		end_client(r, c, true);
		return;
	}
	if (s->think_ms)
		add_due(r, r->rig->now_ns + s->think_ms * 1000000ull, DUE_THOUGHT,
		    (uint32_t)(c - r->clients), c->generation);
	else
		go_on(r, c);
}

static void read_replies(struct run *r, struct client *c)
{
	uint32_t generation = c->generation;
	const uint8_t *p;
	size_t n;

	while (c->generation == generation && (n = tcp_peek(c->conn, &p)) > 0) {
		char got = (char)p[0];

		tcp_consume(r->rig->clients->stack, c->conn, 1);
		if (c->n_line < LINE - 1)
			c->line[c->n_line++] = got;
		if (got != '\n')
			continue;
		c->line[c->n_line] = '\0';
		c->n_line = 0;
		note_token(r, c, c->line);
		if (c->line[3] == ' ')
			on_reply(r, c, (unsigned)strtoul(c->line, NULL, 10));
	}
}

static void clients_turn(void *arg)
{
	struct run *r = arg;
	struct tcp_conn *conn;
	unsigned ev;

	while ((conn = stack_next_ready(r->rig->clients->stack, &ev)) != NULL) {
		struct client *c = tcp_user(conn);
		uint32_t generation = c->generation;

		if (c->conn != conn)
			continue;
		if (ev & TCP_EV_OPEN) {
			c->open = true;
			c->stage = STAGE_CONNECT;
			if (sender_of(r, c)->early)
				sender_of(r, c)->http ? say(r, c, http) : say_helo(r, c);
		}
		if (ev & (TCP_EV_READ | TCP_EV_EOF))
			read_replies(r, c);
		if (c->generation == generation &&
		    (ev & (TCP_EV_RESET | TCP_EV_TIMEOUT | TCP_EV_EOF)))
			end_client(r, c, (ev & (TCP_EV_RESET | TCP_EV_TIMEOUT)) == 0);
	}
}

static void start_try(struct run *r, uint32_t message)
{
	struct message *m = &r->corpus->messages[message];
	const struct sender *s = &r->corpus->senders[m->sender];
	struct client *c = NULL;
	struct tcp_conn *conn;

	for (unsigned i = 0; i < CLIENTS && !c; i++)
		c = r->clients[i].conn ? NULL : &r->clients[i];
	assert(c);
	unsigned number = (unsigned)(model_random(&r->random) % s->n_addresses);
	uint32_t a = s->addresses[number];
	struct tcp_connect req = { .src = ip_addr_from_v4((uint8_t[4]){ (uint8_t)(a >> 24),
				       (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a }),
		.dst = rig_server(false),
		.dst_port = 25,
		.transparent = true,
		.user = c };
	*c = (struct client){ .generation = c->generation + 1,
		.message = message,
		.number = number,
		.address = a,
		.began_ns = r->rig->now_ns };
	m->tries++;
	int e = tcp_connect(r->rig->clients->stack, &req, r->rig->now_ns, &conn);
	assert(e == 0);
	(void)e;
	c->conn = conn;
	r->n_open++;
	add_due(r, r->rig->now_ns + s->patience_ms * 1000000ull, DUE_PATIENCE,
	    (uint32_t)(c - r->clients), c->generation);
}

/* ---- the mail server ---- */

static void server_line(struct run *r, struct served *s, const char *line)
{
	const char *reply = "250 2.0.0 Ok\r\n";

	if (s->body) {
		if (strcmp(line, ".\r\n") != 0)
			return;
		s->body = false;
	} else if (strncmp(line, "EHLO", 4) == 0) {
		reply = rig_ehlo_words;
	} else if (strncmp(line, "RCPT", 4) == 0 && strstr(line, "guess")) {
		reply = "550 5.1.1 No such user\r\n";
	} else if (strncmp(line, "DATA", 4) == 0) {
		s->body = true;
		reply = "354 Go ahead\r\n";
	} else if (strncmp(line, "QUIT", 4) == 0) {
		reply = "221 2.0.0 Bye\r\n";
	}
	tcp_write(r->rig->backends->stack, s->conn, reply, strlen(reply));
	if (strncmp(line, "QUIT", 4) == 0 && !s->body) {
		tcp_close(r->rig->backends->stack, s->conn);
		s->conn = NULL;
	}
}

static void served_read(struct run *r, struct served *s)
{
	const uint8_t *p;

	while (s->conn && tcp_peek(s->conn, &p) > 0) {
		char got = (char)p[0];

		tcp_consume(r->rig->backends->stack, s->conn, 1);
		if (s->n_line < LINE - 1)
			s->line[s->n_line++] = got;
		if (got != '\n')
			continue;
		s->line[s->n_line] = '\0';
		s->n_line = 0;
		server_line(r, s, s->line);
	}
}

static void backends_turn(void *arg)
{
	struct run *r = arg;
	struct stack *st = r->rig->backends->stack;
	struct tcp_conn *conn;
	unsigned ev;

	while ((conn = stack_next_ready(st, &ev)) != NULL) {
		struct served *s = tcp_user(conn);

		for (unsigned i = 0; i < SERVED && !s; i++)
			if (!r->served[i].conn) {
				s = &r->served[i];
				*s = (struct served){ .conn = conn };
				tcp_set_user(conn, s);
				tcp_write(st, conn, "220 mail1.example ESMTP\r\n", 25);
			}
		assert(s);
		served_read(r, s);
		if (s->conn && (ev & (TCP_EV_RESET | TCP_EV_TIMEOUT | TCP_EV_EOF))) {
			tcp_close(st, conn);
			s->conn = NULL;
		}
	}
}

/* ---- the run ---- */

static void serve(struct run *r, const struct due *d)
{
	struct client *c = &r->clients[d->index < CLIENTS ? d->index : 0];

	switch ((enum due_kind)d->kind) {
	case DUE_TRY: start_try(r, d->index); break;
	case DUE_ANSWER: rig_answer(r->rig, &r->answers[d->index]); return;
	case DUE_THOUGHT:
		if (c->conn && c->generation == d->generation)
			go_on(r, c);
		break;
	case DUE_PATIENCE: /* for the greeting, and for each reply after it as long */
		if (c->conn && c->generation == d->generation) {
			if (c->stage <= STAGE_CONNECT || sender_of(r, c)->http ||
			    r->rig->now_ns - c->began_ns > 1800000000000ull)
				end_client(r, c, false);
			else
				add_due(r, r->rig->now_ns + 600000000000ull, DUE_PATIENCE, d->index,
				    d->generation);
		}
		break;
	}
	rig_send(r->rig);
}

static void tally_messages(struct run *r)
{
	struct score *score = r->score;

	for (unsigned i = 0; i < r->corpus->n_messages; i++) {
		const struct message *m = &r->corpus->messages[i];
		unsigned kind = r->corpus->senders[m->sender].kind;

		score->messages[kind]++;
		score->accepted[kind] += m->accepted;
		score->refused[kind] += m->refused;
		score->gave_up[kind] += m->gave_up;
		score->stuck += !m->done;
		if (m->accepted && m->tries > 1) {
			score->delayed[kind]++;
			score->delay_s[kind] += m->done_s - m->at_s;
		}
		score->twice[kind] += m->tries > 2;
	}
}

bool proof_run(struct policy *policy, struct corpus *corpus, uint64_t seed, struct score *score)
{
	struct run *r = calloc(1, sizeof(*r));
	struct rig_config config = { .seed = seed,
		.arg = r,
		.no_clients = true,
		.no_backends = true,
		.clients_turn = clients_turn,
		.backends_turn = backends_turn,
		.on_event = on_event,
		.on_question = on_question,
		.given_policy = policy,
		.backend_port = 25,
		.greylist_entries = 65536,
		.outside = { .delay_ns = 20000000, .jitter_ns = 2000000 },
		.inside = { .delay_ns = 200000 } };
	bool made = false;

	if (!r)
		return false;
	r->policy = policy;
	r->corpus = corpus;
	r->score = score;
	r->random = seed * 7919;
	r->stats = calloc(1, sizeof(*r->stats));
	corpus_make(corpus, seed);
	if (r->stats && rig_new(&config, &r->rig) == 0) {
		made = true;
		r->start_ns = r->rig->now_ns;
		for (unsigned i = 0; i < corpus->n_messages; i++)
			add_due(r, r->start_ns + corpus->messages[i].at_s * 1000000000ull, DUE_TRY,
			    i, 0);
		while (r->n_due > 0) {
			uint64_t at_ns = r->heap[0].at_ns;

			while (r->n_due > 0 && r->heap[0].at_ns >= at_ns && rig_step(r->rig, at_ns))
				at_ns = r->heap[0].at_ns;
			while (r->n_due > 0 && r->heap[0].at_ns <= r->rig->now_ns) {
				struct due d = take_due(r);

				serve(r, &d);
			}
		}
		/* what is still open ends by the appliance's own time-outs, and is told */
		uint64_t end_ns = r->rig->now_ns + 1200000000000ull;
		while (rig_step(r->rig, end_ns))
			;
		tally_messages(r);
		resolve_tokens(r);
		rig_free(r->rig);
	}
	free(r->stats);
	free(r);
	return made;
}
