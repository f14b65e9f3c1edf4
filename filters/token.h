/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The token in every refusal and deferral: self-contained, so that `posternctl explain` can say
 * what happened where no record was kept. Crockford's base 32, no look-alikes, case ignored.
 * Pure functions, any thread.
 */
#ifndef POSTERN_FILTERS_TOKEN_H
#define POSTERN_FILTERS_TOKEN_H

#include <stdint.h>

enum { TOKEN_LEN = 18 }; /* characters, without a terminator */

struct token_fields {
	uint8_t reason;  /* enum reason */
	uint16_t epoch;  /* low bits of the policy's epoch */
	uint32_t minute; /* minutes since the Unix epoch, 26 bits */
	uint16_t session; /* number that tells sessions of a minute apart; 0: refused without state */
};

/* Writes TOKEN_LEN characters and a zero. `key`: 16 bytes, shared among boxes. */
void token_make(
    const uint8_t key[16], const struct token_fields *fields, char ret_token[TOKEN_LEN + 1]);
/* -EINVAL: not a token (length, characters); -EBADMSG: not one of ours (MAC). */
int token_parse(const uint8_t key[16], const char *token, struct token_fields *ret_fields);

#endif
