/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/worker.h"
#include "pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void settle(struct pace *p, double ns_per_byte)
{
	for (unsigned i = 0; i < 200; i++)
		pace_note(p, (uint64_t)(ns_per_byte * p->work), p->work);
}

static void a_dear_byte_leaves_less_for_a_turn(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p);
	assert_int_equal(p.work, WORKER_WORK);
	settle(&p, 10);
	assert_in_range(p.work, 4500, 5500);
	settle(&p, 2.5);
	assert_in_range(p.work, 18000, 22000);
}

static void it_stays_within_its_bounds(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p);
	settle(&p, 1000);
	assert_int_equal(p.work, PACE_LEAST);
	settle(&p, 0.001);
	assert_int_equal(p.work, PACE_MOST);
}

/* 10 ms lost to the host are not our patterns' doing. */
static void one_interrupted_turn_changes_little(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p);
	settle(&p, 2.5);
	pace_note(&p, 10000000, p.work);
	assert_in_range(p.work, 16000, 22000);
}

static void a_turn_that_did_little_tells_nothing(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p);
	for (unsigned i = 0; i < 1000; i++)
		pace_note(&p, 40000, 100);
	assert_int_equal(p.work, WORKER_WORK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dear_byte_leaves_less_for_a_turn),
		cmocka_unit_test(it_stays_within_its_bounds),
		cmocka_unit_test(one_interrupted_turn_changes_little),
		cmocka_unit_test(a_turn_that_did_little_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
