/* SPDX-License-Identifier: BSD-3-Clause */
/* Pattern files: what each line means, and what is said of a wrong one. */
#include "patterns.h"

#include "filters/verdict.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct patterns p;
static struct complaints complaints;

static void parse(const char *text)
{
	patterns_fini(&p);
	patterns_init(&p);
	complaints_fini(&complaints);
	complaints_init(&complaints);
	assert_int_equal(
	    patterns_parse(&p, "dir/t.patterns", NULL, text, strlen(text), &complaints), 0);
}

static void good(const char *text)
{
	parse(text);
	if (!patterns_finish(&p, &complaints) || complaints.total) {
		complaints_print(&complaints, stderr);
		fail();
	}
}

/* `said` begins the complaint's text; line 0: any. */
static void wrong(const char *text, unsigned line, unsigned column, const char *said)
{
	parse(text);
	patterns_finish(&p, &complaints);
	assert_int_equal(complaints.total, 1);
	if (strncmp(complaints.items[0].text, said, strlen(said)) != 0)
		fail_msg("said: %s", complaints.items[0].text);
	assert_int_equal(complaints.items[0].pos.line, line);
	assert_int_equal(complaints.items[0].pos.column, column);
}

static const struct patterns_rule *rule(const char *name)
{
	for (unsigned i = 0; i < p.n_rules; i++)
		if (strcmp(p.rules[i].name, name) == 0)
			return &p.rules[i];
	fail_msg("no rule %s", name);
	return NULL;
}

static void test_expressions(void **state)
{
	(void)state;
	good("# a comment\n\n"
	     "subject:/lottery|jack\\/pot/i   name=LOTTERY score=2.5 # why\r\n"
	     "body:\"a # \\\"b\\\" \\x41\\t\" i word name=WORDS score=-0.5 action=mark\n"
	     "header:X-Mailer:m{^The {2} Bat!}sx name=BAT confirm\n"
	     "header:/^x/m score=1\n"
	     "header:m!y! name=Y\n"
	     "url:/z/ name=WORDS\n");
	assert_int_equal(p.n_expressions, 6);
	assert_string_equal(p.expressions[0].source, "lottery|jack/pot");
	assert_string_equal(p.expressions[0].header, "subject");
	assert_int_equal(p.expressions[0].zone, PATTERN_FIELD);
	assert_int_equal(p.expressions[0].flags, PATTERN_CASELESS);
	assert_int_equal(p.expressions[0].line, 3);
	assert_int_equal(rule("LOTTERY")->weight, 250);
	assert_string_equal(p.expressions[1].source, "a # \"b\" A\t");
	assert_int_equal(p.expressions[1].flags, PATTERN_CASELESS | PATTERN_WORD | PATTERN_LITERAL);
	assert_int_equal(rule("WORDS")->weight, -50);
	assert_int_equal(rule("WORDS")->action, VERDICT_MARK);
	assert_string_equal(p.expressions[2].source, "^The {2} Bat!");
	assert_string_equal(p.expressions[2].header, "x-mailer");
	assert_int_equal(
	    p.expressions[2].flags, PATTERN_DOTALL | PATTERN_EXTENDED | PATTERN_CONFIRM);
	assert_int_equal(p.expressions[3].zone, PATTERN_HEADER);
	assert_int_equal(rule("t.6")->weight, 100);
	assert_int_equal(p.expressions[4].zone, PATTERN_HEADER);
	assert_int_equal(p.expressions[5].rule, p.expressions[1].rule);
}

