/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The policy image: what control's compiler makes and the dataplane maps. It is a set of parts,
 * each a byte string named by its SHA-256, that hold offsets and never pointers, so that one copy
 * serves every process and an unchanged part is not sent, hashed or built again.
 *
 * Two forms carry the same parts. In hand-over each part is a sealed memfd and the manifest (struct
 * image_header) says which belong together. On disk the manifest stands in front and the parts
 * follow at page-aligned offsets, so that the file can be mapped and used in place.
 *
 * This library is libc only: whoever calls brings SHA-256 as an image_hash_fn. Little endian.
 * Rejected: one monolithic blob (a list of 10 M addresses would travel with each changed banner)
 * and a serialised form such as protobuf (needs a second copy in memory and a parse before use).
 */
#ifndef POSTERN_FILTERS_IMAGE_H
#define POSTERN_FILTERS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAGIC 0x31474d494e545350ull /* "PSTNIMG1" */

enum {
	IMAGE_LAYOUT = 1, /* of the manifest and the parts' framing; POLICY_LAYOUT is the settings' */
	IMAGE_MAX_PARTS = 8,
	IMAGE_ALIGN = 64,  /* of a part's base in memory, at least */
	IMAGE_PAGE = 4096, /* of a part's offset in the file */
	IMAGE_HASH_LEN = 32,
};

enum image_kind {
	IMAGE_SETTINGS = 1, /* struct policy_settings and the arrays behind it (policy.h); required */
	IMAGE_STRINGS = 2,   /* zero-terminated strings, the first one empty; required */
	IMAGE_ADDRESSES = 3, /* address table (addrset.h); absent: no address is listed */
	IMAGE_DOMAINS = 4, /* hash index over the settings' domains; required where there are any */
	IMAGE_PATTERNS =
	    5, /* Hyperscan databases and what they mean (pattern_layout.h); absent: none */
	IMAGE_NAMES = 6,      /* sets of names (nameset.h); required where a set has entries */
	IMAGE_PATTERNS_2 = 7, /* patterns added in an emergency, as PATTERNS; absent: none */
	IMAGE_N_KINDS
};

/* A part in memory. The bytes stay the owner's and must outlive every policy opened on them. */
struct image_part {
	uint32_t kind; /* enum image_kind */
	const void *base;
	size_t len;
};

struct image_entry {
	uint32_t kind;
	uint32_t reserved; /* 0 */
	uint8_t sha256[IMAGE_HASH_LEN];
	uint64_t offset; /* in the file form; 0 in a manifest that travels beside memfds */
	uint64_t size;
};

struct image_header {
	uint64_t magic;
	uint32_t layout; /* IMAGE_LAYOUT */
	uint32_t epoch;  /* of the commit */
	uint32_t n_parts;
	uint32_t reserved;  /* 0 */
	uint64_t file_size; /* of the file form; a shorter file is half-written */
	struct image_entry parts[IMAGE_MAX_PARTS];
	uint8_t sha256[IMAGE_HASH_LEN]; /* of all bytes of this struct in front of it */
};

/* SHA-256 of len bytes. */
typedef void image_hash_fn(const void *data, size_t len, uint8_t ret_sha256[IMAGE_HASH_LEN]);

/* Makes the manifest with file offsets. The file form is this header at offset 0, each part at
 * its entry's offset, zeros between, file_size bytes in all. -EINVAL: too many parts, or twice
 * the same kind. */
int image_describe(const struct image_part *parts, unsigned n_parts, uint32_t epoch,
    image_hash_fn *hash, struct image_header *ret_header);

/* Checks a manifest alone. -EBADMSG with a sentence in ret_error (static storage). */
int image_check_header(const void *base, size_t len, image_hash_fn *hash, const char **ret_error);

/* Checks one part against its entry: size and hash. */
int image_check_part(const struct image_entry *entry, const void *base, size_t len,
    image_hash_fn *hash, const char **ret_error);

/* Checks a whole file in memory (base page-aligned), hashes too, and lists its parts, which point
 * into it. */
int image_open_file(const void *base, size_t len, image_hash_fn *hash,
    struct image_part ret_parts[IMAGE_MAX_PARTS], unsigned *ret_n_parts, uint32_t *ret_epoch,
    const char **ret_error);

#endif
