/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages before PCRE2: each zone's text is the one that Hyperscan saw, so that an expression with
 * `confirm` hits what the same expression without it hits. */
#include "pattern_confirm.h"
#include "pattern_part.h"

enum { BYTES = 20000 };
static const struct pattern_limits limits = { 4, 100000, 100000 };

struct rig {
	void *part;
	struct pattern_set *set;
	struct pattern_workspace *ws;
	struct confirm_reader *reader;
	uint8_t lines[200];
	size_t lines_len;
	bool cut, stuffed;
	unsigned answers[CONFIRM_N_ANSWERS];
};

static void rig_make(struct rig *r, const char *text, const struct pattern_limits *l)
{
	memset(r, 0, sizeof(*r));
	r->set = set_make(text, &r->part);
	assert_int_equal(pattern_workspace_new(r->set, l, &r->ws), 0);
	assert_int_equal(confirm_reader_new(&confirm_limits_default, BYTES, &r->reader), 0);
}

static void rig_end(struct rig *r)
{
	assert_int_equal(pattern_workspace_open(r->ws), 0);
	confirm_reader_free(r->reader);
	pattern_workspace_free(r->ws);
	pattern_close(r->set);
	free(r->part);
}

static void line(struct rig *r, struct pattern_message *m, enum pattern_zone zone, const char *text)
{
	size_t n = confirm_line_put(
	    r->lines + r->lines_len, sizeof(r->lines) - r->lines_len, zone, text, strlen(text));

	assert_true(n > 0);
	r->lines_len += n;
	pattern_message_line(m, zone, text, strlen(text));
}

static size_t stuff(const char *p, size_t n, uint8_t *to)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '.' && (i == 0 || (i > 1 && p[i - 1] == '\n' && p[i - 2] == '\r')))
			to[k++] = '.';
		to[k++] = (uint8_t)p[i];
	}
	return k;
}

/* Scanned, confirmed, settled. r->lines and r->cut are forgotten afterwards. */
static void end(struct rig *r, struct pattern_message *m, const char *p, size_t n, bool stuffed,
    struct pattern_hits *hits)
{
	static uint8_t wire[2 * BYTES];
	struct confirm_candidate c[CONFIRM_CANDIDATES];
	struct confirm_message message = { .bytes = wire,
		.stuffed = stuffed,
		.cut = r->cut,
		.depth = pattern_workspace_limits(r->ws)->depth,
		.decoded_depth = pattern_workspace_limits(r->ws)->decoded_depth,
		.lines = r->lines,
		.lines_len = r->lines_len };
	const uint16_t *candidates;
	unsigned k;

	assert_true(pattern_message_feed(m, p, n));
	if (!r->cut)
		pattern_message_finish(m);
	if (stuffed)
		message.len = stuff(p, n, wire);
	else
		memcpy(wire, p, message.len = n);
	k = pattern_message_candidates(m, &candidates);
	for (unsigned i = 0; i < k; i++)
		c[i] = (struct confirm_candidate){ r->set, candidates[i], 99 };
	confirm_read(r->reader, &message, c, k, NULL, NULL);
	memset(r->answers, 0, sizeof(r->answers));
	for (unsigned i = 0; i < k; i++) {
		r->answers[c[i].answer]++;
		if (c[i].answer == CONFIRM_YES || c[i].answer == CONFIRM_NO)
			pattern_message_settle(m, c[i].expression, c[i].answer == CONFIRM_YES);
	}
	pattern_message_end(m, hits);
	r->lines_len = 0;
	r->cut = false;
}

static const char *hits_of(struct rig *r, const char *text)
{
	struct pattern_message *m = pattern_message_begin(r->ws);
	struct pattern_hits hits;

	end(r, m, text, strlen(text), true, &hits);
	return hit_names(r->set, &hits);
}

