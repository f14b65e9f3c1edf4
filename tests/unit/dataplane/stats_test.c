/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of counters: complete, distinct, in the form that metrics print. */
#include "stats_index.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct stats_name names[STATS_MAX_COUNTERS];

static void every_counter_has_its_own_snake_case_name(void **state)
{
	unsigned n = stats_fill_names(names);

	(void)state;
	assert_int_equal(n, STATS_N_COUNTERS);
	for (unsigned i = 0; i < n; i++) {
		assert_true(names[i].name[0] != 0);
		assert_true(names[i].text[0] != 0);
		assert_true(strlen(names[i].name) < STATS_NAME_LEN - 1);
		for (const char *p = names[i].name; *p; p++)
			assert_true(
			    islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_');
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(names[k].name, names[i].name);
	}
}

static void indexes_and_names_agree(void **state)
{
	(void)state;
	stats_fill_names(names);
	assert_string_equal(names[STATS_AT_STACK + STACK_rx_frames].name, "rx_frames");
	assert_string_equal(
	    names[STATS_AT_REASON + REASON_RELAY_DENIED].name, "reason_relay_denied");
	assert_string_equal(names[STATS_AT_VERDICT + VERDICT_REFUSE * PHASE_N + PHASE_RCPT].name,
	    "verdict_refuse_rcpt");
	assert_string_equal(
	    names[STATS_AT_BRAIN + BRAIN_messages_accepted].name, "messages_accepted");
	assert_int_equal(names[STATS_AT_BRAIN + BRAIN_messages_accepted].kind, STATS_COUNTER);
	assert_int_equal(names[STATS_AT_BRAIN + BRAIN_sessions].kind, STATS_GAUGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_has_its_own_snake_case_name),
		cmocka_unit_test(indexes_and_names_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
