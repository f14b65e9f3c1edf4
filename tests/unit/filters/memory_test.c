/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rates, baselines, recipients and harvests, in virtual hours and weeks; a flood of made-up sources;
 * what survives a restart.
 */
#include "memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum {
	WEEK = 7 * 86400,
	T0 = 2920 * WEEK + 9 * 3600, /* a Thursday, 9:00 */
	FLOOD = 5000000,
};

static const uint8_t secret[16] = "0123456789abcde";

struct world {
	struct memory *m;
	struct policy_memory s;
	struct memory_alarm alarms[MEMORY_MAX_ALARMS];
	unsigned n_alarms, told[MEMORY_N_ALARMS]; /* of the last note; all */
};

static struct text text(const char *t)
{
	return (struct text){ t, (uint16_t)strlen(t) };
}

static void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	memory_defaults(&w->s);
	w->m = memory_new(10000, secret);
	assert_non_null(w->m);
}

static void end(struct world *w)
{
	w->m = memory_free(w->m);
}

static void rate(struct world *w, enum memory_subject subject, enum memory_measure measure,
    uint32_t per_minute, uint32_t per_hour)
{
	w->s.rates[w->s.n_rates++] = (struct policy_rate){ .per_minute = per_minute,
		.per_hour = per_hour,
		.subject = (uint8_t)subject,
		.measure = (uint8_t)measure };
}

static const uint8_t *v4(uint32_t addr)
{
	static uint8_t client[4][16];
	static unsigned at;
	uint8_t *c = client[++at % 4];

	memset(c, 0, 16);
	c[10] = c[11] = 0xff;
	for (unsigned i = 0; i < 4; i++)
		c[12 + i] = (uint8_t)(addr >> (24 - 8 * i));
	return c;
}

static void apply(struct world *w, const struct memory_note *note)
{
	w->n_alarms = memory_apply(w->m, &w->s, note, w->alarms);
	for (unsigned i = 0; i < w->n_alarms; i++)
		w->told[w->alarms[i].kind]++;
}

static void opened(struct world *w, const uint8_t *client, uint32_t now_s)
{
	apply(w, &(struct memory_note){
		     .kind = MEMORY_OPENED, .who = { .client = client }, .now_s = now_s });
}

static void asked(struct world *w, const uint8_t *client, bool internal, const char *sender,
    const char *rcpt, bool accepted, uint32_t now_s)
{
	apply(w, &(struct memory_note){ .kind = MEMORY_ASKED,
		     .accepted = accepted,
		     .unknown = !accepted,
		     .who = { .client = client,
			 .internal = internal,
			 .sender = text(sender),
			 .rcpt = text(rcpt) },
		     .now_s = now_s });
}

static struct memory_answer judge(const struct world *w, enum phase phase, const uint8_t *client,
    bool internal, const char *sender, const char *rcpt, uint32_t now_s)
{
	struct memory_query q = {
		.client = client, .internal = internal, .sender = text(sender), .rcpt = text(rcpt)
	};
	struct memory_answer a;

	memory_judge(w->m, &w->s, phase, &q, now_s, &a);
	return a;
}

static bool over(const struct world *w, enum phase phase, const uint8_t *client, uint32_t now_s)
{
	return judge(w, phase, client, false, "", "", now_s).rates_over & 1;
}

/* ---- windows ---- */

static void test_minute_slides(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	rate(&w, MEMORY_ADDRESS, MEMORY_CONNECTIONS, 10, 0);
	for (unsigned i = 0; i < 9; i++)
		opened(&w, v4(1), T0 + 50);
	assert_false(over(&w, PHASE_CONNECT, v4(1), T0 + 50));
	opened(&w, v4(1), T0 + 50);
	assert_true(over(&w, PHASE_CONNECT, v4(1), T0 + 50));
	assert_false(over(&w, PHASE_CONNECT, v4(2), T0 + 50));
	assert_true(over(&w, PHASE_CONNECT, v4(1), T0 + 60));
	assert_false(over(&w, PHASE_CONNECT, v4(1), T0 + 70));
	for (unsigned i = 0; i < 5; i++)
		opened(&w, v4(1), T0 + 90); /* half of the ten before still count */
	assert_true(over(&w, PHASE_CONNECT, v4(1), T0 + 90));
	assert_false(over(&w, PHASE_CONNECT, v4(1), T0 + 180));
	end(&w);
}

