/* SPDX-License-Identifier: BSD-3-Clause */
/* Sketches of alike messages are alike, of others not; pieces do not matter; work is bounded. */
#include "digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void sketch(struct digest *d, const char *text, size_t piece)
{
	size_t len = strlen(text);

	digest_init(d);
	for (size_t at = 0; at < len; at += piece)
		digest_text(d, (const uint8_t *)text + at, len - at < piece ? len - at : piece);
	digest_end(d);
}

static const char lure[] =
    "Dear customer, your mailbox has reached its storage limit and will be closed today. To keep "
    "your messages please confirm your account on the page below with the name and the secret word "
    "that you use to read mail. If you do not confirm within the day all messages will be lost. "
    "Help desk of the computing centre.";

static void pieces_do_not_matter(void **state)
{
	struct digest whole, parts;

	(void)state;
	sketch(&whole, lure, sizeof(lure));
	for (size_t piece = 1; piece < 40; piece++) {
		sketch(&parts, lure, piece);
		assert_memory_equal(whole.mins, parts.mins, sizeof(whole.mins));
		assert_int_equal(whole.n_shingles, parts.n_shingles);
	}
}

static void alike_texts_meet_and_others_do_not(void **state)
{
	static const char other[] = "The minutes of the last meeting of the library committee are "
				    "attached. We agreed on the "
				    "new opening hours for the winter term and on buying two more "
				    "scanners. Please send your "
				    "remarks until Friday so that the final version can be sent "
				    "round before the next meeting.";
	char changed[600];
	struct digest a, b, c;
	uint64_t keys_a[DIGEST_BANDS], keys_b[DIGEST_BANDS];
	unsigned shared = 0;

	(void)state;
	snprintf(changed, sizeof(changed), "Hello Mr Miller, case 48151623.\n%s\nBest wishes, Anna",
	    lure);
	sketch(&a, lure, 1000);
	sketch(&b, changed, 1000);
	sketch(&c, other, 1000);
	assert_true(digest_alike(a.mins, b.mins) >= DIGEST_MINS / 2);
	assert_int_equal(digest_alike(a.mins, c.mins), 0);
	assert_int_equal(digest_bands(&a, keys_a), DIGEST_BANDS);
	assert_int_equal(digest_bands(&b, keys_b), DIGEST_BANDS);
	for (unsigned i = 0; i < DIGEST_BANDS; i++)
		shared += keys_a[i] == keys_b[i];
	assert_true(shared >= 1);
}

static void counters_and_case_change_nothing(void **state)
{
	struct digest a, b;

	(void)state;
	sketch(
	    &a, "invoice number 1234567 of the third of may is due and must be paid at once to us all ok",
	    9);
	sketch(
	    &b, "INVOICE Number 7654321, of the third -- of may is due and must be paid at once to us all ok",
	    9);
	assert_memory_equal(a.mins, b.mins, sizeof(a.mins));
}

static void short_texts_have_no_keys(void **state)
{
	struct digest d;
	uint64_t keys[DIGEST_BANDS];

	(void)state;
	sketch(&d, "Hello, how are you? See you soon.", 5);
	assert_int_equal(digest_bands(&d, keys), 0);
	sketch(&d, "", 1);
	assert_int_equal(digest_bands(&d, keys), 0);
}

static void work_is_bounded(void **state)
{
	struct digest d;
	size_t len = 1 << 20;
	char *text = malloc(len + 1);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = i % 5 == 4 ? ' ' : (char)('a' + i * 7 % 26);
	text[len] = '\0';
	sketch(&d, text, 1460);
	assert_int_equal(d.n_shingles, DIGEST_MAX_SHINGLES);
	memset(text, 'x', len); /* one endless word */
	sketch(&d, text, 1460);
	assert_int_equal(d.n_shingles, 0);
	free(text);
}

static void hosts_count_once_and_are_bounded(void **state)
{
	struct digest d;
	char host[32];

	(void)state;
	digest_init(&d);
	digest_host(&d, "Phish.Example", 13);
	digest_host(&d, "phish.example", 13);
	digest_host(&d, "", 0);
	assert_int_equal(d.n_hosts, 1);
	for (int i = 0; i < 10; i++)
		digest_host(&d, host, (size_t)snprintf(host, sizeof(host), "h%d.example", i));
	assert_int_equal(d.n_hosts, DIGEST_MAX_HOSTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_do_not_matter),
		cmocka_unit_test(alike_texts_meet_and_others_do_not),
		cmocka_unit_test(counters_and_case_change_nothing),
		cmocka_unit_test(short_texts_have_no_keys),
		cmocka_unit_test(work_is_bounded),
		cmocka_unit_test(hosts_count_once_and_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
