/* SPDX-License-Identifier: BSD-3-Clause */
/* What the lines of a conversation file do (README.md lists them). */
#include "steps.h"
#include "world_policy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static struct peer *client(struct run *r)
{
	unsigned n = r->step->which;

	if (n >= WORLD_CLIENTS) {
		run_fail(r, "no client %u", n);
		return NULL;
	}
	if (!r->w.clients[n]) {
		if (!world_connect(&r->w, n))
			run_fail(r, "client %u cannot connect", n);
		run_trace(r, "C%u connects", n);
	}
	return r->w.clients[n];
}

static struct peer *backend(struct run *r)
{
	return backend_number(r, r->step->which);
}

static struct peer *latest_backend(struct run *r)
{
	return backend_number(r, 0);
}

/* ---- `#` stands for the count in repeated lines ---- */

static void numbered(const char *text, unsigned long i, char *out, size_t cap)
{
	const char *hash = strchr(text, '#');

	if (hash)
		snprintf(out, cap, "%.*s%lu%s", (int)(hash - text), text, i, hash + 1);
	else
		snprintf(out, cap, "%s", text);
}

/* N bytes of text in lines of 78, some of which begin with a (stuffed) dot. */
static size_t body_line(char *out, size_t left, unsigned i)
{
	size_t n = left < 82 ? left - 2 : 78;

	memset(out, 'a' + (int)(i % 26), n);
	if (i % 7 == 3 && n > 2)
		memset(out, '.', 2);
	memcpy(out + n, "\r\n", 2);
	return n + 2;
}

/* ---- what most conversations begin with ---- */

/* Greeting and EHLO. */
static void hello(struct run *r, struct peer *p)
{
	expect_line(r, p, "220 *");
	peer_puts(p, "EHLO client.example");
	world_kick(&r->w);
	expect_reply(r, p, "250 *");
}

/* MAIL and one RCPT, taken by the backend. */
static void transaction(struct run *r, struct peer *p)
{
	struct peer *b;

	peer_puts(p, "MAIL FROM:<a@example.net>");
	world_kick(&r->w);
	expect_line(r, p, "250 *");
	peer_puts(p, "RCPT TO:<u@example.org>");
	world_kick(&r->w);
	if (r->w.mode != BACKEND_ALL && !r->failed && (b = latest_backend(r))) {
		expect_line(r, b, "MAIL FROM:<a@example.net>*");
		peer_puts(b, "250 2.1.0 Ok");
		world_kick(&r->w);
		expect_line(r, b, "RCPT TO:<u@example.org>");
		peer_puts(b, "250 2.1.5 Ok");
		world_kick(&r->w);
	}
	expect_line(r, p, "250 *");
}

/* ---- steps ---- */

static void client_does(struct run *r, struct peer *p, char *text)
{
	char *word = script_word(&text), line[256];
	unsigned long n;

	if (!strcmp(word, "close")) {
		peer_close(p);
	} else if (!strcmp(word, "abort")) {
		peer_abort(p);
	} else if (!strcmp(word, "deaf")) {
		r->w.rig->clients_deaf = true;
	} else if (!strcmp(word, "connect")) {
		r->peer = p;
		if (!wait_ms(r, WAIT_MS, is_open) || !p->open)
			run_fail(r, "not connected");
	} else if (!strcmp(word, "reconnect")) {
		if (!world_connect(&r->w, r->step->which))
			run_fail(r, "cannot connect");
	} else if (!strcmp(word, "hello")) {
		hello(r, p);
	} else if (!strcmp(word, "transaction")) {
		transaction(r, p);
	} else if (!strcmp(word, "body")) {
		n = strtoul(text, NULL, 10);
		for (unsigned i = 0; n > 2; i++) {
			size_t len = body_line(line, n, i);

			peer_write(p, line, len);
			n -= len;
		}
	} else if (!strcmp(word, "fill")) {
		for (n = strtoul(text, NULL, 10); n; n--)
			peer_write(p, "x", 1);
	} else if (!strcmp(word, "repeat")) {
		n = strtoul(text, &text, 10);
		for (unsigned long i = 1; i <= n; i++) {
			numbered(text + (*text == ' '), i, line, sizeof(line));
			peer_puts(p, line);
		}
	} else {
		run_fail(r, "no such action: %s", word);
	}
}

