/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses as facts and policies have them: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC
 * 4291 2.5.5.2). tcpstack has the same for its struct ip_addr, control for what it reads (inet.h).
 */
#ifndef POSTERN_FILTERS_ADDRESS_FORM_H
#define POSTERN_FILTERS_ADDRESS_FORM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { ADDRESS_V4_AT = 12 }; /* where the four octets are */

static inline bool address_is_v4(const uint8_t addr[16])
{
	static const uint8_t mapped[ADDRESS_V4_AT] = { [10] = 0xff, [11] = 0xff };

	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

/* Octets that a network shares with the address: /24 or /64. */
static inline unsigned address_prefix_octets(const uint8_t addr[16])
{
	return address_is_v4(addr) ? ADDRESS_V4_AT + 3 : 8;
}

static inline void address_from_v4(uint8_t ret_addr[16], const uint8_t octets[4])
{
	memset(ret_addr, 0, 10);
	memset(ret_addr + 10, 0xff, 2);
	memcpy(ret_addr + ADDRESS_V4_AT, octets, 4);
}

#endif
