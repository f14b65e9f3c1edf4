/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages through a set: each zone, the bounds, and one property: whatever the pieces, the hits
 * are those of a block scan of each decoded zone. */
#include "pattern_part.h"

#include <hs/hs.h>

static const struct pattern_limits limits = { 4, 100000, 100000 };

struct rig {
	void *part;
	struct pattern_set *set;
	struct pattern_workspace *ws;
};

static void rig_make(struct rig *r, const char *text, const struct pattern_limits *l)
{
	r->set = set_make(text, &r->part);
	assert_int_equal(pattern_workspace_new(r->set, l, &r->ws), 0);
}

static void rig_end(struct rig *r)
{
	assert_int_equal(pattern_workspace_open(r->ws), 0);
	pattern_workspace_free(r->ws);
	pattern_close(r->set);
	free(r->part);
}

/* seed 0: in one piece. */
static void scan(struct rig *r, const char *p, size_t n, unsigned seed, struct pattern_hits *hits)
{
	struct pattern_message *m = pattern_message_begin(r->ws);
	size_t i = 0;

	assert_non_null(m);
	while (i < n) {
		size_t k = seed ? 1 + (size_t)rand_r(&seed) % (rand_r(&seed) % 4 ? 9 : 200) : n;

		if (k > n - i)
			k = n - i;
		assert_true(pattern_message_feed(m, p + i, k));
		i += k;
	}
	pattern_message_end(m, hits);
}

static const char *hits_of(struct rig *r, const char *text)
{
	struct pattern_hits hits;

	scan(r, text, strlen(text), 0, &hits);
	return hit_names(r->set, &hits);
}

static void test_zones(void **state)
{
	struct rig r;
	struct pattern_hits hits;

	(void)state;
	rig_make(&r,
	    "subject:/^win$/i name=SUBJECT score=1\nheader:From:/@example\\.net$/ name=FROM "
	    "score=1\n"
	    "header:/^Received: .*\\r\\n\\tby/m name=RAW score=1\n"
	    "header:/^Received: from a\\tby b$/m name=UNFOLDED score=1\n"
	    "body:/secret word/ name=BODY score=1\nbody:\"(x)\" i name=QUOTED score=1\n"
	    "text:/Viagra now/ name=TEXT score=1\nurl:/^www\\.bad\\.example$/ name=URL score=1\n"
	    "uri:/\\/Path\\?q/ name=URI score=1\nhelo:/^localhost$/ name=HELO score=1\n"
	    "envelope:/^from:.*@bad\\.example$/ name=ENV score=1\nbody:\"cat\" word name=WORD "
	    "score=1\n",
	    &limits);
	assert_string_equal(hits_of(&r, "Subject: WIN\r\n\r\nwin\r\n"), "SUBJECT");
	assert_string_equal(hits_of(&r, "Subject: =?x?q?wi?=\r\n =?x?b?bg==?=\r\n\r\n"), "SUBJECT");
	assert_string_equal(hits_of(&r, "X: WIN\r\nfrom: a@example.net\r\n\r\n"), "FROM");
	assert_string_equal(hits_of(&r, "Received: from a\r\n\tby b\r\n\r\n"), "RAW UNFOLDED");
	assert_string_equal(hits_of(&r, "A: secret word\r\n\r\na secret word (X)"), "BODY QUOTED");
	assert_string_equal(hits_of(&r, "Content-Transfer-Encoding: base64\r\n\r\n"
					"YSBzZWNyZXQg\r\nd29yZA==\r\n"),
	    "BODY");
	assert_string_equal(hits_of(&r, "\r\ncats catch scat\r\n"), "");
	assert_string_equal(hits_of(&r, "\r\na cat.\r\n"), "WORD");
	assert_string_equal(
	    hits_of(&r, "Content-Type: text/html\r\n\r\nVia<b>gra</b>\r\nnow"), "TEXT");
	assert_string_equal(hits_of(&r, "\r\nhttp://WWW.bad.example/Path?q"), "URL URI");
	assert_string_equal(hits_of(&r, "\r\nhttp://www.bad.example.org/"), "");
	pattern_line(r.ws, PATTERN_HELO, "localhost", 9, &hits);
	assert_string_equal(hit_names(r.set, &hits), "HELO");
	pattern_line(r.ws, PATTERN_ENVELOPE, "from:x@bad.example", 18, &hits);
	assert_string_equal(hit_names(r.set, &hits), "ENV");
	pattern_line(r.ws, PATTERN_ENVELOPE, "", 0, &hits);
	assert_string_equal(hit_names(r.set, &hits), "");
	rig_end(&r);
}

