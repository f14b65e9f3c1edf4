/* SPDX-License-Identifier: BSD-3-Clause */
/* See sketch.h. */
#include "sketch.h"

#include "session_private.h"

#include "filters/digest.h"
#include "filters/mime.h"

#include <string.h>

enum { TEXT = 96, LOOKED_AT = 65536 /* bytes of a message */ };

struct sketch {
	struct mime mime;
	struct digest digest;
	size_t left; /* bytes still looked at */
	char subject[TEXT], host[TEXT];
};

static void copy(char to[TEXT], const uint8_t *from, size_t n)
{
	n = n < TEXT - 1 ? n : TEXT - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}

static void take_field(void *arg, const struct mime_field *f)
{
	struct sketch *s = arg;

	if (f->name_len == 7 && strncasecmp((const char *)f->name, "subject", 7) == 0)
		copy(s->subject, f->decoded, f->decoded_len);
}

static void take_text(void *arg, const uint8_t *p, size_t n)
{
	digest_text(&((struct sketch *)arg)->digest, p, n);
}

static void take_url(void *arg, const uint8_t *url, size_t len, size_t host_off, size_t host_len)
{
	struct sketch *s = arg;

	(void)len;
	if (s->host[0] == '\0')
		copy(s->host, url + host_off, host_len);
	digest_host(&s->digest, (const char *)url + host_off, host_len);
}

static const struct mime_sink sink = { .field = take_field, .text = take_text, .url = take_url };

int sketches_init(struct worker *w)
{
	return pool_init(&w->sketches, sizeof(struct sketch), SKETCHES);
}

void sketches_fini(struct worker *w)
{
	pool_fini(&w->sketches);
}

void sketch_begin(struct worker *w, struct relay *r)
{
	struct sketch *s;

	if (w->set->waves.networks == 0 || !(w->config.notes >> NOTE_WAVE & 1) || !r->session ||
	    r->session->facts.trusted || r->sketch)
		return;
	s = pool_get(&w->sketches);
	if (!s) {
		brain_count(w, BRAIN_sketches_full);
		return;
	}
	mime_init(&s->mime, &sink, s);
	digest_init(&s->digest);
	s->left = LOOKED_AT;
	s->subject[0] = s->host[0] = '\0';
	r->sketch = s;
}

void sketch_feed(struct relay *r, const uint8_t *p, size_t n)
{
	struct sketch *s = r->sketch;

	if (!s)
		return;
	n = n < s->left ? n : s->left;
	s->left -= n;
	mime_feed(&s->mime, p, n);
}

static void tell(struct worker *w, const struct relay *r, const struct sketch *s)
{
	struct note *n = note_new(w, NOTE_WAVE);

	if (!n)
		return;
	n->tenant = r->session->facts.tenant;
	memcpy(n->client, r->session->facts.client, sizeof(n->client));
	session_copy_text(n->sender, sizeof(n->sender), session_mail(r->session));
	memcpy(n->rcpt, s->subject, sizeof(s->subject));
	memcpy(n->pool, s->host, sizeof(n->pool) - 1);
	n->digest = s->digest;
}

void sketch_end(struct worker *w, struct relay *r)
{
	struct sketch *s = r->sketch;
	uint64_t bands[DIGEST_BANDS];

	if (!s)
		return;
	r->sketch = NULL;
	mime_end(&s->mime);
	digest_end(&s->digest);
	if (r->session && (digest_bands(&s->digest, bands) || s->digest.n_hosts))
		tell(w, r, s);
	pool_put(&w->sketches, s);
}
