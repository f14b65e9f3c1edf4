/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of the greylist's settings can lead a reader out of bounds: its rows among the rules. A set
 * of names that is not there is an empty one (nameset.h), and any duration is one.
 */
#include "policy_check_grey.h"

#include "greylist.h"

const char *policy_check_grey(const struct policy_grey *grey, uint32_t n_rules)
{
	if (grey->rule >= n_rules || grey->rule_trapped >= n_rules || grey->rule_spamtrap >= n_rules)
		return "policy: a rule of the greylist is not there";
	if (grey->capacity > GREYLIST_MAX_CAPACITY)
		return "policy: the greylist is larger than it may be";
	return NULL;
}
