/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter by DNS lists and the checks by names: what the resolver's answers come to. */
#ifndef POSTERN_FILTERS_DNS_JUDGE_H
#define POSTERN_FILTERS_DNS_JUDGE_H

#include "chain.h"
#include "checks.h"

filter_fn dns_judge; /* CONNECT, RCPT */

check_fn check_host_missing, check_host_unconfirmed, check_host_generic, check_helo_no_dot,
    check_helo_bare_address, check_helo_ours, check_helo_foreign_literal, check_helo_differs,
    check_sender_unknown, check_sender_null_mx, check_sender_is_mx, check_spf_fail,
    check_spf_softfail, check_spf_permerror, check_spf_pass;

#endif
