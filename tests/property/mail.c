/* SPDX-License-Identifier: BSD-3-Clause */
/* See mail.h. */
#include "mail.h"

#include "dataplane/model_mail.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct maker {
	struct mail *m;
	uint64_t random;
	unsigned depth, part; /* of multiparts; boundaries so far */
};

static uint64_t draw(struct maker *k, uint64_t below)
{
	return model_random(&k->random) % below;
}

static void put(struct maker *k, const char *p, size_t n)
{
	struct mail *m = k->m;

	assert(m->n + n <= MAIL_ROOM);
	memcpy(m->text + m->n, p, n);
	m->n += n;
}

static void puts_(struct maker *k, const char *s)
{
	put(k, s, strlen(s));
}

static void putf(struct maker *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void putf(struct maker *k, const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	puts_(k, buf);
}

/* ---- encodings, written here and not taken from the product ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t base64(const char *p, size_t n, char *out)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)p[i] << 16;

		v |= i + 1 < n ? (uint32_t)(uint8_t)p[i + 1] << 8 : 0;
		v |= i + 2 < n ? (uint8_t)p[i + 2] : 0;
		out[to++] = digits[v >> 18];
		out[to++] = digits[v >> 12 & 63];
		out[to++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
		out[to++] = i + 2 < n ? digits[v & 63] : '=';
	}
	return to;
}

static void put_base64(struct maker *k, const char *p, size_t n)
{
	char *out = malloc(n / 3 * 4 + 8);
	size_t left = base64(p, n, out), line;

	for (char *at = out; left; at += line, left -= line) {
		line = 1 + draw(k, 76); /* not only whole groups */
		if (line > left)
			line = left;
		put(k, at, line);
		puts_(k, "\r\n");
	}
	free(out);
}

static void put_quoted(struct maker *k, const char *p, size_t n)
{
	size_t column = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)p[i];
		bool plain = c > 32 && c < 127 && c != '=' && draw(k, 30);

		if (c == '\r' && i + 1 < n && p[i + 1] == '\n') {
			puts_(k, "\r\n");
			i++;
			column = 0;
			continue;
		}
		if (column > 70 || draw(k, 60) == 0) {
			puts_(k, "=\r\n");
			column = 0;
		}
		if (plain || (c == ' ' && i + 1 < n && p[i + 1] != '\r')) {
			put(k, (const char *)&c, 1);
			column++;
		} else {
			putf(k, "=%02X", c);
			column += 3;
		}
	}
}

/* A field's text as RFC 2047 words, cut anywhere. */
static void put_words(struct maker *k, const char *p)
{
	size_t left = strlen(p), n;
	char out[128];

	for (bool first = true; left; p += n, left -= n, first = false) {
		n = 1 + draw(k, 18);
		if (n > left)
			n = left;
		if (!first)
			puts_(k, draw(k, 2) ? "\r\n " : " ");
		if (draw(k, 2)) {
			out[base64(p, n, out)] = '\0';
			putf(k, "=?utf-8?%c?%s?=", draw(k, 2) ? 'B' : 'b', out);
			continue;
		}
		puts_(k, "=?iso-8859-1?Q?");
		for (size_t i = 0; i < n; i++) {
			if (p[i] == ' ')
				puts_(k, draw(k, 2) ? "_" : "=20");
			else if (draw(k, 5))
				put(k, p + i, 1);
			else
				putf(k, "=%02X", (uint8_t)p[i]);
		}
		puts_(k, "?=");
	}
}

/* ---- what the text of a part is made of ---- */

static const char *const plain_words[] = { "the", "quarterly", "report", "of", "jack", "pot",
	"jackpots?", "cheap", "pills", "now", "open", "sesame", "sesam", "http:", "//", "meeting",
	"=3D", "&amp;", "a", "to", "lunch", "evil.example", "x", "unsubscribed", "plut" };

enum { CONTENT_ROOM = 1 << 16 };

struct content {
	char text[CONTENT_ROOM];
	size_t n;
	bool html;
};

static void add(struct content *c, const char *s)
{
	size_t n = strlen(s);

	assert(c->n + n < CONTENT_ROOM);
	memcpy(c->text + c->n, s, n);
	c->n += n;
}

