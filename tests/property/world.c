/* SPDX-License-Identifier: BSD-3-Clause */
/* See world.h. */
#include "world.h"

#include "control/config.h"
#include "mail.h"

#include "dataplane/model_rig.h"
#include "dataplane/stats.h"
#include "filters/image_write.h"
#include "filters/rules.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_CLIENTS = 4, MAX_MESSAGES = 4, MAX_SERVERS = 16 };

struct job {
	struct mail mail;
	bool bdat, odd;
	unsigned code, copies; /* the answer; how often the mail server has it */
	char answer[96];
	bool altered, marked;
	char score[16]; /* of the mark */
	uint64_t before[RULES],
	    hits[RULES]; /* counters: as it began; of it, with one client alone */
};

enum state { GREETING, EHLO, MAIL, RCPT, DATA, BODY, CHUNK, RSET, QUIT };

struct client {
	struct tcp_conn *conn;
	enum state state;
	struct job jobs[MAX_MESSAGES];
	unsigned n, at;
	const char *out; /* being sent in pieces */
	size_t n_out, sent;
	char *buffer; /* what `out` points into, where it is made here */
	size_t chunk_at;
	bool last_chunk, over;
	uint64_t next_ns;
	unsigned n_line;
	char line[512];
};

struct server {
	struct tcp_conn *conn;
	bool proxied, in_body, in_chunk, last_chunk, slow;
	size_t chunk_left;
	uint64_t next_ns;
	size_t n_line, n_text;
	char line[4096];
	char *text; /* of the message under way */
};

struct world {
	const struct knobs *k;
	const void *part;
	size_t part_len;
	uint64_t random;
	struct rig *rig;
	unsigned ids[RULES];
	struct client clients[MAX_CLIENTS];
	struct server servers[MAX_SERVERS];
};

static uint64_t draw(struct world *w, uint64_t below)
{
	return model_random(&w->random) % below;
}

static void policy(void *arg, struct policy_settings *s, struct image_writer *iw)
{
	struct world *w = arg;
	size_t room = (w->part_len + 63) & ~(size_t)63;
	void *part = aligned_alloc(64, room);

	assert(part);
	memcpy(part, w->part, w->part_len);
	for (unsigned i = 0; i < CHECK_N; i++)
		image_writer_rule_at(iw, i)->state = RULE_OFF;
	s->smtp.inspection_window = w->k->window;
	s->smtp.bare_newline = BARE_NORMALIZE;
	s->smtp.add_received = w->k->received;
	s->limits.errors = 0;
	s->score.mark = w->k->mark;
	s->score.refuse = w->k->refuse;
	s->patterns.messages = 64;
	s->patterns.depth = w->k->depth;
	s->patterns.decoded_depth = w->k->decoded_depth;
	s->patterns.on_failure = VERDICT_DEFER;
	if (compile_patterns_rules(NULL, iw, PATTERN_SET_FILES, part, w->part_len) < 0 ||
	    image_writer_patterns(iw, PATTERN_SET_FILES, part, w->part_len) < 0)
		abort();
}

/* ---- clients ---- */

static void count(struct world *w, uint64_t to[RULES])
{
	for (unsigned i = 0; i < RULES; i++)
		to[i] = w->rig->stats->rules[w->ids[i]].hits;
}

static void send(struct world *w, struct client *c, enum state state, const char *p, size_t n)
{
	c->state = state;
	c->out = p;
	c->n_out = n;
	c->sent = 0;
	c->next_ns = w->rig->now_ns;
}

static void say(struct world *w, struct client *c, enum state state, const char *text)
{
	send(w, c, state, text, strlen(text));
}

static void next_message(struct world *w, struct client *c)
{
	if (c->at == c->n) {
		say(w, c, QUIT, "QUIT\r\n");
		return;
	}
	c->chunk_at = 0;
	count(w, c->jobs[c->at].before);
	say(w, c, MAIL, "MAIL FROM:<x@example.net>\r\n");
}

static const char *rcpt(const struct job *j)
{
	return j->odd ? "odd@example.org" : "user@example.org";
}

