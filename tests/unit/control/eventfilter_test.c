/* SPDX-License-Identifier: BSD-3-Clause */
/* Filters: what each condition holds, and what is said of those that make no sense. */
#include "eventfilter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static bool holds(const char *text)
{
	static const char event[] =
	    "{\"client\":\"192.0.2.7\",\"verdict\":\"refuse\",\"code\":550,\"score\":5.25,"
	    "\"rules\":[\"dns.zen\",\"checks.no_ptr\"],\"mail\":\"A@Example.org\",\"open\":true,"
	    "\"helo\":\"\"}";
	char why[EVENTFILTER_WHY_MAX] = "";
	struct eventfilter *f = eventfilter_new(text, why);
	json_t *json = json_loads(event, 0, NULL);
	assert_string_equal(why, "");
	assert_non_null(f);
	bool result = eventfilter_holds(f, json);
	json_decref(json);
	eventfilter_free(f);
	return result;
}

static void conditions(void **state)
{
	(void)state;
	assert_true(holds(""));
	assert_true(holds("client=192.0.2.7"));
	assert_true(holds("client=192.0.2.0/24"));
	assert_false(holds("client=192.0.3.0/24"));
	assert_true(holds("client!=2001:db8::/32"));
	assert_true(holds("client~192.0"));
	assert_true(holds("verdict=REFUSE and code=550"));
	assert_true(holds("verdict=refuse,mail~@example.org , score >= 5.25"));
	assert_false(holds("verdict=refuse,score>5.25"));
	assert_true(holds("score<6 AND score>5"));
	assert_true(holds("code<=550"));
	assert_true(holds("code~55"));
	assert_true(holds("rules=dns.zen"));
	assert_true(holds("rules~no_ptr"));
	assert_false(holds("rules!=dns.zen"));
	assert_true(holds("shadow!=dns.zen"));
	assert_false(holds("shadow=dns.zen"));
	assert_true(holds("open=true"));
	assert_true(holds("helo=\"\""));
	assert_true(holds("mail=\"a@example.org\""));
	assert_false(eventfilter_holds(eventfilter_free(NULL), NULL) == false);
}

static void refuse(const char *text, const char *part)
{
	char why[EVENTFILTER_WHY_MAX] = "";
	assert_null(eventfilter_new(text, why));
	if (strstr(why, part) == NULL)
		assert_string_equal(why, part);
}

static void complaints(void **state)
{
	(void)state;
	refuse("refuse", "followed by none of");
	refuse("=refuse", "a name is expected");
	refuse("verdict=", "wants a value");
	refuse("verdict=refuse code=5", "joined by a comma or `and`");
	refuse("verdict=refuse,", "missing at the end");
	refuse("score>high", "wants a number");
	refuse("client=192.0.2.300", "client=\"192.0.2.300\"");
	refuse("client=192.0.2.7/24", "client=\"192.0.2.7/24\"");
	refuse("mail=\"a", "has no end");
	refuse("a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1", "at most 16");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions),
		cmocka_unit_test(complaints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
