/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter by source address: lists, their verdicts by phase, and the share that is verified. */
#ifndef POSTERN_FILTERS_ADDRESS_H
#define POSTERN_FILTERS_ADDRESS_H

#include "chain.h"

/* Verdicts that an address list may give in this version. */
bool address_verdict_known(uint8_t kind);
/* Fills the view's tables by value from its lists; the last step of policy_open(). */
void address_prepare(struct policy *p);

/* A recipient that hears of mistakes: Postmaster, bare or at a domain (RFC 5321 4.5.1). */
bool address_is_postmaster(struct text rcpt);

filter_fn address_judge;

#endif
