/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command table. Each row says when a verb may be said (`allowed`), what must be right about
 * its arguments (`check`), and what it does (`proceed`); the filters are asked exactly between the
 * two, in the row's phase. To add a command: a row here, its verb in smtp.h.
 *
 * Order of replies (P19): while answers to RCPTs are due from the backend, only a further RCPT may
 * go on; all else waits in the receive queue, and so does a RCPT that we would answer ourselves.
 */
#include "inquire.h"
#include "relay.h"
#include "route.h"
#include "session.h"

#include "filters/content.h"

#include <stdio.h>
#include <string.h>

enum { PENDING_MAX = 64 /* RCPTs under way to a backend */ };

struct command_row {
	uint8_t allowed; /* enum command_phase, where `proceed` is not one that looks itself */
	uint8_t phase;   /* enum phase the filters are asked in; PHASE_N: not asked */
	enum outcome (*check)(struct worker *w, struct session *s, const struct smtp_command *cmd);
	enum outcome (*proceed)(struct worker *w, struct session *s, const struct smtp_command *cmd);
};

static enum outcome answer(struct worker *w, struct session *s, enum reply reply)
{
	session_reply(w, s, reply);
	return OUTCOME_DONE;
}

/* For RCPT: our own answer waits until the backend's earlier ones are there. */
static bool answers_due(const struct session *s)
{
	return s->relay && s->relay->pending > 0;
}

static enum outcome refuse_rcpt(struct worker *w, struct session *s, enum reason reason)
{
	if (answers_due(s))
		return OUTCOME_WAIT;
	s->facts.rcpts_refused++;
	brain_count(w, BRAIN_rcpt_refused);
	session_refuse(w, s, reply_code(VERDICT_REFUSE, reason, PHASE_RCPT), reason);
	return OUTCOME_DONE;
}

/* ---- EHLO, HELO ---- */

static enum outcome hello_check(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	if (cmd->argument.len == 0 || cmd->argument.len > SESSION_HELO_MAX ||
	    memchr(cmd->argument.p, ' ', cmd->argument.len))
		return answer(w, s, REPLY_ARGUMENT);
	return OUTCOME_GONE; /* check is content: the filters, then proceed */
}

static enum outcome hello_proceed(
    struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	char buf[REPLY_MAX];
	size_t n;

	session_reset(w, s);
	if (session_set_helo(w, s, cmd->argument) < 0) {
		session_refuse(w, s, 451, REASON_WINDOW_MEMORY);
		return OUTCOME_DONE;
	}
	s->facts.esmtp = cmd->verb == SMTP_EHLO;
	s->at = AT_HELO;
	greeting_offer(w, s);
	n = s->facts.esmtp ? greeting_ehlo(w, s, buf, sizeof(buf))
			   : (size_t)snprintf(buf, sizeof(buf), "250 %.255s\r\n", smtp_hostname(w));
	session_write(w, s, buf, n, 250);
	s->turn_ours = true;
	return OUTCOME_DONE;
}

/* ---- MAIL ---- */

/* Words that the backend must have for this transaction. */
static uint32_t words_used(const struct smtp_command *cmd)
{
	uint32_t used = 0;

	if (cmd->body == SMTP_BODY_8BITMIME)
		used |= SMTP_WORD_8BITMIME;
	if (cmd->body == SMTP_BODY_BINARYMIME)
		used |= SMTP_WORD_BINARYMIME;
	if (cmd->smtputf8)
		used |= SMTP_WORD_SMTPUTF8;
	if (cmd->envid.p || cmd->ret.p || cmd->notify.p || cmd->orcpt.p)
		used |= SMTP_WORD_DSN;
	return used;
}

static enum outcome mail_check(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	if ((words_used(cmd) & ~s->words) || (cmd->params.len && !s->facts.esmtp))
		return answer(w, s, REPLY_BAD_PARAM);
	if (cmd->has_size && s->size_limit && cmd->size > s->size_limit) {
		session_refuse(w, s, 552, REASON_MESSAGE_SIZE);
		return OUTCOME_DONE;
	}
	s->facts.mail = cmd->path.whole;
	s->facts.null_sender = cmd->path.whole.len == 0;
	s->facts.declared_size = cmd->has_size ? cmd->size : 0;
	return OUTCOME_GONE;
}

