/* SPDX-License-Identifier: BSD-3-Clause */
/* Notes reach every subscriber of their kind, in order; a full ring says how many it did not take. */
#include "notes.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

struct listener {
	atomic_uint told, ticks;
	uint32_t last; /* the thread's until notes_free() */
	int disordered;
};

static void hear(void *arg, const struct note *note)
{
	struct listener *l = arg;

	l->disordered |= note->value != l->last;
	l->last = note->value + 1;
	atomic_fetch_add(&l->told, 1);
}

static void tick(void *arg, uint64_t now_ns)
{
	struct listener *l = arg;

	if (now_ns > 1000000000ull * 1000000000u)
		atomic_fetch_add(&l->ticks, 1);
}

static void test_order_and_kinds(void **state)
{
	struct listener all = { 0 }, greys = { 0 }, nobody = { 0 };
	struct note note = { .kind = NOTE_MESSAGE };
	struct notes *n = NULL;

	(void)state;
	assert_int_equal(notes_new(2, &n), 0);
	assert_int_equal(
	    notes_subscribe(n, &(struct notes_subscriber){ 1u << NOTE_MESSAGE | 1u << NOTE_SESSION,
				   hear, tick, &all }),
	    0);
	assert_int_equal(
	    notes_subscribe(n, &(struct notes_subscriber){ 1u << NOTE_GREY, hear, NULL, &greys }),
	    0);
	assert_int_equal(
	    notes_subscribe(n, &(struct notes_subscriber){ 1u << NOTE_RCPT, NULL, NULL, &nobody }),
	    0);
	assert_int_equal(notes_kinds(n),
	    1u << NOTE_MESSAGE | 1u << NOTE_SESSION | 1u << NOTE_GREY | 1u << NOTE_RCPT);
	assert_int_equal(notes_start(n), 0);
	for (uint32_t i = 0; i < 5 * NOTES_RING; i++) {
		note.value = i;
		while (notes_put(n, 1, &note, 1) != 0)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	n = notes_free(n); /* its last round tells what is left */
	assert_int_equal(atomic_load(&all.told), 5 * NOTES_RING);
	assert_int_equal(all.disordered, 0);
	assert_true(atomic_load(&all.ticks) > 0);
	assert_int_equal(atomic_load(&greys.told), 0);
}

static void test_bounds(void **state)
{
	static struct note notes[NOTES_RING + 3];
	struct notes *n = NULL;
	struct notes_subscriber s = { 0 };

	(void)state;
	assert_int_equal(notes_new(1, &n), 0);
	for (unsigned i = 0; i < NOTES_MAX_SUBSCRIBERS; i++)
		assert_int_equal(notes_subscribe(n, &s), 0);
	assert_int_equal(notes_subscribe(n, &s), -ENOSPC);
	assert_int_equal(notes_put(n, 0, notes, NOTES_RING + 3), 3);
	assert_int_equal(notes_put(n, 0, notes, 1), 1);
	notes_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_kinds),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