static void test_hour_and_prefix(void **state)
{
	struct world w;
	uint8_t a[16] = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1 }, b[16];

	(void)state;
	begin(&w);
	rate(&w, MEMORY_PREFIX, MEMORY_CONNECTIONS, 0, 100);
	for (unsigned i = 0; i < 100; i++)
		opened(&w, v4(0xc0000200 | i), T0 + 30 * i);
	assert_true(over(&w, PHASE_CONNECT, v4(0xc00002fe), T0 + 3000));
	assert_false(over(&w, PHASE_CONNECT, v4(0xc0000301), T0 + 3000));
	assert_false(over(&w, PHASE_CONNECT, v4(0xc00002fe), T0 + 2 * 3600));
	for (unsigned i = 0; i < 100; i++) { /* a /64 is one network */
		a[15] = (uint8_t)i;
		opened(&w, a, T0);
	}
	a[15] = 250;
	assert_true(over(&w, PHASE_CONNECT, a, T0));
	memcpy(b, a, 16);
	b[7]++;
	assert_false(over(&w, PHASE_CONNECT, b, T0));
	end(&w);
}

static void test_each_subject(void **state)
{
	static const struct {
		enum memory_subject subject;
		enum memory_measure measure;
		enum phase phase;
		const char *sender, *rcpt, *other_sender, *other_rcpt;
	} rows[] = {
		{ MEMORY_SENDER, MEMORY_RECIPIENTS, PHASE_RCPT, "A@example.net", "u@example.org",
		    "b@example.net", "u@example.org" },
		{ MEMORY_SENDER_DOMAIN, MEMORY_RECIPIENTS, PHASE_RCPT, "a@Example.net",
		    "u@example.org", "a@example.com", "u@example.org" },
		{ MEMORY_RECIPIENT, MEMORY_RECIPIENTS, PHASE_RCPT, "a@example.net", "u@example.org",
		    "a@example.net", "v@example.org" },
		{ MEMORY_RECIPIENT_DOMAIN, MEMORY_RECIPIENTS, PHASE_RCPT, "a@example.net",
		    "u@example.org", "a@example.net", "u@example.com" },
		{ MEMORY_BOUNCES, MEMORY_RECIPIENTS, PHASE_RCPT, "", "u@example.org",
		    "a@example.net", "u@example.org" },
		{ MEMORY_ADDRESS, MEMORY_RECIPIENTS, PHASE_RCPT, "", "u@example.org", NULL, NULL },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		begin(&w);
		rate(&w, rows[i].subject, rows[i].measure, 0, 5);
		for (unsigned n = 0; n < 5; n++)
			asked(&w, v4(7), false, rows[i].sender, rows[i].rcpt, true, T0);
		assert_int_equal(
		    judge(&w, rows[i].phase, v4(7), false, rows[i].sender, rows[i].rcpt, T0).rates_over,
		    1);
		assert_int_equal(judge(&w, PHASE_CONNECT, v4(7), false, "", "", T0).rates_over, 0);
		if (rows[i].other_rcpt)
			assert_int_equal(judge(&w, rows[i].phase, v4(7), false,
					     rows[i].other_sender, rows[i].other_rcpt, T0)
					     .rates_over,
			    0);
		end(&w);
	}
}

