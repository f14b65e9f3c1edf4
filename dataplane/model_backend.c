/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As little server as keeps a relay honest: strict about order (503), exact about the end of data
 * (CR LF . CR LF and nothing else), digesting what stands behind the model's own id field's header
 * start, so that a Received line put on top by the relay does not change the digest.
 */
#include "model_backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { BK_LINE = 2048 };

struct server_conn {
	struct server_conn *next_free;
	struct tcp_conn *conn;
	bool greeted, mail, in_body, chunked, proxy_checked, text_started, cut;
	unsigned rcpts;
	uint64_t id, digest;
	size_t len;
	uint64_t chunk_left;
	bool chunk_last;
	struct ip_addr client;
	uint16_t n_line;
	char line[BK_LINE];
};

struct model_backend {
	struct model_host *host;
	struct model_backend_config config;
	uint64_t random;
	struct server_conn *free_list;
	unsigned open;
	struct server_conn slots[];
};

struct model_backend *model_backend_new(
    struct model_host *host, const struct model_backend_config *config)
{
	struct model_backend *mb = calloc(1, sizeof(*mb) + config->max * sizeof(mb->slots[0]));
	if (!mb)
		return NULL;
	mb->host = host;
	mb->config = *config;
	mb->random = config->seed;
	for (unsigned i = config->max; i-- > 0;) {
		mb->slots[i].next_free = mb->free_list;
		mb->free_list = &mb->slots[i];
	}
	return mb;
}

struct model_backend *model_backend_free(struct model_backend *mb)
{
	free(mb);
	return NULL;
}

unsigned model_backend_open(const struct model_backend *mb)
{
	return mb->open;
}

static bool chance(struct model_backend *mb, uint16_t per_mille)
{
	return per_mille && model_random(&mb->random) % 1000 < per_mille;
}

static void release(struct model_backend *mb, struct server_conn *sc, bool reset)
{
	if (reset)
		tcp_abort(mb->host->stack, sc->conn);
	else
		tcp_close(mb->host->stack, sc->conn);
	sc->conn = NULL;
	sc->next_free = mb->free_list;
	mb->free_list = sc;
	mb->open--;
}

static void say(struct model_backend *mb, struct server_conn *sc, const char *text)
{
	tcp_write(mb->host->stack, sc->conn, text, strlen(text));
}

static void reset_transaction(struct server_conn *sc)
{
	sc->mail = sc->in_body = sc->chunked = sc->text_started = false;
	sc->rcpts = 0;
	sc->id = 0;
	sc->len = 0;
}

/* Digests a piece of a line (or, with BDAT, of a chunk) once the model's own text has begun. */
static void take_text(struct server_conn *sc, const char *p, size_t n)
{
	if (!sc->text_started) {
		if (n < 6 || memcmp(p, "From: ", 6) != 0)
			return;
		sc->text_started = true;
		sc->digest = MODEL_DIGEST_START;
	}
	if (sc->id == 0 && n > sizeof(MODEL_ID_FIELD) - 1 &&
	    memcmp(p, MODEL_ID_FIELD, sizeof(MODEL_ID_FIELD) - 1) == 0)
		sc->id = strtoull(p + sizeof(MODEL_ID_FIELD) - 1, NULL, 16);
	sc->digest = model_digest(sc->digest, p, n);
	sc->len += n;
}

/* The message is whole. False: the connection is gone. */
static bool final_dot(struct model_backend *mb, struct server_conn *sc)
{
	const struct model_faults *f = &mb->config.faults;
	if (chance(mb, f->lost_after_dot)) {
		release(mb, sc, true);
		return false;
	}
	if (chance(mb, f->dot_deferred)) {
		say(mb, sc, "451 4.3.0 Try again\r\n");
	} else if (chance(mb, f->dot_refused)) {
		say(mb, sc, "554 5.6.0 Not wanted\r\n");
	} else {
		mb->config.on_message(
		    mb->config.arg, sc->id, sc->digest, sc->len, sc->rcpts, &sc->client);
		if (chance(mb, f->stored_then_lost)) {
			release(mb, sc, true);
			return false;
		}
		say(mb, sc, "250 2.0.0 Ok: kept\r\n");
	}
	reset_transaction(sc);
	return true;
}

static bool is_verb(const char *line, const char *verb)
{
	return strncasecmp(line, verb, strlen(verb)) == 0;
}

