/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages taken apart: what each sink receives, whatever the pieces, and every bound. */
#include "mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ROOM = 1 << 18 };

struct got {
	char header[ROOM], fields[ROOM], body[ROOM], decoded[ROOM], text[ROOM], urls[ROOM];
	size_t n_header, n_fields, n_body, n_decoded, n_text, n_urls;
	unsigned ends, n_field, n_url;
	uint32_t bounded;
};

/* Prints into a buffer known to be big enough; the length. */
__attribute__((format(printf, 2, 3))) static size_t print(char *to, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(to, 1024, format, args);
	va_end(args);
	assert_in_range(n, 0, 1023);
	return (size_t)n;
}

static void add(char *to, size_t *n, const void *p, size_t len)
{
	assert_true(len < ROOM - *n);
	memcpy(to + *n, p, len);
	*n += len;
	to[*n] = '\0';
}

static void on_header(void *arg, const uint8_t *p, size_t n)
{
	struct got *g = arg;

	assert_int_equal(g->ends, 0);
	add(g->header, &g->n_header, p, n);
}

static void on_field(void *arg, const struct mime_field *f)
{
	struct got *g = arg;

	g->n_field++;
	add(g->fields, &g->n_fields, f->name, f->name_len);
	add(g->fields, &g->n_fields, "=", 1);
	add(g->fields, &g->n_fields, f->decoded, f->decoded_len);
	add(g->fields, &g->n_fields, f->changed ? "*|" : "|", f->changed ? 2 : 1);
}

static void on_end(void *arg)
{
	((struct got *)arg)->ends++;
}

static void on_body(void *arg, const uint8_t *p, size_t n)
{
	struct got *g = arg;

	assert_int_equal(g->ends, 1);
	add(g->body, &g->n_body, p, n);
}

static void on_decoded(void *arg, const uint8_t *p, size_t n)
{
	struct got *g = arg;

	add(g->decoded, &g->n_decoded, p, n);
}

static void on_text(void *arg, const uint8_t *p, size_t n)
{
	struct got *g = arg;

	add(g->text, &g->n_text, p, n);
}

static void on_url(void *arg, const uint8_t *url, size_t len, size_t host, size_t host_len)
{
	struct got *g = arg;

	g->n_url++;
	assert_true(host + host_len <= len);
	add(g->urls, &g->n_urls, url, len);
	add(g->urls, &g->n_urls, " ", 1);
	add(g->urls, &g->n_urls, url + host, host_len);
	add(g->urls, &g->n_urls, "|", 1);
}

static const struct mime_sink sink = { on_header, on_field, on_end, on_body, on_decoded, on_text,
	on_url };

/* Each piece from memory of its own size, so that a sanitizer sees a read behind it. */
static void take(struct got *g, const char *p, size_t n, unsigned seed)
{
	static struct mime m;
	size_t i = 0;

	memset(g, 0, sizeof(*g));
	mime_init(&m, &sink, g);
	while (i < n) {
		size_t k = seed ? 1 + (size_t)rand_r(&seed) % (rand_r(&seed) % 8 ? 7 : 300) : n;
		uint8_t *piece;

		if (k > n - i)
			k = n - i;
		piece = malloc(k);
		assert_non_null(piece);
		memcpy(piece, p + i, k);
		mime_feed(&m, piece, k);
		free(piece);
		i += k;
	}
	mime_end(&m);
	g->bounded = m.bounded;
	assert_int_equal(g->ends, 1);
	assert_int_equal(g->n_header + g->n_body, n);
	assert_memory_equal(g->header, p, g->n_header);
	assert_memory_equal(g->body, p + g->n_header, g->n_body);
}

static struct got whole, pieces;

static void same(void)
{
	assert_string_equal(whole.header, pieces.header);
	assert_string_equal(whole.fields, pieces.fields);
	assert_int_equal(whole.n_decoded, pieces.n_decoded);
	assert_memory_equal(whole.decoded, pieces.decoded, whole.n_decoded);
	assert_int_equal(whole.n_text, pieces.n_text);
	assert_memory_equal(whole.text, pieces.text, whole.n_text);
	assert_string_equal(whole.urls, pieces.urls);
	assert_int_equal(whole.bounded, pieces.bounded);
}

static void message(const char *text)
{
	take(&whole, text, strlen(text), 0);
	for (unsigned seed = 1; seed < 60; seed++) {
		take(&pieces, text, strlen(text), seed);
		same();
	}
}

