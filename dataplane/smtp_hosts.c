/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hosts a mail to a path could be relayed through (P15): source route, domain, and those that
 * a backend might dig out of the local part. Quotes and backslashes are dropped before looking, as
 * a backend that unquotes once too often would; so a host may be named that no backend would use,
 * but none is missed. Following one backend's rewriting rules was rejected: another would differ.
 */
#include "smtp.h"

#include <string.h>

static void add(struct smtp_hosts *h, size_t *used, const char *p, size_t len)
{
	while (len && p[len - 1] == '.')
		len--;
	if (len == 0)
		return;
	if (h->n == SMTP_MAX_HOSTS || len > sizeof(h->buf) - *used) {
		h->too_many = true;
		return;
	}
	char *to = h->buf + *used;

	for (size_t i = 0; i < len; i++) {
		char c = p[i];

		to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	h->host[h->n++] = (struct text){ to, (uint16_t)len };
	*used += len;
}

static bool is_separator(char c)
{
	return c == '@' || c == '%' || c == '!' || c == ',' || c == ':';
}

/* A piece of a local part between two separators, and the separators. */
struct piece {
	const char *p;
	uint16_t len;
	char left, right; /* 0 at the ends */
};

static bool named_from_right(const struct piece *piece)
{
	return piece->left == '@' || piece->left == '%';
}

static bool named_from_left(const struct piece *piece)
{
	return piece->right == '!' && !named_from_right(piece);
}

/* Counted from the end: those after @ and % are reached outermost last, those before ! first. */
static void local_hosts(struct smtp_hosts *h, size_t *used, struct text local)
{
	char s[SMTP_LOCAL_MAX];
	struct piece pieces[SMTP_LOCAL_MAX + 1];
	size_t len = 0, n = 0, start = 0;
	char left = 0;
	bool literal = false;

	for (size_t i = 0; i < local.len && len < sizeof(s); i++) {
		if (local.p[i] != '"' && local.p[i] != '\\')
			s[len++] = local.p[i];
	}
	for (size_t i = 0; i <= len; i++) {
		/* The colons of [IPv6:...] separate nothing. */
		if (i < len && s[i] == '[' && i == start && (left == '@' || left == '%'))
			literal = memchr(s + i, ']', len - i) != NULL;
		else if (i < len && s[i] == ']')
			literal = false;
		if (i < len && (literal || !is_separator(s[i])))
			continue;

		char right = i < len ? s[i] : 0;

		pieces[n++] = (struct piece){ s + start, (uint16_t)(i - start), left, right };
		left = right;
		start = i + 1;
	}
	for (size_t i = n; i-- > 0;) {
		if (named_from_right(&pieces[i]))
			add(h, used, pieces[i].p, pieces[i].len);
	}
	for (size_t i = 0; i < n; i++) {
		if (named_from_left(&pieces[i]))
			add(h, used, pieces[i].p, pieces[i].len);
	}
}

void smtp_hosts(const struct smtp_path *path, struct smtp_hosts *ret_hosts)
{
	struct smtp_hosts *h = ret_hosts;
	const char *p = path->route.p, *end = p + path->route.len;
	size_t used = 0;

	h->n = 0;
	h->too_many = false;
	while (p < end) {
		const char *host = p + 1; /* after the @ */

		for (p = host; p < end && *p != ','; p++)
			;
		add(h, &used, host, (size_t)(p - host));
		p++;
	}
	add(h, &used, path->domain.p, path->domain.len);
	local_hosts(h, &used, path->local);
}
