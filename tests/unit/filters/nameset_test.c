/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of names: what each form of an entry fits, what it does not, expiry, pairs, bounds. */
#include "fixture.h"

#include "nameset.h"

#include <errno.h>

static unsigned add_set(
    struct fixture *f, bool pairs, const char *const *entries, uint32_t expires_s)
{
	int set = image_writer_set(f->w);

	assert_true(set >= 0);
	for (; *entries; entries++) {
		char text[NAMES_MAX_LEN + 1];
		enum name_kind kind;
		const char *wrong = nameset_read(*entries, pairs, &kind, text);

		if (wrong)
			fail_msg("%s: %s", *entries, wrong);
		assert_int_equal(image_writer_name(f->w, (unsigned)set, kind, text, expires_s), 0);
	}
	return (unsigned)set;
}

static void test_forms(void **state)
{
	static const char *const entries[] = { "User@Example.ORG", "example.com", ".example.net",
		"abuse@", "<>", "*offer*@*.test", NULL };
	static const char *const none[] = { NULL };
	static const struct {
		const char *asked;
		int kind; /* -1: not in the set */
	} rows[] = {
		{ "user@example.org", NAME_ADDRESS },
		{ "USER@EXAMPLE.ORG", NAME_ADDRESS },
		{ "user@example.org.", NAME_ADDRESS },
		{ "other@example.org", -1 },
		{ "anyone@example.com", NAME_DOMAIN },
		{ "example.com", NAME_DOMAIN },
		{ "anyone@sub.example.com", -1 },
		{ "anyone@a.b.example.net", NAME_PARENT },
		{ "host.example.net", NAME_PARENT },
		{ "anyone@example.net", -1 },
		{ "anyone@badexample.net", -1 },
		{ "abuse@anywhere.invalid", NAME_LOCAL },
		{ "abuse", -1 },
		{ "", NAME_ADDRESS },
		{ "big-offers@mail.test", NAME_GLOB },
		{ "big-offers@test", -1 },
		{ "\"a@b\"@example.com", NAME_DOMAIN },
	};
	struct fixture f;
	unsigned set, empty;

	(void)state;
	fixture_begin(&f);
	set = add_set(&f, false, entries, 0);
	empty = add_set(&f, false, none, 0);
	fixture_open(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum name_kind kind;
		bool found =
		    nameset_find(policy_namesets(f.p), set, text_of(rows[i].asked), 1, &kind);

		if (found != (rows[i].kind >= 0) || (found && (int)kind != rows[i].kind))
			fail_msg(
			    "\"%s\": found %d as %d", rows[i].asked, found, found ? (int)kind : -1);
		assert_false(
		    nameset_find(policy_namesets(f.p), empty, text_of(rows[i].asked), 1, NULL));
	}
	assert_true(nameset_empty(policy_namesets(f.p), empty));
	assert_true(nameset_empty(policy_namesets(f.p), 4000));
	fixture_end(&f);
}

static void test_expiry(void **state)
{
	static const char *const once[] = { "a@example.org", "*b*", NULL };
	static const char *const other[] = { "a@example.org", NULL };
	struct fixture f;
	unsigned set;

	(void)state;
	fixture_begin(&f);
	set = add_set(&f, false, once, 1000);
	fixture_open(&f);
	assert_true(nameset_find(policy_namesets(f.p), set, text_of("a@example.org"), 999, NULL));
	assert_false(nameset_find(policy_namesets(f.p), set, text_of("a@example.org"), 1000, NULL));
	assert_true(nameset_find(policy_namesets(f.p), set, text_of("abc"), 999, NULL));
	assert_false(nameset_find(policy_namesets(f.p), set, text_of("abc"), 1000, NULL));
	fixture_end(&f);

	/* named twice: what lasts longest */
	fixture_begin(&f);
	set = add_set(&f, false, once, 1000);
	for (const char *const *e = other; *e; e++)
		assert_int_equal(image_writer_name(f.w, set, NAME_ADDRESS, *e, 0), 0);
	fixture_open(&f);
	assert_true(nameset_find(policy_namesets(f.p), set, text_of("a@example.org"), 5000, NULL));
	fixture_end(&f);
}

