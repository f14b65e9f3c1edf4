/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash-2-4 (Aumasson and Bernstein): the keyed hash behind cookies, initial sequence numbers
 * and the flow table. Strangers choose the input of all three, so an unkeyed hash (CRC, FNV) would
 * let them aim at one bucket or guess the next number.
 */
#ifndef POSTERN_TCPSTACK_SIPHASH_H
#define POSTERN_TCPSTACK_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash24(const uint8_t key[16], const void *p, size_t len);

#endif