static void next_chunk(struct world *w, struct client *c)
{
	const struct mail *m = &c->jobs[c->at].mail;
	size_t left = m->n - c->chunk_at, n = draw(w, 4) ? draw(w, left + 1) : draw(w, 300);
	char line[32];
	int head;

	if (n > left || draw(w, 12) == 0)
		n = left;
	c->last_chunk = n == left && draw(w, 4); /* else one of no bytes comes last */
	head = snprintf(line, sizeof(line), "BDAT %zu%s\r\n", n, c->last_chunk ? " LAST" : "");
	memcpy(c->buffer, line, (size_t)head);
	memcpy(c->buffer + head, m->text + c->chunk_at, n);
	c->chunk_at += n;
	send(w, c, CHUNK, c->buffer, (size_t)head + n);
}

static void send_body(struct world *w, struct client *c)
{
	const struct mail *m = &c->jobs[c->at].mail;

	memcpy(c->buffer, m->wire, m->n_wire);
	memcpy(c->buffer + m->n_wire, ".\r\n", 3);
	send(w, c, BODY, c->buffer, m->n_wire + 3);
}

static void answered(struct world *w, struct client *c, unsigned code)
{
	struct job *j = &c->jobs[c->at];

	j->code = code;
	snprintf(j->answer, sizeof(j->answer), "%.*s", (int)strcspn(c->line, "\r\n") & 63, c->line);
	count(w, j->hits);
	for (unsigned i = 0; i < RULES; i++)
		j->hits[i] -= j->before[i];
	c->at++;
}

static void on_reply(struct world *w, struct client *c, unsigned code)
{
	struct job *j = &c->jobs[c->at];
	char buf[64];

	switch (c->state) {
	case GREETING: say(w, c, EHLO, "EHLO client.example.net\r\n"); return;
	case RSET:
	case EHLO: next_message(w, c); return;
	case MAIL:
		snprintf(buf, sizeof(buf), "RCPT TO:<%s>\r\n", rcpt(j));
		memcpy(c->buffer, buf, sizeof(buf));
		say(w, c, RCPT, c->buffer);
		return;
	case RCPT:
		if (code == 250 && j->bdat) {
			next_chunk(w, c);
			return;
		}
		if (code == 250) {
			say(w, c, DATA, "DATA\r\n");
			return;
		}
		break;
	case DATA:
		if (code == 354) {
			send_body(w, c);
			return;
		}
		break;
	case BODY:
		answered(w, c, code);
		next_message(w, c);
		return;
	case CHUNK:
		if (code == 250 && !c->last_chunk) {
			next_chunk(w, c);
			return;
		}
		answered(w, c, code);
		if (c->last_chunk)
			next_message(w, c);
		else
			say(w, c, RSET, "RSET\r\n");
		return;
	case QUIT: return;
	}
	answered(w, c, code);
	say(w, c, RSET, "RSET\r\n");
}

static void read_replies(struct world *w, struct client *c)
{
	const uint8_t *p;
	size_t n;

	while (c->conn && (n = tcp_peek(c->conn, &p)) > 0) {
		const uint8_t *lf = memchr(p, '\n', n);

		n = lf ? (size_t)(lf - p) + 1 : n;
		for (size_t i = 0; i < n && c->n_line < sizeof(c->line) - 1; i++)
			c->line[c->n_line++] = (char)p[i];
		tcp_consume(w->rig->clients->stack, c->conn, n);
		if (!lf)
			continue;
		c->line[c->n_line] = '\0';
		c->n_line = 0;
		if (c->line[3] != '-')
			on_reply(w, c, (unsigned)strtoul(c->line, NULL, 10));
	}
}

static void clients_turn(void *arg)
{
	struct world *w = arg;
	struct tcp_conn *conn;
	unsigned events;

	while ((conn = stack_next_ready(w->rig->clients->stack, &events))) {
		struct client *c = tcp_user(conn);

		if (events & (TCP_EV_READ | TCP_EV_EOF))
			read_replies(w, c);
		if (events & (TCP_EV_EOF | TCP_EV_RESET | TCP_EV_TIMEOUT)) {
			tcp_close(w->rig->clients->stack, conn);
			c->conn = NULL;
			c->over = true;
		}
	}
}

/* The next piece of what is being sent. Many thousand pieces of a large message would tell no more. */
static void send_piece(struct world *w, struct client *c)
{
	size_t left = c->n_out - c->sent, most = w->k->piece ? w->k->piece : left;
	size_t n;

	if (most < c->n_out / 400)
		most = c->n_out / 400;
	n = 1 + draw(w, most);
	n = w->k->piece == 0 || n > left ? left : n;
	n = tcp_write(w->rig->clients->stack, c->conn, c->out + c->sent, n);
	c->sent += n;
	c->next_ns = w->rig->now_ns + 1000;
	if (w->k->pause_us && draw(w, 3))
		c->next_ns += 1000 * draw(w, w->k->pause_us);
}

