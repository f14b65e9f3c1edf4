/* SPDX-License-Identifier: BSD-3-Clause */
/* See memory.h: keys, windows and baselines, judging and writing. */
#include "memory_private.h"

#include "batv.h"
#include "siphash.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_MAX = 400,
	METER_WORDS = 2 + sizeof(struct meter) / 8,
	PROFILE_WORDS = 2 + sizeof(struct profile) / 8,
	/* kinds of keys behind the subjects' and baselines' own */
	KEY_SENDER_INTERNAL = MEMORY_N_SHOWN,
	KEY_KNOWN,
	KEY_PAIR,
	KEY_CLIENT_PAIR,
	PAIR_LIFE_S = 60 * 86400, /* a sender that writes every month is no stranger */
};

const char *const memory_alarm_words[MEMORY_N_ALARMS] = {
	[MEMORY_ALARM_UNUSUAL] = "sender-unusual",
	[MEMORY_ALARM_HARVEST] = "harvest",
	[MEMORY_ALARM_SPREAD] = "harvest-spread",
};

void memory_defaults(struct policy_memory *s)
{
	*s = (struct policy_memory){
		.burst_floor = 40,
		.burst_percent = 150,
		.unknown_floor = 10,
		.harvest_unknown = 10,
		.harvest_percent = 50,
		.spread_unknown = 100,
		.known_s = 30 * 86400,
		.unknown_s = 3600,
	};
}

static void fill_life(const struct policy_memory *s, uint32_t life_s[KNOWN_N_STATES])
{
	life_s[KNOWN_ABSENT] = 0;
	life_s[KNOWN_UNKNOWN] = s->unknown_s;
	life_s[KNOWN_PAIR] = PAIR_LIFE_S;
	life_s[KNOWN_KNOWN] = s->known_s;
}

struct memory *memory_new(uint32_t capacity, const uint8_t key[16])
{
	struct memory *m = calloc(1, sizeof(*m));
	struct policy_memory defaults;

	if (!m)
		return NULL;
	if (capacity < MEMORY_MIN_CAPACITY)
		capacity = MEMORY_MIN_CAPACITY;
	if (capacity > MEMORY_MAX_CAPACITY)
		capacity = MEMORY_MAX_CAPACITY;
	memcpy(m->key, key, sizeof(m->key));
	memory_defaults(&defaults);
	if (memory_table_init(&m->meters, capacity, METER_WORDS, HOUR_S, 2 * HOUR_S) < 0 ||
	    memory_table_init(
		&m->profiles, capacity / 4, PROFILE_WORDS, WEEK_S, MEMORY_WEEKS * WEEK_S) < 0 ||
	    memory_known_init(&m->known, 4 * capacity) < 0)
		return memory_free(m);
	fill_life(&defaults, m->known.life_s);
	return m;
}

struct memory *memory_free(struct memory *m)
{
	if (m) {
		memory_table_fini(&m->meters);
		memory_table_fini(&m->profiles);
		memory_known_fini(&m->known);
		free(m);
	}
	return NULL;
}

size_t memory_bytes(const struct memory *m)
{
	return sizeof(*m) + memory_table_bytes(&m->meters) + memory_table_bytes(&m->profiles) +
	       memory_known_bytes(&m->known);
}

/* ---- keys ---- */

