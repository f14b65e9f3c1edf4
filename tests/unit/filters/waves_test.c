/* SPDX-License-Identifier: BSD-3-Clause */
/* The same content from many networks is one wave and told of once; other mail is not; all bounded. */
#include "waves.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char lure[] =
    "Hello %s, your mailbox has reached its storage limit and will be closed today. To keep your "
    "messages please confirm your account on the page below with the name and the secret word that "
    "you use to read mail. If you do not confirm within the day all messages will be lost. Case "
    "%u.";

static void client4(uint8_t to[16], uint32_t a)
{
	const uint8_t m[16] = { [10] = 0xff,
		[11] = 0xff,
		(uint8_t)(a >> 24),
		(uint8_t)(a >> 16),
		(uint8_t)(a >> 8),
		(uint8_t)a };

	memcpy(to, m, 16);
}

static const struct wave *send_text(
    struct waves *w, const char *text, const char *host, uint32_t client, uint32_t now_s)
{
	struct wave_message m = { .subject = "mailbox", .sender = "it@help.example", .host = host };
	struct digest d;

	digest_init(&d);
	digest_text(&d, (const uint8_t *)text, strlen(text));
	digest_host(&d, host, strlen(host));
	digest_end(&d);
	client4(m.client, client);
	return waves_take(w, &d, &m, now_s);
}

/* Words of its own for each seed. */
static void letter(char *to, size_t size, unsigned seed)
{
	size_t n = 0;

	for (unsigned i = 0; i < 60 && n + 12 < size; i++) {
		seed = seed * 1103515245 + 12345;
		n += (size_t)snprintf(to + n, size - n, "%c%c%c%c%c ", 'a' + seed % 26,
		    'a' + seed / 26 % 26, 'a' + seed / 676 % 26, 'a' + seed / 17576 % 26,
		    'a' + seed / 456976 % 26);
	}
}

static void counted(void *arg, const struct wave *wave)
{
	(void)wave;
	++*(unsigned *)arg;
}

static void a_wave_is_told_of_once(void **state)
{
	struct waves *w = waves_new(256, 20, 3600);
	const struct wave *told = NULL;
	unsigned times = 0, n = 0;
	char text[600], name[32];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		const struct wave *one;

		snprintf(name, sizeof(name), "user%c%c", 'a' + i % 26, 'a' + i / 26);
		snprintf(text, sizeof(text), lure, name, i * 977);
		one = send_text(
		    w, text, i % 2 ? "phish.example" : "", 0x0a000001 + (i << 8), 1000 + i);
		times += one != NULL;
		told = one ? one : told;
		/* other mail in between */
		letter(text, sizeof(text), i + 1);
		assert_null(send_text(w, text, "", 0x0b000001 + (i << 8), 1000 + i));
	}
	assert_int_equal(times, 1);
	assert_non_null(told);
	assert_in_range(told->networks, 250, 350);
	assert_int_equal(told->n_clients, WAVES_CLIENTS);
	assert_string_equal(told->host, "phish.example");
	assert_ptr_equal(waves_find(w, told->id), told);
	waves_each(w, 20, 100, 1300, counted, &n);
	assert_int_equal(n, 1);
	waves_free(w);
}

static void a_newsletter_is_none(void **state)
{
	struct waves *w = waves_new(256, 20, 3600);
	char text[600];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) { /* many messages from one network */
		snprintf(text, sizeof(text), lure, "reader", i);
		assert_null(send_text(w, text, "news.example", 0x0a000001 + i % 100, 1000 + i));
	}
	waves_free(w);
}

static void a_new_host_makes_a_wave_of_different_texts(void **state)
{
	struct waves *w = waves_new(256, 20, 3600);
	char text[600];
	unsigned times = 0;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		letter(text, sizeof(text), 1000 + i);
		times +=
		    send_text(w, text, "phish.example", 0x0a000001 + (i << 8), 1000 + i) != NULL;
	}
	assert_int_equal(times, 1);
	waves_free(w);
}

