/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom a rule hit, or in shadow would have hit, by the event log: how many sessions, from where, and
 * what the mail servers said of the same sessions. What they accepted, the rule would have cost;
 * what they refused, it would have spared them. Read in one pass in fixed memory: rows beyond
 * IMPACT_ROWS_MAX are counted together, prefixes beyond IMPACT_PREFIXES_MAX no more than as many.
 * (Rejected: counters per rule and prefix in the workers, paid for by every packet and never of the
 * prefix that is asked for.)
 */
#ifndef POSTERN_CONTROL_IMPACT_H
#define POSTERN_CONTROL_IMPACT_H

#include <jansson.h>
#include <stdint.h>

enum {
	IMPACT_ROWS_MAX = 4096,      /* groups told apart */
	IMPACT_ROWS_TOLD = 50,       /* the largest */
	IMPACT_PREFIXES_MAX = 65536, /* distinct ones counted */
	IMPACT_EXAMPLES = 10,
	IMPACT_CODES_MAX = 32,
};

enum impact_by { IMPACT_BY_PREFIX, IMPACT_BY_TENANT, IMPACT_BY_DOMAIN, IMPACT_N_BY };
extern const char *const impact_by_words[IMPACT_N_BY]; /* of the recipient: "domain" */

/*
 * {"rule","by","sessions","shadow","enforced","prefixes","prefixes_full":bool,"accepted":sessions,
 * "messages","refused":sessions,"codes":{"550":N},"rows":[{"group","sessions","shadow","messages",
 * "accepted","refused"}],"other":sessions beyond the rows told,"examples":[{"time","client","mail",
 * "rcpt","messages","backend_code"}]}. refused: sessions in which a mail server refused something.
 * -errno of the log.
 */
int impact_of(
    const char *path, const char *rule, int64_t since_ms, enum impact_by by, json_t **ret_impact);

#endif
