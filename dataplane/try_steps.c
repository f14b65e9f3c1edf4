/* SPDX-License-Identifier: BSD-3-Clause */
/* What the lines of a script do (try.h; postern-try(1) lists them). */
#include "try.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- telling ---- */

__attribute__((format(printf, 3, 4))) static void tell(
    struct try *t, const char *who, const char *format, ...)
{
	double at = (double)(t->rig->now_ns - t->began_ns) / 1e9;
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *p = text; *p; p++) /* of clients and servers: for a terminal and for JSON */
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	if (t->json)
		json_array_append_new(
		    t->lines, json_pack("{s:f, s:i, s:s, s:s}", "at_s", at, "line",
				  t->step ? (int)t->step->number : 0, "who", who, "text", text));
	else
		printf("%9.3f  %-3s  %s\n", at, who, text);
}

__attribute__((format(printf, 2, 3))) static void fail(struct try *t, const char *format, ...)
{
	va_list args;

	if (t->failed)
		return;
	t->failed = true;
	t->failed_line = t->step ? t->step->number : 0;
	va_start(args, format);
	vsnprintf(t->failure, sizeof(t->failure), format, args);
	va_end(args);
}

const char *try_rule(const struct try *t, unsigned hit)
{
	const struct policy_rule *rule = policy_rule_by_id(t->policy, hit & RULE_ID_MASK);

	return rule ? policy_string(t->policy, rule->name) : "?";
}

/* ---- clients and name service ---- */

void try_clients_turn(void *arg)
{
	struct try *t = arg;
	struct tcp_conn *c;
	unsigned events;
	size_t len;

	while ((c = stack_next_ready(t->rig->clients->stack, &events))) {
		struct peer *p = tcp_user(c);

		if (!p)
			continue;
		peer_event(p, events);
		while (p->n_lines < PEER_LINES && peer_find_line(p, &len))
			peer_cut(p, len, 2);
	}
}

void try_on_event(void *arg, const struct event *e)
{
	struct try *t = arg;

	if (t->n_events < TRY_EVENTS && (e->kind == EVENT_SESSION || e->kind == EVENT_REFUSED_SYN))
		t->events[t->n_events++] = *e;
}

void try_answer(void *arg, const struct question *q)
{
	struct try *t = arg;
	struct answer answer;

	model_names_answer(&t->names, q, &answer);
	rig_answer(t->rig, &answer); /* no room: as if nobody had answered */
}

/* N listed NAME,...|nowhere; N host NAME|none|unconfirmed; N sender ...; N spf ... */
static void say_of_names(struct try *t, char *text)
{
	static const char *const senders[] = { "exists", "none", "failed", "", "null-mx", NULL };
	static const char *const spf[] = { "none", "neutral", "pass", "fail", "softfail",
		"temperror", "permerror", NULL };
	const struct policy_dns *dns = &policy_settings(t->policy)->dns;
	char *what = script_word(&text), *word = script_word(&text);

	if (!what || !word) {
		fail(t, "say `N listed NAME`, `N host NAME`, `N sender none` or `N spf fail`");
	} else if (!strcmp(what, "listed")) {
		t->names.listed = 0;
		for (char *save = NULL, *name = strtok_r(word, ",", &save); name;
		     name = strtok_r(NULL, ",", &save)) {
			bool found = !strcmp(name, "nowhere");

			for (unsigned i = 0; i < dns->n_lists; i++) {
				const struct policy_rule *rule =
				    policy_rule(t->policy, dns->lists[i].rule);
				const char *full = policy_string(t->policy, rule->name);
				const char *dot = strchr(full, '.');

				if (strcmp(full, name) != 0 && (!dot || strcmp(dot + 1, name) != 0))
					continue;
				t->names.listed |= 1u << i;
				found = true;
			}
			if (!found)
				fail(t, "the policy has no DNS list \"%s\"", name);
		}
	} else if (!strcmp(what, "host")) {
		t->names.host = !strcmp(word, "none")          ? ANSWER_NONE
				: !strcmp(word, "unconfirmed") ? ANSWER_UNCONFIRMED
							       : ANSWER_FOUND;
		snprintf(t->host_name, sizeof(t->host_name), "%.254s",
		    t->names.host == ANSWER_FOUND ? word : "");
		t->names.host_name = t->host_name;
	} else {
		const char *const *words = !strcmp(what, "sender") ? senders
					   : !strcmp(what, "spf")  ? spf
								   : NULL;
		unsigned i = 0;

		while (words && words[i] && strcmp(words[i], word) != 0)
			i++;
		if (!words || !words[i])
			fail(t, "\"%s %s\" is nothing that name service says", what, word);
		else if (words == spf)
			t->names.spf = (uint8_t)(FACT_SPF_NONE + i);
		else
			t->names.sender = (uint8_t)i;
	}
}

