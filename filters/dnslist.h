/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS lists (RFC 5782) without a network: the name that asks for an address, what the A records of
 * an answer say, and the test points that every list must get right (P25). An A record is a code,
 * never an address. Whatever is no well-formed code is an error and never a listing: a list that has
 * closed, sells its domain or refuses our recursor must not refuse the world's mail.
 * Pure; libc only. Rejected: leaving this to the resolver, where no test reaches it without a server.
 */
#ifndef POSTERN_FILTERS_DNSLIST_H
#define POSTERN_FILTERS_DNSLIST_H

#include "policy_dns.h"

#include <stdbool.h>
#include <stddef.h>

enum { DNSLIST_NAME_MAX = 254 }; /* with the zero */

/* The name to ask for (RFC 5782 2.1, 2.4): octets of IPv4 or nibbles of IPv6 reversed, then the zone.
 * client as in facts.h: ::ffff:a.b.c.d is asked as IPv4. Returns the length, -E2BIG. */
int dnslist_name(const uint8_t client[16], const char *zone, char *ret_name, size_t size);
/* The same for an address that is to be asked as IPv6 whatever it holds: the test points. */
int dnslist_name6(const uint8_t addr[16], const char *zone, char *ret_name, size_t size);

/* The name for a test point: IPv4 127.0.0.2 or .1, IPv6 ::FFFF:7F00:2 or :1 (RFC 5782 5). */
int dnslist_test_name(bool v6, bool listed, const char *zone, char *ret_name, size_t size);

enum dnslist_result { DNSLIST_MISS, DNSLIST_HIT, DNSLIST_ERROR };

/* What n A records mean (none: not listed). One bad record spoils the answer. */
enum dnslist_result dnslist_judge(
    const struct policy_dns_list *list, const uint8_t (*records)[4], unsigned n);
/* Of a test point: HIT for any well-formed code, whatever codes this policy cares for. */
enum dnslist_result dnslist_judge_test(
    const struct policy_dns_list *list, const uint8_t (*records)[4], unsigned n);

/* "127.0.0.2", "127.0.0.0/24", "127.0.0.2-11", "127.0.*.3", "127.0.0.&6" (one of the bits of 6 set
 * in the last octet). NULL, or what is wrong in words that fit behind the value. */
const char *dnslist_parse_answer(const char *text, struct policy_dns_answer *ret_answer);

#endif
