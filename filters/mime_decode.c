/* SPDX-License-Identifier: BSD-3-Clause */
/* base64, quoted-printable and RFC 2047 words (mime.h), each a machine over single bytes. */
#include "mime.h"

#include <string.h>

enum { SKIP = 64, PAD = 65 };

static uint8_t base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0' + 52);
	return c == '+' ? 62 : c == '/' ? 63 : c == '=' ? PAD : SKIP;
}

size_t base64_feed(struct base64 *b, const uint8_t *in, size_t n, uint8_t *out)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t v = base64_value(in[i]);

		if (v == SKIP)
			continue;
		if (v == PAD) { /* bytes of the group came out as they were complete */
			b->n = 0;
			b->bits = 0;
			continue;
		}
		b->bits = (b->bits << 6 | v) & 0xffffff;
		switch (b->n++) {
		case 1: out[k++] = (uint8_t)(b->bits >> 4); break;
		case 2: out[k++] = (uint8_t)(b->bits >> 2); break;
		case 3:
			out[k++] = (uint8_t)b->bits;
			b->n = 0;
			break;
		default: break;
		}
	}
	return k;
}

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum { QP_PLAIN, QP_EQUALS, QP_BLANK, QP_CR, QP_HEX };

/* What `=` and the bytes behind it turn out to be when they are no escape: themselves. */
static size_t qp_release(struct quoted_printable *q, uint8_t *out)
{
	size_t k = 0;

	if (q->state == QP_PLAIN)
		return 0;
	out[k++] = '=';
	if (q->state == QP_BLANK)
		out[k++] = ' ';
	if (q->state == QP_CR)
		out[k++] = '\r';
	if (q->state == QP_HEX)
		out[k++] = q->first;
	q->state = QP_PLAIN;
	return k;
}

size_t quoted_printable_feed(struct quoted_printable *q, const uint8_t *in, size_t n, uint8_t *out)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = in[i];

		if (q->state == QP_PLAIN) {
			const uint8_t *eq = memchr(in + i, '=', n - i);
			size_t plain = (eq ? (size_t)(eq - in) : n) - i;

			memcpy(out + k, in + i, plain);
			k += plain;
			i += plain;
			if (eq)
				q->state = QP_EQUALS;
			continue;
		}
		if (q->state == QP_HEX) {
			if (hex(c) >= 0) {
				out[k++] = (uint8_t)(hex(q->first) << 4 | hex(c));
				q->state = QP_PLAIN;
				continue;
			}
		} else if (c == '\n') { /* a soft line break */
			q->state = QP_PLAIN;
			continue;
		} else if (q->state != QP_CR && c == '\r') {
			q->state = QP_CR;
			continue;
		} else if (q->state != QP_CR && (c == ' ' || c == '\t')) {
			q->state = QP_BLANK;
			continue;
		} else if (q->state == QP_EQUALS && hex(c) >= 0) {
			q->state = QP_HEX;
			q->first = c;
			continue;
		}
		k += qp_release(q, out + k);
		if (c == '=')
			q->state = QP_EQUALS;
		else
			out[k++] = c;
	}
	return k;
}

size_t quoted_printable_end(struct quoted_printable *q, uint8_t out[4])
{
	return qp_release(q, out);
}

/* ---- RFC 2047 ---- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* One encoded word at in: =?charset?X?text?= . Its length, 0: none. */
static size_t word(const uint8_t *in, size_t n, uint8_t *out, size_t *ret_out)
{
	const uint8_t *end = in + n, *p = in + 2, *text;
	size_t k = 0;
	uint8_t how;

	if (n < 8 || in[0] != '=' || in[1] != '?')
		return 0;
	while (p < end && *p != '?' && *p > ' ')
		p++;
	if (end - p < 5 || *p != '?' || p == in + 2 || p[2] != '?')
		return 0;
	how = p[1] | 0x20;
	if (how != 'b' && how != 'q')
		return 0;
	text = p + 3;
	for (p = text; p + 1 < end && !(p[0] == '?' && p[1] == '='); p++)
		;
	if (p + 1 >= end)
		return 0;
	if (how == 'b') {
		struct base64 b = { 0 };

		k = base64_feed(&b, text, (size_t)(p - text), out);
	} else {
		for (const uint8_t *t = text; t < p; t++) {
			if (*t == '=' && p - t > 2 && hex(t[1]) >= 0 && hex(t[2]) >= 0) {
				out[k++] = (uint8_t)(hex(t[1]) << 4 | hex(t[2]));
				t += 2;
			} else {
				out[k++] = *t == '_' ? ' ' : *t;
			}
		}
	}
	*ret_out = k;
	return (size_t)(p + 2 - in);
}

size_t rfc2047_decode(const uint8_t *in, size_t n, uint8_t *out)
{
	size_t i = 0, k = 0, made, used, behind_word = 0;
	bool after_word = false;

	while (i < n) {
		if (in[i] == '=' && (used = word(in + i, n - i, out + k, &made)) > 0) {
			if (after_word && k > behind_word) {
				/* white space between two words is none of the text (6.2) */
				memmove(out + behind_word, out + k, made);
				k = behind_word;
			}
			i += used;
			k += made;
			behind_word = k;
			after_word = true;
			continue;
		}
		if (!is_blank(in[i]))
			after_word = false;
		out[k++] = in[i++];
	}
	return k;
}
