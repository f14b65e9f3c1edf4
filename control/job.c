/* SPDX-License-Identifier: BSD-3-Clause */
/* One thread for what takes long (job.h). */
#include "job.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct jobs {
	pthread_t thread;
	pthread_mutex_t lock; /* of the two rings and of stop */
	pthread_cond_t more;
	bool stop, busy;
	unsigned n_todo, n_finished;
	struct job *todo[JOBS_MAX], *finished[JOBS_MAX];
	unsigned n; /* of both and running; the manager's thread alone */
	int event_fd;
	void *arg;
};

static struct job *take(struct job **ring, unsigned *n)
{
	struct job *first = ring[0];
	--*n;
	for (unsigned i = 0; i < *n; i++)
		ring[i] = ring[i + 1];
	return first;
}

static void *serve(void *arg)
{
	struct jobs *jobs = arg;
	const uint64_t one = 1;
	pthread_mutex_lock(&jobs->lock);
	for (;;) {
		while (jobs->n_todo == 0 && !jobs->stop)
			pthread_cond_wait(&jobs->more, &jobs->lock);
		if (jobs->stop)
			break;
		struct job *job = take(jobs->todo, &jobs->n_todo);
		jobs->busy = true;
		pthread_mutex_unlock(&jobs->lock);
		job->run(job);
		pthread_mutex_lock(&jobs->lock);
		jobs->busy = false;
		jobs->finished[jobs->n_finished++] = job;
		if (write(jobs->event_fd, &one, sizeof(one)) < 0)
			abort(); /* an eventfd of ours that takes no number is a bug */
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

int jobs_new(int epoll_fd, uint64_t data, void *arg, struct jobs **ret_jobs)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = data };
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	sigset_t all, before;
	int ret;
	if (jobs == NULL)
		return -ENOMEM;
	jobs->arg = arg;
	jobs->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (jobs->event_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, jobs->event_fd, &event) != 0) {
		ret = -errno;
		goto failed;
	}
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->more, NULL);
	sigfillset(&all); /* signals are the manager's */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	ret = -pthread_create(&jobs->thread, NULL, serve, jobs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret != 0)
		goto failed;
	*ret_jobs = jobs;
	return 0;
failed:
	if (jobs->event_fd >= 0)
		close(jobs->event_fd);
	free(jobs);
	return ret;
}

bool jobs_stop(struct jobs *jobs)
{
	if (jobs == NULL)
		return true;
	pthread_mutex_lock(&jobs->lock);
	bool busy = jobs->busy;
	jobs->stop = true;
	pthread_cond_signal(&jobs->more);
	pthread_mutex_unlock(&jobs->lock);
	if (busy) {
		pthread_detach(jobs->thread);
		return false;
	}
	pthread_join(jobs->thread, NULL);
	close(jobs->event_fd);
	free(jobs);
	return true;
}

int jobs_add(struct jobs *jobs, struct job *job)
{
	if (jobs->n == JOBS_MAX)
		return -EBUSY;
	jobs->n++;
	atomic_store(&job->percent, 0);
	pthread_mutex_lock(&jobs->lock);
	jobs->todo[jobs->n_todo++] = job;
	pthread_cond_signal(&jobs->more);
	pthread_mutex_unlock(&jobs->lock);
	return 0;
}

void jobs_event(struct jobs *jobs)
{
	uint64_t count;
	if (read(jobs->event_fd, &count, sizeof(count)) < 0)
		return;
	for (;;) {
		struct job *job = NULL;
		pthread_mutex_lock(&jobs->lock);
		if (jobs->n_finished != 0)
			job = take(jobs->finished, &jobs->n_finished);
		pthread_mutex_unlock(&jobs->lock);
		if (job == NULL)
			return;
		jobs->n--;
		job->done(jobs->arg, job);
	}
}

unsigned jobs_waiting(const struct jobs *jobs)
{
	return jobs->n;
}
