/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hash index over the settings' domains: the DOMAINS part. The hash runs over the name from its
 * end, so that one pass over a recipient's domain yields the hashes of all its parents as well.
 * Names come from the operator's configuration, so the hash needs no key; the longest probe is
 * written into the part and bounds a look-up.
 *
 * Rejected: binary search in the sorted names (20 cache misses for 1 M domains, per parent).
 */
#ifndef POSTERN_FILTERS_DOMAINS_H
#define POSTERN_FILTERS_DOMAINS_H

#include "policy.h"

#define DOMAINS_MAGIC 0x31534e49414d4f44ull /* "DOMAINS1" */

enum { DOMAINS_MAX_LEN = 255, DOMAINS_MAX_LABELS = 128 };

struct domains_slot {
	uint32_t hash;
	uint32_t index; /* of the domain, plus one; 0: free */
};

struct domains_header {
	uint64_t magic;
	uint32_t n_domains;
	uint32_t n_slots; /* a power of two, more than n_domains */
	uint32_t max_probes;
	uint32_t reserved[11];
	/* struct domains_slot[n_slots] follows */
};
_Static_assert(sizeof(struct domains_header) == 64, "domains header");

struct domains {
	const struct domains_slot *slots;
	uint32_t mask, max_probes;
	const struct policy_domain *domains;
	const char *strings;
};

/* n sorted domains (names lower-cased) to a part; free() it. NULL: no memory. */
void *domains_build(
    const struct policy_domain *domains, uint32_t n, const char *strings, size_t *ret_len);

/* domains, n and strings are checked already. -EBADMSG and a sentence. */
int domains_open(const void *base, size_t len, const struct policy_domain *domains, uint32_t n,
    const char *strings, struct domains *ret_domains, const char **ret_error);

/* Exact, else the longest parent whose subdomains are served. NULL: neither. */
const struct policy_domain *domains_find(const struct domains *d, struct text name);

#endif
