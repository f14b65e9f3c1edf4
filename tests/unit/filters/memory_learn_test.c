/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Baselines against captured accounts: what a school learns, the lists that pass, where each kind of
 * captured account stops (printed), and what happens to it then.
 */
#include "memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum {
	HOUR = 3600,
	DAY = 86400,
	WEEK = 7 * DAY,
	T0 = 2920 * WEEK + DAY + 9 * HOUR, /* a Friday, 9:00 */
	PARENTS = 1000,
	STOPS_WITHIN = 50,
};

static const uint8_t secret[16] = "0123456789abcde";
static const char office[] = "office@school.example";

struct world {
	struct memory *m;
	struct policy_memory s;
	bool internal, to_strangers;
	unsigned told;
	struct memory_alarm last;
	unsigned next_new; /* names nobody has written to */
};

static void begin(struct world *w, bool internal)
{
	memset(w, 0, sizeof(*w));
	memory_defaults(&w->s);
	w->internal = internal;
	w->m = memory_new(100000, secret);
	assert_non_null(w->m);
}

static void end(struct world *w)
{
	w->m = memory_free(w->m);
}

static struct memory_query query(const struct world *w, const char *sender, const char *rcpt)
{
	static const uint8_t client[16] = { [10] = 0xff, 0xff, 192, 0, 2, 9 };

	return (struct memory_query){
		.client = client,
		.internal = w->internal,
		.to_strangers = w->to_strangers,
		.sender = { sender, (uint16_t)strlen(sender) },
		.rcpt = { rcpt, (uint16_t)strlen(rcpt) },
	};
}

static void take(
    struct world *w, const char *sender, const char *rcpt, bool accepted, uint32_t now_s)
{
	struct memory_alarm alarms[MEMORY_MAX_ALARMS];
	struct memory_note note = { .kind = MEMORY_ASKED,
		.accepted = accepted,
		.unknown = !accepted,
		.who = query(w, sender, rcpt),
		.now_s = now_s };
	unsigned n = memory_apply(w->m, &w->s, &note, alarms);

	for (unsigned i = 0; i < n; i++)
		if (alarms[i].kind == MEMORY_ALARM_UNUSUAL) {
			w->told++;
			w->last = alarms[i];
		}
}

/* As a session asks: in MAIL, then in RCPT. */
static bool passes(const struct world *w, const char *sender, const char *rcpt, uint32_t now_s)
{
	struct memory_query q = query(w, sender, rcpt);
	struct memory_answer a;

	memory_judge(w->m, &w->s, PHASE_MAIL, &q, now_s, &a);
	if (a.found & MEMORY_UNUSUAL)
		return false;
	memory_judge(w->m, &w->s, PHASE_RCPT, &q, now_s, &a);
	return !(a.found & MEMORY_UNUSUAL);
}

static bool sends(struct world *w, const char *sender, const char *rcpt, uint32_t now_s)
{
	if (!passes(w, sender, rcpt, now_s))
		return false;
	take(w, sender, rcpt, true, now_s);
	return true;
}

static const char *parent(unsigned i)
{
	static char rcpt[64];

	snprintf(rcpt, sizeof(rcpt), "parent%u@example.org", i);
	return rcpt;
}

static const char *stranger(struct world *w)
{
	static char rcpt[64];

	snprintf(rcpt, sizeof(rcpt), "stranger%u@example.org", w->next_new++);
	return rcpt;
}

enum place { TOP, END, MIXED };

/* A list of a thousand, `n_new` of them new, ten a second. Shadow: all pass. Returns how many did;
 * who did not is asked again with *ret_again. */
static unsigned list(struct world *w, unsigned n_new, enum place place, bool shadow, uint32_t now_s)
{
	unsigned passed = 0, known = 0;

	for (unsigned i = 0; i < PARENTS; i++) {
		bool is_new = place == TOP   ? i < n_new
			      : place == END ? i >= PARENTS - n_new
					     : (i * n_new) % PARENTS < n_new;
		const char *rcpt = is_new ? stranger(w) : parent(known++);

		if (shadow)
			take(w, office, rcpt, true, now_s + i / 10);
		passed += shadow || sends(w, office, rcpt, now_s + i / 10);
	}
	return passed;
}

/* The list of `weeks` weeks in shadow; returns the time after. */
static uint32_t learned(struct world *w, unsigned weeks, unsigned n_new, uint32_t now_s)
{
	for (unsigned i = 0; i < weeks; i++, now_s += WEEK)
		list(w, n_new, MIXED, true, now_s);
	w->told = 0;
	return now_s;
}

/* Inside, one week in shadow is enough, and then the list passes: with new names, wherever they stand,
 * on another day and at another hour. */
