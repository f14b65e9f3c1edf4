/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The push decoder of messages (mime.h): a header machine for the message and for parts, boundary
 * lines, and what a part's bytes pass through. Runs of bytes are passed on as long as they lie in
 * one piece; only a line that may be a boundary, and a field until it is whole, are copied.
 */
#include "mime_private.h"

#include <string.h>

/* Header and body lines; in a body START and INSIDE and HOLD are used. */
enum line_state {
	LINE_START, /* of a line; a field may go on here */
	LINE_CR,    /* a CR where a line starts: the empty line? */
	LINE_NAME,
	LINE_BLANK, /* behind the name, before the colon */
	LINE_VALUE,
	LINE_FROM, /* an mbox line in front of the header */
	LINE_INSIDE,
	LINE_HOLD, /* may be a boundary */
};

enum { PIECE = 2048 };

static void body_feed(struct mime *m, const uint8_t *p, size_t n);

/* ---- parts ---- */

static void read_urls(struct mime *m, const uint8_t *p, size_t n)
{
	if (m->sink->url)
		mime_urls_feed(&m->urls, p, n, m->sink->url, m->arg);
}

static void read_text(struct mime *m, const uint8_t *p, size_t n)
{
	uint8_t out[PIECE + 16];

	while (m->sink->text && n > 0) {
		size_t k = n < PIECE ? n : PIECE, made = mime_reader_feed(&m->reader, p, k, out);

		if (made > 0) {
			m->sink->text(m->arg, out, made);
			m->text_out = true;
		}
		p += k;
		n -= k;
	}
}

static void part_decoded(struct mime *m, const uint8_t *p, size_t n)
{
	if (n == 0)
		return;
	if (m->sink->decoded) {
		m->sink->decoded(m->arg, p, n);
		m->decoded_out = true;
	}
	read_urls(m, p, n);
	read_text(m, p, n);
}

static void part_data(struct mime *m, const uint8_t *p, size_t n)
{
	uint8_t out[PIECE + 4];

	if (!m->text || !m->wants_parts)
		return;
	if (m->encoding == PLAIN) {
		read_urls(m, p, n);
		read_text(m, p, n);
		return;
	}
	while (n > 0) {
		size_t k = n < PIECE ? n : PIECE;

		part_decoded(m, out,
		    m->encoding == BASE64 ? base64_feed(&m->base64, p, k, out)
					  : quoted_printable_feed(&m->qp, p, k, out));
		p += k;
		n -= k;
	}
}

static void part_begin(struct mime *m)
{
	m->state = MIME_PART_BODY;
	m->line_state = LINE_START;
	m->n_line = 0;
	m->base64 = (struct base64){ 0 };
	m->qp = (struct quoted_printable){ 0 };
	m->decoded_out = m->text_out = false;
	mime_reader_init(&m->reader, m->html);
	mime_urls_init(&m->urls);
}

static void part_end(struct mime *m)
{
	uint8_t out[16];

	if (!m->text || !m->wants_parts)
		return;
	if (m->encoding == QUOTED_PRINTABLE)
		part_decoded(m, out, quoted_printable_end(&m->qp, out));
	if (m->sink->text) {
		size_t n = mime_reader_end(&m->reader, out);

		if (n > 0)
			m->sink->text(m->arg, out, n);
		if (n > 0 || m->text_out)
			m->sink->text(m->arg, (const uint8_t *)" ", 1);
	}
	if (m->sink->url)
		mime_urls_end(&m->urls, m->sink->url, m->arg);
	if (m->decoded_out)
		m->sink->decoded(m->arg, (const uint8_t *)"\n", 1);
	m->text = false;
}

/* Another part's header begins. */
static void part_header(struct mime *m)
{
	mime_part_reset(m);
	m->n_line = 0;
	if (m->n_parts == MIME_PARTS_MAX) { /* the rest is no text to us */
		m->bounded |= MIME_CUT_PARTS;
		m->text = false;
		m->depth = 0;
		m->state = MIME_PART_BODY;
		m->line_state = LINE_INSIDE;
		return;
	}
	m->n_parts++;
	m->state = MIME_PART_HEADER;
	m->line_state = LINE_START;
	m->in_field = m->folded = false;
	m->n_field = 0;
}

