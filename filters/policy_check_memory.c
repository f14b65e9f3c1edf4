/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of the memory's settings can lead a reader out of bounds or out of an enumeration. A set of
 * names that is not there is an empty one (nameset.h), and any limit is one.
 */
#include "policy_check_memory.h"

#include "at_once.h"
#include "memory.h"

const char *policy_check_memory(const struct policy_memory *memory, uint32_t n_rules)
{
	if (memory->capacity > MEMORY_MAX_CAPACITY)
		return "policy: the memory is larger than it may be";
	if (memory->n_rates > POLICY_MAX_RATES)
		return "policy: more rates than there is room for";
	for (unsigned i = 0; i < memory->n_rates; i++) {
		const struct policy_rate *rate = &memory->rates[i];

		if (rate->rule >= n_rules || rate->subject >= MEMORY_N_SUBJECTS ||
		    rate->measure >= MEMORY_N_MEASURES || rate->learned > 1 ||
		    (rate->at_once && !at_once_counts(rate->subject)))
			return "policy: a rate is out of range";
	}
	if (memory->rule_recipients >= n_rules && memory->rule_recipients)
		return "policy: the rule of recipients is not there";
	if (memory->n_batv_keys > POLICY_MAX_BATV_KEYS)
		return "policy: more keys of bounce addresses than there are digits";
	for (unsigned i = 0; i < memory->n_batv_keys; i++)
		if (memory->batv_keys[i].number > 9 || memory->batv_keys[i].len > POLICY_BATV_SECRET)
			return "policy: a key of bounce addresses is out of range";
	return 0;
}
