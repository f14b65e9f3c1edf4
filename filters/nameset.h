/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of names: addresses, domains, their subdomains, local parts, globs and pairs, by number of
 * set. One hash index for all sets of a policy (the NAMES part), so that access rules, recipient
 * lists, exemptions and traps share one look-up and one file format.
 *
 * An entry as an operator writes it, any case, compared without regard to case:
 *
 *   user@example.org    that address
 *   example.org         every address at that domain; that host
 *   .example.org        everything below it, not itself
 *   user@               that local part at any domain
 *   <>                  the null sender
 *   *offer*@*.example   a glob: * is any run of bytes, ? any one byte (NAMES_MAX_GLOBS in all)
 *   A B                 in a set of pairs: sender A and recipient B, each one of the above but a
 *                       glob, or * for any
 *
 * The most specific entry of a set that fits and has not expired answers: address, local part,
 * domain, the longest parent, glob. Rejected: an index per set (most sets hold a handful), and
 * regular expressions here (patterns have their engine).
 */
#ifndef POSTERN_FILTERS_NAMESET_H
#define POSTERN_FILTERS_NAMESET_H

#include "facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMESET_MAGIC 0x31305353454d414eull /* "NAMESS01" */

enum {
	NAMES_MAX_SETS = 4096,
	NAMES_MAX_GLOBS = 1024, /* of a policy; asked one after another */
	NAMES_MAX_LEN = 400,    /* of an address; longer ones are in no set */
	NAMES_MAX_PARENTS = 16, /* labels above a name that are looked at, from the top */
};

enum name_kind { NAME_ADDRESS, NAME_LOCAL, NAME_DOMAIN, NAME_PARENT, NAME_GLOB, NAME_PAIR };

struct name_entry {
	uint32_t text;      /* policy_str: lower case, as looked up */
	uint32_t expires_s; /* Unix time; 0: never */
	uint16_t set;
	uint8_t kind; /* enum name_kind */
	uint8_t reserved;
};

struct nameset_slot {
	uint32_t hash;
	uint32_t index; /* of the entry, plus one; 0: free */
};

struct nameset_header {
	uint64_t magic;
	uint32_t n_entries, n_slots; /* slots: a power of two, more than the entries */
	uint32_t max_probes;
	uint32_t n_globs; /* the last entries, sorted by set */
	uint32_t n_sets;
	uint32_t reserved[9];
	/* struct nameset_slot[n_slots], struct name_entry[n_entries], uint8_t kinds[n_sets] (bits of enum
	 * name_kind that a set has) follow */
};
_Static_assert(sizeof(struct nameset_header) == 64, "names header");

struct nameset {
	const struct nameset_slot *slots;
	const struct name_entry *entries;
	const uint8_t *kinds;
	const char *strings;
	uint32_t mask, max_probes, n_entries, n_globs, n_sets;
};

/* ---- asking; pure, any thread ---- */

/* What of `address` the set `set` holds; false: nothing. `address` is a path without < >, a host
 * name, or empty for the null sender. ret_kind may be NULL. */
bool nameset_find(const struct nameset *n, unsigned set, struct text address, uint32_t now_s,
    enum name_kind *ret_kind);
bool nameset_find_pair(
    const struct nameset *n, unsigned set, struct text sender, struct text rcpt, uint32_t now_s);
/* True for a set without entries: what asks may save itself the work. */
bool nameset_empty(const struct nameset *n, unsigned set);

/* ---- building and opening (image_write.c, policy.c) ---- */

/* What an entry is, and its text as it is looked up (lower case; for NAME_PARENT without the dot),
 * into ret_text[NAMES_MAX_LEN + 1]. NULL, or what is wrong with it. */
const char *nameset_read(const char *entry, bool pairs, enum name_kind *ret_kind, char *ret_text);

/* Sorts the entries. free() the result. NULL: no memory. */
void *nameset_build(
    struct name_entry *entries, uint32_t n, uint32_t n_sets, const char *strings, size_t *ret_len);
/* -EBADMSG and a sentence. strings_len: of the STRINGS part, which ends in a zero. */
int nameset_open(const void *base, size_t len, const char *strings, size_t strings_len,
    struct nameset *ret_names, const char **ret_error);

#endif
