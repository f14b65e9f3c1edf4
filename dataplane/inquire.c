/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions of sessions and their answers; see inquire.h. */
#include "inquire.h"

#include "ask.h"
#include "session_private.h"

#include "filters/address_form.h"
#include "filters/hostname.h"

#include <string.h>

/* Their places in session.asked; the bit of facts.due is 1 << place. */
enum place { AT_LISTS, AT_HOST, AT_SENDER, AT_SPF, N_PLACES };
_Static_assert(DUE_LISTS == 1 << AT_LISTS && DUE_HOST == 1 << AT_HOST &&
		   DUE_SENDER == 1 << AT_SENDER && DUE_SPF == 1 << AT_SPF,
    "facts.due has a bit for each place");
_Static_assert((int)N_PLACES == (int)SESSION_QUESTIONS, "each has a place in the session");

static const struct policy_dns *dns_of(const struct worker *w)
{
	return &w->set->dns;
}

/* No answer, in whatever way. */
static void failed(struct session *s, enum place place)
{
	switch (place) {
	case AT_HOST: s->facts.host = HOST_FAILED; break;
	case AT_SENDER: s->facts.sender = SENDER_FAILED; break;
	case AT_SPF: s->facts.spf = FACT_SPF_TEMPERROR; break;
	default: break;
	}
}

static void settle(struct worker *w, struct session *s, enum place place)
{
	s->facts.due &= (uint8_t) ~(1u << place);
	s->asked[place] = 0;
	if (s->facts.due == 0)
		session_wake(w, s);
}

/* A place in the turn's array, the asker noted; NULL: it has failed. */
static struct question *ask(
    struct worker *w, struct session *s, enum place place, enum question_kind kind, uint32_t ms)
{
	struct worker_out *out = w->out;
	uint64_t deadline_ns = w->now_ns + ms * 1000000ull;
	struct question *q;

	if (out->n_questions == out->cap_questions ||
	    ask_open(w->ask, s, deadline_ns, &s->asked[place]) < 0) {
		brain_count(w, BRAIN_questions_full);
		failed(s, place);
		return NULL;
	}
	q = &out->questions[out->n_questions++];
	q->id = s->asked[place];
	q->kind = (uint8_t)kind;
	q->deadline_ns = deadline_ns;
	q->lists = q->version = 0;
	q->helo[0] = q->sender[0] = '\0';
	memcpy(q->addr, s->facts.client, 16);
	s->facts.due |= (uint8_t)(1u << place);
	brain_count(w, BRAIN_questions);
	return q;
}

/* The rows worth asking, and the longest time that one of them has. */
static uint32_t rows(const struct worker *w, const struct session *s, uint32_t *ret_timeout_ms)
{
	const struct policy_dns *dns = dns_of(w);
	unsigned family = address_is_v4(s->facts.client) ? DNS_V4 : DNS_V6;
	uint32_t lists = 0, timeout_ms = 0;

	for (unsigned i = 0; i < dns->n_lists; i++) {
		if (!(dns->lists[i].families & family) ||
		    policy_rule(w->policy, dns->lists[i].rule)->state == RULE_OFF)
			continue;
		lists |= 1u << i;
		if (dns->lists[i].timeout_ms > timeout_ms)
			timeout_ms = dns->lists[i].timeout_ms;
	}
	*ret_timeout_ms = timeout_ms;
	return lists;
}

void inquire_connect(struct worker *w, struct session *s)
{
	const struct policy_dns *dns = dns_of(w);
	uint32_t timeout_ms, lists;
	struct question *q;

	if (dns->n_recursors == 0 || s->facts.trusted)
		return;
	lists = rows(w, s, &timeout_ms);
	s->dns_version = dns->version;
	s->facts.dns_asked = lists;
	if (lists && (q = ask(w, s, AT_LISTS, QUESTION_DNSL, timeout_ms)) != NULL) {
		q->lists = lists;
		q->version = dns->version;
	}
	if (dns->host)
		ask(w, s, AT_HOST, QUESTION_PTR, dns->host_timeout_ms);
}

static struct text domain_of(struct text path)
{
	struct text none = { NULL, 0 };

	for (unsigned i = path.len; i > 0; i--)
		if (path.p[i - 1] == '@')
			return (struct text){ path.p + i, (uint16_t)(path.len - i) };
	return none;
}

