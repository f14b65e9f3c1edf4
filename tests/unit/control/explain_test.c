/* SPDX-License-Identifier: BSD-3-Clause */
/* Which record a token means: by number, epoch and a minute of the session's life, over a wrap too. */
#include "explain.h"

#include "filters/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MINUTE = 29531520 }; /* 2026-02-23T22:00Z */
static char path[] = "/tmp/explain_test.XXXXXX";
static FILE *file;

static int setup(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	return file == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	fclose(file);
	return unlink(path);
}

static void write_event(const char *kind, int64_t end_ms, const char *client, unsigned session,
    unsigned epoch, unsigned duration_ms, const char *rest)
{
	time_t s = (time_t)(end_ms / 1000);
	struct tm tm;
	char text[32];
	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(file,
	    "{\"time\":\"%s.%03dZ\",\"event\":\"%s\",\"client\":\"%s\",\"epoch\":%u,\"duration_"
	    "ms\":%u,"
	    "\"session\":%u,%s}\n",
	    text, (int)(end_ms % 1000), kind, client, epoch, duration_ms, session, rest);
	fflush(file);
}

static json_t *find(
    unsigned session, int64_t minute, const char *reason, unsigned epoch, const char *client)
{
	const struct explain_token t = { reason, epoch, minute, session };
	json_t *events = NULL;
	int64_t oldest;
	assert_int_equal(explain_find_token(path, &t, client, &events, &oldest), 0);
	return events;
}

static void is_found(unsigned session, int64_t minute, const char *reason, unsigned epoch,
    const char *client, const char *expected)
{
	json_t *events = find(session, minute, reason, epoch, client);
	if (expected == NULL) {
		assert_int_equal(json_array_size(events), 0);
	} else {
		assert_int_equal(json_array_size(events), 1);
		assert_string_equal(
		    json_string_value(json_object_get(json_array_get(events, 0), "client")),
		    expected);
	}
	json_decref(events);
}

static void a_token_of_any_minute_of_the_session_finds_it(void **state)
{
	(void)state;
	int64_t start = MINUTE * 60000ll + 59990;
	/* from 22:00:59.990 to 22:02:00.010: minutes 0, 1 and 2 */
	write_event("session", start + 60020, "192.0.2.1", 7, 3, 60020,
	    "\"reason\":\"relay_denied\",\"given\":[\"relay_denied\",\"greylisted\"]");
	for (int i = 0; i < 3; i++) {
		is_found(7, MINUTE + i, "relay_denied", 3, NULL, "192.0.2.1");
		is_found(7, MINUTE + i, "greylisted", 3, NULL, "192.0.2.1");
	}
	is_found(7, MINUTE - 1, "relay_denied", 3, NULL, NULL);
	is_found(7, MINUTE + 3, "relay_denied", 3, NULL, NULL);
	is_found(8, MINUTE, "relay_denied", 3, NULL, NULL);
	is_found(7, MINUTE, "relay_denied", 4, NULL, NULL);
	/* the id of a Received header has a reason that was never told */
	is_found(7, MINUTE, "none", 3, NULL, "192.0.2.1");
}

static void numbers_that_wrapped_are_told_apart(void **state)
{
	(void)state;
	int64_t at = (MINUTE + 100) * 60000ll;
	/* the same number again: an hour later, and twice within one minute */
	write_event("session", at + 1000, "192.0.2.2", 9, 65536 + 3, 500,
	    "\"reason\":\"listed\",\"given\":[\"listed\"]");
	write_event("session", at + 20000, "192.0.2.3", 9, 65536 + 3, 500,
	    "\"reason\":\"spf_fail\",\"given\":[\"spf_fail\"]");
	write_event("session", at + 30000, "192.0.2.4", 9, 65536 + 3, 500,
	    "\"reason\":\"spf_fail\",\"given\":[\"spf_fail\"]");
	write_event("session", at + 3600000, "192.0.2.5", 9, 65536 + 3, 500,
	    "\"reason\":\"listed\",\"given\":[\"listed\"]");
	is_found(9, MINUTE + 100, "listed", 3, NULL, "192.0.2.2");
	is_found(
	    9, MINUTE + 160, "listed", 3, NULL, "192.0.2.5"); /* ends in that minute's first ms */
	json_t *both = find(9, MINUTE + 100, "spf_fail", 3, NULL);
	assert_int_equal(json_array_size(both), 2);
	json_decref(both);
	is_found(9, MINUTE + 100, "spf_fail", 3, "192.0.2.4", "192.0.2.4");
	is_found(9, MINUTE + 100, "spf_fail", 3, "192.0.2.44", NULL);
}