static void test_metas(void **state)
{
	struct rig r;
	struct pattern_message *m;
	struct pattern_hits hits;

	(void)state;
	rig_make(&r,
	    "body:/a/ name=A\nbody:/b/ name=B\nhelo:/h/ name=H\nbody:/z/ name=Z score=1 "
	    "action=refuse\n"
	    "meta AND = A && B score=1\nmeta NOR = !(A || B) score=1\nmeta MANY = A + B + H >= 2 "
	    "score=1\n"
	    "meta DEEP = AND && !NOR && MANY score=1\nmeta MATH = A * 3 - B == 2 score=1\n",
	    &limits);
	assert_string_equal(hits_of(&r, "\r\nxx"), "NOR");
	assert_string_equal(hits_of(&r, "\r\na"), "");
	assert_string_equal(hits_of(&r, "\r\nab"), "AND MANY DEEP MATH");
	m = pattern_message_begin(r.ws);
	pattern_message_line(m, PATTERN_HELO, "h", 1);
	pattern_message_feed(m, "\r\na", 3);
	pattern_message_peek(m, &hits);
	assert_string_equal(hit_names(r.set, &hits), "MANY");
	assert_false(pattern_message_hot(m));
	pattern_message_feed(m, "z", 1);
	assert_true(pattern_message_hot(m));
	pattern_message_feed(m, "b", 1);
	pattern_message_end(m, &hits);
	assert_string_equal(hit_names(r.set, &hits), "Z AND MANY DEEP MATH");
	rig_end(&r);
}

static void test_confirm(void **state)
{
	struct rig r;
	struct pattern_message *m;
	struct pattern_hits hits;
	uint64_t bits[1];
	uint16_t none[1] = { 0 };

	(void)state;
	rig_make(&r,
	    "body:/(?<!un)subscribe/ name=SUB score=1 confirm\nbody:/x/ name=X score=1\n"
	    "meta BOTH = X && SUB score=1\nmeta NOT = !SUB score=1\n",
	    &limits);
	m = pattern_message_begin(r.ws);
	pattern_message_feed(m, "\r\nx subscribe unsubscribe", 25);
	pattern_message_finish(m);
	pattern_message_bits(m, bits);
	pattern_message_end(m, &hits);
	assert_int_equal(hits.n_confirm, 1);
	pattern_confirmed(r.set, bits, hits.confirm, 1, &hits);
	assert_string_equal(hit_names(r.set, &hits), "SUB X BOTH");
	pattern_confirmed(r.set, bits, none, 0, &hits);
	assert_string_equal(hit_names(r.set, &hits), "X NOT");
	rig_end(&r);
}

