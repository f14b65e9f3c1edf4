/* SPDX-License-Identifier: BSD-3-Clause */
/* See world.h. */
#include "world_policy.h"

#include "filters/image_write.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { SETTLE_S = 20 };

/* ---- the easy part of a mail server ---- */

static bool begins(const struct peer_line *l, const char *word)
{
	size_t len = strlen(word);

	return l->len >= len && strncasecmp(l->p, word, len) == 0 &&
	       (l->len == len || l->p[len] == ' ' || l->p[len] == ':');
}

/* PROXY v2 (signature, version and command, family, length); false: more is needed. */
static bool read_proxy(struct peer *p)
{
	const uint8_t *b = (const uint8_t *)p->in + p->parsed;
	size_t have = p->n_in - p->parsed;

	if (have < 16)
		return false;
	assert(memcmp(b, "\r\n\r\n\0\r\nQUIT\n", 12) == 0 && b[12] >> 4 == 2);
	size_t len = (size_t)b[14] << 8 | b[15];

	if (have < 16 + len)
		return false;
	p->proxy_local = (b[12] & 15) == 0;
	if (!p->proxy_local) {
		bool v4 = b[13] == 0x11;
		size_t a = v4 ? 4 : 16;

		assert(v4 || b[13] == 0x21);
		p->proxy_src = v4 ? ip_addr_from_v4(b + 16) : ip_addr_from_v6(b + 16);
		p->proxy_dst = v4 ? ip_addr_from_v4(b + 16 + a) : ip_addr_from_v6(b + 16 + a);
		p->proxy_src_port = (uint16_t)(b[16 + 2 * a] << 8 | b[17 + 2 * a]);
		p->proxy_dst_port = (uint16_t)(b[18 + 2 * a] << 8 | b[19 + 2 * a]);
	}
	p->parsed += 16 + len;
	p->proxy_seen = true;
	return true;
}

static void hide(struct world *w, struct peer *p)
{
	if (!w->show || p->check)
		p->n_lines--;
}

/* Answers the line just made where that is not the file's to do. */
static void answer(struct world *w, struct peer *p)
{
	struct peer_line *l = &p->lines[p->n_lines - 1];
	bool all = w->mode == BACKEND_ALL || p->check;
	bool dot = p->in_body && l->len == 1 && l->p[0] == '.';

	if (p->raw || (w->mode == BACKEND_NONE && !p->check)) {
		p->in_body = p->in_body && !dot;
	} else if (p->in_body) {
		if (dot) {
			p->in_body = false;
			if (all)
				peer_puts(p, "250 2.0.0 Ok: queued as 4XyZ");
		}
	} else if (begins(l, "EHLO") || begins(l, "HELO")) {
		char first[64];

		snprintf(first, sizeof(first), "250-%s.example", w->servers[p->server].name);
		peer_puts(p, begins(l, "EHLO") ? first : "250 hello");
		if (begins(l, "EHLO"))
			peer_write(
			    p, w->servers[p->server].ehlo, strlen(w->servers[p->server].ehlo));
		hide(w, p);
	} else if (begins(l, "QUIT")) {
		peer_puts(p, "221 2.0.0 Bye");
		peer_close(p);
		hide(w, p);
	} else if (begins(l, "RSET") || begins(l, "NOOP")) {
		peer_puts(p, "250 2.0.0 Ok");
		hide(w, p);
	} else if (begins(l, "XCLIENT")) {
		peer_puts(p, "220 backend.example ESMTP");
	} else if (all) {
		if (begins(l, "DATA")) {
			peer_puts(p, "354 go ahead");
			p->in_body = true;
		} else if (begins(l, "STARTTLS")) {
			peer_puts(p, "220 2.0.0 Ready");
			p->raw = true;
		} else if (!begins(l, "BDAT")) {
			peer_puts(p, "250 2.1.0 Ok");
		}
	}
}

/* The bytes of a BDAT chunk are one line, "chunk" being told by p->chunk. */
static bool read_chunk(struct world *w, struct peer *p)
{
	if (p->n_in - p->parsed < p->chunk_left)
		return false;
	peer_cut(p, p->chunk_left, 0);
	p->chunk = false;
	if (w->mode == BACKEND_ALL)
		peer_puts(p, "250 2.0.0 Ok: chunk");
	return true;
}

static void backend_read(struct world *w, struct peer *p)
{
	size_t len;

	if (p->proxy_wanted && !p->proxy_seen && !read_proxy(p))
		return;
	for (;;) {
		if (p->chunk) {
			if (!read_chunk(w, p))
				return;
			continue;
		}
		if (!peer_find_line(p, &len))
			return;
		peer_cut(p, len, 2);
		struct peer_line *l = &p->lines[p->n_lines - 1];

		if (!p->in_body && !p->raw && begins(l, "BDAT") && l->len > 5) {
			p->chunk_left = strtoul(l->p + 5, NULL, 10);
			p->chunk = true;
		}
		answer(w, p);
	}
}

void world_backend_says(struct world *w, struct peer *p, const char *line)
{
	const struct peer_line *last = p->n_lines ? &p->lines[p->n_lines - 1] : NULL;

	(void)w;
	if (!strncmp(line, "354", 3))
		p->in_body = true;
	if (last && begins(last, "STARTTLS") && !strncmp(line, "220", 3))
		p->raw = true;
	peer_puts(p, line);
}

