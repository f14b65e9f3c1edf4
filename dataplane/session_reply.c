/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session says and how verdicts on it are counted. Texts come from reply.h; here they are
 * written, counted and remembered for the event.
 */
#include "session_private.h"

#include "filters/content.h"
#include "filters/token.h"

/* ---- writing ---- */

bool session_can_write(const struct worker *w, const struct session *s, size_t len)
{
	if (!s->conn)
		return false;
	if (tcp_write_space(w->stack, s->conn) >= len)
		return true;
	tcp_want_write(w->stack, s->conn); /* or nobody would wake a session that stops here */
	return false;
}

void session_write(struct worker *w, struct session *s, const char *reply, size_t len, unsigned code)
{
	size_t before = s->shape ? tcp_unsent_or_unacked(s->conn) : 0;
	size_t n = tcp_write(w->stack, s->conn, reply, len);

	if (s->shape)
		session_shape_written(w, s, before);
	s->bytes_out += n;
	s->last_code = (uint16_t)code;
	if (code / 100 == 5)
		s->facts.errors++;
}

void session_reply(struct worker *w, struct session *s, enum reply reply)
{
	size_t n;
	const char *line = reply_plain(reply, &n);

	session_write(w, s, line, n, reply_plain_code(reply));
}

static enum phase phase_of(const struct session *s)
{
	switch ((enum session_state)s->state) {
	case SESSION_BODY:
	case SESSION_CHUNK:
	case SESSION_FINAL: return PHASE_BODY;
	case SESSION_DATA: return PHASE_DATA;
	default: return (enum phase)s->reached;
	}
}

/* What the event will say of a refusal that is no filter's (relaying, limits, time-outs). Of two
 * equally grave ones the first. */
static void note_told(struct session *s, unsigned code, enum reason reason)
{
	uint8_t kind = code / 100 == 5 ? VERDICT_REFUSE : VERDICT_DEFER;

	if (reason == s->verdict.reason || kind <= s->told_kind)
		return;
	s->told_kind = kind & 15;
	s->told_phase = (uint8_t)phase_of(s) & 15;
	s->told_reason = (uint8_t)reason;
}

void session_refuse(struct worker *w, struct session *s, unsigned code, enum reason reason)
{
	char buf[REPLY_MAX];
	struct reply_token token = {
		.key = w->config.token_key,
		.epoch = s->epoch,
		.now_ns = w->now_ns,
		.session = s->number,
		.url = policy_string(w->policy, w->set->smtp.contact_url),
	};
	size_t n = reply_reason(buf, code, reason, &token);

	count_reason(w, reason);
	note_told(s, code, reason);
	s->given |= 1ull << (reason & 63);
	session_write(w, s, buf, n, code);
}

void session_token(struct worker *w, const struct session *s, enum reason reason, char *ret_token)
{
	token_make(w->config.token_key,
	    &(struct token_fields){ .reason = (uint8_t)reason,
		.epoch = (uint16_t)s->epoch,
		.minute = (uint32_t)(w->now_ns / 60000000000ull) & 0x3ffffff,
		.session = s->number },
	    ret_token);
}

void session_refuse_stored(struct worker *w, struct session *s)
{
	struct relay *r = s->relay;

	if (r->stored)
		session_write(w, s, (const char *)r->stored->data, r->stored->len, r->stored_code);
	else
		session_refuse(w, s, r->refuse_code, r->reason);
}

void session_refuse_rcpt_stored(struct worker *w, struct session *s)
{
	s->facts.rcpts_refused++;
	brain_count(w, BRAIN_rcpt_refused);
	session_refuse_stored(w, s);
}

void session_refuse_verdict(struct worker *w, struct session *s, struct verdict v, enum phase phase)
{
	unsigned code = reply_code(v.kind, v.reason, phase);

	if (v.kind >= VERDICT_REFUSE)
		s->condemned = true;
	if ((v.kind == VERDICT_TARPIT || v.kind == VERDICT_TRAP) && s->state == SESSION_COMMAND &&
	    w->set->shape.refusal_s) {
		session_hold_refused(w, s, v.reason);
		return;
	}
	session_refuse(w, s, code, v.reason);
	if (code == 421 || code == 521)
		session_linger(w, s);
}

/* ---- judgement ---- */

/* Those that the last judgement added. */
static void count_hits(struct worker *w, const struct session *s)
{
	for (unsigned i = s->tally.n; i < w->tally.n; i++) {
		uint16_t hit = w->tally.hits[i];

		if (hit & RULE_ID_SHADOW)
			w->stats->rules[hit & RULE_ID_MASK].shadow++;
		else
			w->stats->rules[hit & RULE_ID_MASK].hits++;
	}
	if (w->tally.full && !s->tally.full)
		brain_count(w, BRAIN_tally_full);
}

struct verdict session_judge(struct worker *w, struct session *s, enum phase phase)
{
	s->facts.now_s = (uint32_t)(w->now_ns / 1000000000u);
	s->facts.pass_all = w->pass_all;
	w->judged = s;
	w->tally = s->tally;
	session_memory_ask(w, s, phase);
	return scan_looks_at_lines(w, s, phase)
		   ? scan_judge_lines(w, s, phase)
		   : policy_judge(w->policy, phase, &s->facts, &w->tally);
}

struct verdict session_judge_content(
    struct worker *w, struct session *s, const struct content *content)
{
	s->facts.now_s = (uint32_t)(w->now_ns / 1000000000u);
	w->judged = s;
	w->tally = s->tally;
	return policy_judge_content(w->policy, &s->facts, content, &w->tally);
}

void session_note_verdict(struct worker *w, struct session *s, struct verdict v, enum phase phase)
{
	if (w->judged == s) { /* nothing was asked for a command without a phase */
		count_hits(w, s);
		s->tally = w->tally;
		w->judged = NULL;
	}
	if (v.kind == VERDICT_NONE || (v.kind == VERDICT_PASS && s->facts.trusted)) {
		session_shape(w, s);
		return;
	}
	count_verdict(w, v.kind, phase);
	if (v.kind == VERDICT_PASS && v.reason == REASON_ALLOWED) /* not an exception for one RCPT */
		s->facts.trusted = true;
	if (v.kind >= s->verdict.kind) {
		s->verdict = v;
		s->verdict.phase = (uint8_t)phase;
		if (v.kind > VERDICT_PASS) {
			struct tally before = s->told;

			s->told = s->tally;
			tally_tell(&s->told, &before, true);
		}
		s->told_sender = s->facts.sender;
		s->told_spf = s->facts.spf;
		s->told_grey = s->facts.grey;
	}
	session_shape(w, s);
}
