/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Builds the ADDRESSES part from prefixes. Precedence is settled here, once, so that a look-up
 * finds one byte: allow beats everything, then the more specific prefix, then the higher rank.
 */
#ifndef POSTERN_FILTERS_ADDRSET_BUILD_H
#define POSTERN_FILTERS_ADDRSET_BUILD_H

#include "addrset.h"

#include <stdbool.h>

/* One sortable word: address, prefix length, precedence among equal prefixes, value. */
struct addrset_entry4 {
	uint64_t word; /* address << 32 | length << 24 | order << 16 | value */
};

struct addrset_entry6 {
	uint64_t hi, lo;
	uint32_t rest; /* length << 16 | order << 8 | value */
};

/* order: 0 goes first among equal prefixes; value: 1 to 255; bits behind len are cleared. */
struct addrset_entry4 addrset_entry4(uint32_t addr, unsigned len, uint8_t order, uint8_t value);
struct addrset_entry6 addrset_entry6(
    const uint8_t addr[16], unsigned len, uint8_t order, uint8_t value);

struct addrset_input {
	struct addrset_entry4 *v4; /* any order; sorted in place */
	struct addrset_entry6 *v6;
	size_t n_v4, n_v6;
	bool allow[256]; /* by value */
};

/* The same entries give the same bytes. ret_base is 64-byte aligned, free() it. -ENOMEM; -E2BIG:
 * more than the layout can number. */
int addrset_build(struct addrset_input *input, void **ret_base, size_t *ret_len);

/* ---- between the files of the builder ---- */

struct addrset_buffer {
	void *p;
	size_t n, cap; /* elements */
};

struct addrset_builder {
	struct addrset_buffer sections[ADDRSET_N_SECTIONS];
	uint32_t n_hosts, n_runs6, seed, max_probes;
};

/* n zeroed elements at a section's end; NULL: no memory. */
void *addrset_grow(struct addrset_builder *b, enum addrset_section section, size_t n);
int addrset_build4(struct addrset_builder *b, const struct addrset_input *input);
int addrset_build6(struct addrset_builder *b, const struct addrset_input *input);

#endif
