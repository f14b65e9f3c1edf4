/* SPDX-License-Identifier: BSD-3-Clause */
/* What an address means, in all the ways of writing it. */
#include "fixture.h"

#include "canonical.h"

static void test_forms(void **state)
{
	static const struct {
		const char *path;
		const char *forms[CANONICAL_MAX_FORMS + 1];
	} rows[] = {
		{ "User@Example.ORG", { "user@example.org" } },
		{ "user@example.org.", { "user@example.org" } },
		{ "", { "" } },
		{ "postmaster", { "postmaster" } },
		{ "@a.example,@b.example:user@example.org", { "user@example.org" } },
		{ "\"user\"@example.org", { "user@example.org" } },
		{ "\"us\\er\"@example.org", { "user@example.org" } },
		{ "user%victim.test@example.org",
		    { "user%victim.test@example.org", "user@victim.test" } },
		{ "user%a%b@example.org", { "user%a%b@example.org", "user%a@b", "user@a" } },
		{ "victim.test!user@example.org",
		    { "victim.test!user@example.org", "user@victim.test" } },
		{ "a!b!user@example.org", { "a!b!user@example.org", "b!user@a", "user@b" } },
		{ "\"user@victim.test\"@example.org",
		    { "user@victim.test@example.org", "user@victim.test" } },
		{ "%@example.org", { "%@example.org" } },
		{ "!@example.org", { "!@example.org" } },
		{ "@example.org", { "@example.org" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct canonical c;
		unsigned n = 0;

		canonical_forms(text_of(rows[i].path), &c);
		for (; rows[i].forms[n]; n++)
			if (n >= c.n || strlen(rows[i].forms[n]) != c.forms[n].len ||
			    memcmp(rows[i].forms[n], c.forms[n].p, c.forms[n].len) != 0)
				fail_msg("%s: form %u is \"%.*s\"", rows[i].path, n,
				    n < c.n ? c.forms[n].len : 0, n < c.n ? c.forms[n].p : "");
		if (c.n != n)
			fail_msg("%s: %u forms", rows[i].path, c.n);
	}
}

static void test_bounds(void **state)
{
	char path[CANONICAL_MAX_LEN + 2];
	struct canonical c;

	(void)state;
	memset(path, '%', sizeof(path));
	canonical_forms((struct text){ path, CANONICAL_MAX_LEN + 1 }, &c);
	assert_int_equal(c.n, 0);
	canonical_forms((struct text){ path, CANONICAL_MAX_LEN }, &c);
	assert_int_equal(c.n, 1);
	/* more hidden than there are forms: the outermost ones */
	canonical_forms(text_of("u%1%2%3%4%5%6@example.org"), &c);
	assert_int_equal(c.n, CANONICAL_MAX_FORMS);
	/* any bytes, any length: nothing outside is touched (the sanitizers watch) */
	srand(7);
	for (unsigned i = 0; i < 20000; i++) {
		static const char some[] = "ab.@%!:\"\\,<>\x80";
		uint16_t len = (uint16_t)(rand() % CANONICAL_MAX_LEN);
		char *exact = malloc(len ? len : 1);

		assert_non_null(exact);
		for (uint16_t k = 0; k < len; k++)
			exact[k] = some[(size_t)rand() % (sizeof(some) - 1)];
		canonical_forms((struct text){ exact, len }, &c);
		assert_in_range(c.n, 1, CANONICAL_MAX_FORMS);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
