/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session's part of the greylist (filters/greylist.h): before the filters are asked about a
 * recipient, what the index says of it becomes a fact; what comes of it is told to the index's
 * writer by notes. The keys of recipients that went to the backend are kept with the relay, and
 * only its 250 to the message makes them count. A message is known by its first four recipients:
 * those behind are learned by their pool (rejected: a key for each of a hundred in every relay).
 */
#include "relay.h"
#include "session_private.h"

#include <string.h>

static struct text domain_of(struct text path)
{
	size_t at = path.len;

	while (at > 0 && path.p[at - 1] != '@')
		at--;
	return at ? (struct text){ path.p + at, (uint16_t)(path.len - at) }
		  : (struct text){ NULL, 0 };
}

static struct greylist_source source_of(const struct session *s)
{
	struct greylist_source source = { .client = s->facts.client, .tenant = s->facts.tenant };

	if (s->facts.spf == FACT_SPF_PASS) /* of HELO where there is no sender (RFC 7208 2.4) */
		source.spf_domain = s->mail_len ? domain_of(session_mail(s)) : session_helo(s);
	/* a customer's line is named after its network's owner: no pool of one sender */
	if (s->facts.host == HOST_CONFIRMED && !s->facts.host_generic &&
	    s->facts.host_name.len > s->facts.host_org)
		source.host_domain = (struct text){ s->facts.host_name.p + s->facts.host_org,
			(uint16_t)(s->facts.host_name.len - s->facts.host_org) };
	return source;
}

static bool is_on(const struct worker *w, const struct session *s)
{
	return w->config.shared.greylist && w->set->grey.rule && !s->facts.trusted;
}

void session_grey_ask(struct worker *w, struct session *s, struct text rcpt)
{
	static const uint8_t facts[GREYLIST_N_ANSWERS] = {
		[GREYLIST_FIRST] = GREY_FIRST,
		[GREYLIST_EXPIRED] = GREY_FIRST,
		[GREYLIST_EARLY] = GREY_EARLY,
		[GREYLIST_FULL] = GREY_PASSED,
		[GREYLIST_PASSED] = GREY_PASSED,
		[GREYLIST_KNOWN] = GREY_WHITE,
		[GREYLIST_WHITE] = GREY_WHITE,
		[GREYLIST_TRAP] = GREY_TRAP,
	};
	const struct greylist *index = w->config.shared.greylist;
	struct greylist_source source;

	s->facts.grey = GREY_UNASKED;
	if (!is_on(w, s))
		return;
	s->facts.now_s = (uint32_t)(w->now_ns / 1000000000u);
	source = source_of(s);
	greylist_key(greylist_secret(index), &source, session_mail(s), rcpt, &w->grey_keys, NULL);
	s->facts.grey = facts[greylist_judge(index, &w->grey_keys, s->facts.now_s, &w->set->grey)];
}

static void tell(struct worker *w, const struct session *s, enum grey_note_kind kind,
    const struct greylist_keys *keys, struct text rcpt)
{
	struct note *n = note_new(w, NOTE_GREY);
	struct greylist_source source = source_of(s);
	struct text mail = session_mail(s);
	struct greylist_keys of_pool;
	char pool[GREYLIST_POOL_LEN];

	if (!n)
		return;
	greylist_key(
	    greylist_secret(w->config.shared.greylist), &source, mail, rcpt, &of_pool, pool);
	n->code = kind;
	n->tenant = s->facts.tenant;
	n->listener = s->facts.listener;
	n->key[0] = keys->triplet;
	n->key[1] = keys->pool;
	memcpy(n->client, s->facts.client, sizeof(n->client));
	session_copy_text(n->sender, sizeof(n->sender), mail);
	session_copy_text(n->rcpt, sizeof(n->rcpt), rcpt);
	session_copy_text(n->pool, sizeof(n->pool), (struct text){ pool, (uint16_t)strlen(pool) });
}

void session_grey_told(struct worker *w, struct session *s, struct verdict v)
{
	if (s->facts.grey == GREY_UNASKED)
		return;
	if (v.reason == REASON_GREYLISTED && s->facts.grey == GREY_FIRST)
		tell(w, s, GREY_TRIED, &w->grey_keys, s->facts.rcpt);
	if (v.reason == REASON_GREYTRAPPED && s->facts.grey != GREY_TRAP)
		tell(w, s, GREY_TRAPPED, &w->grey_keys, s->facts.rcpt);
}

void session_grey_forward(struct worker *w, struct session *s)
{
	struct relay_grey *g = &s->relay->grey;

	if (s->facts.rcpts_accepted == 0 && s->relay->pending == 0)
		*g = (struct relay_grey){ 0 }; /* none that went before was accepted */
	if (s->facts.grey == GREY_UNASKED)
		return;
	if (g->n < RELAY_GREY_KEYS)
		g->triplets[g->n++] = w->grey_keys.triplet;
	g->pool = w->grey_keys.pool;
}

void session_grey_answered(struct session *s, bool accepted)
{
	struct relay_grey *g = &s->relay->grey;

	if (g->answered < g->n && !accepted)
		g->triplets[g->answered] = 0;
	if (g->answered < UINT8_MAX)
		g->answered++;
}

void session_grey_accepted(struct worker *w, struct session *s)
{
	const struct relay_grey *g = &s->relay->grey;
	bool told = false;

	if (!is_on(w, s))
		return;
	for (unsigned i = 0; i < g->n; i++) {
		struct greylist_keys keys = { g->triplets[i], told ? 0 : g->pool };

		if (keys.triplet == 0)
			continue;
		/* the first one's text is at hand; the writer knows the others' from the first try */
		tell(w, s, GREY_ACCEPTED, &keys,
		    i == 0 ? session_rcpt(s) : (struct text){ NULL, 0 });
		told = true;
	}
}

void grey_note_of(const struct note *from, struct grey_note *ret_note)
{
	struct text sender = { from->sender, (uint16_t)strlen(from->sender) };
	struct text rcpt = { from->rcpt, (uint16_t)strlen(from->rcpt) };

	ret_note->keys = (struct greylist_keys){ from->key[0], from->key[1] };
	ret_note->now_s = (uint32_t)(from->time_ns / 1000000000u);
	ret_note->tenant = from->tenant;
	ret_note->kind = (uint8_t)from->code;
	grey_note_text(ret_note, from->pool, sender, rcpt);
	ret_note->cut |= sender.len == sizeof(from->sender) - 1 ||
			 rcpt.len == sizeof(from->rcpt) - 1 ||
			 strlen(from->pool) == sizeof(from->pool) - 1;
}
