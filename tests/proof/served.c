/* SPDX-License-Identifier: BSD-3-Clause */
/* The mail server: knows its users, takes mail to elsewhere too (it is the outbound pool). See run.h. */
#include "run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void line_of_body(struct run *r, struct served *s, const char *line)
{
	static const char id[] = "Message-ID: <", mark[] = "X-Postern";

	if (strncmp(line, mark, sizeof(mark) - 1) == 0)
		s->marked = true;
	else if (strncmp(line, id, sizeof(id) - 1) == 0)
		s->message = (uint32_t)strtoul(line + sizeof(id) - 1, NULL, 10);
	if (strcmp(line, ".\r\n") != 0)
		return;
	s->body = false;
	assert(s->message < r->corpus->n_messages);
	r->corpus->messages[s->message].marked |= s->marked;
	s->marked = false;
}

static void server_line(struct run *r, struct served *s, const char *line)
{
	const char *reply = "250 2.0.0 Ok\r\n";

	if (s->body) {
		line_of_body(r, s, line);
		if (s->body)
			return;
	} else if (strncmp(line, "EHLO", 4) == 0) {
		reply = rig_ehlo_words;
	} else if (strncmp(line, "RCPT", 4) == 0 &&
		   (strstr(line, "guess") || strstr(line, "gone"))) {
		reply = "550 5.1.1 No such user\r\n";
		r->score->unknown++;
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

static void read_lines(struct run *r, struct served *s)
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

void served_turn(void *arg)
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
		read_lines(r, s);
		if (s->conn && (ev & (TCP_EV_RESET | TCP_EV_TIMEOUT | TCP_EV_EOF))) {
			tcp_close(st, conn);
			s->conn = NULL;
		}
	}
}