static void a_refusal_without_state_is_a_sampled_syn(void **state)
{
	(void)state;
	int64_t at = (MINUTE + 200) * 60000ll;
	write_event("refused-syn", at + 59999, "192.0.2.9", 0, 5, 0,
	    "\"verdict\":\"refuse\",\"reason\":\"banned\"");
	/* the ACK, and with it the minute of the text, comes later */
	is_found(0, MINUTE + 200, "banned", 5, "192.0.2.9", "192.0.2.9");
	is_found(0, MINUTE + 201, "banned", 5, "192.0.2.9", "192.0.2.9");
	is_found(0, MINUTE + 199, "banned", 5, "192.0.2.9", NULL);
	is_found(0, MINUTE + 200, "listed", 5, "192.0.2.9", NULL);
	write_event("refused-syn", at + 59999, "192.0.2.10", 0, 5, 0,
	    "\"verdict\":\"refuse\",\"reason\":\"listed\"");
	is_found(0, MINUTE + 200, "listed", 5, "192.0.2.10", "192.0.2.10");
	is_found(0, MINUTE + 200, "banned", 5, "192.0.2.10", NULL);
	is_found(0, MINUTE + 200, "overload", 5, "192.0.2.9", NULL);
}

static void the_newest_of_a_client_come_first(void **state)
{
	(void)state;
	json_t *events = NULL;
	int64_t at = (MINUTE + 300) * 60000ll;
	for (unsigned i = 0; i < 20; i++)
		write_event("session", at + i * 1000, i % 2 ? "192.0.2.66" : "192.0.2.6", 100 + i,
		    6, 10, "\"reason\":\"none\"");
	assert_int_equal(explain_find_client(path, "192.0.2.6", INT64_MAX, 3, &events), 0);
	assert_int_equal(json_array_size(events), 3);
	assert_int_equal(
	    json_integer_value(json_object_get(json_array_get(events, 0), "session")), 118);
	json_decref(events);
	assert_int_equal(explain_find_client(path, "192.0.2.6", at + 4500, 50, &events), 0);
	assert_int_equal(json_array_size(events), 3);
	assert_int_equal(
	    json_integer_value(json_object_get(json_array_get(events, 0), "session")), 104);
	json_decref(events);
	assert_int_equal(
	    explain_find_client("/nonexistent/log", "192.0.2.6", INT64_MAX, 3, &events), 0);
	assert_int_equal(json_array_size(events), 0);
	json_decref(events);
}

static void the_epoch_is_made_whole(void **state)
{
	(void)state;
	assert_int_equal(explain_epoch(3, 5), 3);
	assert_int_equal(explain_epoch(5, 5), 5);
	assert_int_equal(explain_epoch(3, 65536 + 3), 65536 + 3);
	assert_int_equal(explain_epoch(65535, 65536 + 3), 65535);
	assert_int_equal(explain_epoch(4, 131072 + 3), 65536 + 4);
}

static void each_reason_has_its_text(void **state)
{
	(void)state;
	json_t *one = explain_reason("relay_denied");
	assert_int_equal(json_integer_value(json_object_get(one, "code")), 550);
	assert_string_equal(json_string_value(json_object_get(one, "enhanced")), "5.7.1");
	json_decref(one);
	assert_null(explain_reason("no_such"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_of_any_minute_of_the_session_finds_it),
		cmocka_unit_test(numbers_that_wrapped_are_told_apart),
		cmocka_unit_test(a_refusal_without_state_is_a_sampled_syn),
		cmocka_unit_test(the_newest_of_a_client_come_first),
		cmocka_unit_test(the_epoch_is_made_whole),
		cmocka_unit_test(each_reason_has_its_text),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
