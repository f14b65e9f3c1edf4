/* SPDX-License-Identifier: BSD-3-Clause */
/* See confirmer.h. */
#include "confirmer.h"

#include "confirm.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Of a worker: jobs to the thread, the same jobs back. */
struct confirm_ring {
	_Alignas(64) atomic_uint asked; /* written by the worker */
	_Alignas(64) atomic_uint done;  /* written by the thread */
	_Alignas(64) unsigned taken;    /* the worker's */
	struct confirm_job *jobs[CONFIRM_JOBS];
};
_Static_assert((CONFIRM_JOBS & (CONFIRM_JOBS - 1)) == 0, "places by mask");

struct confirmer {
	struct confirmer_config config;
	struct confirm_ring *rings;
	struct confirm_reader *reader;
	sem_t work; /* posted once a job */
	atomic_bool stop;
	pthread_t thread;
	bool started;
	uint64_t until_ns; /* of the job under hand */
	uint64_t told_ns;  /* of the last costly expression that was told of; 0: none yet */
};

static bool enough(void *arg)
{
	struct confirmer *c = arg;

	return c->config.now_ns() >= c->until_ns ||
	       atomic_load_explicit(&c->stop, memory_order_relaxed);
}

/* So that an engineer can write it otherwise, or drop it. */
static void tell_costly(struct confirmer *c, const struct confirm_job *job, uint64_t now_ns)
{
	if (c->told_ns && now_ns < c->told_ns + CONFIRMER_TELL_S * 1000000000ull)
		return;
	for (unsigned i = 0; i < job->n; i++) {
		const struct confirm_candidate *candidate = &job->candidates[i];
		struct pattern_expression e;
		struct pattern_rule rule;

		if (candidate->answer != CONFIRM_COSTLY)
			continue;
		pattern_expression_get(candidate->set, candidate->expression, &e);
		pattern_rule_get(candidate->set, e.rule, &rule);
		c->told_ns = now_ns;
		c->config.costly(c->config.arg, rule.name);
		return;
	}
}

static void work(struct confirmer *c, struct confirm_job *job)
{
	uint64_t now_ns = c->config.now_ns();

	c->until_ns = now_ns + job->most_ns;
	if (c->until_ns > job->deadline_ns)
		c->until_ns = job->deadline_ns;
	confirm_read(c->reader, &job->message, job->candidates, job->n, enough, c);
	if (now_ns < job->deadline_ns) /* else it was late, whatever it would have cost */
		tell_costly(c, job, now_ns);
}

/* One job of each worker that has some; true: there was one. */
static bool look(struct confirmer *c)
{
	bool any = false;

	for (unsigned i = 0; i < c->config.n_workers; i++) {
		struct confirm_ring *r = &c->rings[i];
		unsigned done = atomic_load_explicit(&r->done, memory_order_relaxed);

		if (done == atomic_load_explicit(&r->asked, memory_order_acquire))
			continue;
		work(c, r->jobs[done % CONFIRM_JOBS]);
		atomic_store_explicit(&r->done, done + 1, memory_order_release);
		c->config.wake(c->config.arg, i);
		any = true;
	}
	return any;
}

static void *run(void *arg)
{
	struct confirmer *c = arg;

	while (!atomic_load(&c->stop)) {
		if (!look(c))
			while (sem_wait(&c->work) < 0 && errno == EINTR)
				;
	}
	return NULL;
}

int confirmer_new(const struct confirmer_config *config, struct confirmer **ret_confirmer)
{
	struct confirmer *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	c->config = *config;
	sem_init(&c->work, 0, 0);
	c->rings = aligned_alloc(64, config->n_workers * sizeof(*c->rings));
	for (unsigned i = 0; c->rings && i < config->n_workers; i++) {
		atomic_init(&c->rings[i].asked, 0);
		atomic_init(&c->rings[i].done, 0);
		c->rings[i].taken = 0;
	}
	rc = c->rings ? confirm_reader_new(&confirm_limits_default, CONFIRM_BYTES, &c->reader)
		      : -ENOMEM;
	if (rc == 0)
		rc = -pthread_create(&c->thread, NULL, run, c);
	c->started = rc == 0;
	if (rc) {
		confirmer_free(c);
		return rc;
	}
	*ret_confirmer = c;
	return 0;
}

struct confirmer *confirmer_free(struct confirmer *c)
{
	if (!c)
		return NULL;
	if (c->started) {
		atomic_store(&c->stop, true);
		sem_post(&c->work);
		pthread_join(c->thread, NULL);
	}
	sem_destroy(&c->work);
	confirm_reader_free(c->reader);
	free(c->rings);
	free(c);
	return NULL;
}

void confirmer_ask(struct confirmer *c, unsigned worker, const struct question *question)
{
	struct confirm_ring *r = &c->rings[worker];
	unsigned asked = atomic_load_explicit(&r->asked, memory_order_relaxed);

	assert(asked - r->taken < CONFIRM_JOBS); /* a worker has no more jobs */
	r->jobs[asked % CONFIRM_JOBS] = question->job;
	atomic_store_explicit(&r->asked, asked + 1, memory_order_release);
	sem_post(&c->work);
}

unsigned confirmer_answers(
    struct confirmer *c, unsigned worker, struct answer *ret_answers, unsigned capacity)
{
	struct confirm_ring *r = &c->rings[worker];
	unsigned there = atomic_load_explicit(&r->done, memory_order_acquire) - r->taken;

	if (there > capacity)
		there = capacity;
	for (unsigned i = 0; i < there; i++, r->taken++)
		ret_answers[i] = (struct answer){ .id = r->jobs[r->taken % CONFIRM_JOBS]->id,
			.kind = QUESTION_CONFIRM };
	return there;
}
