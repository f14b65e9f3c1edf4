/* SPDX-License-Identifier: BSD-3-Clause */
#include "pattern_confirm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct confirm_expression *compiled(const char *source, uint8_t flags)
{
	struct confirm_expression *e = NULL;
	char why[200] = "";
	int ret = confirm_expression_new(source, flags, &e, why, sizeof(why));
	if (ret != 0)
		fail_msg("%s: %s", source, why);
	return e;
}

static enum confirm_answer ask(const char *source, uint8_t flags, const char *text)
{
	struct confirm_expression *e = compiled(source, flags);
	struct confirm_room *room = NULL;
	assert_int_equal(confirm_room_new(&confirm_limits_default, &room), 0);
	enum confirm_answer answer = confirm_match(e, room, text, strlen(text), NULL, NULL);
	confirm_room_free(room);
	confirm_expression_free(e);
	return answer;
}

static void what_hyperscan_cannot_is_decided(void **state)
{
	(void)state;
	assert_int_equal(ask("(?<!un)subscribe", 0, "please subscribe"), CONFIRM_YES);
	assert_int_equal(ask("(?<!un)subscribe", 0, "please unsubscribe"), CONFIRM_NO);
	assert_int_equal(ask("(?!cheap)ch[e3][a4]p", 0, "cheap"), CONFIRM_NO);
	assert_int_equal(ask("(?!cheap)ch[e3][a4]p", 0, "ch3ap"), CONFIRM_YES);
	assert_int_equal(ask("id=(\\d+) id=\\1\\b", 0, "id=17 id=17"), CONFIRM_YES);
	assert_int_equal(ask("id=(\\d+) id=\\1\\b", 0, "id=17 id=171"), CONFIRM_NO);
	assert_int_equal(ask("(?>a+)ab", 0, "aaab"), CONFIRM_NO);
	assert_int_equal(ask("a++b", 0, "aaab"), CONFIRM_YES);
}

static void flags_mean_what_they_mean_to_hyperscan(void **state)
{
	(void)state;
	assert_int_equal(ask("abc", 0, "xABCx"), CONFIRM_NO);
	assert_int_equal(ask("abc", PATTERN_CASELESS, "xABCx"), CONFIRM_YES);
	assert_int_equal(ask("a.c", 0, "a\nc"), CONFIRM_NO);
	assert_int_equal(ask("a.c", 0, "a\rc"), CONFIRM_YES); /* LF alone ends a line */
	assert_int_equal(ask("a.c", PATTERN_DOTALL, "a\nc"), CONFIRM_YES);
	assert_int_equal(ask("^b", 0, "a\nb"), CONFIRM_NO);
	assert_int_equal(ask("^b", PATTERN_MULTILINE, "a\nb"), CONFIRM_YES);
	assert_int_equal(ask("a # b", PATTERN_EXTENDED, "a"), CONFIRM_YES);
	/* bytes, not characters: two of them */
	assert_int_equal(ask("^..$", 0, "\xc3\xa4"), CONFIRM_YES);
}

static void text_may_be_empty_and_hold_zeros(void **state)
{
	struct confirm_expression *e = compiled("^$", 0), *zero = compiled("a\\x00b", 0);
	struct confirm_room *room = NULL;
	(void)state;
	assert_int_equal(confirm_room_new(&confirm_limits_default, &room), 0);
	assert_int_equal(confirm_match(e, room, NULL, 0, NULL, NULL), CONFIRM_YES);
	assert_int_equal(confirm_match(zero, room, "a\0b", 3, NULL, NULL), CONFIRM_YES);
	assert_int_equal(confirm_match(zero, room, "a\0b", 2, NULL, NULL), CONFIRM_NO);
	assert_int_equal(confirm_counts(room)->answers[CONFIRM_YES], 2);
	assert_int_equal(confirm_counts(room)->answers[CONFIRM_NO], 1);
	assert_int_equal(confirm_counts(room)->bytes, 5);
	confirm_room_free(room);
	confirm_expression_free(zero);
	confirm_expression_free(e);
}

static void what_is_no_expression_says_why(void **state)
{
	struct confirm_expression *const before = (void *)&state, *e = before;
	char why[200] = "";
	assert_int_equal(confirm_expression_new("(a", 0, &e, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "parenthesis"));
	assert_ptr_equal(e, before);
	assert_int_equal(confirm_expression_new("a\\Cb", 0, &e, NULL, 0), -EINVAL);
	confirm_expression_free(NULL);
	confirm_room_free(NULL);
}