static void test_zones(void **state)
{
	struct pattern_message *m;
	struct pattern_hits hits;
	struct rig r;

	(void)state;
	rig_make(&r,
	    "subject:/^(\\w+) \\1$/i name=SUBJECT score=1 confirm\n"
	    "header:From:/(?<!good)@example\\.net$/ name=FROM score=1 confirm\n"
	    "header:/^Received: (?!from z).*\\r\\n\\tby/m name=RAW score=1 confirm\n"
	    "header:/^Received: (?!from z).*\\tby b$/m name=UNFOLDED score=1 confirm\n"
	    "body:/secret (?!agent)/ name=BODY score=1 confirm\n"
	    "text:/(?<!no )Viagra now/ name=TEXT score=1 confirm\n"
	    "url:/^(?!www)[a-z]+\\.bad\\.example$/ name=URL score=1 confirm\n"
	    "uri:/Path\\?(?!q=1)q/ name=URI score=1 confirm\n"
	    "helo:/^(?!mail)[a-z]+host$/ name=HELO score=1 confirm\n"
	    "envelope:/^to:(.)\\1@/ name=ENV score=1 confirm\n"
	    "meta BOTH = HELO && ENV score=1\n",
	    &limits);
	assert_string_equal(hits_of(&r, "Subject: WIN win\r\n\r\nx\r\n"), "SUBJECT");
	assert_string_equal(hits_of(&r, "Subject: WIN wine\r\n\r\nx\r\n"), "");
	assert_string_equal(
	    hits_of(&r, "Subject: =?x?q?wi?=\r\n =?x?b?biB3aW4=?=\r\n\r\n"), "SUBJECT");
	assert_string_equal(hits_of(&r, "Subject: no no\r\nSubject: a b\r\n\r\n"), "SUBJECT");
	assert_string_equal(hits_of(&r, "from: a@example.net\r\n\r\n"), "FROM");
	assert_string_equal(hits_of(&r, "FROM: good@example.net\r\n\r\n"), "");
	assert_string_equal(hits_of(&r, "Received: from a\r\n\tby b\r\n\r\n"), "RAW UNFOLDED");
	assert_string_equal(hits_of(&r, "Received: from z\r\n\tby b\r\n\r\n"), "");
	assert_string_equal(hits_of(&r, "A: x\r\n\r\na secret word"), "BODY");
	assert_string_equal(hits_of(&r, "A: x\r\n\r\na secret agent"), "");
	assert_string_equal(hits_of(&r, "Content-Transfer-Encoding: base64\r\n\r\n"
					"YSBzZWNyZXQg\r\nd29yZA==\r\n"),
	    "BODY");
	assert_string_equal(
	    hits_of(&r, "Content-Type: text/html\r\n\r\nVia<b>gra</b>\r\nnow"), "TEXT");
	assert_string_equal(
	    hits_of(&r, "Content-Type: text/html\r\n\r\n<p>no Via<b>gra</b>\r\nnow"), "");
	assert_string_equal(hits_of(&r, "\r\nhttp://WEB.bad.example/Path?q"), "URL URI");
	assert_string_equal(hits_of(&r, "\r\nhttp://WWW.bad.example/Path?q=1"), "");
	assert_string_equal(hits_of(&r, "\r\n.secret agent\r\n..secret x\r\n"), "BODY");
	m = pattern_message_begin(r.ws);
	line(&r, m, PATTERN_HELO, "localhost");
	line(&r, m, PATTERN_ENVELOPE, "to:ab@example.org");
	line(&r, m, PATTERN_ENVELOPE, "to:aa@example.org");
	end(&r, m, "\r\n", 2, true, &hits);
	assert_string_equal(hit_names(r.set, &hits), "HELO ENV BOTH");
	m = pattern_message_begin(r.ws);
	line(&r, m, PATTERN_HELO, "mailhost");
	line(&r, m, PATTERN_ENVELOPE, "to:ab@example.org");
	end(&r, m, "\r\n", 2, true, &hits);
	assert_string_equal(hit_names(r.set, &hits), "");
	rig_end(&r);
}

static void test_what_goes_on(void **state)
{
	struct rig r;
	struct pattern_hits hits;
	struct {
		const char *text, *hits;
		enum confirm_answer answer;
	} t[] = {
		/* what follows may be "bar", more of the number, or anything */
		{ "\r\nfoo", "", CONFIRM_OPEN }, { "\r\nfoob", "", CONFIRM_OPEN },
		{ "\r\nfood ", "FOO", CONFIRM_YES }, { "\r\nfoobar ", "", CONFIRM_NO },
		{ "\r\nid=17 id=17", "", CONFIRM_OPEN }, { "\r\nid=17 id=17 ", "ID", CONFIRM_YES },
		{ "Subject: a\r\n\r\n", "LAST", CONFIRM_YES }, /* the header is over */
	};

	(void)state;
	rig_make(&r,
	    "body:/foo(?!bar)/ name=FOO score=1 confirm\n"
	    "body:/id=(\\d+) id=\\1(?!\\d)/ name=ID score=1 confirm\n"
	    "header:/(?<=a)\\r\\n\\r\\n$/ name=LAST score=1 confirm\n",
	    &limits);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct pattern_message *m = pattern_message_begin(r.ws);

		r.cut = true;
		end(&r, m, t[i].text, strlen(t[i].text), true, &hits);
		if (strcmp(hit_names(r.set, &hits), t[i].hits) != 0 || !r.answers[t[i].answer])
			fail_msg("%u: %s", i, hit_names(r.set, &hits));
		assert_int_equal(hits.n_confirm, t[i].answer == CONFIRM_OPEN);
	}
	assert_string_equal(hits_of(&r, "\r\nfoo"), "FOO");
	rig_end(&r);
}

