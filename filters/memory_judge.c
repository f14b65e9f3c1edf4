/* SPDX-License-Identifier: BSD-3-Clause */
/* Judging by what is remembered: any thread, writes nothing (memory.h). */
#include "memory_private.h"

#include "batv.h"

static enum phase asked_in(const struct policy_rate *rate)
{
	if (rate->subject >= MEMORY_RECIPIENT || rate->measure >= MEMORY_RECIPIENTS)
		return PHASE_RCPT;
	if (rate->measure == MEMORY_MESSAGES || rate->subject == MEMORY_SENDER ||
	    rate->subject == MEMORY_SENDER_DOMAIN)
		return PHASE_MAIL;
	return PHASE_CONNECT;
}

/* Who has used up its strangers, or is held, may still write to those it wrote to before. */
static bool is_unusual(const struct memory *m, const struct policy_memory *s, enum phase phase,
    const struct memory_query *q, const struct profile *p, uint32_t now_s)
{
	uint32_t life_s[KNOWN_N_STATES], count, allowed;
	unsigned used_up = profile_used_up(p, s, q->internal, now_s, &count, &allowed);

	if (used_up != PROFILE_N && used_up != PROFILE_STRANGERS)
		return true;
	if ((used_up == PROFILE_N && !(s->hold_s && now_s < p->held_s)) || phase != PHASE_RCPT ||
	    !q->rcpt.len || q->to_strangers)
		return false;
	memory_fill_life(s, life_s);
	return memory_known_get(&m->known, memory_key_pair(m, q, false), life_s, now_s) !=
	       KNOWN_PAIR;
}

struct lookup {
	struct meter meters[MEMORY_N_SUBJECTS];
	uint64_t keys[MEMORY_N_SUBJECTS];
	uint32_t wanted, there;
};

static void look_up(
    const struct memory *m, const struct memory_query *q, uint32_t now_s, struct lookup *l)
{
	for (unsigned i = 0; i < MEMORY_N_SUBJECTS; i++) {
		l->keys[i] = l->wanted & 1u << i ? memory_key_subject(m, i, q) : 0;
		if (l->keys[i])
			memory_table_prefetch(&m->meters, l->keys[i]);
	}
	for (unsigned i = 0; i < MEMORY_N_SUBJECTS; i++) {
		if (!l->keys[i] || !memory_table_read(&m->meters, l->keys[i], &l->meters[i]))
			continue;
		meter_advance(&l->meters[i], now_s);
		l->there |= 1u << i;
	}
}

void memory_judge(const struct memory *m, const struct policy_memory *s, enum phase phase,
    const struct memory_query *q, uint32_t now_s, struct memory_answer *ret_answer)
{
	unsigned n_rates = s->n_rates < POLICY_MAX_RATES ? s->n_rates : POLICY_MAX_RATES;
	struct lookup l = { .wanted = phase == PHASE_MAIL ? 0 : 1u << MEMORY_ADDRESS };
	uint32_t life_s[KNOWN_N_STATES], allowed;
	bool has_profile = false;
	struct profile profile, domain;

	*ret_answer = (struct memory_answer){ 0 };
	for (unsigned i = 0; i < n_rates; i++)
		if (asked_in(&s->rates[i]) == phase && s->rates[i].subject < MEMORY_N_SUBJECTS)
			l.wanted |= 1u << s->rates[i].subject;
	look_up(m, q, now_s, &l);
	if (l.there & 1u << MEMORY_ADDRESS && meter_harvests(s, &l.meters[MEMORY_ADDRESS], now_s))
		ret_answer->found |= MEMORY_HARVESTS;
	if (phase >= PHASE_MAIL && q->sender.len) {
		has_profile = memory_table_read(&m->profiles, memory_key_sender(m, q), &profile);
		if (has_profile) {
			profile_advance(&profile, now_s);
			if (is_unusual(m, s, phase, q, &profile, now_s))
				ret_answer->found |= MEMORY_UNUSUAL;
		}
		if (q->internal)
			ret_answer->found |= MEMORY_IN_ALL;
	}
	for (unsigned i = 0; i < n_rates; i++) {
		const struct policy_rate *rate = &s->rates[i];
		const struct meter *meter = &l.meters[rate->subject % MEMORY_N_SUBJECTS];
		unsigned measure = rate->measure % MEMORY_N_MEASURES;

		if (asked_in(rate) != phase || !(l.there & 1u << rate->subject))
			continue;
		if ((!rate->per_minute || meter_minute(meter, measure, now_s) < rate->per_minute) &&
		    (!rate->per_hour || meter_hour(meter, measure, now_s) < rate->per_hour))
			continue;
		if (rate->learned && rate->subject == MEMORY_SENDER && has_profile &&
		    profile_is_usual(s, &profile, q->internal, now_s))
			continue;
		ret_answer->rates_over |= 1u << i;
	}
	if (phase != PHASE_RCPT || !q->rcpt.len)
		return;
	memory_fill_life(s, life_s);
	switch (memory_known_get(&m->known,
	    memory_key_text(m, KEY_KNOWN, q->tenant, batv_bare(q->rcpt)), life_s, now_s)) {
	case KNOWN_KNOWN: ret_answer->found |= MEMORY_KNOWN; return;
	case KNOWN_UNKNOWN: ret_answer->found |= MEMORY_NO_SUCH; break;
	default: break;
	}
	if (memory_table_read(&m->profiles, memory_key_domain(m, q), &domain)) {
		profile_advance(&domain, now_s);
		allowed = profile_allowed(domain.copies, s->spread_unknown, s->burst_percent);
		if (profile_hour(&domain, PROFILE_UNKNOWN, now_s) >= allowed)
			ret_answer->found |= MEMORY_SPREAD;
	}
}
