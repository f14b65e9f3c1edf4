/* SPDX-License-Identifier: BSD-3-Clause */
/* See mark.h. */
#include "mark.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char name[] = "X-Postern:";
enum { NAME_LEN = sizeof(name) - 1 };
_Static_assert((int)NAME_LEN <= (int)MARK_HELD_MAX, "the name is held while it is compared");

enum { STRIP_START, STRIP_PASS, STRIP_DROP, STRIP_DROP_START, STRIP_OVER };

/* ---- ours ---- */

bool mark_wanted(const struct policy *p, const struct tally *tally)
{
	if (tally->score >= policy_settings(p)->score.mark)
		return true;
	for (unsigned i = 0; i < tally->n; i++) {
		const struct policy_rule *rule = policy_rule_by_id(p, tally->hits[i]);

		if (rule && !(tally->hits[i] & RULE_ID_SHADOW) && rule->action == VERDICT_MARK)
			return true;
	}
	return false;
}

size_t mark_header(
    const struct policy *p, const struct tally *tally, const char *token, char buf[MARK_HEADER_MAX])
{
	enum { TAIL = 64 }; /* for +N, token and the line's end */
	size_t n = (size_t)snprintf(buf, MARK_HEADER_MAX, "%s mark score=%s%d.%02d", name,
	    tally->score < 0 ? "-" : "", abs(tally->score) / 100, abs(tally->score) % 100);
	unsigned left_out = 0, told = 0;

	for (unsigned i = 0; i < tally->n; i++) {
		const struct policy_rule *rule = policy_rule_by_id(p, tally->hits[i]);
		const char *word = rule ? policy_string(p, rule->name) : "";

		if (tally->hits[i] & RULE_ID_SHADOW || !rule)
			continue;
		if (n + strlen(word) + 10 > MARK_HEADER_MAX - TAIL) {
			left_out++;
			continue;
		}
		n += (size_t)snprintf(buf + n, MARK_HEADER_MAX - n, "%s%s",
		    told == 0       ? "\r\n\trules="
		    : told % 3 == 0 ? ",\r\n\t"
				    : ",",
		    word);
		told++;
	}
	if (left_out)
		n += (size_t)snprintf(buf + n, MARK_HEADER_MAX - n, " +%u", left_out);
	n += (size_t)snprintf(buf + n, MARK_HEADER_MAX - n, "\r\n\ttoken=%s\r\n", token);
	return n;
}

/* ---- forged ones ---- */

void mark_strip_init(struct mark_strip *m)
{
	memset(m, 0, sizeof(*m));
}

static bool same(char a, char b)
{
	return a == b || (((a ^ b) == 0x20) && ((a | 0x20) >= 'a' && (a | 0x20) <= 'z'));
}

static size_t release(struct mark_strip *m, uint8_t *out)
{
	size_t n = m->held;

	memcpy(out, m->name, n);
	m->held = 0;
	return n;
}

/* One byte at a line's start, or within what may be the name. Returns how many bytes came out. */
static size_t compare(struct mark_strip *m, uint8_t c, uint8_t *out)
{
	size_t n;

	if (same((char)c, name[m->held])) {
		m->name[m->held++] = (char)c;
		if (m->held < NAME_LEN)
			return 0;
		m->found = true;
		m->state = STRIP_DROP;
		m->held = 0;
		return 0;
	}
	if (m->held == 0 && c == '\r') { /* the empty line ends the header */
		m->state = STRIP_OVER;
		out[0] = c;
		return 1;
	}
	n = release(m, out);
	m->state = c == '\n' ? STRIP_START : STRIP_PASS;
	out[n] = c;
	return n + 1;
}

size_t mark_strip_feed(struct mark_strip *m, const uint8_t *in, size_t len, uint8_t *out)
{
	const uint8_t *end = in + len, *lf;
	uint8_t *to = out;
	size_t n;

	while (in < end) {
		switch (m->state) {
		case STRIP_OVER:
		case STRIP_PASS: /* up to the end of the line, or all of it */
			lf = m->state == STRIP_OVER ? NULL : memchr(in, '\n', (size_t)(end - in));
			n = lf ? (size_t)(lf - in) + 1 : (size_t)(end - in);
			memmove(to, in, n);
			to += n;
			in += n;
			if (lf)
				m->state = STRIP_START;
			break;
		case STRIP_START: to += compare(m, *in++, to); break;
		case STRIP_DROP:
			lf = memchr(in, '\n', (size_t)(end - in));
			in = lf ? lf + 1 : end;
			if (lf)
				m->state = STRIP_DROP_START;
			break;
		default: /* a folded line belongs to the field (RFC 5322 2.2.3) */
			m->state = *in == ' ' || *in == '\t' ? STRIP_DROP : STRIP_START;
			break;
		}
	}
	return (size_t)(to - out);
}

size_t mark_strip_end(struct mark_strip *m, uint8_t out[MARK_HELD_MAX])
{
	m->state = STRIP_OVER;
	return release(m, out);
}
