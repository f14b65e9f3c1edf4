/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of the image writer, nobody else's. */
#ifndef POSTERN_FILTERS_IMAGE_WRITE_PRIVATE_H
#define POSTERN_FILTERS_IMAGE_WRITE_PRIVATE_H

#include "image_write.h"

struct array {
	void *p;
	size_t n, cap;
};

struct image_writer {
	struct policy_settings settings;
	struct array strings;   /* bytes */
	uint32_t *string_slots; /* offset + 1, 0: free */
	size_t n_string_slots, n_strings;
	struct array servers, pools, lists, domains, rules;
	struct array names; /* struct name_entry */
	struct array access;
	uint32_t n_sets, n_globs;
	uint64_t ids_taken[(RULE_ID_MASK + 1) / 64];
	struct array v4, v6; /* struct addrset_entry4, 6; order is set by finish */
	void *made[IMAGE_N_KINDS];
	size_t patterns_len[POLICY_PATTERN_SETS];
	char error[256];
};

/* image_write.c: room for n more; NULL: no memory. */
void *image_array_add(struct array *a, size_t size, size_t n);

/* image_write_addresses.c: the ADDRESSES part into `made`. */
int image_write_addresses(struct image_writer *w, size_t *ret_len);

#endif
