/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows and baselines as values: to a time, what is in them, what is allowed (memory.h). */
#include "memory_private.h"

#include <string.h>

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

bool meter_harvests(const struct policy_memory *s, const struct meter *meter, uint32_t now_s)
{
	uint64_t unknown = meter_hour(meter, MEMORY_UNKNOWN, now_s);
	uint64_t all = unknown + meter_hour(meter, MEMORY_RECIPIENTS, now_s);

	return unknown >= s->harvest_unknown && unknown * 100 >= all * s->harvest_percent;
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
	uint32_t n = sliding_hour(p->now[count], p->before[count], now_s);

	return count == PROFILE_STRANGERS ? n / STRANGER : n;
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

/* With less than three weeks seen, half of the growth: a week may have been an odd one. */
static uint32_t growth(const struct profile *p, const struct policy_memory *s)
{
	unsigned weeks = 0;

	for (unsigned i = 1; i < MEMORY_WEEKS; i++)
		weeks += p->copies[i] > 0;
	return weeks < 3 && s->burst_percent > 100 ? 100 + (s->burst_percent - 100) / 2
						   : s->burst_percent;
}

/* A list has new names here and there, and they do not add up, wherever they stand; recipients that
 * are known give no credit beforehand, so that whoever comes right behind a list has the floor. */
void profile_count_recipient(struct profile *p, const struct policy_memory *s, bool stranger)
{
	uint32_t *now = &p->now[PROFILE_STRANGERS], *before = &p->before[PROFILE_STRANGERS];
	uint32_t share = s->stranger_percent * (STRANGER / 100);

	p->now[PROFILE_COPIES] += p->now[PROFILE_COPIES] < UINT32_MAX;
	if (stranger) {
		*now += *now < UINT32_MAX - STRANGER ? STRANGER : 0;
	} else if (share <= *now) {
		*now -= share;
	} else {
		share -= *now;
		*now = 0;
		*before -= share < *before ? share : *before;
	}
}

static uint32_t at_least(uint32_t floor, uint64_t n)
{
	return n < floor ? floor : n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* What it did in two weeks, and not in two that adjoin: a list written to for the first time is all
 * strangers, on both sides of a Thursday perhaps, and does not come again. */
static uint32_t regular(const uint32_t weeks[MEMORY_WEEKS])
{
	uint32_t most = 0;

	for (unsigned i = 1; i < MEMORY_WEEKS; i++)
		for (unsigned j = i + 2; j < MEMORY_WEEKS; j++) {
			uint32_t both = weeks[i] < weeks[j] ? weeks[i] : weeks[j];

			most = both > most ? both : most;
		}
	return most;
}

uint32_t profile_may(const struct profile *p, const struct policy_memory *s, unsigned count,
    bool internal, uint32_t now_s)
{
	uint64_t more;

	switch (count) {
	case PROFILE_COPIES:
		return at_least(s->burst_floor, (uint64_t)largest(p->copies) * growth(p, s) / 100);
	case PROFILE_STRANGERS: /* inside none are learned: a captured account would, too */
		more = internal ? 0 : (uint64_t)regular(p->strangers) * s->burst_percent / 100;
		return at_least(s->burst_floor, more);
	default: /* a fifth of what arrives: an old mailing list has that */
		more = profile_hour(p, PROFILE_COPIES, now_s) / 5;
		return at_least(0, more + s->unknown_floor);
	}
}

unsigned profile_used_up(const struct profile *p, const struct policy_memory *s, bool internal,
    uint32_t now_s, uint32_t *ret_count, uint32_t *ret_allowed)
{
	static const uint8_t gravest_first[PROFILE_N] = { PROFILE_COPIES, PROFILE_UNKNOWN,
		PROFILE_STRANGERS };

	for (unsigned i = 0; i < PROFILE_N; i++) {
		uint32_t count = profile_hour(p, gravest_first[i], now_s);
		uint32_t allowed = profile_may(p, s, gravest_first[i], internal, now_s);

		if (count < allowed)
			continue;
		*ret_count = count;
		*ret_allowed = allowed;
		return gravest_first[i];
	}
	return PROFILE_N;
}

bool profile_is_usual(
    const struct policy_memory *s, const struct profile *p, bool internal, uint32_t now_s)
{
	uint32_t count, allowed;

	return largest(p->copies) > 0 &&
	       profile_used_up(p, s, internal, now_s, &count, &allowed) == PROFILE_N;
}