static void test_bounds(void **state)
{
	char text[8000];
	struct rig r;
	struct pattern_hits hits;
	struct pattern_message *m[5];
	struct pattern_limits small = { 4, 50, 10 };
	size_t n = 0;

	(void)state;
	/* hits and confirmations beyond their number are counted, metas still see them */
	for (unsigned i = 0; i < PATTERN_MAX_HITS + 6; i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "body:/x/ name=R%02u score=1\n", i);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "body:/x/ name=LAST action=refuse\n");
	for (unsigned i = 0; i < PATTERN_MAX_CONFIRM + 3; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "body:/(?<!y)x.{%u}/ name=C score=1 confirm\n", i + 1);
	rig_make(&r, text, &small);
	scan(&r, "\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 31, 0, &hits);
	assert_int_equal(hits.n, PATTERN_MAX_HITS);
	assert_int_equal(hits.n_more, 7);
	/* what acts is not among those left out */
	assert_int_equal(strncmp(hit_names(r.set, &hits), "LAST R00 ", 9), 0);
	assert_int_equal(hits.n_confirm, PATTERN_MAX_CONFIRM);
	assert_int_equal(hits.n_unconfirmed, 3);
	assert_int_equal(pattern_counts(r.ws)->hits_cut, 1);
	assert_int_equal(pattern_counts(r.ws)->confirm_cut, 1);
	rig_end(&r);

	rig_make(&r, "body:/end/ name=END score=1\ntext:/far/ name=FAR score=1\n", &small);
	/* depth: in front of it and across it */
	memset(text, ' ', sizeof(text));
	memcpy(text, "\r\n", 2);
	memcpy(text + 47, "end", 4);
	assert_string_equal(hits_of(&r, text), "END");
	assert_int_equal(pattern_counts(r.ws)->too_deep, 0);
	memcpy(text + 47, " end", 5);
	assert_string_equal(hits_of(&r, text), "");
	assert_int_equal(pattern_counts(r.ws)->too_deep, 1);
	assert_string_equal(hits_of(&r, "\r\nxxxxxxxfar"), "FAR");
	assert_string_equal(hits_of(&r, "\r\nxxxxxxxxfar"), "");
	/* states: the fifth message is failed, never clean */
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(m[i] = pattern_message_begin(r.ws));
	assert_null(pattern_message_begin(r.ws));
	assert_int_equal(pattern_counts(r.ws)->failed_state, 1);
	assert_int_equal(pattern_workspace_open(r.ws), 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(pattern_message_feed(m[i], "\r\nthe en", 8));
		if (i == 1)
			pattern_message_drop(m[i]);
	}
	pattern_message_drop(NULL);
	assert_non_null(m[1] = pattern_message_begin(r.ws));
	assert_true(pattern_message_feed(m[1], "\r\nd", 3)); /* knows nothing of the one before */
	assert_true(pattern_message_feed(m[0], "d", 1));
	for (unsigned i = 0; i < 4; i++) {
		pattern_message_end(m[i], &hits);
		assert_string_equal(hit_names(r.set, &hits), i == 0 ? "END" : "");
	}
	assert_true(pattern_workspace_bytes(r.ws) > 4 * sizeof(struct pattern_message));
	rig_end(&r);
}

/* No stream left, or an error of Hyperscan: failed, and the next message is not. */
static void test_failed(void **state)
{
	struct rig r;
	struct pattern_message *m;
	struct pattern_hits hits;
	hs_scratch_t *scratch;
	uint32_t had;

	(void)state;
	rig_make(&r, "body:/end/ name=END score=1\n", &limits);
	had = r.ws->streams[STREAM_BODY].n_free;
	r.ws->streams[STREAM_BODY].n_free = 0;
	m = pattern_message_begin(r.ws);
	assert_false(pattern_message_feed(m, "\r\nthe end", 9));
	pattern_message_peek(m, &hits);
	assert_true(hits.failed);
	pattern_message_end(m, &hits);
	assert_true(hits.failed);
	assert_int_equal(hits.n, 0);
	assert_int_equal(pattern_counts(r.ws)->failed_state, 1);
	r.ws->streams[STREAM_BODY].n_free = had;

	m = pattern_message_begin(r.ws);
	assert_true(pattern_message_feed(m, "\r\nthe e", 7));
	scratch = r.ws->scratch;
	r.ws->scratch = NULL;
	assert_false(pattern_message_feed(m, "nd", 2));
	r.ws->scratch = scratch;
	pattern_message_end(m, &hits);
	assert_true(hits.failed);
	assert_int_equal(pattern_counts(r.ws)->failed_scan, 1);
	assert_int_equal(r.ws->streams[STREAM_BODY].n_free, had);
	assert_string_equal(hits_of(&r, "\r\nthe end"), "END");
	/* a database that reports what the part does not hold */
	r.set->zones[PATTERN_BODY].n = 0;
	m = pattern_message_begin(r.ws);
	assert_false(pattern_message_feed(m, "\r\nthe end", 9));
	pattern_message_end(m, &hits);
	assert_true(hits.failed);
	rig_end(&r);
}

