/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What policy_open() makes of an image: pointers into its parts, and the lists turned into the
 * verdicts they give, so that a SYN costs one table row behind its look-up. Read-only from then
 * on. Private to filters/.
 */
#ifndef POSTERN_FILTERS_POLICY_VIEW_H
#define POSTERN_FILTERS_POLICY_VIEW_H

#include "addrset.h"
#include "domains.h"
#include "overlay.h"
#include "nameset.h"
#include "pattern.h"
#include "policy.h"
#include "scanner.h"

struct policy {
	/* by value of the address table: at SYN, in bulk. 0 and what has no list: NONE */
	struct verdict syn[256];
	uint8_t verify_share[256]; /* percent; 0 unless the list refuses */
	struct addrset addresses;
	bool has_shares;                      /* some verify_share is not 0 */
	bool has_lists;                       /* false: nothing is looked up */
	const struct overlay *overlay;        /* NULL: none */
	uint8_t overlay_kinds[OVERLAY_LISTS]; /* by the overlay's number: what overlay_judge() takes */
	uint8_t overlay_values[OVERLAY_LISTS]; /* ... to value of the address table */
	uint8_t overlay_numbers[256];          /* and back */
	bool passes[256];                      /* by value: an allow list in force */
	const struct policy_settings *settings;
	const struct policy_pool *pools;
	const struct policy_server *servers;
	const struct policy_domain *domain_rows;
	const struct policy_list *lists;
	const struct policy_rule *rules;
	uint64_t checks[PHASE_N]; /* bits: built-in checks to ask in the phase */
	const struct policy_access *access;
	unsigned n_access_passes; /* of those, with action pass */
	const char *strings;
	struct domains domains;
	struct nameset namesets;                       /* all zeros: no set has an entry */
	struct scanner *scanners[POLICY_PATTERN_SETS]; /* NULL: none */
	bool owns_scanners;
	uint16_t pattern_rows[POLICY_PATTERN_SETS][PATTERN_MAX_RULES]; /* rule of a set: row plus one */
	uint32_t epoch;
	uint16_t rule_of_id[RULE_ID_MASK + 1]; /* row plus one; 0: none */
};

#endif