/* A header has ended; what is its body? */
static void header_done(struct mime *m)
{
	if (m->multipart && m->level.len > 0) {
		part_begin(m);
		if (m->depth < MIME_DEPTH) {
			m->levels[m->depth++] = m->level;
			m->text = false; /* the preamble is not shown */
		} else {
			m->bounded |= MIME_CUT_DEPTH;
			m->text = true;
			m->encoding = PLAIN;
		}
		return;
	}
	if (m->rfc822 && m->encoding == PLAIN) {
		part_header(m);
		return;
	}
	part_begin(m);
}

/* ---- fields ---- */

/* The field in field[] is whole. */
static void field_done(struct mime *m)
{
	uint8_t decoded[MIME_FIELD_MAX];
	struct mime_field f = { .name = m->field, .name_len = m->name_len, .changed = m->folded };
	size_t begin = m->name_len, end = m->n_field;

	while (begin < end && m->field[begin] != ':')
		begin++;
	begin += begin < end;
	while (begin < end && mime_blank(m->field[begin]))
		begin++;
	while (end > begin && mime_blank(m->field[end - 1]))
		end--;
	f.value = f.decoded = m->field + begin;
	f.value_len = f.decoded_len = end - begin;
	m->in_field = m->folded = false;
	mime_note_field(m, f.name, f.name_len, f.value, f.value_len);
	if (m->state != MIME_HEADER || !m->sink->field)
		return;
	if (m->n_fields == MIME_FIELDS_MAX) {
		m->bounded |= MIME_CUT_FIELDS;
		return;
	}
	m->n_fields++;
	if (memmem(f.value, f.value_len, "=?", 2)) {
		size_t n = rfc2047_decode(f.value, f.value_len, decoded);

		if (n != f.value_len || memcmp(decoded, f.value, n) != 0) {
			f.decoded = decoded;
			f.decoded_len = n;
			f.changed = true;
		}
	}
	m->sink->field(m->arg, &f);
}

static void keep(struct mime *m, const uint8_t *p, size_t n)
{
	size_t room = MIME_FIELD_MAX - m->n_field;

	if (n > room) {
		m->bounded |= MIME_CUT_FIELD;
		n = room;
	}
	memcpy(m->field + m->n_field, p, n);
	m->n_field = (uint16_t)(m->n_field + n);
}

/* ---- header lines ---- */

/* What one byte at or behind the start of a line says. */
enum said { GO_ON, IS_FIELD, IS_EMPTY, IS_BODY };

static enum said name_byte(struct mime *m, uint8_t c)
{
	static const char *const mbox[] = { "From", ">From" };

	switch (m->line_state) {
	case LINE_START:
		if (m->in_field)
			field_done(m);
		m->n_field = 0;
		m->field[m->n_field++] = c;
		if (c == '\n')
			return IS_EMPTY;
		m->line_state = c == '\r' ? LINE_CR : LINE_NAME;
		return c > ' ' && c < 0x7f && c != ':' ? GO_ON : c == '\r' ? GO_ON : IS_BODY;
	case LINE_CR: m->field[m->n_field++] = c; return c == '\n' ? IS_EMPTY : IS_BODY;
	case LINE_NAME:
		m->name_len = m->n_field;
		m->field[m->n_field++] = c;
		if (c == ':')
			return IS_FIELD;
		if (mime_blank(c)) {
			m->line_state = LINE_BLANK;
			for (unsigned i = 0; m->first_line && i < 2; i++)
				if (strlen(mbox[i]) == m->name_len &&
				    memcmp(mbox[i], m->field, m->name_len) == 0) {
					m->line_state = LINE_FROM;
					return IS_FIELD;
				}
			return GO_ON;
		}
		if (c <= ' ' || c >= 0x7f || m->n_field > MIME_NAME_MAX)
			return IS_BODY;
		if (m->state == MIME_PART_HEADER && m->n_field == 2 && m->field[0] == '-' && c == '-')
			return IS_BODY; /* a boundary without an empty line before it */
		return GO_ON;
	default: /* LINE_BLANK */
		m->field[m->n_field++] = c;
		if (c == ':')
			return IS_FIELD;
		return mime_blank(c) && m->n_field <= MIME_NAME_MAX ? GO_ON : IS_BODY;
	}
}

