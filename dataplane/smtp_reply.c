/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replies of a backend (RFC 5321 4.2). Read as a whole or not at all: a reply is passed on to the
 * client as it came, so it must be one reply and nothing else. Strict about line ends, codes and
 * NUL for the same reason; a lenient reader would hand the backend's fault to the client.
 */
#include "smtp.h"

#include <errno.h>
#include <string.h>

enum { REPLY_MAX = UINT16_MAX }; /* fits struct text */

/* The code that a line begins with; 0: none. */
static unsigned line_code(const uint8_t *p)
{
	if (p[0] < '2' || p[0] > '5' || p[1] < '0' || p[1] > '9' || p[2] < '0' || p[2] > '9')
		return 0;
	return (p[0] - '0') * 100u + (p[1] - '0') * 10u + (p[2] - '0');
}

long smtp_reply(const uint8_t *p, size_t len, struct smtp_reply *ret_reply)
{
	size_t at = 0;
	unsigned code = 0, n_lines = 0;

	for (;;) {
		const uint8_t *line = p + at;
		size_t left = len - at;
		size_t window = left < SMTP_REPLY_LINE_MAX ? left : SMTP_REPLY_LINE_MAX;
		const uint8_t *lf = window ? memchr(line, '\n', window) : NULL;

		if (!lf) {
			/* What can never become a reply is said at once. */
			if (left >= 3 && (line_code(line) == 0 || (code && line_code(line) != code)))
				return -EPROTO;
			if (window == SMTP_REPLY_LINE_MAX || at + left > REPLY_MAX)
				return -EMSGSIZE;
			return 0;
		}

		size_t line_len = (size_t)(lf - line) + 1; /* with CR LF */

		if (line_len < 5 || lf[-1] != '\r' || memchr(line, '\r', line_len - 2) ||
		    memchr(line, '\0', line_len))
			return -EPROTO;
		unsigned c = line_code(line);

		if (c == 0 || (code && c != code))
			return -EPROTO; /* one reply, one code (RFC 5321 4.2.1) */
		code = c;
		if (line_len > 5 && line[3] != '-' && line[3] != ' ')
			return -EPROTO;
		at += line_len;
		if (at > REPLY_MAX)
			return -EMSGSIZE;
		n_lines++;
		if (line[3] != '-')
			break;
	}
	ret_reply->code = (uint16_t)code;
	ret_reply->n_lines = n_lines;
	ret_reply->raw = (struct text){ (const char *)p, (uint16_t)at };
	return (long)at;
}
