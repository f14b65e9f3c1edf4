/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths: source route, local part, domain (RFC 5321 4.1.2, appendix F.2 and C for routes).
 *
 * What cannot be read in two ways is accepted, even if the grammar is narrower: dots anywhere in
 * the local part (docomo.ne.jp), underscores and non-ASCII bytes (RFC 6531) in domains, a trailing
 * dot. What two servers could read differently is refused: a second unquoted @, escapes outside
 * quotes, comments, a local part that is quoted in part, a literal with separators inside.
 * Rewriting such addresses into one reading was rejected: the backend would judge another address
 * than we did.
 */
#include "smtp_path.h"

#include <string.h>
#include <strings.h>

enum {
	LOCAL = 1,   /* atext of RFC 5322, dot, non-ASCII */
	QUOTED = 2,  /* qtextSMTP and space, non-ASCII */
	DOMAIN = 4,  /* letters, digits, hyphen, underscore, non-ASCII; the dot is separate */
	LITERAL = 8, /* what addresses are made of; dcontent's < > , @ are in no use */
};

#define ALNUM (LOCAL | QUOTED | DOMAIN | LITERAL)
static const uint8_t classes[256] = {
	[' '] = QUOTED,
	['!'] = LOCAL | QUOTED,
	['#' ... '\''] = LOCAL | QUOTED,
	['('] = QUOTED,
	[')'] = QUOTED,
	['*'] = LOCAL | QUOTED,
	['+'] = LOCAL | QUOTED,
	[','] = QUOTED,
	['-'] = ALNUM,
	['.'] = LOCAL | QUOTED | LITERAL,
	['/'] = LOCAL | QUOTED,
	['0' ... '9'] = ALNUM,
	[':'] = QUOTED | LITERAL,
	[';'] = QUOTED,
	['<'] = QUOTED,
	['='] = LOCAL | QUOTED,
	['>'] = QUOTED,
	['?'] = LOCAL | QUOTED,
	['@'] = QUOTED,
	['A' ... 'Z'] = ALNUM,
	['['] = QUOTED,
	[']'] = QUOTED,
	['^'] = LOCAL | QUOTED,
	['_'] = ALNUM,
	['`'] = LOCAL | QUOTED,
	['a' ... 'z'] = ALNUM,
	['{' ... '~'] = LOCAL | QUOTED,
	[0x80 ... 0xff] = LOCAL | QUOTED | DOMAIN,
};

static bool is_class(char c, uint8_t class)
{
	return classes[(uint8_t)c] & class;
}

static struct text text_from(const char *p, const char *end)
{
	return (struct text){ p, (uint16_t)(end - p) };
}

/* One past the local part that begins at p; NULL: none. */
static const char *skip_local(const char *p, const char *end)
{
	const char *start = p;

	if (p < end && *p == '"') {
		for (p++; p < end && *p != '"'; p++) {
			if (*p == '\\') {
				/* quoted-pairSMTP: any printable byte or space */
				if (++p == end || (uint8_t)*p < ' ' || *p == 0x7f)
					return NULL;
			} else if (!is_class(*p, QUOTED)) {
				return NULL;
			}
		}
		return p < end ? p + 1 : NULL;
	}
	while (p < end && is_class(*p, LOCAL))
		p++;
	return p > start ? p : NULL;
}

/* One past the domain or address literal that begins at p; NULL: none. */
static const char *skip_domain(const char *p, const char *end)
{
	if (p < end && *p == '[') {
		const char *start = ++p;

		while (p < end && is_class(*p, LITERAL))
			p++;
		return p > start && p < end && *p == ']' ? p + 1 : NULL;
	}
	while (p < end && is_class(*p, DOMAIN)) {
		do
			p++;
		while (p < end && is_class(*p, DOMAIN));
		if (p == end || *p != '.')
			return p;
		p++;
		if (p == end || !is_class(*p, DOMAIN))
			return p; /* a trailing dot */
	}
	return NULL;
}

/* "@a,@b:" at p; one past the colon, NULL: malformed. */
static const char *skip_route(const char *p, const char *end)
{
	for (;;) {
		if (p == end || *p != '@')
			return NULL;
		const char *host = p + 1;

		p = skip_domain(host, end);
		if (!p || p == end)
			return NULL;
		if (*p == ':')
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static enum smtp_syntax parse(struct text whole, struct smtp_path *ret_path)
{
	const char *p = whole.p, *end = whole.p + whole.len;
	struct smtp_path path = { .whole = whole };

	path.route = path.local = path.domain = text_from(p, p);
	if (whole.len == 0)
		goto good;
	if (whole.len > SMTP_PATH_MAX)
		return SMTP_SYNTAX_PATH_LONG;

	if (*p == '@') {
		const char *after = skip_route(p, end);

		if (!after)
			return SMTP_SYNTAX_PATH;
		path.route = text_from(p, after - 1);
		p = after;
	}
	const char *at = skip_local(p, end);

	if (!at)
		return SMTP_SYNTAX_PATH;
	path.local = text_from(p, at);
	path.domain = text_from(at, at);
	if (at == end) {
		/* Without a domain only <Postmaster> is a path (RFC 5321 4.1.1.3). */
		if (path.route.len || path.local.len != 10 || strncasecmp(p, "postmaster", 10) != 0)
			return SMTP_SYNTAX_PATH;
		goto good;
	}
	if (*at != '@' || skip_domain(at + 1, end) != end)
		return SMTP_SYNTAX_PATH;
	path.domain = text_from(at + 1, end);
	if (path.local.len > SMTP_LOCAL_MAX || path.domain.len > SMTP_DOMAIN_MAX)
		return SMTP_SYNTAX_PATH_LONG;
good:
	*ret_path = path;
	return SMTP_SYNTAX_OK;
}

/* The '>' that closes the path; one inside a quoted local part does not. */
static const char *find_close(const char *p, const char *end)
{
	bool quoted = false;

	for (; p < end; p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '\\' && quoted)
			p++;
		else if (*p == '>' && !quoted)
			return p;
	}
	return NULL;
}

enum smtp_syntax smtp_path_take(struct text s, struct smtp_path *ret_path, size_t *ret_used)
{
	const char *end = s.p + s.len, *p;
	enum smtp_syntax syntax;

	if (s.len == 0)
		return SMTP_SYNTAX_PATH;
	if (*s.p == '<') {
		p = find_close(s.p + 1, end);
		if (!p)
			return SMTP_SYNTAX_PATH;
		syntax = parse(text_from(s.p + 1, p), ret_path);
		p++;
	} else {
		for (p = s.p; p < end && *p != ' ' && *p != '\t'; p++)
			;
		syntax = parse(text_from(s.p, p), ret_path);
	}
	if (syntax == SMTP_SYNTAX_OK)
		*ret_used = (size_t)(p - s.p);
	return syntax;
}
