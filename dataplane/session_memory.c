/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session's part of the memory of sources (filters/memory.h): before the filters are asked, what
 * is remembered becomes a fact; what happens is told to the memory's writer by notes.
 */
#include "relay.h"
#include "session_private.h"

#include "filters/memory.h"
#include "filters/nameset.h"
#include "filters/relay.h"

#include <string.h>

bool session_is_internal(const struct worker *w, const struct session *s)
{
	return w->set->relay.n_internal && relay_source(w->policy, &s->facts) == RELAY_INTERNAL;
}

/* Nobody is a stranger to it: a shop, a ticket system. */
static bool to_strangers(const struct worker *w, struct text sender, uint32_t now_s)
{
	const struct policy_memory *set = &w->set->memory;

	return set->has_stranger_senders && sender.len &&
	       nameset_find(policy_namesets(w->policy), set->stranger_senders, sender, now_s, NULL);
}

void session_memory_ask(struct worker *w, struct session *s, enum phase phase)
{
	const struct memory *memory = w->config.shared.memory;
	struct memory_answer answer;
	struct memory_query query;

	s->facts.rates_over = 0;
	s->facts.memory = 0;
	if (s->facts.trusted ||
	    (phase != PHASE_CONNECT && phase != PHASE_MAIL && phase != PHASE_RCPT))
		return;
	session_at_once_ask(w, s, phase);
	if (!memory || !w->set->memory.capacity)
		return;
	query = (struct memory_query){
		.client = s->facts.client,
		.tenant = s->facts.tenant,
		.internal = session_is_internal(w, s),
	};
	if (phase != PHASE_CONNECT)
		query.sender = s->facts.mail;
	query.to_strangers = query.internal && to_strangers(w, query.sender, s->facts.now_s);
	if (phase == PHASE_RCPT)
		query.rcpt = s->facts.rcpt;
	memory_judge(memory, &w->set->memory, phase, &query, s->facts.now_s, &answer);
	s->facts.rates_over |= answer.rates_over;
	s->facts.memory = answer.found;
}

void session_memory_opened(struct worker *w, const struct session *s)
{
	struct note *n = note_new(w, NOTE_OPEN);

	if (!n)
		return;
	n->listener = s->facts.listener;
	memcpy(n->client, s->facts.client, sizeof(n->client));
}

void session_memory_rcpt(
    struct worker *w, const struct session *s, struct text rcpt, unsigned code, bool unknown)
{
	struct note *n = note_new(w, NOTE_RCPT);

	if (!n)
		return;
	n->code = (uint16_t)code;
	n->value = unknown;
	n->internal = session_is_internal(w, s);
	n->to_strangers = n->internal && to_strangers(w, session_mail(s), s->facts.now_s);
	n->tenant = s->facts.tenant;
	n->listener = s->facts.listener;
	memcpy(n->client, s->facts.client, sizeof(n->client));
	session_copy_text(n->sender, sizeof(n->sender), session_mail(s));
	session_copy_text(n->rcpt, sizeof(n->rcpt), rcpt);
}

/* By the enhanced code where there is one (RFC 3463 3.2: addressing), else by the code's own meaning. */
static bool says_unknown(const struct smtp_reply *reply)
{
	const char *text = reply->raw.p;

	if (reply->code != 550 && reply->code != 551 && reply->code != 553)
		return false;
	if (reply->raw.len >= 9 && text[4] == '5' && text[5] == '.' && text[7] == '.')
		return text[6] == '1';
	return true;
}

void session_memory_forward(struct worker *w, struct session *s, struct text rcpt)
{
	if (w->config.notes & 1u << NOTE_RCPT && !asked_push(&s->relay->asked, &w->asked, rcpt))
		brain_count(w, BRAIN_rcpt_untold);
}

void session_memory_answered(struct worker *w, struct session *s, const struct smtp_reply *reply)
{
	struct relay *r = s->relay;
	struct text rcpt;

	if (asked_first(&r->asked, &w->asked, &rcpt))
		session_memory_rcpt(w, s, rcpt, reply->code, says_unknown(reply));
	asked_drop(&r->asked, &w->asked);
}

bool memory_note_of(const struct note *from, struct memory_note *ret_note)
{
	memset(ret_note, 0, sizeof(*ret_note));
	switch ((enum note_kind)from->kind) {
	case NOTE_OPEN: ret_note->kind = MEMORY_OPENED; break;
	case NOTE_MESSAGE: ret_note->kind = MEMORY_CARRIED; break;
	case NOTE_RCPT:
		ret_note->kind = MEMORY_ASKED;
		ret_note->accepted = from->code / 100 == 2;
		ret_note->unknown = from->value != 0;
		break;
	default: return false;
	}
	ret_note->who = (struct memory_query){
		.client = from->client,
		.tenant = from->tenant,
		.internal = from->internal,
		.to_strangers = from->to_strangers,
		.sender = { from->sender, (uint16_t)strlen(from->sender) },
		.rcpt = { from->rcpt, (uint16_t)strlen(from->rcpt) },
	};
	ret_note->now_s = (uint32_t)(from->time_ns / 1000000000u);
	return true;
}
