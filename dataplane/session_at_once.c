/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session's part of messages at once (filters/at_once.h): before the filters are asked, what others
 * have under way becomes a fact; what this transaction counts as is kept in records of one cache line
 * out of a pool per worker, so that it is given back once, whatever ends the transaction.
 *
 * Sender and domain count from the 250 to MAIL on, a recipient from its way to the backend on, whatever
 * that says of it: who asks keeps the mail server busy. One transaction counts once for each key (a
 * recipient named twice, two of one domain). Rejected: keys in the session (1,000 recipients in each
 * of them), and giving a refused recipient back (answers would have to find their keys).
 */
#include "session_private.h"

#include "filters/at_once.h"
#include "filters/memory.h"

enum {
	HOLD_KEYS = 6,
	HOLDS_MAX = 32, /* records of one transaction: 192 keys; what comes behind is not counted */
};

struct hold {
	struct hold *next;
	uint32_t n, depth; /* keys here; records behind and with this one */
	uint64_t keys[HOLD_KEYS];
};
_Static_assert(sizeof(struct hold) == 64, "a cache line");

size_t hold_size(void)
{
	return sizeof(struct hold);
}

static bool is_held(const struct session *s, uint64_t key)
{
	for (const struct hold *h = s->holds; h; h = h->next)
		for (unsigned i = 0; i < h->n; i++)
			if (h->keys[i] == key)
				return true;
	return false;
}

/* A place for one more key, NULL: there is none. */
static struct hold *room(struct worker *w, struct session *s)
{
	struct hold *h = s->holds;
	unsigned depth = h ? h->depth : 0;

	if (h && h->n < HOLD_KEYS)
		return h;
	h = depth < HOLDS_MAX ? pool_get(&w->holds) : NULL;
	if (h) {
		*h = (struct hold){ .next = s->holds, .depth = depth + 1 };
		s->holds = h;
	}
	return h;
}

static void hold(struct worker *w, struct session *s, uint64_t key)
{
	struct hold *h;

	if (key == 0 || is_held(s, key))
		return;
	h = room(w, s);
	if (!h || !at_once_take(w->config.shared.at_once, w->config.index, key)) {
		brain_count(w, BRAIN_at_once_full);
		return;
	}
	h->keys[h->n++] = key;
	w->counters[BRAIN_at_once_held]++;
}

/* Senders are judged and counted at MAIL, all that has to do with a recipient at RCPT. */
static bool is_of(const struct policy_rate *rate, enum phase phase)
{
	return rate->at_once && at_once_counts(rate->subject) &&
	       phase == (rate->subject >= MEMORY_RECIPIENT ? PHASE_RCPT : PHASE_MAIL);
}

void session_at_once_ask(struct worker *w, struct session *s, enum phase phase)
{
	const struct policy_memory *m = &w->set->memory;
	const struct at_once *a = w->config.shared.at_once;
	uint64_t key;

	if (!a)
		return;
	for (unsigned i = 0; i < m->n_rates; i++) {
		if (!is_of(&m->rates[i], phase))
			continue;
		key = at_once_key(a, m->rates[i].subject, s->facts.mail, s->facts.rcpt);
		if (key && !is_held(s, key) && at_once_count(a, key) >= m->rates[i].at_once)
			s->facts.rates_over |= 1u << i;
	}
}

void session_at_once_begin(struct worker *w, struct session *s, enum phase phase, struct text rcpt)
{
	const struct policy_memory *m = &w->set->memory;

	if (!w->config.shared.at_once)
		return;
	for (unsigned i = 0; i < m->n_rates; i++)
		if (is_of(&m->rates[i], phase))
			hold(w, s,
			    at_once_key(w->config.shared.at_once, m->rates[i].subject,
				session_mail(s), rcpt));
}

void session_at_once_end(struct worker *w, struct session *s)
{
	struct hold *h;

	while ((h = s->holds)) {
		s->holds = h->next;
		w->counters[BRAIN_at_once_held] -= h->n;
		while (h->n > 0)
			at_once_give(w->config.shared.at_once, w->config.index, h->keys[--h->n]);
		pool_put(&w->holds, h);
	}
}
