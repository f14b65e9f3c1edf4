/* SPDX-License-Identifier: BSD-3-Clause */
/* Between memory.c and memory_{key,window,judge,learn,show,save}.c, nobody else's. */
#ifndef POSTERN_FILTERS_MEMORY_PRIVATE_H
#define POSTERN_FILTERS_MEMORY_PRIVATE_H

#include "memory.h"
#include "memory_known.h"
#include "memory_table.h"

_Static_assert((int)MEMORY_NAME_MAX == (int)MEMORY_LABEL, "what is kept is what is shown");

enum { HOUR_S = 3600, WEEK_S = 7 * 86400 };

/* Rows of the meters' table. */
struct meter {
	uint32_t minute; /* Unix minutes: of `minute_now`; hour_now is of minute / 60 */
	uint32_t alarm_hour;
	uint16_t minute_now[MEMORY_N_MEASURES], minute_before[MEMORY_N_MEASURES];
	uint32_t hour_now[MEMORY_N_MEASURES], hour_before[MEMORY_N_MEASURES];
};
_Static_assert(sizeof(struct meter) == 56, "with sequence and key nine words");

enum profile_count {
	PROFILE_COPIES,
	PROFILE_STRANGERS, /* in thousandths: each recipient that it knows takes its share off */
	PROFILE_UNKNOWN,
	PROFILE_N
};
enum { STRANGER = 1000 };

/* Rows of the baselines' table. Of a domain: only PROFILE_UNKNOWN is counted, its weeks in copies[]. */
struct profile {
	uint32_t week, hour; /* Unix weeks, hours */
	uint32_t first_s, last_s;
	uint32_t alarm_hour;
	uint32_t held_s; /* until then: only to those it wrote to before; 0: not held */
	uint32_t now[PROFILE_N], before[PROFILE_N];
	uint32_t copies[MEMORY_WEEKS],
	    strangers[MEMORY_WEEKS]; /* the largest hour, running week first */
};
_Static_assert(sizeof(struct profile) == 112, "with sequence and key two lines");

struct memory {
	struct memory_table meters, profiles;
	struct memory_known known;
	uint8_t key[16];
};

/* ---- memory.c ---- */

/* How long what is known of a recipient stands. */
void memory_fill_life(const struct policy_memory *s, uint32_t life_s[KNOWN_N_STATES]);

/* ---- memory_window.c ---- */

/* To now, without writing. */
void meter_advance(struct meter *meter, uint32_t now_s);
uint32_t meter_minute(const struct meter *meter, unsigned measure, uint32_t now_s);
uint32_t meter_hour(const struct meter *meter, unsigned measure, uint32_t now_s);
/* Asks for recipients that are not there, and for little else. */
bool meter_harvests(const struct policy_memory *s, const struct meter *meter, uint32_t now_s);
void profile_advance(struct profile *p, uint32_t now_s);
uint32_t profile_hour(const struct profile *p, unsigned count, uint32_t now_s);
/* Counts one: a stranger, or one that it knows. */
void profile_count_recipient(struct profile *p, const struct policy_memory *s, bool stranger);
uint32_t profile_allowed(const uint32_t weeks[MEMORY_WEEKS], uint32_t floor, uint32_t percent);
/* What a sender may in this hour, in whole recipients. */
uint32_t profile_may(const struct profile *p, const struct policy_memory *s, unsigned count,
    bool internal, uint32_t now_s);
/* Of that, what is used up? PROFILE_N: nothing; STRANGERS: nothing else, and that only bars others. */
unsigned profile_used_up(const struct profile *p, const struct policy_memory *s, bool internal,
    uint32_t now_s, uint32_t *ret_count, uint32_t *ret_allowed);
/* Has it a baseline, and does no more than that? */
bool profile_is_usual(
    const struct policy_memory *s, const struct profile *p, bool internal, uint32_t now_s);

/* ---- memory_key.c ---- */

/* Kinds of keys behind the subjects' and baselines' own. */
enum {
	KEY_SENDER_INTERNAL = MEMORY_N_SHOWN,
	KEY_KNOWN,
	KEY_PAIR,
	KEY_PAIR_INTERNAL, /* nobody outside makes a recipient known to a sender inside */
	KEY_CLIENT_PAIR,
};

size_t memory_lower(char *to, size_t cap, struct text from);
size_t memory_client_text(const uint8_t client[16], bool prefix, char text[MEMORY_TEXT]);

uint64_t memory_key(
    const struct memory *m, unsigned kind, uint16_t tenant, const char *text, size_t len);
uint64_t memory_key_text(const struct memory *m, unsigned kind, uint16_t tenant, struct text t);
/* Of what was learned of a recipient. */
uint64_t memory_key_known(const struct memory *m, uint16_t tenant, const char *text, size_t len);
/* 0: the query has no such subject, sender, domain. */
uint64_t memory_key_subject(const struct memory *m, unsigned subject, const struct memory_query *q);
uint64_t memory_key_sender(const struct memory *m, const struct memory_query *q);
uint64_t memory_key_domain(const struct memory *m, const struct memory_query *q);
/* Sender and recipient, or client and recipient. */
uint64_t memory_key_pair(const struct memory *m, const struct memory_query *q, bool of_client);

/* What a row is shown as: addresses are kept as they are and written out by memory_label_text(). */
void memory_label_set(struct memory_table *t, long slot, unsigned kind, struct text text);
void memory_label_subject(
    struct memory_table *t, long slot, unsigned subject, const struct memory_query *q);
void memory_label_text(unsigned kind, const struct memory_label *label, char ret_text[MEMORY_TEXT]);

#endif