/* ---- the property ---- */

static const struct {
	const char *zone, *expression;
	unsigned flags;
} mixed[] = {
	{ "header", "^Sub.*b\\r?$", HS_FLAG_MULTILINE },
	{ "header", "a.*=", HS_FLAG_DOTALL },
	{ "header", "\\r\\n[^:]+$", 0 },
	{ "header", "-Type: multi", HS_FLAG_CASELESS },
	{ "body", "hello", 0 },
	{ "body", "h.l+o", HS_FLAG_CASELESS },
	{ "body", "^--b", HS_FLAG_MULTILINE },
	{ "body", "\\bx[^x]{3,20}x\\b", HS_FLAG_DOTALL },
	{ "body", "(a|bb)+c?\\r\\n$", 0 },
	{ "body", "\\n\\n", 0 },
	{ "body", "x$", 0 },
	{ "body", "[<>]{2}", 0 },
	{ "text", "hello x", 0 },
	{ "text", "&[^z]{0,9}x", 0 },
	{ "text", "A A", 0 },
	{ "text", "^x", 0 },
	{ "text", "o $", 0 },
	{ "text", " . . ", 0 },
};
enum { N_MIXED = sizeof(mixed) / sizeof(*mixed), TEXTS = 5, TEXT_ROOM = 1 << 14 };

struct texts {
	char text[TEXTS][TEXT_ROOM]; /* header, changed fields, body, decoded, as read */
	size_t n[TEXTS];
};

static void keep(struct texts *t, unsigned which, const void *p, size_t n)
{
	assert_true(n <= TEXT_ROOM - t->n[which]);
	memcpy(t->text[which] + t->n[which], p, n);
	t->n[which] += n;
}

static void keep_header(void *arg, const uint8_t *p, size_t n)
{
	keep(arg, 0, p, n);
}

static void keep_field(void *arg, const struct mime_field *f)
{
	if (!f->changed)
		return;
	keep(arg, 1, f->name, f->name_len);
	keep(arg, 1, ": ", 2);
	keep(arg, 1, f->decoded, f->decoded_len);
	keep(arg, 1, "\n", 1);
}

static void keep_body(void *arg, const uint8_t *p, size_t n)
{
	keep(arg, 2, p, n);
}

static void keep_decoded(void *arg, const uint8_t *p, size_t n)
{
	keep(arg, 3, p, n);
}

static void keep_text(void *arg, const uint8_t *p, size_t n)
{
	keep(arg, 4, p, n);
}

static int matched(
    unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	(void)from, (void)to, (void)flags;
	*(uint64_t *)arg |= 1ull << id;
	return 0;
}

/* The plain way: each zone's whole text, one block scan per expression. */
static uint64_t reference(
    hs_database_t *const *dbs, hs_scratch_t *scratch, const char *message, size_t n)
{
	static const struct mime_sink sink = { .header = keep_header,
		.field = keep_field,
		.body = keep_body,
		.decoded = keep_decoded,
		.text = keep_text };
	static struct texts t;
	static struct mime mime;
	uint64_t hit = 0;

	memset(t.n, 0, sizeof(t.n));
	mime_init(&mime, &sink, &t);
	mime_feed(&mime, (const uint8_t *)message, n);
	mime_end(&mime);
	for (unsigned i = 0; i < N_MIXED; i++)
		for (unsigned which = 0; which < TEXTS; which++) {
			static const char *const zones[] = { "header", "header", "body", "body",
				"text" };
			uint64_t any = 0;

			if (strcmp(zones[which], mixed[i].zone) != 0 || t.n[which] == 0)
				continue;
			assert_int_equal(hs_scan(dbs[i], t.text[which], (unsigned)t.n[which], 0,
					     scratch, matched, &any),
			    HS_SUCCESS);
			hit |= any ? 1ull << i : 0;
		}
	return hit;
}

