/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SPF (RFC 7208): may this address send for this domain? A pure state machine for asynchronous
 * look-ups: it names one DNS question at a time, is fed the answer, and in the end has a result.
 * It reads no clock, allocates nothing and keeps all it needs in SPF_STATE_BYTES of the caller's.
 *
 *	struct spf *s = spf_init(memory);                  once per piece of memory
 *	spf_start(s, &input);
 *	while ((q = spf_question(s)) != NULL)
 *		ask for {q->name, q->type}, later spf_answer(s, q->id, &answer);
 *	o = spf_outcome(s);
 *
 * Rejected: asking for several things at once. It would need room for every MX host's answer, and
 * what it saves is one round trip to a cache; a check whose questions are in the resolver's cache
 * runs through without a pause either way.
 * One thread at a time; texts of an outcome live until the next spf_start().
 */
#ifndef POSTERN_FILTERS_SPF_H
#define POSTERN_FILTERS_SPF_H

#include "facts.h"
#include "verdict.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	SPF_STATE_BYTES = 8192,
	SPF_STATE_ALIGN = 8,
	SPF_LOOKUPS_MAX = 10,    /* terms (and uses of %{p}) that ask, RFC 7208 4.6.4 */
	SPF_VOIDS_MAX = 2,       /* terms that found nothing, same place */
	SPF_NAMES_MAX = 10,      /* hosts of one mx, names of one ptr, same place */
	SPF_QUESTIONS_MAX = 123, /* what follows: 1 + 10 * (1 + 10) + 1 for exp + 11 for its %{p} */
	SPF_NAME_MAX = 253,
	SPF_EXPLANATION_MAX = 480, /* fits a reply line of 512 with code and enhanced code */
};

enum spf_result {
	SPF_NONE, /* no record, or no domain that could have one */
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR,
	SPF_N_RESULTS
};

extern const char *const spf_result_words[SPF_N_RESULTS]; /* as RFC 7208 2.6 writes them */

/* What made an error of it; for `explain` and the log. */
enum spf_trouble {
	SPF_TROUBLE_NONE,
	SPF_TROUBLE_DNS,           /* an answer was SERVFAIL or did not come */
	SPF_TROUBLE_TIME,          /* spf_give_up() */
	SPF_TROUBLE_SYNTAX,        /* of a record */
	SPF_TROUBLE_MANY_RECORDS,  /* more than one v=spf1 at a name */
	SPF_TROUBLE_LOOKUPS,       /* SPF_LOOKUPS_MAX */
	SPF_TROUBLE_VOIDS,         /* SPF_VOIDS_MAX */
	SPF_TROUBLE_MX_HOSTS,      /* SPF_NAMES_MAX */
	SPF_TROUBLE_INCLUDE_NONE,  /* an included domain has no record */
	SPF_TROUBLE_REDIRECT_NONE, /* a redirect leads to no record */
	SPF_TROUBLE_TOO_LARGE,     /* unfinished records and host names beyond the fixed memory */
	SPF_N_TROUBLES
};

extern const char *const spf_trouble_words[SPF_N_TROUBLES]; /* a few words each */

/* RFC 1035 and RFC 3596 numbers, as DNS libraries take them. */
enum spf_type {
	SPF_TYPE_A = 1,
	SPF_TYPE_PTR = 12,
	SPF_TYPE_MX = 15,
	SPF_TYPE_TXT = 16,
	SPF_TYPE_AAAA = 28
};

struct spf_question {
	uint32_t id;   /* differs from that of every other question this memory has asked */
	uint16_t type; /* enum spf_type */
	uint16_t name_len;
	/* Lower case, no final dot, zero-terminated; labels of 1-63 bytes, 253 in all; printable
	 * ASCII and blanks without a backslash, so no escape is needed or understood. */
	char name[SPF_NAME_MAX + 1];
};

enum spf_status {
	SPF_ANSWERED, /* with any number of records; none at all is the same as SPF_NODATA */
	SPF_NODATA,
	SPF_NXDOMAIN,
	SPF_SERVFAIL, /* any other response code, a loop of aliases, nonsense */
	SPF_TIMEOUT,
};

/*
 * Records of the type asked for, aliases followed: A 4 bytes, AAAA 16 (network order), PTR and MX
 * the host's name as text (a final dot does no harm), TXT its strings joined without anything
 * between them (RFC 7208 3.3). Lent for the length of the call.
 */
struct spf_answer {
	uint8_t status; /* enum spf_status */
	uint16_t n_records;
	const struct text *records;
};

/* Lent for the length of spf_start(). */
struct spf_input {
	uint8_t client[16];   /* as facts.client; ::ffff:a.b.c.d counts as IPv4 */
	struct text helo;     /* as given */
	struct text mail;     /* local@domain; empty (the null sender): postmaster at HELO, 2.4 */
	struct text receiver; /* our name, for explanations */
	uint64_t now_s;       /* since 1970, for explanations */
	bool explain;         /* fetch exp= after a fail; else no question is spent on it */
};

struct spf_outcome {
	uint8_t result;  /* enum spf_result */
	uint8_t trouble; /* enum spf_trouble */
	uint8_t lookups, voids;
	uint16_t questions;
	bool of_helo;       /* the domain judged is HELO's */
	struct text domain; /* judged: what a pass authorises */
	struct text authority; /* whose record decided or is in error: `domain`, or one that it leads to */
	struct text explanation; /* of a fail with exp=: printable ASCII; else empty */
};

struct spf;

/* `memory`: SPF_STATE_BYTES, aligned to SPF_STATE_ALIGN. Nothing to undo. */
struct spf *spf_init(void *memory);

/* Begins a check, ending one that is under way. A domain that cannot have a record is decided at
 * once, without a question. */
void spf_start(struct spf *s, const struct spf_input *in);

/* What is to be asked; NULL once there is an outcome. The same until it is answered. */
const struct spf_question *spf_question(const struct spf *s);

/* 0; -ESTALE for an answer to another question than the one that is open (late, twice, of an
 * earlier check), -EALREADY when there is none, -EINVAL for an unknown status: nothing changes. */
int spf_answer(struct spf *s, uint32_t id, const struct spf_answer *answer);

/* The caller's time is over (RFC 7208 4.6.4 wants at least 20 s): temperror, or fail without its
 * explanation if only that was missing. */
void spf_give_up(struct spf *s);

/* NULL while a question is open. */
const struct spf_outcome *spf_outcome(const struct spf *s);

/*
 * What a policy's wish for a result comes to: none, neutral and pass say nothing against a client,
 * and temperror is no ground for more than 4yz (RFC 7208 8.6): it caps every harsher wish at `defer`.
 */
enum verdict_kind spf_verdict(enum spf_result result, enum verdict_kind wanted);

#endif
