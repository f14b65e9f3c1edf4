/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One message on its way through a set: mime.h takes it apart, each piece goes to the database of
 * its zone, matches become bits of rules. Streams are taken when their first byte comes, so that a
 * plain message costs one for its header and one for its body.
 */
#include "pattern_private.h"
#include "verdict.h"

#include <string.h>

int pattern_matched(
    unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	struct pattern_scan *scan = arg;
	const struct pattern_expression_row *e;
	struct pattern_message *m = scan->m;
	uint32_t index = scan->base->first + id;

	(void)from, (void)to, (void)flags;
	if (id >= scan->base->n) {
		scan->wrong = true;
		return 1;
	}
	e = &scan->set->expressions[index];
	if (!(e->flags & PATTERN_CONFIRM)) {
		pattern_bit_set(scan->bits, e->rule);
		if (m && scan->set->rules[e->rule].action >= VERDICT_REFUSE)
			m->hot = true;
		return 0;
	}
	if (!m)
		return 0;
	m->candidate = true;
	for (unsigned i = 0; i < m->n_confirm; i++)
		if (m->confirm[i] == index)
			return 0;
	if (m->n_confirm < PATTERN_MAX_CONFIRM)
		m->confirm[m->n_confirm++] = (uint16_t)index;
	else
		m->n_unconfirmed++;
	return 0;
}

static void fail(struct pattern_message *m)
{
	if (!m->failed)
		m->ws->counts.failed_scan++;
	m->failed = true;
}

static struct pattern_scan scan_of(struct pattern_message *m, const struct pattern_base *base)
{
	return (struct pattern_scan){ m->ws->set, base, m, m->bits, false };
}

/* A line by itself. */
static void block(
    struct pattern_message *m, const struct pattern_base *base, const void *p, size_t n)
{
	struct pattern_scan scan = scan_of(m, base);

	if (base->db && !m->failed &&
	    hs_scan(base->db, n ? p : "", (unsigned)n, 0, m->ws->scratch, pattern_matched, &scan) !=
		HS_SUCCESS)
		fail(m);
}

static void stream(struct pattern_message *m, unsigned which, const void *p, size_t n)
{
	struct pattern_workspace *ws = m->ws;
	struct pattern_streams *pool = &ws->streams[which];
	struct pattern_scan scan = scan_of(m, &ws->set->zones[pattern_stream_zone[which]]);

	if (m->failed)
		return;
	if (!m->streams[which]) {
		if (pool->n_free == 0) {
			ws->counts.failed_state++;
			m->failed = true;
			return;
		}
		m->streams[which] = pool->free[--pool->n_free];
	}
	if (hs_scan_stream(m->streams[which], p, (unsigned)n, 0, ws->scratch, pattern_matched,
		&scan) != HS_SUCCESS)
		fail(m);
}

/* Ends a stream, matches at its end with it, and gives it back as new. One that cannot be reset
 * would remember another's mail: it leaves the pool until the workspace goes. */
static void stream_end(struct pattern_message *m, unsigned which)
{
	struct pattern_workspace *ws = m->ws;
	struct pattern_streams *pool = &ws->streams[which];
	struct pattern_scan scan = scan_of(m, &ws->set->zones[pattern_stream_zone[which]]);
	hs_stream_t *s = m->streams[which];
	hs_error_t e;

	if (!s)
		return;
	if (m->failed)
		e = hs_reset_stream(s, 0, NULL, NULL, NULL);
	else
		e = hs_reset_stream(s, 0, ws->scratch, pattern_matched, &scan);
	if (e != HS_SUCCESS) {
		fail(m);
		e = hs_reset_stream(s, 0, NULL, NULL, NULL);
	}
	m->streams[which] = NULL;
	if (e == HS_SUCCESS)
		pool->free[pool->n_free++] = s;
	else
		hs_close_stream(s, NULL, NULL, NULL);
}

/* ---- what mime.h gives ---- */

static void take_header(void *arg, const uint8_t *p, size_t n)
{
	stream(arg, STREAM_HEADER, p, n);
}

static void gather_flush(struct pattern_workspace *ws)
{
	if (ws->n_gathered > 0)
		stream(ws->gathering, STREAM_FIELDS, ws->gather, ws->n_gathered);
	ws->n_gathered = 0;
}