/* ---- the mail server ---- */

static struct job *find_job(struct world *w, const char *p, size_t n, size_t *ret_at)
{
	const char *id = memmem(p, n, "X-Id: ", 6);
	unsigned number = id ? (unsigned)strtoul(id + 6, NULL, 10) : 0;

	*ret_at = id ? (size_t)(id - p) : 0;
	for (unsigned i = 0; i < w->k->clients; i++)
		for (unsigned k = 0; k < w->clients[i].n; k++)
			if (w->clients[i].jobs[k].mail.plan.id == number)
				return &w->clients[i].jobs[k];
	fprintf(stderr, "property: a message of nobody\n");
	abort();
}

static void kept(struct world *w, struct server *s)
{
	size_t at;
	struct job *j = find_job(w, s->text, s->n_text, &at);
	const char *score = memmem(s->text, at, "X-Postern: mark score=", 22);

	j->copies++;
	j->altered |=
	    s->n_text - at != j->mail.n || memcmp(s->text + at, j->mail.text, j->mail.n) != 0;
	j->marked = score;
	if (score)
		snprintf(j->score, sizeof(j->score), "%.*s", (int)strcspn(score + 22, "\r "),
		    score + 22);
	s->n_text = 0;
}

static void keep_text(struct server *s, const char *p, size_t n)
{
	assert(s->n_text + n <= MAIL_ROOM + 4096);
	memcpy(s->text + s->n_text, p, n);
	s->n_text += n;
}

static void answer(struct world *w, struct server *s, const char *text)
{
	tcp_write(w->rig->backends->stack, s->conn, text, strlen(text));
}

static void on_line(struct world *w, struct server *s)
{
	const char *l = s->line;
	size_t n = s->n_line;

	s->n_line = 0;
	if (s->in_body) {
		if (n == 3 && memcmp(l, ".\r\n", 3) == 0) {
			s->in_body = false;
			kept(w, s);
			answer(w, s, "250 2.0.0 kept\r\n");
		} else {
			keep_text(s, l + (l[0] == '.'), n - (l[0] == '.'));
		}
	} else if (strncasecmp(l, "EHLO", 4) == 0) {
		answer(w, s, "250-backend.example\r\n");
		answer(w, s, rig_ehlo_words);
	} else if (strncasecmp(l, "DATA", 4) == 0) {
		s->in_body = true;
		s->n_text = 0;
		answer(w, s, "354 go on\r\n");
	} else if (strncasecmp(l, "BDAT", 4) == 0) {
		s->chunk_left = strtoul(l + 5, NULL, 10);
		s->in_chunk = true;
		s->last_chunk = memmem(l, n, "LAST", 4);
	} else if (strncasecmp(l, "MAIL", 4) == 0 || strncasecmp(l, "RSET", 4) == 0) {
		s->n_text = 0;
		answer(w, s, "250 2.0.0 ok\r\n");
	} else {
		answer(w, s, strncasecmp(l, "QUIT", 4) ? "250 2.0.0 ok\r\n" : "221 2.0.0 bye\r\n");
	}
}

static void chunk_end(struct world *w, struct server *s)
{
	s->in_chunk = false;
	if (s->last_chunk)
		kept(w, s);
	answer(w, s, "250 2.0.0 ok\r\n");
}

