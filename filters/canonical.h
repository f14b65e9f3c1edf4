/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An address as it would be meant (P15): judgement only, nothing of it is ever forwarded. Source
 * route and needless quotes are dropped, case is folded; then what a server would dig out of the
 * local part: user%host@domain and host!user@domain mean user@host, "user@host"@domain too. Rules
 * are asked about each form, so that none is passed by writing an address in another way.
 */
#ifndef POSTERN_FILTERS_CANONICAL_H
#define POSTERN_FILTERS_CANONICAL_H

#include "facts.h"

enum { CANONICAL_MAX_LEN = 400, CANONICAL_MAX_FORMS = 4 };

struct canonical {
	unsigned n; /* at least 1, save for an address too long to be in any set */
	struct text forms[CANONICAL_MAX_FORMS]; /* outermost first, into buf */
	char buf[CANONICAL_MAX_FORMS][CANONICAL_MAX_LEN];
};

/* path: between < and >; empty: the null sender, one empty form. */
void canonical_forms(struct text path, struct canonical *ret_canonical);

#endif
