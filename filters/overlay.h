/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was said of addresses at run time: list entries, listings lifted, bans, each with an end.
 * One writer (the caller sees to that), any number of readers that write nothing: a reader's row is
 * one atomic word and an address that never changes while that word stands, so an entry is seen
 * whole or not at all, and nobody waits. All memory is taken at the start. Time is an argument.
 *
 * Lists are known by numbers of this table's own (overlay_list()), not by their place in a policy:
 * places change with each policy, entries stay.
 *
 * Rejected: a second compiled address table per change (10 ms and up for one address), a sequence
 * lock (a writer that is preempted would hold up workers), RCU lists (allocate per entry).
 */
#ifndef POSTERN_FILTERS_OVERLAY_H
#define POSTERN_FILTERS_OVERLAY_H

#include "verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	OVERLAY_DEFAULT_ENTRIES = 1048576,
	OVERLAY_MAX_ENTRIES = 16777216,
	OVERLAY_NAME_MAX = 47,   /* characters of a list's name */
	OVERLAY_REASON_MAX = 63, /* characters of an entry's reason */
	OVERLAY_REASONS = 16384, /* different reasons kept; beyond: entries without one, counted */
	OVERLAY_LISTS = 256,     /* numbers; 0 are the bans */
	OVERLAY_BAN = 0,
};

enum overlay_origin {
	OVERLAY_OPERATOR,  /* typed by a person or a script */
	OVERLAY_IMPORT,    /* came in bulk */
	OVERLAY_AUTOMATIC, /* given by bans.h; the first to go when the table is full */
	OVERLAY_N_ORIGINS
};
extern const char *const overlay_origin_words[OVERLAY_N_ORIGINS];

/* Within the table one entry per prefix and list: a listing or its lifting, never both. */
struct overlay_entry {
	uint8_t addr[16];   /* IPv4 as ::ffff:a.b.c.d; bits behind the prefix are 0 */
	uint8_t len;        /* 0-32 or 0-128 */
	uint8_t list;       /* overlay_list(), or OVERLAY_BAN */
	uint8_t kind;       /* enum verdict_kind of a ban; 0 with lists: the policy says */
	uint8_t origin;     /* enum overlay_origin */
	bool lifts;         /* the compiled list of this number does not hold here */
	uint32_t created_s; /* Unix seconds */
	uint32_t expires_s; /* from then on it is not; 0: never */
	char reason[OVERLAY_REASON_MAX + 1];
};

struct overlay;

/* key: secret, so that nobody aims addresses at one place. Memory: about 55 bytes an entry, touched
 * here. NULL: no memory, or entries is 0 or above OVERLAY_MAX_ENTRIES. */
struct overlay *overlay_new(uint32_t entries, const uint8_t key[16]);
struct overlay *overlay_free(struct overlay *o); /* NULL is allowed; returns NULL */

/* ---- readers ---- */

struct overlay_hit {
	uint8_t kind; /* enum verdict_kind; NONE: no entry that counts */
	uint8_t list; /* number; OVERLAY_BAN with a ban */
	uint8_t len;  /* of the entry's prefix */
	bool lifted;  /* the compiled listing does not hold */
};

/* True when nothing was ever said or all of it is gone: one read of a line that hardly changes. */
bool overlay_is_empty(const struct overlay *o);

/*
 * kinds: verdict by list number under the reader's policy, NONE for a list it does not have.
 * compiled: the number of the list that the compiled table found for each client, 0 for none.
 * PASS of any prefix wins; then the most specific entry; of one prefix the more severe.
 */
void overlay_judge(const struct overlay *o, const uint8_t kinds[OVERLAY_LISTS],
    const uint8_t (*clients)[16], const uint8_t *compiled, unsigned n, uint32_t now_s,
    struct overlay_hit *ret_hits);

/* ---- the writer ---- */

/* The number of a list's name, taken if there is none yet. -ENAMETOOLONG, -EINVAL (empty); -ENOSPC:
 * all numbers are taken and have entries or are marked used. */
int overlay_list(struct overlay *o, const char *name);
int overlay_list_find(const struct overlay *o, const char *name);      /* -ENOENT */
const char *overlay_list_name(const struct overlay *o, unsigned list); /* "" where there is none */
/* A policy in force has the list: its number is not given to another name. */
void overlay_lists_used(struct overlay *o, const bool used[OVERLAY_LISTS]);

enum overlay_put_result {
	OVERLAY_ADDED,
	OVERLAY_CHANGED,
	OVERLAY_EVICTED, /* added; an automatic ban was let go for it */
};
/*
 * Adds, or changes all that is said of this prefix and list. Full: an expired entry goes, else the
 * automatic ban that ends first if the new entry is automatic or an operator's (ret_evicted tells
 * which; NULL is allowed); without automatic bans -ENOSPC. -EINVAL: prefix length, host bits,
 * a ban without kind, unknown list.
 */
int overlay_put(struct overlay *o, const struct overlay_entry *entry, uint32_t now_s,
    struct overlay_entry *ret_evicted);
int overlay_remove(struct overlay *o, const uint8_t addr[16], unsigned len, unsigned list);
int overlay_get(const struct overlay *o, const uint8_t addr[16], unsigned len, unsigned list,
    struct overlay_entry *ret_entry); /* -ENOENT; also finds what has expired and is not swept */

/* Removes up to `steps` expired entries; returns how many. */
unsigned overlay_sweep(struct overlay *o, uint32_t now_s, unsigned steps);

/* The entry at or behind *cursor (0 at the start), which is moved on; false: the end. Entries added
 * or removed meanwhile may be missed; no other is missed or told twice. */
bool overlay_next(const struct overlay *o, uint32_t *cursor, struct overlay_entry *ret_entry);

struct overlay_counts {
	uint32_t entries, capacity;
	uint32_t automatic;       /* of them */
	uint64_t evicted;         /* automatic bans let go for others, ever */
	uint64_t reasons_dropped; /* entries whose reason found no room, ever */
};
struct overlay_counts overlay_counts(const struct overlay *o);

#endif
