/* SPDX-License-Identifier: BSD-3-Clause */
/* A pattern part: what it tells, and each lie it could tell. */
#include "pattern_part.h"

#include "image_write.h"

#include <errno.h>

static const char text[] = "body:/a+b/ name=A score=1.5\nheader:X-Y:/c/i name=C action=refuse\n"
			   "helo:/(?<!x)d/ name=D confirm\nmeta M = A + C > 1 && !D score=2\n"
			   "text:/e/ name=__E\n";

static void test_tells(void **state)
{
	struct pattern_set *set;
	struct pattern_rule r;
	struct pattern_expression e;
	void *part;

	(void)state;
	set = set_make(text, &part);
	assert_int_equal(pattern_n_rules(set), 5);
	assert_int_equal(pattern_n_expressions(set), 4);
	pattern_rule_get(set, 0, &r);
	assert_string_equal(r.name, "A");
	assert_int_equal(r.weight, 150);
	assert_int_equal(r.flags, 0);
	pattern_rule_get(set, 3, &r);
	assert_string_equal(r.name, "__E");
	assert_int_equal(r.flags, PATTERN_RULE_TERM);
	pattern_rule_get(set, 4, &r);
	assert_string_equal(r.name, "M");
	assert_int_equal(r.flags, PATTERN_RULE_META);
	pattern_expression_get(set, 0, &e); /* by zone */
	assert_int_equal(e.zone, PATTERN_HELO);
	assert_int_equal(e.flags, PATTERN_CONFIRM);
	assert_string_equal(e.source, "(?<!x)d");
	assert_int_equal(e.line, 3);
	pattern_expression_get(set, 1, &e);
	assert_string_equal(e.header, "x-y");
	assert_string_equal(e.source, "");
	assert_true(pattern_has_zone(set, PATTERN_FIELD));
	assert_false(pattern_has_zone(set, PATTERN_URL));
	assert_true(pattern_has_message(set));
	assert_non_null(pattern_field_base(set, (const uint8_t *)"x-Y", 3));
	assert_null(pattern_field_base(set, (const uint8_t *)"x-", 2));
	assert_null(pattern_field_base(set, (const uint8_t *)"x-yz", 4));
	pattern_close(set);
	free(part);
	set = set_make("helo:/x/\n", &part);
	assert_false(pattern_has_message(set));
	pattern_close(set);
	free(part);
	/* a rule of lines: all its expressions look at them, and nothing has to be confirmed */
	set = set_make("helo:/x/ name=H score=1\nenvelope:/x/ name=E score=1\nbody:/x/ name=E\n"
		       "envelope:/(?<!x)y/ name=C score=1 confirm\n",
	    &part);
	for (unsigned i = 0; i < 3; i++) {
		pattern_rule_get(set, i, &r);
		assert_int_equal(r.flags, i == 0 ? PATTERN_RULE_LINES : 0);
	}
	pattern_close(set);
	free(part);
	set = set_make("# nothing\n", &part);
	assert_int_equal(pattern_n_rules(set), 0);
	pattern_close(set);
	free(part);
}

static char *part, *was;
static size_t part_len;

#define refused() refused_at(__LINE__)
static void refused_at(unsigned line)
{
	struct pattern_set *set;
	const char *error = NULL;

	if (pattern_open(part, part_len, &set, &error) != -EBADMSG)
		fail_msg("line %u: opened", line);
	assert_non_null(error);
	memcpy(part, was, part_len);
}

