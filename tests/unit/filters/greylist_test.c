/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of entries, and who gives way to whom. Time is moved by hand. */
#include "greylist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { T0 = 1700000000, DAY = 86400 };

static const struct policy_grey settings = {
	.delay_s = 300,
	.retry_window_s = 4 * 3600,
	.life_s = 36 * DAY,
	.white_life_s = 90 * DAY,
	.trap_s = DAY,
	.white_after = 3,
};

static uint64_t chance(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static struct greylist_keys random_keys(uint64_t *seed)
{
	return (struct greylist_keys){ chance(seed) | 1, chance(seed) | 1 };
}

static unsigned note(struct greylist *g, uint8_t kind, struct greylist_keys keys, uint32_t now_s)
{
	struct greylist_change changes[GREYLIST_MAX_CHANGES];
	struct grey_note n = { .keys = keys, .now_s = now_s, .kind = kind };

	return greylist_apply(g, &n, &settings, changes);
}

static const struct greylist_keys one = { 0x123456789abcdef0, 0xfedcba9876543210 };

static void test_life(void **state)
{
	struct greylist *g = greylist_new(1000);
	const uint32_t window_end = T0 + 4 * 3600;

	(void)state;
	assert_int_equal(greylist_judge(g, &one, T0, &settings), GREYLIST_FIRST);
	assert_int_equal(note(g, GREY_TRIED, one, T0), 1);
	assert_int_equal(greylist_judge(g, &one, T0 + 299, &settings), GREYLIST_EARLY);
	assert_int_equal(note(g, GREY_TRIED, one, T0 + 299), 0); /* the first try counts */
	assert_int_equal(greylist_judge(g, &one, T0 + 300, &settings), GREYLIST_PASSED);
	assert_int_equal(greylist_judge(g, &one, window_end, &settings), GREYLIST_PASSED);
	assert_int_equal(greylist_judge(g, &one, window_end + 1, &settings), GREYLIST_EXPIRED);
	assert_int_equal(note(g, GREY_TRIED, one, window_end + 1), 1);
	assert_int_equal(greylist_judge(g, &one, window_end + 2, &settings), GREYLIST_EARLY);
	assert_int_equal(greylist_judge(g, &one, T0 - 1000, &settings), GREYLIST_EARLY);

	/* only what the backend took makes a record */
	assert_int_equal(note(g, GREY_ACCEPTED, one, window_end + 400), 2);
	assert_int_equal(greylist_judge(g, &one, window_end + 401, &settings), GREYLIST_KNOWN);
	assert_int_equal(
	    greylist_judge(g, &one, window_end + 400 + 36 * DAY, &settings), GREYLIST_KNOWN);
	assert_int_equal(
	    greylist_judge(g, &one, window_end + 401 + 36 * DAY, &settings), GREYLIST_EXPIRED);
	greylist_free(g);
}

static void test_white_after(void **state)
{
	struct greylist *g = greylist_new(1000);
	struct greylist_keys other = { 42, one.pool };
	struct greylist_entry e;

	(void)state;
	note(g, GREY_ACCEPTED, one, T0);
	note(g, GREY_ACCEPTED, one, T0 + 10);
	assert_int_equal(greylist_judge(g, &one, T0 + 11, &settings), GREYLIST_KNOWN);
	assert_int_equal(greylist_judge(g, &other, T0 + 11, &settings), GREYLIST_FIRST);
	note(g, GREY_ACCEPTED, one, T0 + 20);
	assert_int_equal(greylist_judge(g, &one, T0 + 21, &settings), GREYLIST_WHITE);
	/* three messages from the pool: its other senders need not come back */
	assert_int_equal(greylist_judge(g, &other, T0 + 21, &settings), GREYLIST_WHITE);
	assert_int_equal(greylist_judge(g, &other, T0 + 20 + 90 * DAY, &settings), GREYLIST_WHITE);
	assert_int_equal(greylist_judge(g, &other, T0 + 21 + 90 * DAY, &settings), GREYLIST_FIRST);
	/* a busy pool is written down now and then, not with each message */
	assert_int_equal(note(g, GREY_ACCEPTED, one, T0 + 30), 0);
	assert_int_equal(note(g, GREY_ACCEPTED, one, T0 + 20 + 6 * DAY), 2);
	assert_true(greylist_get(g, one.pool, &e));
	assert_int_equal(e.time_s, T0 + 20 + 6 * DAY);
	greylist_free(g);
}

static void test_never_white(void **state)
{
	struct policy_grey s = settings;
	struct greylist *g = greylist_new(1000);
	struct greylist_change changes[GREYLIST_MAX_CHANGES];
	struct grey_note n = { .keys = one, .now_s = T0, .kind = GREY_ACCEPTED };

	(void)state;
	s.white_after = 0;
	for (unsigned i = 0; i < 100; i++)
		greylist_apply(g, &n, &s, changes);
	assert_int_equal(greylist_judge(g, &one, T0, &s), GREYLIST_KNOWN);
	s.white_after = UINT32_MAX; /* beyond what is counted */
	for (unsigned i = 0; i < 2 * GREYLIST_MAX_PASSES; i++)
		greylist_apply(g, &n, &s, changes);
	assert_int_equal(greylist_judge(g, &one, T0, &s), GREYLIST_KNOWN);
	greylist_free(g);
}

static void test_trap(void **state)
{
	struct greylist *g = greylist_new(1000);
	struct greylist_keys friend = { 7, 8 }, known = { 9, one.pool };

	(void)state;
	note(g, GREY_ACCEPTED, friend, T0);
	note(g, GREY_ACCEPTED, known, T0 - 40 * DAY);           /* the pool's record is over */
	assert_int_equal(note(g, GREY_TRAPPED, friend, T0), 0); /* has a record */
	assert_int_equal(note(g, GREY_TRAPPED, one, T0), 1);
	assert_int_equal(greylist_judge(g, &one, T0 + 1, &settings), GREYLIST_TRAP);
	assert_int_equal(greylist_judge(g, &one, T0 + DAY, &settings), GREYLIST_TRAP);
	assert_int_equal(greylist_judge(g, &one, T0 + DAY + 1, &settings), GREYLIST_FIRST);
	/* a known triplet of a trapped pool goes on, and does not free the others */
	note(g, GREY_ACCEPTED, known, T0 + 1);
	assert_int_equal(greylist_judge(g, &known, T0 + 2, &settings), GREYLIST_KNOWN);
	assert_int_equal(greylist_judge(g, &one, T0 + 2, &settings), GREYLIST_TRAP);
	greylist_free(g);
}

static void test_room_up_to_capacity(void **state)
{
	enum { N = 100000 };
	struct greylist *g = greylist_new(N);
	uint64_t seed = 1;
	struct greylist_counts c;

	(void)state;
	for (unsigned i = 0; i < N; i++)
		note(g, GREY_TRIED, random_keys(&seed), T0);
	c = greylist_counts(g);
	assert_int_equal(c.entries[GREYLIST_PENDING] + c.displaced[GREYLIST_PENDING], N);
	assert_in_range(c.displaced[GREYLIST_PENDING], 0, N / 1000);
	assert_in_range(c.slots * 16 / N, 16, 32); /* bytes an entry */
	greylist_free(g);
}

static void test_flood_displaces_only_the_unproven(void **state)
{
	enum { KNOWN = 400, CAPACITY = 1000, FLOOD = 200000 };
	struct greylist *g = greylist_new(CAPACITY);
	struct greylist_keys keys[KNOWN];
	uint64_t seed = 2;
	struct greylist_counts c;

	(void)state;
	for (unsigned i = 0; i < KNOWN; i++) {
		keys[i] = random_keys(&seed);
		for (unsigned pass = 0; pass < (i & 1 ? 3 : 1); pass++)
			note(g, GREY_ACCEPTED, keys[i], T0);
	}
	for (unsigned i = 0; i < FLOOD; i++)
		note(g, GREY_TRIED, random_keys(&seed), T0 + 1 + i / 1000);
	for (unsigned i = 0; i < KNOWN; i++)
		assert_int_equal(greylist_judge(g, &keys[i], T0 + 300, &settings),
		    i & 1 ? GREYLIST_WHITE : GREYLIST_KNOWN);
	c = greylist_counts(g);
	assert_int_equal(c.displaced[GREYLIST_ACCEPTED] + c.displaced[GREYLIST_WHITELISTED], 0);
	assert_in_range(c.entries[GREYLIST_PENDING], 1, c.slots);
	assert_true(c.displaced[GREYLIST_PENDING] > FLOOD - c.slots - c.not_kept - 1);
	greylist_free(g);
}

/* Keys that meet in the same two buckets: of 64 / 4 * 5 / 3 + 1 = 27 each. */
static struct greylist_keys colliding(unsigned i)
{
	return (struct greylist_keys){ 0x00000001fff00001ull + ((uint64_t)i << 33) + i, 1ull << 63 };
}

static void put(struct greylist *g, uint64_t key, uint8_t state, uint32_t time_s)
{
	struct greylist_change changes[GREYLIST_MAX_CHANGES];
	struct greylist_entry e = { time_s, 1, state };

	greylist_put(g, key, &e, T0, &settings, changes);
}

static bool there(struct greylist *g, unsigned i)
{
	struct greylist_entry e;

	return greylist_get(g, colliding(i).triplet, &e);
}

static void test_order_of_giving_way(void **state)
{
	struct greylist *g = greylist_new(0);

	(void)state;
	/* eight places: two white, two accepted, one trapped, two pending, one expired */
	put(g, colliding(0).triplet, GREYLIST_WHITELISTED, T0 - 200);
	put(g, colliding(1).triplet, GREYLIST_WHITELISTED, T0 - 100);
	put(g, colliding(2).triplet, GREYLIST_ACCEPTED, T0 - 200);
	put(g, colliding(3).triplet, GREYLIST_ACCEPTED, T0 - 100);
	put(g, colliding(4).triplet, GREYLIST_TRAPPED, T0 - 100);
	put(g, colliding(5).triplet, GREYLIST_PENDING, T0 - 200);
	put(g, colliding(6).triplet, GREYLIST_PENDING, T0 - 100);
	put(g, colliding(7).triplet, GREYLIST_WHITELISTED, T0 - 91 * DAY);
	for (unsigned i = 0; i < 8; i++)
		assert_true(there(g, i));

	put(g, colliding(8).triplet, GREYLIST_PENDING, T0); /* the expired first, whatever it was */
	assert_false(there(g, 7));
	put(g, colliding(9).triplet, GREYLIST_PENDING, T0); /* then the oldest that never passed */
	assert_false(there(g, 5));
	put(g, colliding(10).triplet, GREYLIST_ACCEPTED, T0);
	assert_false(there(g, 6));
	put(g, colliding(11).triplet, GREYLIST_ACCEPTED, T0);
	put(g, colliding(12).triplet, GREYLIST_ACCEPTED, T0);
	assert_true(!there(g, 8) && !there(g, 9));           /* no more pending ones */
	put(g, colliding(13).triplet, GREYLIST_PENDING, T0); /* ranks below all: not kept */
	assert_false(there(g, 13));
	assert_int_equal(greylist_counts(g).not_kept, 1);
	put(g, colliding(14).triplet, GREYLIST_ACCEPTED, T0);
	assert_false(there(g, 4)); /* trapped */
	put(g, colliding(15).triplet, GREYLIST_ACCEPTED, T0);
	assert_false(there(g, 2)); /* accepted longest ago */
	for (unsigned i = 16; i < 22; i++)
		put(g, colliding(i).triplet, GREYLIST_WHITELISTED, T0);
	assert_true(there(g, 0) && there(g, 1));
	put(g, colliding(22).triplet, GREYLIST_WHITELISTED, T0);
	assert_true(!there(g, 0) && there(g, 1));
	greylist_free(g);
}

static void test_who_cannot_be_remembered_goes_on(void **state)
{
	struct greylist *g = greylist_new(0);
	struct greylist_keys next = colliding(8);

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		put(g, colliding(i).triplet, GREYLIST_WHITELISTED, T0);
	assert_int_equal(greylist_judge(g, &next, T0, &settings), GREYLIST_FULL);
	assert_int_equal(note(g, GREY_TRIED, next, T0), 0);
	/* once one has expired there is room again */
	put(g, colliding(3).triplet, GREYLIST_WHITELISTED, T0 - 91 * DAY);
	assert_int_equal(greylist_judge(g, &next, T0, &settings), GREYLIST_FIRST);
	greylist_free(g);
}

static void test_changes_name_both(void **state)
{
	struct greylist *g = greylist_new(0);
	struct greylist_change changes[GREYLIST_MAX_CHANGES];
	struct grey_note n = { .keys = colliding(8), .now_s = T0, .kind = GREY_TRIED };

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		put(g, colliding(i).triplet, GREYLIST_PENDING, T0 - 100 + i);
	assert_int_equal(greylist_apply(g, &n, &settings, changes), 2);
	assert_true(changes[0].key == colliding(0).triplet && changes[0].displaced);
	assert_int_equal(changes[0].was.state, GREYLIST_PENDING);
	assert_int_equal(changes[0].was.time_s, T0 - 100);
	assert_int_equal(changes[0].is.state, GREYLIST_ABSENT);
	assert_true(changes[1].key == n.keys.triplet);
	assert_int_equal(changes[1].is.state, GREYLIST_PENDING);
	greylist_free(g);
}

static void test_sweep(void **state)
{
	enum { N = 500 };
	struct greylist *g = greylist_new(1000);
	struct greylist_change changes[64];
	struct greylist_keys keys[N];
	uint64_t seed = 3;
	uint32_t cursor = 0;
	unsigned gone = 0, turns = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		keys[i] = random_keys(&seed);
		note(g, GREY_TRIED, keys[i], i < N / 2 ? T0 : T0 + DAY);
	}
	for (; turns < 100; turns++) {
		unsigned n = greylist_sweep(g, &cursor, 20, T0 + DAY, &settings, changes, 64);

		assert_in_range(n, 0, 64);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(changes[i].was.time_s, T0);
		gone += n;
	}
	assert_int_equal(gone, N / 2);
	assert_int_equal(greylist_counts(g).entries[GREYLIST_PENDING], N / 2);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(greylist_judge(g, &keys[i], T0 + DAY, &settings),
		    i < N / 2 ? GREYLIST_FIRST : GREYLIST_EARLY);
	greylist_free(g);
}

