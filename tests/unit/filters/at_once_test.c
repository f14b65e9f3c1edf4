/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters of several workers, what a full table does, and what counts as the same. */
#include "at_once.h"

#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static const uint8_t secret[16] = { 7 };

static uint64_t key_of(
    const struct at_once *a, enum memory_subject subject, const char *from, const char *to)
{
	return at_once_key(a, subject, text_of(from), text_of(to));
}

static void test_all_workers_together(void **state)
{
	struct at_once *a = at_once_new(3, 1024, secret);
	uint64_t key = key_of(a, MEMORY_SENDER, "a@example.net", "");
	uint64_t other = key_of(a, MEMORY_SENDER, "b@example.net", "");

	(void)state;
	assert_int_equal(at_once_count(a, key), 0);
	assert_true(at_once_take(a, 0, key));
	assert_true(at_once_take(a, 0, key));
	assert_true(at_once_take(a, 2, key));
	assert_true(at_once_take(a, 1, other));
	assert_int_equal(at_once_count(a, key), 3);
	assert_int_equal(at_once_count(a, other), 1);
	assert_int_equal(at_once_held(a), 4);
	at_once_give(a, 0, key);
	at_once_give(a, 2, key);
	assert_int_equal(at_once_count(a, key), 1);
	at_once_give(a, 0, key);
	at_once_give(a, 1, other);
	assert_int_equal(at_once_count(a, key), 0);
	assert_int_equal(at_once_held(a), 0);
	at_once_free(a);
}

static void test_what_is_the_same(void **state)
{
	struct at_once *a = at_once_new(1, 64, secret);

	(void)state;
	assert_int_equal(key_of(a, MEMORY_SENDER, "Jane@Example.NET", ""),
	    key_of(a, MEMORY_SENDER, "jane@example.net", ""));
	assert_int_equal(key_of(a, MEMORY_SENDER, "prvs=0123abcdef=jane@example.net", ""),
	    key_of(a, MEMORY_SENDER, "jane@example.net", ""));
	assert_int_equal(key_of(a, MEMORY_SENDER_DOMAIN, "x@example.net", ""),
	    key_of(a, MEMORY_SENDER_DOMAIN, "y@EXAMPLE.net", ""));
	assert_int_equal(key_of(a, MEMORY_RECIPIENT, "x@example.net", "u@example.org"),
	    key_of(a, MEMORY_RECIPIENT, "", "U@example.org"));
	/* a subject's own: a sender is no recipient */
	assert_int_not_equal(key_of(a, MEMORY_SENDER, "u@example.org", ""),
	    key_of(a, MEMORY_RECIPIENT, "", "u@example.org"));
	assert_int_not_equal(key_of(a, MEMORY_RECIPIENT, "", "u+a@example.org"),
	    key_of(a, MEMORY_RECIPIENT, "", "u@example.org"));
	at_once_free(a);
}

static void test_what_has_no_key(void **state)
{
	struct at_once *a = at_once_new(1, 64, secret);

	(void)state;
	assert_int_equal(key_of(a, MEMORY_SENDER, "", "u@example.org"), 0);
	assert_int_equal(key_of(a, MEMORY_SENDER_DOMAIN, "", "u@example.org"), 0);
	assert_int_equal(key_of(a, MEMORY_RECIPIENT_DOMAIN, "a@example.net", "postmaster"), 0);
	assert_int_equal(key_of(a, MEMORY_BOUNCES, "a@example.net", "u@example.org"), 0);
	assert_int_not_equal(key_of(a, MEMORY_BOUNCES, "", "u@example.org"), 0);
	assert_int_equal(key_of(a, MEMORY_ADDRESS, "a@example.net", "u@example.org"), 0);
	assert_false(at_once_counts(MEMORY_ADDRESS));
	assert_false(at_once_counts(MEMORY_PREFIX));
	assert_true(at_once_counts(MEMORY_SENDER) && at_once_counts(MEMORY_BOUNCES));
	at_once_free(a);
}

/* Full: who is there goes on counting, newcomers are told that they do not, nothing is mixed up. */
static void test_full(void **state)
{
	struct at_once *a = at_once_new(1, 64, secret);
	uint64_t keys[4096];
	unsigned taken = 0;

	(void)state;
	for (unsigned i = 0; i < 4096; i++) {
		char from[32];

		snprintf(from, sizeof(from), "%u@example.net", i);
		keys[taken] = key_of(a, MEMORY_SENDER, from, "");
		taken += at_once_take(a, 0, keys[taken]);
	}
	assert_int_equal(taken, 64);
	for (unsigned i = 0; i < taken; i++) {
		assert_int_equal(at_once_count(a, keys[i]), 1);
		assert_true(at_once_take(a, 0, keys[i]));
	}
	assert_int_equal(at_once_held(a), 128);
	for (unsigned i = 0; i < taken; i++) {
		at_once_give(a, 0, keys[i]);
		at_once_give(a, 0, keys[i]);
	}
	assert_int_equal(at_once_held(a), 0);
	at_once_free(a);
}

static void test_most_of_one_key(void **state)
{
	struct at_once *a = at_once_new(1, 64, secret);
	uint64_t key = key_of(a, MEMORY_RECIPIENT, "", "u@example.org");

	(void)state;
	for (unsigned i = 0; i < AT_ONCE_MAX; i++)
		assert_true(at_once_take(a, 0, key));
	assert_false(at_once_take(a, 0, key));
	assert_int_equal(at_once_count(a, key), AT_ONCE_MAX);
	for (unsigned i = 0; i < AT_ONCE_MAX; i++)
		at_once_give(a, 0, key);
	assert_int_equal(at_once_held(a), 0);
	at_once_free(a);
}

struct other {
	struct at_once *a;
	uint64_t key;
	atomic_bool stop;
};

static void *takes_and_gives(void *arg)
{
	struct other *o = arg;

	while (!atomic_load(&o->stop)) {
		at_once_take(o->a, 1, o->key);
		at_once_take(o->a, 1, o->key);
		at_once_give(o->a, 1, o->key);
		at_once_give(o->a, 1, o->key);
	}
	return NULL;
}

/* A reader sees a count that was true, whatever the other worker does meanwhile. */
static void test_beside_another_worker(void **state)
{
	struct other o = { .a = at_once_new(2, 64, secret) };
	pthread_t thread;

	(void)state;
	o.key = key_of(o.a, MEMORY_SENDER, "a@example.net", "");
	assert_int_equal(pthread_create(&thread, NULL, takes_and_gives, &o), 0);
	for (unsigned i = 0; i < 200000; i++) {
		assert_true(at_once_take(o.a, 0, o.key));
		assert_in_range(at_once_count(o.a, o.key), 1, 3);
		at_once_give(o.a, 0, o.key);
		assert_in_range(at_once_count(o.a, o.key), 0, 2);
	}
	atomic_store(&o.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(at_once_held(o.a), 0);
	at_once_free(o.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_workers_together),
		cmocka_unit_test(test_what_is_the_same),
		cmocka_unit_test(test_what_has_no_key),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_most_of_one_key),
		cmocka_unit_test(test_beside_another_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