static bool never(void *arg)
{
	++*(unsigned *)arg;
	return false;
}

static bool at_once(void *arg)
{
	++*(unsigned *)arg;
	return true;
}

static uint16_t expression_of(const struct pattern_set *set, const char *name)
{
	for (unsigned i = 0; i < pattern_n_expressions(set); i++) {
		struct pattern_expression e;
		struct pattern_rule rule;

		pattern_expression_get(set, i, &e);
		pattern_rule_get(set, e.rule, &rule);
		if (strcmp(rule.name, name) == 0)
			return (uint16_t)i;
	}
	fail_msg("no %s", name);
	return 0;
}

static void test_bounds(void **state)
{
	struct pattern_limits small = { 4, 40, 10 };
	struct confirm_candidate c[2];
	struct confirm_message message = { .depth = 100000, .decoded_depth = 100000 };
	static char text[3 * BYTES];
	unsigned asked = 0;
	struct rig r;

	(void)state;
	rig_make(&r,
	    "body:/(?<!x)end/ name=END score=1 confirm\ntext:/(?<!x)far/ name=FAR score=1 confirm\n"
	    "body:/^(a+)+(?<!b)$/m name=SLOW score=1 confirm\n",
	    &small);
	/* deeper than Hyperscan looked PCRE2 does not look either */
	memset(text, ' ', 100);
	memcpy(text, "\r\nxend", 6);
	memcpy(text + 60, "end", 4);
	assert_string_equal(hits_of(&r, text), "");
	assert_int_equal(r.answers[CONFIRM_NO], 1);
	assert_string_equal(hits_of(&r, "\r\nxfarfar far"), "FAR");
	assert_string_equal(hits_of(&r, "\r\nxfarxxxx far"), "");
	/* a message longer than the reader's memory is cut there */
	memset(text, 'y', sizeof(text));
	memcpy(text, "\r\n", 2);
	c[0] = (struct confirm_candidate){ r.set, expression_of(r.set, "END"), 0 };
	message.bytes = (const uint8_t *)text;
	message.len = sizeof(text);
	memcpy(text + BYTES - 3, "end", 3);
	confirm_read(r.reader, &message, c, 1, NULL, NULL);
	assert_int_equal(c[0].answer, CONFIRM_YES);
	memcpy(text + BYTES - 3, "yend", 4);
	confirm_read(r.reader, &message, c, 1, NULL, NULL);
	assert_int_not_equal(c[0].answer, CONFIRM_YES);
	/* out of steps; out of time, before it begins and within */
	memset(text, 'a', 100);
	memcpy(text, "\r\n", 2);
	memcpy(text + 100, "!\r\n", 3);
	message.len = 103;
	c[0].expression = expression_of(r.set, "SLOW");
	confirm_read(r.reader, &message, c, 1, NULL, NULL);
	assert_int_equal(c[0].answer, CONFIRM_COSTLY);
	confirm_read(r.reader, &message, c, 1, never, &asked);
	assert_int_equal(c[0].answer, CONFIRM_COSTLY);
	assert_true(asked > 1000);
	asked = 0;
	confirm_read(r.reader, &message, c, 1, at_once, &asked);
	assert_int_equal(c[0].answer, CONFIRM_COSTLY);
	assert_int_equal(asked, 1);
	/* lines: none that does not fit */
	assert_int_equal(confirm_line_put((uint8_t *)text, 5, PATTERN_HELO, "abc", 3), 0);
	assert_int_equal(confirm_line_put((uint8_t *)text, 6, PATTERN_HELO, "abc", 3), 6);
	rig_end(&r);
}

