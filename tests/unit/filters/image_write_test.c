/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer: precedence among lists, ranges, bounds, and the same bytes from the same input. */
#include "fixture.h"

#include <errno.h>

static const struct policy_list *list_of4(struct fixture *f, uint32_t a)
{
	uint8_t c[16];

	client4(c, a);
	return policy_list_of(f->p, c, 0);
}

static int index_of4(struct fixture *f, uint32_t a)
{
	const struct policy_list *l = list_of4(f, a);

	return l ? (int)l->tarpit_pace_ms : -1;
}

static unsigned list_add(struct fixture *f, enum verdict_kind verdict, uint32_t number)
{
	struct policy_list l = {
		.verdict = (uint8_t)verdict,
		.tarpit_pace_ms = number, /* to know it again */
		.pool = -1,
	};

	return (unsigned)image_writer_list(f->w, &l);
}

static void test_precedence(void **state)
{
	struct fixture f;
	unsigned refuse, drop, drop2, allow, allow2;

	(void)state;
	fixture_begin(&f);
	refuse = list_add(&f, VERDICT_REFUSE, 1);
	drop = list_add(&f, VERDICT_DROP, 2);
	drop2 = list_add(&f, VERDICT_DROP, 3);
	allow = list_add(&f, VERDICT_PASS, 4);
	allow2 = list_add(&f, VERDICT_PASS, 5);
	image_writer_v4(f.w, refuse, 0x01000000, 8);
	image_writer_v4(f.w, drop, 0x01000000, 8);    /* more severe */
	image_writer_v4(f.w, drop2, 0x01000000, 8);   /* made later */
	image_writer_v4(f.w, refuse, 0x01020000, 16); /* more specific */
	image_writer_v4(f.w, allow, 0x01020300, 24);
	image_writer_v4(f.w, drop, 0x01020304, 32);   /* in an allowed /24 */
	image_writer_v4(f.w, allow2, 0x01020305, 32); /* the more specific allow list */
	image_writer_v4(f.w, drop, 0x02000001, 32);
	image_writer_v4(f.w, allow2, 0x02000001, 32); /* the same host */
	image_writer_v4(f.w, allow, 0x02000001, 32);
	fixture_open(&f);
	assert_int_equal(index_of4(&f, 0x01000001), 2);
	assert_int_equal(index_of4(&f, 0x01020001), 1);
	assert_int_equal(index_of4(&f, 0x01020301), 4);
	assert_int_equal(index_of4(&f, 0x01020304), 4);
	assert_int_equal(index_of4(&f, 0x01020305), 5);
	assert_int_equal(index_of4(&f, 0x02000001), 4);
	assert_int_equal(index_of4(&f, 0x02000002), -1);
	fixture_end(&f);
}

static void test_ranges(void **state)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = { { 0, 0 }, { 1, 6 }, { 0x0a0000ff, 0x0a000200 }, { 0x7fffffff, 0x80000000 },
		{ 0xc0000201, 0xc00002fe }, { UINT32_MAX - 2, UINT32_MAX } };
	struct fixture f;
	unsigned list;

	(void)state;
	fixture_begin(&f);
	list = list_add(&f, VERDICT_DROP, 1);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(
		    image_writer_v4_range(f.w, list, ranges[i].first, ranges[i].last), 0);
	assert_int_equal(image_writer_v4_range(f.w, list, 2, 1), -EINVAL);
	fixture_open(&f);
	for (unsigned i = 0; i < 6; i++) {
		assert_non_null(list_of4(&f, ranges[i].first));
		assert_non_null(list_of4(&f, ranges[i].last));
		assert_non_null(
		    list_of4(&f, ranges[i].first + (ranges[i].last - ranges[i].first) / 2));
		if (ranges[i].first > 1)
			assert_null(list_of4(&f, ranges[i].first - 1));
		if (ranges[i].last > 0 && ranges[i].last < UINT32_MAX)
			assert_null(list_of4(&f, ranges[i].last + 1));
	}
	fixture_end(&f);

	fixture_begin(&f);
	list = list_add(&f, VERDICT_DROP, 1);
	assert_int_equal(image_writer_v4_range(f.w, list, 0, UINT32_MAX), 0);
	fixture_open(&f);
	assert_non_null(list_of4(&f, 0));
	assert_non_null(list_of4(&f, UINT32_MAX));
	fixture_end(&f);
}

static void test_v6_ranges(void **state)
{
	uint8_t first[16], last[16], before[16], after[16], zero[16] = { 0 }, ones[16];
	struct fixture f;
	unsigned list;

	(void)state;
	memset(ones, 255, 16);
	client6(first, 1, 5);
	client6(before, 1, 4);
	client6(last, 3, 9);
	client6(after, 3, 10);
	fixture_begin(&f);
	list = list_add(&f, VERDICT_DROP, 1);
	assert_int_equal(image_writer_v6_range(f.w, list, first, last), 0);
	assert_int_equal(image_writer_v6_range(f.w, list, last, first), -EINVAL);
	fixture_open(&f);
	assert_null(policy_list_of(f.p, before, 0));
	assert_non_null(policy_list_of(f.p, first, 0));
	assert_non_null(policy_list_of(f.p, last, 0));
	assert_null(policy_list_of(f.p, after, 0));
	fixture_end(&f);

	fixture_begin(&f);
	list = list_add(&f, VERDICT_DROP, 1);
	assert_int_equal(image_writer_v6_range(f.w, list, zero, ones), 0);
	fixture_open(&f);
	assert_non_null(policy_list_of(f.p, zero, 0));
	assert_non_null(policy_list_of(f.p, ones, 0));
	assert_null(list_of4(&f, 1)); /* IPv4 is another space */
	fixture_end(&f);

	fixture_begin(&f);
	list = list_add(&f, VERDICT_DROP, 1);
	assert_int_equal(image_writer_v6_range(f.w, list, ones, ones), 0);
	client4(first, 0x01020304);
	assert_int_equal(image_writer_prefix(f.w, list, first, 33), -EINVAL);
	assert_int_equal(image_writer_prefix(f.w, list, first, 24), 0);
	fixture_open(&f);
	assert_non_null(policy_list_of(f.p, ones, 0));
	assert_null(policy_list_of(f.p, zero, 0));
	assert_non_null(list_of4(&f, 0x010203ff));
	assert_null(list_of4(&f, 0x01020400));
	fixture_end(&f);
}