static void test_plain(void **state)
{
	(void)state;
	message("Subject: hello\r\nFrom: a@example.org\r\n\r\nA  line\r\n of\ttext\r\n");
	assert_string_equal(whole.fields, "Subject=hello|From=a@example.org|");
	assert_string_equal(whole.body, "A  line\r\n of\ttext\r\n");
	assert_string_equal(whole.decoded, "");
	assert_string_equal(whole.text, "A line of text  ");
	assert_int_equal(whole.bounded, 0);
}

static void test_folded_and_words(void **state)
{
	(void)state;
	message("Subject: =?utf-8?B?bG90?=\r\n =?UTF-8*en?q?te=72y_now?= more =?x?\r\n"
		"X : y\r\nTo:\r\n\tb\r\n\r\n");
	assert_string_equal(whole.fields, "Subject=lottery now more =?x?*|X=y|To=b*|");
	assert_int_equal(whole.n_body, 0);
}

/* A line that is no field ends the header and belongs to the body. */
static void test_no_empty_line(void **state)
{
	(void)state;
	message("Subject: a\r\nbuy this\r\nX: b\r\n");
	assert_string_equal(whole.header, "Subject: a\r\n");
	assert_string_equal(whole.body, "buy this\r\nX: b\r\n");
	message("no header at all\r\n");
	assert_string_equal(whole.body, "no header at all\r\n");
	message(" starts blank: x\r\n");
	assert_int_equal(whole.n_header, 0);
	message("\r\nbody\r\n");
	assert_string_equal(whole.body, "body\r\n");
	message("From x Mon Jan 1\r\nSubject: a\r\n\r\nb");
	assert_string_equal(whole.fields, "Subject=a|");
	assert_string_equal(whole.body, "b");
}

static const char two_parts[] =
    "Content-Type: multipart/alternative;\r\n boundary=\"b 1\"\r\n\r\n"
    "preamble http://not.example/\r\n"
    "--b 1\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "aGVsbG8g\r\nd29ybGQ=\r\n"
    "--b 1  \r\nContent-type: TEXT/HTML; charset=x\r\n"
    "Content-Transfer-Encoding: Quoted-Printable\r\n\r\n"
    "<a "
    "href=3D\"http://www.=\r\nexample.net/p?a=3D1&amp;b\">V<b></b>iagra</a><br>&lt;now&gt;=20\r\n"
    "-- \r\n--b 1x\r\n"
    "--b 1--\r\nepilogue www.not.example\r\n";

static void test_parts(void **state)
{
	(void)state;
	message(two_parts);
	assert_string_equal(whole.decoded,
	    "hello world\n"
	    "<a href=\"http://www.example.net/p?a=1&amp;b\">V<b></b>iagra</a><br>&lt;now&gt; \r\n"
	    "-- \r\n--b 1x\r\n\n");
	assert_string_equal(whole.text, "hello world Viagra <now> -- --b 1x  ");
	assert_string_equal(whole.urls, "http://www.example.net/p?a=1&b www.example.net|");
}

static void test_nested(void **state)
{
	(void)state;
	message(
	    "Content-Type: multipart/mixed; boundary=out\r\n\r\n"
	    "--out\r\nContent-Type: multipart/mixed; boundary=in\r\n\r\n"
	    "--in\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
	    "--in\r\n\r\ninner\r\n"
	    "--out\r\nContent-Type: message/rfc822\r\n\r\n"
	    "Subject: within\r\nContent-Transfer-Encoding: base64\r\n\r\nZGVlcA==\r\n"
	    "--out--\r\n");
	assert_string_equal(whole.text, "inner  deep ");
	assert_string_equal(whole.decoded, "deep\n");
	assert_int_equal(whole.n_field, 1);
}

static void test_urls(void **state)
{
	(void)state;
	message("\r\nSee HTTPS://user:pw@Example.ORG:8080/x, (http://a.example). "
		"xwww.no.example www.yes.example/ ftp://f.example\r\nhttp://[2001:db8::1]:80/y "
		"http://end.example");
	assert_string_equal(whole.urls,
	    "HTTPS://user:pw@Example.ORG:8080/x Example.ORG|http://a.example a.example|"
	    "www.yes.example/ www.yes.example|ftp://f.example f.example|"
	    "http://[2001:db8::1]:80/y [2001:db8::1]:80|http://end.example end.example|");
}

static void test_html(void **state)
{
	(void)state;
	message("Content-Type: text/html\r\n\r\n<html><style a='>'>p{x}</style><script>if(a<b)"
		"x='</p>';</script><!-- no > --> a<!-->b<p>c &#65;&#x42;&amp;&nbsp;&bogus; 1 < 2 "
		"<img alt='>' src=x>d&shy;e &am");
	assert_string_equal(whole.text, "ab c AB& &bogus; 1 < 2 de &am ");
}

