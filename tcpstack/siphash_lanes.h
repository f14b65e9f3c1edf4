/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash-2-4 of many short messages at once, one per vector lane.
 *
 * Messages come as words, word by word (word w of message i at words[w][i]), the padded length
 * word of the paper included, so that a caller writes addresses and ports straight into place.
 */
#ifndef POSTERN_TCPSTACK_SIPHASH_LANES_H
#define POSTERN_TCPSTACK_SIPHASH_LANES_H

#include <stdint.h>

enum { SIPHASH_LANES = 32 }; /* messages a call may hold */

/* ret[0..n) must have room for n rounded up to 8. Reads words of the same rounding. */
typedef void siphash_lanes_fn(const uint8_t key[16], const uint64_t (*words)[SIPHASH_LANES],
    unsigned n_words, unsigned n, uint64_t *ret);

/* The fastest this processor has: 8 lanes of AVX-512, 4 of AVX2, or one after the other. */
siphash_lanes_fn *siphash_lanes_select(void);

/* Each of them, for tests: i from 0; NULL where there is none, or the processor lacks it. */
siphash_lanes_fn *siphash_lanes_variant(unsigned i);

#endif
