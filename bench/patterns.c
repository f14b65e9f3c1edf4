/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * patterns: 1,000 mixed expressions over messages of 4 KiB in writes of 1,460 bytes: our engine
 * (fields, body, URLs each with their own set, MIME decoded and URLs found on the way) beside one
 * plain streaming database of all of them, flags and writes the same. Where ours is told the zone,
 * the plain one has it in the expression (`^Subject:[^\n]*X`, `https?://[^/\s]*X`): that is how one
 * database is used. Every message must hit the same expressions in both, or nothing is printed.
 *
 *	bench-patterns [--json] [--windows N] [--each] [--seed N]
 *
 * --each: the plain database reports every match instead of each expression once. Expressions and
 * mail are made up of one vocabulary from the seed.
 */
#include "meter.h"
#include "report.h"

#include "control/compile_patterns.h"

#include <getopt.h>
#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXPRESSIONS = 1000,
	WORDS = 3000,
	MESSAGES = 256,
	HEADER_LEN = 1024,
	MESSAGE_LEN = 4096,
	WRITE = 1460,
	ROOM = 512,
	BITS = (EXPRESSIONS + 63) / 64,
};

enum zone { BODY, SUBJECT, FROM, RECEIVED, MAILER, HEADER, URL, N_ZONES };

static const struct {
	const char *ours, *plain_before;
	unsigned share; /* percent */
} zones[N_ZONES] = {
	{ "body", "", 45 },
	{ "subject", "^Subject:[^\\n]*", 20 },
	{ "header:From", "^From:[^\\n]*", 6 },
	{ "header:Received", "^Received:[^\\n]*", 5 },
	{ "header:X-Mailer", "^X-Mailer:[^\\n]*", 4 },
	{ "header", "", 5 },
	{ "url", "https?://[^/\\s]*", 15 },
};

struct bench {
	unsigned seed;
	char words[WORDS][16];
	char expressions[EXPRESSIONS][ROOM];
	uint8_t zone[EXPRESSIONS];
	char messages[MESSAGES][MESSAGE_LEN + 256];
	size_t len[MESSAGES], header_len[MESSAGES];
	struct pattern_set *set;
	struct pattern_workspace *ws;
	uint16_t id_of_rule[EXPRESSIONS];
	void *part;
	hs_database_t *plain;
	hs_scratch_t *scratch;
	hs_stream_t *stream;
	bool each;
};

static unsigned any(struct bench *b, unsigned n)
{
	return (unsigned)rand_r(&b->seed) % n;
}

static const char *word(struct bench *b)
{
	return b->words[any(b, 4) ? any(b, WORDS / 10) : any(b, WORDS)]; /* some are common */
}

static void make_words(struct bench *b)
{
	static const char *const syllables[] = { "ba", "ce", "di", "fo", "gu", "la", "me", "ni",
		"po", "ru", "sa", "te", "vi", "xo", "zu", "tra", "ple", "sti", "mon", "ker" };

	for (unsigned i = 0; i < WORDS; i++) {
		unsigned n = 2 + any(b, 3);
		size_t k = 0;

		while (n-- > 0)
			k += (size_t)snprintf(
			    b->words[i] + k, sizeof(b->words[i]) - k, "%s", syllables[any(b, 20)]);
	}
}

/* Half phrases, a quarter choices, the rest what spam makes necessary. */
static void make_expression(struct bench *b, char *to)
{
	unsigned kind = any(b, 20);
	char odd[40];
	size_t k = 0;

	if (kind < 10) {
		snprintf(to, ROOM, "%s %s", word(b), word(b));
	} else if (kind < 15) {
		snprintf(to, ROOM, "\\b(?:%s|%s)\\s+%s\\b", word(b), word(b), word(b));
	} else if (kind < 18) {
		for (const char *c = word(b); *c && k < 32; c++) /* v[i1]agra: no literal in it */
			k += (size_t)snprintf(
			    odd + k, sizeof(odd) - k, strchr("aeiou", *c) ? "[%c0-9]" : "%c", *c);
		snprintf(to, ROOM, "\\b%s\\b", odd);
	} else {
		snprintf(to, ROOM, "%s[^\\r\\n]{0,30}%s", word(b), word(b));
	}
}

static void make_expressions(struct bench *b)
{
	unsigned zone = 0, left = zones[0].share * EXPRESSIONS / 100;

	for (unsigned i = 0; i < EXPRESSIONS; i++) {
		while (left == 0)
			left = zones[++zone].share * EXPRESSIONS / 100;
		left--;
		b->zone[i] = (uint8_t)zone;
		if (zone == URL)
			snprintf(b->expressions[i], ROOM,
			    any(b, 3) ? "%s\\.example" : "\\b%s[0-9]?\\.", word(b));
		else
			make_expression(b, b->expressions[i]);
	}
}

