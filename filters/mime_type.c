/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fields of a part say of its body: type, boundary, encoding (RFC 2045, RFC 2046). The first
 * field of a name counts. */
#include "mime_private.h"

#include <string.h>

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool same(const uint8_t *p, size_t n, const char *word)
{
	if (n != strlen(word))
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(p[i]) != (uint8_t)word[i])
			return false;
	return true;
}

static bool starts(const uint8_t *p, size_t n, const char *word)
{
	size_t k = strlen(word);

	return n >= k && same(p, k, word);
}

void mime_part_reset(struct mime *m)
{
	m->has_type = m->has_encoding = m->html = m->multipart = m->rfc822 = false;
	m->text = true; /* RFC 2045 5.2: text/plain when nothing is said */
	m->encoding = PLAIN;
	m->level.len = 0;
}

/* boundary=... of a multipart. */
static void find_boundary(struct mime *m, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;

	while (p < end) {
		bool named, in_quotes = false;
		size_t k = 0;

		while (p < end && *p != ';') {
			if (*p++ == '"')
				while (p < end && *p++ != '"')
					;
		}
		while (p < end && (*p == ';' || mime_blank(*p)))
			p++;
		named = starts(p, (size_t)(end - p), "boundary");
		if (!named)
			continue;
		p += 8;
		while (p < end && mime_blank(*p))
			p++;
		if (p == end || *p != '=')
			continue;
		p++;
		while (p < end && mime_blank(*p))
			p++;
		if (p < end && *p == '"') {
			in_quotes = true;
			p++;
		}
		for (; p < end; p++) {
			if (in_quotes ? *p == '"' : *p == ';' || mime_blank(*p))
				break;
			if (in_quotes && *p == '\\' && p + 1 < end)
				p++;
			if (k == MIME_BOUNDARY_MAX) {
				m->bounded |= MIME_CUT_BOUNDARY;
				m->level.len = 0;
				return;
			}
			m->level.boundary[k++] = *p;
		}
		m->level.len = (uint8_t)k;
		return;
	}
}

void mime_note_field(struct mime *m, const uint8_t *name, size_t n, const uint8_t *v, size_t len)
{
	if (same(name, n, "content-type") && !m->has_type) {
		m->has_type = true;
		m->text = starts(v, len, "text") || len == 0;
		m->html = starts(v, len, "text/html");
		m->rfc822 = starts(v, len, "message/rfc822");
		m->multipart = starts(v, len, "multipart/");
		if (m->multipart)
			find_boundary(m, v, len);
		if (m->multipart && m->level.len == 0)
			m->text = true; /* parts without a boundary are one text */
	} else if (same(name, n, "content-transfer-encoding") && !m->has_encoding) {
		m->has_encoding = true;
		m->encoding = starts(v, len, "base64")             ? BASE64
			      : starts(v, len, "quoted-printable") ? QUOTED_PRINTABLE
								   : PLAIN;
	}
}
