/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void finds_rows_by_dotted_name(void **state)
{
	unsigned flags = 0;
	(void)state;
	const struct schema_key *key = schema_find("pools.servers.max_connections", &flags);
	assert_non_null(key);
	assert_string_equal(key->def, "100");
	assert_false(flags & SCHEMA_RESTART);
	assert_non_null(schema_find("host.ports.mtu", &flags));
	assert_true(flags & SCHEMA_RESTART); /* inherited */
	assert_null(schema_find("pools.nothing", &flags));
	assert_null(schema_find("", &flags));
	assert_null(schema_find("version.more", &flags));
	assert_null(schema_find("smtp.", &flags));
	assert_null(schema_find("smt", &flags));
}

static void says_what_is_allowed(void **state)
{
	static const struct {
		const char *key, *allowed;
	} cases[] = {
		{ "version", "1" },
		{ "host.workers", "a number from 1 to 64" },
		{ "host.syn_ring", "a power of two from 64 to 16777216" },
		{ "host.eal",
		    "a list of 0 to 32 entries, each printable ASCII, 1 to 255 characters" },
		{ "smtp.bare_newline", "reject, normalize or disconnect" },
		{ "smtp.add_received", "true or false" },
		{ "listeners.address", "any, or an IPv4 or IPv6 address" },
		{ "host.routes.to",
		    "default, or a prefix without host bits, as 198.51.100.0/24 or 2001:db8::/32" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		schema_allowed(schema_find(cases[i].key, NULL), text, sizeof(text));
		assert_string_equal(text, cases[i].allowed);
	}
	char cut[10];
	schema_allowed(schema_find("smtp", NULL), cut, sizeof(cut));
	assert_string_equal(cut, "a section");
}

static void check_row(void *arg, const char *dotted, const struct schema_key *key, unsigned flags)
{
	unsigned *n = arg;
	++*n;
	assert_true(strlen(key->doc) >= 10);
	assert_int_equal(key->doc[strlen(key->doc) - 1], '.');
	assert_ptr_equal(schema_find(dotted, NULL), key);
	assert_true((key->type == SCHEMA_SECTION) == (key->section != NULL));
	assert_true(key->min <= key->max);
	if (key->type == SCHEMA_SECTION || (key->flags & SCHEMA_MANY))
		return;
	/* a value is either required or has a default, and the default obeys its own row */
	assert_true(((flags & SCHEMA_REQUIRED) != 0) != (key->def != NULL));
	if (key->def != NULL) {
		struct config_value value = { 0 };
		assert_null(schema_value(key, key->def, strlen(key->def), true, &value));
	}
}

static void every_row_is_whole(void **state)
{
	unsigned n = 0;
	(void)state;
	schema_walk(check_row, &n);
	assert_true(n > 70);
}

/* examples/appliance.yaml is the contract: it is good, and has every key with its default. */
struct example {
	char *text;
	size_t len;
};

static int load_example(void **state)
{
	static struct example example;
	FILE *f = fopen(POSTERN_EXAMPLES "/appliance.yaml", "r");
	if (f == NULL)
		return -1;
	example.text = calloc(1, 65536);
	example.len = fread(example.text, 1, 65535, f);
	*state = &example;
	return fclose(f);
}

static int drop_example(void **state)
{
	struct example *example = *state;
	free(example->text);
	return 0;
}

static void the_example_is_good(void **state)
{
	const struct example *example = *state;
	struct complaints complaints;
	complaints_init(&complaints);
	struct config *c = config_parse("appliance.yaml", example->text, example->len, &complaints);
	char *wrong = complaints_text(&complaints);
	assert_string_equal(wrong, "");
	assert_non_null(c);
	free(wrong);
	config_free(c);
	complaints_fini(&complaints);
}

static void find_in_example(
    void *arg, const char *dotted, const struct schema_key *key, unsigned flags)
{
	const struct example *example = arg;
	char line[128];
	(void)flags;
	/* the key at the begin of a line, behind blanks or a dash */
	snprintf(line, sizeof(line), "%s:", key->name);
	const char *at = example->text;
	bool found = false, with_default = false;
	size_t def_len = key->def == NULL ? 0 : strlen(key->def);
	while ((at = strstr(at, line)) != NULL) {
		char before = at == example->text ? '\n' : at[-1];
		at += strlen(line);
		if (before != '\n' && before != ' ')
			continue;
		found = true;
		const char *value = at + strspn(at, " ");
		with_default = with_default || key->def == NULL ||
			       (def_len == 0 ? memcmp(value, "\"\"", 2) == 0
					     : strncmp(value, key->def, def_len) == 0 &&
						   strchr(" \n#", value[def_len]) != NULL);
	}
	if (!found || (!with_default && strcmp(dotted, "host.interfaces.backends_only") != 0))
		fail_msg("examples/appliance.yaml lacks %s with its default %s", dotted,
		    key->def == NULL ? "(none)" : key->def);
}

static void the_example_has_every_key_with_its_default(void **state)
{
	schema_walk(find_in_example, *state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_rows_by_dotted_name),
		cmocka_unit_test(says_what_is_allowed),
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test_setup_teardown(the_example_is_good, load_example, drop_example),
		cmocka_unit_test_setup_teardown(
		    the_example_has_every_key_with_its_default, load_example, drop_example),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