static void test_any_pieces(void **state)
{
	static const char *const words[] = { "--b", "--b--", "\r\n", "\r\n\r\n", "\r\n", "=3D",
		"=\r\n", "Content-Type: text/html\r\n", "Content-Type: message/rfc822\r\n",
		"Content-Transfer-Encoding: base64\r\n", "aGVsbG8geA", "\r\n\r\nhello x ",
		"Content-Transfer-Encoding: quoted-printable\r\n", "aGVs", "bG8=", "<", ">",
		"&amp;", "&#x41; ", "<p>", "\"", " ", "\t", "Subject: ab", "=?a?b?YQ==?=", "-", "x",
		"bbc", "hello x", "HeLLo" };
	char text[2000] = "";
	size_t n = 0;
	struct rig r;
	hs_database_t *dbs[N_MIXED];
	hs_scratch_t *scratch = NULL;
	hs_compile_error_t *error;
	uint64_t ever = 0;

	(void)state;
	for (unsigned i = 0; i < N_MIXED; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "%s:/%s/%s%s%s name=R%02u score=1\n", mixed[i].zone, mixed[i].expression,
		    mixed[i].flags & HS_FLAG_MULTILINE ? "m" : "",
		    mixed[i].flags & HS_FLAG_CASELESS ? "i" : "",
		    mixed[i].flags & HS_FLAG_DOTALL ? "s" : "", i);
		assert_int_equal(hs_compile(mixed[i].expression, mixed[i].flags | HS_FLAG_ALLOWEMPTY,
				     HS_MODE_BLOCK, NULL, &dbs[i], &error),
		    HS_SUCCESS);
		assert_int_equal(hs_alloc_scratch(dbs[i], &scratch), HS_SUCCESS);
	}
	rig_make(&r, text, &limits);
	for (unsigned seed = 1; seed <= 300; seed++) {
		unsigned s = seed;
		uint64_t expected;
		struct pattern_hits hits;

		n = (size_t)snprintf(text, sizeof(text),
		    "Content-Type: multipart/mixed; boundary=b\r\n%s",
		    seed % 2 ? "\r\n--b\r\n" : "");
		while (n < 500)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s",
			    words[(unsigned)rand_r(&s) % (sizeof(words) / sizeof(*words))]);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s",
		    seed % 3 == 0   ? "\r\nbbc\r\n"
		    : seed % 3 == 1 ? "\r\n\r\nhello"
				    : "");
		expected = reference(dbs, scratch, text, n);
		ever |= expected;
		for (unsigned k = 0; k < 8; k++) {
			uint64_t got = 0;

			scan(&r, text, n, k ? seed * 100 + k : 0, &hits);
			assert_false(hits.failed);
			for (unsigned i = 0; i < hits.n; i++)
				got |= 1ull << hits.rule[i];
			if (got != expected)
				fail_msg("seed %u pieces %u: %#llx instead of %#llx", seed, k,
				    (unsigned long long)got, (unsigned long long)expected);
		}
	}
	assert_int_equal(ever, (1ull << N_MIXED) - 1); /* none of them was idle */
	rig_end(&r);
	for (unsigned i = 0; i < N_MIXED; i++)
		hs_free_database(dbs[i]);
	hs_free_scratch(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_metas),
		cmocka_unit_test(test_confirm),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_any_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