static void test_many_as_one(void **state)
{
	enum { N = 1000 };
	struct greylist *g = greylist_new(4000);
	struct greylist_keys keys[N];
	uint8_t answers[N], seen[GREYLIST_N_ANSWERS] = { 0 };
	uint64_t seed = 4;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		keys[i] = random_keys(&seed);
		if (i % 5)
			note(g,
			    i % 5 == 4   ? GREY_TRAPPED
			    : i % 5 == 3 ? GREY_ACCEPTED
					 : GREY_TRIED,
			    keys[i], i % 5 == 1 ? T0 - 400 : T0);
	}
	for (unsigned n = 0; n <= N; n += n < 70 ? 1 : 93) {
		memset(answers, 0xee, sizeof(answers));
		greylist_judge_many(g, keys, n, T0, &settings, answers);
		for (unsigned i = 0; i < N; i++) {
			assert_int_equal(
			    answers[i], i < n ? greylist_judge(g, &keys[i], T0, &settings) : 0xee);
			seen[i < n ? answers[i] : GREYLIST_FULL] = 1;
		}
	}
	assert_true(seen[GREYLIST_FIRST] && seen[GREYLIST_EARLY] && seen[GREYLIST_PASSED] &&
		    seen[GREYLIST_KNOWN] && seen[GREYLIST_TRAP]);
	greylist_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_white_after),
		cmocka_unit_test(test_never_white),
		cmocka_unit_test(test_trap),
		cmocka_unit_test(test_room_up_to_capacity),
		cmocka_unit_test(test_flood_displaces_only_the_unproven),
		cmocka_unit_test(test_order_of_giving_way),
		cmocka_unit_test(test_who_cannot_be_remembered_goes_on),
		cmocka_unit_test(test_changes_name_both),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_many_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
