/* SPDX-License-Identifier: BSD-3-Clause */
/* Macros of SPF records (RFC 7208 7): their syntax, and what they come to. Private to filters/. */
#ifndef POSTERN_FILTERS_SPF_MACRO_H
#define POSTERN_FILTERS_SPF_MACRO_H

#include "facts.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	SPF_SPEC_MAX = 512,  /* bytes of one domain-spec; it names at most 253 */
	SPF_LOCAL_MAX = 512, /* of a sender's local part */
};

enum spf_spec {
	SPF_SPEC_DOMAIN,  /* domain-spec: ends in a macro or in a dot and a top label */
	SPF_SPEC_STRING,  /* macro-string: value of a modifier that nobody knows */
	SPF_SPEC_EXPLAIN, /* explain-string: blanks, and the letters c, r and t */
};

/* What the letters stand for. Texts are lent. */
struct spf_vars {
	struct text local, sender_domain; /* l, o; s is both */
	struct text domain;               /* d */
	struct text helo;                 /* h */
	struct text receiver;             /* r */
	struct text validated;            /* p; empty: "unknown" */
	uint8_t client[16];               /* i, c, v */
	bool v4;
	uint64_t now_s; /* t */
};

/* 0 or -EINVAL; *ret_uses_p: a macro needs the client's validated name. */
int spf_macro_check(struct text spec, enum spf_spec kind, bool *ret_uses_p);

/* The name that a checked domain-spec comes to: cut from the left, label by label, to what a name
 * may have (7.3), without a final dot. It need not be askable. Returns its length in `ret_name`. */
uint16_t spf_macro_name(const struct spf_vars *vars, struct text spec, char ret_name[256]);

/* The text that a checked explain-string comes to; -E2BIG if it is longer than `room`. */
int spf_macro_text(const struct spf_vars *vars, struct text spec, char *ret_text, uint16_t room,
    uint16_t *ret_len);

#endif
