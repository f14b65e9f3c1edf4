/* SPDX-License-Identifier: BSD-3-Clause */
/* See peer.h. Buffers are large and fixed: a conversation that outgrows them is a broken test. */
#include "peer.h"

#include <assert.h>
#include <stdlib.h>

struct peer *peer_new(struct stack *stack, struct tcp_conn *conn)
{
	struct peer *p = calloc(1, sizeof(*p));

	assert(p);
	p->stack = stack;
	p->conn = conn;
	p->in = malloc(PEER_BUFFER);
	p->out = malloc(PEER_BUFFER);
	assert(p->in && p->out);
	if (conn)
		tcp_set_user(conn, p);
	return p;
}

struct peer *peer_free(struct peer *p)
{
	if (!p)
		return NULL;
	peer_abort(p);
	free(p->in);
	free(p->out);
	free(p);
	return NULL;
}

static void flush(struct peer *p)
{
	if (!p->conn || !p->open)
		return;
	p->sent += tcp_write(p->stack, p->conn, p->out + p->sent, p->n_out - p->sent);
	if (p->sent < p->n_out)
		return;
	p->sent = p->n_out = 0;
	if (p->closing) {
		p->closing = false;
		tcp_shutdown(p->stack, p->conn);
	}
}

static void read_all(struct peer *p)
{
	const uint8_t *data;
	size_t n;

	while ((n = tcp_peek(p->conn, &data))) {
		assert(p->n_in + n < PEER_BUFFER);
		memcpy(p->in + p->n_in, data, n);
		p->n_in += n;
		tcp_consume(p->stack, p->conn, n);
	}
}

void peer_event(struct peer *p, unsigned events)
{
	if (!p->conn)
		return;
	if (events & TCP_EV_OPEN)
		p->open = true;
	read_all(p);
	if (events & TCP_EV_EOF)
		p->eof = true;
	if (events & (TCP_EV_RESET | TCP_EV_TIMEOUT)) {
		p->reset = events & TCP_EV_RESET;
		p->timeout = events & TCP_EV_TIMEOUT;
		tcp_close(p->stack, p->conn);
		p->conn = NULL;
		return;
	}
	flush(p);
}

void peer_write(struct peer *p, const void *data, size_t len)
{
	assert(p->n_out + len <= PEER_BUFFER);
	memcpy(p->out + p->n_out, data, len);
	p->n_out += len;
	flush(p);
}

void peer_puts(struct peer *p, const char *s)
{
	assert(p->n_out + strlen(s) + 2 <= PEER_BUFFER);
	memcpy(p->out + p->n_out, s, strlen(s));
	p->n_out += strlen(s);
	peer_write(p, "\r\n", 2);
}

void peer_close(struct peer *p)
{
	p->closing = true;
	flush(p);
}

void peer_abort(struct peer *p)
{
	if (p->conn)
		tcp_abort(p->stack, p->conn);
	p->conn = NULL;
}

bool peer_ended(const struct peer *p)
{
	return !p->conn || p->eof;
}

void peer_cut(struct peer *p, size_t len, size_t skip)
{
	assert(p->n_lines < PEER_LINES && p->parsed + len + skip <= p->n_in);
	p->lines[p->n_lines++] = (struct peer_line){ p->in + p->parsed, len };
	p->parsed += len + skip;
}

bool peer_find_line(const struct peer *p, size_t *ret_len)
{
	const char *start = p->in + p->parsed;
	const char *end = memmem(start, p->n_in - p->parsed, "\r\n", 2);

	if (!end)
		return false;
	*ret_len = (size_t)(end - start);
	return true;
}
