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

unsigned profile_used_up(const struct profile *p, const struct policy_memory *s, uint32_t now_s,
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

bool profile_is_usual(const struct policy_memory *s, const struct profile *p, uint32_t now_s)
{
	uint32_t count, allowed;

	return largest(p->copies) > 0 && profile_used_up(p, s, now_s, &count, &allowed) == PROFILE_N;
}