static size_t text(struct bench *b, char *to, size_t room, bool lines)
{
	size_t n = 0, line = 0;

	while (n + 40 < room) {
		size_t k = (size_t)snprintf(to + n, room - n, "%s ", word(b));

		if (any(b, 60) == 0 && lines)
			k += (size_t)snprintf(
			    to + n + k, room - n - k, "http://%s.example/%s ", word(b), word(b));
		n += k;
		line += k;
		if (lines && line > 66) {
			n += (size_t)snprintf(to + n, room - n, "\r\n");
			line = 0;
		}
	}
	return n;
}

static void make_message(struct bench *b, unsigned i)
{
	char *m = b->messages[i], some[200];
	size_t n = 0, room = sizeof(b->messages[i]);

	for (unsigned k = 0; k < 4; k++)
		n += (size_t)snprintf(m + n,
		    room - n, "Received: from %s.example (%s [192.0.2.%u]) by mx.%s.example with ESMTP id %x%s\r\n",
		    word(b), word(b), any(b, 256), word(b), any(b, 1u << 30), word(b));
	text(b, some, 80, false);
	n += (size_t)snprintf(m + n, room - n,
	    "From: %s %s <%s@%s.example>\r\nTo: %s@example.org\r\nSubject: %s\r\n"
	    "X-Mailer: %s %s 1.%u\r\nMessage-ID: <%x.%x@%s.example>\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n",
	    word(b), word(b), word(b), word(b), word(b), some, word(b), word(b), any(b, 9),
	    any(b, 1u << 30), any(b, 1u << 30), word(b));
	while (n + 80 < HEADER_LEN)
		n += (size_t)snprintf(m + n, room - n, "X-%s: %x%x%x%x %s %s\r\n", word(b),
		    any(b, 1u << 30), any(b, 1u << 30), any(b, 1u << 30), any(b, 1u << 30), word(b),
		    word(b));
	n += (size_t)snprintf(m + n, room - n, "\r\n");
	b->header_len[i] = n;
	n += text(b, m + n, MESSAGE_LEN - n, true);
	n += (size_t)snprintf(m + n, room - n, "\r\n");
	b->len[i] = n;
}

/* ---- ours ---- */

static bool open_ours(struct bench *b)
{
	struct pattern_limits limits = { 4, 1 << 20, 1 << 20 };
	struct patterns p;
	struct complaints complaints;
	struct patterns_report report;
	const char *error = "";
	size_t len;
	bool good = false;

	patterns_init(&p);
	complaints_init(&complaints);
	for (unsigned i = 0; i < EXPRESSIONS; i++) {
		char line[ROOM + 100];
		int n = snprintf(line, sizeof(line), "%s:/%s/i name=R%u score=1\n",
		    zones[b->zone[i]].ours, b->expressions[i], i);

		patterns_parse(&p, "bench", NULL, line, (size_t)n, &complaints);
	}
	patterns_finish(&p, &complaints);
	if (patterns_compile(&p, NULL, &complaints, &b->part, &len, &report) == 0 &&
	    complaints.total == 0 && pattern_open(b->part, len, &b->set, &error) == 0 &&
	    pattern_workspace_new(b->set, &limits, &b->ws) == 0)
		good = true;
	complaints_print(&complaints, stderr);
	if (*error)
		fprintf(stderr, "%s\n", error);
	for (unsigned i = 0; good && i < pattern_n_rules(b->set); i++) {
		struct pattern_rule r;

		pattern_rule_get(b->set, i, &r);
		b->id_of_rule[i] = (uint16_t)strtoul(r.name + 1, NULL, 10);
	}
	complaints_fini(&complaints);
	patterns_fini(&p);
	return good;
}

static bool ours(struct bench *b, unsigned i, uint64_t *hit)
{
	struct pattern_message *m = pattern_message_begin(b->ws);
	struct pattern_hits hits;
	uint64_t bits[BITS];

	for (size_t at = 0; at < b->len[i]; at += WRITE)
		pattern_message_feed(
		    m, b->messages[i] + at, b->len[i] - at < WRITE ? b->len[i] - at : WRITE);
	pattern_message_finish(m);
	pattern_message_bits(m, bits);
	pattern_message_end(m, &hits);
	for (unsigned w = 0; hit && w < BITS; w++)
		for (uint64_t left = bits[w]; left; left &= left - 1) {
			unsigned id = b->id_of_rule[w * 64 + (unsigned)__builtin_ctzll(left)];

			hit[id / 64] |= 1ull << (id % 64);
		}
	return !hits.failed;
}

/* ---- the plain one ---- */

static bool open_plain(struct bench *b)
{
	static char sources[EXPRESSIONS][ROOM + 64];
	const char *at[EXPRESSIONS];
	unsigned flags[EXPRESSIONS], ids[EXPRESSIONS];
	hs_compile_error_t *error = NULL;

	for (unsigned i = 0; i < EXPRESSIONS; i++) {
		snprintf(sources[i], sizeof(sources[i]), "%s%s", zones[b->zone[i]].plain_before,
		    b->expressions[i]);
		at[i] = sources[i];
		ids[i] = i;
		flags[i] = HS_FLAG_CASELESS | (b->each ? 0 : HS_FLAG_SINGLEMATCH) |
			   (zones[b->zone[i]].plain_before[0] == '^' ? HS_FLAG_MULTILINE : 0);
	}
	if (hs_compile_multi(at, flags, ids, EXPRESSIONS, HS_MODE_STREAM, NULL, &b->plain,
		&error) != HS_SUCCESS ||
	    hs_alloc_scratch(b->plain, &b->scratch) != HS_SUCCESS ||
	    hs_open_stream(b->plain, 0, &b->stream) != HS_SUCCESS) {
		fprintf(stderr, "bench-patterns: %s\n", error ? error->message : "no memory");
		return false;
	}
	return true;
}

