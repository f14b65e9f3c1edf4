/* SPDX-License-Identifier: BSD-3-Clause */
/* From a TXT record to what is left to do for one client. Private to filters/. */
#ifndef POSTERN_FILTERS_SPF_RECORD_H
#define POSTERN_FILTERS_SPF_RECORD_H

#include "facts.h"

#include <stdbool.h>
#include <stdint.h>

enum spf_term_kind {
	SPF_TERM_MATCH, /* matches without asking: all, ip4 or ip6 with the client in it */
	SPF_TERM_INCLUDE,
	SPF_TERM_A,
	SPF_TERM_MX,
	SPF_TERM_PTR,
	SPF_TERM_EXISTS,
};

enum { SPF_TERM_HEADER = 7 /* bytes before the spec of a term in a program */ };

struct spf_term {
	uint8_t kind;         /* enum spf_term_kind */
	uint8_t result;       /* enum spf_result if it matches */
	uint8_t bits4, bits6; /* prefix lengths */
	bool uses_p;          /* its spec has %{p} */
	struct text spec;     /* domain-spec; empty: the current domain */
};

/* Where things lie in the memory that spf_compile() filled. */
struct spf_program {
	uint16_t terms_len; /* terms, from 0 */
	uint16_t redirect, redirect_len;
	uint16_t exp, exp_len; /* length 0: none */
	uint16_t len;          /* of all that */
};

/* The one SPF record among TXT records (RFC 7208 4.5): 0; -ENOENT; -EEXIST when there are more. */
int spf_select(const struct text *records, unsigned n_records, struct text *ret_record);

/*
 * Checks the syntax of all of `record` and leaves in `out` what a check for `client` has yet to do:
 * terms that ask, in order, up to the first that matches for sure. -EINVAL: syntax; -ENOBUFS: longer
 * than `room`. `out` may be written in any case.
 */
int spf_compile(struct text record, const uint8_t client[16], bool v4, bool want_exp, uint8_t *out,
    uint16_t room, struct spf_program *ret_program);

/* The term at `at`; returns where the next one starts. */
uint16_t spf_term_read(const uint8_t *terms, uint16_t at, struct spf_term *ret_term);

/* The first `bits` bits are the same. */
bool spf_prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits);

#endif