/* A needle of a rule that looks at bodies. */
static void add_needle(struct maker *k, struct content *c)
{
	enum rule rule = RULE_BODY + (enum rule)draw(k, RULE_ENVELOPE - RULE_BODY);

	if ((rule == RULE_REFUSES || rule == RULE_DEFERS) && draw(k, 6))
		return;
	switch (rule) {
	case RULE_BODY: add(c, " jackpot "); break;
	case RULE_ACROSS: add(c, draw(k, 2) ? "open\r\n the door, sesame" : "opensesame"); break;
	case RULE_TEXT:
		add(c, c->html ? "\r\ncheap <b>pi</b>lls<br>now " : "\r\ncheap  pills\r\n\tnow ");
		break;
	case RULE_URL: add(c, " http://WWW.evil.example/x "); break;
	case RULE_URI:
		add(c, c->html ? " <a href=\"http://a.example/Path?q=12\">"
			       : " https://a.example/Path?q=7 ");
		break;
	case RULE_GOOD: add(c, " unsubscribe "); break;
	case RULE_DOTTED: add(c, "\r\n.dotted\r\n"); break;
	case RULE_DEFERS: add(c, " uranium "); break;
	case RULE_REFUSES: add(c, " plutonium "); break;
	default: return;
	}
	k->m->planted[rule] = true;
}

static void make_content(struct maker *k, struct content *c)
{
	bool may_be_long = k->m->n < MAIL_ROOM / 4 && draw(k, 4) == 0;
	size_t want = draw(k, may_be_long ? k->m->plan.longest + 1 : 400);

	c->n = 0;
	if (c->html)
		add(c, "<html><body>\r\n");
	while (c->n < want) {
		uint64_t what = draw(k, 60);

		if (what == 0)
			add_needle(k, c);
		else if (what == 1)
			add(c, ".\r\n"); /* may stand at a line's start, and be stuffed */
		else if (what == 2)
			add(c, "\r\n..\r\n");
		else if (what < 9)
			add(c, "\r\n");
		else
			add(c, plain_words[draw(k, sizeof(plain_words) / sizeof(*plain_words))]);
		add(c, draw(k, 9) ? " " : "");
	}
	if (draw(k, 3) == 0)
		add_needle(k, c);
	if (c->html)
		add(c, "</body></html>\r\n");
	if (c->n < 2 || memcmp(c->text + c->n - 2, "\r\n", 2) != 0)
		add(c, "\r\n");
}

static void put_leaf(struct maker *k)
{
	static const char *const encodings[] = { "", "7bit", "8bit", "base64", "quoted-printable",
		"BASE64", "Quoted-Printable" };
	unsigned which = (unsigned)draw(k, 7);
	struct content *c = malloc(sizeof(*c));

	c->html = draw(k, 3) == 0;
	if (c->html)
		puts_(k, "Content-Type: text/html; charset=utf-8\r\n");
	else if (draw(k, 2))
		puts_(k, "Content-Type: text/plain\r\n");
	if (which)
		putf(k, "Content-Transfer-Encoding:%s %s\r\n", draw(k, 5) ? "" : "\r\n\t",
		    encodings[which]);
	puts_(k, "\r\n");
	make_content(k, c);
	if (which == 3 || which == 5)
		put_base64(k, c->text, c->n);
	else if (which == 4 || which == 6)
		put_quoted(k, c->text, c->n);
	else
		put(k, c->text, c->n);
	free(c);
}

static void put_entity(struct maker *k)
{
	unsigned parts = (unsigned)draw(k, 4), own;

	if (k->depth >= 3 || draw(k, 3) == 0) {
		put_leaf(k);
		return;
	}
	own = ++k->part;
	k->depth++;
	putf(k, "Content-Type: multipart/%s;%sboundary=%s=_%u_%s\r\n\r\npreamble\r\n",
	    draw(k, 2) ? "mixed" : "alternative", draw(k, 2) ? " " : "\r\n\t", "\"", own, "\"");
	for (unsigned i = 0; i < parts; i++) {
		putf(k, "--=_%u_\r\n", own);
		if (draw(k, 6) == 0) { /* what is no text is not decoded */
			puts_(k, "Content-Type: application/octet-stream\r\n"
				 "Content-Transfer-Encoding: base64\r\n\r\n");
			put_base64(k, "some jackpot that nobody reads", 30);
		} else {
			put_entity(k);
		}
		puts_(k, "\r\n");
	}
	putf(k, "--=_%u_--\r\n", own);
	k->depth--;
}