static size_t lower(char *to, size_t cap, struct text from)
{
	size_t n = from.len < cap ? from.len : cap;

	for (size_t i = 0; i < n; i++) {
		char c = from.p[i];

		to[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	return n;
}

static struct text domain_of(struct text path)
{
	size_t at = path.len;

	while (at > 0 && path.p[at - 1] != '@')
		at--;
	return at ? (struct text){ path.p + at, (uint16_t)(path.len - at) }
		  : (struct text){ NULL, 0 };
}

uint64_t memory_key(
    const struct memory *m, unsigned kind, uint16_t tenant, const char *text, size_t len)
{
	uint8_t buf[KEY_MAX + 4] = { (uint8_t)kind, (uint8_t)tenant, (uint8_t)(tenant >> 8), 0 };
	uint64_t key;

	len = len < KEY_MAX ? len : KEY_MAX;
	if (len)
		memcpy(buf + 4, text, len);
	key = siphash(m->key, buf, len + 4);
	return key ? key : 1;
}

uint64_t memory_key_known(const struct memory *m, uint16_t tenant, const char *text, size_t len)
{
	return memory_key(m, KEY_KNOWN, tenant, text, len);
}

static uint64_t text_key(const struct memory *m, unsigned kind, uint16_t tenant, struct text t)
{
	char buf[KEY_MAX];

	return memory_key(m, kind, tenant, buf, lower(buf, sizeof(buf), t));
}

static bool is_v4(const uint8_t client[16])
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	return memcmp(client, mapped, sizeof(mapped)) == 0;
}

static void prefix_of(const uint8_t client[16], uint8_t ret_prefix[16])
{
	memcpy(ret_prefix, client, 16);
	if (is_v4(client))
		ret_prefix[15] = 0;
	else
		memset(ret_prefix + 8, 0, 8);
}

static size_t client_text(const uint8_t client[16], bool prefix, char text[MEMORY_TEXT])
{
	uint8_t addr[16];

	memcpy(addr, client, 16);
	if (prefix)
		prefix_of(client, addr);
	if (is_v4(addr))
		inet_ntop(AF_INET, addr + 12, text, MEMORY_TEXT);
	else
		inet_ntop(AF_INET6, addr, text, MEMORY_TEXT);
	if (prefix)
		strncat(text, is_v4(addr) ? "/24" : "/64", 4);
	return strlen(text);
}

/* The key of a subject, 0: it has none here. */
static uint64_t subject_key(const struct memory *m, unsigned subject, const struct memory_query *q)
{
	uint8_t prefix[16];

	switch ((enum memory_subject)subject) {
	case MEMORY_ADDRESS: return memory_key(m, subject, 0, (const char *)q->client, 16);
	case MEMORY_PREFIX:
		prefix_of(q->client, prefix);
		return memory_key(m, subject, 0, (const char *)prefix, 16);
	case MEMORY_SENDER: return q->sender.len ? text_key(m, subject, q->tenant, q->sender) : 0;
	case MEMORY_SENDER_DOMAIN: {
		struct text domain = domain_of(q->sender);

		return domain.len ? text_key(m, subject, q->tenant, domain) : 0;
	}
	case MEMORY_RECIPIENT:
		return q->rcpt.len ? text_key(m, subject, q->tenant, batv_bare(q->rcpt)) : 0;
	case MEMORY_RECIPIENT_DOMAIN: {
		struct text domain = domain_of(q->rcpt);

		return domain.len ? text_key(m, subject, q->tenant, domain) : 0;
	}
	case MEMORY_BOUNCES:
		return q->rcpt.len && !q->sender.len
			   ? text_key(m, subject, q->tenant, batv_bare(q->rcpt))
			   : 0;
	default: return 0;
	}
}

static void name(struct memory_table *t, long slot, unsigned kind, struct text text)
{
	struct memory_label *label = &t->labels[slot];

	t->marks[slot].kind = (uint8_t)kind;
	label->text[lower(label->text, MEMORY_LABEL, text)] = 0;
}

static void name_subject(
    struct memory_table *t, long slot, unsigned subject, const struct memory_query *q)
{
	switch ((enum memory_subject)subject) {
	case MEMORY_ADDRESS: /* written out by memory_label_text() */
	case MEMORY_PREFIX:
		memcpy(t->labels[slot].text, q->client, 16);
		t->marks[slot].kind = (uint8_t)subject;
		return;
	case MEMORY_SENDER: name(t, slot, subject, q->sender); return;
	case MEMORY_SENDER_DOMAIN: name(t, slot, subject, domain_of(q->sender)); return;
	case MEMORY_RECIPIENT_DOMAIN: name(t, slot, subject, domain_of(q->rcpt)); return;
	default: name(t, slot, subject, batv_bare(q->rcpt)); return;
	}
}

void memory_label_text(unsigned kind, const struct memory_label *label, char ret_text[MEMORY_TEXT])
{
	uint8_t client[16];

	if (kind == MEMORY_ADDRESS || kind == MEMORY_PREFIX) {
		memcpy(client, label->text, 16);
		client_text(client, kind == MEMORY_PREFIX, ret_text);
	} else {
		memcpy(ret_text, label->text, sizeof(label->text));
	}
}

static uint64_t sender_profile(const struct memory *m, const struct memory_query *q)
{
	unsigned kind = q->internal ? KEY_SENDER_INTERNAL : MEMORY_SHOW_SENDER_BASELINE;

	return q->sender.len ? text_key(m, kind, q->tenant, q->sender) : 0;
}

static uint64_t domain_profile(const struct memory *m, const struct memory_query *q)
{
	struct text domain = domain_of(q->rcpt);

	return domain.len ? text_key(m, MEMORY_SHOW_DOMAIN_BASELINE, q->tenant, domain) : 0;
}

static uint64_t pair_key(const struct memory *m, const struct memory_query *q, bool of_client)
{
	char buf[KEY_MAX];
	size_t n;

	if (of_client) {
		memcpy(buf, q->client, 16);
		n = 16;
	} else {
		n = lower(buf, KEY_MAX / 2, q->sender);
		buf[n++] = 0;
	}
	n += lower(buf + n, KEY_MAX - n, batv_bare(q->rcpt));
	return memory_key(m, of_client ? KEY_CLIENT_PAIR : KEY_PAIR, q->tenant, buf, n);
}

/* ---- windows ---- */

void meter_advance(struct meter *meter, uint32_t now_s)
{
	uint32_t minute = now_s / 60, was = meter->minute;

	if (minute <= was) /* a clock that went back counts into the window at hand */
		return;
	if (minute - was == 1)
		memcpy(meter->minute_before, meter->minute_now, sizeof(meter->minute_now));
	else
		memset(meter->minute_before, 0, sizeof(meter->minute_before));
	memset(meter->minute_now, 0, sizeof(meter->minute_now));
	if (minute / 60 != was / 60) {
		if (minute / 60 - was / 60 == 1)
			memcpy(meter->hour_before, meter->hour_now, sizeof(meter->hour_now));
		else
			memset(meter->hour_before, 0, sizeof(meter->hour_before));
		memset(meter->hour_now, 0, sizeof(meter->hour_now));
	}
	meter->minute = minute;
}

uint32_t meter_minute(const struct meter *meter, unsigned measure, uint32_t now_s)
{
	return meter->minute_now[measure] + meter->minute_before[measure] * (60 - now_s % 60) / 60;
}

static uint32_t sliding_hour(uint32_t now, uint32_t before, uint32_t now_s)
{
	uint64_t n = now + (uint64_t)before * (HOUR_S - now_s % HOUR_S) / HOUR_S;

	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

uint32_t meter_hour(const struct meter *meter, unsigned measure, uint32_t now_s)
{
	return sliding_hour(meter->hour_now[measure], meter->hour_before[measure], now_s);
}

/* ---- baselines ---- */

void profile_advance(struct profile *p, uint32_t now_s)
{
	uint32_t hour = now_s / HOUR_S, week = now_s / WEEK_S;

	if (hour > p->hour) {
		if (hour - p->hour == 1)
			memcpy(p->before, p->now, sizeof(p->now));
		else
			memset(p->before, 0, sizeof(p->before));
		memset(p->now, 0, sizeof(p->now));
		p->hour = hour;
	}
	if (week > p->week) {
		uint32_t gone = week - p->week < MEMORY_WEEKS ? week - p->week : MEMORY_WEEKS;
		size_t keep = (MEMORY_WEEKS - gone) * sizeof(uint32_t);

		memmove(p->copies + gone, p->copies, keep);
		memmove(p->strangers + gone, p->strangers, keep);
		memset(p->copies, 0, gone * sizeof(uint32_t));
		memset(p->strangers, 0, gone * sizeof(uint32_t));
		p->week = week;
	}
}

uint32_t profile_hour(const struct profile *p, unsigned count, uint32_t now_s)
{
	return sliding_hour(p->now[count], p->before[count], now_s);
}

static uint32_t largest(const uint32_t weeks[MEMORY_WEEKS])
{
	uint32_t most = 0;

	for (unsigned i = 1; i < MEMORY_WEEKS; i++)
		most = weeks[i] > most ? weeks[i] : most;
	return most;
}

uint32_t profile_allowed(const uint32_t weeks[MEMORY_WEEKS], uint32_t floor, uint32_t percent)
{
	uint64_t learned = (uint64_t)largest(weeks) * percent / 100;

	if (learned < floor)
		return floor;
	return learned < UINT32_MAX ? (uint32_t)learned : UINT32_MAX;
}

/* Of what a sender may in an hour, which is used up? PROFILE_N: nothing. */
static unsigned used_up(const struct profile *p, const struct policy_memory *s, uint32_t now_s,
    uint32_t *ret_count, uint32_t *ret_allowed)
{
	for (unsigned i = 0; i < PROFILE_N; i++) {
		uint32_t count = profile_hour(p, i, now_s), allowed;

		if (i == PROFILE_COPIES)
			allowed = profile_allowed(p->copies, s->burst_floor, s->burst_percent);
		else if (i == PROFILE_STRANGERS)
			allowed = profile_allowed(p->strangers, s->burst_floor, s->burst_percent);
		else /* a fifth of what arrives: an old mailing list has that */
			allowed = s->unknown_floor + profile_hour(p, PROFILE_COPIES, now_s) / 5;
		if (count < allowed)
			continue;
		*ret_count = count;
		*ret_allowed = allowed;
		return i;
	}
	return PROFILE_N;
}

/* ---- judging ---- */

static bool harvests(const struct policy_memory *s, const struct meter *meter, uint32_t now_s)
{
	uint64_t unknown = meter_hour(meter, MEMORY_UNKNOWN, now_s);
	uint64_t all = unknown + meter_hour(meter, MEMORY_RECIPIENTS, now_s);

	return unknown >= s->harvest_unknown && unknown * 100 >= all * s->harvest_percent;
}

static enum phase asked_in(const struct policy_rate *rate)
{
	if (rate->subject >= MEMORY_RECIPIENT || rate->measure >= MEMORY_RECIPIENTS)
		return PHASE_RCPT;
	if (rate->measure == MEMORY_MESSAGES || rate->subject == MEMORY_SENDER ||
	    rate->subject == MEMORY_SENDER_DOMAIN)
		return PHASE_MAIL;
	return PHASE_CONNECT;
}

/* Does it no more than in its largest hours before? */
static bool is_usual(const struct policy_memory *s, const struct profile *p, uint32_t now_s)
{
	uint32_t count, allowed;

	return largest(p->copies) > 0 && used_up(p, s, now_s, &count, &allowed) == PROFILE_N;
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
		l->keys[i] = l->wanted & 1u << i ? subject_key(m, i, q) : 0;
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
	uint32_t life_s[KNOWN_N_STATES], count, allowed;
	bool has_profile = false;
	struct profile profile, domain;

	*ret_answer = (struct memory_answer){ 0 };
	for (unsigned i = 0; i < n_rates; i++)
		if (asked_in(&s->rates[i]) == phase && s->rates[i].subject < MEMORY_N_SUBJECTS)
			l.wanted |= 1u << s->rates[i].subject;
	look_up(m, q, now_s, &l);
	if (l.there & 1u << MEMORY_ADDRESS && harvests(s, &l.meters[MEMORY_ADDRESS], now_s))
		ret_answer->found |= MEMORY_HARVESTS;
	if (phase >= PHASE_MAIL && q->sender.len) {
		has_profile = memory_table_read(&m->profiles, sender_profile(m, q), &profile);
		if (has_profile) {
			profile_advance(&profile, now_s);
			if (used_up(&profile, s, now_s, &count, &allowed) != PROFILE_N)
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
		    is_usual(s, &profile, now_s))
			continue;
		ret_answer->rates_over |= 1u << i;
	}
	if (phase != PHASE_RCPT || !q->rcpt.len)
		return;
	fill_life(s, life_s);
	switch (memory_known_get(
	    &m->known, text_key(m, KEY_KNOWN, q->tenant, batv_bare(q->rcpt)), life_s, now_s)) {
	case KNOWN_KNOWN: ret_answer->found |= MEMORY_KNOWN; return;
	case KNOWN_UNKNOWN: ret_answer->found |= MEMORY_NO_SUCH; break;
	default: break;
	}
	if (memory_table_read(&m->profiles, domain_profile(m, q), &domain)) {
		profile_advance(&domain, now_s);
		allowed = profile_allowed(domain.copies, s->spread_unknown, s->burst_percent);
		if (profile_hour(&domain, PROFILE_UNKNOWN, now_s) >= allowed)
			ret_answer->found |= MEMORY_SPREAD;
	}
}

/* ---- writing ---- */

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
		name_subject(&m->meters, slot, subject, q);
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
		keys[i] = subjects & 1u << i ? subject_key(m, i, q) : 0;
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
	a->text[lower(a->text, sizeof(a->text) - 1, text)] = 0;
	return a;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* counts: bits of enum profile_count. */
static void learn_sender(struct memory *m, const struct policy_memory *s,
    const struct memory_note *note, uint32_t counts, struct memory_alarm *alarms, unsigned *n_alarms)
{
	const struct memory_query *q = &note->who;
	uint64_t key = sender_profile(m, q);
	uint32_t now_s = note->now_s, count, allowed;
	struct profile p;
	long slot;

	if (!key)
		return;
	slot = memory_table_take(&m->profiles, key, now_s, &p);
	if (slot < 0)
		return;
	if (p.first_s == 0) {
		p = (struct profile){
			.first_s = now_s, .hour = now_s / HOUR_S, .week = now_s / WEEK_S
		};
		name(&m->profiles, slot, MEMORY_SHOW_SENDER_BASELINE, q->sender);
	}
	profile_advance(&p, now_s);
	p.last_s = now_s;
	p.total++;
	for (unsigned i = 0; i < PROFILE_N; i++)
		p.now[i] += (counts >> i & 1) && p.now[i] < UINT32_MAX;
	/* no more is learned than was allowed */
	count = least(profile_hour(&p, PROFILE_COPIES, now_s),
	    profile_allowed(p.copies, s->burst_floor, s->burst_percent));
	p.copies[0] = count > p.copies[0] ? count : p.copies[0];
	count = least(profile_hour(&p, PROFILE_STRANGERS, now_s),
	    profile_allowed(p.strangers, s->burst_floor, s->burst_percent));
	p.strangers[0] = count > p.strangers[0] ? count : p.strangers[0];
	if (used_up(&p, s, now_s, &count, &allowed) != PROFILE_N && p.alarm_hour != p.hour) {
		p.alarm_hour = p.hour;
		alarm_add(
		    alarms, n_alarms, MEMORY_ALARM_UNUSUAL, q->internal, count, allowed, q->sender);
	}
	memory_table_write(&m->profiles, slot, &p);
}

static void learn_domain(struct memory *m, const struct policy_memory *s,
    const struct memory_note *note, struct memory_alarm *alarms, unsigned *n_alarms)
{
	struct text domain = domain_of(note->who.rcpt);
	uint64_t key = domain_profile(m, &note->who);
	uint32_t now_s = note->now_s, count, allowed;
	struct profile p;
	long slot;

	if (!key)
		return;
	slot = memory_table_take(&m->profiles, key, now_s, &p);
	if (slot < 0)
		return;
	if (p.first_s == 0) {
		p = (struct profile){
			.first_s = now_s, .hour = now_s / HOUR_S, .week = now_s / WEEK_S
		};
		name(&m->profiles, slot, MEMORY_SHOW_DOMAIN_BASELINE, domain);
	}
	profile_advance(&p, now_s);
	p.last_s = now_s;
	p.now[PROFILE_UNKNOWN] += p.now[PROFILE_UNKNOWN] < UINT32_MAX;
	count = profile_hour(&p, PROFILE_UNKNOWN, now_s);
	allowed = profile_allowed(p.copies, s->spread_unknown, s->burst_percent);
	p.copies[0] = least(count, allowed) > p.copies[0] ? least(count, allowed) : p.copies[0];
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

	key = subject_key(m, MEMORY_ADDRESS, q);
	count_one(m, MEMORY_ADDRESS, key, MEMORY_UNKNOWN, q, note->now_s, &meter);
	if (meter.minute == 0 || meter.alarm_hour == note->now_s / HOUR_S ||
	    !harvests(s, &meter, note->now_s))
		return;
	meter.alarm_hour = note->now_s / HOUR_S;
	slot = memory_table_find(&m->meters, key, &was);
	if (slot >= 0)
		memory_table_write(&m->meters, slot, &meter);
	n = client_text(q->client, false, text);
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
	uint32_t now_s = note->now_s, counts;
	unsigned n_alarms = 0;
	uint64_t rcpt;

	fill_life(s, m->known.life_s);
	switch ((enum memory_note_kind)note->kind) {
	case MEMORY_OPENED: count_all(m, from, MEMORY_CONNECTIONS, q, now_s); return 0;
	case MEMORY_CARRIED: count_all(m, from | senders, MEMORY_MESSAGES, q, now_s); return 0;
	default: break;
	}
	rcpt = q->rcpt.len ? text_key(m, KEY_KNOWN, q->tenant, batv_bare(q->rcpt)) : 0;
	if (!rcpt)
		return 0;
	if (note->accepted) {
		count_all(m,
		    from | senders | BIT(MEMORY_RECIPIENT) | BIT(MEMORY_RECIPIENT_DOMAIN) |
			BIT(MEMORY_BOUNCES),
		    MEMORY_RECIPIENTS, q, now_s);
		memory_known_put(&m->known, rcpt, KNOWN_KNOWN, now_s);
		counts = 1u << PROFILE_COPIES;
		if (q->sender.len && memory_known_put(&m->known, pair_key(m, q, false), KNOWN_PAIR,
					 now_s) == KNOWN_ABSENT)
			counts |= 1u << PROFILE_STRANGERS;
		learn_sender(m, s, note, counts, alarms, &n_alarms);
	} else if (note->unknown) {
		count_all(m, BIT(MEMORY_PREFIX) | senders | BIT(MEMORY_RECIPIENT_DOMAIN),
		    MEMORY_UNKNOWN, q, now_s);
		/* who asks again for the same one does not harvest */
		if (memory_known_put(&m->known, pair_key(m, q, true), KNOWN_UNKNOWN, now_s) ==
		    KNOWN_ABSENT)
			learn_client(m, s, note, alarms, &n_alarms);
		if (memory_known_put(&m->known, rcpt, KNOWN_UNKNOWN, now_s) != KNOWN_UNKNOWN)
			learn_domain(m, s, note, alarms, &n_alarms);
		learn_sender(m, s, note, 1u << PROFILE_UNKNOWN, alarms, &n_alarms);
	}
	return n_alarms;
}
