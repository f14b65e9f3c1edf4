/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overload ladder: what a worker gives up, and in which order, as its tables fill. The fullest of
 * its tables decides; a rung is left only when the tables are well below it, so that it does not
 * flutter. Published rungs (README.md):
 *
 *   0  below 70 %
 *   1  from 70 %: listed sources are no longer let in to be verified (verify_share)
 *   2  from 85 %: new sessions of sources without good history get 421 at once
 *   3  from 95 %: SYNs of such sources are answered 421 without state
 *
 * Good history: trusted, or a message accepted from the address not long ago (filters/sources.h).
 * They keep what is left, which is the share reserved for them. Pure.
 */
#ifndef POSTERN_DATAPLANE_OVERLOAD_H
#define POSTERN_DATAPLANE_OVERLOAD_H

#include <stdint.h>

enum { OVERLOAD_RUNGS = 4, OVERLOAD_BACK = 5 /* percent below its rung at which one is left */ };

/* What is used of a table, and what it has; 0 has: no table. */
struct overload_table {
	uint64_t used, has;
};

/* From the rung in force to the one that the tables ask for. */
unsigned overload_rung(unsigned rung, const struct overload_table *tables, unsigned n);

#endif