static void make_mail(struct maker *k)
{
	bool won = draw(k, 4) == 0, bad = draw(k, 5) == 0;
	const char *subject = won ? "You win the Lottery today" : "Minutes of a meeting";

	if (draw(k, 4) == 0) {
		puts_(k, "X-Odd: some words\r\n\tfolded here\r\n");
		k->m->planted[RULE_FOLDED] = true;
	}
	putf(k, "From: \"A\" <someone@%s>\r\nTo: user@example.org\r\n",
	    bad ? "bad.example" : "good.example");
	k->m->planted[RULE_FROM] = bad;
	puts_(k, "Subject: ");
	if (draw(k, 2))
		put_words(k, subject);
	else
		puts_(k, won && draw(k, 2) ? "You win\r\n the Lottery today" : subject);
	k->m->planted[RULE_SUBJECT] = won;
	puts_(k, "\r\nMIME-Version: 1.0\r\n");
	put_entity(k);
	if (draw(k, 5) == 0)
		puts_(k, "the very end\r\n");
}

/* Nothing is known of this but that it must not matter how it comes. */
static void make_salad(struct maker *k)
{
	static const char *const words[] = { "--b", "--b--", "\r\n", "\r\n\r\n", "\r\n", "=3D",
		"=\r\n", "Content-Type: text/html\r\n", "Content-Type: message/rfc822\r\n",
		"Content-Type: multipart/mixed; boundary=c\r\n", "--c\r\n",
		"Content-Transfer-Encoding: base64\r\n", "amFja3BvdA==", "\r\n\r\njackpot ",
		"Content-Transfer-Encoding: quoted-printable\r\n", "jack=70ot", "bG8=", "<", ">",
		"&amp;", "&#x41; ", "<p>", "\"", " ", "\t", "Subject: win the ", "lottery",
		"=?a?b?bG90dGVyeQ==?=", "-", "open", "sesame", "cheap ", "pills", " now",
		"http://evil.example", "/Path?q=", "7", "\r\n.dotted", "\r\n.", "unsubscribe",
		"From: x@bad.example\r\n", "X-Odd: x\r\n\tfolded\r\n", "the very end\r\n" };
	size_t want = 100 + draw(k, 2 + k->m->plan.longest / 8);

	puts_(k, "Content-Type: multipart/mixed; boundary=b\r\n");
	if (draw(k, 2))
		puts_(k, "\r\n--b\r\n");
	while (k->m->n < want) {
		if (draw(k, 400) == 0)
			puts_(k, draw(k, 2) ? "plutonium" : "uranium");
		puts_(k, words[draw(k, sizeof(words) / sizeof(*words))]);
	}
	if (draw(k, 3) == 0)
		puts_(k, "\r\nthe very end\r\n");
}

/* ---- the wire ---- */

/* Stuffed where an exact CR LF stands before; with `bare` other line ends that a policy may make
 * CR LF of (P4): never before an empty line, which would make a CR LF of its own. */
static void make_wire(struct maker *k)
{
	struct mail *m = k->m;
	const char *p = m->text, *end = m->text + m->n;
	bool exact = true;

	m->wire = malloc(2 * m->n + 2);
	while (p < end) {
		const char *eol = memmem(p, (size_t)(end - p), "\r\n", 2);
		size_t n = eol ? (size_t)(eol - p) : (size_t)(end - p);
		const char *next = eol ? eol + 2 : end;
		bool last = next == end,
		     empty_next = end - next >= 2 && memcmp(next, "\r\n", 2) == 0;

		if (exact && n && *p == '.')
			m->wire[m->n_wire++] = '.';
		memcpy(m->wire + m->n_wire, p, n);
		m->n_wire += n;
		exact = true;
		if (eol && m->plan.bare && !last && draw(k, 8) == 0) {
			m->wire[m->n_wire++] = !empty_next && draw(k, 2) ? '\r' : '\n';
			exact = false;
		} else if (eol) {
			memcpy(m->wire + m->n_wire, "\r\n", 2);
			m->n_wire += 2;
		}
		p = next;
	}
}

void mail_make(struct mail *m, const struct mail_plan *plan)
{
	struct maker k = { .m = m, .random = plan->seed };

	*m = (struct mail){ .plan = *plan, .text = malloc(MAIL_ROOM) };
	assert(m->text);
	putf(&k, "X-Id: %u\r\n", plan->id);
	if (plan->salad)
		make_salad(&k);
	else
		make_mail(&k);
	if (!plan->chunked && (m->n < 2 || memcmp(m->text + m->n - 2, "\r\n", 2) != 0))
		puts_(&k, "\r\n");
	make_wire(&k);
}

void mail_free(struct mail *m)
{
	free(m->text);
	free(m->wire);
	*m = (struct mail){ 0 };
}