/* A bounce to a signed address counts for the mailbox behind it. */
static void test_tags_are_stripped(void **state)
{
	struct world w;
	char rcpt[64];

	(void)state;
	begin(&w);
	rate(&w, MEMORY_BOUNCES, MEMORY_RECIPIENTS, 0, 5);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(rcpt, sizeof(rcpt), "prvs=0123abcd%02x=u@example.org", i);
		asked(&w, v4(7), false, "", rcpt, true, T0);
	}
	assert_int_equal(judge(&w, PHASE_RCPT, v4(7), false, "", "u@example.org", T0).rates_over, 1);
	end(&w);
}

/* A sender whose server signs (another tag each day), or that makes tags up, is one sender. */
static void test_tags_of_senders_are_stripped(void **state)
{
	struct memory_shown shown;
	uint32_t cursor = 0;
	struct world w;
	char from[64], rcpt[64];

	(void)state;
	begin(&w);
	rate(&w, MEMORY_SENDER, MEMORY_RECIPIENTS, 0, 5);
	w.s.burst_floor = 5;
	for (unsigned i = 0; i < 5; i++) {
		snprintf(from, sizeof(from), "prvs=%04uabcd%02x=Jane@example.net", i, i);
		snprintf(rcpt, sizeof(rcpt), "u%u@example.org", i);
		asked(&w, v4(7), false, from, rcpt, true, T0);
	}
	struct memory_answer a =
	    judge(&w, PHASE_RCPT, v4(7), false, "jane@example.net", "new@example.org", T0);
	assert_int_equal(a.rates_over, 1);
	assert_true(a.found & MEMORY_UNUSUAL);
	while (memory_next(w.m, &w.s, T0, &cursor, &shown))
		assert_null(strstr(shown.text, "prvs="));
	assert_true(memory_forget(w.m, 0, "jane@example.net") > 0);
	a = judge(&w, PHASE_RCPT, v4(7), false, "prvs=9999abcdef=jane@example.net",
	    "new@example.org", T0);
	assert_int_equal(a.rates_over, 0);
	end(&w);
}

/* ---- baselines ---- */

/* How many of n recipients pass, where each that passes is counted. */
static unsigned burst(
    struct world *w, bool internal, const char *sender, const char *who, unsigned n, uint32_t now_s)
{
	unsigned passed = 0;
	char rcpt[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(rcpt, sizeof(rcpt), "%s%u@example.org", who, i);
		if (judge(w, PHASE_RCPT, v4(9), internal, sender, rcpt, now_s + i / 10).found &
		    MEMORY_UNUSUAL)
			continue;
		asked(w, v4(9), internal, sender, rcpt, true, now_s + i / 10);
		passed++;
	}
	return passed;
}

static unsigned shadow_burst(
    struct world *w, bool internal, const char *sender, const char *who, unsigned n, uint32_t now_s)
{
	char rcpt[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(rcpt, sizeof(rcpt), "%s%u@example.org", who, i);
		asked(w, v4(9), internal, sender, rcpt, true, now_s + i / 10);
	}
	return n;
}

/* Who is stopped learns nothing from what was stopped: by half a week at most. */
static void test_slow_poison(void **state)
{
	struct world w;
	unsigned last = 40;

	(void)state;
	begin(&w);
	for (unsigned week = 0; week < 5; week++) {
		unsigned passed =
		    burst(&w, true, "spy@school.example", "victim", 5000, T0 + week * WEEK);

		assert_in_range(passed, 40, last);
		last = passed * 3 / 2 + 1;
	}
	end(&w);
}

static void test_unknown_recipients_stop_a_sender(void **state)
{
	struct world w;
	char rcpt[64];
	unsigned n = 0;

	(void)state;
	begin(&w);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(rcpt, sizeof(rcpt), "guess%u@example.org", i);
		if (judge(&w, PHASE_RCPT, v4(9), true, "captured@school.example", rcpt, T0).found &
		    MEMORY_UNUSUAL)
			break;
		asked(&w, v4(9), true, "captured@school.example", rcpt, false, T0);
		n++;
	}
	assert_int_equal(n, 10);
	end(&w);
}

