/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Country and ASN sets out of a MaxMind DB file (libmaxminddb): the tree is walked once when the
 * configuration is compiled, and what fits becomes prefixes of a list like any other; an exception
 * is an allow list, which wins. Rejected: looking clients up in the file at run time (the dataplane
 * has one table for all lists, and no worker may touch a mapped file).
 */
#ifndef POSTERN_CONTROL_MMDB_H
#define POSTERN_CONTROL_MMDB_H

#include "inet.h"

#include <stddef.h>

struct mmdb_wanted {
	const char *const *countries; /* ISO 3166: two upper-case letters */
	size_t n_countries;
	const uint32_t *asns;
	size_t n_asns;
};

/* Gives each prefix of a wanted country or system to `take` (a negative value ends the walk and is
 * returned). -errno; -EBADMSG with words that fit behind the file's name in ret_why (256 bytes):
 * what is wrong with it, or that its records have neither field. */
int mmdb_read(const char *path, const struct mmdb_wanted *wanted,
    int (*take)(void *arg, const struct inet_range *range), void *arg, char ret_why[256]);

#endif
