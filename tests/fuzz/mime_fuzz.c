/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A message in one piece and the same one cut up: every sink receives the same bytes, the raw ones
 * are the message, and nothing grows. The first byte seeds the cuts.
 */
#include "fuzz.h"

#include "filters/mime.h"

#include <string.h>

struct got {
	uint64_t digest[6];
	size_t n[6], raw;
	unsigned ends, urls, fields;
	size_t len;
	const uint8_t *message;
};

enum { HEADER, FIELD, BODY, DECODED, TEXT, URL };

static void add(struct got *g, unsigned which, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		g->digest[which] = (g->digest[which] ^ p[i]) * 1099511628211ull + 1;
	g->n[which] += n;
}

static void raw(struct got *g, const uint8_t *p, size_t n)
{
	CHECK(n <= g->len - g->raw && memcmp(g->message + g->raw, p, n) == 0);
	g->raw += n;
}

static void on_header(void *arg, const uint8_t *p, size_t n)
{
	struct got *g = arg;

	CHECK(g->ends == 0);
	raw(g, p, n);
	add(g, HEADER, p, n);
}

static void on_field(void *arg, const struct mime_field *f)
{
	struct got *g = arg;

	CHECK(f->name_len > 0 && f->name_len <= MIME_NAME_MAX && f->value_len <= MIME_FIELD_MAX);
	CHECK(f->decoded_len <= f->value_len);
	CHECK(++g->fields <= MIME_FIELDS_MAX);
	add(g, FIELD, f->name, f->name_len);
	add(g, FIELD, f->value, f->value_len);
	add(g, FIELD, f->decoded, f->decoded_len);
	add(g, FIELD, (const uint8_t *)(f->changed ? "*" : "-"), 1);
}

static void on_end(void *arg)
{
	((struct got *)arg)->ends++;
}

static void on_body(void *arg, const uint8_t *p, size_t n)
{
	struct got *g = arg;

	CHECK(g->ends == 1);
	raw(g, p, n);
	add(g, BODY, p, n);
}

static void on_decoded(void *arg, const uint8_t *p, size_t n)
{
	add(arg, DECODED, p, n);
}

static void on_text(void *arg, const uint8_t *p, size_t n)
{
	add(arg, TEXT, p, n);
}

static void on_url(void *arg, const uint8_t *url, size_t len, size_t host, size_t host_len)
{
	struct got *g = arg;

	CHECK(len <= MIME_URL_MAX && host <= len && host_len <= len - host);
	CHECK(++g->urls <= MIME_URLS_MAX);
	add(g, URL, url, len);
	add(g, URL, url + host, host_len);
}

static const struct mime_sink sink = { on_header, on_field, on_end, on_body, on_decoded, on_text,
	on_url };

static void take(struct got *g, struct mime *m, const uint8_t *p, size_t n, unsigned seed)
{
	memset(g, 0, sizeof(*g));
	g->message = p;
	g->len = n;
	mime_init(m, &sink, g);
	for (size_t i = 0; i < n;) {
		size_t k = n;

		if (seed) {
			seed = seed * 1103515245u + 12345u;
			k = 1 + (seed >> 16) % ((seed >> 8) % 8 ? 5 : 200);
		}
		if (k > n - i)
			k = n - i;
		mime_feed(m, p + i, k);
		i += k;
	}
	mime_end(m);
	CHECK(g->ends == 1 && g->raw == n);
	CHECK(g->n[DECODED] <= n + MIME_PARTS_MAX && g->n[TEXT] <= n + 2 * MIME_PARTS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct mime m;
	struct got whole, pieces;
	uint32_t bounded;

	if (len < 1)
		return 0;
	take(&whole, &m, data + 1, len - 1, 0);
	bounded = m.bounded;
	take(&pieces, &m, data + 1, len - 1, data[0] + 1u);
	CHECK(memcmp(whole.digest, pieces.digest, sizeof(whole.digest)) == 0);
	CHECK(memcmp(whole.n, pieces.n, sizeof(whole.n)) == 0);
	CHECK(bounded == m.bounded);
	return 0;
}
