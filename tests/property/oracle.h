/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a message is to hit, told the plain way: decoded in one piece, each zone's whole text cut at
 * its depth, one block scan for each expression compiled alone, metas by hand. No streams, no
 * windows, no grouping; nothing of filters/pattern* is used.
 */
#ifndef POSTERN_TESTS_PROPERTY_ORACLE_H
#define POSTERN_TESTS_PROPERTY_ORACLE_H

#include "rules.h"

#include <stddef.h>

struct oracle;

struct oracle *oracle_new(void);
void oracle_free(struct oracle *o);
void oracle_ask(struct oracle *o, const char *message, size_t n, size_t depth, size_t decoded_depth,
    const char *rcpt, bool ret_hits[RULES]);

#endif
