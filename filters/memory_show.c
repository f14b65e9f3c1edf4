/* SPDX-License-Identifier: BSD-3-Clause */
/* What the memory holds, for people, and forgetting it (memory.h). Scans: off the packet path. */
#include "memory_private.h"

#include <string.h>
#include <strings.h>

const char *const memory_subject_words[MEMORY_N_SHOWN] = {
	[MEMORY_ADDRESS] = "address",
	[MEMORY_PREFIX] = "prefix",
	[MEMORY_SENDER] = "sender",
	[MEMORY_SENDER_DOMAIN] = "sender-domain",
	[MEMORY_RECIPIENT] = "recipient",
	[MEMORY_RECIPIENT_DOMAIN] = "recipient-domain",
	[MEMORY_BOUNCES] = "bounces",
	[MEMORY_SHOW_SENDER_BASELINE] = "sender-baseline",
	[MEMORY_SHOW_DOMAIN_BASELINE] = "domain-baseline",
};

const char *const memory_measure_words[MEMORY_N_MEASURES] = {
	[MEMORY_CONNECTIONS] = "connections",
	[MEMORY_MESSAGES] = "messages",
	[MEMORY_RECIPIENTS] = "recipients",
	[MEMORY_UNKNOWN] = "unknown",
};

static void show_label(const struct memory_table *t, uint32_t slot, struct memory_shown *to)
{
	memset(to, 0, sizeof(*to));
	to->kind = t->marks[slot].kind;
	to->touched_s = t->marks[slot].touched_s;
	memory_label_text(to->kind, &t->labels[slot], to->text);
}

static void show_meter(struct meter *meter, uint32_t now_s, struct memory_shown *to)
{
	meter_advance(meter, now_s);
	for (unsigned i = 0; i < MEMORY_N_MEASURES; i++) {
		to->minute[i] = meter_minute(meter, i, now_s);
		to->hour[i] = meter_hour(meter, i, now_s);
	}
}

static void show_profile(
    struct profile *p, const struct policy_memory *s, uint32_t now_s, struct memory_shown *to)
{
	profile_advance(p, now_s);
	to->hour[MEMORY_RECIPIENTS] = profile_hour(p, PROFILE_COPIES, now_s);
	to->hour[MEMORY_UNKNOWN] = profile_hour(p, PROFILE_UNKNOWN, now_s);
	to->strangers = profile_hour(p, PROFILE_STRANGERS, now_s);
	to->allowed = to->kind == MEMORY_SHOW_DOMAIN_BASELINE
			  ? profile_allowed(p->copies, s->spread_unknown, s->burst_percent)
			  : profile_may(p, s, PROFILE_COPIES, false, now_s);
	to->held_s = s->hold_s && now_s < p->held_s ? p->held_s : 0;
	memcpy(to->weeks, p->copies, sizeof(p->copies));
	memcpy(to->weeks_strangers, p->strangers, sizeof(p->strangers));
}

bool memory_next(const struct memory *m, const struct policy_memory *s, uint32_t now_s,
    uint32_t *cursor, struct memory_shown *ret_shown)
{
	uint32_t meters = memory_table_slots(&m->meters),
		 profiles = memory_table_slots(&m->profiles);
	uint64_t key;

	for (; *cursor < meters; (*cursor)++) {
		struct meter meter;

		if (!memory_table_at(&m->meters, *cursor, &key, &meter) ||
		    m->meters.marks[*cursor].touched_s + m->meters.idle_s < now_s)
			continue;
		show_label(&m->meters, *cursor, ret_shown);
		show_meter(&meter, now_s, ret_shown);
		(*cursor)++;
		return true;
	}
	for (; *cursor < meters + profiles; (*cursor)++) {
		struct profile p;

		if (!memory_table_at(&m->profiles, *cursor - meters, &key, &p))
			continue;
		show_label(&m->profiles, *cursor - meters, ret_shown);
		show_profile(&p, s, now_s, ret_shown);
		(*cursor)++;
		return true;
	}
	return false;
}

/* By its label, so that one address is forgotten in every kind; recipients learned by key. */
static unsigned forget_in(struct memory_table *t, const char *text)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < memory_table_slots(t); i++) {
		uint64_t row[MEMORY_ROW_MAX], key;
		char label[MEMORY_TEXT];

		if (!memory_table_at(t, i, &key, row))
			continue;
		memory_label_text(t->marks[i].kind, &t->labels[i], label);
		if (strncmp(label, text, MEMORY_LABEL) == 0) {
			memory_table_remove(t, (long)i);
			n++;
		}
	}
	return n;
}

unsigned memory_forget(struct memory *m, uint16_t tenant, const char *text)
{
	char lower[MEMORY_TEXT * 4];
	size_t n = strlen(text);
	unsigned forgotten;

	if (n == 0 || n >= sizeof(lower))
		return 0;
	for (size_t i = 0; i <= n; i++)
		lower[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
	forgotten = forget_in(&m->meters, lower) + forget_in(&m->profiles, lower);
	forgotten += memory_known_remove(&m->known, memory_key_known(m, tenant, lower, n));
	return forgotten;
}

unsigned memory_release(struct memory *m, const char *sender)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < memory_table_slots(&m->profiles); i++) {
		char label[MEMORY_TEXT];
		struct profile p;
		uint64_t key;

		if (!memory_table_at(&m->profiles, i, &key, &p) ||
		    m->profiles.marks[i].kind != MEMORY_SHOW_SENDER_BASELINE)
			continue;
		memory_label_text(m->profiles.marks[i].kind, &m->profiles.labels[i], label);
		if (strncasecmp(label, sender, MEMORY_LABEL) != 0)
			continue;
		memset(p.now, 0, sizeof(p.now));
		memset(p.before, 0, sizeof(p.before));
		p.held_s = p.alarm_hour = 0;
		memory_table_write(&m->profiles, (long)i, &p);
		n++;
	}
	return n;
}

struct memory_counts memory_counts(const struct memory *m)
{
	return (struct memory_counts){
		.meters = m->meters.used,
		.profiles = m->profiles.used,
		.known = m->known.used[KNOWN_KNOWN],
		.unknown = m->known.used[KNOWN_UNKNOWN],
		.pairs = m->known.used[KNOWN_PAIR],
		.displaced = m->meters.displaced + m->profiles.displaced + m->known.displaced,
		.not_kept = m->meters.not_kept + m->profiles.not_kept + m->known.not_kept,
		.slots = memory_table_slots(&m->meters),
	};
}