/* A forged sender from outside does not use up what the internal one may. */
static void test_inside_and_outside_apart(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	burst(&w, false, "office@school.example", "x", 200, T0);
	assert_true(judge(&w, PHASE_MAIL, v4(9), false, "office@school.example", "", T0 + 20).found &
		    MEMORY_UNUSUAL);
	assert_false(judge(&w, PHASE_MAIL, v4(9), true, "office@school.example", "", T0 + 20).found &
		     MEMORY_UNUSUAL);
	end(&w);
}

/* A learned rate lets regular bursts through and stops others. */
static void test_learned_rate(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	rate(&w, MEMORY_SENDER, MEMORY_RECIPIENTS, 0, 100);
	w.s.rates[0].learned = 1;
	for (unsigned week = 0; week < 9; week++)
		shadow_burst(&w, false, "office@school.example", "parent", 1000, T0 + week * WEEK);
	shadow_burst(&w, false, "office@school.example", "parent", 900, T0 + 9 * WEEK);
	assert_int_equal(judge(&w, PHASE_RCPT, v4(9), false, "office@school.example",
			     "parent1@example.org", T0 + 9 * WEEK + 90)
			     .rates_over,
	    0);
	w.s.rates[0].learned = 0;
	assert_int_equal(judge(&w, PHASE_RCPT, v4(9), false, "office@school.example",
			     "parent1@example.org", T0 + 9 * WEEK + 90)
			     .rates_over,
	    1);
	end(&w);
}

/* ---- recipients and harvests ---- */

static void test_recipients_are_learned(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	asked(&w, v4(1), false, "a@example.net", "Known@example.org", true, T0);
	asked(&w, v4(1), false, "a@example.net", "nobody@example.org", false, T0);
	assert_int_equal(judge(&w, PHASE_RCPT, v4(2), false, "", "known@example.org", T0 + 5).found,
	    MEMORY_KNOWN);
	assert_int_equal(judge(&w, PHASE_RCPT, v4(2), false, "", "nobody@example.org", T0 + 5).found,
	    MEMORY_NO_SUCH);
	assert_int_equal(
	    judge(&w, PHASE_RCPT, v4(2), false, "", "nobody@example.org", T0 + w.s.unknown_s + 1).found,
	    0);
	end(&w);
}

static void test_harvester(void **state)
{
	struct world w;
	char rcpt[64];

	(void)state;
	begin(&w);
	for (unsigned i = 0; i < 50; i++) /* one that asks for the same again and again */
		asked(&w, v4(1), false, "a@example.net", "gone@example.org", false, T0);
	assert_int_equal(judge(&w, PHASE_CONNECT, v4(1), false, "", "", T0).found, 0);
	for (unsigned i = 0; i < 40; i++) { /* a list with some old addresses */
		snprintf(rcpt, sizeof(rcpt), "u%u@example.org", i);
		asked(&w, v4(2), false, "list@example.net", rcpt, i % 4 != 0, T0);
	}
	assert_int_equal(judge(&w, PHASE_CONNECT, v4(2), false, "", "", T0).found, 0);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(judge(&w, PHASE_CONNECT, v4(3), false, "", "", T0).found, 0);
		snprintf(rcpt, sizeof(rcpt), "guess%u@example.org", i);
		asked(&w, v4(3), false, "a@example.com", rcpt, false, T0);
	}
	assert_int_equal(judge(&w, PHASE_CONNECT, v4(3), false, "", "", T0).found, MEMORY_HARVESTS);
	assert_int_equal(w.told[MEMORY_ALARM_HARVEST], 1);
	assert_string_equal(w.alarms[0].text, "0.0.0.3");
	asked(&w, v4(3), false, "a@example.com", "more@example.org", false, T0);
	assert_int_equal(w.told[MEMORY_ALARM_HARVEST], 1); /* once an hour */
	end(&w);
}

