/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses as operators write them. Both families in 16 bytes, IPv4 as ::ffff:a.b.c.d, as the
 * policy has them. Strict: what could be read in two ways (leading zeros, 10.1, host bits set in a
 * prefix, IPv4-mapped IPv6) is refused with words, never guessed.
 */
#ifndef POSTERN_CONTROL_INET_H
#define POSTERN_CONTROL_INET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inet_range {
	uint8_t first[16], last[16]; /* inclusive, same family */
};

struct inet_net {
	uint8_t addr[16];   /* with host bits where the caller allows them */
	uint8_t prefix_len; /* 0-32 or 0-128 */
};

enum { INET_TEXT_MAX = 64 }; /* longest text of an address or prefix, with the zero */

bool inet_is_v4(const uint8_t addr[16]);

/* Each returns NULL, or what is wrong in words that fit behind `"TEXT": `. Texts are lent with a
 * length, need no terminator, and outputs are untouched on failure. */
const char *inet_parse_address(const char *text, size_t len, uint8_t ret_addr[16]);
const char *inet_parse_interface(const char *text, size_t len, struct inet_net *ret_net);
const char *inet_parse_network(const char *text, size_t len, struct inet_net *ret_net);
/* Address, prefix without host bits, or first-last. */
const char *inet_parse_range(const char *text, size_t len, struct inet_range *ret_range);

struct inet_range inet_net_range(const struct inet_net *net);
/* The prefixes that cover the range exactly, in order; a negative value of `take` ends it and is
 * returned. */
int inet_range_nets(
    const struct inet_range *range, int (*take)(void *arg, const struct inet_net *net), void *arg);
bool inet_net_contains(const struct inet_net *net, const uint8_t addr[16]);
void inet_print(const uint8_t addr[16], char ret_text[INET_TEXT_MAX]);

#endif
