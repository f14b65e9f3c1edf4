/* SPDX-License-Identifier: BSD-3-Clause */
/* Presets: under the file, never over it; whole, in order of severity, and complaints that lead to
 * the file's own lines. */
#include "compile.h"
#include "config.h"
#include "presets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const char rest[] = "host:\n"
			   "  ports:\n"
			   "    - name: outside\n"
			   "      device: net_null0\n"
			   "  interfaces:\n"
			   "    - port: outside\n"
			   "      addresses: [192.0.2.25/24]\n"
			   "    - port: outside\n"
			   "      vlan: 2\n"
			   "      backends_only: true\n"
			   "      addresses: [198.51.100.2/24]\n"
			   "listeners:\n"
			   "  - name: mx\n"
			   "pools:\n"
			   "  - name: main\n"
			   "    servers:\n"
			   "      - name: mail1\n"
			   "        address: 198.51.100.10\n";

static struct config *with(const char *begin, struct complaints *complaints)
{
	char text[4096];

	complaints_init(complaints);
	int n = snprintf(text, sizeof(text), "version: 1\n%s%s", begin, rest);
	return config_parse("test.yaml", text, (size_t)n, complaints);
}

#define SMTP "smtp:\n  hostname: mx.example.org\n"

static void each_compiles(void **state)
{
	const struct preset *all;
	unsigned n;

	(void)state;
	all = preset_all(&n);
	assert_int_equal(n, 3);
	for (unsigned i = 0; i < n; i++) {
		struct complaints complaints;
		char begin[128];

		snprintf(begin, sizeof(begin), "preset: %s\n" SMTP, all[i].name);
		struct config *c = with(begin, &complaints);
		if (!c)
			complaints_print(&complaints, stderr);
		assert_non_null(c);
		struct image *image = image_compile(c, 1, NULL, &complaints);
		assert_non_null(image);
		assert_true(c->score.refuse.number > 0);
		assert_true(c->dns.lists.n >= 4);
		/* none is left to the defaults, which are nobody's decision */
		for (unsigned k = 0; k < CHECK_N; k++)
			assert_true(
			    c->checks.check[k].state.given || c->checks.check[k].weight.given);
		assert_true(c->bans.threshold.given);
		image_free(image);
		config_free(c);
		complaints_fini(&complaints);
	}
	assert_null(preset_find("none"));
	assert_null(preset_find("norma"));
}

static int64_t refuse_of(const char *preset)
{
	struct complaints complaints;
	char begin[128];

	snprintf(begin, sizeof(begin), "preset: %s\n" SMTP, preset);
	struct config *c = with(begin, &complaints);
	assert_non_null(c);
	int64_t refuse = c->score.refuse.number;
	config_free(c);
	complaints_fini(&complaints);
	return refuse;
}

static void stricter_refuses_sooner(void **state)
{
	(void)state;
	assert_int_equal(refuse_of("none"), 0);
	assert_true(refuse_of("cautious") > refuse_of("normal"));
	assert_true(refuse_of("normal") > refuse_of("strict"));
}

static void the_file_wins(void **state)
{
	struct complaints complaints;
	struct config *c = with("preset: normal\n"
				"score:\n  refuse: 1234\n"
				"dns:\n  lists:\n    - name: own\n      zone: bl.example\n"
				"checks:\n  helo_no_dot:\n    weight: 7\n" SMTP,
	    &complaints);

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->score.refuse.number, 1234);
	assert_true(c->score.mark.number > 0); /* beside it in the section: still the preset's */
	assert_int_equal(c->dns.lists.n, 1);   /* a list replaces a list */
	assert_int_equal(c->checks.check[CHECK_helo_no_dot].weight.number, 7);
	assert_true(c->checks.check[CHECK_helo_ours].weight.number > 300);
	assert_true(c->smtp.greet_delay_ms.number > 0);
	assert_string_equal(c->smtp.banner.text, "ESMTP"); /* neither says it: the default */
	config_free(c);
	complaints_fini(&complaints);
}

static void complaints_lead_to_the_file(void **state)
{
	struct complaints complaints;

	(void)state;
	assert_null(with("preset: nomal\n" SMTP, &complaints));
	assert_int_equal(complaints.total, 1);
	assert_string_equal(complaints.items[0].file, "test.yaml");
	assert_int_equal(complaints.items[0].pos.line, 2);
	complaints_fini(&complaints);

	/* the preset's teaser needs the delay that the file takes away: the line that asked for it */
	assert_null(
	    with("\npreset: normal\nsmtp:\n  hostname: mx.example.org\n  greet_delay_ms: 0\n",
		&complaints));
	assert_true(complaints.total >= 1);
	assert_string_equal(complaints.items[0].file, "test.yaml");
	assert_int_equal(complaints.items[0].pos.line, 3);
	complaints_fini(&complaints);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_compiles),
		cmocka_unit_test(stricter_refuses_sooner),
		cmocka_unit_test(the_file_wins),
		cmocka_unit_test(complaints_lead_to_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
