/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What names give away: reverse names that look like a customer's line, HELO names that no mail
 * server says. Each is a weak sign (honest servers have odd names), so these only score and P16
 * holds: no one of them refuses. Pure predicates over lent text; case does not matter.
 * Rejected: lists of expressions as of other filters, since an operator cannot see why they hit; the
 * address in the name and a few words find nearly the same.
 */
#ifndef POSTERN_FILTERS_HOSTNAME_H
#define POSTERN_FILTERS_HOSTNAME_H

#include "facts.h"

/* The reverse name holds the address (decimal or hexadecimal, either order), or a word of access
 * networks beside a number: "198-51-100-7.dsl.example", "pool3.dyn.example". */
bool hostname_is_generic(struct text name, const uint8_t client[16]);

/* Letters, digits, - and _ in labels of 1 to 63, at least two labels, the last not all digits. */
bool hostname_is_qualified(struct text name);

bool hostname_equal(struct text a, struct text b); /* a dot at the end does not count */
/* `name` is `domain` or lies below it. */
bool hostname_within(struct text name, struct text domain);

/* ---- of HELO (RFC 5321 4.1.1.1 wants a name, or an address in brackets) ---- */

bool helo_is_literal(struct text helo);      /* "[192.0.2.1]", "[IPv6:...]" */
bool helo_is_bare_address(struct text helo); /* "192.0.2.1": not allowed by 4.1.3 */
bool helo_has_no_dot(struct text helo);      /* "localhost", "friend"; literals excepted */
/* Our own name, or the address that it came to: a stranger's lie. */
bool helo_claims_to_be(struct text helo, struct text our_name, const uint8_t our_addr[16]);
/* A literal that is not the client's address. */
bool helo_is_foreign_literal(struct text helo, const uint8_t client[16]);
/* Neither the confirmed name, nor one below the same organisational domain (`org`, may be empty). */
bool helo_differs(struct text helo, struct text host, struct text org);

#endif
