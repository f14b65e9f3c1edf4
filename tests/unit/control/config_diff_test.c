/* SPDX-License-Identifier: BSD-3-Clause */
/* Two configurations compared: values as they act, entries by name, and what drifts. */
#include "config_diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct config *read_with(const char *key, const char *value)
{
	struct complaints complaints;
	char *text = NULL;
	size_t len = 0;
	json_t *set = key == NULL ? NULL : json_pack("[{s:s, s:s}]", "key", key, "value", value);
	complaints_init(&complaints);
	assert_int_equal(
	    config_text(POSTERN_EXAMPLES "/appliance.yaml", &text, &len, &complaints), 0);
	struct config *c = config_parse_with("x", text, len, set, &complaints);
	assert_non_null(c);
	free(text);
	json_decref(set);
	complaints_fini(&complaints);
	return c;
}

/* What differs and drifts when `key` goes from `from` (NULL: the example's) to `to`. */
static json_t *diff_of(const char *key, const char *from, const char *to, size_t *ret_drift)
{
	struct config *a = read_with(from == NULL ? NULL : key, from), *b = read_with(key, to);
	const struct diff_side old = { a, NULL }, new = { b, NULL };
	json_t *diff = config_diff(&old, &new, NULL);
	json_t *drift = config_drift(&old, diff);
	*ret_drift = json_array_size(drift);
	json_decref(drift);
	config_free(a);
	config_free(b);
	return diff;
}

static json_int_t number(const json_t *diff, const char *key)
{
	return json_integer_value(json_object_get(diff, key));
}

static void a_value_tells_old_and_new(void **state)
{
	size_t drift = 9;
	(void)state;
	json_t *diff = diff_of("limits.errors", NULL, "15", &drift);
	const json_t *one = json_array_get(json_object_get(diff, "keys"), 0);
	assert_int_equal(number(diff, "n_keys"), 1);
	assert_string_equal(json_string_value(json_object_get(one, "key")), "limits.errors");
	assert_string_equal(json_string_value(json_object_get(one, "old")), "20");
	assert_string_equal(json_string_value(json_object_get(one, "new")), "15");
	assert_int_equal(drift, 0);
	json_decref(diff);
	diff = diff_of("limits.errors", NULL, "20", &drift);
	assert_int_equal(number(diff, "n_keys") + number(diff, "n_added"), 0);
	json_decref(diff);
}

static void entries_are_told_by_name(void **state)
{
	size_t drift = 9;
	(void)state;
	json_t *diff = diff_of(
	    "lists.blocked.entries", "192.0.2.1, 192.0.2.2", "192.0.2.2, 192.0.2.3", &drift);
	const json_t *one = json_array_get(json_object_get(diff, "entries"), 0);
	assert_int_equal(number(diff, "n_keys"), 0);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(one, "added"), 0)), "192.0.2.3");
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(one, "removed"), 0)), "192.0.2.1");
	assert_int_equal(drift, 1); /* one is enforced no longer */
	json_decref(diff);
	diff = diff_of("lists.friends.entries", "192.0.2.1", "192.0.2.2", &drift);
	assert_int_equal(drift, 0); /* fewer friends weaken nothing */
	json_decref(diff);
}

static void what_weakens_drifts(void **state)
{
	static const struct {
		const char *key, *from, *to;
		size_t drift;
	} cases[] = {
		{ "limits.messages", "10", "11", 1 },
		{ "limits.messages", "11", "10", 0 },
		{ "smtp.bare_newline", "reject", "normalize", 1 },
		{ "smtp.bare_newline", "normalize", "disconnect", 0 },
		{ "smtp.greet_delay_ms", "2000", "0", 1 },
		{ "lists.blocked.action", "refuse", "pass", 1 },
		{ "lists.blocked.action", "drop", "refuse", 0 },
		{ "lists.blocked.state", "enforce", "shadow", 1 },
		{ "lists.blocked.state", "enforce", "25%", 1 },
		{ "lists.blocked.state", "25%", "50%", 0 },
		{ "pools.main.max_waiting", "10", "1000", 0 },
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t drift = 9;
		json_decref(diff_of(cases[i].key, cases[i].from, cases[i].to, &drift));
		if (drift != cases[i].drift)
			fail_msg("%s: %s to %s", cases[i].key, cases[i].from, cases[i].to);
	}
}

static void everything_gone_is_bounded(void **state)
{
	struct config *c = read_with(NULL, NULL);
	const struct diff_side old = { c, NULL }, new = { NULL, NULL };
	(void)state;
	json_t *diff = config_diff(&old, &new, NULL), *drift = config_drift(&old, diff);
	assert_true(json_array_size(json_object_get(diff, "keys")) <= DIFF_ROWS_MAX);
	assert_true(json_array_size(drift) >= 2 && json_array_size(drift) <= DRIFT_MAX);
	json_decref(drift);
	json_decref(diff);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_tells_old_and_new),
		cmocka_unit_test(entries_are_told_by_name),
		cmocka_unit_test(what_weakens_drifts),
		cmocka_unit_test(everything_gone_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
