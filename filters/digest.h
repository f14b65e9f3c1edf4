/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a message resembles: a MinHash sketch of what a person reads in it, so that two messages that
 * share most of their wording share most of the sketch whatever was changed in between (names,
 * amounts, a salutation, a different order of paragraphs). Words are runs of letters and digits,
 * case folded, digits alike (a counter changes nothing); three in a row are one shingle; of each of
 * eight hash functions the least value over all shingles is kept. The share of equal values estimates
 * the share of equal shingles (Broder 1997).
 *
 * Pure, streaming, 128 bytes; bounded work: DIGEST_MAX_SHINGLES, then the rest says nothing more.
 * Rejected: a hash of the whole (one changed byte hides it), and SimHash (64 counters a shingle, and
 * messages of one newsletter's frame fall together).
 */
#ifndef POSTERN_FILTERS_DIGEST_H
#define POSTERN_FILTERS_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DIGEST_MINS = 8,
	DIGEST_BANDS = 4, /* of two values each: what two alike messages very likely share one of */
	DIGEST_MAX_SHINGLES = 2000,
	DIGEST_LEAST_SHINGLES = 12, /* a shorter text resembles too much */
	DIGEST_MAX_HOSTS = 4,       /* URL hosts, the first ones */
};

struct digest {
	uint32_t mins[DIGEST_MINS];
	uint64_t hosts[DIGEST_MAX_HOSTS];
	uint64_t word;    /* hash of the word under way */
	uint64_t last[2]; /* of the two before it */
	uint16_t n_word;  /* bytes of it */
	uint16_t n_words, n_shingles;
	uint8_t n_hosts;
	bool seen_letter;
};

void digest_init(struct digest *d);
/* Text as it is read, in any pieces. */
void digest_text(struct digest *d, const uint8_t *p, size_t n);
void digest_host(struct digest *d, const char *host, size_t len);
void digest_end(struct digest *d);

/* Keys under which alike messages meet; 0 of them when the text is too short. */
unsigned digest_bands(const struct digest *d, uint64_t ret_keys[DIGEST_BANDS]);
/* Equal values of two sketches, 0 to DIGEST_MINS. */
unsigned digest_alike(const uint32_t a[DIGEST_MINS], const uint32_t b[DIGEST_MINS]);

#endif