static void connect_client(struct try *t, unsigned n)
{
	bool v6 = !ip_addr_is_v4(&t->address[n]);
	struct tcp_connect req = { .src = t->address[n],
		.dst = rig_server(v6),
		.dst_port = policy_settings(t->policy)->listeners[0].port,
		.transparent = true };
	char who[8], text[INET6_ADDRSTRLEN];
	struct tcp_conn *c;

	peer_free(t->clients[n]);
	t->clients[n] = peer_new(t->rig->clients->stack, NULL);
	req.user = t->clients[n];
	snprintf(who, sizeof(who), "C%u", n);
	inet_ntop(v6 ? AF_INET6 : AF_INET, t->address[n].b + (v6 ? 0 : 12), text, sizeof(text));
	tell(t, who, "(connects from %s)", text);
	if (tcp_connect(t->rig->clients->stack, &req, t->rig->now_ns, &c) < 0)
		fail(t, "client %u cannot connect", n);
	else
		t->clients[n]->conn = c;
}

static struct peer *client(struct try *t)
{
	unsigned n = t->step->which;

	if (n == 0 || n >= TRY_CLIENTS) {
		fail(t, "clients are 1 to %d", TRY_CLIENTS - 1);
		return NULL;
	}
	if (!t->clients[n])
		connect_client(t, n);
	return t->failed ? NULL : t->clients[n];
}

/* ---- waiting ---- */

static bool has_line(void *arg)
{
	const struct try *t = arg;

	return t->waited->taken < t->waited->n_lines || peer_ended(t->waited);
}

static bool has_ended(void *arg)
{
	return peer_ended(((const struct try *)arg)->waited);
}

