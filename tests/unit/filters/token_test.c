/* SPDX-License-Identifier: BSD-3-Clause */
#include "token.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t key[16] = { 1, 2, 3 }, other[16] = { 1, 2, 4 };

static void check_round_trip(struct token_fields f)
{
	char token[TOKEN_LEN + 1];
	struct token_fields got;

	token_make(key, &f, token);
	assert_int_equal(strlen(token), TOKEN_LEN);
	assert_int_equal(token_parse(key, token, &got), 0);
	assert_int_equal(got.reason, f.reason);
	assert_int_equal(got.epoch, f.epoch);
	assert_int_equal(got.minute, f.minute);
	assert_int_equal(got.session, f.session);
}

static void test_round_trip(void **state)
{
	(void)state;
	check_round_trip((struct token_fields){ 0 });
	check_round_trip((struct token_fields){ 255, 65535, (1u << 26) - 1, 65535 });
	check_round_trip((struct token_fields){ 1, 2, 29000000, 3 }); /* a minute of 2025 */
}

static void test_wrong_key(void **state)
{
	struct token_fields f = { 1, 2, 3, 4 }, got = { 9, 9, 9, 9 };
	char token[TOKEN_LEN + 1];

	(void)state;
	token_make(key, &f, token);
	assert_int_equal(token_parse(other, token, &got), -EBADMSG);
	assert_int_equal(got.reason, 9);
}

/* Each character changed: not ours. */
static void test_altered(void **state)
{
	struct token_fields f = { 7, 1000, 29000000, 77 }, got;
	char token[TOKEN_LEN + 1];

	(void)state;
	token_make(key, &f, token);
	for (unsigned i = 0; i < TOKEN_LEN; i++) {
		char was = token[i];

		token[i] = was == '7' ? '8' : '7';
		assert_int_equal(token_parse(key, token, &got), -EBADMSG);
		token[i] = was;
	}
}

/* As people copy it: lower case, and the look-alikes of 0 and 1. */
static void test_as_people_write(void **state)
{
	struct token_fields f = { 0, 0, 0, 0 }, got;
	char token[TOKEN_LEN + 1];
	unsigned swapped = 0;

	(void)state;
	for (f.session = 0; f.session < 200; f.session++) {
		token_make(key, &f, token);
		for (unsigned i = 0; i < TOKEN_LEN; i++) {
			assert_null(strchr("ILOU", token[i]));
			if (token[i] == '0')
				token[i] = i % 2 ? 'o' : 'O';
			else if (token[i] == '1')
				token[i] = i % 2 ? 'l' : 'I';
			else
				token[i] = (char)tolower(token[i]);
			swapped += token[i] == 'l';
		}
		assert_int_equal(token_parse(key, token, &got), 0);
		assert_int_equal(got.session, f.session);
	}
	assert_true(swapped > 0);
}

static void test_not_a_token(void **state)
{
	struct token_fields f = { 1, 2, 3, 4 }, got;
	char token[TOKEN_LEN + 2];

	(void)state;
	token_make(key, &f, token);
	assert_int_equal(token_parse(key, "", &got), -EINVAL);
	token[TOKEN_LEN] = '0';
	token[TOKEN_LEN + 1] = '\0';
	assert_int_equal(token_parse(key, token, &got), -EINVAL);
	token[TOKEN_LEN] = '\0';
	token[3] = 'U';
	assert_int_equal(token_parse(key, token, &got), -EINVAL);
	token[3] = (char)0x80;
	assert_int_equal(token_parse(key, token, &got), -EINVAL);
	token[3] = '\0';
	assert_int_equal(token_parse(key, token, &got), -EINVAL);
}

/* The layout is fixed: a token printed by one version is explained by the next. */
static void test_layout(void **state)
{
	struct token_fields f = { 1, 2, 29000000, 4 };
	char token[TOKEN_LEN + 1];

	(void)state;
	token_make(key, &f, token);
	assert_string_equal(token, "04004VN0A00023KCCB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_altered),
		cmocka_unit_test(test_as_people_write),
		cmocka_unit_test(test_not_a_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