static void test_bounds(void **state)
{
	struct policy_list l = { .verdict = VERDICT_DROP };
	struct policy_server server = { .port = 25 };
	struct policy_pool pool = { .fallback_pool = 0xffff };
	struct fixture f;
	uint8_t a[16] = { 0 };
	char name[300];

	(void)state;
	fixture_begin(&f);
	for (int i = 0; i < POLICY_MAX_LISTS; i++)
		assert_int_equal(image_writer_list(f.w, &l), i);
	assert_int_equal(image_writer_list(f.w, &l), -E2BIG);
	for (int i = 1; i < POLICY_MAX_SERVERS; i++)
		assert_int_equal(image_writer_server(f.w, &server), i);
	assert_int_equal(image_writer_server(f.w, &server), -E2BIG);
	for (int i = 1; i < POLICY_MAX_POOLS; i++)
		assert_int_equal(image_writer_pool(f.w, &pool), i);
	assert_int_equal(image_writer_pool(f.w, &pool), -E2BIG);
	assert_int_equal(image_writer_v4(f.w, POLICY_MAX_LISTS, 0, 8), -EINVAL);
	assert_int_equal(image_writer_v4(f.w, 0, 0, 33), -EINVAL);
	assert_int_equal(image_writer_v6(f.w, 0, a, 129), -EINVAL);
	/* the last list's value is usable */
	assert_int_equal(image_writer_v4(f.w, POLICY_MAX_LISTS - 1, 0x01020304, 32), 0);
	memset(name, 'a', sizeof(name));
	name[256] = 0;
	assert_int_equal(image_writer_domain(f.w, name, DOMAIN_EXACT, 0, 0), -EINVAL);
	assert_int_equal(image_writer_domain(f.w, "", DOMAIN_EXACT, 0, 0), -EINVAL);
	name[255] = 0;
	assert_int_equal(image_writer_domain(f.w, name, DOMAIN_EXACT, 0, 0), 0);
	fixture_open(&f);
	assert_non_null(list_of4(&f, 0x01020304));
	fixture_end(&f);
}

static void test_domain_twice(void **state)
{
	struct fixture f;
	const char *error = NULL;

	(void)state;
	fixture_begin(&f);
	image_writer_domain(f.w, "example.org", DOMAIN_EXACT, 0, 0);
	image_writer_domain(f.w, "a.example.org", DOMAIN_EXACT, 0, 0);
	image_writer_domain(f.w, "EXAMPLE.org", DOMAIN_EXACT, 0, 0);
	assert_int_equal(image_writer_finish(f.w, f.parts, &f.n_parts, &error), -EEXIST);
	assert_non_null(strstr(error, "example.org"));
	fixture_end(&f);
}

/* A changed setting changes the settings part alone; the order of entries changes nothing. */
static void test_same_bytes(void **state)
{
	struct fixture f[2];

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		unsigned list;

		fixture_begin(&f[k]);
		list = list_add(&f[k], VERDICT_DROP, 1);
		for (unsigned i = 0; i < 1000; i++) {
			unsigned j = k ? 999 - i : i;
			uint8_t a[16];

			client6(a, (uint16_t)j, 0);
			image_writer_v4(f[k].w, list, j * 0x10001, 32 - j % 9);
			image_writer_v6(f[k].w, list, a, 48 + j % 80);
		}
		image_writer_settings(f[k].w)->smtp.greet_delay_ms = 100 * k;
		fixture_open(&f[k]);
	}
	assert_int_equal(f[0].n_parts, f[1].n_parts);
	for (unsigned i = 0; i < f[0].n_parts; i++) {
		const struct image_part *a = &f[0].parts[i], *b = &f[1].parts[i];

		assert_int_equal(a->len, b->len);
		if (a->kind == IMAGE_SETTINGS)
			assert_memory_not_equal(a->base, b->base, a->len);
		else
			assert_memory_equal(a->base, b->base, a->len);
	}
	fixture_end(&f[0]);
	fixture_end(&f[1]);
}

static void test_strings_shared(void **state)
{
	struct fixture f;
	policy_str a, b, c;
	char text[16];

	(void)state;
	fixture_begin(&f);
	assert_int_equal(image_writer_string(f.w, "same", &a), 0);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "s%u", i);
		assert_int_equal(image_writer_string(f.w, text, &b), 0);
	}
	assert_int_equal(image_writer_string(f.w, "same", &b), 0);
	assert_int_equal(image_writer_string(f.w, "", &c), 0);
	assert_int_equal(a, b);
	assert_int_equal(c, 0);
	fixture_open(&f);
	assert_string_equal(policy_string(f.p, a), "same");
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_v6_ranges),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_domain_twice),
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_strings_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
