/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A message once more, for confirmation (pattern_confirm.h): mime.h takes it apart as it did for
 * Hyperscan; fields and URLs go to PCRE2 one by one as they come, and what passed as a stream is
 * gathered and shown whole, since look-behind and back-references know no pieces. Off the worker,
 * from a copy. (Rejected: to keep each zone's texts while the message is scanned, which every
 * message would pay for; a few in a hundred hold a candidate.)
 */
#include "mime.h"
#include "pattern_confirm.h"
#include "pattern_layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum text { TEXT_HEADER, TEXT_FIELDS, TEXT_BODY, TEXT_DECODED, TEXT_READ, TEXT_N };
static const uint8_t zone_of[TEXT_N] = { PATTERN_HEADER, PATTERN_HEADER, PATTERN_BODY, PATTERN_BODY,
	PATTERN_TEXT };

struct confirm_reader {
	struct confirm_room *room;
	size_t cap;     /* of each buffer */
	uint8_t *plain; /* the message without stuffed dots */
	struct {
		uint8_t *bytes;
		size_t n;
		bool cut;
	} texts[TEXT_N];
	/* of the message under hand */
	const struct confirm_message *message;
	struct confirm_candidate *candidates;
	unsigned n;
	struct pattern_expression expressions[CONFIRM_CANDIDATES];
	confirm_stop *stop;
	void *arg;
	bool header_over;
	struct mime_sink sink;
	struct mime mime;
};

int confirm_reader_new(
    const struct confirm_limits *limits, size_t bytes, struct confirm_reader **ret_reader)
{
	struct confirm_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->cap = bytes;
	r->plain = malloc((TEXT_N + 1) * bytes);
	if (!r->plain || confirm_room_new(limits, &r->room) < 0) {
		confirm_reader_free(r);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < TEXT_N; i++)
		r->texts[i].bytes = r->plain + (i + 1) * bytes;
	*ret_reader = r;
	return 0;
}

struct confirm_reader *confirm_reader_free(struct confirm_reader *r)
{
	if (!r)
		return NULL;
	confirm_room_free(r->room);
	free(r->plain);
	free(r);
	return NULL;
}

const struct confirm_counts *confirm_reader_counts(const struct confirm_reader *r)
{
	return confirm_counts(r->room);
}

/* ---- one text and one candidate ---- */

static void judge(struct confirm_reader *r, unsigned i, const void *text, size_t len, bool cut)
{
	struct confirm_candidate *c = &r->candidates[i];
	const struct confirm_set *set = pattern_confirm_set(c->set);
	const struct confirm_expression *e = set ? confirm_set_get(set, c->expression) : NULL;
	enum confirm_answer answer = CONFIRM_COSTLY;

	if (!e || c->answer == CONFIRM_YES)
		return;
	if (!r->stop || !r->stop(r->arg))
		answer = cut ? confirm_match_head(e, r->room, text, len, r->stop, r->arg)
			     : confirm_match(e, r->room, text, len, r->stop, r->arg);
	if (answer == CONFIRM_YES || answer == CONFIRM_COSTLY || c->answer == CONFIRM_NO)
		c->answer = (uint8_t)answer;
}

static void judge_zone(
    struct confirm_reader *r, enum pattern_zone zone, const void *text, size_t len, bool cut)
{
	for (unsigned i = 0; i < r->n; i++)
		if (r->expressions[i].zone == zone)
			judge(r, i, text, len, cut);
}

/* ---- what mime.h gives ---- */

static void gather(struct confirm_reader *r, enum text which, const void *p, size_t n)
{
	size_t room = r->cap - r->texts[which].n;

	if (n > room) {
		n = room;
		r->texts[which].cut = true;
	}
	memcpy(r->texts[which].bytes + r->texts[which].n, p, n);
	r->texts[which].n += n;
}

/* No more of it than Hyperscan was shown. */
static void gather_decoded(struct confirm_reader *r, enum text which, const void *p, size_t n)
{
	uint64_t left = r->message->decoded_depth - r->texts[which].n;

	gather(r, which, p, n < left ? n : (size_t)left);
}

static void take_header(void *arg, const uint8_t *p, size_t n)
{
	gather(arg, TEXT_HEADER, p, n);
}

static bool same_name(const char *name, const struct mime_field *f)
{
	size_t k = 0;

	while (
	    k < f->name_len && name[k] &&
	    (f->name[k] | (f->name[k] >= 'A' && f->name[k] <= 'Z' ? 0x20 : 0)) == (uint8_t)name[k])
		k++;
	return k == f->name_len && name[k] == '\0';
}

static void take_field(void *arg, const struct mime_field *f)
{
	struct confirm_reader *r = arg;

	for (unsigned i = 0; i < r->n; i++) {
		if (r->expressions[i].zone != PATTERN_FIELD ||
		    !same_name(r->expressions[i].header, f))
			continue;
		judge(r, i, f->decoded, f->decoded_len, false);
		if (f->decoded != f->value)
			judge(r, i, f->value, f->value_len, false);
	}
	if (!f->changed || !r->sink.header)
		return;
	gather(r, TEXT_FIELDS, f->name, f->name_len);
	gather(r, TEXT_FIELDS, ": ", 2);
	gather(r, TEXT_FIELDS, f->decoded, f->decoded_len);
	gather(r, TEXT_FIELDS, "\n", 1);
}

