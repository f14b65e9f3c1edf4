/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tarpit: from a session to a record of the stack (tcpstack.h), which is fed a byte at a time.
 *
 * At CONNECT it hears a greeting that never ends. A command that meets the verdict is refused slowly:
 * "550-..." again and again, and after policy's time the last line with the token, then the end (RFC
 * 5321 4.2.1, 7.8). Commands pipelined before it have been answered, in order; those behind it are read
 * and dropped, and get no answer but the end of the connection. An honest client that waits learns
 * why; one that closes its side meanwhile, having said all, is told at once.
 *
 * The last line is written when it is due, from what the record has room for: reason, session and the
 * low bits of the epoch. Its token carries the minute of the verdict, so it leads to the event.
 */
#include "session_private.h"

#include <stdio.h>

enum {
	SENT_MS = 60000, /* for what was said before to be acknowledged */
	PACE_MS = 10000,
	NOTE_EPOCH_BITS = TARPIT_NOTE_BITS - 24, /* behind 8 of the reason and 16 of the session */
};
_Static_assert(REASON_N <= 256, "a reason fits the note");

static uint32_t note_of(const struct session *s)
{
	uint32_t epoch = s->epoch & ((1u << NOTE_EPOCH_BITS) - 1);

	return s->held_reason | (uint32_t)s->number << 8 | epoch << 24;
}

size_t session_refused_text(
    void *arg, uint32_t note, uint64_t since_ns, bool last, char *text, size_t cap)
{
	struct worker *w = arg;
	enum reason reason = (enum reason)(note & 255);
	const struct reason_info *info = &reason_infos[reason];
	char buf[REPLY_MAX];
	struct reply_token token = {
		.key = w->config.token_key,
		/* the latest with these low bits: of so many policies since the verdict the first */
		.epoch = w->epoch - ((w->epoch - (note >> 24)) & ((1u << NOTE_EPOCH_BITS) - 1)),
		.now_ns = since_ns,
		.session = (uint16_t)(note >> 8),
		.url = policy_string(w->policy, w->set->smtp.contact_url),
	};
	size_t n;

	/* RFC 2034 4: each line of a reply has the same codes */
	if (!last)
		return (size_t)snprintf(text, cap, "550-5%s %.80s\r\n",
		    info->enhanced[0] ? info->enhanced + 1 : ".7.1",
		    info->text[0] ? info->text : "Not accepted");
	n = reply_reason(buf, 550, reason, &token);
	if (n > cap) {
		token.url = "";
		n = reply_reason(buf, 550, reason, &token);
	}
	memcpy(text, buf, n);
	return n;
}

void session_hold(struct worker *w, struct session *s)
{
	s->held_class = s->shape;
	session_shape_end(w, s); /* the record has a pace of its own */
	s->state = SESSION_TARPIT;
	session_deadline(w, s, SENT_MS);
}

void session_hold_refused(struct worker *w, struct session *s, enum reason reason)
{
	count_reason(w, reason);
	s->given |= 1ull << (reason & 63);
	s->last_code = 550;
	s->held_reason = (uint8_t)reason;
	s->held_refused = true;
	session_release_relay(w, s);
	session_at_once_end(w, s);
	session_hold(w, s);
	session_wake(w, s); /* its command is still under hand */
}

static void tell_at_once(struct worker *w, struct session *s)
{
	char text[STACK_REFUSE_TEXT_MAX];
	size_t n = session_refused_text(w, note_of(s), w->now_ns, true, text, sizeof(text));

	session_write(w, s, text, n, 550);
	session_linger(w, s);
}

void session_tarpit(struct worker *w, struct session *s)
{
	const struct policy_list *list = policy_list_of(w->policy, s->facts.client, s->facts.now_s);
	uint32_t pace_ms = list && list->verdict == VERDICT_TARPIT ? list->tarpit_pace_ms
								   : w->set->shape.tarpit_pace_ms;
	int r;

	session_consume(w, s, tcp_unread(s->conn));
	if (s->eof && s->held_refused) {
		tell_at_once(w, s);
		return;
	}
	if (s->eof) {
		session_close(w, s);
		return;
	}
	pace_ms = pace_ms ? pace_ms : PACE_MS;
	r = s->held_refused ? tcp_hold_refused(w->stack, s->conn, s->held_class, pace_ms, note_of(s))
			    : tcp_shrink_to_tarpit(w->stack, s->conn, s->held_class, pace_ms);
	if (r < 0)
		return; /* once what was said before is acknowledged */
	s->conn = NULL;
	brain_count(w, BRAIN_tarpitted);
	session_end(w, s);
}
