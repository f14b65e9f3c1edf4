/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * After STARTTLS is passed on: bytes both ways, unseen. Nothing is buffered here: what one side's
 * connection does not take stays in the other's receive queue, whose window then closes.
 */
#include "relay.h"
#include "session.h"

enum { PIECES = 64 /* runs moved a turn and direction, then others get theirs */ };

/* Returns true when everything unread was moved. */
static bool move(struct worker *w, struct tcp_conn *from, struct tcp_conn *to, uint64_t *bytes)
{
	const uint8_t *p;
	size_t run, n;

	for (unsigned i = 0; i < PIECES && w->work > 0; i++) {
		run = tcp_peek(from, &p);
		if (run == 0)
			return true;
		n = tcp_write(w->stack, to, p, run);
		tcp_consume(w->stack, from, n);
		work_done(w, n / WORK_COPIED);
		*bytes += n;
		if (n < run)
			return false; /* TCP_EV_WRITE wakes us */
	}
	return tcp_unread(from) == 0;
}

void pipe_run(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;
	bool up, down;

	if (!r->conn) {
		session_linger(w, s);
		return;
	}
	up = move(w, s->conn, r->conn, &s->bytes_in);
	down = move(w, r->conn, s->conn, &s->bytes_out);
	if (up && s->eof && !r->body.told) {
		r->body.told = true; /* the client's FIN is passed on once */
		tcp_shutdown(w->stack, r->conn);
	}
	if (down && r->eof) {
		session_linger(w, s);
		return;
	}
	if ((!up && tcp_write_space(w->stack, r->conn) > 0) ||
	    (!down && tcp_write_space(w->stack, s->conn) > 0))
		session_wake(w, s);
}