static void header_out(struct mime *m, const uint8_t *p, size_t n)
{
	if (n > 0 && m->state == MIME_HEADER && m->sink->header)
		m->sink->header(m->arg, p, n);
}

/* Bytes of field[] that came with earlier pieces and were held back until it was known that they
 * are of the header. */
static void held_out(struct mime *m)
{
	header_out(m, m->field, m->n_line);
	m->n_line = 0;
}

static void header_ended(struct mime *m)
{
	bool of_message = m->state == MIME_HEADER;

	if (m->in_field)
		field_done(m);
	if (of_message && m->sink->header_end)
		m->sink->header_end(m->arg);
	header_done(m);
}

/* Consumes header bytes; returns how many. Ends early where the state changes. */
static size_t header_feed(struct mime *m, const uint8_t *p, size_t n)
{
	size_t line = 0; /* where the line under way began, if in this piece */

	for (size_t i = 0; i < n;) {
		if (m->line_state == LINE_VALUE || m->line_state == LINE_FROM) {
			const uint8_t *lf = memchr(p + i, '\n', n - i);
			size_t end = lf ? (size_t)(lf - p) : n;

			if (m->line_state == LINE_VALUE)
				keep(m, p + i, end - i);
			if (lf) {
				if (m->line_state == LINE_VALUE && m->n_field > m->name_len &&
				    m->field[m->n_field - 1] == '\r')
					m->n_field--;
				m->line_state = LINE_START;
				m->first_line = false;
			}
			i = end + (lf != NULL);
			continue;
		}
		if (m->line_state == LINE_START) {
			line = i;
			if (m->in_field && mime_blank(p[i])) {
				m->folded = true;
				m->line_state = LINE_VALUE;
				continue;
			}
		}
		switch (name_byte(m, p[i++])) {
		case IS_FIELD:
			held_out(m);
			m->in_field = m->line_state != LINE_FROM;
			if (m->in_field)
				m->line_state = LINE_VALUE;
			break;
		case IS_EMPTY:
			held_out(m);
			header_out(m, p, i);
			header_ended(m);
			return i;
		case IS_BODY: {
			uint8_t prefix[MIME_NAME_MAX + 2];
			size_t k = m->n_field;
			bool of_message = m->state == MIME_HEADER;

			memcpy(prefix, m->field, k);
			if (m->n_line == 0)
				header_out(m, p, line);
			m->n_line = 0;
			header_ended(m);
			if (of_message && m->sink->body)
				m->sink->body(m->arg, prefix, k);
			body_feed(m, prefix, k);
			return i;
		}
		default: break;
		}
	}
	if (m->line_state == LINE_NAME || m->line_state == LINE_BLANK || m->line_state == LINE_CR) {
		if (m->n_line == 0)
			header_out(m, p, line);
		m->n_line = m->n_field;
	} else {
		header_out(m, p, n);
	}
	return n;
}

/* ---- body lines ---- */

/* Is the line in line[] a boundary in force? Acts on it if so. */
static bool boundary(struct mime *m)
{
	size_t n = m->n_line;

	while (n > 0 &&
	       (m->line[n - 1] == '\n' || m->line[n - 1] == '\r' || mime_blank(m->line[n - 1])))
		n--;
	for (unsigned i = m->depth; i-- > 0;) {
		const struct mime_level *l = &m->levels[i];
		bool closes =
		    n == (size_t)l->len + 4 && m->line[n - 1] == '-' && m->line[n - 2] == '-';

		if ((n != (size_t)l->len + 2 && !closes) ||
		    memcmp(m->line + 2, l->boundary, l->len) != 0)
			continue;
		part_end(m);
		if (closes) {
			m->depth = (uint8_t)i;
			mime_part_reset(m);
			m->text = false; /* the epilogue is not shown */
			m->line_state = LINE_START;
			m->n_line = 0;
		} else {
			m->depth = (uint8_t)(i + 1);
			part_header(m);
		}
		return true;
	}
	return false;
}

