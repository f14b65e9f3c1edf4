/* SPDX-License-Identifier: BSD-3-Clause */
/* The senders on the wire: a connection is one try of one message. See run.h. */
#include "run.h"

#include "filters/batv.h"
#include "filters/policy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GIVE_UP = 14 };

#define SECOND_NS 1000000000ull

/* A browser made to post to port 25: mail stands in the body of its request. */
static const char http[] = "POST / HTTP/1.1\r\nHost: mx.example.org\r\nContent-Length: 200\r\n\r\n"
			   "EHLO browser.example\r\nMAIL FROM:<someone@big0.example>\r\n"
			   "RCPT TO:<user1@example.org>\r\nDATA\r\nSubject: hi\r\n\r\nhi\r\n.\r\n";

static struct message *message_of(const struct run *r, const struct client *c)
{
	return &r->corpus->messages[c->message];
}

static const struct sender *sender_of(const struct run *r, const struct client *c)
{
	return &r->corpus->senders[message_of(r, c)->sender];
}

/* ---- what it says ---- */

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

	run_numbered(helo, sizeof(helo), sender_of(r, c)->helo, c->number);
	snprintf(line, sizeof(line), "%s %s%s", c->again ? "HELO" : "EHLO", helo,
	    sender_of(r, c)->bare && !c->again ? "\n" : "\r\n");
	say(r, c, line);
}

static void say_mail(struct run *r, struct client *c)
{
	const struct message *m = message_of(r, c);
	const struct sender *s = sender_of(r, c);
	char line[160];

	if (m->null_sender)
		snprintf(line, sizeof(line), "MAIL FROM:<>\r\n");
	else if (s->verp) /* another sender for each recipient */
		snprintf(line, sizeof(line), "MAIL FROM:<%s-%u-user%u=example.org@%s>\r\n",
		    s->mail_user, c->message, m->number % 50, s->mail_domain);
	else if (s->mail_user[0])
		snprintf(line, sizeof(line), "MAIL FROM:<%s@%s>\r\n", s->mail_user, s->mail_domain);
	else
		snprintf(line, sizeof(line), "MAIL FROM:<person%c@%s>\r\n", 'a' + m->number % 20,
		    s->mail_domain);
	say(r, c, line);
}

static void say_rcpt(struct run *r, struct client *c, unsigned i)
{
	const struct policy_memory *set = &policy_settings(r->policy)->memory;
	const struct message *m = message_of(r, c);
	char rcpt[80], tag[11], line[160];

	corpus_rcpt(m, c->rcpt[i], rcpt, sizeof(rcpt));
	if (m->rcpts == RCPTS_SIGNED && set->n_batv_keys) { /* comes back as it went out */
		batv_tag(&set->batv_keys[0], (unsigned)(r->start_ns / SECOND_NS / 86400) + 5,
		    (struct text){ rcpt, (uint16_t)strlen(rcpt) }, tag);
		snprintf(line, sizeof(line), "RCPT TO:<prvs=%s=%s>\r\n", tag, rcpt);
	} else {
		snprintf(line, sizeof(line), "RCPT TO:<%s>\r\n", rcpt);
	}
	say(r, c, line);
}

static void say_body(struct run *r, struct client *c)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "Message-ID: <%u@example.net>\r\nFrom: a@example.net\r\nTo: b@example.org\r\n"
	    "Subject: hello\r\n\r\nHello.\r\n.\r\n",
	    c->message);
	say(r, c, text);
}

/* ---- how it ends ---- */

/* What became of the message by this try, and when the next one is. */
static void conclude(struct run *r, struct client *c)
{
	struct message *m = message_of(r, c);
	const struct sender *s = sender_of(r, c);

	if (c->stage == STAGE_ACCEPTED && m->rcpts != RCPTS_GUESSED) {
		m->taken |= c->taken;
		m->pending &= ~c->taken;
	}
	m->lost |= c->lost;
	m->pending &= ~c->lost;
	if (c->refused) {
		m->lost |= m->pending;
		m->pending = 0;
	}
	m->done_s = (uint32_t)((r->rig->now_ns - r->start_ns) / SECOND_NS);
	if (m->pending == 0 || m->tries > (s->retries < GIVE_UP ? s->retries : GIVE_UP)) {
		m->done = true;
		return;
	}
	/* a little longer each time, as queues do */
	run_due(r,
	    r->rig->now_ns + ((uint64_t)s->retry_s * (m->tries < 4 ? m->tries : 4) +
				 run_random(r, 1 + m->tries, c->message, 30)) *
				 SECOND_NS,
	    DUE_TRY, c->message, 0);
}

static void end_client(struct run *r, struct client *c, bool graceful)
{
	const struct message *m = message_of(r, c);
	const struct sender *s = sender_of(r, c);
	struct score *score = r->score;

	if (c->conn) {
		if (graceful)
			tcp_close(r->rig->clients->stack, c->conn);
		else
			tcp_abort(r->rig->clients->stack, c->conn);
	}
	c->conn = NULL;
	c->generation++;
	if (c->stage == STAGE_CONNECT && c->stateless)
		c->stage = STAGE_SYN;
	if (m->rcpts == RCPTS_GUESSED) {
		if (c->learned)
			c->stage = STAGE_ACCEPTED;
		for (unsigned i = 0; i < m->n_rcpts; i++) {
			char rcpt[80];

			score->harvested +=
			    (c->taken >> i & 1) && corpus_rcpt(m, i, rcpt, sizeof(rcpt));
		}
	}
	score->tries[s->kind][c->stage]++;
	if (s->kind < N_HOSTILE)
		score->held_s += (double)(r->rig->now_ns - c->began_ns) / 1e9;
	conclude(r, c);
}