static bool command(struct model_backend *mb, struct server_conn *sc)
{
	const struct model_faults *f = &mb->config.faults;
	const char *l = sc->line;

	if (is_verb(l, "EHLO ") || is_verb(l, "HELO ")) {
		reset_transaction(sc);
		sc->greeted = true;
		if (is_verb(l, "HELO ") || !mb->config.ehlo) {
			say(mb, sc, "250 backend.example.org\r\n");
		} else {
			say(mb, sc, "250-backend.example.org\r\n");
			say(mb, sc, mb->config.ehlo);
		}
	} else if (is_verb(l, "MAIL FROM:")) {
		if (!sc->greeted || sc->mail) {
			say(mb, sc, "503 5.5.1 Out of order\r\n");
		} else {
			sc->mail = true;
			say(mb, sc, "250 2.1.0 Ok\r\n");
		}
	} else if (is_verb(l, "RCPT TO:")) {
		if (!sc->mail) {
			say(mb, sc, "503 5.5.1 Out of order\r\n");
		} else if (is_verb(l, "RCPT TO:<refused") || chance(mb, f->rcpt_refused)) {
			say(mb, sc, "550 5.1.1 No such user here\r\n");
		} else {
			sc->rcpts++;
			say(mb, sc, "250 2.1.5 Ok\r\n");
		}
	} else if (is_verb(l, "DATA")) {
		if (!sc->rcpts) {
			say(mb, sc, "503 5.5.1 No recipient\r\n");
		} else if (chance(mb, f->data_deferred)) {
			say(mb, sc, "451 4.3.0 Not now\r\n");
			reset_transaction(sc);
		} else {
			sc->in_body = true;
			sc->cut = chance(mb, f->lost_before_dot);
			say(mb, sc, "354 Go ahead\r\n");
		}
	} else if (is_verb(l, "BDAT ")) {
		char *rest;
		sc->chunk_left = strtoull(l + 5, &rest, 10);
		sc->chunk_last = strncasecmp(rest, " LAST", 5) == 0;
		if (!sc->rcpts) {
			say(mb, sc, "503 5.5.1 No recipient\r\n");
			sc->id = UINT64_MAX; /* read and drop */
		}
		sc->chunked = true;
	} else if (is_verb(l, "RSET")) {
		reset_transaction(sc);
		say(mb, sc, "250 2.0.0 Ok\r\n");
	} else if (is_verb(l, "NOOP")) {
		say(mb, sc, "250 2.0.0 Ok\r\n");
	} else if (is_verb(l, "QUIT")) {
		say(mb, sc, "221 2.0.0 Bye\r\n");
		release(mb, sc, false);
		return false;
	} else {
		say(mb, sc, "500 5.5.2 What?\r\n");
	}
	return true;
}

/* A PROXY v2 header in front (12-byte signature, then 4 bytes, then `length` more). Returns bytes
 * used, 0: more is needed; a first byte that is none of the signature's means no header. */
static size_t proxy_header(struct server_conn *sc, const uint8_t *p, size_t n)
{
	if (p[0] != 0x0d) {
		sc->proxy_checked = true;
		return 0;
	}
	if (n < 16)
		return 0;
	size_t len = 16 + ((size_t)p[14] << 8 | p[15]);
	if (n < len)
		return 0;
	if (p[13] == 0x11)
		sc->client = ip_addr_from_v4(p + 16);
	else if (p[13] == 0x21)
		sc->client = ip_addr_from_v6(p + 16);
	sc->proxy_checked = true;
	return len;
}

/* One line of a command or body is in sc->line, CR LF included. False: connection gone. */
static bool line(struct model_backend *mb, struct server_conn *sc)
{
	if (!sc->in_body)
		return command(mb, sc);
	if (sc->n_line == 3 && memcmp(sc->line, ".\r\n", 3) == 0)
		return final_dot(mb, sc);
	take_text(sc, sc->line, sc->n_line);
	if (sc->cut && sc->len > 64) {
		release(mb, sc, true);
		return false;
	}
	return true;
}

static bool read_all(struct model_backend *mb, struct server_conn *sc)
{
	struct stack *st = mb->host->stack;
	const uint8_t *p;
	size_t n;

	while ((n = tcp_peek(sc->conn, &p)) > 0) {
		if (!sc->proxy_checked) {
			size_t used = proxy_header(sc, p, n);
			if (!sc->proxy_checked)
				return true; /* it comes in one segment or waits */
			tcp_consume(st, sc->conn, used);
			continue;
		}
		if (sc->chunked) {
			size_t take = n < sc->chunk_left ? n : sc->chunk_left;
			if (sc->id != UINT64_MAX)
				take_text(sc, (const char *)p, take);
			tcp_consume(st, sc->conn, take);
			sc->chunk_left -= take;
			if (sc->chunk_left == 0) {
				sc->chunked = false;
				if (sc->id == UINT64_MAX)
					sc->id = 0;
				else if (!sc->chunk_last)
					say(mb, sc, "250 2.0.0 Ok\r\n");
				else if (!final_dot(mb, sc))
					return false;
			}
			continue;
		}
		size_t used = 0;
		bool whole = false;
		while (used < n && !whole && sc->n_line < BK_LINE - 1) {
			char c = (char)p[used++];
			sc->line[sc->n_line++] = c;
			whole = c == '\n' && sc->n_line > 1 && sc->line[sc->n_line - 2] == '\r';
		}
		tcp_consume(st, sc->conn, used);
		if (!whole && sc->n_line < BK_LINE - 1)
			continue;
		sc->line[sc->n_line] = '\0';
		if (!line(mb, sc))
			return false;
		sc->n_line = 0;
		if (sc->chunked && sc->chunk_left == 0 && sc->chunk_last) { /* BDAT 0 LAST */
			sc->chunked = false;
			if (sc->id != UINT64_MAX && !final_dot(mb, sc))
				return false;
		}
	}
	return true;
}

void model_backend_turn(struct model_backend *mb, uint64_t now_ns)
{
	struct stack *st = mb->host->stack;
	struct tcp_conn *conn;
	unsigned ev;

	(void)now_ns;
	while ((conn = stack_next_ready(st, &ev)) != NULL) {
		struct server_conn *sc = tcp_user(conn);
		if (!sc) {
			sc = mb->free_list;
			if (!sc) {
				tcp_abort(st, conn);
				continue;
			}
			mb->free_list = sc->next_free;
			mb->open++;
			memset(sc, 0, sizeof(*sc));
			sc->conn = conn;
			tcp_set_user(conn, sc);
			struct tcp_info info;
			tcp_get_info(conn, &info);
			sc->client = info.remote;
			say(mb, sc, "220 backend.example.org ESMTP\r\n");
		}
		if ((ev & (TCP_EV_READ | TCP_EV_EOF)) && !read_all(mb, sc))
			continue;
		if (ev & (TCP_EV_RESET | TCP_EV_TIMEOUT | TCP_EV_EOF))
			release(mb, sc, (ev & TCP_EV_EOF) == 0);
	}
}
