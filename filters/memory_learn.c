/* SPDX-License-Identifier: BSD-3-Clause */
/* What a note changes, and the alarms it raises: the one writer (memory.h). */
#include "memory_private.h"

#include "batv.h"

#include <string.h>

const char *const memory_alarm_words[MEMORY_N_ALARMS] = {
	[MEMORY_ALARM_UNUSUAL] = "sender-unusual",
	[MEMORY_ALARM_HARVEST] = "harvest",
	[MEMORY_ALARM_SPREAD] = "harvest-spread",
};

static void count_one(struct memory *m, unsigned subject, uint64_t key, unsigned measure,
    const struct memory_query *q, uint32_t now_s, struct meter *ret_meter)
{
	struct meter meter;
	long slot;

	memset(ret_meter, 0, sizeof(*ret_meter));
	slot = memory_table_take(&m->meters, key, now_s, &meter);
	if (slot < 0)
		return;
	if (meter.minute == 0) {
		meter.minute = now_s / 60;
		memory_label_subject(&m->meters, slot, subject, q);
	}
	meter_advance(&meter, now_s);
	meter.minute_now[measure] += meter.minute_now[measure] < UINT16_MAX;
	meter.hour_now[measure] += meter.hour_now[measure] < UINT32_MAX;
	memory_table_write(&m->meters, slot, &meter);
	*ret_meter = meter;
}

static void count_all(struct memory *m, uint32_t subjects, unsigned measure,
    const struct memory_query *q, uint32_t now_s)
{
	uint64_t keys[MEMORY_N_SUBJECTS];
	struct meter meter;

	for (unsigned i = 0; i < MEMORY_N_SUBJECTS; i++) {
		keys[i] = subjects & 1u << i ? memory_key_subject(m, i, q) : 0;
		if (keys[i])
			memory_table_prefetch_write(&m->meters, keys[i]);
	}
	for (unsigned i = 0; i < MEMORY_N_SUBJECTS; i++)
		if (keys[i])
			count_one(m, i, keys[i], measure, q, now_s, &meter);
}

static struct memory_alarm *alarm_add(struct memory_alarm *alarms, unsigned *n,
    enum memory_alarm_kind kind, bool internal, uint32_t count, uint32_t allowed, struct text text)
{
	struct memory_alarm *a = &alarms[(*n)++];

