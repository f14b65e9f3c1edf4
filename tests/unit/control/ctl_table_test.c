/* SPDX-License-Identifier: BSD-3-Clause */
/* How posternctl reads words and options; what every row of its tables must hold. */
#include "ctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct ctl_command any = { "any", "ONE [TWO]", NULL, "", NULL };
static const struct ctl ctl = { .run = "", .command = &any };

enum { WORDS_MAX = 16 };
struct line {
	char text[256];
	char *argv[WORDS_MAX];
	int argc;
};

/* Words of a command line, as a shell would hand them over. */
static struct line *words_of(const char *text)
{
	static struct line line;
	line.argc = 0;
	snprintf(line.text, sizeof(line.text), "%s", text);
	for (char *p = line.text; p != NULL && *p != '\0';) {
		line.argv[line.argc++] = p;
		p = strchr(p, ' ');
		if (p != NULL)
			*p++ = '\0';
	}
	return &line;
}

static void options_stand_anywhere(void **state)
{
	bool flag = false;
	const char *text = NULL;
	uint64_t seconds = 0;
	int64_t number = -1;
	const struct ctl_option options[] = { { "--flag", CTL_FLAG, &flag },
		{ "--text", CTL_TEXT, &text }, { "--for", CTL_DURATION, &seconds },
		{ "--n", CTL_NUMBER, &number }, { NULL, CTL_FLAG, NULL } };
	struct line *l = words_of("--flag a --for 10m --text=x=y b --n 7");
	(void)state;
	assert_true(ctl_options(&ctl, &l->argc, l->argv, options, 1, 2));
	assert_int_equal(l->argc, 2);
	assert_string_equal(l->argv[0], "a");
	assert_string_equal(l->argv[1], "b");
	assert_true(flag);
	assert_string_equal(text, "x=y");
	assert_int_equal(seconds, 600);
	assert_int_equal(number, 7);
	l = words_of("-- --flag");
	assert_true(ctl_options(&ctl, &l->argc, l->argv, options, 1, 1));
	assert_string_equal(l->argv[0], "--flag");
}

static void wrong_use_is_told(void **state)
{
	bool flag = false;
	uint64_t seconds = 0;
	int64_t number = 0;
	const struct ctl_option options[] = { { "--flag", CTL_FLAG, &flag },
		{ "--for", CTL_DURATION, &seconds }, { "--n", CTL_NUMBER, &number },
		{ NULL, CTL_FLAG, NULL } };
	static const char *const wrong[] = { "a --none", "a --for", "a --for 10", "a --flag=1",
		"a b c", "", "a --n -3", "a --n 3x" };
	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct line *l = words_of(wrong[i]);
		assert_false(ctl_options(&ctl, &l->argc, l->argv, options, 1, 2));
	}
}

static void commands_are_found_by_one_word_or_two(void **state)
{
	int words = 0;
	(void)state;
	const struct line *l = words_of("backend drain mail1");
	assert_string_equal(ctl_find(l->argc, l->argv, &words)->name, "backend drain");
	assert_int_equal(words, 2);
	l = words_of("drain surplus");
	assert_string_equal(ctl_find(l->argc, l->argv, &words)->name, "drain");
	assert_int_equal(words, 1);
	l = words_of("backend");
	assert_null(ctl_find(l->argc, l->argv, &words));
}

static const char *near(const char *text)
{
	const struct line *l = words_of(text);
	return ctl_nearest(l->argc, l->argv);
}

static void the_nearest_is_named(void **state)
{
	(void)state;
	assert_string_equal(near("statuss"), "status");
	assert_string_equal(near("backend drian"), "backend drain");
	assert_string_equal(near("backend"), "backend list");
	assert_null(near("xyzzyx"));
	assert_int_equal(ctl_distance("kitten", "sitting"), 3);
}

static void every_row_is_whole(void **state)
{
	(void)state;
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++)
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++) {
			int words = 0;
			assert_non_null(c->usage);
			assert_non_null(c->serve);
			assert_int_equal(c->summary[strlen(c->summary) - 1], '.');
			assert_true(strlen(c->summary) <= 78);
			const struct line *l = words_of(c->name);
			assert_ptr_equal(ctl_find(l->argc, l->argv, &words), c); /* none twice */
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(wrong_use_is_told),
		cmocka_unit_test(commands_are_found_by_one_word_or_two),
		cmocka_unit_test(the_nearest_is_named),
		cmocka_unit_test(every_row_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
