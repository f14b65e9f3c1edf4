/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name service part of the settings: whom we ask (recursors, never the lists' own servers), what
 * an answer of each list means. Part of the SETTINGS layout (policy.h). What a hit is worth
 * (weight, action, state, share) stands in the row's rule, as for every other check.
 *
 * Facts of a session name rows by bit, so rows are at most 32; `version` tells whether two policies
 * have the same rows, since a session and a question may outlive a policy.
 */
#ifndef POSTERN_FILTERS_POLICY_DNS_H
#define POSTERN_FILTERS_POLICY_DNS_H

#include <stdint.h>

enum {
	POLICY_MAX_RECURSORS = 8,
	POLICY_MAX_DNS_LISTS = 32,
	POLICY_MAX_DNS_ANSWERS = 8,
	DNS_TIMEOUT_MS_MAX = 30000, /* a client's patience is 5 minutes (RFC 5321 4.5.3.2) */
	DNS_CACHE_MIB_MAX = 2048,
	DNS_NO_SET = 0xffff, /* POLICY_NO_SET */
	POLICY_DNS_ZONE_MAX =
	    180, /* characters: 64 of reversed nibbles go in front (RFC 1035 2.3.4) */
};

enum policy_dns_kind {
	DNS_LIST_SPAM,
	DNS_LIST_DYNAMIC,
	DNS_LIST_BAD_ADMIN,
	DNS_LIST_BACKSCATTER,
	DNS_LIST_WHITE,
	DNS_LIST_COUNTRY,
	DNS_LIST_N_KINDS
};

/* Which of its test points (RFC 5782 5) a list must get right to be believed (P25). */
enum policy_dns_probe {
	DNS_PROBE_BOTH,     /* 127.0.0.2 is listed and 127.0.0.1 is not */
	DNS_PROBE_UNLISTED, /* 127.0.0.1 is not: a list of countries has no 127.0.0.2 */
	DNS_PROBE_NONE,     /* believed until it answers errors or names whose mail is accepted */
	DNS_PROBE_N_KINDS
};

/* What holds when a list gives no answer in time, or none that can be used. */
enum policy_dns_late { DNS_LATE_OPEN /* not listed */, DNS_LATE_DEFER /* 451 to RCPT */ };

enum policy_dns_family { DNS_V4 = 1, DNS_V6 = 2 };

/* An answer that counts: each octet within its range; `bits`: and one of these set in the last. */
struct policy_dns_answer {
	uint8_t first[4], last[4];
	uint8_t bits; /* 0: any */
	uint8_t reserved[3];
};

struct policy_dns_list {
	uint32_t name, zone; /* policy_str; the zone without a dot at its end */
	uint32_t rule;       /* its row among the rules; by the writer */
	uint32_t timeout_ms; /* of ours, from the question on */
	uint8_t kind, late, families;
	uint8_t n_answers; /* 0: any listing counts */
	uint8_t probe;
	uint8_t reserved[3];
	struct policy_dns_answer answers[POLICY_MAX_DNS_ANSWERS];
};

struct policy_recursor {
	uint8_t addr[16];
	uint16_t port;
	uint8_t reserved[6];
};

struct policy_dns {
	uint32_t version; /* of the lists' rows; by the writer */
	uint32_t n_recursors, n_lists;
	uint32_t cache_mib;
	uint32_t max_ttl_s, max_negative_ttl_s;
	uint32_t attempt_ms; /* one recursor's time for one look-up; then another is asked */
	uint32_t attempts;   /* of a look-up, over all recursors */
	uint32_t host_timeout_ms, sender_timeout_ms, spf_timeout_ms;
	uint32_t probe_interval_s; /* of the lists' test points (P25) */
	uint32_t accepted_percent; /* a list whose hits' mail the backend takes in so many is suspended */
	uint32_t accepted_least;   /* ... of at least so many */
	uint32_t forwarders;       /* set of names that SPF does not count against; DNS_NO_SET */
	uint8_t host, sender, spf; /* 1: asked */
	uint8_t reserved;
	struct policy_recursor recursors[POLICY_MAX_RECURSORS];
	struct policy_dns_list lists[POLICY_MAX_DNS_LISTS];
};

#endif