/* A changed field as `Name: value` LF; fields of one feed make one write. */
static void gather(struct pattern_message *m, const struct mime_field *f)
{
	struct pattern_workspace *ws = m->ws;
	size_t n = f->name_len + f->decoded_len + 3;
	uint8_t *to;

	_Static_assert(PATTERN_GATHER >= 2 * MIME_FIELD_MAX + 3, "a field fits");
	if (n > PATTERN_GATHER - ws->n_gathered)
		gather_flush(ws);
	to = ws->gather + ws->n_gathered;
	memcpy(to, f->name, f->name_len);
	memcpy(to + f->name_len, ": ", 2);
	memcpy(to + f->name_len + 2, f->decoded, f->decoded_len);
	to[n - 1] = '\n';
	ws->gathering = m;
	ws->n_gathered += (uint32_t)n;
}

static void take_field(void *arg, const struct mime_field *f)
{
	struct pattern_message *m = arg;
	const struct pattern_base *base = pattern_field_base(m->ws->set, f->name, f->name_len);

	if (base) {
		block(m, base, f->decoded, f->decoded_len);
		if (f->decoded != f->value)
			block(m, base, f->value, f->value_len);
	}
	if (f->changed && m->ws->set->zones[PATTERN_HEADER].db)
		gather(m, f);
}

static void take_header_end(void *arg)
{
	struct pattern_message *m = arg;

	gather_flush(m->ws);
	stream_end(m, STREAM_HEADER);
	stream_end(m, STREAM_FIELDS);
}

static void take_body(void *arg, const uint8_t *p, size_t n)
{
	stream(arg, STREAM_BODY, p, n);
}

/* n bytes of which `limit` are looked at in all. */
static size_t within(uint64_t *seen, size_t n, uint64_t limit)
{
	uint64_t left = *seen < limit ? limit - *seen : 0;

	*seen += n;
	return n < left ? n : (size_t)left;
}

static void take_decoded(void *arg, const uint8_t *p, size_t n)
{
	struct pattern_message *m = arg;

	n = within(&m->decoded, n, m->ws->limits.decoded_depth);
	if (n > 0)
		stream(m, STREAM_DECODED, p, n);
}

static void take_text(void *arg, const uint8_t *p, size_t n)
{
	struct pattern_message *m = arg;

	n = within(&m->text, n, m->ws->limits.decoded_depth);
	if (n > 0)
		stream(m, STREAM_TEXT, p, n);
}

static bool host_known(struct pattern_message *m, const uint8_t *host, size_t n)
{
	if (n > PATTERN_HOST_MAX)
		return false;
	for (unsigned i = 0; i < PATTERN_HOSTS; i++)
		if (m->hosts[i].len == n && memcmp(m->hosts[i].name, host, n) == 0)
			return true;
	m->hosts[m->next_host].len = (uint8_t)n;
	memcpy(m->hosts[m->next_host].name, host, n);
	m->next_host = (uint8_t)((m->next_host + 1) % PATTERN_HOSTS);
	return false;
}

static void take_url(void *arg, const uint8_t *url, size_t len, size_t host_off, size_t host_len)
{
	struct pattern_message *m = arg;
	const struct pattern_set *set = m->ws->set;
	uint8_t host[MIME_URL_MAX];

	block(m, &set->zones[PATTERN_URI], url, len);
	if (host_len == 0 || !set->zones[PATTERN_URL].db)
		return;
	for (size_t i = 0; i < host_len; i++) {
		uint8_t c = url[host_off + i];

		host[i] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
	}
	if (!host_known(m, host, host_len))
		block(m, &set->zones[PATTERN_URL], host, host_len);
}

const struct mime_sink pattern_sink = { take_header, take_field, take_header_end, take_body,
	take_decoded, take_text, take_url };

/* ---- the message ---- */

struct pattern_message *pattern_message_begin(struct pattern_workspace *ws)
{
	struct pattern_message *m = ws->free;

	if (!m) {
		ws->counts.failed_state++;
		return NULL;
	}
	ws->free = m->next_free;
	pattern_workspace_hold(ws);
	ws->counts.messages++;
	m->fed = m->decoded = m->text = 0;
	m->failed = m->hot = m->deep = m->finished = false;
	m->n_confirm = m->n_unconfirmed = 0;
	m->next_host = 0;
	for (unsigned i = 0; i < PATTERN_HOSTS; i++)
		m->hosts[i].len = 0;
	memset(m->bits, 0, ws->set->n_words * sizeof(*m->bits));
	mime_init(&m->mime, &ws->set->sink, m);
	return m;
}

struct pattern_workspace *pattern_message_workspace(const struct pattern_message *m)
{
	return m->ws;
}

bool pattern_message_line(
    struct pattern_message *m, enum pattern_zone zone, const void *text, size_t len)
{
	m->ws->counts.lines++;
	m->candidate = false;
	block(m, &m->ws->set->zones[zone], text, len);
	return m->candidate;
}

