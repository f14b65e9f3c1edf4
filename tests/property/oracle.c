/* SPDX-License-Identifier: BSD-3-Clause */
/* See oracle.h. */
#include "oracle.h"

#include "mail.h"

#include "filters/mime.h"

#include <assert.h>
#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum whole { HEADER, FIELDS, BODY, DECODED, TEXT, WHOLES }; /* texts that are scanned as one */

struct oracle {
	hs_database_t *bases[N_EXPRESSIONS];
	hs_scratch_t *scratch;
	bool *hits; /* of the message asked about */
	char text[WHOLES][MAIL_ROOM];
	size_t n[WHOLES], limit[WHOLES];
	struct mime mime;
};

struct oracle *oracle_new(void)
{
	struct oracle *o = calloc(1, sizeof(*o));

	assert(o);
	for (unsigned i = 0; i < N_EXPRESSIONS; i++) {
		const struct rule_row *r = &rule_rows[i];
		unsigned flags = HS_FLAG_ALLOWEMPTY | HS_FLAG_SINGLEMATCH;
		hs_compile_error_t *error;

		flags |= strchr(r->flags, 'i') ? HS_FLAG_CASELESS : 0;
		flags |= strchr(r->flags, 'm') ? HS_FLAG_MULTILINE : 0;
		flags |= strchr(r->flags, 's') ? HS_FLAG_DOTALL : 0;
		if (hs_compile(r->expression, flags, HS_MODE_BLOCK, NULL, &o->bases[i], &error) !=
			HS_SUCCESS ||
		    hs_alloc_scratch(o->bases[i], &o->scratch) != HS_SUCCESS) {
			fprintf(stderr, "oracle: %s does not compile\n", r->name);
			abort();
		}
	}
	return o;
}

void oracle_free(struct oracle *o)
{
	for (unsigned i = 0; i < N_EXPRESSIONS; i++)
		hs_free_database(o->bases[i]);
	hs_free_scratch(o->scratch);
	free(o);
}

static int matched(
    unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	(void)id, (void)from, (void)to, (void)flags;
	*(bool *)arg = true;
	return 0;
}

/* Every expression of the zone over one text. */
static void scan(struct oracle *o, const char *zone, const void *p, size_t n)
{
	for (unsigned i = 0; i < N_EXPRESSIONS; i++)
		if (strcmp(rule_rows[i].zone, zone) == 0 &&
		    hs_scan(o->bases[i], n ? p : "", (unsigned)n, 0, o->scratch, matched,
			&o->hits[i]) != HS_SUCCESS)
			abort();
}

static void keep(struct oracle *o, enum whole which, const void *p, size_t n)
{
	size_t room = o->limit[which] - o->n[which];

	n = n < room ? n : room;
	memcpy(o->text[which] + o->n[which], p, n);
	o->n[which] += n;
}

static void keep_header(void *arg, const uint8_t *p, size_t n)
{
	keep(arg, HEADER, p, n);
}

static bool is(const struct mime_field *f, const char *name)
{
	return f->name_len == strlen(name) &&
	       strncasecmp((const char *)f->name, name, f->name_len) == 0;
}

static void take_field(void *arg, const struct mime_field *f)
{
	const char *zone = is(f, "Subject") ? "subject" : is(f, "From") ? "header:From" : "";

	scan(arg, zone, f->decoded, f->decoded_len);
	scan(arg, zone, f->value, f->value_len);
	if (!f->changed)
		return;
	keep(arg, FIELDS, f->name, f->name_len);
	keep(arg, FIELDS, ": ", 2);
	keep(arg, FIELDS, f->decoded, f->decoded_len);
	keep(arg, FIELDS, "\n", 1);
}

static void keep_body(void *arg, const uint8_t *p, size_t n)
{
	keep(arg, BODY, p, n);
}

static void keep_decoded(void *arg, const uint8_t *p, size_t n)
{
	keep(arg, DECODED, p, n);
}

static void keep_text(void *arg, const uint8_t *p, size_t n)
{
	keep(arg, TEXT, p, n);
}

static void take_url(void *arg, const uint8_t *url, size_t len, size_t host_off, size_t host_len)
{
	char host[MIME_URL_MAX];

	for (size_t i = 0; i < host_len; i++) {
		uint8_t c = url[host_off + i];

		host[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	scan(arg, "uri", url, len);
	if (host_len)
		scan(arg, "url", host, host_len);
}

void oracle_ask(struct oracle *o, const char *message, size_t n, size_t depth, size_t decoded_depth,
    const char *rcpt, bool ret_hits[RULES])
{
	static const struct mime_sink sink = { .header = keep_header,
		.field = take_field,
		.body = keep_body,
		.decoded = keep_decoded,
		.text = keep_text,
		.url = take_url };
	static const char *const zones[WHOLES] = { "header", "header", "body", "body", "text" };
	char line[300];

	memset(ret_hits, 0, RULES * sizeof(*ret_hits));
	memset(o->n, 0, sizeof(o->n));
	o->hits = ret_hits;
	for (unsigned i = 0; i < WHOLES; i++)
		o->limit[i] = i >= DECODED && decoded_depth < MAIL_ROOM ? decoded_depth : MAIL_ROOM;
	mime_init(&o->mime, &sink, o);
	mime_feed(&o->mime, (const uint8_t *)message, n < depth ? n : depth);
	mime_end(&o->mime);
	for (unsigned i = 0; i < WHOLES; i++)
		if (o->n[i])
			scan(o, zones[i], o->text[i], o->n[i]);
	scan(o, "envelope", line, (size_t)snprintf(line, sizeof(line), "to:%s", rcpt));
	ret_hits[META_AND_NOT] = ret_hits[RULE_BODY] && !ret_hits[RULE_GOOD];
	ret_hits[META_SOME] = ret_hits[RULE_SUBJECT] + ret_hits[RULE_TEXT] + ret_hits[RULE_URL] >= 2;
}
