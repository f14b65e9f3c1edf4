/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of a TCP connection in a conversation: a client's, or a model backend's. It reads all
 * that comes, gives it out by lines, and writes what it is told as the window allows.
 */
#ifndef POSTERN_DATAPLANE_PEER_H
#define POSTERN_DATAPLANE_PEER_H

#include "tcpstack/tcpstack.h"

enum { PEER_BUFFER = 1 << 20, PEER_LINES = 4096 };

struct peer_line {
	const char *p;
	size_t len; /* without CR LF */
};

struct peer {
	struct stack *stack;
	struct tcp_conn *conn; /* NULL: not there, or ended */
	bool open, eof, reset, timeout, closing;
	char *in, *out; /* PEER_BUFFER each; what was read stays, lines point into it */
	size_t n_in, n_out, sent;
	size_t parsed; /* of `in`: up to the end of the last line */
	struct peer_line lines[PEER_LINES];
	unsigned n_lines, taken; /* lines made, lines given out */

	/* a backend's */
	unsigned server;   /* index */
	bool check;        /* a health check of the setup: not in the script's count */
	bool in_body, raw; /* between 354 and the dot; after STARTTLS */
	size_t chunk_left; /* of a BDAT chunk */
	size_t chunk_start;
	bool chunk;
	bool proxy_wanted, proxy_seen, proxy_local;
	struct ip_addr proxy_src, proxy_dst;
	uint16_t proxy_src_port, proxy_dst_port;
};

struct peer *peer_new(struct stack *stack, struct tcp_conn *conn);
struct peer *peer_free(struct peer *p); /* resets a connection that is still there */

void peer_event(struct peer *p, unsigned events);
void peer_write(struct peer *p, const void *data, size_t len);
void peer_puts(struct peer *p, const char *s); /* a line, CR LF is added */
void peer_close(struct peer *p);               /* after what is queued */
void peer_abort(struct peer *p);
bool peer_ended(const struct peer *p);
/* Cuts a line of len bytes off at the front of what is unparsed; skip bytes more are its end. */
void peer_cut(struct peer *p, size_t len, size_t skip);
/* The next CR LF line of what is unparsed; false: none. */
bool peer_find_line(const struct peer *p, size_t *ret_len);

#endif
