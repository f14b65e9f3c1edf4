/* SPDX-License-Identifier: BSD-3-Clause */
/* Strict reading of addresses, prefixes and ranges (inet.h). */
#include "inet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool inet_is_v4(const uint8_t addr[16])
{
	return memcmp(addr, v4_mapped, sizeof(v4_mapped)) == 0;
}

const char *inet_parse_address(const char *text, size_t len, uint8_t ret_addr[16])
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t addr[16];
	if (len == 0)
		return "is empty";
	if (len >= sizeof(copy) || memchr(text, '\0', len) != NULL)
		return "is not an address";
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (memchr(text, ':', len) != NULL) {
		if (inet_pton(AF_INET6, copy, addr) != 1)
			return "is not an IPv6 address";
		if (inet_is_v4(addr))
			return "is an IPv4 address in IPv6 clothes; write it as IPv4";
	} else {
		memcpy(addr, v4_mapped, sizeof(v4_mapped));
		if (inet_pton(AF_INET, copy, addr + 12) != 1)
			return "is not an address (four numbers 0-255 with dots and no leading "
			       "zeros, "
			       "or IPv6)";
	}
	memcpy(ret_addr, addr, 16);
	return NULL;
}

const char *inet_parse_interface(const char *text, size_t len, struct inet_net *ret_net)
{
	const char *slash = len == 0 ? NULL : memchr(text, '/', len);
	if (slash == NULL)
		return "has no prefix length (address/length, as 192.0.2.25/24)";
	struct inet_net net;
	const char *wrong = inet_parse_address(text, (size_t)(slash - text), net.addr);
	if (wrong != NULL)
		return wrong;
	const char *digits = slash + 1;
	size_t n_digits = len - (size_t)(digits - text);
	unsigned max = inet_is_v4(net.addr) ? 32 : 128, value = 0;
	if (n_digits < 1 || n_digits > 3 || (n_digits > 1 && digits[0] == '0'))
		value = max + 1;
	for (size_t i = 0; i < n_digits && value <= max; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			value = max + 1;
		else
			value = value * 10 + (unsigned)(digits[i] - '0');
	}
	if (value > max)
		return max == 32 ? "has a prefix length other than 0 to 32"
				 : "has a prefix length other than 0 to 128";
	net.prefix_len = (uint8_t)value;
	*ret_net = net;
	return NULL;
}

struct inet_range inet_net_range(const struct inet_net *net)
{
	unsigned bits = net->prefix_len + (inet_is_v4(net->addr) ? 96 : 0);
	struct inet_range range;
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
		uint8_t mask = keep >= 8 ? 0xff : (uint8_t)(0xff00 >> keep);
		range.first[i] = net->addr[i] & mask;
		range.last[i] = (uint8_t)(net->addr[i] | (uint8_t)~mask);
	}
	return range;
}

const char *inet_parse_network(const char *text, size_t len, struct inet_net *ret_net)
{
	struct inet_net net;
	const char *wrong = inet_parse_interface(text, len, &net);
	if (wrong != NULL)
		return wrong;
	struct inet_range range = inet_net_range(&net);
	if (memcmp(range.first, net.addr, 16) != 0)
		return "has host bits set (bits right of the prefix length)";
	*ret_net = net;
	return NULL;
}

const char *inet_parse_range(const char *text, size_t len, struct inet_range *ret_range)
{
	struct inet_range range;
	const char *wrong, *dash;
	if (len != 0 && memchr(text, '/', len) != NULL) {
		struct inet_net net;
		wrong = inet_parse_network(text, len, &net);
		if (wrong != NULL)
			return wrong;
		*ret_range = inet_net_range(&net);
		return NULL;
	}
	dash = len == 0 ? NULL : memchr(text, '-', len);
	if (dash == NULL) {
		wrong = inet_parse_address(text, len, range.first);
		if (wrong != NULL)
			return wrong;
		memcpy(range.last, range.first, 16);
		*ret_range = range;
		return NULL;
	}
	const char *end = text + len, *first_end = dash, *last = dash + 1;
	while (first_end > text && (first_end[-1] == ' ' || first_end[-1] == '\t'))
		first_end--;
	while (last < end && (*last == ' ' || *last == '\t'))
		last++;
	wrong = inet_parse_address(text, (size_t)(first_end - text), range.first);
	if (wrong == NULL)
		wrong = inet_parse_address(last, (size_t)(end - last), range.last);
	if (wrong != NULL)
		return wrong;
	if (inet_is_v4(range.first) != inet_is_v4(range.last))
		return "is a range from one address family into the other";
	if (memcmp(range.first, range.last, 16) > 0)
		return "is a range that ends before it begins";
	*ret_range = range;
	return NULL;
}

/* The last address of the prefix that keeps `keep` of all 128 bits. */
static void last_of(const uint8_t addr[16], unsigned keep, uint8_t ret_last[16])
{
	memcpy(ret_last, addr, 16);
	for (unsigned bit = keep; bit < 128; bit++)
		ret_last[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

/* The longest stretch that begins at `at` and is a prefix: how many bits it keeps. */
static unsigned kept_bits(const uint8_t at[16], unsigned least)
{
	unsigned keep = 128;
	while (keep > least && !(at[(keep - 1) / 8] >> (7 - (keep - 1) % 8) & 1))
		keep--;
	return keep;
}

int inet_range_nets(
    const struct inet_range *range, int (*take)(void *arg, const struct inet_net *net), void *arg)
{
	unsigned family = inet_is_v4(range->first) ? 96 : 0;
	uint8_t at[16], last[16];
	memcpy(at, range->first, 16);
	for (;;) {
		unsigned keep = kept_bits(at, family);
		struct inet_net net;
		for (last_of(at, keep, last); memcmp(last, range->last, 16) > 0;
		     last_of(at, keep, last))
			keep++;
		memcpy(net.addr, at, 16);
		net.prefix_len = (uint8_t)(keep - family);
		/* an IPv6 range may lie around the IPv4 addresses; those are not of it */
		int ret = family == 0 && inet_is_v4(at) ? 0 : take(arg, &net);
		if (ret < 0)
			return ret;
		if (memcmp(last, range->last, 16) >= 0)
			return 0;
		memcpy(at, last, 16);
		for (unsigned i = 16; i-- > 0 && ++at[i] == 0;)
			;
	}
}

bool inet_net_contains(const struct inet_net *net, const uint8_t addr[16])
{
	struct inet_range range = inet_net_range(net);
	return inet_is_v4(net->addr) == inet_is_v4(addr) && memcmp(range.first, addr, 16) <= 0 &&
	       memcmp(addr, range.last, 16) <= 0;
}

void inet_print(const uint8_t addr[16], char ret_text[INET_TEXT_MAX])
{
	if (inet_is_v4(addr))
		inet_ntop(AF_INET, addr + 12, ret_text, INET_TEXT_MAX);
	else
		inet_ntop(AF_INET6, addr, ret_text, INET_TEXT_MAX);
}
