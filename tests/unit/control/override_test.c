/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings over the file: kept, found, ended; laid over a configuration by path. */
#include "override.h"
#include "config_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *with(json_t *before, const char *key, const char *value, int64_t until)
{
	json_t *after = NULL;
	assert_int_equal(overrides_set(before, key, value, until, 100, "user", NULL, &after), 0);
	json_decref(before);
	return after;
}

static struct config *read_with(const json_t *overrides, struct complaints *complaints)
{
	char *text = NULL;
	size_t len = 0;
	complaints_init(complaints);
	assert_int_equal(
	    config_text(POSTERN_EXAMPLES "/appliance.yaml", &text, &len, complaints), 0);
	struct config *c =
	    config_parse_with(POSTERN_EXAMPLES "/appliance.yaml", text, len, overrides, complaints);
	free(text);
	return c;
}

static void a_key_stands_once(void **state)
{
	json_t *all = with(with(NULL, "a", "1", 0), "a", "2", 0), *less = NULL;
	(void)state;
	assert_int_equal(json_array_size(all), 1);
	assert_string_equal(
	    json_string_value(json_object_get(overrides_find(all, "a"), "value")), "2");
	assert_int_equal(overrides_reset(all, "b", &less), -ENOENT);
	assert_int_equal(overrides_reset(all, "a", &less), 0);
	assert_int_equal(json_array_size(less), 0);
	json_decref(less);
	json_decref(all);
}

static void a_pattern_has_a_state_of_its_own(void **state)
{
	struct complaints complaints;
	json_t *all = with(with(NULL, "patterns.rule.A", "shadow", 0), "patterns.rule.B", "25%", 0);
	struct config *c = read_with(all, &complaints);
	const struct config_value *states;
	(void)state;
	assert_non_null(c);
	states = c->patterns.states.items;
	assert_int_equal(c->patterns.states.n, 2);
	assert_string_equal(states[0].text, "A");
	assert_string_equal(states[1].text, "B");
	assert_int_equal(states[1].number, 25);
	config_free(c);
	complaints_fini(&complaints);
	all = with(all, "patterns.rule.A", "150%", 0);
	c = read_with(all, &complaints);
	assert_int_equal(complaints.total, 1);
	assert_non_null(strstr(complaints.items[0].text, "patterns.rule.A: \"150%\""));
	config_free(c);
	complaints_fini(&complaints);
	json_decref(all);
}

static void the_number_is_bounded(void **state)
{
	json_t *all = NULL, *more = NULL;
	char key[16];
	(void)state;
	for (int i = 0; i < OVERRIDES_MAX; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		all = with(all, key, "1", 0);
	}
	assert_int_equal(overrides_set(all, "one", "1", 0, 0, "u", NULL, &more), -ENOSPC);
	assert_null(more);
	assert_int_equal(overrides_set(all, "k7", "2", 0, 0, "u", NULL, &more), 0);
	json_decref(more);
	json_decref(all);
}

static void time_ends_them(void **state)
{
	json_t *all = with(with(with(NULL, "a", "1", 0), "b", "1", 200), "c", "1", 300);
	int64_t next = 0;
	(void)state;
	assert_null(overrides_expire(all, 199, &next));
	assert_int_equal(next, 200);
	json_t *left = overrides_expire(all, 200, &next);
	assert_int_equal(json_array_size(left), 2);
	assert_int_equal(next, 300);
	json_decref(all);
	all = overrides_expire(left, 999, &next);
	assert_int_equal(json_array_size(all), 1);
	assert_true(next == INT64_MAX);
	json_decref(left);
	json_decref(all);
}

static void values_are_laid_over(void **state)
{
	struct complaints complaints;
	json_t *all = with(
	    with(with(NULL, "limits.errors", "15", 0), "pools.main.servers.mail1.weight", "7", 0),
	    "lists.blocked.entries", "[192.0.2.1, \"2001:db8::/48\"]", 0);
	(void)state;
	struct config *c = read_with(all, &complaints);
	assert_non_null(c);
	assert_int_equal(c->limits.errors.number, 15);
	const struct config_pool *pool = c->pools.items;
	const struct config_server *server = pool->servers.items;
	assert_int_equal(server->weight.number, 7);
	struct config_place place;
	assert_true(config_find(c, "lists[blocked].entries", &place, &complaints));
	assert_string_equal(place.path, "lists.blocked.entries");
	assert_int_equal(((const struct config_items *)place.at)->n, 2);
	config_free(c);
	complaints_fini(&complaints);
	json_decref(all);
}

static void mistakes_are_told_as_of_set(void **state)
{
	static const char *const wrong[][2] = { { "limits.errors", "0" }, { "limits.eror", "1" },
		{ "pools.none.hello", "none" }, { "pools", "1" }, { "", "1" }, { "pools[main", "1" },
		{ "lists.blocked.entries", "192.0.2.1/24" }, { "smtp.hostname.x", "1" } };
	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct complaints complaints;
		json_t *all = with(NULL, wrong[i][0], wrong[i][1], 0);
		assert_null(read_with(all, &complaints));
		assert_int_equal(complaints.total, 1);
		assert_string_equal(complaints.items[0].file, "set");
		assert_non_null(strstr(complaints.items[0].text, "allowed: "));
		complaints_fini(&complaints);
		json_decref(all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_stands_once),
		cmocka_unit_test(a_pattern_has_a_state_of_its_own),
		cmocka_unit_test(the_number_is_bounded),
		cmocka_unit_test(time_ends_them),
		cmocka_unit_test(values_are_laid_over),
		cmocka_unit_test(mistakes_are_told_as_of_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