static void server_does(struct run *r, struct peer *p, char *text)
{
	char *word = script_word(&text);

	r->peer = p;
	if (!strcmp(word, "close")) {
		/* In good order: FIN after all that was said. */
		if (!wait_ms(r, WAIT_MS, has_ended) || p->reset || p->timeout)
			run_fail(r, "expected a close, %s", p->reset ? "got a reset" : "still open");
		else if (p->taken < p->n_lines)
			run_fail(r, "said before the close: `%.*s`", (int)p->lines[p->taken].len,
			    p->lines[p->taken].p);
	} else if (!strcmp(word, "gone")) {
		if (!wait_ms(r, WAIT_MS, has_ended))
			run_fail(r, "expected an end, still open");
	} else if (!strcmp(word, "reset")) {
		wait_ms(r, WAIT_MS, has_ended);
		if (!p->reset)
			run_fail(r, "expected a reset");
	} else if (!strcmp(word, "silent")) {
		wait_ms(r, QUIET_MS, never);
		if (p->taken < p->n_lines || p->parsed < p->n_in)
			run_fail(r, "expected silence, got `%.*s`", (int)(p->n_in - p->parsed),
			    p->in + p->parsed);
		if (peer_ended(p))
			run_fail(r, "expected silence, the connection has ended");
	} else if (!strcmp(word, "unfinished")) {
		run_trace(r, "S%u has `%.*s`", r->step->which, (int)(p->n_in - p->parsed),
		    p->in + p->parsed);
		if (p->taken < p->n_lines || p->parsed == p->n_in)
			run_fail(r, "expected a line begun and not ended");
	} else if (!strcmp(word, "refused")) {
		wait_ms(r, WAIT_MS, has_ended);
		if (p->open || p->conn)
			run_fail(r, "expected no connection");
	} else if (!strcmp(word, "repeat")) {
		char line[256];
		unsigned long n = strtoul(text, &text, 10);

		for (unsigned long i = 1; i <= n && !r->failed; i++) {
			numbered(text + (*text == ' '), i, line, sizeof(line));
			expect_line(r, p, line);
		}
	} else {
		run_fail(r, "no such expectation: %s", word);
	}
}

static void expect_proxy(struct run *r, struct peer *p, const char *text)
{
	unsigned n = (unsigned)strtoul(text, NULL, 10);
	struct ip_addr want = rig_client(r->w.client_address[n], r->w.v6);
	struct ip_addr own = rig_server(r->w.v6);

	next_line(r, p);
	if (p->taken)
		p->taken--;
	if (!p->proxy_seen || p->proxy_local)
		run_fail(r, "no PROXY header with an address came");
	else if (!ip_addr_eq(&p->proxy_src, &want) || !ip_addr_eq(&p->proxy_dst, &own) ||
		 p->proxy_dst_port != 25)
		run_fail(r, "the PROXY header names another client");
}

static void expect_body(struct run *r, struct peer *p, unsigned long n)
{
	char line[256];

	for (unsigned i = 0; n > 2 && !r->failed; i++) {
		size_t len = body_line(line, n, i);
		const struct peer_line *l = next_line(r, p);

		if (!l || l->len != len - 2 || memcmp(l->p, line, l->len) != 0)
			run_fail(r, "line %u of the body is missing or altered", i + 1);
		n -= len;
	}
}

/* The next line is so long, and all of it x. */
static void expect_length(struct run *r, struct peer *p, unsigned long n)
{
	const struct peer_line *l = next_line(r, p);

	if (!l || l->len != n || strspn(l->p, "x") < n)
		run_fail(r, "expected a line of %lu, got %zu", n, l ? l->len : 0);
}

