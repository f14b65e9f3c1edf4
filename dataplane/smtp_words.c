/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extension words of an EHLO reply (RFC 5321 4.1.1.1). Words that are not in the table are not
 * ours to offer (P18), so they are not kept. Anything but a 250 offers nothing.
 */
#include "smtp.h"

#include <string.h>
#include <strings.h>

struct word {
	const char *name;
	uint16_t len, bit;
};
#define WORD(name, bit)                                                                            \
	{                                                                                          \
		name, sizeof(name) - 1, bit                                                        \
	}

static const struct word words[] = {
	WORD("PIPELINING", SMTP_WORD_PIPELINING),        /* RFC 2920 */
	WORD("SIZE", SMTP_WORD_SIZE),                    /* RFC 1870 */
	WORD("8BITMIME", SMTP_WORD_8BITMIME),            /* RFC 6152 */
	WORD("SMTPUTF8", SMTP_WORD_SMTPUTF8),            /* RFC 6531 */
	WORD("CHUNKING", SMTP_WORD_CHUNKING),            /* RFC 3030 */
	WORD("DSN", SMTP_WORD_DSN),                      /* RFC 3461 */
	WORD("ENHANCEDSTATUSCODES", SMTP_WORD_ENHANCED), /* RFC 2034 */
	WORD("STARTTLS", SMTP_WORD_STARTTLS),            /* RFC 3207 */
	WORD("XCLIENT", SMTP_WORD_XCLIENT),
	WORD("BINARYMIME", SMTP_WORD_BINARYMIME), /* RFC 3030 */
	{ NULL, 0, 0 },
};

static const struct word attributes[] = {
	WORD("NAME", XCLIENT_NAME),
	WORD("ADDR", XCLIENT_ADDR),
	WORD("PORT", XCLIENT_PORT),
	WORD("PROTO", XCLIENT_PROTO),
	WORD("HELO", XCLIENT_HELO),
	WORD("DESTADDR", XCLIENT_DESTADDR),
	WORD("DESTPORT", XCLIENT_DESTPORT),
	{ NULL, 0, 0 },
};

static uint32_t find(const struct word *table, const char *p, size_t len)
{
	for (; table->name; table++) {
		if (table->len == len && strncasecmp(table->name, p, len) == 0)
			return table->bit;
	}
	return 0;
}

/* The next word before `end`; its length, 0: no more. */
static size_t next_word(const char **p, const char *end)
{
	while (*p < end && (**p == ' ' || **p == '\t'))
		(*p)++;
	const char *q = *p;

	while (q < end && *q != ' ' && *q != '\t')
		q++;
	return (size_t)(q - *p);
}

/* SIZE's number; more digits than fit: no limit that we could reach. */
static uint64_t number(const char *p, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++) {
		uint64_t digit = (uint64_t)(uint8_t)p[i] - '0';

		if (digit > 9 || n > (UINT64_MAX - digit) / 10)
			return 0;
		n = n * 10 + digit;
	}
	return n;
}

void smtp_ehlo_words(const struct smtp_reply *reply, struct smtp_words *ret_words)
{
	struct smtp_words w = { 0 };
	const char *p = reply->raw.p, *end = p + reply->raw.len;
	bool first = true;

	while (reply->code == 250 && p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *line_end = lf - 1; /* smtp_reply() saw CR LF on each line */
		const char *q = p + 4 < line_end ? p + 4 : line_end;
		size_t len = first ? 0 : next_word(&q, line_end);
		uint32_t bit = len ? find(words, q, len) : 0;

		w.words |= bit;
		q += len;
		if (bit == SMTP_WORD_SIZE && (len = next_word(&q, line_end)))
			w.size = number(q, len);
		while (bit == SMTP_WORD_XCLIENT && (len = next_word(&q, line_end))) {
			w.xclient |= find(attributes, q, len);
			q += len;
		}
		first = false;
		p = lf + 1;
	}
	*ret_words = w;
}
