/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Automatic bans: a section of the SETTINGS part (policy.h), fixed width. What it means is in bans.h;
 * any number is one that bans.c stands.
 */
#ifndef POSTERN_FILTERS_POLICY_BANS_H
#define POSTERN_FILTERS_POLICY_BANS_H

#include "bans.h"

struct policy_bans {
	struct bans_settings settings; /* threshold 0: nobody is banned by itself */
	uint32_t refused_points;       /* of a session that ended refused, or worse */
	uint32_t unknown_points;       /* of an unknown recipient */
	uint32_t kind;                 /* enum verdict_kind of the ban */
};

#endif