static void test_pairs(void **state)
{
	static const char *const entries[] = { "a@x.example  b@y.example", "x.example .y.example",
		"<> c@y.example", "* trap@y.example", "friend@ *", NULL };
	static const struct {
		const char *sender, *rcpt;
		bool found;
	} rows[] = {
		{ "a@x.example", "b@y.example", true },
		{ "a@x.example", "z@y.example", false },
		{ "z@x.example", "z@sub.y.example", true },
		{ "z@x.example", "z@y.example", false },
		{ "", "c@y.example", true },
		{ "z@x.example", "c@y.example", false },
		{ "any@where.example", "Trap@Y.example", true },
		{ "friend@where.example", "any@one.example", true },
	};
	struct fixture f;
	unsigned set;

	(void)state;
	fixture_begin(&f);
	set = add_set(&f, true, entries, 0);
	fixture_open(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (nameset_find_pair(policy_namesets(f.p), set, text_of(rows[i].sender),
			text_of(rows[i].rcpt), 1) != rows[i].found)
			fail_msg("%s %s", rows[i].sender, rows[i].rcpt);
	fixture_end(&f);
}

static void test_wrong_entries(void **state)
{
	static const struct {
		const char *entry;
		bool pairs;
	} rows[] = { { "", false }, { "a b", false }, { "@", false }, { ".", false },
		{ "..a", false }, { "a..b", false }, { "a.", false }, { "<a@b>", false },
		{ "a\tb", false }, { "a@b", true }, { "* x*y@z", true } };
	char text[NAMES_MAX_LEN + 1], long_name[NAMES_MAX_LEN + 2];
	enum name_kind kind;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!nameset_read(rows[i].entry, rows[i].pairs, &kind, text))
			fail_msg("\"%s\" was taken", rows[i].entry);
	memset(long_name, 'a', sizeof(long_name));
	long_name[NAMES_MAX_LEN + 1] = '\0';
	assert_non_null(nameset_read(long_name, false, &kind, text));
	long_name[NAMES_MAX_LEN] = '\0';
	assert_null(nameset_read(long_name, false, &kind, text));
}

static void test_bounds(void **state)
{
	static char long_name[NAMES_MAX_LEN + 100];
	static const char *const entries[] = { "*", "a@example.org", NULL };
	struct fixture f;
	unsigned set;

	(void)state;
	fixture_begin(&f);
	set = add_set(&f, false, entries, 0);
	for (unsigned i = 1; i < NAMES_MAX_GLOBS; i++)
		assert_int_equal(image_writer_name(f.w, set, NAME_GLOB, "x*", 0), 0);
	assert_int_equal(image_writer_name(f.w, set, NAME_GLOB, "x*", 0), -E2BIG);
	assert_int_equal(image_writer_name(f.w, set + 1, NAME_DOMAIN, "x", 0), -EINVAL);
	fixture_open(&f);
	memset(long_name, 'a', sizeof(long_name));
	assert_true(nameset_find(
	    policy_namesets(f.p), set, (struct text){ long_name, NAMES_MAX_LEN }, 1, NULL));
	assert_false(nameset_find(
	    policy_namesets(f.p), set, (struct text){ long_name, NAMES_MAX_LEN + 1 }, 1, NULL));
	assert_false(nameset_find(policy_namesets(f.p), set, (struct text){ "a\0b", 3 }, 1, NULL));
	fixture_end(&f);
}

static void test_many(void **state)
{
	struct fixture f;
	char text[64];
	int set;

	(void)state;
	fixture_begin(&f);
	set = image_writer_set(f.w);
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(text, sizeof(text), "user%u@example%u.org", i, i % 77);
		assert_int_equal(image_writer_name(f.w, (unsigned)set, NAME_ADDRESS, text, 0), 0);
	}
	fixture_open(&f);
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(text, sizeof(text), "user%u@example%u.org", i, i % 77);
		assert_true(
		    nameset_find(policy_namesets(f.p), (unsigned)set, text_of(text), 1, NULL));
		snprintf(text, sizeof(text), "user%u@example%u.org", i, i % 77 + 1);
		assert_false(
		    nameset_find(policy_namesets(f.p), (unsigned)set, text_of(text), 1, NULL));
	}
	fixture_end(&f);
}

/* No byte of the part may lead a reader outside it. */
static void test_hostile_part(void **state)
{
	static const char *const entries[] = { "a@example.org", "example.com", "*x*", NULL };
	struct fixture f;
	struct nameset n;
	const char *error;
	const struct image_part *part = NULL;

	(void)state;
	fixture_begin(&f);
	add_set(&f, false, entries, 0);
	fixture_open(&f);
	for (unsigned i = 0; i < f.n_parts; i++)
		if (f.parts[i].kind == IMAGE_NAMES)
			part = &f.parts[i];
	assert_non_null(part);
	for (size_t cut = 0; cut < part->len; cut++)
		assert_int_equal(nameset_open(part->base, cut, "", 1, &n, &error), -EBADMSG);
	assert_int_equal(nameset_open(part->base, part->len, "", 1, &n, &error), -EBADMSG);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_wrong_entries),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_hostile_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
