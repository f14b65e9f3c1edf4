/* SPDX-License-Identifier: BSD-3-Clause */
/* What a conversation waits for and compares. */
#include "steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- telling ---- */

void run_trace(struct run *r, const char *format, ...)
{
	char text[TRACE_LEN];
	va_list args;
	int n =
	    snprintf(text, sizeof(text), "%9.3f ", (double)(r->w.rig->now_ns - r->began_ns) / 1e9);

	va_start(args, format);
	vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
	va_end(args);
	for (char *p = text; *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = '?';
	}
	if (r->verbose)
		printf("# %s\n", text);
	memcpy(r->trace[r->n_trace++ % TRACE], text, sizeof(text));
}

void run_fail(struct run *r, const char *format, ...)
{
	va_list args;

	if (r->failed)
		return;
	r->failed = true;
	for (unsigned i = r->n_trace < TRACE ? 0 : r->n_trace - TRACE;
	     !r->verbose && i < r->n_trace; i++)
		printf("# %s\n", r->trace[i % TRACE]);
	printf("# %s:%u: ", r->w.script->path, r->step ? r->step->number : 0);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/* ---- waiting ---- */

static bool has_line(void *arg)
{
	struct run *r = arg;

	return r->peer->taken < r->peer->n_lines || peer_ended(r->peer);
}

bool has_ended(void *arg)
{
	return peer_ended(((struct run *)arg)->peer);
}

bool is_open(void *arg)
{
	struct run *r = arg;

	return r->peer->open || !r->peer->conn;
}

static bool has_backend(void *arg)
{
	struct run *r = arg;

	return r->w.n_backends >= r->want_backends;
}

bool never(void *arg)
{
	(void)arg;
	return false;
}

bool wait_ms(struct run *r, uint64_t ms, bool (*done)(void *arg))
{
	return world_run(&r->w, ms * 1000000, done, r);
}

const struct peer_line *next_line(struct run *r, struct peer *p)
{
	r->peer = p;
	wait_ms(r, WAIT_MS, has_line);
	return p->taken < p->n_lines ? &p->lines[p->taken++] : NULL;
}

struct peer *backend_number(struct run *r, unsigned n)
{
	r->want_backends = n ? n : 1;
	if (!wait_ms(r, WAIT_MS, has_backend)) {
		run_fail(r, "no connection to a backend came (want %u, have %u)", r->want_backends,
		    r->w.n_backends);
		return NULL;
	}
	return r->w.backends[(n ? n : r->w.n_backends) - 1];
}

/* ---- comparing ---- */

void expect_line(struct run *r, struct peer *p, const char *pattern)
{
	const struct peer_line *l = next_line(r, p);

	if (!l) {
		run_fail(r, "expected `%s`, %s", pattern,
		    p->conn ? p->eof ? "the other side closed" : "nothing came"
			    : "the connection has ended");
		return;
	}
	run_trace(r, "%c%u %.*s", r->step->who, r->step->which, (int)l->len, l->p);
	if (!script_match(pattern, l->p, l->len))
		run_fail(r, "expected `%s`, got `%.*s`", pattern,
		    (int)(l->len < 300 ? l->len : 300), l->p);
}

void expect_reply(struct run *r, struct peer *p, const char *pattern)
{
	unsigned n = r->step->which, first = p->taken;
	const struct peer_line *l;

	do {
		l = next_line(r, p);
		if (!l) {
			run_fail(r, "expected a reply `%s`, nothing came", pattern);
			return;
		}
		run_trace(r, "S%u %.*s", n, (int)l->len, l->p);
		if (l->len < 3 || memcmp(l->p, p->lines[first].p, 3) != 0)
			run_fail(r, "not a line of the same reply: `%.*s`", (int)l->len, l->p);
	} while (!r->failed && l->len > 3 && l->p[3] == '-');
	r->reply_from[n] = first;
	r->reply_to[n] = p->taken;
	if (!r->failed && !script_match(pattern, l->p, l->len))
		run_fail(r, "expected `%s`, got `%.*s`", pattern, (int)l->len, l->p);
}

void expect_word(struct run *r, struct peer *p, const char *word, bool wanted)
{
	bool found = false;

	for (unsigned i = r->reply_from[r->step->which]; i < r->reply_to[r->step->which]; i++) {
		const struct peer_line *l = &p->lines[i];

		if (l->len > 4 && script_match(word, l->p + 4, l->len - 4))
			found = true;
	}
	if (found != wanted)
		run_fail(r, "the reply %s `%s`", wanted ? "lacks" : "has", word);
}

static const char *const phase_names[PHASE_N] = { "syn", "connect", "helo", "mail", "rcpt", "data",
	"body" };

static unsigned n_hits(const struct event *e, unsigned shadow)
{
	unsigned n = 0;

	for (unsigned i = 0; i < e->n_rules; i++)
		n += (e->rules[i] & RULE_ID_SHADOW) == shadow;
	return n;
}

/* E session verdict=refuse phase=rcpt reason=LISTED code=550 messages=1 */
static bool event_has(const struct event *e, const char *key, const char *value)
{
	unsigned long n = strtoul(value, NULL, 10);

	if (!strcmp(key, "verdict"))
		return !strcmp(verdict_words[e->verdict], value);
	if (!strcmp(key, "phase"))
		return !strcmp(phase_names[e->phase], value);
	if (!strcmp(key, "reason"))
		return !strcasecmp(reason_infos[e->reason].name, value);
	if (!strcmp(key, "code"))
		return e->last_code == n;
	if (!strcmp(key, "messages"))
		return e->messages == n;
	if (!strcmp(key, "rcpts"))
		return e->rcpts == n;
	if (!strcmp(key, "hits"))
		return n_hits(e, 0) == n;
	if (!strcmp(key, "shadow"))
		return n_hits(e, RULE_ID_SHADOW) == n;
	if (!strcmp(key, "pass_all"))
		return e->pass_all == (n != 0);
	if (!strcmp(key, "marks_late"))
		return e->marks_late == n;
	if (!strcmp(key, "backend_refused"))
		return e->backend_refused == n;
	if (!strcmp(key, "backend_code"))
		return e->backend_code == n;
	return !strcmp(key, "helo") && !strcmp(e->helo, value);
}

void expect_event(struct run *r, char *text)
{
	static const char *const kinds[] = { [EVENT_SESSION] = "session",
		[EVENT_REFUSED_SYN] = "refused-syn",
		[EVENT_BACKEND_UP] = "backend-up",
		[EVENT_BACKEND_DOWN] = "backend-down",
		[EVENT_POSSIBLE_DOUBLE] = "possible-double" };
	char *kind = script_word(&text), *word;
	struct {
		char *key, *value;
	} wanted[8];
	unsigned n = 0;
	bool none = !strcmp(kind, "none");

	if (none)
		kind = script_word(&text);
	while ((word = script_word(&text)) && n < 8) {
		wanted[n].key = word;
		wanted[n++].value = script_value(word);
	}
	wait_ms(r, QUIET_MS, never);
	for (unsigned i = 0; i < r->w.n_events; i++) {
		const struct event *e = &r->w.events[i];
		bool fits = !r->w.event_taken[i] && !strcmp(kinds[e->kind], kind);

		for (unsigned k = 0; k < n && fits; k++)
			fits = wanted[k].value && event_has(e, wanted[k].key, wanted[k].value);
		if (fits && none)
			run_fail(r, "there is such an event: %s", r->step->text);
		if (fits) {
			r->w.event_taken[i] = true;
			return;
		}
	}
	if (none)
		return;
	run_fail(r, "no such event: %s", r->step->text);
	for (unsigned i = 0; i < r->w.n_events; i++) {
		const struct event *e = &r->w.events[i];

		printf("#   was: %s verdict=%s phase=%s reason=%s code=%u messages=%u rcpts=%u\n",
		    kinds[e->kind], verdict_words[e->verdict], phase_names[e->phase],
		    reason_infos[e->reason].name, e->last_code, e->messages, e->rcpts);
	}
}

void expect_counter(struct run *r, char *text)
{
	const char *name = script_word(&text);
	uint64_t count;

	if (!rig_counter(r->w.rig, name, &count))
		run_fail(r, "no such counter: %s", name);
	else if (count != strtoull(text, NULL, 10))
		run_fail(r, "%s is %llu", name, (unsigned long long)count);
}

void expect_nothing_left(struct run *r)
{
	wait_ms(r, QUIET_MS, never);
	for (unsigned i = 0; i < WORLD_CLIENTS; i++) {
		const struct peer *p = r->w.clients[i];

		if (p && p->taken < p->n_lines)
			run_fail(r, "left at client %u: `%.*s`", i, (int)p->lines[p->taken].len,
			    p->lines[p->taken].p);
	}
	for (unsigned i = 0; i < r->w.n_backends && r->w.mode != BACKEND_ALL; i++) {
		const struct peer *p = r->w.backends[i];

		if (p->taken < p->n_lines)
			run_fail(r, "left at backend connection %u: `%.*s`", i + 1,
			    (int)p->lines[p->taken].len, p->lines[p->taken].p);
	}
}