	*a = (struct memory_alarm){
		.kind = (uint8_t)kind, .internal = internal, .count = count, .allowed = allowed
	};
	a->text[memory_lower(a->text, sizeof(a->text) - 1, text)] = 0;
	return a;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The row of a baseline as of now, begun where it is new; -1: not admitted. */
static long baseline_take(struct memory *m, uint64_t key, unsigned kind, struct text label,
    uint32_t now_s, struct profile *ret_p)
{
	long slot = key ? memory_table_take(&m->profiles, key, now_s, ret_p) : -1;

	if (slot < 0)
		return -1;
	if (ret_p->first_s == 0) {
		*ret_p = (struct profile){
			.first_s = now_s, .hour = now_s / HOUR_S, .week = now_s / WEEK_S
		};
		memory_label_set(&m->profiles, slot, kind, label);
	}
	profile_advance(ret_p, now_s);
	ret_p->last_s = now_s;
	return slot;
}

static void raise_to(uint32_t *most, uint32_t n)
{
	*most = n > *most ? n : *most;
}

/* A list with new names at its top looks like a captured account, until the others follow. */
static bool was_a_list(const struct profile *p, const struct policy_memory *s)
{
	uint64_t strangers = (uint64_t)p->now[PROFILE_STRANGERS] + p->before[PROFILE_STRANGERS];

	return p->hour - p->alarm_hour <= 1 && strangers * 2 <= s->burst_floor * (uint64_t)STRANGER;
}

/* Mostly to strangers, or to nobody: nobody's regular mail. */
static bool is_captured(const struct profile *p, unsigned used_up, uint32_t now_s)
{
	return used_up != PROFILE_COPIES ||
	       2 * (uint64_t)profile_hour(p, PROFILE_STRANGERS, now_s) >=
		   profile_hour(p, PROFILE_COPIES, now_s);
}

static void alarm_of(struct profile *p, const struct policy_memory *s,
    const struct memory_note *note, struct memory_alarm *alarms, unsigned *n_alarms)
{
	const struct memory_query *q = &note->who;
	uint32_t now_s = note->now_s, count, allowed;
	unsigned used_up = profile_used_up(p, s, q->internal, now_s, &count, &allowed);
	struct memory_alarm *alarm;

	if (used_up == PROFILE_N || p->alarm_hour == p->hour)
		return;
	p->alarm_hour = p->hour;
	if (q->internal && s->hold_s && is_captured(p, used_up, now_s))
		p->held_s = now_s + s->hold_s;
	alarm = alarm_add(alarms, n_alarms, MEMORY_ALARM_UNUSUAL, q->internal, count, allowed,
	    batv_bare(q->sender));
	alarm->held_s = now_s < p->held_s ? p->held_s - now_s : 0;
}

/* count: what the recipient was: PROFILE_COPIES (known to the sender), _STRANGERS or _UNKNOWN. */
static void learn_sender(struct memory *m, const struct policy_memory *s,
    const struct memory_note *note, enum profile_count count, struct memory_alarm *alarms,
    unsigned *n_alarms)
{
	const struct memory_query *q = &note->who;
	uint32_t now_s = note->now_s;
	struct profile p;
	long slot;

	slot = baseline_take(m, memory_key_sender(m, q), MEMORY_SHOW_SENDER_BASELINE,
	    batv_bare(q->sender), now_s, &p);
	if (slot < 0)
		return;
	if (count == PROFILE_UNKNOWN)
		p.now[PROFILE_UNKNOWN] += p.now[PROFILE_UNKNOWN] < UINT32_MAX;
	else
		profile_count_recipient(&p, s, count == PROFILE_STRANGERS);
	raise_to(&p.copies[0], profile_hour(&p, PROFILE_COPIES, now_s));
	raise_to(&p.strangers[0], profile_hour(&p, PROFILE_STRANGERS, now_s));
	if (now_s < p.held_s && was_a_list(&p, s))
		p.held_s = 0;
	alarm_of(&p, s, note, alarms, n_alarms);
	memory_table_write(&m->profiles, slot, &p);
}

static void learn_domain(struct memory *m, const struct policy_memory *s,
    const struct memory_note *note, struct memory_alarm *alarms, unsigned *n_alarms)
{
	struct text domain = text_domain(note->who.rcpt);
	uint32_t now_s = note->now_s, count, allowed;
	struct profile p;
	long slot;

	slot = baseline_take(
	    m, memory_key_domain(m, &note->who), MEMORY_SHOW_DOMAIN_BASELINE, domain, now_s, &p);
	if (slot < 0)
		return;
	p.now[PROFILE_UNKNOWN] += p.now[PROFILE_UNKNOWN] < UINT32_MAX;
	count = profile_hour(&p, PROFILE_UNKNOWN, now_s);
	allowed = profile_allowed(p.copies, s->spread_unknown, s->burst_percent);
	raise_to(&p.copies[0], least(count, allowed)); /* no more is learned than was allowed */
	if (count >= allowed && p.alarm_hour != p.hour) {
		p.alarm_hour = p.hour;
		alarm_add(alarms, n_alarms, MEMORY_ALARM_SPREAD, false, count, allowed, domain);
	}
	memory_table_write(&m->profiles, slot, &p);
}

static void learn_client(struct memory *m, const struct policy_memory *s,
    const struct memory_note *note, struct memory_alarm *alarms, unsigned *n_alarms)
{
	const struct memory_query *q = &note->who;
	char text[MEMORY_TEXT];
	struct meter meter, was;
	uint64_t key;
	size_t n;
	long slot;

	key = memory_key_subject(m, MEMORY_ADDRESS, q);
	count_one(m, MEMORY_ADDRESS, key, MEMORY_UNKNOWN, q, note->now_s, &meter);
	if (meter.minute == 0 || meter.alarm_hour == note->now_s / HOUR_S ||
	    !meter_harvests(s, &meter, note->now_s))
		return;
	meter.alarm_hour = note->now_s / HOUR_S;
	slot = memory_table_find(&m->meters, key, &was);
	if (slot >= 0)
		memory_table_write(&m->meters, slot, &meter);
	n = memory_client_text(q->client, false, text);
	alarm_add(alarms, n_alarms, MEMORY_ALARM_HARVEST, q->internal,
	    meter_hour(&meter, MEMORY_UNKNOWN, note->now_s), s->harvest_unknown,
	    (struct text){ text, (uint16_t)n });
}

#define BIT(subject) (1u << (subject))

unsigned memory_apply(struct memory *m, const struct policy_memory *s,
    const struct memory_note *note, struct memory_alarm alarms[MEMORY_MAX_ALARMS])
{
	const uint32_t from = BIT(MEMORY_ADDRESS) | BIT(MEMORY_PREFIX);
	const uint32_t senders = BIT(MEMORY_SENDER) | BIT(MEMORY_SENDER_DOMAIN);
	const struct memory_query *q = &note->who;
	enum profile_count count;
	uint32_t now_s = note->now_s;
	unsigned n_alarms = 0;
	uint64_t rcpt;

	memory_fill_life(s, m->known.life_s);
	switch ((enum memory_note_kind)note->kind) {
	case MEMORY_OPENED: count_all(m, from, MEMORY_CONNECTIONS, q, now_s); return 0;
	case MEMORY_CARRIED: count_all(m, from | senders, MEMORY_MESSAGES, q, now_s); return 0;
	default: break;
	}
	rcpt = q->rcpt.len ? memory_key_text(m, KEY_KNOWN, q->tenant, batv_bare(q->rcpt)) : 0;
	if (!rcpt)
		return 0;
	if (note->accepted) {
		count_all(m,
		    from | senders | BIT(MEMORY_RECIPIENT) | BIT(MEMORY_RECIPIENT_DOMAIN) |
			BIT(MEMORY_BOUNCES),
		    MEMORY_RECIPIENTS, q, now_s);
		memory_known_put(&m->known, rcpt, KNOWN_KNOWN, now_s);
		count = PROFILE_COPIES;
		if (q->sender.len &&
		    memory_known_put(&m->known, memory_key_pair(m, q, false), KNOWN_PAIR, now_s) ==
			KNOWN_ABSENT &&
		    !q->to_strangers)
			count = PROFILE_STRANGERS;
		learn_sender(m, s, note, count, alarms, &n_alarms);
	} else if (note->unknown) {
		count_all(m, BIT(MEMORY_PREFIX) | senders | BIT(MEMORY_RECIPIENT_DOMAIN),
		    MEMORY_UNKNOWN, q, now_s);
		/* who asks again for the same one does not harvest */
		if (memory_known_put(&m->known, memory_key_pair(m, q, true), KNOWN_UNKNOWN,
			now_s) == KNOWN_ABSENT)
			learn_client(m, s, note, alarms, &n_alarms);
		if (memory_known_put(&m->known, rcpt, KNOWN_UNKNOWN, now_s) != KNOWN_UNKNOWN)
			learn_domain(m, s, note, alarms, &n_alarms);
		learn_sender(m, s, note, PROFILE_UNKNOWN, alarms, &n_alarms);
	}
	return n_alarms;
}
