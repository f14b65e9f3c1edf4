/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Patterns over HELO name, sender and recipient when they come, so that a rule that refuses needs no
 * DATA. The few bytes are scanned anew for each command that they concern, and for the metas of the
 * message again (scan.c): a scan costs less than a place to keep its hits in each session would, and
 * what is judged is always the policy in force.
 */
#include "session.h"

#include "relay.h"

#include "filters/content.h"
#include "filters/scanner.h"

#include <string.h>

static bool has_zone(const struct worker *w, enum pattern_zone zone)
{
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++) {
		const struct scanner *scanner = policy_scanner(w->policy, i);

		if (scanner && pattern_has_zone(scanner_set(scanner), zone))
			return true;
	}
	return false;
}

bool scan_looks_at_lines(const struct worker *w, const struct session *s, enum phase phase)
{
	if (s->facts.trusted)
		return false;
	switch (phase) {
	case PHASE_HELO: return s->facts.helo.len > 0 && has_zone(w, PATTERN_HELO);
	case PHASE_MAIL: return has_zone(w, PATTERN_ENVELOPE);
	case PHASE_RCPT: return has_zone(w, PATTERN_HELO) || has_zone(w, PATTERN_ENVELOPE);
	default: return false;
	}
}

size_t scan_line_text(char buf[SCAN_LINE_MAX], const char *prefix, struct text text)
{
	size_t n = strlen(prefix), room = SCAN_LINE_MAX - n;
	size_t len = text.len < room ? text.len : room;

	memcpy(buf, prefix, n);
	if (len)
		memcpy(buf + n, text.p, len);
	return n + len;
}

static void look(struct worker *w, struct content *content, enum pattern_zone zone,
    const char *prefix, struct text text)
{
	char buf[SCAN_LINE_MAX];
	size_t n = scan_line_text(buf, prefix, text);

	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++) {
		const struct scanner *scanner = policy_scanner(w->policy, i);
		struct pattern_workspace *ws;
		struct pattern_hits hits = { .failed = true };

		if (!scanner || !pattern_has_zone(scanner_set(scanner), zone))
			continue;
		ws = scanner_workspace(scanner, w->config.index);
		if (ws)
			pattern_line(ws, zone, buf, n, &hits);
		if (hits.failed)
			brain_count(w, BRAIN_lines_unscanned);
		content_add(w->policy, content, scanner_set(scanner), &hits);
	}
}

struct verdict scan_judge_lines(struct worker *w, struct session *s, enum phase phase)
{
	struct content lines[CONTENT_N_LINES];

	for (unsigned i = 0; i < CONTENT_N_LINES; i++) {
		lines[i].n = 0;
		lines[i].failed = lines[i].partial = false;
	}
	if (phase != PHASE_MAIL)
		look(w, &lines[CONTENT_HELO], PATTERN_HELO, "", s->facts.helo);
	if (phase != PHASE_HELO)
		look(w, &lines[CONTENT_SENDER], PATTERN_ENVELOPE, "from:", s->facts.mail);
	if (phase == PHASE_RCPT)
		look(w, &lines[CONTENT_RCPT], PATTERN_ENVELOPE, "to:", s->facts.rcpt);
	return policy_judge_lines(w->policy, phase, &s->facts, lines, &w->tally);
}
