/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounce Address Tag Validation (draft-levine-smtp-batv-01): who signs the senders of its mail,
 * prvs=KDDDSSSSSS=local@domain, can tell bounces of its own mail from those of forged mail. K is the
 * key's number, DDD the day the tag ends (days since 1970, modulo 1000), SSSSSS the first three bytes of
 * HMAC-SHA1 over KDDD and the bare address, in hexadecimal.
 *
 * Checked as the draft has it, so the mail servers' own signing fits; the hash is ours (sha1.h), since
 * filters link no library. Rejected: a tag of our own, which every signing server would have to learn.
 */
#ifndef POSTERN_FILTERS_BATV_H
#define POSTERN_FILTERS_BATV_H

#include "facts.h"
#include "policy_memory.h"

enum { BATV_DAYS = 7 /* a tag's life, and no longer even with a day far ahead */ };

enum batv_result {
	BATV_NONE,    /* no tag */
	BATV_UNKNOWN, /* a tag by a key that is not given: nothing can be said */
	BATV_GOOD,
	BATV_EXPIRED,
	BATV_FORGED,
};

/* path without its tag, lent from it: what is behind `prvs=KDDDSSSSSS=`. Without a tag the path. */
struct text batv_bare(struct text path);
enum batv_result batv_check(
    const struct policy_batv_key *keys, unsigned n_keys, struct text path, uint32_t now_s);
/* Writes the tag (10 characters) of a bare address that ends with `day`; for tests and senders. */
void batv_tag(const struct policy_batv_key *key, unsigned day, struct text bare, char ret_tag[11]);

#endif