static bool is_open(void *arg)
{
	const struct try *t = arg;

	return t->waited->open || !t->waited->conn;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static bool wait_for(struct try *t, struct peer *p, uint64_t ms, bool (*done)(void *arg))
{
	t->waited = p;
	return rig_run(t->rig, ms * 1000000, done, t);
}

static const struct peer_line *next_line(struct try *t, struct peer *p)
{
	const struct peer_line *l = NULL;
	char who[8];

	wait_for(t, p, TRY_WAIT_MS, has_line);
	if (p->taken < p->n_lines)
		l = &p->lines[p->taken++];
	snprintf(who, sizeof(who), "S%u", t->step->which);
	if (l)
		tell(t, who, "%.*s", (int)l->len, l->p);
	return l;
}

static void expect(struct try *t, struct peer *p, const char *pattern, bool whole)
{
	const struct peer_line *l;

	do {
		l = next_line(t, p);
		if (!l) {
			fail(t, "expected `%s`, %s", pattern,
			    p->conn && p->eof ? "the appliance closed"
			    : p->conn         ? "nothing came"
					      : "the connection has ended");
			return;
		}
	} while (whole && l->len > 3 && l->p[3] == '-');
	if (!script_match(pattern, l->p, l->len))
		fail(t, "expected `%s`, got `%.*s`", pattern, (int)(l->len < 300 ? l->len : 300),
		    l->p);
}

/* ---- steps ---- */

static void write_body(struct peer *p, unsigned long n)
{
	static const char line[] =
	    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.\r\n";

	for (; n > 0;) {
		size_t len = sizeof(line) - 1 < n ? sizeof(line) - 1 : n;

		if (len < 2)
			break;
		if (len < sizeof(line) - 1) {
			peer_write(p, line, len - 2);
			peer_write(p, "\r\n", 2);
		} else {
			peer_write(p, line, len);
		}
		n -= len;
	}
}

/* EHLO and its reply, or MAIL and one RCPT; each answer as it should be. */
static void greet_or_open(struct try *t, struct peer *p, const char *who, bool hello)
{
	static const char *const lines[][2] = { { "EHLO client.example", NULL },
		{ "MAIL FROM:<a@example.net>", "RCPT TO:<u@example.org>" } };

	if (hello)
		expect(t, p, "220 *", true);
	for (unsigned i = 0; i < 2 && !t->failed; i++) {
		const char *line = lines[!hello][i];

		if (!line)
			break;
		tell(t, who, "%s", line);
		peer_puts(p, line);
		expect(t, p, "250 *", true);
	}
}

static void client_does(struct try *t, struct peer *p, char *text)
{
	char *word = script_word(&text);
	char who[8];

	snprintf(who, sizeof(who), "C%u", t->step->which);
	tell(t, who, "(%s)", t->step->text);
	if (!word) {
		fail(t, "what is the client to do?");
	} else if (!strcmp(word, "close")) {
		peer_close(p);
	} else if (!strcmp(word, "abort")) {
		peer_abort(p);
	} else if (!strcmp(word, "connect")) {
		if (!wait_for(t, p, TRY_WAIT_MS, is_open) || !p->open)
			fail(t, "not connected");
	} else if (!strcmp(word, "reconnect")) {
		connect_client(t, t->step->which);
	} else if (!strcmp(word, "hello") || !strcmp(word, "transaction")) {
		greet_or_open(t, p, who, *word == 'h');
	} else if (!strcmp(word, "body")) {
		unsigned long n = strtoul(text, NULL, 10);

		if (n > TRY_BODY_MAX)
			fail(t, "a body of %d bytes at most", TRY_BODY_MAX);
		else
			write_body(p, n);
	} else {
		fail(t,
		    "no such action: %s; there are hello transaction connect reconnect close abort "
		    "body",
		    word);
	}
}

static void server_does(struct try *t, struct peer *p, char *text)
{
	const char *word = script_word(&text);
	char who[8];

	snprintf(who, sizeof(who), "S%u", t->step->which);
	if (word && (!strcmp(word, "close") || !strcmp(word, "gone"))) {
		if (!wait_for(t, p, TRY_WAIT_MS, has_ended))
			fail(t, "expected an end, still open");
		else if (p->taken < p->n_lines)
			fail(t, "said before the end: `%.*s`", (int)p->lines[p->taken].len,
			    p->lines[p->taken].p);
		else if (*word == 'c' && (p->reset || p->timeout))
			fail(t, "expected a close, the connection was %s",
			    p->reset ? "reset" : "not answered");
		else
			tell(t, who, "(%s)", p->reset ? "reset" : "closed");
	} else if (word && !strcmp(word, "reset")) {
		wait_for(t, p, TRY_WAIT_MS, has_ended);
		if (!p->reset)
			fail(t, "expected a reset");
		else
			tell(t, who, "(reset)");
	} else if (word && !strcmp(word, "silent")) {
		wait_for(t, p, TRY_QUIET_MS, never);
		if (p->taken < p->n_lines)
			fail(t, "expected silence, got `%.*s`", (int)p->lines[p->taken].len,
			    p->lines[p->taken].p);
		else
			tell(t, who, "(silent)");
	} else {
		fail(t, "no such expectation: %s; there are close gone reset silent",
		    word ? word : "");
	}
}

static bool has_rule(const struct try *t, const struct event *e, unsigned shadow, const char *name)
{
	for (unsigned i = 0; i < e->n_rules; i++)
		if ((e->rules[i] & RULE_ID_SHADOW) == shadow &&
		    !strcmp(try_rule(t, e->rules[i]), name))
			return true;
	return false;
}

static bool is_key(const char *word)
{
	static const char *const keys[] = { "verdict", "phase", "reason", "rule", "shadow", "code",
		"messages", "rcpts", NULL };

	for (unsigned i = 0; keys[i]; i++)
		if (!strcmp(keys[i], word))
			return true;
	return false;
}

static bool event_has(const struct try *t, const struct event *e, const char *key, const char *value)
{
	unsigned long n = strtoul(value, NULL, 10);

	if (!strcmp(key, "verdict"))
		return !strcmp(verdict_words[e->verdict], value);
	if (!strcmp(key, "phase"))
		return !strcmp(phase_words[e->phase], value);
	if (!strcmp(key, "reason"))
		return !strcasecmp(reason_infos[e->reason].name, value);
	if (!strcmp(key, "rule"))
		return has_rule(t, e, 0, value);
	if (!strcmp(key, "shadow"))
		return has_rule(t, e, RULE_ID_SHADOW, value);
	if (!strcmp(key, "code"))
		return e->last_code == n;
	if (!strcmp(key, "messages"))
		return e->messages == n;
	return !strcmp(key, "rcpts") && e->rcpts == n;
}

/* E session KEY=VALUE ...: of a session that has ended, or was refused at the SYN */
static void expect_session(struct try *t, char *text)
{
	char *word = script_word(&text);
	struct {
		const char *key, *value;
	} wanted[8];
	unsigned n = 0;

	if (!word || strcmp(word, "session") != 0) {
		fail(t, "say `E session KEY=VALUE ...`");
		return;
	}
	for (; (word = script_word(&text)) && n < 8; n++) {
		wanted[n].value = script_value(word);
		wanted[n].key = word;
		if (!wanted[n].value) {
			fail(t, "\"%s\" is no KEY=VALUE", word);
			return;
		}
		if (!is_key(word)) {
			fail(t,
			    "no such key: %s; there are verdict phase reason rule shadow code "
			    "messages rcpts",
			    word);
			return;
		}
	}
	rig_run(t->rig, TRY_QUIET_MS * 1000000ull, never, t);
	for (unsigned i = 0; i < t->n_events; i++) {
		bool fits = !t->event_taken[i];

		for (unsigned k = 0; k < n && fits; k++)
			fits = event_has(t, &t->events[i], wanted[k].key, wanted[k].value);
		if (fits) {
			t->event_taken[i] = true;
			return;
		}
	}
	fail(t, "no session ended so: %s", t->step->text);
}

/* @client [NUMBER] ADDRESS */
static void set_address(struct try *t, char *text)
{
	char *word = script_word(&text), *second = script_word(&text);
	unsigned long n = second ? strtoul(word, NULL, 10) : 1;
	const char *address = second ? second : word;
	uint8_t b[16];

	if (n < 1 || n >= TRY_CLIENTS || !address)
		fail(t, "say `@client ADDRESS` or `@client NUMBER ADDRESS`, numbers 1 to %d",
		    TRY_CLIENTS - 1);
	else if (inet_pton(AF_INET, address, b) == 1)
		t->address[n] = ip_addr_from_v4(b);
	else if (inet_pton(AF_INET6, address, b) == 1)
		t->address[n] = ip_addr_from_v6(b);
	else
		fail(t, "\"%s\" is no address", address);
}

/* X pass-all 10m|off */
static void do_to_appliance(struct try *t, char *text)
{
	const char *word = script_word(&text);
	unsigned long long ns = 0;

	if (!word || strcmp(word, "pass-all") != 0 ||
	    (strcmp(text, "off") != 0 && !script_duration(text, &ns)))
		fail(t, "say `X pass-all 10m` or `X pass-all off`");
	else
		t->rig->pass_all_until_s = ns ? (uint32_t)((t->rig->now_ns + ns) / 1000000000) : 0;
}

static void run_step(struct try *t, char *copy)
{
	const struct script_line *l = t->step;
	unsigned long long ns;
	struct peer *p;
	char who[8];

	switch (l->who) {
	case 'C':
		p = client(t);
		if (!p)
			return;
		if (l->what == '!') {
			client_does(t, p, copy);
			return;
		}
		snprintf(who, sizeof(who), "C%u", l->which);
		tell(t, who, "%s", l->text);
		peer_write(p, l->text, l->len);
		if (l->what == ':')
			peer_write(p, "\r\n", 2);
		return;
	case 'S':
		p = client(t);
		if (p && l->what == '!')
			server_does(t, p, copy);
		else if (p && (l->what == ':' || l->what == '*'))
			expect(t, p, t->step->text, l->what == '*');
		else if (p)
			fail(t, "`S%c` is for our own tests; say `S:` or `S*`", l->what);
		return;
	case 'T':
		if (l->text[0] != '+' || !script_duration(l->text + 1, &ns))
			fail(t, "not a duration: %s; say `T +30s`", l->text);
		else
			rig_run(t->rig, ns, never, t);
		return;
	case 'N': say_of_names(t, copy); return;
	case 'X': do_to_appliance(t, copy); return;
	case 'E': expect_session(t, copy); return;
	case '@': return;
	default:
		fail(t, "mail servers answer by themselves here, save RCPT TO:<refused...>: no line `%c`",
		    l->who);
	}
}

static void each(struct try *t, bool directives)
{
	for (unsigned i = 0; i < t->script->n && !t->failed; i++) {
		char *copy = strdup(t->script->lines[i].text), *rest = copy;

		t->step = &t->script->lines[i];
		if (!copy) {
			fail(t, "no memory");
		} else if (directives && t->step->who == '@') {
			const char *word = script_word(&rest);

			if (word && !strcmp(word, "client"))
				set_address(t, rest);
			else
				fail(t, "no such directive: @%s; there is @client",
				    word ? word : "");
		} else if (!directives) {
			run_step(t, copy);
		}
		free(copy);
	}
	t->step = NULL;
}

unsigned try_prepare(struct try *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < TRY_CLIENTS; i++)
		t->address[i] = rig_client(i % RIG_CLIENTS, false);
	snprintf(t->host_name, sizeof(t->host_name), "client.example");
	t->names.host_name = t->host_name;
	each(t, true);
	for (unsigned i = 1; i < TRY_CLIENTS; i++) { /* those that are not the rig's own */
		bool own = false;

		for (unsigned k = 0; k < 2 * RIG_CLIENTS; k++) {
			struct ip_addr a = rig_client(k / 2, k & 1);

			own |= ip_addr_eq(&a, &t->address[i]);
		}
		if (!own)
			t->far[n++] = t->address[i];
	}
	return n;
}

bool try_run(struct try *t)
{
	t->began_ns = t->rig->now_ns;
	if (!t->failed)
		each(t, false);
	rig_run(t->rig, TRY_QUIET_MS * 1000000ull, never, t);
	for (unsigned i = 1; i < TRY_CLIENTS; i++) {
		const struct peer *p = t->clients[i];

		if (p && p->taken < p->n_lines)
			fail(t, "client %u was told more than was expected: `%.*s`", i,
			    (int)p->lines[p->taken].len, p->lines[p->taken].p);
	}
	/* whoever is still there leaves, so that each session has ended */
	for (unsigned i = 1; i < TRY_CLIENTS; i++)
		if (t->clients[i])
			peer_abort(t->clients[i]);
	rig_run(t->rig, TRY_QUIET_MS * 1000000ull, never, t);
	return !t->failed;
}

void try_fini(struct try *t)
{
	for (unsigned i = 0; i < TRY_CLIENTS; i++)
		t->clients[i] = peer_free(t->clients[i]);
}
