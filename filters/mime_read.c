/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTML to what a person reads (mime.h): tags go, those that begin a line leave a blank, entities
 * become characters, style and script are not read, white space is squeezed. A machine over bytes
 * with a word of memory: markup is never trusted to end. (Rejected: a parser of HTML; what is
 * wanted is text that `V<b></b>iagra` cannot hide in, not a tree.)
 */
#include "mime.h"

#include <string.h>

enum {
	READ_TEXT,
	READ_LESS,    /* < */
	READ_NAME,    /* <x */
	READ_TAG,     /* <x ... */
	READ_QUOTE,   /* <x y=" */
	READ_BANG,    /* <! or <? */
	READ_COMMENT, /* <!-- */
	READ_ENTITY,  /* & */
};

void mime_reader_init(struct mime_reader *r, bool html)
{
	memset(r, 0, sizeof(*r));
	r->blank = true;
	r->html = html;
}

struct reading {
	struct mime_reader *r;
	uint8_t *out;
	size_t k;
};

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void put(struct reading *g, uint8_t c)
{
	if (g->r->skip[0])
		return;
	if (!is_space(c)) {
		g->out[g->k++] = c;
		g->r->blank = false;
	} else if (!g->r->blank) {
		g->out[g->k++] = ' ';
		g->r->blank = true;
	}
}

static void put_word(struct reading *g)
{
	for (unsigned i = 0; i < g->r->n_word; i++)
		put(g, g->r->word[i]);
}

static void put_utf8(struct reading *g, uint32_t c)
{
	if (c == 0xa0 || c == 0)
		c = ' ';
	if (c < 0x80) {
		put(g, (uint8_t)c);
	} else if (c < 0x800) {
		put(g, (uint8_t)(0xc0 | c >> 6));
		put(g, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		put(g, (uint8_t)(0xe0 | c >> 12));
		put(g, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		put(g, (uint8_t)(0x80 | (c & 0x3f)));
	} else {
		put(g, (uint8_t)(0xf0 | (c >> 18 & 7)));
		put(g, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		put(g, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		put(g, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

/* word[] holds & and what follows. False: no entity we know. */
static bool entity(struct reading *g)
{
	static const struct {
		char name[6];
		uint8_t c;
	} known[] = { { "&amp", '&' }, { "&lt", '<' }, { "&gt", '>' }, { "&quot", '"' },
		{ "&apos", '\'' }, { "&nbsp", ' ' }, { "&shy", 0xff } };
	const struct mime_reader *r = g->r;
	uint32_t c = 0;

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == r->n_word &&
		    memcmp(known[i].name, r->word, r->n_word) == 0) {
			if (known[i].c != 0xff) /* a soft hyphen is not seen */
				put(g, known[i].c);
			return true;
		}
	if (r->n_word < 3 || r->word[1] != '#')
		return false;
	bool x = (r->word[2] | 0x20) == 'x';
	for (unsigned i = x ? 3 : 2; i < r->n_word; i++) {
		uint8_t d = r->word[i], low = d | 0x20;

		if (d >= '0' && d <= '9')
			c = c * (x ? 16 : 10) + (d - '0');
		else if (x && low >= 'a' && low <= 'f')
			c = c * 16 + (low - 'a' + 10u);
		else
			return false;
		if (c > 0x10ffff)
			return false;
	}
	put_utf8(g, c);
	return true;
}

static bool is_tag(const struct mime_reader *r, const char *name)
{
	return strlen(name) == r->n_word && memcmp(name, r->word, r->n_word) == 0;
}

/* The tag's name is complete. */
static void tag(struct reading *g)
{
	static const char *const lines[] = { "br", "p", "div", "td", "th", "tr", "li", "ul", "ol",
		"table", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "title", "option", "pre" };
	struct mime_reader *r = g->r;

	if (r->skip[0]) {
		if (r->closing && is_tag(r, (const char *)r->skip))
			memset(r->skip, 0, sizeof(r->skip));
		return;
	}
	if (!r->closing && (is_tag(r, "style") || is_tag(r, "script")))
		memcpy(r->skip, r->word, r->n_word);
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (is_tag(r, lines[i])) {
			put(g, ' ');
			return;
		}
}

static void step(struct reading *g, uint8_t c)
{
	struct mime_reader *r = g->r;
	uint8_t low = c | 0x20;

again:
	switch (r->state) {
	case READ_TEXT:
		if (r->html && (c == '<' || (c == '&' && !r->skip[0]))) {
			r->state = c == '<' ? READ_LESS : READ_ENTITY;
			r->word[0] = c;
			r->n_word = c == '<' ? 0 : 1;
			r->closing = false;
		} else {
			put(g, c);
		}
		break;
	case READ_LESS:
		if (c == '/' && !r->closing) {
			r->closing = true;
		} else if (low >= 'a' && low <= 'z') {
			r->state = READ_NAME;
			goto again;
		} else if ((c == '!' || c == '?') && !r->skip[0]) {
			r->state = READ_BANG;
		} else { /* a < that is one */
			put(g, '<');
			if (r->closing)
				put(g, '/');
			r->state = READ_TEXT;
			goto again;
		}
		break;
	case READ_NAME:
		if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9')) {
			if (r->n_word < sizeof(r->word))
				r->word[r->n_word++] = low >= 'a' ? low : c;
			break;
		}
		tag(g);
		r->state = READ_TAG;
		goto again;
	case READ_TAG:
		if (c == '>') {
			r->state = READ_TEXT;
		} else if ((c == '"' || c == '\'') && !r->skip[0]) {
			r->state = READ_QUOTE;
			r->quote = c;
		}
		break;
	case READ_QUOTE:
		if (c == r->quote)
			r->state = READ_TAG;
		break;
	case READ_BANG:
		if (c == '>') {
			r->state = READ_TEXT;
		} else if (c == '-' && r->n_word < 2) {
			if (++r->n_word == 2) {
				r->state = READ_COMMENT;
				r->n_word = 2; /* <!--> is whole */
			}
		} else {
			r->n_word = 3;
		}
		break;
	case READ_COMMENT:
		if (c == '>' && r->n_word >= 2)
			r->state = READ_TEXT;
		r->n_word = c == '-' ? (uint8_t)(r->n_word < 2 ? r->n_word + 1 : 2) : 0;
		break;
	default: /* READ_ENTITY */
		if ((c == '#' || (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9')) &&
		    r->n_word < sizeof(r->word)) {
			r->word[r->n_word++] = c;
			break;
		}
		r->state = READ_TEXT;
		if (!entity(g)) {
			put_word(g);
			goto again;
		}
		if (c != ';')
			goto again;
		break;
	}
}

size_t mime_reader_feed(struct mime_reader *r, const uint8_t *in, size_t n, uint8_t *out)
{
	struct reading g = { r, out, 0 };

	for (size_t i = 0; i < n; i++) {
		uint8_t c = in[i];

		if (r->state == READ_TEXT && c > ' ' && c != '<' && c != '&' && !r->skip[0]) {
			out[g.k++] = c; /* nearly every byte */
			r->blank = false;
		} else {
			step(&g, c);
		}
	}
	return g.k;
}

size_t mime_reader_end(struct mime_reader *r, uint8_t out[16])
{
	struct reading g = { r, out, 0 };

	if (r->state == READ_LESS)
		put(&g, '<');
	if (r->state == READ_ENTITY && !entity(&g))
		put_word(&g);
	r->state = READ_TEXT;
	memset(r->skip, 0, sizeof(r->skip));
	return g.k;
}
