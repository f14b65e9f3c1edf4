/* SPDX-License-Identifier: BSD-3-Clause */
/* Jobs: run elsewhere, in order, ended here; bounded. */
#include "job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

struct task {
	struct job job;
	pthread_mutex_t *gate; /* held: the job waits */
	pthread_t ran_in;
	int number;
};

static int order[64], n_done;

static void run(struct job *job)
{
	struct task *task = (struct task *)job;
	if (task->gate != NULL) {
		pthread_mutex_lock(task->gate);
		pthread_mutex_unlock(task->gate);
	}
	task->ran_in = pthread_self();
	atomic_store(&job->percent, 100);
}

static void done(void *arg, struct job *job)
{
	assert_ptr_equal(arg, order);
	order[n_done++] = ((struct task *)job)->number;
}

static void in_order_and_bounded(void **state)
{
	static struct task tasks[JOBS_MAX + 1];
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	struct jobs *jobs = NULL;
	struct epoll_event event;
	int epoll_fd = epoll_create1(0);
	(void)state;
	n_done = 0;
	assert_int_equal(jobs_new(epoll_fd, 42, order, &jobs), 0);
	pthread_mutex_lock(&gate);
	for (int i = 0; i <= JOBS_MAX; i++) {
		tasks[i] = (struct task){ .job = { .run = run, .done = done },
			.gate = i == 0 ? &gate : NULL,
			.number = i };
		assert_int_equal(jobs_add(jobs, &tasks[i].job), i < JOBS_MAX ? 0 : -EBUSY);
	}
	assert_int_equal(epoll_wait(epoll_fd, &event, 1, 0), 0); /* the first waits */
	pthread_mutex_unlock(&gate);
	while (n_done < JOBS_MAX) {
		assert_int_equal(epoll_wait(epoll_fd, &event, 1, 10000), 1);
		assert_int_equal(event.data.u64, 42);
		jobs_event(jobs);
	}
	for (int i = 0; i < JOBS_MAX; i++) {
		assert_int_equal(order[i], i);
		assert_false(pthread_equal(tasks[i].ran_in, pthread_self()));
		assert_int_equal(atomic_load(&tasks[i].job.percent), 100);
	}
	assert_int_equal(jobs_add(jobs, &tasks[JOBS_MAX].job), 0); /* there is room again */
	assert_int_equal(epoll_wait(epoll_fd, &event, 1, 10000), 1);
	assert_true(jobs_stop(jobs));
	close(epoll_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(in_order_and_bounded) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
