/* SPDX-License-Identifier: BSD-3-Clause */
/* Between memory.c, memory_show.c and memory_save.c, nobody else's. */
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

enum profile_count { PROFILE_COPIES, PROFILE_STRANGERS, PROFILE_UNKNOWN, PROFILE_N };

/* Rows of the baselines' table. Of a domain: only PROFILE_UNKNOWN is counted, its weeks in copies[]. */
struct profile {
	uint32_t week, hour; /* Unix weeks, hours */
	uint32_t first_s, last_s;
	uint32_t alarm_hour, total;
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

/* To now, without writing. */
void meter_advance(struct meter *meter, uint32_t now_s);
uint32_t meter_minute(const struct meter *meter, unsigned measure, uint32_t now_s);
uint32_t meter_hour(const struct meter *meter, unsigned measure, uint32_t now_s);
void profile_advance(struct profile *p, uint32_t now_s);
uint32_t profile_hour(const struct profile *p, unsigned count, uint32_t now_s);
/* What it may in this hour. */
uint32_t profile_allowed(const uint32_t weeks[MEMORY_WEEKS], uint32_t floor, uint32_t percent);

uint64_t memory_key(
    const struct memory *m, unsigned kind, uint16_t tenant, const char *text, size_t len);
/* The text of a label: addresses are kept as they are and written out here. */
void memory_label_text(unsigned kind, const struct memory_label *label, char ret_text[MEMORY_TEXT]);
/* Of what was learned of a recipient. */
uint64_t memory_key_known(const struct memory *m, uint16_t tenant, const char *text, size_t len);

#endif