struct plain_scan {
	uint64_t hit[BITS];
	const uint8_t *zone;
	bool in_body;
};

static int on_match(
    unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	struct plain_scan *s = arg;
	bool of_body = s->zone[id] == BODY || s->zone[id] == URL;

	(void)from, (void)to, (void)flags;
	if (of_body == s->in_body)
		s->hit[id / 64] |= 1ull << (id % 64);
	return 0;
}

static bool plain(struct bench *b, unsigned i, uint64_t *hit)
{
	struct plain_scan s = { .zone = b->zone };
	bool good = true;

	for (size_t at = 0; at < b->len[i];) {
		size_t end = at / WRITE * WRITE + WRITE, header = b->header_len[i];

		if (end > b->len[i])
			end = b->len[i];
		if (at < header && end > header)
			end = header; /* as ours, it knows where the body begins */
		good &= hs_scan_stream(b->stream, b->messages[i] + at, (unsigned)(end - at), 0,
			    b->scratch, on_match, &s) == HS_SUCCESS;
		at = end;
		if (at == header || at == b->len[i]) {
			good &=
			    hs_reset_stream(b->stream, 0, b->scratch, on_match, &s) == HS_SUCCESS;
			s.in_body = true;
		}
	}
	if (hit)
		memcpy(hit, s.hit, sizeof(s.hit));
	return good;
}

/* ---- both ---- */

static bool equal(struct bench *b, unsigned long *ret_hits)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		uint64_t a[BITS] = { 0 }, p[BITS] = { 0 };

		if (!ours(b, i, a) || !plain(b, i, p)) {
			fprintf(stderr, "bench-patterns: message %u was not scanned\n", i);
			return false;
		}
		for (unsigned id = 0; id < EXPRESSIONS; id++) {
			bool x = a[id / 64] >> (id % 64) & 1, y = p[id / 64] >> (id % 64) & 1;

			*ret_hits += x;
			if (x != y) {
				fprintf(stderr,
				    "bench-patterns: message %u: only %s matches %s: %s\n", i,
				    x ? "ours" : "the plain one", zones[b->zone[id]].ours,
				    b->expressions[id]);
				return false;
			}
		}
	}
	return true;
}

static double window(struct bench *b, bool plainly, double rate)
{
	uint64_t t0 = meter_tsc();

	for (unsigned i = 0; i < MESSAGES; i++)
		(void)(plainly ? plain(b, i, NULL) : ours(b, i, NULL));
	return (double)(meter_tsc() - t0) / rate / MESSAGES / 1000;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "windows", required_argument, NULL, 'w' }, { "each", no_argument, NULL, 'e' },
		{ "seed", required_argument, NULL, 's' }, { 0 } };
	struct bench *b = calloc(1, sizeof(*b));
	struct report report = { .unit = "us/message", .rules = EXPRESSIONS };
	unsigned windows = 11;
	unsigned long hits = 0;
	bool json = false;
	double rate;
	int c;

	if (!b)
		return 1;
	b->seed = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j': json = true; break;
		case 'w': windows = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'e': b->each = true; break;
		case 's': b->seed = (unsigned)strtoul(optarg, NULL, 10); break;
		default:
			fputs("usage: bench-patterns [--json] [--windows N] [--each] [--seed N]\n",
			    stderr);
			return 2;
		}
	}
	if (windows < 1 || windows > REPORT_WINDOWS_MAX)
		windows = 11;
	report.claim = b->each ? "patterns-each" : "patterns";
	report.baseline_name = b->each ? "one streaming database, every match"
				       : "one streaming database, each expression once";
	report.target_ratio = b->each ? 1 / 1.8 : 1 / 1.5;
	make_words(b);
	make_expressions(b);
	for (unsigned i = 0; i < MESSAGES; i++)
		make_message(b, i);
	if (!open_ours(b) || !open_plain(b) || !equal(b, &hits))
		return 1;
	if (hits < MESSAGES) {
		fprintf(
		    stderr, "bench-patterns: %lu matches in all: the expressions are idle\n", hits);
		return 1;
	}
	rate = meter_rate();
	for (unsigned i = 0; i < windows; i++) {
		double a = window(b, i % 2, rate), z = window(b, !(i % 2), rate);

		report_add(&report, i % 2 ? z : a, i % 2 ? a : z);
	}
	report_print(&report, json);
	pattern_workspace_free(b->ws);
	pattern_close(b->set);
	hs_close_stream(b->stream, NULL, NULL, NULL);
	hs_free_scratch(b->scratch);
	hs_free_database(b->plain);
	free(b->part);
	free(b);
	return 0;
}