/* At most `most` bytes. */
static void read_some(struct world *w, struct server *s, size_t most)
{
	const uint8_t *p;
	size_t n;

	while (most && s->conn && (n = tcp_peek(s->conn, &p)) > 0) {
		size_t used;

		n = n < most ? n : most;
		if (!s->proxied) { /* PROXY v2: 16 bytes, and as many as the last two of them say */
			assert(n >= 16);
			used = 16 + (size_t)(p[14] << 8 | p[15]);
			s->proxied = true;
		} else if (s->in_chunk) {
			used = n < s->chunk_left ? n : s->chunk_left;
			keep_text(s, (const char *)p, used);
			s->chunk_left -= used;
		} else {
			const uint8_t *lf = memchr(p, '\n', n);

			used = lf ? (size_t)(lf - p) + 1 : n;
			assert(s->n_line + used < sizeof(s->line) || s->in_body);
			if (s->n_line + used >= sizeof(s->line)) { /* a long line of text */
				used = sizeof(s->line) - 1 - s->n_line;
				lf = NULL;
			}
			memcpy(s->line + s->n_line, p, used);
			s->n_line += used;
			s->line[s->n_line] = '\0';
			if (lf)
				on_line(w, s);
		}
		tcp_consume(w->rig->backends->stack, s->conn, used);
		most -= used < most ? used : most;
		if (s->in_chunk && s->chunk_left == 0)
			chunk_end(w, s);
	}
	if (s->conn && tcp_unread(s->conn) > 0)
		s->next_ns = w->rig->now_ns + 1000 + 1000 * draw(w, w->k->backend_pause_us + 1);
}

static struct server *new_server(struct world *w, struct tcp_conn *conn)
{
	for (unsigned i = 0; i < MAX_SERVERS; i++) {
		struct server *s = &w->servers[i];

		if (s->conn)
			continue;
		free(s->text);
		*s = (struct server){ .conn = conn, .next_ns = UINT64_MAX };
		s->text = malloc(MAIL_ROOM + 4096);
		tcp_set_user(conn, s);
		answer(w, s, "220 backend.example ESMTP\r\n");
		return s;
	}
	abort();
}

static void servers_turn(void *arg)
{
	struct world *w = arg;
	struct tcp_conn *conn;
	unsigned events;

	while ((conn = stack_next_ready(w->rig->backends->stack, &events))) {
		struct server *s = tcp_user(conn);
		bool body;

		if (!s)
			s = new_server(w, conn);
		body = s->in_body || s->in_chunk;
		if (!body || w->k->backend_piece == 0)
			read_some(w, s,
			    w->k->backend_piece && s->proxied ? w->k->backend_piece : SIZE_MAX);
		else if (s->next_ns == UINT64_MAX)
			s->next_ns = w->rig->now_ns + 1000 * draw(w, w->k->backend_pause_us + 1);
		if (events & (TCP_EV_RESET | TCP_EV_TIMEOUT | TCP_EV_EOF)) {
			tcp_close(w->rig->backends->stack, conn);
			s->conn = NULL;
		}
	}
}

/* ---- the world's course ---- */

static void kick(struct rig *r)
{
	model_host_output(r->clients, r->now_ns);
	model_link_send(r->to_worker_out, r->clients->out.tx, r->clients->out.n_tx, r->now_ns);
	r->clients->out.n_tx = 0;
	model_host_output(r->backends, r->now_ns);
	model_link_send(r->to_worker_in, r->backends->out.tx, r->backends->out.n_tx, r->now_ns);
	r->backends->out.n_tx = 0;
}

static uint64_t next_act(const struct world *w)
{
	uint64_t at = UINT64_MAX;

	for (unsigned i = 0; i < w->k->clients; i++) {
		const struct client *c = &w->clients[i];

		if (c->conn && c->sent < c->n_out && c->next_ns < at &&
		    tcp_write_space(w->rig->clients->stack, c->conn) > 0)
			at = c->next_ns;
	}
	for (unsigned i = 0; i < MAX_SERVERS; i++)
		if (w->servers[i].conn && w->servers[i].next_ns < at)
			at = w->servers[i].next_ns;
	return at;
}

static void act(struct world *w)
{
	uint64_t now = w->rig->now_ns;

	for (unsigned i = 0; i < w->k->clients; i++) {
		struct client *c = &w->clients[i];

		if (c->conn && c->sent < c->n_out && c->next_ns <= now)
			send_piece(w, c);
	}
	for (unsigned i = 0; i < MAX_SERVERS; i++) {
		struct server *s = &w->servers[i];

		if (!s->conn || s->next_ns > now)
			continue;
		s->next_ns = UINT64_MAX;
		read_some(w, s, w->k->backend_piece ? 1 + draw(w, w->k->backend_piece) : SIZE_MAX);
	}
	kick(w->rig);
}

static bool all_over(const struct world *w)
{
	for (unsigned i = 0; i < w->k->clients; i++)
		if (!w->clients[i].over)
			return false;
	return true;
}