static void take_header_end(void *arg)
{
	((struct confirm_reader *)arg)->header_over = true;
}

static void take_body(void *arg, const uint8_t *p, size_t n)
{
	gather(arg, TEXT_BODY, p, n);
}

static void take_decoded(void *arg, const uint8_t *p, size_t n)
{
	gather_decoded(arg, TEXT_DECODED, p, n);
}

static void take_text(void *arg, const uint8_t *p, size_t n)
{
	gather_decoded(arg, TEXT_READ, p, n);
}

static void take_url(void *arg, const uint8_t *url, size_t len, size_t host_off, size_t host_len)
{
	struct confirm_reader *r = arg;
	uint8_t host[MIME_URL_MAX];

	judge_zone(r, PATTERN_URI, url, len, false);
	for (size_t i = 0; i < host_len; i++) {
		uint8_t c = url[host_off + i];

		host[i] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
	}
	if (host_len > 0)
		judge_zone(r, PATTERN_URL, host, host_len, false);
}

/* ---- lines ---- */

enum { LINE_HEAD = 3 /* zone, length in two bytes */ };

size_t confirm_line_put(
    uint8_t *to, size_t room, enum pattern_zone zone, const void *text, size_t len)
{
	if (len > UINT16_MAX || room < LINE_HEAD + len)
		return 0;
	to[0] = (uint8_t)zone;
	to[1] = (uint8_t)(len >> 8);
	to[2] = (uint8_t)len;
	if (len)
		memcpy(to + LINE_HEAD, text, len);
	return LINE_HEAD + len;
}

static void judge_lines(struct confirm_reader *r, const uint8_t *p, size_t left)
{
	while (left >= LINE_HEAD) {
		size_t len = (size_t)p[1] << 8 | p[2];

		if (len > left - LINE_HEAD)
			return;
		judge_zone(r, p[0], p + LINE_HEAD, len, false);
		p += LINE_HEAD + len;
		left -= LINE_HEAD + len;
	}
}

/* ---- the message ---- */

/* The dot that stuffs a line goes; returns the bytes that are left, `depth` at most. */
static size_t unstuff(uint8_t *to, const struct confirm_message *m, size_t cap)
{
	const uint8_t *p = m->bytes;
	bool start = true; /* of a line */
	size_t n = 0;

	if (cap > m->depth)
		cap = (size_t)m->depth;
	for (size_t i = 0; i < m->len && n < cap; i++) {
		if (start && m->stuffed && p[i] == '.') {
			start = false;
			continue;
		}
		start = p[i] == '\n' && i > 0 && p[i - 1] == '\r';
		to[n++] = p[i];
	}
	return n;
}

static bool wants(const struct confirm_reader *r, enum pattern_zone zone)
{
	for (unsigned i = 0; i < r->n; i++)
		if (r->expressions[i].zone == zone)
			return true;
	return false;
}

static void read_apart(struct confirm_reader *r)
{
	bool header = wants(r, PATTERN_HEADER), body = wants(r, PATTERN_BODY);

	r->sink = (struct mime_sink){
		.header = header ? take_header : NULL,
		.field = header || wants(r, PATTERN_FIELD) ? take_field : NULL,
		.header_end = take_header_end,
		.body = body ? take_body : NULL,
		.decoded = body ? take_decoded : NULL,
		.text = wants(r, PATTERN_TEXT) ? take_text : NULL,
		.url = wants(r, PATTERN_URL) || wants(r, PATTERN_URI) ? take_url : NULL,
	};
	for (unsigned i = 0; i < TEXT_N; i++) {
		r->texts[i].n = 0;
		r->texts[i].cut = false;
	}
	r->header_over = false;
	mime_init(&r->mime, &r->sink, r);
	mime_feed(&r->mime, r->plain, unstuff(r->plain, r->message, r->cap));
	if (!r->message->cut)
		mime_end(&r->mime);
}

void confirm_read(struct confirm_reader *r, const struct confirm_message *message,
    struct confirm_candidate *candidates, unsigned n, confirm_stop *stop, void *arg)
{
	r->message = message;
	r->candidates = candidates;
	r->n = n < CONFIRM_CANDIDATES ? n : CONFIRM_CANDIDATES;
	r->stop = stop;
	r->arg = arg;
	for (unsigned i = 0; i < r->n; i++) {
		candidates[i].answer = CONFIRM_NO;
		pattern_expression_get(
		    candidates[i].set, candidates[i].expression, &r->expressions[i]);
	}
	judge_lines(r, message->lines, message->lines_len);
	read_apart(r);
	for (unsigned i = 0; i < TEXT_N; i++) {
		bool goes_on = message->cut && !(zone_of[i] == PATTERN_HEADER && r->header_over);

		if (r->texts[i].n > 0)
			judge_zone(r, zone_of[i], r->texts[i].bytes, r->texts[i].n,
			    goes_on || r->texts[i].cut);
	}
}