static void test_list_passes(void **state)
{
	static const struct {
		unsigned weeks, n_new;
		enum place place;
		int moved_s;
	} rows[] = {
		{ 1, 0, MIXED, 0 },
		{ 1, 50, MIXED, 0 },
		{ 1, 40, TOP, 0 },
		{ 1, 39, END, 0 },
		{ 2, 50, MIXED, 2 * DAY + 5 * HOUR },
		{ 3, 39, END, -4 * HOUR + 1800 },
		{ 8, 50, MIXED, 3 * DAY },
		{ 8, 90, MIXED, -DAY + 50 * 60 },
	};

	(void)state;
	for (unsigned side = 0; side < 2; side++)
		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			uint32_t now_s;
			struct world w;

			begin(&w, side);
			now_s = learned(&w, rows[i].weeks, 20, T0) + (uint32_t)rows[i].moved_s;
			assert_int_equal(
			    list(&w, rows[i].n_new, rows[i].place, false, now_s), PARENTS);
			assert_int_equal(w.told, rows[i].place == TOP);
			end(&w);
		}
}

/* More new names than the floor at its top: those wait, the others pass, and then they do, too. */
static void test_new_names_on_top(void **state)
{
	unsigned passed;
	struct world w;
	uint32_t now_s;

	(void)state;
	begin(&w, true);
	now_s = learned(&w, 2, 20, T0);
	passed = list(&w, 60, TOP, false, now_s);
	assert_in_range(passed, PARENTS - 20, PARENTS - 1);
	w.next_new -= 60;
	for (unsigned i = 0; i < 60; i++)
		assert_true(sends(&w, office, stranger(&w), now_s + 900));
	/* at the end of an hour, too */
	now_s += WEEK + 59 * 60;
	passed = list(&w, 60, TOP, false, now_s);
	w.next_new -= 60;
	for (unsigned i = 0; i < 60; i++)
		assert_true(sends(&w, office, stranger(&w), now_s + 900));
	end(&w);
}

enum kind { OTHER, FRESH, BEHIND, APART, HOUR_END, WEEK_END, SLOW, MANY_NEW, N_KINDS };

/* In every case: a day of attempts, each second, stops within fifty messages. */
static void test_captured_accounts_stop(void **state)
{
	static const char *const words[N_KINDS] = {
		[OTHER] = "another account of the school",
		[FRESH] = "an account nobody saw before",
		[BEHIND] = "the office right behind its list",
		[APART] = "the office two days after its list",
		[HOUR_END] = "the office at the end of an hour",
		[WEEK_END] = "the office over the end of a week",
		[SLOW] = "the office, one in ten seconds",
		[MANY_NEW] = "an office whose lists always have new names",
	};
	static const unsigned weeks[] = { 0, 1, 2, 3, 9 };

	(void)state;
	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		unsigned least = UINT32_MAX, most = 0;

		for (unsigned i = 0; i < sizeof(weeks) / sizeof(weeks[0]); i++) {
			const char *who = kind == OTHER   ? "teacher@school.example"
					  : kind == FRESH ? "new@school.example"
							  : office;
			unsigned passed = 0, step = kind == SLOW ? 10 : 1;
			struct world w;
			uint32_t now_s;

			begin(&w, true);
			now_s = learned(&w, weeks[i], kind == MANY_NEW ? 100 : 20, T0);
			for (unsigned n = 0; n < 5; n++) {
				take(&w, "teacher@school.example", parent(n), true, now_s - DAY);
				take(&w, "teacher@school.example", parent(n), true, now_s - 60);
			}
			if (kind == BEHIND && weeks[i])
				assert_int_equal(list(&w, 20, END, false, now_s), PARENTS);
			now_s += kind == BEHIND     ? 101
				 : kind == HOUR_END ? 59 * 60 + 40
				 : kind == WEEK_END ? 6 * DAY - 9 * HOUR - 20
						    : 2 * DAY;
			for (unsigned at = 0; at < DAY; at += step)
				passed += sends(&w, who, stranger(&w), now_s + at);
			least = passed < least ? passed : least;
			most = passed > most ? passed : most;
			assert_in_range(passed, 10, STOPS_WITHIN);
			assert_int_equal(w.told, 1);
			assert_true(w.last.internal && w.last.held_s == w.s.hold_s);
			end(&w);
		}
		print_message("[ memory   ] %s: stopped after %u to %u messages in a day\n",
		    words[kind], least, most);
	}
}

/* From outside it is not held, and what counts is the hour. */
static void test_captured_outside(void **state)
{
	(void)state;
	for (unsigned weeks = 0; weeks < 9; weeks++) {
		unsigned passed = 0;
		struct world w;
		uint32_t now_s;

		begin(&w, false);
		now_s = learned(&w, weeks, 20, T0) + 2 * DAY;
		for (unsigned at = 0; at < 600; at++)
			passed += sends(&w, office, stranger(&w), now_s + at);
		assert_in_range(passed, 40, STOPS_WITHIN);
		assert_int_equal(w.last.held_s, 0);
		end(&w);
	}
}

