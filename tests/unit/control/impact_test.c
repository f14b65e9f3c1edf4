/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a rule would have hit: groups, what the mail servers said, bounds. */
#include "eventlog.h"
#include "impact.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char path[] = "/tmp/impact_test.XXXXXX";

static int setup(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static FILE *log_file(void)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	return f;
}

static json_t *impact(const char *rule, int64_t since_ms, enum impact_by by)
{
	json_t *result = NULL;
	assert_int_equal(impact_of(path, rule, since_ms, by, &result), 0);
	assert_non_null(result);
	return result;
}

#define N(object, key)    json_integer_value(json_object_get(object, key))
#define TEXT(object, key) json_string_value(json_object_get(object, key))

static void write_some(void)
{
	FILE *f = log_file();
	fputs(
	    "{\"time\":\"2026-01-01T00:00:01.000Z\",\"event\":\"session\",\"client\":\"192.0.2.7\","
	    "\"messages\":2,\"shadow\":[\"dns.zen\"],\"mail\":\"a@example.net\","
	    "\"rcpt\":\"u@example.org\",\"tenant\":0}\n"
	    "{\"time\":\"2026-01-01T00:00:02.000Z\",\"event\":\"session\",\"client\":\"192.0.2."
	    "99\","
	    "\"messages\":0,\"shadow\":[\"checks.other\",\"dns.zen\"],\"rcpt\":\"v@example.com\","
	    "\"tenant\":3,\"backend_refused\":1,\"backend_code\":550}\n"
	    "{\"time\":\"2026-01-01T00:00:03.000Z\",\"event\":\"session\",\"client\":"
	    "\"2001:db8:1:2:3::4\",\"messages\":0,\"rules\":[\"dns.zen\"],\"rcpt\":\"\"}\n"
	    "{\"time\":\"2026-01-01T00:00:04.000Z\",\"event\":\"session\",\"client\":\"192.0.2.8\","
	    "\"messages\":1,\"shadow\":[\"dns.zen2\"],\"mail\":\"dns.zen\"}\n"
	    "{\"time\":\"2026-01-01T00:00:05.000Z\",\"event\":\"refused-syn\",\"shadow\":[\"dns."
	    "zen\"]}"
	    "\nnot JSON, with \"dns.zen\"\n",
	    f);
	fclose(f);
}

static void counts_and_groups(void **state)
{
	(void)state;
	write_some();
	json_t *r = impact("dns.zen", EVENTLOG_OLDEST, IMPACT_BY_PREFIX);
	assert_int_equal(N(r, "sessions"), 3);
	assert_int_equal(N(r, "shadow"), 2);
	assert_int_equal(N(r, "enforced"), 1);
	assert_int_equal(N(r, "prefixes"), 2);
	assert_int_equal(N(r, "messages"), 2);
	assert_int_equal(N(r, "accepted"), 1);
	assert_int_equal(N(r, "refused"), 1);
	assert_int_equal(N(json_object_get(r, "codes"), "550"), 1);
	const json_t *rows = json_object_get(r, "rows"), *row = json_array_get(rows, 0);
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(TEXT(row, "group"), "192.0.2.0/24");
	assert_int_equal(N(row, "sessions"), 2);
	assert_int_equal(N(row, "accepted"), 1);
	assert_int_equal(N(row, "refused"), 1);
	assert_string_equal(TEXT(json_array_get(rows, 1), "group"), "2001:db8:1:2::/64");
	assert_int_equal(json_array_size(json_object_get(r, "examples")), 3);
	assert_string_equal(
	    TEXT(json_array_get(json_object_get(r, "examples"), 0), "client"), "192.0.2.7");
	json_decref(r);
}

static void other_groups_and_a_later_beginning(void **state)
{
	(void)state;
	write_some();
	json_t *r = impact("dns.zen", EVENTLOG_OLDEST, IMPACT_BY_TENANT);
	assert_string_equal(TEXT(json_array_get(json_object_get(r, "rows"), 1), "group"), "3");
	json_decref(r);
	r = impact("dns.zen", EVENTLOG_OLDEST, IMPACT_BY_DOMAIN);
	const json_t *rows = json_object_get(r, "rows");
	assert_string_equal(TEXT(json_array_get(rows, 0), "group"), "(no recipient)");
	assert_string_equal(TEXT(json_array_get(rows, 1), "group"), "example.com");
	assert_string_equal(TEXT(json_array_get(rows, 2), "group"), "example.org");
	json_decref(r);
	r = impact("dns.zen", 1767225602500ll, IMPACT_BY_PREFIX);
	assert_int_equal(N(r, "sessions"), 1);
	json_decref(r);
	r = impact("dns.nobody", EVENTLOG_OLDEST, IMPACT_BY_PREFIX);
	assert_int_equal(N(r, "sessions"), 0);
	json_decref(r);
}

static void bounds_are_told(void **state)
{
	(void)state;
	enum { CLIENTS = IMPACT_PREFIXES_MAX + 1000 };
	FILE *f = log_file();
	for (unsigned i = 0; i < CLIENTS; i++)
		fprintf(f,
		    "{\"time\":\"2026-01-01T00:00:01.000Z\",\"event\":\"session\",\"client\":"
		    "\"10.%u.%u.1\",\"shadow\":[\"x\"],\"backend_code\":%u}\n",
		    i >> 8 & 255, i & 255, 400 + i % 100);
	for (unsigned i = 0; i < 1000; i++)
		fprintf(f,
		    "{\"time\":\"2026-01-01T00:00:01.000Z\",\"event\":\"session\",\"client\":"
		    "\"11.%u.%u.1\",\"shadow\":[\"x\"]}\n",
		    i >> 8, i & 255);
	fclose(f);
	json_t *r = impact("x", EVENTLOG_OLDEST, IMPACT_BY_PREFIX);
	assert_int_equal(N(r, "sessions"), CLIENTS + 1000);
	assert_int_equal(N(r, "prefixes"), IMPACT_PREFIXES_MAX);
	assert_true(json_is_true(json_object_get(r, "prefixes_full")));
	const json_t *rows = json_object_get(r, "rows");
	assert_int_equal(json_array_size(rows), IMPACT_ROWS_TOLD);
	json_int_t told = 0;
	for (size_t i = 0; i < json_array_size(rows); i++)
		told += N(json_array_get(rows, i), "sessions");
	assert_int_equal(told + N(r, "other"), N(r, "sessions"));
	assert_int_equal(json_object_size(json_object_get(r, "codes")), IMPACT_CODES_MAX);
	assert_int_equal(json_array_size(json_object_get(r, "examples")), IMPACT_EXAMPLES);
	json_decref(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_and_groups),
		cmocka_unit_test(other_groups_and_a_later_beginning),
		cmocka_unit_test(bounds_are_told),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
