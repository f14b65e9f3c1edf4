/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of sources' settings: a section of the SETTINGS part (policy.h), fixed width. What the
 * numbers mean is in memory.h. The range an operator may choose is the compiler's business; memory.h
 * stands any value.
 */
#ifndef POSTERN_FILTERS_POLICY_MEMORY_H
#define POSTERN_FILTERS_POLICY_MEMORY_H

#include <stdint.h>

enum {
	POLICY_MAX_RATES = 32, /* a bit each in facts.rates_over */
	POLICY_MAX_BATV_KEYS = 10,
	POLICY_BATV_SECRET = 64,
};

/* What is counted by. */
enum memory_subject {
	MEMORY_ADDRESS,
	MEMORY_PREFIX, /* /24 or /64 */
	MEMORY_SENDER,
	MEMORY_SENDER_DOMAIN,
	MEMORY_RECIPIENT,
	MEMORY_RECIPIENT_DOMAIN,
	MEMORY_BOUNCES, /* a recipient, of the null sender */
	MEMORY_N_SUBJECTS
};

/* What is counted. */
enum memory_measure {
	MEMORY_CONNECTIONS,
	MEMORY_MESSAGES,   /* that the backend took */
	MEMORY_RECIPIENTS, /* that the backend took */
	MEMORY_UNKNOWN,    /* recipients that it does not know */
	MEMORY_N_MEASURES
};

struct policy_rate {
	uint32_t rule;                 /* its row among the rules */
	uint32_t per_minute, per_hour; /* 0: no limit */
	uint32_t at_once;              /* messages (at_once.h); 0: no limit */
	uint8_t subject, measure;
	uint8_t learned; /* 1: of a sender; what it does regularly is not too much */
	uint8_t reserved;
};

struct policy_batv_key {
	uint8_t number; /* K of the tag, 0 to 9 */
	uint8_t len;
	uint8_t secret[POLICY_BATV_SECRET];
	uint8_t reserved[2];
};

struct policy_memory {
	uint32_t capacity; /* sources, senders and recipients counted; taken at start; 0: no memory */
	uint32_t burst_floor;      /* recipients an hour that any sender may have */
	uint32_t burst_percent;    /* ... and of its largest hour in the weeks before */
	uint32_t stranger_percent; /* of the recipients it knows, so many may be new in a list */
	uint32_t hold_s; /* an internal sender that was stopped writes to those it knows; 0: no hold */
	/* set of names: internal senders that write to strangers as their work; has_ 0: none */
	uint32_t has_stranger_senders, stranger_senders;
	uint32_t unknown_floor;   /* unknown recipients an hour that any sender may have */
	uint32_t harvest_unknown; /* unknown recipients an hour, from which a client harvests ... */
	uint32_t harvest_percent; /* ... where they are so much of all it asked for */
	uint32_t spread_unknown;  /* unknown recipients an hour that any domain may be asked for */
	uint32_t known_s, unknown_s; /* how long the backend's word of a recipient is believed */
	uint32_t n_rates;
	struct policy_rate rates[POLICY_MAX_RATES];
	/* recipients by file: rule 0: none. Sets of names: domains that the file has whole, recipients */
	uint32_t rule_recipients, recipient_domains, recipients;
	/* BATV: set of names of the domains that sign; has_batv 0: none */
	uint32_t has_batv, batv_domains, n_batv_keys;
	struct policy_batv_key batv_keys[POLICY_MAX_BATV_KEYS];
};

#endif
