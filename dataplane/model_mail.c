/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every line is made from (id, line number): lengths from 0 to the 998 of RFC 5322, lines that
 * begin with dots, lines that are one dot, high bytes. These are what a relay gets wrong.
 */
#include "model_mail.h"

#include <stdio.h>
#include <string.h>

void model_text_init(struct model_text *t, uint64_t id, size_t body_len)
{
	t->id = id;
	t->left = body_len;
	t->line = 0;
	t->at = 0;
	t->len = (uint16_t)snprintf(t->buf, sizeof(t->buf),
	    "From: <sender@example.net>\r\n" MODEL_ID_FIELD "%016llx\r\nSubject: model\r\n\r\n",
	    (unsigned long long)id);
}

static void next_line(struct model_text *t)
{
	uint64_t r = t->id * 0x9e3779b97f4a7c15ull + t->line++;
	r = model_random(&r);
	size_t want = (r & 15) == 0 ? (r >> 8) % 990 : (r >> 8) % 76;
	unsigned dots = (r & 0xf0) == 0 ? 1 + ((r >> 32) & 3) : 0; /* 1: "." alone, stuffed ".." */
	size_t n = 0;

	if (dots == 1) {
		memcpy(t->buf, "..\r\n", 4);
		n = 4;
	} else {
		for (unsigned i = 0; i < dots; i++)
			t->buf[n++] = '.';
		for (size_t i = 0; i < want; i++) {
			uint8_t c = (uint8_t)(' ' + (r >> (i & 31)) % 95 + i % 7);
			if (n == 0 && c == '.')
				c = 'o';
			if (c == 0x7f)
				c = 0xe4; /* 8-bit text too */
			t->buf[n++] = (char)c;
		}
		t->buf[n++] = '\r';
		t->buf[n++] = '\n';
	}
	if (n > t->left) { /* the last line takes what is left, and is whole */
		n = t->left > 2 ? t->left : 2;
		memset(t->buf, 'z', n - 2);
		t->buf[n - 2] = '\r';
		t->buf[n - 1] = '\n';
		t->left = n;
	}
	t->left -= n;
	t->at = 0;
	t->len = (uint16_t)n;
}

size_t model_text_peek(struct model_text *t, const char **ret_p)
{
	if (t->at == t->len) {
		if (t->left == 0)
			return 0;
		next_line(t);
	}
	*ret_p = t->buf + t->at;
	return (size_t)(t->len - t->at);
}

void model_text_consume(struct model_text *t, size_t n)
{
	t->at = (uint16_t)(t->at + n);
}

uint64_t model_text_digest(uint64_t id, size_t body_len)
{
	struct model_text t;
	uint64_t d = MODEL_DIGEST_START;
	const char *p;
	size_t n;

	model_text_init(&t, id, body_len);
	while ((n = model_text_peek(&t, &p)) > 0) {
		d = model_digest(d, p, n);
		model_text_consume(&t, n);
	}
	return d;
}