static void test_lies(void **state)
{
	struct pattern_header *h;
	struct pattern_rule_row *rules;
	struct pattern_expression_row *expressions;
	struct pattern_database_row *databases;
	struct pattern_code *code;
	struct pattern_set *set;
	const char *error;

	(void)state;
	part = part_make(text, &part_len);
	was = malloc(part_len);
	assert_non_null(was);
	memcpy(was, part, part_len);
	h = (void *)part;
	rules = (void *)(part + h->rules_off);
	expressions = (void *)(part + h->expressions_off);
	databases = (void *)(part + h->databases_off);
	code = (void *)(part + h->code_off);

	assert_int_equal(pattern_open(part, part_len - 1, &set, &error), -EBADMSG);
	assert_int_equal(pattern_open(part, 10, &set, &error), -EBADMSG);
	assert_int_equal(pattern_open(part + 8, part_len - 8, &set, &error), -EBADMSG);
	h->magic++, refused();
	h->layout++, refused();
	h->size++, refused();
	h->n_rules = PATTERN_MAX_RULES + 1, refused();
	h->n_rules = PATTERN_MAX_RULES, refused();
	h->n_rules = 1, refused();
	h->n_expressions = PATTERN_MAX_EXPRESSIONS, refused();
	h->n_expressions--, refused();
	h->n_databases = PATTERN_MAX_DATABASES + 1, refused();
	h->n_databases++, refused();
	h->n_code = PATTERN_MAX_CODE, refused();
	h->n_code = 0, refused();
	h->rules_off = UINT64_MAX - 63, refused();
	h->expressions_off++, refused();
	h->databases_off = part_len, refused();
	h->strings_len = 0, refused();
	h->strings_len = part_len, refused();
	part[h->strings_off] = 'x', refused();
	part[h->strings_off + h->strings_len - 1] = 'x', refused();
	rules[0].name = (uint32_t)h->strings_len, refused();
	rules[0].action = 1 /* pass */, refused();
	rules[0].action = 200, refused();
	rules[4].n_code = h->n_code + 1, refused();
	rules[4].first_code = 1, refused();
	rules[4].n_code = 0, refused();
	rules[4].n_code--, refused();
	rules[0].flags = PATTERN_RULE_META, refused();
	code[0].arg = 4, refused(); /* itself */
	code[0].arg = -1, refused();
	code[0].op = PATTERN_N_OPS, refused();
	code[0].op = PATTERN_OP_NOT, refused();
	code[0].op = PATTERN_OP_ADD, refused();
	expressions[0].rule = 5, refused();
	expressions[0].zone = PATTERN_N_ZONES, refused();
	expressions[0].header = (uint32_t)h->strings_len, refused();
	expressions[0].source = (uint32_t)h->strings_len, refused();
	databases[0].zone = PATTERN_N_ZONES, refused();
	databases[0].zone = PATTERN_BODY, refused(); /* a block database in a stream's place */
	databases[0].zone = PATTERN_FIELD, databases[0].header = databases[1].header, refused();
	databases[0].first_expression = 4, refused();
	databases[0].n_expressions = UINT32_MAX, refused();
	databases[0].off += 64, refused();
	databases[0].off = part_len, refused();
	databases[0].len = part_len, refused();
	databases[0].len--, refused();
	part[databases[0].off + databases[0].len / 2] ^= 1, refused();
	/* and untouched it opens */
	assert_int_equal(pattern_open(part, part_len, &set, &error), 0);
	pattern_close(set);
	free(was);
	free(part);
}

/* As a part of a policy's image. */
static void test_policy(void **state)
{
	struct image_writer *w = image_writer_new();
	struct image_part parts[IMAGE_MAX_PARTS];
	struct policy *p;
	const char *error;
	unsigned n;
	size_t len;
	void *made = part_make(text, &len);

	(void)state;
	assert_non_null(w);
	image_writer_settings(w)->default_pool = -1;
	assert_int_equal(image_writer_patterns(w, PATTERN_SET_FILES, made, len), 0);
	assert_int_equal(image_writer_patterns(w, PATTERN_SET_FILES, malloc(64), 64), -EEXIST);
	assert_int_equal(image_writer_finish(w, parts, &n, &error), 0);
	assert_int_equal(parts[n - 1].kind, IMAGE_PATTERNS);
	assert_int_equal(policy_open(parts, n, 1, &p, &error), 0);
	assert_int_equal(pattern_n_rules(policy_patterns(p)), 5);
	policy_close(p);
	assert_int_equal(policy_open(parts, n - 1, 1, &p, &error), 0);
	assert_null(policy_patterns(p));
	policy_close(p);
	((char *)made)[0] ^= 1;
	assert_int_equal(policy_open(parts, n, 1, &p, &error), -EBADMSG);
	assert_non_null(strstr(error, "patterns: "));
	image_writer_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
