/* SPDX-License-Identifier: BSD-3-Clause */
/* The index alone: what it finds, and an index that lies. */
#include "domains.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char strings[] = "\0example.net\0example.org\0org";
static const struct policy_domain rows[] = {
	{ .name = 1, .kind = DOMAIN_EXACT },
	{ .name = 13, .kind = DOMAIN_EXACT },
	{ .name = 13, .kind = DOMAIN_SUBDOMAINS },
	{ .name = 25, .kind = DOMAIN_SUBDOMAINS },
};
enum { N = sizeof(rows) / sizeof(rows[0]) };

static struct text text_of(const char *s)
{
	return (struct text){ .p = s, .len = (uint16_t)strlen(s) };
}

static void test_find(void **state)
{
	struct domains d;
	const char *error;
	size_t len;
	void *base = domains_build(rows, N, strings, &len);

	(void)state;
	assert_int_equal(domains_open(base, len, rows, N, strings, &d, &error), 0);
	assert_ptr_equal(domains_find(&d, text_of("example.net")), &rows[0]);
	assert_null(domains_find(&d, text_of("a.example.net")));
	assert_ptr_equal(domains_find(&d, text_of("EXAMPLE.org")), &rows[1]);
	assert_ptr_equal(domains_find(&d, text_of("a.b.example.org")), &rows[2]);
	assert_ptr_equal(domains_find(&d, text_of("other.org")), &rows[3]);
	assert_null(domains_find(&d, text_of("org")));
	assert_null(domains_find(&d, text_of("")));
	free(base);
}

/* The first 128 labels from the end are looked at; beyond, nothing breaks. */
static void test_most_labels(void **state)
{
	char name[256];
	struct domains d;
	const char *error;
	size_t len;
	void *base = domains_build(rows, N, strings, &len);

	(void)state;
	assert_int_equal(domains_open(base, len, rows, N, strings, &d, &error), 0);
	memset(name, '.', sizeof(name));
	assert_null(domains_find(&d, (struct text){ name, 255 }));
	assert_null(domains_find(&d, (struct text){ name, 256 }));
	memcpy(name + 251, ".org", 4);
	assert_ptr_equal(domains_find(&d, (struct text){ name, 255 }), &rows[3]);
	free(base);
}

static void test_lies(void **state)
{
	struct domains d;
	const char *error = NULL;
	size_t len;
	struct domains_header *h = domains_build(rows, N, strings, &len);
	struct domains_slot *slots = (struct domains_slot *)(h + 1);
	const struct domains_header was = *h;

	(void)state;
#define REFUSED(len_, n_)                                                                          \
	do {                                                                                       \
		assert_int_equal(domains_open(h, len_, rows, n_, strings, &d, &error), -EBADMSG);  \
		assert_non_null(error);                                                            \
		*h = was;                                                                          \
	} while (0)
	REFUSED(len - 1, N);
	REFUSED(len + 8, N);
	REFUSED(63, N);
	REFUSED(0, N);
	REFUSED(len, N - 1);
	h->magic++;
	REFUSED(len, N);
	h->n_slots *= 2;
	REFUSED(len, N);
	h->n_slots--;
	REFUSED(len, N);
	h->n_slots = 0;
	REFUSED(len, N);
	h->max_probes = h->n_slots + 1;
	REFUSED(len, N);
	slots[0].index = N + 1;
	REFUSED(len, N);
	/* no free slot at all: a look-up still ends */
	for (uint32_t i = 0; i < h->n_slots; i++)
		slots[i].index = 1;
	h->max_probes = h->n_slots;
	assert_int_equal(domains_open(h, len, rows, N, strings, &d, &error), 0);
	assert_null(domains_find(&d, text_of("nowhere.example")));
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_most_labels),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
