/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns over messages (scan.h). */
#include "scan.h"

#include "confirm.h"
#include "relay.h"
#include "session.h"

#include "filters/content.h"
#include "filters/scanner.h"

#include <string.h>

enum { WALK = 64 /* relays a turn */ };

/* One line; with candidates it is kept for PCRE2. */
static void put(struct worker *w, struct scan *scan, struct pattern_message *m,
    enum pattern_zone zone, const void *text, size_t len)
{
	if (pattern_message_line(m, zone, text, len))
		confirm_keep_line(w, scan, zone, text, len);
}

static void line(struct worker *w, struct scan *scan, struct pattern_message *m, const char *prefix,
    struct text text)
{
	char buf[SCAN_LINE_MAX];

	put(w, scan, m, PATTERN_ENVELOPE, buf, scan_line_text(buf, prefix, text));
}

static void begin(struct worker *w, struct session *s)
{
	struct scan *scan = &s->relay->scan;

	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++) {
		const struct scanner *scanner = policy_scanner(w->policy, i);
		struct pattern_workspace *ws;
		struct pattern_message *m;

		if (!scanner)
			continue;
		scan->begun = true;
		ws = scanner_workspace(scanner, w->config.index);
		m = ws ? pattern_message_begin(ws) : NULL;
		scan->messages[i] = m;
		if (!m) {
			scan->failed = true;
			continue;
		}
		if (pattern_has_zone(scanner_set(scanner), PATTERN_HELO)) {
			struct text helo = session_helo(s);

			put(w, scan, m, PATTERN_HELO, helo.p, helo.len);
		}
		if (pattern_has_zone(scanner_set(scanner), PATTERN_ENVELOPE))
			line(w, scan, m, "from:", session_mail(s));
	}
}

void scan_rcpt(struct worker *w, struct session *s, struct text rcpt)
{
	struct scan *scan = &s->relay->scan;

	if (s->facts.trusted)
		return;
	if (!scan->begun)
		begin(w, s);
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++) {
		struct pattern_message *m = scan->messages[i];

		if (m && pattern_has_zone(
			     pattern_workspace_set(pattern_message_workspace(m)), PATTERN_ENVELOPE))
			line(w, scan, m, "to:", rcpt);
	}
}

void scan_feed(struct worker *w, struct relay *r, const uint8_t *p, size_t n)
{
	work_done(w, n - n / WORK_COPIED); /* the rest is body_decode()'s */
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		if (r->scan.messages[i])
			pattern_message_feed(r->scan.messages[i], p, n);
}

bool scan_is_hot(struct relay *r)
{
	if (r->scan.looked)
		return false;
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		if (r->scan.messages[i] && pattern_message_hot(r->scan.messages[i]))
			r->scan.looked = true;
	return r->scan.looked;
}

bool scan_is_due(const struct relay *r)
{
	return r->scan.begun && !r->scan.judged;
}

struct verdict scan_judge(struct worker *w, struct session *s, bool whole)
{
	struct scan *scan = &s->relay->scan;
	struct content content = { .failed = scan->failed, .partial = !whole };

	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++) {
		struct pattern_message *m = scan->messages[i];
		struct pattern_hits hits;
		const struct pattern_set *set;

		if (!m)
			continue;
		set = pattern_workspace_set(pattern_message_workspace(m));
		if (whole) {
			pattern_message_end(m, &hits);
			scan->messages[i] = NULL;
			brain_add(w, BRAIN_patterns_unconfirmed,
			    (uint64_t)hits.n_confirm + hits.n_unconfirmed);
			if (hits.n_more)
				brain_count(w, BRAIN_pattern_hits_cut);
		} else {
			pattern_message_peek(m, &hits);
		}
		content_add(w->policy, &content, set, &hits);
	}
	work_done(w, WORK_JUDGE);
	if (whole) {
		scan->judged = true;
		brain_count(w, content.failed ? BRAIN_messages_unscanned : BRAIN_messages_scanned);
	}
	return session_judge_content(w, s, &content);
}

void scan_end(struct worker *w, struct relay *r)
{
	confirm_forget(w, r);
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		pattern_message_drop(r->scan.messages[i]);
	memset(&r->scan, 0, sizeof(r->scan));
}

void scans_update(struct worker *w)
{
	w->scans_at = 0;
}

static void let_go(struct relay *r)
{
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++) {
		struct pattern_message *m = r->scan.messages[i];

		if (!m || !pattern_workspace_condemned(pattern_message_workspace(m)))
			continue;
		pattern_message_drop(m);
		r->scan.messages[i] = NULL;
		r->scan.failed = true;
	}
}

/* By place in the pool and not along the list, so that it goes on in a later turn whatever came and
 * went meanwhile: what comes has a set of the new policy. */
void scans_walk(struct worker *w)
{
	const struct pool *pool = &w->relays;
	uint32_t end = w->scans_at + WALK < pool->fresh ? w->scans_at + WALK : pool->fresh;

	for (; w->scans_at < end; w->scans_at++) {
		/* an object given back begins with a pointer to one, or zeros: never with our byte */
		struct relay *r = (void *)(pool->memory + pool->object_size * w->scans_at);

		if (r->owner == OWNER_RELAY)
			let_go(r);
	}
	if (w->scans_at < pool->fresh)
		w->out->busy = true;
}
