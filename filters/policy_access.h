/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access rules and the relay matrix: sections of the SETTINGS part (policy.h), fixed width. What
 * they mean is in access.h and relay.h.
 */
#ifndef POSTERN_FILTERS_POLICY_ACCESS_H
#define POSTERN_FILTERS_POLICY_ACCESS_H

#include <stdint.h>

enum { POLICY_MAX_ACCESS = 256, POLICY_MAX_INTERNAL = 64, POLICY_NO_SET = 0xffff };

/* In the published precedence. */
enum access_kind { ACCESS_HOST, ACCESS_SENDER, ACCESS_RECIPIENT, ACCESS_PAIR, ACCESS_N_KINDS };

struct policy_access {
	uint32_t rule;   /* its row among the rules: state, weight, action */
	uint16_t set;    /* of names (nameset.h) */
	uint16_t except; /* what is never meant; POLICY_NO_SET: none */
	uint8_t kind;    /* enum access_kind */
	uint8_t reserved[3];
};

enum relay_source { RELAY_EXTERNAL, RELAY_INTERNAL, RELAY_N_SOURCES };
enum relay_sender { RELAY_OTHER, RELAY_OURS, RELAY_NULL, RELAY_N_SENDERS };
enum relay_recipient { RELAY_NOT_SERVED, RELAY_SERVED, RELAY_N_RECIPIENTS };
enum relay_action { RELAY_REFUSE, RELAY_DEFER, RELAY_ACCEPT, RELAY_N_ACTIONS };

struct policy_internal {
	uint8_t addr[16];
	uint8_t prefix_len; /* 0-32 or 0-128 */
	uint8_t reserved[3];
};

struct policy_relay {
	/* enum relay_action by source, sender, recipient. A zeroed matrix refuses everything, so the
	 * writer begins with relay_defaults(). */
	uint8_t matrix[RELAY_N_SOURCES][RELAY_N_SENDERS][RELAY_N_RECIPIENTS];
	uint16_t internal_hosts; /* set of names, by forward-confirmed reverse DNS; POLICY_NO_SET */
	uint16_t own_senders;    /* sender domains of ours besides the served ones; POLICY_NO_SET */
	int32_t outbound_pool;   /* for recipients not served; -1: none */
	uint32_t n_internal;
	struct policy_internal internal[POLICY_MAX_INTERNAL];
};

#endif