static enum outcome mail_proceed(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	if (session_set_mail(w, s, cmd->path.whole, cmd->params) < 0) {
		session_refuse(w, s, 451, REASON_WINDOW_MEMORY);
		return OUTCOME_DONE;
	}
	s->used = (uint16_t)words_used(cmd);
	s->at = AT_MAIL;
	session_at_once_begin(w, s, PHASE_MAIL, (struct text){ 0 });
	inquire_mail(w, s);
	return answer(w, s, REPLY_MAIL_OK);
}

/* ---- RCPT ---- */

static enum outcome rcpt_check(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	if ((words_used(cmd) & ~s->words) || (cmd->params.len && !s->facts.esmtp)) {
		if (answers_due(s))
			return OUTCOME_WAIT;
		return answer(w, s, REPLY_BAD_PARAM);
	}
	if (s->facts.due)
		return OUTCOME_WAIT; /* for answers, or their deadlines (inquire.h) */
	inquire_recheck(w, s);
	s->facts.rcpt = cmd->path.whole;
	session_grey_ask(w, s, cmd->path.whole);
	return OUTCOME_GONE;
}

/* REASON_NONE with the pool, or why not. */
static enum reason rcpt_route(
    struct worker *w, struct session *s, const struct smtp_command *cmd, unsigned *ret_pool)
{
	const struct policy_list *list;
	struct route route;

	route_recipient(w->policy, &s->facts, &cmd->path, &route);
	if (route.action == RELAY_DEFER)
		return REASON_RELAY_DEFERRED;
	if (route.action != RELAY_ACCEPT)
		return REASON_RELAY_DENIED;
	s->facts.tenant = (uint16_t)route.tenant;
	*ret_pool = route.pool;
	list = w->set->n_lists ? policy_list_of(w->policy, s->facts.client, s->facts.now_s) : NULL;
	if (list && list->pool >= 0 && route.recipient == RELAY_SERVED)
		*ret_pool = (unsigned)list->pool;
	return REASON_NONE;
}

static enum outcome rcpt_forward(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	struct relay *r = s->relay;

	if (r->pending >= PENDING_MAX || !relay_has_room(w, r))
		return OUTCOME_WAIT;
	if (r->pending && !(r->words.words & SMTP_WORD_PIPELINING))
		return OUTCOME_WAIT; /* one command at a time (RFC 2920 3.1) */
	if (words_used(cmd) & ~r->words.words)
		return refuse_rcpt(w, s, REASON_BACKEND_WORDS);
	if (s->facts.rcpts_accepted == 0 && r->pending == 0)
		session_note_rcpt(s, cmd->path.whole);
	scan_rcpt(w, s, cmd->path.whole);
	session_grey_forward(w, s);
	session_memory_forward(w, s, cmd->path.whole);
	session_at_once_begin(w, s, PHASE_RCPT, cmd->path.whole);
	relay_rcpt(w, r, cmd);
	return OUTCOME_DONE;
}

/* In one group with MAIL (RFC 2920 3.1), which saves a round trip; where MAIL is refused its words
 * answer the recipients, and the backend's answers to them are dropped (relay_talk.c). */
static bool rides_along(const struct relay *r)
{
	return r->state == RELAY_MAIL && r->words.words & SMTP_WORD_PIPELINING;
}

