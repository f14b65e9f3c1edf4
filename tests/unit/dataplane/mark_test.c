/* SPDX-License-Identifier: BSD-3-Clause */
/* The header of a marked message, and that nobody else's of that name gets through. */
#include "mark.h"

#include "filters/image_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Fed in pieces of `piece` bytes, in place as body.c does. */
static void strip(const char *message, size_t piece, char *ret)
{
	struct mark_strip m;
	size_t len = strlen(message), at = 0, n = 0;

	mark_strip_init(&m);
	while (at < len) {
		size_t k = len - at < piece ? len - at : piece;
		uint8_t *buf = malloc(MARK_HELD_MAX + k);

		assert_non_null(buf);
		memcpy(buf + MARK_HELD_MAX, message + at, k);
		k = mark_strip_feed(&m, buf + MARK_HELD_MAX, k, buf);
		memcpy(ret + n, buf, k);
		n += k;
		at += len - at < piece ? len - at : piece;
		free(buf);
	}
	n += mark_strip_end(&m, (uint8_t *)ret + n);
	ret[n] = '\0';
}

static void forged_fields_go_whatever_the_pieces(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "X-Postern: mark\r\nTo: a\r\n\r\nx\r\n", "To: a\r\n\r\nx\r\n" },
		{ "To: a\r\nx-postern: mark\r\n\tfolded\r\n more\r\nCc: b\r\n\r\n",
		    "To: a\r\nCc: b\r\n\r\n" },
		{ "X-Postern: 1\r\nX-Postern: 2\r\nX-POSTERN: 3\r\nA: b\r\n\r\n", "A: b\r\n\r\n" },
		/* of the body, or another name: not ours to touch */
		{ "A: b\r\n\r\nX-Postern: quoted\r\n", "A: b\r\n\r\nX-Postern: quoted\r\n" },
		{ "X-Postern-Old: 1\r\nX-Poster: 2\r\nA: X-Postern: 3\r\n\r\n",
		    "X-Postern-Old: 1\r\nX-Poster: 2\r\nA: X-Postern: 3\r\n\r\n" },
		{ "\r\nX-Postern: 1\r\n", "\r\nX-Postern: 1\r\n" },
		{ "X-Post", "X-Post" },
		{ "", "" },
	};
	char out[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece <= strlen(rows[i].in) + 1; piece++) {
			strip(rows[i].in, piece, out);
			assert_string_equal(out, rows[i].out);
		}
}

static void what_is_given_up_passes(void **state)
{
	struct mark_strip m;
	uint8_t out[64];

	(void)state;
	mark_strip_init(&m);
	assert_int_equal(mark_strip_feed(&m, (const uint8_t *)"X-Pos", 5, out), 0);
	assert_int_equal(mark_strip_end(&m, out), 5);
	assert_memory_equal(out, "X-Pos", 5);
	assert_int_equal(mark_strip_feed(&m, (const uint8_t *)"tern: x\r\n", 9, out), 9);
}

static struct policy *open_policy(struct image_writer *w, unsigned n_rules)
{
	struct image_part parts[IMAGE_MAX_PARTS];
	struct policy *p = NULL;
	const char *error = NULL;
	unsigned n;

	image_writer_settings(w)->default_pool = -1;
	image_writer_settings(w)->score.mark = 500;
	for (unsigned i = 0; i < n_rules; i++) {
		struct policy_rule rule = { .kind = RULE_PATTERN, .weight = 10 };
		char word[64];

		snprintf(word, sizeof(word), "patterns.a-rather-long-name-of-a-rule-%u", i);
		image_writer_string(w, word, &rule.name);
		rule.action = i == 1 ? VERDICT_MARK : VERDICT_NONE;
		assert_true(image_writer_rule(w, &rule) >= 0);
	}
	assert_int_equal(image_writer_finish(w, parts, &n, &error), 0);
	assert_int_equal(policy_open(parts, n, 1, &p, &error), 0);
	return p;
}

static void the_header_says_why_within_its_bound(void **state)
{
	struct image_writer *w = image_writer_new();
	struct policy *p = open_policy(w, TALLY_MAX);
	struct facts facts = { 0 };
	struct tally t = { 0 };
	char buf[MARK_HEADER_MAX];
	size_t n;

	(void)state;
	assert_false(mark_wanted(p, &t));
	tally_hit(p, &t, &facts, PHASE_BODY, CHECK_N);
	assert_false(mark_wanted(p, &t));
	tally_hit(p, &t, &facts, PHASE_BODY, CHECK_N + 1);
	assert_true(mark_wanted(p, &t)); /* its action */
	n = mark_header(p, &t, "TOKEN", buf);
	assert_int_equal(n, strlen(buf));
	assert_string_equal(buf, "X-Postern: mark score=0.20\r\n"
				 "\trules=patterns.a-rather-long-name-of-a-rule-0,"
				 "patterns.a-rather-long-name-of-a-rule-1\r\n\ttoken=TOKEN\r\n");
	for (unsigned i = 2; i < TALLY_MAX; i++)
		tally_hit(p, &t, &facts, PHASE_BODY, CHECK_N + i);
	t.score = -1234567;
	n = mark_header(p, &t, "0123456789ABCDEFGHIJKLMN", buf);
	assert_in_range(n, 300, MARK_HEADER_MAX - 1);
	assert_int_equal(n, strlen(buf));
	assert_non_null(strstr(buf, " +"));
	assert_non_null(strstr(buf, "score=-12345.67"));
	for (const char *line = buf; *line; line = strstr(line, "\r\n") + 2)
		assert_true(strcspn(line, "\r") < 200); /* RFC 5322 2.1.1 allows 998 */
	memset(&t, 0, sizeof(t));
	t.score = 500;
	assert_true(mark_wanted(p, &t)); /* the score */
	policy_close(p);
	image_writer_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forged_fields_go_whatever_the_pieces),
		cmocka_unit_test(what_is_given_up_passes),
		cmocka_unit_test(the_header_says_why_within_its_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