void inquire_mail(struct worker *w, struct session *s)
{
	const struct policy_dns *dns = dns_of(w);
	struct text mail = session_mail(s), domain = domain_of(mail), helo = session_helo(s);
	struct question *q;

	if (dns->n_recursors == 0 || s->facts.trusted)
		return;
	if (dns->sender && domain.len > 0 && domain.p[0] != '[' && domain.len < sizeof(q->sender) &&
	    (q = ask(w, s, AT_SENDER, QUESTION_SENDER, dns->sender_timeout_ms)) != NULL)
		session_copy_text(q->sender, sizeof(q->sender), domain);
	if (dns->spf && mail.len < sizeof(q->sender) && helo.len < sizeof(q->helo) &&
	    (q = ask(w, s, AT_SPF, QUESTION_SPF, dns->spf_timeout_ms)) != NULL) {
		session_copy_text(q->sender, sizeof(q->sender), mail);
		session_copy_text(q->helo, sizeof(q->helo), helo);
	}
}

static void forget(struct worker *w, struct session *s, enum place place)
{
	if (s->facts.due & 1u << place)
		ask_cancel(w->ask, s->asked[place]);
	s->facts.due &= (uint8_t) ~(1u << place);
	s->asked[place] = 0;
}

void inquire_forget_mail(struct worker *w, struct session *s)
{
	forget(w, s, AT_SENDER);
	forget(w, s, AT_SPF);
	s->facts.sender = SENDER_UNKNOWN;
	s->facts.sender_is_mx = false;
	s->facts.spf = FACT_SPF_UNKNOWN;
}

void inquire_end(struct worker *w, struct session *s)
{
	for (unsigned place = 0; place < N_PLACES && s->facts.due; place++)
		forget(w, s, place);
}

/* ---- answers ---- */

static void host_answered(struct worker *w, struct session *s, const struct answer *a)
{
	static const uint8_t hosts[] = { [ANSWER_FOUND] = HOST_CONFIRMED,
		[ANSWER_NONE] = HOST_NONE,
		[ANSWER_FAILED] = HOST_FAILED,
		[ANSWER_UNCONFIRMED] = HOST_UNCONFIRMED,
		[ANSWER_NULL_MX] = HOST_FAILED };
	struct text name = { a->name, (uint16_t)strnlen(a->name, sizeof(a->name)) };

	s->facts.host = hosts[a->status];
	if (a->status != ANSWER_FOUND)
		return;
	s->facts.host_generic = hostname_is_generic(name, s->facts.client);
	/* without room the name is not known, which is how a session without one is judged */
	if (session_set_host(w, s, name, a->org < name.len ? a->org : 0) < 0)
		s->facts.host = HOST_FAILED;
}

static void sender_answered(struct session *s, const struct answer *a)
{
	static const uint8_t senders[] = { [ANSWER_FOUND] = SENDER_EXISTS,
		[ANSWER_NONE] = SENDER_NONE,
		[ANSWER_FAILED] = SENDER_FAILED,
		[ANSWER_UNCONFIRMED] = SENDER_FAILED,
		[ANSWER_NULL_MX] = SENDER_NULL_MX };

	s->facts.sender = senders[a->status];
	s->facts.sender_is_mx = a->status == ANSWER_FOUND && a->result;
}

void inquire_answer(struct worker *w, const struct answer *a)
{
	struct session *s = a->more ? ask_asker(w->ask, a->id) : ask_answer(w->ask, a->id);
	unsigned place = 0;

	if (!s) {
		brain_count(w, BRAIN_answers_late);
		return;
	}
	while (place < N_PLACES && s->asked[place] != a->id)
		place++;
	if (place == N_PLACES)
		return;
	if (a->status == ANSWER_FAILED || a->status > ANSWER_NULL_MX) {
		failed(s, place);
		settle(w, s, place);
		return;
	}
	switch ((enum place)place) {
	case AT_LISTS:
		if (a->version == s->dns_version) {
			s->facts.dns_listed |= a->lists;
			s->facts.dns_known |= a->known;
		}
		break;
	case AT_HOST: host_answered(w, s, a); break;
	case AT_SENDER: sender_answered(s, a); break;
	default:
		s->facts.spf = a->result <= FACT_SPF_PERMERROR - FACT_SPF_NONE
				   ? (uint8_t)(a->result + FACT_SPF_NONE)
				   : FACT_SPF_TEMPERROR;
		break;
	}
	if (!a->more)
		settle(w, s, place);
}

void inquire_due(struct worker *w)
{
	struct session *s;

	while ((s = ask_due(w->ask, w->now_ns)) != NULL) {
		brain_count(w, BRAIN_questions_late);
		for (unsigned place = 0; place < N_PLACES; place++) {
			if (!(s->facts.due & 1u << place) || ask_asker(w->ask, s->asked[place]))
				continue;
			failed(s, place);
			settle(w, s, place);
		}
	}
}

void inquire_recheck(const struct worker *w, struct session *s)
{
	if (s->dns_version == dns_of(w)->version)
		return;
	s->dns_version = dns_of(w)->version;
	s->facts.dns_listed = s->facts.dns_known = s->facts.dns_asked = 0;
}