static void backend_accept(struct world *w, struct tcp_conn *c)
{
	struct peer *p = peer_new(w->rig->backends->stack, c);
	struct tcp_info info;

	tcp_get_info(c, &info);
	p->check = !w->settled;
	if (p->check) {
		assert(w->n_checks < WORLD_BACKENDS);
		w->checks[w->n_checks++] = p;
	} else {
		if (w->n_backends == WORLD_BACKENDS) { /* no more than a server's own limit */
			peer_free(p);
			return;
		}
		w->backends[w->n_backends++] = p;
	}
	for (unsigned i = 0; i < w->n_servers; i++) {
		if (ip_addr_eq(&w->servers[i].addr, &info.local))
			p->server = i;
	}
	p->proxy_wanted = w->servers[p->server].proxy;
	if (w->servers[p->server].refuses)
		peer_abort(p);
	else if (w->mode != BACKEND_NONE || p->check)
		peer_puts(p, "220 backend.example ESMTP");
}

static void backends_turn(void *arg)
{
	struct world *w = arg;
	struct stack *st = w->rig->backends->stack;
	struct tcp_conn *c;
	unsigned events;

	while ((c = stack_next_ready(st, &events))) {
		if (!tcp_user(c))
			backend_accept(w, c);
		struct peer *p = tcp_user(c);

		if (!p || !p->conn)
			continue;
		peer_event(p, events);
		backend_read(w, p);
		/* A server closes its side when the other has. */
		if ((events & TCP_EV_EOF) && p->conn && w->mode != BACKEND_NONE)
			peer_close(p);
	}
}

/* ---- clients ---- */

static void clients_turn(void *arg)
{
	struct world *w = arg;
	struct tcp_conn *c;
	unsigned events;
	size_t len;

	while ((c = stack_next_ready(w->rig->clients->stack, &events))) {
		struct peer *p = tcp_user(c);

		assert(p);
		peer_event(p, events);
		while (peer_find_line(p, &len))
			peer_cut(p, len, 2);
	}
}

bool world_connect(struct world *w, unsigned n)
{
	struct tcp_connect req = { .src = rig_client(w->client_address[n], w->v6),
		.dst = rig_server(w->v6),
		.dst_port = 25 };
	struct tcp_conn *c;

	peer_free(w->clients[n]);
	w->clients[n] = peer_new(w->rig->clients->stack, NULL);
	req.user = w->clients[n];
	if (tcp_connect(w->rig->clients->stack, &req, w->rig->now_ns, &c) < 0)
		return false;
	w->clients[n]->conn = c;
	world_kick(w);
	return true;
}

void world_kick(struct world *w)
{
	rig_send(w->rig);
}

bool world_run(struct world *w, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return rig_run(w->rig, for_ns, done, arg);
}

/* ---- life ---- */

static void on_event(void *arg, const struct event *e)
{
	struct world *w = arg;

	if (w->n_events < WORLD_EVENTS)
		w->events[w->n_events++] = *e;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

bool world_init(struct world *w, struct script *script, bool v6)
{
	memset(w, 0, sizeof(*w));
	w->script = script;
	w->v6 = v6;
	for (unsigned i = 0; i < script->n; i++) {
		const struct script_line *l = &script->lines[i];

		if (l->who != '@')
			continue;
		if (!strcmp(l->text, "backend auto=all"))
			w->mode = BACKEND_ALL;
		else if (!strcmp(l->text, "backend auto=none"))
			w->mode = BACKEND_NONE;
		else if (!strcmp(l->text, "backend show"))
			w->show = true;
	}
	for (unsigned i = 0; i < WORLD_CLIENTS; i++)
		w->client_address[i] = i ? (i - 1) % RIG_CLIENTS : 0;
	if (!world_policy_make(w, NULL))
		return false;

	struct rig_config config = { .seed = 1,
		.arg = w,
		.on_event = on_event,
		.no_clients = true,
		.no_backends = true,
		.clients_turn = clients_turn,
		.backends_turn = backends_turn,
		.given_policy = w->policies[0],
		.backend_port = 25 };

	if (rig_new(&config, &w->rig) < 0) {
		snprintf(w->error, sizeof(w->error), "the rig cannot be made");
		return false;
	}
	world_run(w, SETTLE_S * 1000000000ull, never, NULL);
	w->settled = true;
	return true;
}

bool world_change(struct world *w, char *settings)
{
	if (!world_policy_make(w, settings))
		return false;
	w->rig->policy = w->policies[w->n_policies - 1];
	return true;
}

void world_fini(struct world *w)
{
	for (unsigned i = 0; i < WORLD_CLIENTS; i++)
		peer_free(w->clients[i]);
	for (unsigned i = 0; i < w->n_backends; i++)
		peer_free(w->backends[i]);
	for (unsigned i = 0; i < w->n_checks; i++)
		peer_free(w->checks[i]);
	if (w->rig) {
		w->rig->policy = w->policies[0]; /* the one it was given, so it leaves it alone */
		rig_free(w->rig);
	}
	for (unsigned i = 0; i < w->n_policies; i++) {
		policy_close(w->policies[i]);
		image_writer_free(w->images[i]);
	}
}