static void release(struct mime *m)
{
	size_t n = m->n_line;

	m->n_line = 0;
	part_data(m, m->line, n);
}

/* Body bytes of the part under way; ends early where a part header begins. Returns the consumed. */
static size_t body_some(struct mime *m, const uint8_t *p, size_t n)
{
	size_t i = 0, from = 0;

	if (m->depth == 0) { /* no boundary is in force, none can come */
		part_data(m, p, n);
		return n;
	}
	while (i < n) {
		const uint8_t *lf;

		if (m->line_state == LINE_START) {
			if (p[i] != '-') {
				m->line_state = LINE_INSIDE;
				continue;
			}
			part_data(m, p + from, i - from);
			m->line_state = LINE_HOLD;
			m->n_line = 0;
		}
		if (m->line_state == LINE_INSIDE) {
			lf = memchr(p + i, '\n', n - i);
			i = lf ? (size_t)(lf - p) + 1 : n;
			if (lf)
				m->line_state = LINE_START;
			continue;
		}
		uint8_t c = m->line[m->n_line++] = p[i++];

		from = i;
		if (c == '\n') {
			m->line_state = LINE_START;
			if (boundary(m)) {
				if (m->state != MIME_PART_BODY || m->depth == 0)
					return i;
			} else {
				release(m);
			}
		} else if ((m->n_line == 2 && c != '-') || m->n_line == sizeof(m->line)) {
			m->line_state = LINE_INSIDE;
			release(m);
		}
	}
	if (m->line_state != LINE_HOLD)
		part_data(m, p + from, i - from);
	return n;
}

static void parts_feed(struct mime *m, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t k = m->state == MIME_PART_BODY ? body_some(m, p, n) : header_feed(m, p, n);

		p += k;
		n -= k;
	}
}

static void body_feed(struct mime *m, const uint8_t *p, size_t n)
{
	if (m->wants_parts)
		parts_feed(m, p, n);
}

/* ---- the message ---- */

void mime_init(struct mime *m, const struct mime_sink *sink, void *arg)
{
	/* field, line, urls and levels are written before they are read */
	memset(m, 0, offsetof(struct mime, line));
	m->sink = sink;
	m->arg = arg;
	m->wants_parts = sink->decoded || sink->text || sink->url;
	m->state = MIME_HEADER;
	m->line_state = LINE_START;
	m->first_line = true;
	m->urls.found = 0;
	m->urls.cut = false;
	mime_urls_init(&m->urls);
	mime_part_reset(m);
}

void mime_feed(struct mime *m, const uint8_t *p, size_t n)
{
	while (n > 0 && m->state == MIME_HEADER) {
		size_t k = header_feed(m, p, n);

		p += k;
		n -= k;
	}
	if (n > 0 && m->sink->body)
		m->sink->body(m->arg, p, n);
	if (n > 0)
		body_feed(m, p, n);
}

void mime_end(struct mime *m)
{
	bool of_message = m->state == MIME_HEADER;

	if (m->state != MIME_PART_BODY) {
		/* a line cut short is no field */
		held_out(m);
		if (m->in_field)
			field_done(m);
		if (of_message && m->sink->header_end)
			m->sink->header_end(m->arg);
		m->text = false;
	} else {
		if (m->line_state == LINE_HOLD && m->n_line > 0 && !boundary(m))
			release(m);
		if (m->state == MIME_PART_BODY)
			part_end(m);
	}
	m->bounded |=
	    (m->urls.cut ? MIME_CUT_URL : 0) | (m->urls.found > MIME_URLS_MAX ? MIME_CUT_URLS : 0);
}
