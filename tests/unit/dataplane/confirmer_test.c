/* SPDX-License-Identifier: BSD-3-Clause */
/* Jobs go to PCRE2's thread and come back answered, in order; time ends them, and so does the end. */
#include "confirm.h"
#include "confirmer.h"

#include "control/compile_patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static _Atomic uint64_t clock_ns, tick_ns; /* each look at it takes a tick */
static atomic_uint woken[2];

static uint64_t now_ns(void)
{
	return atomic_fetch_add(&clock_ns, tick_ns);
}

static void wake(void *arg, unsigned worker)
{
	(void)arg;
	atomic_fetch_add(&woken[worker], 1);
}

static char told[64];
static atomic_uint n_told;

static void costly(void *arg, const char *rule)
{
	(void)arg;
	snprintf(told, sizeof(told), "%s", rule);
	atomic_fetch_add(&n_told, 1);
}

static struct pattern_set *set_make(const char *text, void **ret_part)
{
	struct pattern_set *set = NULL;
	struct patterns_report report;
	struct complaints complaints;
	const char *error = NULL;
	struct patterns p;
	size_t len;

	patterns_init(&p);
	complaints_init(&complaints);
	assert_int_equal(patterns_parse(&p, "t", NULL, text, strlen(text), &complaints), 0);
	patterns_finish(&p, &complaints);
	assert_int_equal(patterns_compile(&p, NULL, &complaints, ret_part, &len, &report), 0);
	assert_int_equal(complaints.total, 0);
	complaints_fini(&complaints);
	patterns_fini(&p);
	assert_int_equal(pattern_open(*ret_part, len, &set, &error), 0);
	return set;
}

struct bench {
	void *part;
	struct pattern_set *set;
	struct confirmer *c;
	struct confirm_job *jobs;
};

static void begin(struct bench *b)
{
	const struct confirmer_config config = {
		.n_workers = 2, .now_ns = now_ns, .wake = wake, .costly = costly
	};

	atomic_store(&clock_ns, 1000000000);
	atomic_store(&tick_ns, 0);
	atomic_store(&woken[0], 0);
	atomic_store(&woken[1], 0);
	atomic_store(&n_told, 0);
	b->set = set_make("body:/^(a+)+(?<!a)/m name=SLOW score=1 confirm\n"
			  "body:/b(?!c)/ name=B score=1 confirm\n",
	    &b->part);
	b->jobs = calloc(2 * CONFIRM_JOBS, sizeof(*b->jobs));
	assert_non_null(b->jobs);
	assert_int_equal(confirmer_new(&config, &b->c), 0);
}

static void end(struct bench *b)
{
	confirmer_free(b->c);
	pattern_close(b->set);
	free(b->part);
	free(b->jobs);
}

static void ask(struct bench *b, unsigned worker, struct confirm_job *job, uint64_t id,
    const char *rule, const char *text)
{
	struct question q = { .id = id, .kind = QUESTION_CONFIRM, .job = job };

	job->id = id;
	if (!job->deadline_ns) {
		job->deadline_ns = 2000000000;
		job->most_ns = 1000000000;
	}
	job->message = (struct confirm_message){ .bytes = (const uint8_t *)text,
		.len = strlen(text),
		.depth = 1000,
		.decoded_depth = 1000 };
	job->n = 1;
	for (unsigned i = 0; i < pattern_n_expressions(b->set); i++) {
		struct pattern_expression e;
		struct pattern_rule r;

		pattern_expression_get(b->set, i, &e);
		pattern_rule_get(b->set, e.rule, &r);
		if (strcmp(r.name, rule) == 0)
			job->candidates[0] = (struct confirm_candidate){ b->set, (uint16_t)i, 99 };
	}
	confirmer_ask(b->c, worker, &q);
}

static void next(struct bench *b, unsigned worker, uint64_t id)
{
	struct answer a = { 0 };

	while (confirmer_answers(b->c, worker, &a, 1) == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_int_equal(a.id, id);
	assert_int_equal(a.kind, QUESTION_CONFIRM);
}

static void test_order(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < CONFIRM_JOBS; i++) {
			ask(&b, 0, &b.jobs[i], i, "B", i % 2 ? "\r\nbc" : "\r\nb");
			ask(&b, 1, &b.jobs[CONFIRM_JOBS + i], 100 + i, "B",
			    i % 3 ? "\r\nbc" : "\r\nb");
		}
		for (unsigned i = 0; i < CONFIRM_JOBS; i++) {
			next(&b, 0, i);
			next(&b, 1, 100 + i);
			assert_int_equal(
			    b.jobs[i].candidates[0].answer, i % 2 ? CONFIRM_NO : CONFIRM_YES);
			assert_int_equal(b.jobs[CONFIRM_JOBS + i].candidates[0].answer,
			    i % 3 ? CONFIRM_NO : CONFIRM_YES);
		}
	}
	assert_int_equal(atomic_load(&woken[0]), 3 * CONFIRM_JOBS);
	assert_int_equal(atomic_load(&woken[1]), 3 * CONFIRM_JOBS);
	end(&b);
}

static const char torture[] =
    "\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static void test_time(void **state)
{
	uint64_t began;
	struct bench b;

	(void)state;
	begin(&b);
	atomic_store(&tick_ns, 1000000);
	/* its share of the time; then the next one has time left */
	b.jobs[0].deadline_ns = b.jobs[1].deadline_ns = 1000000000 + 500000000;
	b.jobs[0].most_ns = b.jobs[1].most_ns = 125000000;
	began = atomic_load(&clock_ns);
	ask(&b, 0, &b.jobs[0], 1, "SLOW", torture);
	ask(&b, 0, &b.jobs[1], 2, "B", "\r\nb");
	next(&b, 0, 1);
	next(&b, 0, 2);
	assert_int_equal(b.jobs[0].candidates[0].answer, CONFIRM_COSTLY);
	assert_int_equal(b.jobs[1].candidates[0].answer, CONFIRM_YES);
	assert_in_range(atomic_load(&clock_ns) - began, 125000000, 140000000);
	/* told of once a minute */
	assert_int_equal(atomic_load(&n_told), 1);
	assert_string_equal(told, "SLOW");
	b.jobs[3].deadline_ns = 1000000000 + 900000000;
	b.jobs[3].most_ns = 10000000;
	ask(&b, 0, &b.jobs[3], 4, "SLOW", torture);
	next(&b, 0, 4);
	assert_int_equal(atomic_load(&n_told), 1);
	atomic_fetch_add(&clock_ns, CONFIRMER_TELL_S * 1000000000ull);
	b.jobs[3].deadline_ns += CONFIRMER_TELL_S * 1000000000ull;
	ask(&b, 0, &b.jobs[3], 5, "SLOW", torture);
	next(&b, 0, 5);
	assert_int_equal(atomic_load(&n_told), 2);
	/* late already: given back at once, as not confirmed */
	b.jobs[2].deadline_ns = b.jobs[2].most_ns = 1;
	ask(&b, 0, &b.jobs[2], 3, "B", "\r\nb");
	next(&b, 0, 3);
	assert_int_equal(b.jobs[2].candidates[0].answer, CONFIRM_COSTLY);
	assert_int_equal(atomic_load(&n_told), 2);
	end(&b);
}

/* The process ends while jobs are open and time stands still. */
static void test_end(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	for (unsigned i = 0; i < CONFIRM_JOBS; i++)
		ask(&b, 0, &b.jobs[i], i, "SLOW", torture);
	end(&b);
	assert_true(atomic_load(&woken[0]) < CONFIRM_JOBS);
	assert_null(confirmer_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
