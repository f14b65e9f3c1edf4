/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every benchmark prints: one JSON object a line per claim (the form of bench/README.md), or
 * a table row for people. Medians over windows in which ours and the baseline were interleaved.
 */
#ifndef POSTERN_BENCH_REPORT_H
#define POSTERN_BENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>

enum { REPORT_WINDOWS_MAX = 64 };

struct report {
	const char *claim, *unit;
	const char *baseline_name;
	double value[REPORT_WINDOWS_MAX], baseline[REPORT_WINDOWS_MAX]; /* paired by window */
	unsigned windows;
	bool more_is_better;
	double target_ratio; /* 0: none stated */
	unsigned lists, rules;
	bool events;
};

void report_add(struct report *r, double value, double baseline);
/* json: one object on a line; else a table row (with its heading before the first). */
void report_print(const struct report *r, bool json);

#endif