static enum outcome rcpt_proceed(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	struct relay *r = s->relay;
	unsigned pool;
	enum reason denied = rcpt_route(w, s, cmd, &pool);

	if (denied != REASON_NONE)
		return refuse_rcpt(w, s, denied);
	if (r && r->wanted_pool != pool) {
		if (s->facts.rcpts_accepted || r->pending)
			return refuse_rcpt(w, s, REASON_OTHER_POOL);
		s->relay = NULL;
		relay_release(w, r);
	}
	if (!s->relay)
		s->relay = relay_open(w, s, pool, RELAY_FOR_MAIL);
	r = s->relay;
	if (!r)
		return refuse_rcpt(w, s, REASON_BACKEND_QUEUE_FULL);
	switch ((enum relay_state)r->state) {
	case RELAY_ATTACHED:
		if (!relay_has_room(w, r))
			return OUTCOME_WAIT;
		relay_mail(w, r);
		return rides_along(r) ? rcpt_forward(w, s, cmd) : OUTCOME_WAIT;
	case RELAY_MAIL: return rides_along(r) ? rcpt_forward(w, s, cmd) : OUTCOME_WAIT;
	case RELAY_READY: return rcpt_forward(w, s, cmd);
	case RELAY_REFUSED:
	case RELAY_FAILED:
		if (r->pending)
			return OUTCOME_WAIT;
		session_refuse_rcpt_stored(w, s);
		return OUTCOME_DONE;
	default: return OUTCOME_WAIT; /* on its way to READY */
	}
}

/* ---- DATA, BDAT ---- */

static enum outcome data_check(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	struct relay *r = s->relay;

	if (cmd->argument.len)
		return answer(w, s, REPLY_ARGUMENT);
	if (r->state != RELAY_READY) { /* lost since the recipients were accepted */
		session_refuse_stored(w, s);
		session_reset(w, s);
		return OUTCOME_DONE;
	}
	return relay_has_room(w, r) ? OUTCOME_GONE : OUTCOME_WAIT;
}

static enum outcome data_proceed(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	body_start(w, s);
	return OUTCOME_DONE;
}

/* A chunk's bytes follow its command whatever we think of it: they are read and dropped. */
static enum outcome swallow(
    struct worker *w, struct session *s, const struct smtp_command *cmd, enum reply reply)
{
	uint64_t limit = w->set->limits.message_size;

	if (limit && cmd->chunk_size > 2 * limit) { /* P9: not to be fed without end */
		session_reply(w, s, reply);
		session_linger(w, s);
		return OUTCOME_GONE;
	}
	s->swallow = (uint8_t)reply;
	s->chunk_left = cmd->chunk_size;
	s->state = SESSION_CHUNK;
	session_deadline(w, s, w->set->smtp.data_timeout_ms);
	return OUTCOME_DONE;
}

static enum outcome bdat_check(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	if (!(s->words & SMTP_WORD_CHUNKING))
		return swallow(w, s, cmd, REPLY_NOT_IMPLEMENTED);
	if (s->at != AT_RCPT && s->at != AT_BDAT)
		return swallow(w, s, cmd, s->at == AT_MAIL ? REPLY_SEND_RCPT : REPLY_SEND_MAIL);
	if (s->at == AT_BDAT || s->relay->state != RELAY_READY) {
		body_chunk(w, s, cmd, s->relay->state != RELAY_READY && s->at == AT_RCPT);
		return OUTCOME_DONE;
	}
	return relay_has_room(w, s->relay) ? OUTCOME_GONE : OUTCOME_WAIT;
}

static enum outcome bdat_proceed(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	bool lacks = !(s->relay->words.words & SMTP_WORD_CHUNKING);

	if (lacks)
		relay_reason(w, s->relay, 451, REASON_BACKEND_WORDS);
	body_chunk(w, s, cmd, lacks);
	return OUTCOME_DONE;
}

/* ---- the rest ---- */

static enum outcome rset_proceed(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	session_reset(w, s);
	return answer(w, s, REPLY_RESET_OK);
}

static enum outcome noop_proceed(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	return answer(w, s, REPLY_NOOP_OK);
}

static enum outcome help_proceed(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	return answer(w, s, REPLY_HELP);
}

static enum outcome vrfy_proceed(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	return answer(w, s, cmd->argument.len ? REPLY_VRFY : REPLY_ARGUMENT);
}

static enum outcome quit_proceed(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	session_quit(w, s);
	return OUTCOME_GONE;
}

static enum outcome not_implemented(
    struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	brain_count(w, BRAIN_commands_unknown);
	return answer(w, s, REPLY_NOT_IMPLEMENTED);
}

static enum outcome unknown(struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	brain_count(w, BRAIN_commands_unknown);
	return answer(w, s, REPLY_UNKNOWN);
}