/* Who writes to strangers each week outside (a newsletter) has learned it in three. */
static void test_newsletter_outside(void **state)
{
	struct world w;

	(void)state;
	begin(&w, false);
	for (unsigned week = 0; week < 3; week++)
		for (unsigned i = 0; i < 400; i++)
			take(&w, office, stranger(&w), true, T0 + week * WEEK + i);
	for (unsigned i = 0; i < 420; i++)
		assert_true(sends(&w, office, stranger(&w), T0 + 3 * WEEK + i));
	end(&w);
}

/* Names that it knows between the strangers buy no more than their share. */
static void test_mixed_attack(void **state)
{
	unsigned known = 0, strangers = 0;
	struct world w;
	uint32_t now_s;

	(void)state;
	begin(&w, true);
	now_s = learned(&w, 3, 0, T0);
	for (unsigned i = 0; i < 2000; i++) {
		known += sends(&w, office, parent(i % PARENTS), now_s + i / 2);
		strangers += sends(&w, office, stranger(&w), now_s + i / 2);
	}
	assert_in_range(strangers, 40, 45 + known / 10);
	assert_in_range(known + strangers, 1450, 1500); /* a half more than ever */
	end(&w);
}

static void test_held_and_released(void **state)
{
	struct world w;
	uint32_t now_s;
	unsigned n = 0;

	(void)state;
	begin(&w, true);
	now_s = learned(&w, 2, 0, T0);
	while (sends(&w, office, stranger(&w), now_s))
		n++;
	assert_int_equal(n, 40);
	assert_true(passes(&w, office, parent(7), now_s)); /* whom it knows may still be written to */
	assert_false(passes(&w, office, stranger(&w), now_s + w.s.hold_s - 1));
	assert_true(passes(&w, office, stranger(&w), now_s + w.s.hold_s));
	assert_int_equal(memory_release(w.m, "nobody@school.example"), 0);
	assert_int_equal(memory_release(w.m, "Office@school.example"), 1);
	assert_true(passes(&w, office, stranger(&w), now_s + 1));
	/* the list is still known */
	assert_int_equal(list(&w, 0, MIXED, false, now_s + HOUR), PARENTS);
	/* as its list was nothing of the kind, more of those it knows does not hold it */
	w.last.held_s = 1;
	now_s += WEEK;
	for (unsigned i = 0; i < 2 * PARENTS; i++)
		sends(&w, office, parent(i % PARENTS), now_s + i / 10);
	assert_int_equal(w.last.held_s, 0);
	assert_true(passes(&w, office, stranger(&w), now_s + 3 * HOUR));
	end(&w);
}

/* Unknown recipients hold it, too, and no hold is as long as its hour. */
static void test_hold_of_guesses_and_none(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true);
	for (unsigned i = 0; i < 10; i++)
		take(&w, office, stranger(&w), false, T0);
	assert_int_equal(w.last.held_s, w.s.hold_s);
	assert_false(passes(&w, office, stranger(&w), T0 + 3 * HOUR));
	w.s.hold_s = 0;
	assert_true(passes(&w, office, stranger(&w), T0 + 3 * HOUR));
	end(&w);
}

/* A shop writes to strangers: nobody is one to it, and its own volume bounds it. */
static void test_stranger_sender(void **state)
{
	unsigned passed = 0;
	struct world w;

	(void)state;
	begin(&w, true);
	w.to_strangers = true;
	for (unsigned i = 0; i < 200; i++)
		take(&w, "orders@shop.example", stranger(&w), true, T0 + i);
	for (unsigned i = 0; i < 1000; i++)
		passed += sends(&w, "orders@shop.example", stranger(&w), T0 + WEEK + i);
	assert_in_range(passed, 240, 310);
	assert_int_equal(w.last.held_s, 0);
	end(&w);
}

/* Mail from outside in its name makes nobody known to the sender inside. */
static void test_pairs_inside_and_outside(void **state)
{
	unsigned passed = 0;
	struct world w;

	(void)state;
	begin(&w, false);
	for (unsigned i = 0; i < 300; i++)
		take(&w, office, parent(i), true, T0);
	w.internal = true;
	for (unsigned week = 0; week < 2; week++)
		for (unsigned i = 500; i < 1000; i++)
			take(&w, office, parent(i), true, T0 + week * WEEK);
	memory_release(w.m, office);
	for (unsigned i = 0; i < 300; i++)
		passed += sends(&w, office, parent(i), T0 + 2 * WEEK);
	assert_in_range(passed, 1, STOPS_WITHIN);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_passes),
		cmocka_unit_test(test_new_names_on_top),
		cmocka_unit_test(test_captured_accounts_stop),
		cmocka_unit_test(test_captured_outside),
		cmocka_unit_test(test_newsletter_outside),
		cmocka_unit_test(test_mixed_attack),
		cmocka_unit_test(test_held_and_released),
		cmocka_unit_test(test_hold_of_guesses_and_none),
		cmocka_unit_test(test_stranger_sender),
		cmocka_unit_test(test_pairs_inside_and_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
