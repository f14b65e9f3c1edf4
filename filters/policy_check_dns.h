/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounds of struct policy_dns, for policy_open(). */
#ifndef POSTERN_FILTERS_POLICY_CHECK_DNS_H
#define POSTERN_FILTERS_POLICY_CHECK_DNS_H

#include "policy_dns.h"

#include <stddef.h>

/* NULL: in bounds; else a sentence (static storage). strings_len: bytes of the STRINGS part. */
const char *policy_check_dns(const struct policy_dns *dns, size_t strings_len, uint32_t n_rules);

#endif