static enum outcome starttls_check(
    struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	if (w->set->smtp.starttls == STARTTLS_OFF)
		return not_implemented(w, s, cmd);
	if (cmd->argument.len)
		return answer(w, s, REPLY_ARGUMENT);
	return s->words & SMTP_WORD_STARTTLS ? OUTCOME_GONE : answer(w, s, REPLY_NO_TLS);
}

static enum outcome starttls_proceed(
    struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	unsigned pool = w->set->default_pool >= 0 ? (unsigned)w->set->default_pool : 0;

	(void)cmd;
	if (s->relay) {
		relay_release(w, s->relay);
		s->relay = NULL;
	}
	s->relay = relay_open(w, s, pool, RELAY_FOR_TLS);
	if (!s->relay)
		return answer(w, s, REPLY_NO_TLS);
	s->state = SESSION_TLS;
	session_deadline(w, s, 0);
	return OUTCOME_DONE;
}

static const struct command_row rows[SMTP_N_VERBS] = {
	[SMTP_UNKNOWN] = { AT_ANY, PHASE_N, NULL, unknown },
	[SMTP_HTTP] = { AT_ANY, PHASE_N, NULL, unknown },
	[SMTP_EHLO] = { AT_ANY, PHASE_HELO, hello_check, hello_proceed },
	[SMTP_HELO] = { AT_ANY, PHASE_HELO, hello_check, hello_proceed },
	[SMTP_MAIL] = { AT_HELO, PHASE_MAIL, mail_check, mail_proceed },
	[SMTP_RCPT] = { AT_MAIL | AT_RCPT, PHASE_RCPT, rcpt_check, rcpt_proceed },
	[SMTP_DATA] = { AT_RCPT, PHASE_DATA, data_check, data_proceed },
	[SMTP_BDAT] = { AT_ANY, PHASE_DATA, bdat_check, bdat_proceed },
	[SMTP_RSET] = { AT_ANY, PHASE_N, NULL, rset_proceed },
	[SMTP_NOOP] = { AT_ANY, PHASE_N, NULL, noop_proceed },
	[SMTP_HELP] = { AT_ANY, PHASE_N, NULL, help_proceed },
	[SMTP_VRFY] = { AT_ANY, PHASE_N, NULL, vrfy_proceed },
	[SMTP_EXPN] = { AT_ANY, PHASE_N, NULL, not_implemented },
	[SMTP_QUIT] = { AT_ANY, PHASE_N, NULL, quit_proceed },
	[SMTP_STARTTLS] = { AT_HELO, PHASE_N, starttls_check, starttls_proceed },
	[SMTP_AUTH] = { AT_ANY, PHASE_N, NULL, not_implemented },
	[SMTP_ETRN] = { AT_ANY, PHASE_N, NULL, not_implemented },
};

/* What to say to a command out of order (503): what was expected instead. */
static enum reply out_of_order(const struct session *s, enum smtp_verb verb)
{
	switch (s->at) {
	case AT_START: return REPLY_SEND_HELO;
	case AT_HELO: return REPLY_SEND_MAIL;
	case AT_MAIL: return verb == SMTP_DATA ? REPLY_SEND_RCPT : REPLY_NESTED_MAIL;
	case AT_BDAT: return REPLY_BDAT_MIXED;
	default: return REPLY_NESTED_MAIL;
	}
}

static enum reply syntax_reply(enum smtp_syntax syntax, enum smtp_verb verb)
{
	switch (syntax) {
	case SMTP_SYNTAX_PATH:
	case SMTP_SYNTAX_PATH_LONG:
		return verb == SMTP_RCPT ? REPLY_BAD_RECIPIENT : REPLY_BAD_SENDER;
	case SMTP_SYNTAX_PARAM: return REPLY_BAD_PARAM;
	case SMTP_SYNTAX_UNKNOWN: return REPLY_UNKNOWN;
	default: return REPLY_ARGUMENT;
	}
}

/* The facts that lend texts of the line: forgotten when the command is done with. */
static void unlend(struct session *s)
{
	s->facts.helo = session_helo(s);
	s->facts.mail = s->at & (AT_MAIL | AT_RCPT | AT_BDAT) ? session_mail(s) : (struct text){ 0 };
	s->facts.rcpt = (struct text){ 0 };
}

