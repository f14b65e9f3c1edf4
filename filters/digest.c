/* SPDX-License-Identifier: BSD-3-Clause */
/* See digest.h. */
#include "digest.h"

#include <string.h>

enum { WORD_MAX = 40 /* bytes that count; longer runs are no words but data */ };

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

void digest_init(struct digest *d)
{
	memset(d, 0, sizeof(*d));
	memset(d->mins, 0xff, sizeof(d->mins));
}

static void shingle(struct digest *d, uint64_t h)
{
	static const uint32_t odd[DIGEST_MINS] = { 0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f,
		0x165667b1, 0xd3a2646d, 0xfd7046c5, 0xb55a4f09 };
	uint32_t low = (uint32_t)h, high = (uint32_t)(h >> 32);

	for (unsigned i = 0; i < DIGEST_MINS; i++) { /* one vector instruction each */
		uint32_t v = (low * odd[i]) ^ (high * odd[DIGEST_MINS - 1 - i]);

		v ^= v >> 15;
		v *= 0x2c1b3c6du;
		d->mins[i] = v < d->mins[i] ? v : d->mins[i];
	}
	d->n_shingles++;
}

static void word_end(struct digest *d)
{
	uint64_t h;

	if (d->n_word == 0)
		return;
	h = mix(d->word);
	/* a run of digits alone, or of data, is no word: it would make every bill a text of its own */
	if (d->seen_letter && d->n_word <= WORD_MAX) {
		if (d->n_words >= 2 && d->n_shingles < DIGEST_MAX_SHINGLES)
			shingle(d, mix(h + 3 * d->last[0] + 7 * d->last[1]));
		d->last[1] = d->last[0];
		d->last[0] = h;
		if (d->n_words < UINT16_MAX)
			d->n_words++;
	}
	d->word = 0;
	d->n_word = 0;
	d->seen_letter = false;
}

void digest_text(struct digest *d, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && d->n_shingles < DIGEST_MAX_SHINGLES; i++) {
		uint8_t c = p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
		bool digit = c >= '0' && c <= '9';

		if (!letter && !digit) {
			word_end(d);
			continue;
		}
		c = digit ? '0' : c < 0x80 ? c | 0x20 : c;
		d->word = (d->word ^ c) * 0x100000001b3ull + 0x9e37;
		d->seen_letter |= letter;
		if (d->n_word < UINT16_MAX)
			d->n_word++;
	}
}

void digest_host(struct digest *d, const char *host, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull;

	if (len == 0)
		return;
	for (size_t i = 0; i < len; i++) {
		char c = host[i];

		h = (h ^ (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c)) * 0x100000001b3ull;
	}
	h = mix(h) | 1;
	for (unsigned i = 0; i < d->n_hosts; i++)
		if (d->hosts[i] == h)
			return;
	if (d->n_hosts < DIGEST_MAX_HOSTS)
		d->hosts[d->n_hosts++] = h;
}

void digest_end(struct digest *d)
{
	word_end(d);
}

unsigned digest_bands(const struct digest *d, uint64_t ret_keys[DIGEST_BANDS])
{
	if (d->n_shingles < DIGEST_LEAST_SHINGLES)
		return 0;
	for (unsigned i = 0; i < DIGEST_BANDS; i++)
		ret_keys[i] = mix(((uint64_t)d->mins[2 * i] << 32 | d->mins[2 * i + 1]) + i + 1) | 1;
	return DIGEST_BANDS;
}

unsigned digest_alike(const uint32_t a[DIGEST_MINS], const uint32_t b[DIGEST_MINS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < DIGEST_MINS; i++)
		n += a[i] == b[i];
	return n;
}
