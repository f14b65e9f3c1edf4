/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A message taken apart as it passes: header fields unfolded and decoded (RFC 5322, 2047), parts
 * found (RFC 2046), text parts decoded (base64, quoted-printable), read (HTML tags removed) and
 * searched for URLs. Pure push: unstuffed bytes in, in any pieces; what each callback receives in
 * all is the same whatever the pieces were. No allocation; a state of fixed size per message.
 *
 * Hostile mail is the usual case, so every structure has a bound, past which the message goes on
 * as plain bytes and a bit in `bounded` says which bound it was. What a lying Content-Type hides
 * from the decoder stands in the raw streams, which take everything. A line that is no field ends
 * the header, as it does for Postfix: else a message without an empty line would have no body.
 * Rejected: a tree of parts (unbounded, and needs the message whole), and character set conversion
 * (bytes are matched as written).
 */
#ifndef POSTERN_FILTERS_MIME_H
#define POSTERN_FILTERS_MIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MIME_FIELD_MAX = 2048,   /* bytes of one field, unfolded; the rest of it is cut */
	MIME_NAME_MAX = 128,     /* bytes of a field's name; longer: no field */
	MIME_FIELDS_MAX = 1000,  /* fields of the message that are reported */
	MIME_DEPTH = 8,          /* multiparts within each other */
	MIME_BOUNDARY_MAX = 128, /* RFC 2046 5.1.1 allows 70 */
	MIME_PARTS_MAX = 1000,
	MIME_URL_MAX = 512,  /* bytes of one URL; the rest of it is cut */
	MIME_URLS_MAX = 500, /* reported of one message */
};

enum mime_bounded {
	MIME_CUT_FIELD = 1u << 0,
	MIME_CUT_FIELDS = 1u << 1,
	MIME_CUT_DEPTH = 1u << 2,
	MIME_CUT_BOUNDARY = 1u << 3,
	MIME_CUT_PARTS = 1u << 4,
	MIME_CUT_URL = 1u << 5,
	MIME_CUT_URLS = 1u << 6,
};

/* A field of the message's header. Not terminated; lent for the call. */
struct mime_field {
	const uint8_t *name; /* as written */
	size_t name_len;
	const uint8_t *value; /* unfolded, without white space around it */
	size_t value_len;
	const uint8_t *decoded; /* the same with RFC 2047 words decoded; is `value` without any */
	size_t decoded_len;
	bool changed; /* it was folded or held encoded words */
};

/* Where the pieces go. A NULL member is not wanted and its work not done. */
struct mime_sink {
	void (*header)(void *arg, const uint8_t *p, size_t n); /* as sent, the empty line with it */
	void (*field)(void *arg, const struct mime_field *field);
	void (*header_end)(void *arg);
	void (*body)(void *arg, const uint8_t *p, size_t n); /* as sent */
	void (*decoded)(
	    void *arg, const uint8_t *p, size_t n);          /* of encoded text parts; LF between */
	void (*text)(void *arg, const uint8_t *p, size_t n); /* as read; blank between parts */
	/* host: within url, as written; may be empty */
	void (*url)(void *arg, const uint8_t *url, size_t len, size_t host_off, size_t host_len);
};

/* RFC 4648 base64, skipping what is not of its alphabet; `=` ends a group. out: n / 4 * 3 + 3. */
struct base64 {
	uint32_t bits;
	uint8_t n;
};
size_t base64_feed(struct base64 *b, const uint8_t *in, size_t n, uint8_t *out);

/* RFC 2045 6.7, tolerant: what is no valid escape stays as written. out: n + 4. */
struct quoted_printable {
	uint8_t state, first;
};
size_t quoted_printable_feed(struct quoted_printable *q, const uint8_t *in, size_t n, uint8_t *out);
size_t quoted_printable_end(struct quoted_printable *q, uint8_t out[4]);

/* Decodes the encoded words of an unfolded value; out holds n bytes at least. Returns its length. */
size_t rfc2047_decode(const uint8_t *in, size_t n, uint8_t *out);

/* HTML to what is read; with `html` false only white space is squeezed. out: n + 16. */
struct mime_reader {
	uint8_t state, quote;
	bool blank, html, closing;
	uint8_t n_word; /* of a tag's name or an entity */
	uint8_t word[12];
	uint8_t skip[8]; /* the element whose content is not read (style, script), or "" */
};
void mime_reader_init(struct mime_reader *r, bool html);
size_t mime_reader_feed(struct mime_reader *r, const uint8_t *in, size_t n, uint8_t *out);

size_t mime_reader_end(struct mime_reader *r, uint8_t out[16]);

/* Finds http://, https://, ftp:// and www. in text; &amp; in them stands for &. The caller gives
 * pieces; mime_urls_end() ends a URL that the text ends in. */
typedef void mime_url_fn(
    void *arg, const uint8_t *url, size_t len, size_t host_off, size_t host_len);
struct mime_urls {
	bool inside;
	bool cut;        /* one was longer than MIME_URL_MAX */
	uint8_t tail[8]; /* the last bytes seen */
	uint16_t n;
	uint16_t found;
	uint8_t url[MIME_URL_MAX];
};
void mime_urls_init(struct mime_urls *u);
void mime_urls_feed(struct mime_urls *u, const uint8_t *in, size_t n, mime_url_fn *found, void *arg);
void mime_urls_end(struct mime_urls *u, mime_url_fn *found, void *arg);

enum mime_state {
	MIME_HEADER,      /* of the message */
	MIME_PART_HEADER, /* of a part */
	MIME_PART_BODY,
};

struct mime_level {
	uint8_t len;
	uint8_t boundary[MIME_BOUNDARY_MAX];
};

/* Private save for `bounded`. */
struct mime {
	const struct mime_sink *sink;
	void *arg;
	uint32_t bounded; /* enum mime_bounded */
	uint8_t state;    /* enum mime_state */
	uint8_t line_state;
	uint8_t encoding, depth;
	bool wants_parts; /* the sink takes anything of parts */
	bool has_type, has_encoding, text, html, multipart, rfc822;
	bool in_field, folded, first_line, text_out, decoded_out;
	uint16_t n_fields, n_parts;
	uint16_t n_field, name_len; /* bytes in field[]; of its name */
	uint16_t n_line; /* bytes in line[]; in a header: of field[], not yet passed on */
	uint8_t line[MIME_BOUNDARY_MAX + 24]; /* the start of a line that may be a boundary */
	uint8_t field[MIME_FIELD_MAX];
	struct base64 base64;
	struct quoted_printable qp;
	struct mime_reader reader;
	struct mime_urls urls;
	struct mime_level level, levels[MIME_DEPTH]; /* the boundary just named; those in force */
};

void mime_init(struct mime *m, const struct mime_sink *sink, void *arg);
void mime_feed(struct mime *m, const uint8_t *p, size_t n);
/* The message is complete. */
void mime_end(struct mime *m);

#endif
