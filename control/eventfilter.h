/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `--filter` says: conditions on the members of an event or a session, all of which must hold:
 *
 *	client=192.0.2.0/24 and verdict=refuse, mail~@example.org, score>=5, reason!=listed
 *
 * joined by commas or `and`. `=` compares whole values (for client a prefix holds what lies in it;
 * of a list any member), `!=` the contrary, `~` finds a part whatever its case, `>` `<` `>=` `<=`
 * compare numbers. A word with other characters stands in "quotes". (Rejected: or and parentheses;
 * two commands, or `~`, do.)
 */
#ifndef POSTERN_CONTROL_EVENTFILTER_H
#define POSTERN_CONTROL_EVENTFILTER_H

#include <jansson.h>
#include <stdbool.h>

enum { EVENTFILTER_MAX = 16, EVENTFILTER_WHY_MAX = 256 };

struct eventfilter;

/* NULL with a sentence in ret_why. An empty text holds everything. */
struct eventfilter *eventfilter_new(const char *text, char ret_why[EVENTFILTER_WHY_MAX]);
struct eventfilter *eventfilter_free(struct eventfilter *f); /* NULL is allowed; returns NULL */
bool eventfilter_holds(const struct eventfilter *f, const json_t *event); /* NULL: everything */

/* The prefix of its condition `client=`, to ask for less; NULL: it has none. Lent. */
const char *eventfilter_client(const struct eventfilter *f);

#endif