static void test_bounds(void **state)
{
	size_t n;
	char *big = malloc(ROOM);

	(void)state;
	/* a long field is cut, the raw header is not */
	n = print(big, "X: ");
	memset(big + n, 'a', 5000);
	memcpy(big + n + 5000, "\r\nSubject: s\r\n\r\n", 17);
	message(big);
	assert_int_equal(whole.bounded, MIME_CUT_FIELD);
	assert_int_equal(whole.n_fields, MIME_FIELD_MAX - 3 + 3 + strlen("Subject=s|"));

	/* a long name is none */
	memset(big, 'n', 200);
	memcpy(big + 200, ": x\r\n", 6);
	message(big);
	assert_int_equal(whole.n_header, 0);

	/* fields */
	n = 0;
	for (unsigned i = 0; i < MIME_FIELDS_MAX + 5; i++)
		n += print(big + n, "A: b\r\n");
	message(big);
	assert_int_equal(whole.bounded, MIME_CUT_FIELDS);
	assert_int_equal(whole.n_field, MIME_FIELDS_MAX);

	/* a boundary too long is none: one text */
	n = print(big, "Content-Type: multipart/mixed; boundary=");
	memset(big + n, 'x', MIME_BOUNDARY_MAX + 1);
	memcpy(big + n + MIME_BOUNDARY_MAX + 1, "\r\n\r\nseen", 9);
	message(big);
	assert_int_equal(whole.bounded, MIME_CUT_BOUNDARY);
	assert_string_equal(whole.text, "seen ");

	/* nesting: what lies deeper is read as it is */
	n = print(big, "Content-Type: multipart/mixed; boundary=b0\r\n\r\n");
	for (unsigned i = 0; i < MIME_DEPTH; i++)
		n += print(big + n, "--b%u\r\nContent-Type: multipart/mixed; boundary=b%u\r\n\r\n",
		    i, i + 1);
	n += print(big + n, "--b%u\r\n\r\ndeep\r\n", MIME_DEPTH);
	message(big);
	assert_int_equal(whole.bounded, MIME_CUT_DEPTH);
	assert_non_null(strstr(whole.text, "deep"));

	/* parts */
	n = print(big, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (unsigned i = 0; i < MIME_PARTS_MAX + 3; i++)
		n += print(big + n, "--b\r\n\r\nx\r\n");
	message(big);
	assert_int_equal(whole.bounded, MIME_CUT_PARTS);

	/* URLs, long and many */
	n = print(big, "\r\nhttp://a.example/");
	memset(big + n, 'p', 1000);
	n += 1000;
	for (unsigned i = 0; i < MIME_URLS_MAX + 2; i++)
		n += print(big + n, " http://u%u.example/", i);
	message(big);
	assert_int_equal(whole.bounded, MIME_CUT_URL | MIME_CUT_URLS);
	assert_int_equal(whole.n_url, MIME_URLS_MAX);
	free(big);
}

/* Noise made of what the machines look for. */
static void test_noise(void **state)
{
	static const char *const words[] = { "--b", "--b--", "\r\n", "\r\n\r\n", "=", "=3D", "=\r\n",
		"Content-Type: text/html\r\n", "Content-Type: multipart/mixed; boundary=b\r\n",
		"Content-Type: message/rfc822\r\n", "Content-Transfer-Encoding: base64\r\n",
		"Content-Transfer-Encoding: quoted-printable\r\n", "aGVs", "bG8=", "<", ">",
		"&amp;", "&#x41;", "<!--", "-->", "<style>", "</style>", "\"", "http://",
		"www.x.example", " ", "\t", "Subject: x", "=?a?b?YQ==?=", "=?a?q?=41_?=", "-", "\r",
		"\n", "x", ":", "--" };
	char text[4096];

	(void)state;
	for (unsigned seed = 1; seed <= 400; seed++) {
		unsigned s = seed;
		size_t n = print(text, "Content-Type: multipart/mixed; boundary=b\r\n");

		while (n < 600) {
			const char *w =
			    words[(unsigned)rand_r(&s) % (sizeof(words) / sizeof(*words))];

			n += print(text + n, "%s", w);
		}
		take(&whole, text, n, 0);
		for (unsigned k = 1; k < 12; k++) {
			take(&pieces, text, n, seed * 100 + k);
			same();
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_folded_and_words),
		cmocka_unit_test(test_no_empty_line),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
