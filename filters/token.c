/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tokens: 90 bits in 18 characters of five, most significant first:
 *
 *     reason 8 | epoch 16 | minute 26 | session 16 | MAC 24
 *
 * The MAC is the top 24 bits of SipHash-2-4 over the 66 bits before it. A forger has one chance in
 * 16 million per try, and all he wins is that `posternctl explain` believes him. The fields are not
 * hidden: they tell a sender nothing that the reply did not.
 */
#include "token.h"

#include "siphash.h"

#include <errno.h>
#include <string.h>

typedef unsigned __int128 u128;

enum { MAC_BITS = 24, BODY_LEN = 9 /* bytes that hold 66 bits */ };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static uint32_t mac(const uint8_t key[16], u128 body)
{
	uint8_t bytes[BODY_LEN];

	for (unsigned i = 0; i < BODY_LEN; i++)
		bytes[i] = (uint8_t)(body >> (8 * i));
	return (uint32_t)(siphash(key, bytes, sizeof(bytes)) >> (64 - MAC_BITS));
}

void token_make(
    const uint8_t key[16], const struct token_fields *fields, char ret_token[TOKEN_LEN + 1])
{
	u128 t = fields->reason;

	t = t << 16 | fields->epoch;
	t = t << 26 | (fields->minute & ((1u << 26) - 1));
	t = t << 16 | fields->session;
	t = t << MAC_BITS | mac(key, t);
	for (unsigned i = 0; i < TOKEN_LEN; i++)
		ret_token[i] = alphabet[(unsigned)(t >> (5 * (TOKEN_LEN - 1 - i))) & 31];
	ret_token[TOKEN_LEN] = '\0';
}

/* Crockford: case is ignored, I and L read as 1, O as 0. Negative: no digit. */
static int digit(char c)
{
	const char *at;

	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'I' || c == 'L')
		return 1;
	if (c == 'O')
		return 0;
	at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

int token_parse(const uint8_t key[16], const char *token, struct token_fields *ret_fields)
{
	u128 t = 0, body;

	for (unsigned i = 0; i < TOKEN_LEN; i++) {
		int d = digit(token[i]);

		if (d < 0) /* a short token ends here, at its zero */
			return -EINVAL;
		t = t << 5 | (unsigned)d;
	}
	if (token[TOKEN_LEN] != '\0')
		return -EINVAL;
	body = t >> MAC_BITS;
	if (mac(key, body) != ((uint32_t)t & ((1u << MAC_BITS) - 1)))
		return -EBADMSG;
	*ret_fields = (struct token_fields){
		.reason = (uint8_t)(body >> 58),
		.epoch = (uint16_t)(body >> 42),
		.minute = (uint32_t)(body >> 16) & ((1u << 26) - 1),
		.session = (uint16_t)body,
	};
	return 0;
}