/* Judged at once: it will hardly come to EHLO. Where no filter minds, 500 as for any unknown word. */
static enum outcome other_protocol(
    struct worker *w, struct session *s, const struct smtp_command *cmd)
{
	struct verdict v;

	s->facts.non_smtp = true;
	v = session_judge(w, s, PHASE_HELO);
	session_note_verdict(w, s, v, PHASE_HELO);
	if (v.kind <= VERDICT_MARK)
		return unknown(w, s, cmd);
	session_refuse_verdict(w, s, v, PHASE_HELO);
	return s->state == SESSION_LINGER ? OUTCOME_GONE : OUTCOME_DONE;
}

/* RFC 2920 3.1: without the word no groups at all, and these end one where there may be. What
 * follows BDAT is its chunk. */
static bool breaks_group(const struct session *s, enum smtp_verb verb)
{
	if (verb == SMTP_BDAT)
		return false;
	return !(s->words & SMTP_WORD_PIPELINING) || verb == SMTP_EHLO || verb == SMTP_HELO ||
	       verb == SMTP_DATA;
}

enum outcome command_run(struct worker *w, struct session *s, struct text line)
{
	struct smtp_command cmd;
	enum smtp_syntax syntax = smtp_parse(line, &cmd);
	const struct command_row *row = &rows[cmd.verb];
	struct verdict v = { .kind = VERDICT_NONE };
	enum outcome outcome;
	unsigned n_hits = s->tally.n, n_refused = s->facts.rcpts_refused;

	if (answers_due(s) && (cmd.verb != SMTP_RCPT || syntax != SMTP_SYNTAX_OK))
		return OUTCOME_WAIT;
	if (s->more_behind && s->at != AT_START && breaks_group(s, cmd.verb))
		session_out_of_turn(w, s, false);
	if (cmd.verb == SMTP_HTTP)
		return other_protocol(w, s, &cmd);
	if (syntax == SMTP_SYNTAX_UNKNOWN)
		return unknown(w, s, &cmd);
	if (!(row->allowed & s->at))
		return answer(w, s, out_of_order(s, cmd.verb));
	if (syntax != SMTP_SYNTAX_OK)
		return answer(w, s, syntax_reply(syntax, cmd.verb));
	if (row->phase != PHASE_N)
		s->reached = row->phase;
	if (row->check) {
		outcome = row->check(w, s, &cmd);
		if (outcome != OUTCOME_GONE) {
			unlend(s);
			return outcome;
		}
	}
	if (row->phase != PHASE_N) {
		if (row->phase == PHASE_HELO)
			s->facts.helo = cmd.argument;
		v = session_judge(w, s, row->phase);
		if (v.kind > VERDICT_MARK) {
			if (answers_due(s))
				return OUTCOME_WAIT;
			session_note_verdict(w, s, v, row->phase);
			if (row->phase == PHASE_RCPT) {
				s->facts.rcpts_refused++;
				brain_count(w, BRAIN_rcpt_refused);
				content_forget_rcpt(w->policy, &s->tally, n_hits);
				session_grey_told(w, s, v);
				if (v.reason == REASON_UNKNOWN_RECIPIENT)
					session_memory_rcpt(w, s, s->facts.rcpt, 550, true);
			}
			if (cmd.verb == SMTP_BDAT) {
				relay_reason(w, s->relay, reply_code(v.kind, v.reason, PHASE_DATA),
				    v.reason);
				body_chunk(w, s, &cmd, true);
				return OUTCOME_DONE;
			}
			session_refuse_verdict(w, s, v, row->phase);
			unlend(s);
			return s->state == SESSION_LINGER ? OUTCOME_GONE : OUTCOME_DONE;
		}
	}
	outcome = row->proceed(w, s, &cmd);
	if (outcome != OUTCOME_WAIT)
		session_note_verdict(w, s, v, row->phase == PHASE_N ? PHASE_HELO : row->phase);
	if (row->phase == PHASE_RCPT && s->facts.rcpts_refused > n_refused)
		content_forget_rcpt(w->policy, &s->tally, n_hits);
	if (s->state != SESSION_LINGER)
		unlend(s);
	return outcome;
}
