/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The settings of patterns: a section of the SETTINGS part (policy.h), fixed width. A policy has up to
 * two pattern sets: the configured files, and the patterns added in an emergency, so that one more
 * does not have the large set compiled again. Each rule of a set that speaks for or against a message
 * is a row among the rules (kind RULE_PATTERN, index: pattern_rule_index()).
 */
#ifndef POSTERN_FILTERS_POLICY_PATTERNS_H
#define POSTERN_FILTERS_POLICY_PATTERNS_H

#include <stdint.h>

enum { PATTERN_SET_FILES, PATTERN_SET_EMERGENCY, POLICY_PATTERN_SETS };

struct policy_patterns {
	uint32_t messages;      /* scanned at once, all workers together; 0: 64 */
	uint32_t depth;         /* bytes of a message; 0: the default of pattern.h */
	uint32_t decoded_depth; /* bytes of decoded text; likewise */
	uint8_t on_failure;     /* enum verdict_kind: NONE (shadow), DEFER, REFUSE */
	uint8_t reserved;
	uint16_t confirm_ms; /* PCRE2's answer is waited for so long; 0: it is not asked */
};

static inline uint32_t pattern_rule_index(unsigned set, unsigned rule)
{
	return set << 16 | rule;
}

#endif
