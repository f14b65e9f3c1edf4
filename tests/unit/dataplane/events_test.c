/* SPDX-License-Identifier: BSD-3-Clause */
/* Records become JSON lines; what finds no room is counted; files rotate. */
#include "events.h"

#include "filters/token.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t key[16] = "0123456789abcdef";
static struct stats_file *stats;
static char dir[] = "/tmp/events_test.XXXXXX";

static int setup(void **state)
{
	(void)state;
	stats = calloc(1, sizeof(*stats));
	stats->n_servers = 1;
	snprintf(stats->server_names[0], STATS_NAME_LEN, "mail1");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[64];

	(void)state;
	for (unsigned i = 0; i <= EVENTS_FILES_KEPT; i++) {
		snprintf(path, sizeof(path), i ? "%s/log.%u" : "%s/log", dir, i);
		unlink(path);
	}
	rmdir(dir);
	free(stats);
	return 0;
}

static struct event session(void)
{
	struct event e = {
		.kind = EVENT_SESSION,
		.worker = 1,
		.verdict = VERDICT_REFUSE,
		.phase = PHASE_RCPT,
		.reason = REASON_RELAY_DENIED,
		.time_ns = 1700000000123000000,
		.duration_ns = 42000000,
		.client = { [10] = 0xff, 0xff, 192, 0, 2, 7 },
		.client_port = 4321,
		.last_code = 550,
		.session = 9,
		.epoch = 3,
		.server = 0,
		.bytes_in = 1ull << 40,
		.tenant = 2,
		.marks_late = 2,
		.backend_refused = 3,
		.backend_code = 552,
		.pass_all = true,
	};

	snprintf(e.helo, sizeof(e.helo), "client.example.net");
	return e;
}

static json_t *parse(const struct event *e)
{
	char line[EVENTS_LINE_MAX];
	size_t len = events_format(e, stats, key, line);
	json_t *json = json_loadb(line, len, 0, NULL);

	assert_int_equal(line[len - 1], '\n');
	assert_non_null(json);
	return json;
}

#define STRING(json, key) json_string_value(json_object_get(json, key))

static void a_session_is_told(void **state)
{
	struct event e = session();
	struct token_fields fields;
	json_t *json = parse(&e);

	(void)state;
	assert_string_equal(STRING(json, "time"), "2023-11-14T22:13:20.123Z");
	assert_string_equal(STRING(json, "event"), "session");
	assert_string_equal(STRING(json, "client"), "192.0.2.7");
	assert_string_equal(STRING(json, "verdict"), "refuse");
	assert_string_equal(STRING(json, "phase"), "rcpt");
	assert_string_equal(STRING(json, "reason"), "relay_denied");
	assert_string_equal(STRING(json, "server"), "mail1");
	assert_int_equal(json_integer_value(json_object_get(json, "code")), 550);
	assert_int_equal(json_integer_value(json_object_get(json, "duration_ms")), 42);
	assert_true(json_integer_value(json_object_get(json, "bytes_in")) == 1ll << 40);
	assert_int_equal(token_parse(key, STRING(json, "token"), &fields), 0);
	assert_int_equal(fields.reason, REASON_RELAY_DENIED);
	assert_int_equal(fields.session, 9);
	assert_int_equal(json_integer_value(json_object_get(json, "tenant")), 2);
	assert_int_equal(json_integer_value(json_object_get(json, "backend_refused")), 3);
	assert_int_equal(json_integer_value(json_object_get(json, "marks_late")), 2);
	assert_int_equal(json_integer_value(json_object_get(json, "backend_code")), 552);
	assert_true(json_is_true(json_object_get(json, "pass_all")));
	json_decref(json);
}

static void what_was_known_is_told(void **state)
{
	struct event e = session();
	json_t *json, *facts;

	(void)state;
	snprintf(stats->rule_names[77], STATS_NAME_LEN, "dns.zen");
	e.given = 1ull << REASON_RELAY_DENIED | 1ull << REASON_GREYLISTED;
	e.host = HOST_CONFIRMED;
	e.spf = FACT_SPF_FAIL;
	e.facts = EVENT_TALKED_EARLY | EVENT_TRUSTED;
	e.n_dns = 1;
	e.dns[0] = 77;
	snprintf(e.host_name, sizeof(e.host_name), "mail.example.net");
	json = parse(&e);
	facts = json_object_get(json, "facts");
	assert_int_equal(json_integer_value(json_object_get(json, "session")), 9);
	assert_int_equal(json_array_size(json_object_get(json, "given")), 2);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(json, "given"), 0)), "relay_denied");
	assert_string_equal(STRING(facts, "host"), "confirmed");
	assert_string_equal(STRING(facts, "host_name"), "mail.example.net");
	assert_string_equal(STRING(facts, "spf"), "fail");
	assert_null(json_object_get(facts, "sender"));
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(facts, "dns"), 0)), "dns.zen");
	assert_int_equal(json_array_size(json_object_get(facts, "true")), 2);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(facts, "true"), 1)), "trusted");
	json_decref(json);
	/* the greatest line there can be keeps its end */
	memset(&e.given, 0xff, sizeof(e.given));
	e.facts = UINT16_MAX;
	e.n_rules = TALLY_MAX;
	e.n_dns = EVENT_DNS;
	for (unsigned i = 0; i < TALLY_MAX; i++) {
		e.rules[i] = (uint16_t)(100 + i);
		snprintf(stats->rule_names[100 + i], STATS_NAME_LEN, "%047u", i);
		e.dns[i % EVENT_DNS] = e.rules[i];
	}
	memset(e.host_name, 'h', sizeof(e.host_name) - 1);
	memset(e.helo, 1, sizeof(e.helo) - 1);
	memset(e.mail, 1, sizeof(e.mail) - 1);
	memset(e.rcpt, 1, sizeof(e.rcpt) - 1);
	e.client_port = e.listener = e.session = e.last_code = UINT16_MAX;
	e.epoch = e.commands = e.errors = e.connections = e.rate = UINT32_MAX;
	e.bytes_in = e.bytes_out = e.duration_ns = INT64_MAX;
	json = parse(&e);
	assert_non_null(json_object_get(json, "token"));
	json_decref(json);
}