/* A hundred and fifty addresses ask for one name each. */
static void test_spread_harvest(void **state)
{
	struct world w;
	char rcpt[64], sender[64];

	(void)state;
	begin(&w);
	asked(&w, v4(1), false, "a@example.net", "known@example.org", true, T0);
	for (unsigned i = 0; i < 150; i++) {
		snprintf(rcpt, sizeof(rcpt), "guess%u@example.org", i);
		snprintf(sender, sizeof(sender), "x%u@example.com", i);
		asked(&w, v4(0xc0000000 + i * 256), false, sender, rcpt, false, T0 + i);
	}
	assert_int_equal(w.told[MEMORY_ALARM_SPREAD], 1);
	assert_int_equal(
	    judge(&w, PHASE_RCPT, v4(5), false, "b@example.net", "fresh@example.org", T0 + 150).found,
	    MEMORY_SPREAD);
	assert_int_equal(
	    judge(&w, PHASE_RCPT, v4(5), false, "b@example.net", "known@example.org", T0 + 150).found,
	    MEMORY_KNOWN);
	assert_int_equal(
	    judge(&w, PHASE_RCPT, v4(5), false, "b@example.net", "fresh@example.com", T0 + 150).found,
	    0);
	/* a domain of which that is known: its baseline has grown */
	for (unsigned week = 1; week < 6; week++)
		for (unsigned i = 0; i < 150; i++) {
			snprintf(rcpt, sizeof(rcpt), "old%u@example.org", i);
			asked(&w, v4(0xc0000000 + i * 256), false, "l@example.com", rcpt, false,
			    T0 + week * WEEK);
		}
	assert_int_equal(judge(&w, PHASE_RCPT, v4(5), false, "b@example.net", "fresh@example.org",
			     T0 + 5 * WEEK + 5)
			     .found,
	    0);
	end(&w);
}

/* ---- bounds ---- */