static void test_metas(void **state)
{
	(void)state;
	/* named before they are defined; each stands behind what it names */
	good("meta TOP = MID + A >= 2 && !(B || 0) score=3 action=refuse\n"
	     "meta MID = A && !B\n"
	     "body:/a/ name=A\nbody:/b/ name=B\n"
	     "score MID 1\naction A defer\n");
	assert_int_equal(p.n_rules, 4);
	assert_string_equal(p.rules[2].name, "MID");
	assert_string_equal(p.rules[3].name, "TOP");
	assert_int_equal(p.rules[3].weight, 300);
	assert_int_equal(p.rules[3].action, VERDICT_REFUSE);
	assert_int_equal(p.rules[2].weight, 100);
	assert_int_equal(rule("A")->action, VERDICT_DEFER);
	static const uint32_t ops[] = { PATTERN_OP_RULE, PATTERN_OP_RULE, PATTERN_OP_ADD,
		PATTERN_OP_NUMBER, PATTERN_OP_GE, PATTERN_OP_RULE, PATTERN_OP_NUMBER, PATTERN_OP_OR,
		PATTERN_OP_NOT, PATTERN_OP_AND };
	assert_int_equal(p.rules[3].n_code, sizeof(ops) / sizeof(*ops));
	for (unsigned i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		assert_int_equal(p.rules[3].code[i].op, ops[i]);
	assert_int_equal(p.rules[3].code[0].arg, 2);
	assert_string_equal(p.rules[p.rules[3].code[1].arg].name, "A");
}

static void test_mistakes(void **state)
{
	char text[PATTERNS_LINE_MAX + 100];

	(void)state;
	wrong("bdy:/x/\n", 1, 1, "no zone; allowed");
	wrong("\nbody /x/\n", 2, 5, "a : is missing");
	wrong("body:x\n", 1, 6, "/.../, m{...} or");
	wrong("body:/x\n", 1, 8, "the closing / is missing");
	wrong("body:m{x\n", 1, 9, "the closing } is missing");
	wrong("body:\"x\n", 1, 8, "the closing \" is missing");
	wrong("body:\"\\d\"\n", 1, 8, "in quotes \\ stands before");
	wrong("body:/x/u\n", 1, 9, "flag u; allowed");
	wrong("body:/x/i,\n", 1, 10, "white space is missing");
	wrong("body:// \n", 1, 9, "an empty expression");
	wrong("body:/x/ word\n", 1, 10, "\"word\" is no option here");
	wrong("body:\"x\" confirm\n", 1, 10, "\"confirm\" is no option here");
	wrong("body:/x/ name=1\n", 1, 10, "a name is letters");
	wrong("body:/x/ score=1,5\n", 1, 10, "\"1,5\" is no score");
	wrong("body:/x/ score=1000.01\n", 1, 10, "\"1000.01\" is no score");
	wrong("body:/x/ action=pass\n", 1, 10, "\"pass\" is no action");
	wrong("body:/x/ name=A score=1\nbody:/y/ name=A score=2\n", 2, 24, "A has another score");
	wrong("body:/x/ name=A action=mark\naction A defer\n", 2, 15, "A has another action");
	wrong("body:/x/ name=A\nmeta A = 1\n", 2, 7, "A is defined already (dir/t.patterns:1)");
	wrong("meta A = 1\nbody:/x/ name=A\n", 2, 16, "A is a meta");
	wrong("meta A = B\n", 1, 1, "meta A: no expression or meta is named B");
	wrong("meta A = B\nmeta B = !A\n", 2, 1, "meta B: names itself by way of A");
	wrong("meta A = A\n", 1, 1, "meta A: names itself by way of A");
	wrong("meta A 1\n", 1, 8, "a = is missing");
	wrong("meta A = (1\n", 1, 12, "meta: a ) is missing");
	wrong("meta A = 1 +\n", 1, 13, "meta: the logic ends early");
	wrong("meta A = $\n", 1, 10, "meta: \"$\" is neither");
	wrong("score B 1\n", 1, 1, "no expression or meta is named B");
	wrong("score B\n", 1, 8, "\"\" is no score");
	wrong("words body \"x\"\n", 1, 15, "words files are not read here");
	/* bounds */
	memset(text, 'x', sizeof(text));
	memcpy(text, "body:/", 6);
	memcpy(text + PATTERNS_LINE_MAX, "/\n", 3);
	wrong(text, 1, 1, "a line of more than 32768 bytes");
	memcpy(text + PATTERN_MAX_EXPRESSION + 7, "/\n", 3);
	wrong(text, 1, PATTERN_MAX_EXPRESSION + 7, "an expression of more than 16000 bytes");
	memcpy(text, "meta A = ", 9);
	memset(text + 9, '(', 40);
	memcpy(text + 49, "1\n", 3);
	wrong(text, 1, 42, "meta: nested deeper than 32");
	size_t n = 9;
	for (unsigned i = 0; i <= PATTERNS_META_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s1", i ? "+" : "");
	wrong(text, 1, 267, "meta: more than 256 operations");
	memset(text, 'N', 100);
	memcpy(text, "score ", 6);
	memcpy(text + 6 + PATTERN_MAX_NAME + 1, " 1\n", 4);
	wrong(text, 1, 72, "a name of more than 64 characters");
}

/* Many mistakes of one file are counted, a few kept. */
static void test_many_mistakes(void **state)
{
	char text[4000] = "";
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "wrong%u\n", i);
	parse(text);
	assert_int_equal(complaints.total, 100);
	assert_int_equal(complaints.n, COMPLAINTS_MAX_PER_FILE);
}

static void test_too_many_rules(void **state)
{
	char *text = malloc(PATTERN_MAX_RULES * 32 + 100);
	size_t n = 0;

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i <= PATTERN_MAX_RULES; i++)
		n += (size_t)snprintf(text + n, 32, "body:/x/ name=R%u\n", i);
	wrong(text, PATTERN_MAX_RULES + 1, 20, "more than 8192 names");
	assert_int_equal(p.n_rules, PATTERN_MAX_RULES);
	free(text);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/postern-patterns-XXXXXX", path[256];

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_file(dir, "a.patterns",
	    "words subject \"w.txt\" i word name=W score=1\n"
	    "words body \"none.txt\"\n");
	write_file(dir, "w.txt", "# words\nfree money  \r\n\n#x\nwin # not a comment's end\n");
	snprintf(path, sizeof(path), "%s/a.patterns", dir);
	patterns_fini(&p);
	patterns_init(&p);
	complaints_fini(&complaints);
	assert_int_equal(patterns_read(&p, path, &complaints), 0);
	assert_int_equal(complaints.total, 1);
	assert_non_null(strstr(complaints.items[0].text, "none.txt: No such file"));
	assert_int_equal(complaints.items[0].pos.line, 2);
	assert_int_equal(p.n_expressions, 2);
	assert_string_equal(p.expressions[0].source, "free money");
	assert_int_equal(p.expressions[0].line, 2);
	assert_non_null(strstr(p.expressions[0].file, "w.txt"));
	assert_int_equal(p.expressions[0].zone, PATTERN_FIELD);
	snprintf(path, sizeof(path), "%s/none", dir);
	assert_int_equal(patterns_read(&p, path, &complaints), -ENOENT);
	assert_int_not_equal(patterns_read(&p, dir, &complaints), 0);
	snprintf(path, sizeof(path), "%s/a.patterns", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/w.txt", dir);
	unlink(path);
	rmdir(dir);
}

static int teardown(void **state)
{
	(void)state;
	patterns_fini(&p);
	complaints_fini(&complaints);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expressions),
		cmocka_unit_test(test_metas),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_many_mistakes),
		cmocka_unit_test(test_too_many_rules),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
