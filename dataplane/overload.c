/* SPDX-License-Identifier: BSD-3-Clause */
/* See overload.h. */
#include "overload.h"

static const unsigned from_percent[OVERLOAD_RUNGS] = { 0, 70, 85, 95 };

unsigned overload_rung(unsigned rung, const struct overload_table *tables, unsigned n)
{
	unsigned percent = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned p = tables[i].has ? (unsigned)(tables[i].used * 100 / tables[i].has) : 0;

		percent = p > percent ? p : percent;
	}
	while (rung + 1 < OVERLOAD_RUNGS && percent >= from_percent[rung + 1])
		rung++;
	while (rung > 0 && rung < OVERLOAD_RUNGS && percent + OVERLOAD_BACK < from_percent[rung])
		rung--;
	return rung;
}
