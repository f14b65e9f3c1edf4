/* SPDX-License-Identifier: BSD-3-Clause */
/* What makes two messages the same to the greylist, and what does not. */
#include "greylist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t secret[16] = "0123456789abcdef";

static struct text text(const char *s)
{
	return (struct text){ s, (uint16_t)strlen(s) };
}

static void test_sender(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "", "" },
		{ "Jane.Doe@Example.ORG", "jane.doe@example.org" },
		{ "jane@example.org.", "jane@example.org" },
		{ "jane+news@example.org", "jane@example.org" },
		{ "+jane@example.org", "+jane@example.org" },
		{ "john99@example.org", "john99@example.org" }, /* a name, not a number */
		{ "bounce-12345-678@example.org", "bounce-#@example.org" },
		{ "bounce-5f3a2b.deadbeef@example.org", "bounce-#@example.org" },
		{ "list-return-7-jane=example.net@example.org", "list-return-#-#@example.org" },
		{ "owner-list-jane.doe=example.net@example.org", "owner-list-#@example.org" },
		{ "jane=example.net@example.org", "#@example.org" },
		{ "prvs=1234abcdef=jane@example.org", "jane@example.org" },
		{ "prvs=jane=1234abcdef@example.org", "jane@example.org" },
		{ "prvs=jane@example.org", "#@example.org" }, /* no tag: as any VERP */
		{ "btv1==0123==jane@example.org", "jane@example.org" },
		{ "SRS0=HHHH=TT=origin.example=jane@example.org",
		    "srs0=origin.example=jane@example.org" },
		{ "SRS0+XyZ1=9A=origin.example=bounce-17@example.org",
		    "srs0=origin.example=bounce-#@example.org" },
		{ "SRS1=AAAA=fwd.example==BBBB=TT=origin.example=jane@example.org",
		    "srs1=fwd.example=origin.example=jane@example.org" },
		{ "srs0=cut=short@example.org", "#@example.org" },
		{ "abcdefghijklmnopqrstuvwxyz@example.org", "#@example.org" },
		{ "root", "root" },
		{ "=@example.org", "#@example.org" },
		{ "@example.org", "@example.org" },
		{ "\"a@b\"@example.org", "\"a@b\"@example.org" },
	};
	char got[GREYLIST_SENDER_LEN];

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(greylist_sender(text(rows[i].from), got), strlen(rows[i].to));
		assert_string_equal(got, rows[i].to);
	}
}

static void test_sender_of_any_length(void **state)
{
	char in[1024], got[GREYLIST_SENDER_LEN];

	(void)state;
	memset(in, 'z', sizeof(in));
	for (uint16_t len = 0; len < sizeof(in); len++)
		assert_in_range(
		    greylist_sender((struct text){ in, len }, got), 0, GREYLIST_SENDER_LEN - 1);
	memset(in, '=', sizeof(in));
	assert_int_equal(greylist_sender((struct text){ in, sizeof(in) }, got), 1);
	memset(in, '@', sizeof(in));
	assert_in_range(
	    greylist_sender((struct text){ in, sizeof(in) }, got), 1, GREYLIST_SENDER_LEN - 1);
}

static void key(const char *client4, const char *spf, const char *host, const char *sender,
    const char *rcpt, struct greylist_keys *ret_keys, char *ret_pool)
{
	uint8_t client[16] = { [10] = 0xff, [11] = 0xff };
	struct greylist_source source = { client, 0, text(spf), text(host) };

	memcpy(client + 12, client4, 4);
	greylist_key(secret, &source, text(sender), text(rcpt), ret_keys, ret_pool);
}

static void test_pool(void **state)
{
	static const uint8_t six[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 9, 9, 9, 9, 9, 9, 9,
		9 };
	struct greylist_source source = { six, 0, { NULL, 0 }, { NULL, 0 } };
	char pool[GREYLIST_POOL_LEN], name[300];
	struct greylist_keys a, b;

	(void)state;
	key("\300\0\2\7", "", "", "a@example.org", "b@example.net", &a, pool);
	assert_string_equal(pool, "192.0.2.0/24");
	key("\300\0\2\377", "", "", "A@EXAMPLE.ORG", "B@Example.net", &b, NULL);
	assert_memory_equal(&a, &b, sizeof(a)); /* another address of the /24, another case */
	key("\300\0\3\7", "", "", "a@example.org", "b@example.net", &b, pool);
	assert_true(a.triplet != b.triplet && a.pool != b.pool);

	key("\300\0\2\7", "Example.org", "isp.example", "a@example.org", "b@example.net", &a, pool);
	assert_string_equal(pool, "example.org");
	key("\306\63\144\1", "example.ORG", "", "a@example.org", "b@example.net", &b, NULL);
	assert_memory_equal(&a, &b, sizeof(a)); /* anywhere, by SPF */
	key("\306\63\144\1", "", "ISP.example", "a@example.org", "b@example.net", &b, pool);
	assert_string_equal(pool, "isp.example");

	greylist_key(secret, &source, text(""), text("b@example.net"), &a, pool);
	assert_string_equal(pool, "2001:db8:1:2::/64");
	memset(name, 'n', sizeof(name));
	source.spf_domain = (struct text){ name, sizeof(name) }; /* no domain is that long */
	greylist_key(secret, &source, text(""), text("b@example.net"), &b, pool);
	assert_string_equal(pool, "2001:db8:1:2::/64");
}

