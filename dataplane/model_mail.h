/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model messages: bodies that need no memory, told apart at the backend. The text of message `id`
 * is a function of (id, length), so that client and backend agree on a digest without sharing a
 * byte. Generated on the wire: CR LF, dots stuffed, without the final dot line.
 */
#ifndef POSTERN_DATAPLANE_MODEL_MAIL_H
#define POSTERN_DATAPLANE_MODEL_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_ID_FIELD "X-Model-Id: "

/* Produces the wire bytes of a message, a piece at a time. */
struct model_text {
	uint64_t id;
	size_t left; /* bytes of lines still to come */
	uint32_t line;
	uint16_t at, len; /* in buf */
	char buf[1024];
};
void model_text_init(struct model_text *t, uint64_t id, size_t body_len);
/* The next run of bytes, 0 at the end. */
size_t model_text_peek(struct model_text *t, const char **ret_p);
void model_text_consume(struct model_text *t, size_t n);

/* FNV-1a over the wire bytes: an accidental change is what it is to find, not an adversary's. */
static inline uint64_t model_digest(uint64_t d, const void *p, size_t n)
{
	const uint8_t *b = p;
	for (size_t i = 0; i < n; i++)
		d = (d ^ b[i]) * 0x100000001b3ull;
	return d;
}
#define MODEL_DIGEST_START 0xcbf29ce484222325ull
/* Digest of the whole message `id`. */
uint64_t model_text_digest(uint64_t id, size_t body_len);

/* splitmix64: the one source of chance in model peers; a seed gives the same run everywhere. */
static inline uint64_t model_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

#endif