/* "N PATTERN": so many lines of all backend connections match. */
static void expect_lines(struct run *r, char *text)
{
	unsigned long want = strtoul(text, &text, 10), have = 0;

	wait_ms(r, QUIET_MS, never);
	for (unsigned i = 0; i < r->w.n_backends; i++) {
		const struct peer *p = r->w.backends[i];

		for (unsigned k = 0; k < p->n_lines; k++)
			have += script_match(text + (*text == ' '), p->lines[k].p, p->lines[k].len);
	}
	if (have != want)
		run_fail(r, "%lu lines came to the backends, not %lu", have, want);
}

static void backend_does(struct run *r, char *text)
{
	char *word = script_word(&text);

	if (!strcmp(word, "none")) {
		wait_ms(r, QUIET_MS, never);
		if (r->w.n_backends)
			run_fail(r, "%u connections to backends came", r->w.n_backends);
		return;
	}
	if (!strcmp(word, "count")) {
		wait_ms(r, QUIET_MS, never);
		if (r->w.n_backends != strtoul(text, NULL, 10))
			run_fail(r, "%u connections to backends came", r->w.n_backends);
		return;
	}
	if (!strcmp(word, "refuse") || !strcmp(word, "serve")) {
		for (unsigned i = 0; i < r->w.n_servers; i++) {
			if (!*text || !strcmp(text, r->w.servers[i].name))
				r->w.servers[i].refuses = *word == 'r';
		}
		return;
	}
	if (!strcmp(word, "lines")) {
		expect_lines(r, text);
		return;
	}
	struct peer *p = backend(r);

	if (!p)
		return;
	r->peer = p;
	if (!strcmp(word, "close"))
		peer_close(p);
	else if (!strcmp(word, "abort"))
		peer_abort(p);
	else if (!strcmp(word, "proxy"))
		expect_proxy(r, p, text);
	else if (!strcmp(word, "body"))
		expect_body(r, p, strtoul(text, NULL, 10));
	else if (!strcmp(word, "length"))
		expect_length(r, p, strtoul(text, NULL, 10));
	else if (!strcmp(word, "server")) {
		if (strcmp(r->w.servers[p->server].name, text) != 0)
			run_fail(r, "connected to %s", r->w.servers[p->server].name);
	} else if (!strcmp(word, "gone")) {
		/* Ended without another word: what had begun cannot be delivered. */
		if (!wait_ms(r, WAIT_MS, has_ended))
			run_fail(r, "expected the backend's connection to end");
		else if (p->taken < p->n_lines)
			run_fail(r, "said before: `%.*s`", (int)p->lines[p->taken].len,
			    p->lines[p->taken].p);
	} else if (!strcmp(word, "ended")) {
		if (!wait_ms(r, WAIT_MS, has_ended))
			run_fail(r, "expected the backend's connection to end");
		p->taken = p->n_lines;
	} else if (!strcmp(word, "open") || !strcmp(word, "silent")) {
		wait_ms(r, QUIET_MS, never);
		if (peer_ended(p))
			run_fail(r, "the backend's connection has ended");
		else if (p->taken < p->n_lines && *word == 's')
			run_fail(r, "expected silence, got `%.*s`", (int)p->lines[p->taken].len,
			    p->lines[p->taken].p);
	} else {
		run_fail(r, "no such action: %s", word);
	}
}

