/* SPDX-License-Identifier: BSD-3-Clause */
/* The ratio printed is the median of the windows' ratios: pairs share the machine's mood. */
#include "report.h"

#include "postern_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_add(struct report *r, double value, double baseline)
{
	if (r->windows < REPORT_WINDOWS_MAX) {
		r->value[r->windows] = value;
		r->baseline[r->windows++] = baseline;
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(const double *v, unsigned n)
{
	double s[REPORT_WINDOWS_MAX];
	if (n == 0)
		return 0;
	memcpy(s, v, n * sizeof(*s));
	qsort(s, n, sizeof(*s), compare);
	return n & 1 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

static double best_of(const double *v, unsigned n, bool more)
{
	double best = n ? v[0] : 0;
	for (unsigned i = 1; i < n; i++)
		best = (more ? v[i] > best : v[i] < best) ? v[i] : best;
	return best;
}

static void cpu_name(char *buf, size_t room)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];
	snprintf(buf, room, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) == 0 && colon) {
			colon[strcspn(colon, "\n")] = '\0';
			snprintf(buf, room, "%s", colon + 2);
			break;
		}
	}
	if (f)
		fclose(f);
}

void report_print(const struct report *r, bool json)
{
	static bool headed;
	double ratios[REPORT_WINDOWS_MAX], load = 0;
	char cpu[256];
	for (unsigned i = 0; i < r->windows; i++)
		ratios[i] = r->baseline[i] > 0 ? r->value[i] / r->baseline[i] : 0;
	if (getloadavg(&load, 1) < 1)
		load = -1;
	cpu_name(cpu, sizeof(cpu));
	if (json) {
		printf(
		    "{\"claim\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", \"baseline\": %.3f, "
		    "\"baseline_name\": \"%s\", \"ratio\": %.4f, \"best\": %.3f, \"windows\": %u, "
		    "\"target_ratio\": %.3f, \"loadavg\": %.2f, \"cpu\": \"%s\", \"build\": "
		    "\"%s\", "
		    "\"lists\": %u, \"rules\": %u, \"events\": %s}\n",
		    r->claim, median(r->value, r->windows), r->unit, median(r->baseline, r->windows),
		    r->baseline_name ? r->baseline_name : "", median(ratios, r->windows),
		    best_of(r->value, r->windows, r->more_is_better), r->windows, r->target_ratio,
		    load, cpu, POSTERN_VERSION, r->lists, r->rules, r->events ? "true" : "false");
	} else {
		if (!headed)
			printf("%-22s %12s %12s %-14s %8s %8s  %s\n", "claim", "median", "best",
			    "unit", "ratio", "target", "baseline");
		headed = true;
		printf("%-22s %12.2f %12.2f %-14s %8.3f %8.2f  %.2f %s\n", r->claim,
		    median(r->value, r->windows), best_of(r->value, r->windows, r->more_is_better),
		    r->unit, median(ratios, r->windows), r->target_ratio,
		    median(r->baseline, r->windows), r->baseline_name ? r->baseline_name : "");
	}
	fflush(stdout);
}
