/* SPDX-License-Identifier: BSD-3-Clause */
/* Generations are freed once no worker can see them; a silent worker defers that and is told of. */
#include "publish.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

struct generation {
	int number;
	sem_t freed;
};

static void free_generation(struct generation *gen, void *arg)
{
	(void)arg;
	sem_post(&gen->freed);
}

static bool freed_within(struct generation *gen, unsigned seconds)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += seconds;
	return sem_timedwait(&gen->freed, &ts) == 0;
}

static bool freed_now(struct generation *gen)
{
	return sem_trywait(&gen->freed) == 0;
}

static void init(struct generation *gens, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		gens[i].number = (int)i;
		sem_init(&gens[i].freed, 0, 0);
	}
}

static void replaced_is_freed_after_a_quiescent_state(void **state)
{
	struct generation g[3];
	struct publish *p;

	(void)state;
	init(g, 3);
	assert_int_equal(publish_new(1, &g[0], free_generation, NULL, &p), 0);
	publish_worker_begin(p, 0, 1);
	assert_int_equal(publish_get(p)->number, 0);
	assert_int_equal(publish_set(p, &g[1]), 0);
	/* this thread is the worker and has not been quiescent: it may still look at the first */
	assert_int_equal(publish_get(p)->number, 1);
	assert_false(freed_now(&g[0]));
	/* the reclaimer wants one quiescent state after it began to wait */
	for (unsigned i = 0; i < 10000 && !freed_now(&g[0]); i++) {
		const struct timespec ms = { .tv_nsec = 1000000 };

		publish_quiescent(p, 0, 2);
		nanosleep(&ms, NULL);
		assert_true(i < 9999);
	}
	/* asleep holds nothing */
	publish_offline(p, 0);
	assert_int_equal(publish_set(p, &g[2]), 0);
	assert_true(freed_within(&g[1], 10));
	publish_online(p, 0, 3);
	assert_int_equal(publish_get(p)->number, 2);
	publish_worker_end(p, 0);
	assert_null(publish_free(p));
	assert_true(freed_now(&g[2]));
}

static void publishing_never_waits_and_has_a_bound(void **state)
{
	struct generation g[6];
	struct publish *p;

	(void)state;
	init(g, 6);
	assert_int_equal(publish_new(1, &g[0], free_generation, NULL, &p), 0);
	publish_worker_begin(p, 0, 1);
	for (unsigned i = 1; i <= PUBLISH_MAX_WAITING; i++)
		assert_int_equal(publish_set(p, &g[i]), 0);
	assert_int_equal(publish_set(p, &g[4]), -EBUSY);
	assert_int_equal(publish_get(p)->number, 3);
	assert_false(freed_now(&g[0]));
	publish_worker_end(p, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_true(freed_within(&g[i], 10));
	publish_free(p);
	assert_true(freed_now(&g[3]));
	assert_false(freed_now(&g[4]));
}

static unsigned told, told_worker;
static uint64_t told_ns;

static void tell(unsigned worker, uint64_t silent_ns, void *arg)
{
	(void)arg;
	told++;
	told_worker = worker;
	told_ns = silent_ns;
}

static void silence_is_told_once(void **state)
{
	const uint64_t s = 1000000000;
	struct publish *p;

	(void)state;
	told = 0;
	assert_int_equal(publish_new(2, NULL, free_generation, NULL, &p), 0);
	publish_worker_begin(p, 1, 10 * s);
	publish_watch(p, 10 * s + s - 1, tell, NULL);
	assert_int_equal(told, 0);
	publish_watch(p, 11 * s, tell, NULL);
	publish_watch(p, 12 * s, tell, NULL);
	assert_int_equal(told, 1);
	assert_int_equal(told_worker, 1);
	assert_int_equal(told_ns, s);
	publish_quiescent(p, 1, 12 * s);
	publish_watch(p, 12 * s, tell, NULL);
	publish_watch(p, 13 * s, tell, NULL);
	assert_int_equal(told, 2);
	/* asleep is not silent */
	publish_quiescent(p, 1, 13 * s);
	publish_offline(p, 1);
	publish_watch(p, 20 * s, tell, NULL);
	assert_int_equal(told, 2);
	publish_online(p, 1, 21 * s);
	publish_worker_end(p, 1);
	publish_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replaced_is_freed_after_a_quiescent_state),
		cmocka_unit_test(publishing_never_waits_and_has_a_bound),
		cmocka_unit_test(silence_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