static void larger_than_callouts_allow_is_compiled_without(void **state)
{
	/* ten thousand letters: 20 KiB as they are, beyond 64 KiB with a callout before each */
	size_t n = 10000;
	char *source = malloc(n + 1), *text = malloc(n + 1);
	struct confirm_expression *e;
	struct confirm_room *room = NULL;
	(void)state;
	memset(source, 'a', n);
	memset(text, 'a', n);
	source[n] = text[n] = '\0';
	memcpy(source, "(?=a)", 5);
	e = compiled(source, 0);
	assert_int_equal(confirm_room_new(&confirm_limits_default, &room), 0);
	assert_int_equal(confirm_match(e, room, text, n, NULL, NULL), CONFIRM_YES);
	assert_int_equal(confirm_match(e, room, text, n - 6, NULL, NULL), CONFIRM_NO);
	confirm_room_free(room);
	confirm_expression_free(e);
	free(text);
	free(source);
}

/* ---- bounds ---- */

/* The classic: 2^n ways to fail. */
static enum confirm_answer torture(
    const struct confirm_limits *limits, confirm_stop *stop, void *arg, uint64_t *ret_costly)
{
	static const char source[] = "^(a+)+(?<!x)$";
	char text[64];
	struct confirm_expression *e = compiled(source, 0);
	struct confirm_room *room = NULL;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '!';
	assert_int_equal(confirm_room_new(limits, &room), 0);
	enum confirm_answer answer = confirm_match(e, room, text, sizeof(text), stop, arg);
	*ret_costly = confirm_counts(room)->answers[CONFIRM_COSTLY];
	/* the room is as good as before */
	assert_int_equal(confirm_match(e, room, "aaa", 3, NULL, NULL), CONFIRM_YES);
	confirm_room_free(room);
	confirm_expression_free(e);
	return answer;
}

static void steps_are_bounded(void **state)
{
	struct confirm_limits limits = { 10000, 100000, 100000 };
	uint64_t costly;
	(void)state;
	assert_int_equal(torture(&limits, NULL, NULL, &costly), CONFIRM_COSTLY);
	assert_int_equal(costly, 1);
	assert_int_equal(torture(&confirm_limits_default, NULL, NULL, &costly), CONFIRM_COSTLY);
}

static void nesting_and_heap_are_bounded(void **state)
{
	struct confirm_limits shallow = { UINT32_MAX, 8, 100000 },
			      small = { UINT32_MAX, UINT32_MAX, 0 };
	uint64_t costly;
	(void)state;
	assert_int_equal(torture(&shallow, NULL, NULL, &costly), CONFIRM_COSTLY);
	/* no heap at all: a frame of many groups does not fit what PCRE2 has on its stack */
	struct confirm_expression *e = compiled("(?:(a)(b)?(c)?(d)?(e)?){1,}(?<!z)$", 0);
	struct confirm_room *room = NULL;
	char text[20000];
	memset(text, 'a', sizeof(text));
	assert_int_equal(confirm_room_new(&small, &room), 0);
	assert_int_equal(confirm_match(e, room, text, sizeof(text), NULL, NULL), CONFIRM_COSTLY);
	confirm_room_free(room);
	confirm_expression_free(e);
}

struct clock {
	unsigned asked, until;
};

static bool clock_stop(void *arg)
{
	struct clock *c = arg;
	return ++c->asked == c->until;
}

static void the_callers_clock_ends_it(void **state)
{
	struct confirm_limits wide = { UINT32_MAX, UINT32_MAX, 1000000 };
	struct clock clock = { 0, 7 };
	uint64_t costly;
	(void)state;
	assert_int_equal(torture(&wide, clock_stop, &clock, &costly), CONFIRM_COSTLY);
	assert_int_equal(costly, 1);
	assert_int_equal(clock.asked, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_hyperscan_cannot_is_decided),
		cmocka_unit_test(flags_mean_what_they_mean_to_hyperscan),
		cmocka_unit_test(text_may_be_empty_and_hold_zeros),
		cmocka_unit_test(what_is_no_expression_says_why),
		cmocka_unit_test(larger_than_callouts_allow_is_compiled_without),
		cmocka_unit_test(steps_are_bounded),
		cmocka_unit_test(nesting_and_heap_are_bounded),
		cmocka_unit_test(the_callers_clock_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