static void plan_jobs(struct world *w)
{
	for (unsigned i = 0; i < w->k->clients; i++) {
		struct client *c = &w->clients[i];

		for (unsigned n = 0; n < w->k->messages; n++) {
			struct mail_plan plan = { .seed = model_random(&w->random),
				.id = 100 * (i + 1) + n,
				.longest = w->k->longest };
			bool bdat = w->k->chunks && (!w->k->data || draw(w, 2));
			bool bare = w->k->bare && draw(w, 2), salad = w->k->salad && draw(w, 2);
			bool odd = draw(w, 5) == 0;

			if (w->k->only && (i || n + 1 != w->k->only))
				continue;
			plan.salad = salad;
			plan.chunked = bdat;
			plan.bare = bare && !bdat;
			c->jobs[c->n].bdat = bdat;
			c->jobs[c->n].odd = odd;
			mail_make(&c->jobs[c->n++].mail, &plan);
		}
	}
}

static void run(struct world *w)
{
	struct rig *r = w->rig;
	uint64_t end;

	while (rig_step(r, r->now_ns + 1)) /* nothing is due at once */
		;
	end = r->now_ns + 2000000000;
	while (r->now_ns < end) { /* health checks learn the backend's words */
		uint64_t at = next_act(w);

		if (!rig_step(r, at < end ? at : end) && at <= r->now_ns)
			act(w);
	}
	for (unsigned i = 0; i < w->k->clients; i++) {
		struct client *c = &w->clients[i];
		struct tcp_connect req = { .src = rig_client(i, i & 1),
			.dst = rig_server(i & 1),
			.dst_port = 25,
			.user = c };

		c->buffer = malloc(2 * MAIL_ROOM + 64);
		if (!c->buffer || tcp_connect(r->clients->stack, &req, r->now_ns, &c->conn) < 0)
			abort();
	}
	kick(r);
	end = r->now_ns + 3600ull * 1000000000;
	while (!all_over(w) && r->now_ns < end) {
		uint64_t at = next_act(w);

		rig_step(r, at < end ? at : end);
		if (at <= r->now_ns)
			act(w);
	}
}

/* ---- what must be true ---- */

static unsigned expected_code(const struct knobs *k, const bool hits[RULES], int32_t *ret_score)
{
	int32_t score = 0;

	for (unsigned i = 0; i < RULES; i++)
		score += hits[i] ? rule_rows[i].weight : 0;
	*ret_score = score;
	return hits[RULE_REFUSES] || score >= k->refuse ? 550 : hits[RULE_DEFERS] ? 451 : 250;
}

static void wrong(struct tried *t, const struct job *j, const char *what, const char *more)
{
	if (!t->why[0])
		snprintf(t->why, sizeof(t->why), "message %u (%s, %zu bytes): %s%s; answer: %s",
		    j->mail.plan.id, j->bdat ? "BDAT" : "DATA", j->mail.n, what, more, j->answer);
}

static void check_job(
    const struct world *w, const struct job *j, const bool hits[RULES], struct tried *t)
{
	const struct knobs *k = w->k;
	bool uncut = j->mail.n <= k->depth && k->decoded_depth >= MAIL_ROOM;
	int32_t score;
	unsigned code = expected_code(k, hits, &score);
	char text[32];

	snprintf(text, sizeof(text), "%u", code);
	if (j->code != code)
		wrong(t, j, "expected ", text);
	else if (code == 550 &&
		 !strstr(j->answer, hits[RULE_REFUSES]
					? score >= k->refuse ? "Refused by reputation" : "by content"
					: "Refused by reputation") &&
		 !(hits[RULE_REFUSES] && strstr(j->answer, "by content")))
		wrong(t, j, "refused for another reason", "");
	else if (j->copies != (code == 250))
		wrong(t, j, j->copies ? "kept by the mail server" : "lost", "");
	else if (j->altered)
		wrong(t, j, "altered", "");
	snprintf(text, sizeof(text), "%s%d.%02d", score < 0 ? "-" : "", abs(score) / 100,
	    abs(score) % 100);
	if (code == 250 && k->window > j->mail.n + 2000 && k->window_bytes == 0) {
		if (j->marked != (score >= k->mark))
			wrong(t, j, j->marked ? "marked" : "not marked", " in the window");
		else if (j->marked && strcmp(j->score, text))
			wrong(t, j, "marked with another score than ", text);
	}
	for (unsigned i = 0; i < RULES; i++) {
		if (uncut && !j->mail.plan.salad && j->mail.planted[i] && !hits[i])
			wrong(t, j, "the oracle does not find ", rule_rows[i].name);
		if (k->clients > 1)
			continue;
		/* what refuses by itself ends the scan where it is found */
		if (j->hits[i] > hits[i] ||
		    (j->hits[i] < hits[i] && (!hits[RULE_REFUSES] || i == RULE_REFUSES)))
			wrong(t, j,
			    j->hits[i] > 1         ? "counted twice: "
			    : j->hits[i] > hits[i] ? "hit though not in it: "
						   : "not hit: ",
			    rule_rows[i].name);
	}
	t->messages++;
	t->accepted += code == 250;
	t->refused += code == 550;
	t->deferred += code == 451;
}