static void hostile_bytes_stay_json(void **state)
{
	struct event e = session();
	json_t *json;

	(void)state;
	for (unsigned i = 0; i < sizeof(e.helo) - 1; i++)
		e.helo[i] = (char)(i + 1);
	memset(e.mail, '"', sizeof(e.mail) - 1);
	memset(e.rcpt, 0xff, sizeof(e.rcpt) - 1);
	e.verdict = e.phase = 200;
	e.reason = 60000;
	e.server = 0xffff;
	json = parse(&e);
	assert_int_equal(STRING(json, "helo")[0], 1);
	assert_int_equal(strlen(STRING(json, "mail")), sizeof(e.mail) - 1);
	assert_null(json_object_get(json, "server"));
	json_decref(json);
}

static unsigned lines_of(const char *name, char *ret_last, size_t size)
{
	char path[64], line[EVENTS_LINE_MAX];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		n++;
		if (ret_last)
			snprintf(ret_last, size, "%s", line);
	}
	fclose(f);
	return n;
}

static void records_reach_the_file_and_it_rotates(void **state)
{
	char path[64], last[EVENTS_LINE_MAX], *error = NULL;
	struct event e = session();
	struct events *ev;

	(void)state;
	snprintf(path, sizeof(path), "%s/log", dir);
	assert_int_equal(events_new(path, 2000, 2, stats, key, &ev, &error), 0);
	for (unsigned i = 0; i < 30 * EVENTS_FILES_KEPT / 4; i++)
		assert_int_equal(events_put(ev, i % 2, &e, 1), 0);
	events_tell(ev, 1700000000000000000, "note", "said \"%d\"", 7);
	events_free(ev);
	assert_true(lines_of("log.1", NULL, 0) > 0);
	assert_true(lines_of("log.31", NULL, 0) > 0);
	assert_int_equal(lines_of("log.32", NULL, 0), 0);
	assert_true(lines_of("log.1", last, sizeof(last)) < 10);
}

static void a_full_ring_loses_and_says_so(void **state)
{
	struct event *many = calloc(EVENTS_RING + 100, sizeof(*many));
	struct events *ev;
	char *error = NULL;

	(void)state;
	assert_int_equal(events_new(NULL, 1 << 20, 1, stats, key, &ev, &error), 0);
	assert_int_equal(events_put(ev, 0, many, EVENTS_RING + 100), 100);
	events_free(ev);
	free(many);
}

static void an_unwritable_log_is_a_sentence(void **state)
{
	struct events *ev = NULL;
	char *error = NULL;

	(void)state;
	assert_int_equal(events_new("/nonexistent/log", 1, 1, stats, key, &ev, &error), -ENOENT);
	assert_null(ev);
	assert_non_null(strstr(error, "/nonexistent/log"));
	free(error);
}

static void rotates_when_told(void **state)
{
	char path[64], *error = NULL;
	struct event e = session();
	struct events *ev;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/told", dir);
		assert_int_equal(events_new(path, 1 << 20, 1, stats, key, &ev, &error), 0);
		assert_string_equal(events_path(ev), path);
		events_rotate(ev); /* the second time there is something in it */
		assert_int_equal(events_put(ev, 0, &e, 1), 0);
		events_free(ev);
	}
	unlink(path);
	snprintf(path, sizeof(path), "%s/told.1", dir);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/told.2", dir);
	assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_told),
		cmocka_unit_test(what_was_known_is_told),
		cmocka_unit_test(hostile_bytes_stay_json),
		cmocka_unit_test(records_reach_the_file_and_it_rotates),
		cmocka_unit_test(rotates_when_told),
		cmocka_unit_test(a_full_ring_loses_and_says_so),
		cmocka_unit_test(an_unwritable_log_is_a_sentence),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