static void do_to_worker(struct run *r, char *text)
{
	char *word = script_word(&text);

	if (!strcmp(word, "drain")) {
		worker_drain(r->w.rig->worker);
		r->w.rig->out.busy = true;
	} else if (!strcmp(word, "server")) { /* X server INDEX drain|undrain */
		unsigned index = (unsigned)strtoul(script_word(&text), NULL, 10);

		worker_backend_drain(r->w.rig->worker, index, !strcmp(script_word(&text), "drain"));
	} else if (!strcmp(word, "idle")) {
		wait_ms(r, WAIT_MS, never);
		if (!worker_is_idle(r->w.rig->worker))
			run_fail(r, "the worker is not idle");
	} else if (!strcmp(word, "busy")) {
		if (worker_is_idle(r->w.rig->worker))
			run_fail(r, "the worker is idle");
	} else if (!strcmp(word, "pass-all")) { /* X pass-all 10m|off */
		unsigned long long ns = 0;

		if (strcmp(text, "off") != 0 && !script_duration(text, &ns))
			run_fail(r, "not a duration: %s", text);
		r->w.rig->pass_all_until_s =
		    ns ? (uint32_t)((r->w.rig->now_ns + ns) / 1000000000u) : 0;
	} else if (!strcmp(word, "confirm")) { /* X confirm DURATION|never */
		unsigned long long ns = UINT64_MAX;

		if (strcmp(text, "never") != 0 && !script_duration(text, &ns))
			run_fail(r, "not a duration: %s", text);
		r->w.rig->config.confirm_ns = ns;
	} else if (!strcmp(word, "counter")) { /* X counter NAME N */
		expect_counter(r, text);
	} else if (!strcmp(word, "ehlo")) {
		if (!world_ehlo(&r->w, text))
			run_fail(r, "%s", r->w.error);
	} else if (!strcmp(word, "policy")) {
		if (!world_change(&r->w, text))
			run_fail(r, "%s", r->w.error);
	} else {
		run_fail(r, "no such thing to do: %s", word);
	}
}

static void client_step(struct run *r, const struct script_line *l, char *copy)
{
	struct peer *p = client(r);

	if (!p || r->failed)
		return;
	if (l->what == '!') {
		run_trace(r, "C%u ! %s", l->which, l->text);
		client_does(r, p, copy);
	} else {
		run_trace(r, "C%u %s", l->which, l->text);
		peer_write(p, l->text, l->len);
		if (l->what == ':')
			peer_write(p, "\r\n", 2);
	}
}

static void server_step(struct run *r, const struct script_line *l, char *copy)
{
	struct peer *p = client(r);

	if (!p || r->failed)
		return;
	switch (l->what) {
	case ':': expect_line(r, p, l->text); break;
	case '*': expect_reply(r, p, l->text); break;
	case '+':
	case '-': expect_word(r, p, l->text, l->what == '+'); break;
	default: server_does(r, p, copy);
	}
}

static void backend_step(struct run *r, const struct script_line *l, char *copy)
{
	if (l->what == '!') {
		run_trace(r, "B%u ! %s", l->which, l->text);
		backend_does(r, copy);
		return;
	}
	struct peer *p = backend(r);

	if (!p)
		return;
	if (l->what == '<') {
		expect_line(r, p, l->text);
	} else {
		run_trace(r, "B%u > %s", l->which, l->text);
		world_backend_says(&r->w, p, l->text);
	}
}

void run_step(struct run *r, const struct script_line *l)
{
	char *copy = malloc(l->len + 1);
	unsigned long long ns;

	assert(copy);
	memcpy(copy, l->text, l->len + 1);
	r->step = l;
	switch (l->who) {
	case 'C': client_step(r, l, copy); break;
	case 'S': server_step(r, l, copy); break;
	case 'B': backend_step(r, l, copy); break;
	case 'X': do_to_worker(r, copy); break;
	case 'E': expect_event(r, copy); break;
	case 'T':
		run_trace(r, "T %s", l->text);
		if (l->text[0] != '+' || !script_duration(l->text + 1, &ns))
			run_fail(r, "not a duration: %s", l->text);
		else
			world_run(&r->w, ns, never, NULL);
		break;
	case '@': break;
	default: run_fail(r, "this line is for postern-try alone");
	}
	free(copy);
	world_kick(&r->w);
}
