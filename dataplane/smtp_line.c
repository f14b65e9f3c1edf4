/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Command lines. A line ends at LF, so that a client with bare LFs is answered instead of waited
 * for; only CR LF makes it a good one. Judging whole lines (rather than a byte machine that keeps
 * state) costs a second look at a partial line, which is short by the bound, and needs no state in
 * the session.
 */
#include "smtp.h"

#include <string.h>

enum smtp_line_status smtp_line(
    const uint8_t *p, size_t len, struct text *ret_line, size_t *ret_used)
{
	size_t window = len < SMTP_COMMAND_MAX ? len : SMTP_COMMAND_MAX;
	const uint8_t *lf = window ? memchr(p, '\n', window) : NULL;

	if (!lf) {
		if (len <= SMTP_COMMAND_MAX)
			return SMTP_LINE_PARTIAL;
		lf = memchr(p + window, '\n', len - window);
		*ret_line = (struct text){ (const char *)p, SMTP_COMMAND_MAX };
		*ret_used = lf ? (size_t)(lf - p) + 1 : len;
		return SMTP_LINE_TOO_LONG;
	}

	size_t end = (size_t)(lf - p);
	bool crlf = end > 0 && p[end - 1] == '\r';
	size_t text_len = crlf ? end - 1 : end;

	*ret_line = (struct text){ (const char *)p, (uint16_t)text_len };
	*ret_used = end + 1;
	if (!crlf)
		return SMTP_LINE_BAD;
	if (text_len && (memchr(p, '\r', text_len) || memchr(p, '\0', text_len)))
		return SMTP_LINE_BAD;
	return SMTP_LINE_OK;
}