/* A retry may bring another tag, number or sub-address of the sender; a recipient is who it is. */
static void test_senders_fold_and_recipients_do_not(void **state)
{
	static const char *const same[] = { "prvs=0123abcdef=jane@example.org",
		"prvs=1124fedcba=Jane@Example.org", "jane+today@example.org", "jane@example.org" };
	static const char *const numbers[] = { "list-1017-user@example.org",
		"list-9-user@example.org" };
	static const char *const recipients[] = { "b@example.net", "b+news@example.net",
		"prvs=0123abcdef=b@example.net", "b-1@example.net", "b-2@example.net" };
	enum { N = sizeof(recipients) / sizeof(recipients[0]) };
	struct text pool = text("192.0.2.0/24"), from = text("jane@example.org");
	struct greylist_keys first, k[N];

	(void)state;
	greylist_key_of(secret, 0, pool, from, text("b@example.net"), &first);
	for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		greylist_key_of(secret, 0, pool, text(same[i]), text("B@example.NET"), &k[0]);
		assert_true(k[0].triplet == first.triplet);
	}
	greylist_key_of(secret, 0, pool, text(numbers[0]), text("b@example.net"), &k[0]);
	greylist_key_of(secret, 0, pool, text(numbers[1]), text("b@example.net"), &k[1]);
	assert_true(k[0].triplet == k[1].triplet && k[0].triplet != first.triplet);
	for (unsigned i = 0; i < N; i++) {
		greylist_key_of(secret, 0, pool, from, text(recipients[i]), &k[i]);
		for (unsigned j = 0; j < i; j++)
			assert_true(k[i].triplet != k[j].triplet);
	}
}

static void test_each_part_counts(void **state)
{
	struct greylist_keys k[6];
	struct text pool = text("192.0.2.0/24"), from = text("a@example.org"),
		    to = text("b@example.net");

	(void)state;
	greylist_key_of(secret, 0, pool, from, to, &k[0]);
	greylist_key_of(secret, 1, pool, from, to, &k[1]);
	greylist_key_of((const uint8_t *)"another secret..", 0, pool, from, to, &k[2]);
	greylist_key_of(secret, 0, text("192.0.3.0/24"), from, to, &k[3]);
	greylist_key_of(secret, 0, pool, text("c@example.org"), to, &k[4]);
	greylist_key_of(secret, 0, pool, from, text("c@example.net"), &k[5]);
	for (unsigned i = 0; i < 6; i++) {
		assert_true(k[i].triplet != k[i].pool);
		for (unsigned j = i + 1; j < 6; j++)
			assert_true(k[i].triplet != k[j].triplet);
	}
	assert_true(k[0].pool == k[4].pool && k[0].pool == k[5].pool);
	assert_true(k[0].pool != k[1].pool && k[0].pool != k[2].pool && k[0].pool != k[3].pool);
	/* the border between two texts counts, too */
	greylist_key_of(secret, 0, pool, text("ab"), text("c"), &k[1]);
	greylist_key_of(secret, 0, pool, text("a"), text("bc"), &k[2]);
	assert_true(k[1].triplet != k[2].triplet);
}

static void test_note_text(void **state)
{
	struct grey_note note;
	char longest[400];

	(void)state;
	grey_note_text(&note, "192.0.2.0/24", text("Bounce-17@example.org"), text("B@Example.net"));
	assert_string_equal(note.text, "192.0.2.0/24");
	assert_string_equal(note.text + 13, "bounce-#@example.org");
	assert_string_equal(note.text + 34, "b@example.net");
	assert_int_equal(note.len, 48);
	assert_false(note.cut);

	memset(longest, 'x', sizeof(longest));
	longest[251] = '\0';
	for (uint16_t sender = 0; sender <= 320; sender += 40) {
		for (uint16_t rcpt = 0; rcpt <= 320; rcpt += 40) {
			grey_note_text(&note, longest + 200, (struct text){ longest, sender },
			    (struct text){ longest, rcpt });
			assert_in_range(note.len, 3, GREY_NOTE_TEXT);
			assert_int_equal(note.text[note.len - 1], 0);
		}
	}
	grey_note_text(&note, longest, text("a@example.org"), text("b@example.net"));
	assert_true(note.cut);
	assert_in_range(note.len, GREY_NOTE_TEXT - 2, GREY_NOTE_TEXT); /* no room is wasted */
	assert_string_equal(note.text + note.len - 14, "b@example.net");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_sender_of_any_length),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_senders_fold_and_recipients_do_not),
		cmocka_unit_test(test_each_part_counts),
		cmocka_unit_test(test_note_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
