/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * URLs in running text (mime.h). The text is searched for `/` and `.` alone and what stands before
 * them is looked at: most text is skipped at a byte a step. In HTML the markup is text too, so
 * href="..." needs no knowledge of tags.
 */
#include "mime.h"

#include <string.h>

enum { ENDS = 1, TRIGGER = 2, TRAILING = 4 };

/* What ends a URL, what may begin one, what at its end belongs to the sentence around it. */
static const uint8_t class[256] = {
	[0 ... ' '] = ENDS,
	['"'] = ENDS,
	['<'] = ENDS,
	['>'] = ENDS,
	['`'] = ENDS,
	['{'] = ENDS,
	['}'] = ENDS,
	['|'] = ENDS,
	['\\'] = ENDS,
	['^'] = ENDS,
	[0x7f] = ENDS,
	['/'] = TRIGGER,
	['.'] = TRIGGER | TRAILING,
	[','] = TRAILING,
	[';'] = TRAILING,
	[':'] = TRAILING,
	['!'] = TRAILING,
	['?'] = TRAILING,
	[')'] = TRAILING,
	[']'] = TRAILING,
	['\''] = TRAILING,
	['*'] = TRAILING,
};

void mime_urls_init(struct mime_urls *u)
{
	u->inside = false;
	u->n = 0;
	memset(u->tail, 0, sizeof(u->tail));
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c >= 0x80;
}

/* last[8] are the bytes up to and with the trigger. Length of the beginning, 0: none. */
static unsigned begins(const uint8_t last[8])
{
	static const struct {
		char text[9];
		uint8_t len;
	} starts[] = { { "https://", 8 }, { "http://", 7 }, { "ftp://", 6 }, { "www.", 4 } };

	for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		unsigned n = starts[i].len, k = 0;

		while (k < n && lower(last[8 - n + k]) == (uint8_t)starts[i].text[k])
			k++;
		if (k == n && (n != 4 || !(alnum(last[3]) || last[3] == '.' || last[3] == '@')))
			return n;
	}
	return 0;
}

static void found(struct mime_urls *u, mime_url_fn *take, void *arg)
{
	size_t n = 0, host = 0, end;

	u->inside = false;
	while (u->n > 0 && class[u->url[u->n - 1]] & TRAILING)
		u->n--;
	for (size_t i = 0; i < u->n; i++) { /* &amp; of HTML */
		u->url[n++] = u->url[i];
		if (u->url[i] == '&' && u->n - i > 4 && memcmp(&u->url[i], "&amp;", 5) == 0)
			i += 4;
	}
	if (n < 5 || u->found >= MIME_URLS_MAX) {
		if (u->found >= MIME_URLS_MAX)
			u->found = MIME_URLS_MAX + 1;
		return;
	}
	u->found++;
	for (size_t i = 0; i + 2 < n && i < 8; i++)
		if (memcmp(&u->url[i], "://", 3) == 0) {
			host = i + 3;
			break;
		}
	for (end = host; end < n && !strchr("/?#", u->url[end]); end++)
		if (u->url[end] == '@')
			host = end + 1; /* a user's name before it */
	for (size_t i = host; i < end && u->url[host] != '['; i++)
		if (u->url[i] == ':')
			end = i;
	while (end > host && u->url[end - 1] == '.')
		end--;
	take(arg, u->url, n, host, end - host);
}

void mime_urls_feed(struct mime_urls *u, const uint8_t *in, size_t n, mime_url_fn *take, void *arg)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = in[i], last[8];
		unsigned k;

		if (u->inside) {
			if (class[c] & ENDS)
				found(u, take, arg);
			else if (u->n < MIME_URL_MAX)
				u->url[u->n++] = c;
			else
				u->cut = true;
			continue;
		}
		while (!(class[in[i]] & TRIGGER) && ++i < n)
			;
		if (i == n)
			break;
		for (k = 0; k < 8; k++)
			last[7 - k] = i >= k ? in[i - k] : u->tail[8 + i - k];
		k = begins(last);
		if (k) {
			u->inside = true;
			u->n = (uint16_t)k;
			memcpy(u->url, last + 8 - k, k);
		}
	}
	if (n >= 8) {
		memcpy(u->tail, in + n - 8, 8);
	} else {
		memmove(u->tail, u->tail + n, 8 - n);
		memcpy(u->tail + 8 - n, in, n);
	}
}

void mime_urls_end(struct mime_urls *u, mime_url_fn *take, void *arg)
{
	if (u->inside)
		found(u, take, arg);
	mime_urls_init(u);
}
