/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash-2-4 (Aumasson, Bernstein): 64-bit keyed hash of short input. Keys the tables that
 * strangers fill and signs the tokens. HalfSipHash and AES-CBC-MAC measured slower on this input.
 */
#ifndef POSTERN_FILTERS_SIPHASH_H
#define POSTERN_FILTERS_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint8_t key[16], const void *data, size_t len);

#endif