bool pattern_message_feed(struct pattern_message *m, const void *bytes, size_t len)
{
	struct pattern_workspace *ws = m->ws;
	size_t n = within(&m->fed, len, ws->limits.depth);

	if (n < len && !m->deep) {
		m->deep = true;
		ws->counts.too_deep++;
	}
	if (m->failed)
		return false;
	if (n > 0) {
		ws->counts.bytes += n;
		mime_feed(&m->mime, bytes, n);
		gather_flush(ws);
	}
	return !m->failed;
}

static void result(struct pattern_message *m, uint64_t *bits, struct pattern_hits *ret_hits)
{
	const struct pattern_set *set = m->ws->set;

	memset(ret_hits, 0, sizeof(*ret_hits));
	if (m->failed) {
		ret_hits->failed = true;
		return;
	}
	pattern_metas(set, bits);
	pattern_collect(set, bits, ret_hits);
	ret_hits->n_confirm = m->n_confirm;
	ret_hits->n_unconfirmed = m->n_unconfirmed;
	memcpy(ret_hits->confirm, m->confirm, m->n_confirm * sizeof(*m->confirm));
}

void pattern_message_peek(struct pattern_message *m, struct pattern_hits *ret_hits)
{
	uint64_t bits[PATTERN_MAX_RULES / 64];

	memcpy(bits, m->bits, m->ws->set->n_words * sizeof(*bits));
	result(m, bits, ret_hits);
}

bool pattern_message_hot(const struct pattern_message *m)
{
	return m->hot;
}

unsigned pattern_message_candidates(
    const struct pattern_message *m, const uint16_t **ret_expressions)
{
	*ret_expressions = m->confirm;
	return m->failed ? 0 : m->n_confirm;
}

void pattern_message_settle(struct pattern_message *m, uint16_t expression, bool hit)
{
	const struct pattern_set *set = m->ws->set;
	unsigned i = 0;

	while (i < m->n_confirm && m->confirm[i] != expression)
		i++;
	if (i == m->n_confirm)
		return;
	m->confirm[i] = m->confirm[--m->n_confirm];
	if (!hit)
		return;
	pattern_bit_set(m->bits, set->expressions[expression].rule);
	if (set->rules[set->expressions[expression].rule].action >= VERDICT_REFUSE)
		m->hot = true;
}

void pattern_message_bits(const struct pattern_message *m, uint64_t *ret_bits)
{
	memcpy(ret_bits, m->bits, m->ws->set->n_words * sizeof(*ret_bits));
}

static void give_back(struct pattern_message *m)
{
	struct pattern_workspace *ws = m->ws;

	for (unsigned i = 0; i < STREAM_N; i++)
		stream_end(m, i);
	m->next_free = ws->free;
	ws->free = m;
	pattern_workspace_let_go(ws);
}

void pattern_message_finish(struct pattern_message *m)
{
	if (m->finished)
		return;
	m->finished = true;
	if (!m->failed) {
		mime_end(&m->mime);
		gather_flush(m->ws);
		m->ws->counts.mime_bounded += m->mime.bounded != 0;
	}
	for (unsigned i = 0; i < STREAM_N; i++)
		stream_end(m, i);
}

void pattern_message_end(struct pattern_message *m, struct pattern_hits *ret_hits)
{
	pattern_message_finish(m);
	result(m, m->bits, ret_hits);
	m->ws->counts.hits_cut += ret_hits->n_more > 0;
	m->ws->counts.confirm_cut += ret_hits->n_unconfirmed > 0;
	give_back(m);
}

void pattern_message_drop(struct pattern_message *m)
{
	if (!m)
		return;
	m->failed = true; /* no matches wanted; not counted */
	give_back(m);
}

/* ---- lines by themselves ---- */

void pattern_line(struct pattern_workspace *ws, enum pattern_zone zone, const void *text,
    size_t len, struct pattern_hits *ret_hits)
{
	const struct pattern_base *base = &ws->set->zones[zone];
	struct pattern_scan scan = { ws->set, base, NULL, ws->line_bits, false };

	memset(ret_hits, 0, sizeof(*ret_hits));
	ws->counts.lines++;
	if (!base->db)
		return;
	memset(ws->line_bits, 0, ws->set->n_words * sizeof(*ws->line_bits));
	if (hs_scan(base->db, len ? text : "", (unsigned)len, 0, ws->scratch, pattern_matched,
		&scan) != HS_SUCCESS) {
		ws->counts.failed_scan++;
		ret_hits->failed = true;
		return;
	}
	pattern_collect(ws->set, ws->line_bits, ret_hits);
}