static void rcpts_done(struct run *r, struct client *c)
{
	if (c->taken == 0 || message_of(r, c)->rcpts == RCPTS_GUESSED) {
		say(r, c, "QUIT\r\n");
		end_client(r, c, true);
	} else {
		c->stage = STAGE_DATA;
		say(r, c, "DATA\r\n");
	}
}

/* ---- its turn ---- */

/* The next step, after a reply, once it has thought. */
static void go_on(struct run *r, struct client *c)
{
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
		if (c->rcpts == c->n_rcpts)
			rcpts_done(r, c);
		else if (!c->group)
			say_rcpt(r, c, c->rcpts);
		break;
	case STAGE_BODY: say_body(r, c); break;
	default: break;
	}
}

/* A reply that refuses or puts off all of the message. */
static void turned_away(struct run *r, struct client *c, unsigned code)
{
	c->refused = code >= 500 ? code : 0;
	say(r, c, "QUIT\r\n");
	end_client(r, c, true);
}

static void rcpt_reply(struct client *c, unsigned code, const char *line)
{
	uint64_t bit = 1ull << c->rcpt[c->rcpts++];

	if (code == 250)
		c->taken |= bit;
	else if (code >= 500)
		c->lost |= bit;
	c->learned |= code == 250 || strncmp(line + 4, "5.1.1", 5) == 0;
}

static void greeted(struct run *r, struct client *c)
{
	const struct sender *s = sender_of(r, c);

	c->stage = STAGE_HELO;
	if (s->http) {
		if (!s->early)
			say(r, c, http);
	} else if (s->pipelined) {
		c->group = true;
		if (!s->early)
			say_helo(r, c);
		say_mail(r, c);
		for (unsigned i = 0; i < c->n_rcpts; i++)
			say_rcpt(r, c, i);
	}
}

static void on_reply(struct run *r, struct client *c, unsigned code, const char *line)
{
	const struct sender *s = sender_of(r, c);

	r->score->replies += s->kind < N_HOSTILE;
	if (code == 421 || code == 521) {
		turned_away(r, c, code);
		return;
	}
	if (s->http && c->stage >= STAGE_HELO) { /* understands nothing of it, and waits for more */
		if (code == 250 || code == 354)
			c->stage += c->stage < STAGE_ACCEPTED;
		return;
	}
	if (c->stage == STAGE_HELO && code == 500 && !c->again) {
		c->again = true;
		say_helo(r, c);
		return;
	}
	switch (c->stage) {
	case STAGE_SYN:
	case STAGE_CONNECT:
		if (code != 220) {
			turned_away(r, c, code);
			return;
		}
		greeted(r, c);
		if (s->http)
			return;
		break;
	case STAGE_RCPT: rcpt_reply(c, code, line); break;
	case STAGE_HELO:
	case STAGE_MAIL:
	case STAGE_DATA:
		if (code != (c->stage == STAGE_DATA ? 354 : 250)) {
			turned_away(r, c, code);
			return;
		}
		c->stage++;
		break;
	default:
		if (code == 250)
			c->stage = STAGE_ACCEPTED;
		turned_away(r, c, code);
		return;
	}
	if (s->think_ms)
		run_due(r, r->rig->now_ns + s->think_ms * 1000000ull, DUE_THOUGHT,
		    (uint32_t)(c - r->clients), c->generation);
	else
		go_on(r, c);
}

static void read_replies(struct run *r, struct client *c)
{
	uint32_t generation = c->generation;
	const uint8_t *p;

	while (c->generation == generation && tcp_peek(c->conn, &p) > 0) {
		char got = (char)p[0];

		tcp_consume(r->rig->clients->stack, c->conn, 1);
		if (c->n_line < LINE - 1)
			c->line[c->n_line++] = got;
		if (got != '\n')
			continue;
		c->line[c->n_line] = '\0';
		c->n_line = 0;
		told_token(r, c, c->line);
		if (c->line[3] == ' ' || (sender_of(r, c)->hasty && c->stage == STAGE_CONNECT))
			on_reply(r, c, (unsigned)strtoul(c->line, NULL, 10), c->line);
	}
}

void clients_turn(void *arg)
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

/* ---- what is due ---- */

void client_start(struct run *r, uint32_t message)
{
	struct message *m = &r->corpus->messages[message];
	const struct sender *s = &r->corpus->senders[m->sender];
	struct client *c = NULL;

	for (unsigned i = 0; i < CLIENTS && !c; i++)
		c = r->clients[i].conn ? NULL : &r->clients[i];
	assert(c);
	unsigned number = (unsigned)run_random(r, 100 + m->tries, message, s->n_addresses);
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
		.began_ns = r->rig->now_ns };
	for (uint8_t i = 0; i < m->n_rcpts; i++)
		if (m->pending >> i & 1)
			c->rcpt[c->n_rcpts++] = i;
	m->tries++;
	int e = tcp_connect(r->rig->clients->stack, &req, r->rig->now_ns, &c->conn);
	assert(e == 0);
	(void)e;
	run_due(r, r->rig->now_ns + s->patience_ms * 1000000ull, DUE_PATIENCE,
	    (uint32_t)(c - r->clients), c->generation);
}

void client_thought(struct run *r, struct client *c)
{
	go_on(r, c);
}

/* For the greeting, and for each reply after it as long. */
void client_lost_patience(struct run *r, struct client *c)
{
	if (c->stage <= STAGE_CONNECT || sender_of(r, c)->http ||
	    r->rig->now_ns - c->began_ns > 1800 * SECOND_NS)
		end_client(r, c, false);
	else
		run_due(r, r->rig->now_ns + 600 * SECOND_NS, DUE_PATIENCE,
		    (uint32_t)(c - r->clients), c->generation);
}