/* Exact, unlike statm, which counts in lots. */
/* Anonymous pages, read without stdio, whose own buffers would be counted. */
static long resident_kib(void)
{
	static char text[4096];
	int fd = open("/proc/self/smaps_rollup", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at;

	close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	at = strstr(text, "Anonymous:");
	assert_non_null(at);
	return strtol(at + strlen("Anonymous:"), NULL, 10);
}

static void test_flood_of_made_up_sources(void **state)
{
	struct world w;
	unsigned honest = 0, throttled = 0;
	uint64_t x = 88172645463325252ull;
	long before;

	(void)state;
	begin(&w);
	rate(&w, MEMORY_ADDRESS, MEMORY_CONNECTIONS, 0, 60);
	for (unsigned n = 0; n < 30; n++)
		for (uint32_t i = 0; i < 300; i++)
			opened(&w, v4(0x0a000000 + i * 256), T0);
	resident_kib();
	before = resident_kib();
	for (unsigned i = 0; i < FLOOD; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		opened(&w, v4(0x40000000 + (uint32_t)(x % 0x60000000)), T0 + i / 4000);
		if (i % 500 == 0) { /* beside them, an honest one under its limit */
			const uint8_t *client = v4(0x0a000000 + i / 500 % 300 * 256);

			honest++;
			throttled += over(&w, PHASE_CONNECT, client, T0 + i / 4000);
		}
	}
	assert_int_equal(resident_kib(), before);
	assert_in_range(throttled, 0, honest / 1000);
	for (unsigned n = 0; n < 31;
	     n++) /* their counts are still known: with 31 more it is too much */
		for (uint32_t i = 0; i < 300; i++)
			opened(&w, v4(0x0a000000 + i * 256), T0 + 1250);
	throttled = 0;
	for (uint32_t i = 0; i < 300; i++)
		throttled += over(&w, PHASE_CONNECT, v4(0x0a000000 + i * 256), T0 + 1250);
	assert_in_range(throttled, 297, 300);
	end(&w);
}

static void test_show_and_forget(void **state)
{
	struct memory_shown shown;
	uint32_t cursor = 0;
	unsigned n = 0, seen = 0;
	struct world w;

	(void)state;
	begin(&w);
	asked(&w, v4(0xc0000201), false, "a@example.net", "U@example.org", true, T0);
	while (memory_next(w.m, &w.s, T0 + 1, &cursor, &shown)) {
		n++;
		if (shown.kind == MEMORY_PREFIX)
			seen += !strcmp(shown.text, "192.0.2.0/24");
		if (shown.kind == MEMORY_SHOW_SENDER_BASELINE)
			seen += shown.strangers == 1 && shown.allowed == 40;
		if (shown.kind == MEMORY_RECIPIENT)
			seen += shown.hour[MEMORY_RECIPIENTS] == 1;
	}
	assert_int_equal(n, 7);
	assert_int_equal(seen, 3);
	assert_int_equal(memory_counts(w.m).known, 1);
	assert_int_equal(memory_forget(w.m, 0, "u@Example.org"), 2);
	assert_int_equal(memory_forget(w.m, 0, "u@example.org"), 0);
	assert_int_equal(memory_forget(w.m, 0, "a@example.net"), 2);
	assert_int_equal(memory_forget(w.m, 0, ""), 0);
	assert_int_equal(memory_counts(w.m).known, 0);
	end(&w);
}

static void test_snapshot(void **state)
{
	struct world w, again;
	size_t cap, len;
	char *buf;

	(void)state;
	begin(&w);
	for (unsigned week = 0; week < 9; week++)
		shadow_burst(&w, true, "office@school.example", "parent", 1000, T0 + week * WEEK);
	cap = memory_snapshot_max(w.m);
	buf = malloc(cap);
	assert_non_null(buf);
	len = memory_snapshot(w.m, T0 + 8 * WEEK, buf, cap);
	assert_in_range(len, 1000 * 16, cap);
	begin(&again);
	buf[len / 2] ^= 1;
	assert_int_equal(memory_restore(again.m, buf, len, T0 + 9 * WEEK), -EBADMSG);
	buf[len / 2] ^= 1;
	assert_int_equal(memory_restore(again.m, buf, len - 1, T0 + 9 * WEEK), -EBADMSG);
	assert_int_equal(memory_restore(again.m, buf, 3, T0 + 9 * WEEK), -EBADMSG);
	assert_int_equal(memory_restore(again.m, buf, len, T0 + 9 * WEEK), 0);
	assert_int_equal(
	    burst(&again, true, "office@school.example", "parent", 1000, T0 + 9 * WEEK), 1000);
	assert_int_equal(burst(&again, true, "office@school.example", "parent", 0, T0), 0);
	assert_true(
	    judge(&again, PHASE_RCPT, v4(1), false, "", "parent5@example.org", T0 + 9 * WEEK).found &
	    MEMORY_KNOWN);
	free(buf);
	end(&w);
	end(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minute_slides),
		cmocka_unit_test(test_hour_and_prefix),
		cmocka_unit_test(test_each_subject),
		cmocka_unit_test(test_tags_are_stripped),
		cmocka_unit_test(test_tags_of_senders_are_stripped),
		cmocka_unit_test(test_slow_poison),
		cmocka_unit_test(test_unknown_recipients_stop_a_sender),
		cmocka_unit_test(test_inside_and_outside_apart),
		cmocka_unit_test(test_learned_rate),
		cmocka_unit_test(test_recipients_are_learned),
		cmocka_unit_test(test_harvester),
		cmocka_unit_test(test_spread_harvest),
		cmocka_unit_test(test_flood_of_made_up_sources),
		cmocka_unit_test(test_show_and_forget),
		cmocka_unit_test(test_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
