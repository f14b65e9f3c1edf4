/* SPDX-License-Identifier: BSD-3-Clause */
/* Durations as people type them (duration.h). */
#include "duration.h"

#include <errno.h>
#include <stdio.h>

static const struct {
	char unit;
	uint64_t seconds;
} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
enum { N_UNITS = sizeof(units) / sizeof(units[0]) };

int duration_parse(const char *text, uint64_t *ret_seconds)
{
	const uint64_t max = (uint64_t)DURATION_MAX_DAYS * 86400;
	uint64_t n = 0;
	const char *p = text;
	for (; *p >= '0' && *p <= '9'; p++)
		if (n <= max)
			n = n * 10 + (uint64_t)(*p - '0');
	if (p == text || *p == '\0' || p[1] != '\0')
		return -EINVAL;
	for (unsigned i = 0; i < N_UNITS; i++) {
		if (units[i].unit != *p)
			continue;
		if (n == 0 || n > max / units[i].seconds)
			return -ERANGE;
		*ret_seconds = n * units[i].seconds;
		return 0;
	}
	return -EINVAL;
}

void duration_text(uint64_t seconds, char ret_text[DURATION_TEXT_MAX])
{
	unsigned i = 0;
	while (i + 1 < N_UNITS && seconds < units[i].seconds)
		i++;
	unsigned long long n = seconds / units[i].seconds;
	uint64_t rest = seconds % units[i].seconds;
	if (i + 1 < N_UNITS && rest >= units[i + 1].seconds)
		snprintf(ret_text, DURATION_TEXT_MAX, "%llu%c %u%c", n, units[i].unit,
		    (unsigned)(rest / units[i + 1].seconds), units[i + 1].unit);
	else
		snprintf(ret_text, DURATION_TEXT_MAX, "%llu%c", n, units[i].unit);
}
