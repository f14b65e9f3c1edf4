/* SPDX-License-Identifier: BSD-3-Clause */
/* The block list of the refusal benchmarks: the generator's sources among many other entries. */
#ifndef POSTERN_BENCH_LISTED_H
#define POSTERN_BENCH_LISTED_H

#include "filters/image_write.h"

#include <stdbool.h>

/* Adds a refusing list with 198.18.0.0/15 (RFC 2544), 2001:db8:bad::/48 and `entries` random IPv4
 * hosts and /24s; our own 192/8 stays free. */
void listed_add(struct image_writer *w, uint32_t entries);
/* The same with another verdict. */
void listed_add_as(struct image_writer *w, uint32_t entries, enum verdict_kind verdict);

/* What the policy of a flood holds: limits that no flood meets, and so many entries. `listed`: the
 * generator's sources are among them and meet the verdict; else none of them is. */
struct listed {
	uint32_t entries;
	uint8_t verdict;
	bool listed;
};
void listed_policy(const struct listed *l, struct policy_settings *s, struct image_writer *w);

#endif
