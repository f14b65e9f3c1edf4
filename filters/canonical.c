/* SPDX-License-Identifier: BSD-3-Clause */
/* See canonical.h. */
#include "canonical.h"

#include <string.h>

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* The route "@a,@b:" ends at the first colon outside quotes. */
static struct text without_route(struct text path)
{
	if (path.len == 0 || path.p[0] != '@')
		return path;
	for (uint16_t i = 0; i < path.len; i++)
		if (path.p[i] == ':')
			return (struct text){ path.p + i + 1, (uint16_t)(path.len - i - 1) };
	return path;
}

/* Lower case, without quotes, backslashes and the root's dot; the last @ stays where it is found. */
static uint16_t plain(struct text from, char to[CANONICAL_MAX_LEN])
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < from.len; i++) {
		char c = from.p[i];

		if (c == '"')
			continue;
		if (c == '\\' && i + 1 < from.len)
			c = from.p[++i];
		to[n++] = lower(c);
	}
	while (n > 0 && to[n - 1] == '.')
		n--;
	return n;
}

static uint16_t last(const char *p, uint16_t len, char c)
{
	while (len > 0 && p[len - 1] != c)
		len--;
	return len; /* behind it; 0: not there */
}

/* What is hidden in the local part of a form, as local@host; its length, 0 for nothing. */
static uint16_t dig(const char *form, uint16_t len, char to[CANONICAL_MAX_LEN])
{
	uint16_t at = last(form, len, '@'), local, cut;
	const char *bang;

	if (at < 2)
		return 0;
	local = (uint16_t)(at - 1);
	cut = last(form, local, '@');
	if (cut == 0)
		cut = last(form, local, '%');
	if (cut > 1 && cut < local) { /* user%host or user@host within the local part */
		memcpy(to, form, local);
		to[cut - 1] = '@';
		return local;
	}
	bang = memchr(form, '!', local);
	if (bang && bang > form && bang + 1 < form + local) { /* host!rest */
		uint16_t host = (uint16_t)(bang - form), rest = (uint16_t)(local - host - 1);

		memcpy(to, bang + 1, rest);
		to[rest] = '@';
		memcpy(to + rest + 1, form, host);
		return (uint16_t)(rest + 1 + host);
	}
	return 0;
}

void canonical_forms(struct text path, struct canonical *ret_canonical)
{
	struct canonical *c = ret_canonical;
	struct text from = without_route(path);
	uint16_t len;

	c->n = 0;
	if (from.len > CANONICAL_MAX_LEN)
		return;
	len = plain(from, c->buf[0]);
	do {
		c->forms[c->n] = (struct text){ c->buf[c->n], len };
		c->n++;
		if (c->n == CANONICAL_MAX_FORMS)
			return;
		len = dig(c->buf[c->n - 1], len, c->buf[c->n]);
	} while (len > 0);
}