static void its_hosts_and_subjects_are_counted(void **state)
{
	struct waves *w = waves_new(256, 5, 3600);
	const struct wave *told = NULL;
	char text[600], subject[64];

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		struct wave_message m = { .sender = "", .host = i % 4 ? "a.example" : "b.example" };
		const struct wave *one;
		struct digest d;

		snprintf(text, sizeof(text), lure, "you", i);
		snprintf(subject, sizeof(subject), i < 10 ? "Case %u%u is due" : "Hello", i, i);
		m.subject = subject;
		digest_init(&d);
		digest_text(&d, (const uint8_t *)text, strlen(text));
		digest_end(&d);
		client4(m.client, 0x0a000001 + (i << 8));
		one = waves_take(w, &d, &m, 1000);
		told = one ? one : told;
	}
	assert_non_null(told);
	assert_int_equal(told->messages, 12);
	assert_string_equal(told->hosts[0].text, "b.example");
	assert_int_equal(told->hosts[0].messages, 3);
	assert_int_equal(told->hosts[1].messages, 9);
	assert_int_equal(told->hosts[2].messages, 0);
	assert_string_equal(told->subjects[0].text, "Case 0 is due");
	assert_int_equal(told->subjects[0].messages, 10);
	assert_int_equal(waves_elsewhere(w, told->id, "a.example", NULL, 1000), 0);
	letter(text, sizeof(text), 5);
	send_text(w, text, "a.example", 0x0b000001, 1000);
	assert_int_equal(waves_elsewhere(w, told->id, "a.example", NULL, 1000), 1);
	assert_int_equal(waves_elsewhere(w, told->id, NULL, "mailbox", 1000), 1);
	assert_int_equal(waves_elsewhere(w, told->id, "c.example", "Case 0 is due", 1000), 0);
	assert_int_equal(waves_elsewhere(w, told->id, "a.example", NULL, 9000), 0); /* over */
	waves_free(w);
}

static void more_words_than_are_kept(void **state)
{
	struct waves *w = waves_new(16, 5, 3600);
	const struct wave *wave;
	char text[600], host[32];

	(void)state;
	snprintf(text, sizeof(text), lure, "you", 1);
	for (unsigned i = 0; i < 3 * WAVES_WORDS; i++) {
		snprintf(host, sizeof(host), "h%u.example", i);
		send_text(w, text, host, 0x0a000001 + (i << 8), 1000);
	}
	wave = waves_find(w, 1);
	assert_non_null(wave);
	assert_int_equal(wave->messages, 3 * WAVES_WORDS);
	for (unsigned i = 0; i < WAVES_WORDS; i++)
		assert_int_equal(wave->hosts[i].messages, 1);
	assert_string_equal(wave->hosts[0].text, "h0.example");
	waves_free(w);
}

static void a_wave_ends(void **state)
{
	struct waves *w = waves_new(16, 5, 600);
	char text[600];
	unsigned times = 0, n = 0;

	(void)state;
	snprintf(text, sizeof(text), lure, "you", 1);
	for (unsigned i = 0; i < 10; i++)
		times += send_text(w, text, "", 0x0a000001 + (i << 8), 1000) != NULL;
	waves_each(w, 1, 10, 1600, counted, &n);
	assert_int_equal(n, 1);
	n = 0;
	waves_each(w, 1, 10, 1601, counted, &n);
	assert_int_equal(n, 0);
	for (unsigned i = 0; i < 10; i++)
		times += send_text(w, text, "", 0x0a000001 + (i << 8), 5000) != NULL;
	assert_int_equal(times, 2);
	waves_free(w);
}

/* A flood of texts of its own pushes out what was seen longest ago, not the wave that goes on. */
static void a_flood_does_not_hide_a_wave(void **state)
{
	struct waves *w = waves_new(64, 20, 3600);
	char text[600];
	unsigned times = 0;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		letter(text, sizeof(text), 77777 + i);
		send_text(w, text, "", 0x0c000001 + (i << 8), 1000 + i / 10);
		if (i % 10)
			continue;
		snprintf(text, sizeof(text), lure, "you", i);
		times += send_text(w, text, "", 0x0a000001 + (i << 8), 1000 + i / 10) != NULL;
	}
	assert_int_equal(times, 1);
	waves_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wave_is_told_of_once),
		cmocka_unit_test(a_newsletter_is_none),
		cmocka_unit_test(a_new_host_makes_a_wave_of_different_texts),
		cmocka_unit_test(its_hosts_and_subjects_are_counted),
		cmocka_unit_test(more_words_than_are_kept),
		cmocka_unit_test(a_wave_ends),
		cmocka_unit_test(a_flood_does_not_hide_a_wave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