static void check(struct world *w, struct oracle *o, struct tried *t)
{
	uint64_t least[RULES] = { 0 }, most[RULES] = { 0 }, found[RULES];

	_Static_assert(RULES <= sizeof(t->seen) / sizeof(t->seen[0]), "a mark a rule");
	for (unsigned i = 0; i < w->k->clients; i++) {
		struct client *c = &w->clients[i];

		for (unsigned n = 0; n < c->n; n++) {
			struct job *j = &c->jobs[n];
			bool hits[RULES];

			oracle_ask(o, j->mail.text, j->mail.n, w->k->depth, w->k->decoded_depth,
			    rcpt(j), hits);
			check_job(w, j, hits, t);
			for (unsigned r = 0; r < RULES; r++) {
				t->seen[r] |= hits[r];
				most[r] += hits[r];
				least[r] += hits[r] && (!hits[RULE_REFUSES] || r == RULE_REFUSES);
			}
		}
	}
	count(w, found);
	for (unsigned r = 0; r < RULES; r++)
		if ((found[r] < least[r] || found[r] > most[r]) && !t->why[0])
			snprintf(t->why, sizeof(t->why), "%s counted %u times, not %u to %u",
			    rule_rows[r].name, (unsigned)found[r], (unsigned)least[r],
			    (unsigned)most[r]);
}

static void learn_ids(struct world *w)
{
	unsigned n;

	policy_rules(w->rig->policy, &n);
	for (unsigned i = 0; i < n; i++) {
		const struct policy_rule *row = policy_rule(w->rig->policy, i);
		const char *name = policy_string(w->rig->policy, row->name);

		for (unsigned r = 0; r < RULES; r++)
			if (strncmp(name, "patterns.", 9) == 0 &&
			    strcmp(name + 9, rule_rows[r].name) == 0)
				w->ids[r] = row->id;
	}
}

void world_try(
    const struct knobs *k, struct oracle *o, const void *part, size_t part_len, struct tried *ret)
{
	struct world *w = calloc(1, sizeof(*w));
	struct rig_config config = { .seed = k->seed,
		.arg = w,
		.policy = policy,
		.no_clients = true,
		.no_backends = true,
		.clients_turn = clients_turn,
		.backends_turn = servers_turn,
		.worker_window_bytes = k->window_bytes,
		.outside = { .delay_ns = 50000 },
		.inside = { .delay_ns = 20000 } };

	assert(w && k->clients <= MAX_CLIENTS && k->messages <= MAX_MESSAGES);
	w->k = k;
	w->part = part;
	w->part_len = part_len;
	w->random = k->seed * 0x9e3779b97f4a7c15ull;
	plan_jobs(w);
	if (rig_new(&config, &w->rig) < 0) {
		fprintf(stderr, "property: no memory for a world\n");
		exit(2);
	}
	learn_ids(w);
	run(w);
	ret->why[0] = '\0';
	if (!all_over(w))
		snprintf(ret->why, sizeof(ret->why), "a session was open for an hour");
	else
		check(w, o, ret);
	for (unsigned i = 0; i < k->clients; i++) {
		struct client *c = &w->clients[i];

		if (c->conn)
			tcp_abort(w->rig->clients->stack, c->conn);
		free(c->buffer);
		for (unsigned n = 0; n < c->n; n++)
			mail_free(&c->jobs[n].mail);
	}
	for (unsigned i = 0; i < MAX_SERVERS; i++) {
		if (w->servers[i].conn)
			tcp_abort(w->rig->backends->stack, w->servers[i].conn);
		free(w->servers[i].text);
	}
	rig_free(w->rig);
	free(w);
}
