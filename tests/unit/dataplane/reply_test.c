/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own replies: format, codes by phase, the token that explains them (P23). */
#include "reply.h"

#include "filters/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t key[16] = "0123456789abcdef";

static struct reply_token token = {
	.key = key,
	.epoch = 3,
	.now_ns = 1767225600000000000ull,
	.session = 77,
	.url = "https://example.org/help",
};

static void a_refusal_says_code_text_token_and_url(void **state)
{
	struct token_fields fields;
	char buf[REPLY_MAX + 1], mac[TOKEN_LEN + 1] = { 0 }, want[REPLY_MAX];
	size_t n = reply_reason(buf, 550, REASON_RELAY_DENIED, &token);

	(void)state;
	buf[n] = 0;
	memcpy(mac, strchr(buf, '[') + 1, TOKEN_LEN);
	snprintf(want, sizeof(want),
	    "550 5.7.1 Relaying not permitted [%s] https://example.org/help\r\n", mac);
	assert_string_equal(buf, want);
	assert_int_equal(token_parse(key, mac, &fields), 0);
	assert_int_equal(fields.reason, REASON_RELAY_DENIED);
	assert_int_equal(fields.epoch, 3);
	assert_int_equal(fields.session, 77);
}

static void the_enhanced_codes_class_is_the_replys(void **state)
{
	char buf[REPLY_MAX];

	(void)state;
	for (unsigned reason = 1; reason < REASON_N; reason++) {
		for (unsigned phase = PHASE_CONNECT; phase < PHASE_N; phase++) {
			for (unsigned kind = VERDICT_GREY; kind <= VERDICT_REFUSE; kind++) {
				unsigned code = reply_code(kind, reason, phase);

				assert_true(code / 100 == 4 || code / 100 == 5);
				if (kind != VERDICT_REFUSE)
					assert_int_equal(code / 100, 4);
				if (phase == PHASE_CONNECT)
					assert_true(code == 421 || code == 521);
				reply_reason(buf, code, reason, &token);
				assert_int_equal(buf[0], buf[4]);
			}
		}
	}
}

static void a_listing_is_521_to_a_greeting_and_550_to_a_recipient(void **state)
{
	(void)state;
	assert_int_equal(reply_code(VERDICT_REFUSE, REASON_LISTED, PHASE_CONNECT), 521);
	assert_int_equal(reply_code(VERDICT_REFUSE, REASON_LISTED, PHASE_RCPT), 550);
	assert_int_equal(reply_code(VERDICT_DEFER, REASON_LISTED, PHASE_RCPT), 451);
	assert_int_equal(reply_code(VERDICT_DEFER, REASON_CONNECTION_LIMIT, PHASE_CONNECT), 421);
	assert_int_equal(reply_code(VERDICT_REFUSE, REASON_MESSAGE_SIZE, PHASE_MAIL), 552);
	assert_int_equal(reply_code(VERDICT_DEFER, REASON_RECIPIENT_LIMIT, PHASE_RCPT), 452);
	assert_int_equal(reply_code(VERDICT_REFUSE, REASON_BARE_NEWLINE_CUT, PHASE_BODY), 521);
}

static void a_url_that_does_not_fit_is_left_out(void **state)
{
	struct reply_token t = token;
	char buf[REPLY_MAX], url[REPLY_MAX];
	size_t n, without;

	(void)state;
	t.url = "";
	without = reply_reason(buf, 421, REASON_OVERLOAD, &t);
	memset(url, 'u', sizeof(url));
	url[sizeof(url) - 1] = 0;
	t.url = url;
	n = reply_reason(buf, 421, REASON_OVERLOAD, &t);
	assert_int_equal(n, without);
	assert_memory_equal(buf + n - 3, "]\r\n", 3);
	url[REPLY_MAX - without - 2] = 0; /* the longest that fits */
	assert_true(reply_reason(buf, 421, REASON_OVERLOAD, &t) < REPLY_MAX);
}

static void plain_replies_are_lines_with_agreeing_codes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REPLY_N; i++) {
		size_t n;
		const char *line = reply_plain(i, &n);

		assert_int_equal(strlen(line), n);
		assert_true(n <= REPLY_MAX);
		assert_int_equal(
		    (line[0] - 48) * 100 + (line[1] - 48) * 10 + line[2] - 48, reply_plain_code(i));
		assert_int_equal(line[3], ' ');
		assert_string_equal(line + n - 2, "\r\n");
		assert_ptr_equal(strchr(line, '\r'), line + n - 2);
		if (i != REPLY_DATA_GO)
			assert_int_equal(line[4], line[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_says_code_text_token_and_url),
		cmocka_unit_test(the_enhanced_codes_class_is_the_replys),
		cmocka_unit_test(a_listing_is_521_to_a_greeting_and_550_to_a_recipient),
		cmocka_unit_test(a_url_that_does_not_fit_is_left_out),
		cmocka_unit_test(plain_replies_are_lines_with_agreeing_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
