/* SPDX-License-Identifier: BSD-3-Clause */
/* What counts toward a ban, and what an overlay entry made of one says. */
#include "offence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define NOW_S 1767225600u

static const struct policy_bans settings = {
	.settings = { .threshold = 20, .window_s = 3600, .first_s = 600, .longest_s = 86400 },
	.refused_points = 20,
	.unknown_points = 10,
	.kind = VERDICT_DROP,
};

static unsigned feed(struct bans *b, enum note_kind kind, enum verdict_kind verdict,
    enum reason reason, unsigned value)
{
	struct note note = { .kind = (uint8_t)kind,
		.verdict = (uint8_t)verdict,
		.reason = (uint16_t)reason,
		.value = value,
		.client = { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 7 },
		.time_ns = NOW_S * 1000000000ull };
	struct ban bans[2];

	return offence_note(b, &settings, &note, bans);
}

static void only_what_the_client_did_is_an_offence(void **state)
{
	static const struct {
		enum note_kind kind;
		enum verdict_kind verdict;
		enum reason reason;
		unsigned value, bans;
	} rows[] = {
		{ NOTE_SESSION, VERDICT_REFUSE, REASON_SCORE, 0, 1 },
		{ NOTE_SESSION, VERDICT_TARPIT, REASON_NON_SMTP, 0, 1 },
		{ NOTE_SESSION, VERDICT_DEFER, REASON_CONNECTION_LIMIT, 0, 0 },
		{ NOTE_SESSION, VERDICT_GREY, REASON_GREYLISTED, 0, 0 },
		{ NOTE_SESSION, VERDICT_REFUSE, REASON_LISTED, 0, 0 },
		{ NOTE_SESSION, VERDICT_REFUSE, REASON_LISTED_VERIFIED, 0, 0 },
		{ NOTE_SESSION, VERDICT_REFUSE, REASON_BANNED, 0, 0 },
		{ NOTE_SESSION, VERDICT_REFUSE, REASON_OVERLOAD, 0, 0 },
		{ NOTE_SESSION, VERDICT_PASS, REASON_NONE, 3, 0 },
		{ NOTE_MESSAGE, VERDICT_REFUSE, REASON_SCORE, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bans *b = bans_new(64, (const uint8_t[16]){ 1 });

		assert_non_null(b);
		assert_int_equal(
		    feed(b, rows[i].kind, rows[i].verdict, rows[i].reason, rows[i].value),
		    rows[i].bans);
		bans_free(b);
	}
}

static void unknown_recipients_add_up(void **state)
{
	struct bans *b = bans_new(64, (const uint8_t[16]){ 1 });

	(void)state;
	assert_non_null(b);
	assert_int_equal(feed(b, NOTE_RCPT, VERDICT_NONE, REASON_NONE, 1), 0);
	assert_int_equal(feed(b, NOTE_RCPT, VERDICT_NONE, REASON_NONE, 0), 0); /* one that is there */
	assert_int_equal(feed(b, NOTE_RCPT, VERDICT_NONE, REASON_NONE, 1), 1);
	bans_free(b);
}

static void a_ban_becomes_an_automatic_entry(void **state)
{
	const struct note note = {
		.kind = NOTE_SESSION, .reason = REASON_SCORE, .time_ns = NOW_S * 1000000000ull
	};
	const struct ban ban = {
		.addr = { 1, 2, 3 }, .len = 64, .expires_s = NOW_S + 600, .repeats = 1
	};
	struct overlay_entry e;

	(void)state;
	offence_entry(&settings, &note, &ban, &e);
	assert_memory_equal(e.addr, ban.addr, 16);
	assert_int_equal(e.len, 64);
	assert_int_equal(e.list, OVERLAY_BAN);
	assert_int_equal(e.kind, VERDICT_DROP);
	assert_int_equal(e.origin, OVERLAY_AUTOMATIC);
	assert_int_equal(e.created_s, NOW_S);
	assert_int_equal(e.expires_s, NOW_S + 600);
	assert_string_equal(e.reason, "SCORE, ban 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_the_client_did_is_an_offence),
		cmocka_unit_test(unknown_recipients_add_up),
		cmocka_unit_test(a_ban_becomes_an_automatic_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