/* The pin: a set outlives its last message as long as somebody holds it. */
static void test_held(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, "body:/a(?!b)/ name=A score=1 confirm\n", &limits);
	pattern_workspace_hold(r.ws);
	assert_string_equal(hits_of(&r, "\r\nac"), "A");
	assert_int_equal(pattern_workspace_open(r.ws), 1);
	pattern_workspace_let_go(r.ws);
	rig_end(&r);
}

/* ---- the property ---- */

static const char *const expressions[] = {
	"header:/^Sub.*b\\r?$/m",
	"header:/a.*=/s",
	"header:/\\r\\n[^:]+$/",
	"header:/-Type: multi/i",
	"subject:/a.?b/",
	"header:Content-Type:/html$/",
	"body:/hello/",
	"body:/h.l+o/i",
	"body:/^--b/m",
	"body:/\\bx[^x]{3,20}x\\b/s",
	"body:/(a|bb)+c?\\r\\n$/",
	"body:/^\\./m",
	"body:/[<>]{2}/",
	"text:/hello x/",
	"text:/&[^z]{0,9}x/",
	"text:/^x/",
	"text:/ . . /",
	"url:/^a\\.b/",
	"uri:/x$/",
};
enum { N_EXPRESSIONS = sizeof(expressions) / sizeof(*expressions) };

static void test_the_same_texts(void **state)
{
	static const char *const words[] = { "--b", "--b--", "\r\n", "\r\n\r\n", "\r\n", "=3D",
		"=\r\n", "Content-Type: text/html\r\n", "Content-Type: message/rfc822\r\n",
		"Content-Transfer-Encoding: base64\r\n", "aGVsbG8geA", "\r\n\r\nhello x ",
		"Content-Transfer-Encoding: quoted-printable\r\n", "aGVs", "bG8=", "<", ">",
		"&amp;", "&#x41; ", "<p>", "\"", " ", "\t", "Subject: ab", "=?a?b?YQ==?=", "-", "x",
		"bbc", "hello x", "HeLLo", ".", "\r\n.\r\n", "\r\n..", " http://A.b/x? " };
	char text[4000] = "";
	struct pattern_hits hits;
	struct rig plain, confirmed;
	bool ever[N_EXPRESSIONS] = { false };
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < N_EXPRESSIONS; i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "%s name=R%02u score=1\n", expressions[i], i);
	rig_make(&plain, text, &limits);
	/* as many as one message may have confirmed, of both ends of the table */
	for (unsigned half = 0; half < 2; half++) {
		unsigned first = half ? N_EXPRESSIONS - PATTERN_MAX_CONFIRM : 0;

		n = 0;
		for (unsigned i = 0; i < N_EXPRESSIONS; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%s name=R%02u score=1%s\n", expressions[i], i,
			    i >= first && i < first + PATTERN_MAX_CONFIRM ? " confirm" : "");
		rig_make(&confirmed, text, &limits);
		for (unsigned seed = 1; seed <= 400; seed++) {
			struct pattern_message *m = pattern_message_begin(plain.ws);
			unsigned s = seed;
			char wanted[4096];

			n = (size_t)snprintf(text, sizeof(text),
			    "Content-Type: multipart/mixed; boundary=b\r\n%s",
			    seed % 2 ? "\r\n--b\r\n" : "");
			while (n < 700)
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%s",
				    words[(unsigned)rand_r(&s) % (sizeof(words) / sizeof(*words))]);
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s",
			    seed % 3 == 0   ? "\r\nbbc\r\n"
			    : seed % 3 == 1 ? "\r\n\r\nhello"
					    : "");
			end(&plain, m, text, n, false, &hits);
			snprintf(wanted, sizeof(wanted), "%s", hit_names(plain.set, &hits));
			for (unsigned i = 0; i < hits.n; i++)
				ever[hits.rule[i]] = true;
			m = pattern_message_begin(confirmed.ws);
			end(&confirmed, m, text, n, seed % 2, &hits);
			if (strcmp(wanted, hit_names(confirmed.set, &hits)) != 0)
				fail_msg("seed %u: %s instead of %s", seed,
				    hit_names(confirmed.set, &hits), wanted);
		}
		rig_end(&confirmed);
	}
	for (unsigned i = 0; i < N_EXPRESSIONS; i++)
		if (!ever[i])
			fail_msg("%s was idle", expressions[i]);
	rig_end(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_what_goes_on),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_the_same_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
