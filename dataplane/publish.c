/* SPDX-License-Identifier: BSD-3-Clause */
/* See publish.h. The only file that includes urcu*.h. */
#include "publish.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

/* Written by its worker, read by the watchdog. */
struct publish_worker {
	_Alignas(64) atomic_bool online;
	_Atomic uint64_t last_ns;
	bool told; /* the watchdog's own */
};

struct publish {
	struct generation *current; /* written by control, read by workers */
	unsigned n_workers;
	struct publish_worker *workers;
	void (*free_fn)(struct generation *gen, void *arg);
	void *arg;

	pthread_t thread;
	pthread_mutex_t lock; /* of what stands below; no worker takes it */
	pthread_cond_t cond;
	struct generation *waiting[PUBLISH_MAX_WAITING];
	unsigned n_waiting; /* the one being waited for included */
	bool stop;
};

static void *reclaim(void *arg)
{
	struct publish *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct generation *old;

		while (p->n_waiting == 0 && !p->stop)
			pthread_cond_wait(&p->cond, &p->lock);
		if (p->n_waiting == 0)
			break;
		old = p->waiting[0];
		pthread_mutex_unlock(&p->lock);
		urcu_qsbr_synchronize_rcu();
		p->free_fn(old, p->arg);
		pthread_mutex_lock(&p->lock);
		p->n_waiting--;
		memmove(p->waiting, p->waiting + 1, p->n_waiting * sizeof(p->waiting[0]));
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int publish_new(unsigned n_workers, struct generation *first,
    void (*free_fn)(struct generation *gen, void *arg), void *arg, struct publish **ret_publish)
{
	struct publish *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return -ENOMEM;
	p->workers = aligned_alloc(64, n_workers * sizeof(struct publish_worker));
	if (!p->workers) {
		free(p);
		return -ENOMEM;
	}
	memset(p->workers, 0, n_workers * sizeof(struct publish_worker));
	p->n_workers = n_workers;
	p->current = first;
	p->free_fn = free_fn;
	p->arg = arg;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->cond, NULL);
	rc = pthread_create(&p->thread, NULL, reclaim, p);
	if (rc) {
		free(p->workers);
		free(p);
		return -rc;
	}
	*ret_publish = p;
	return 0;
}

struct publish *publish_free(struct publish *p)
{
	if (!p)
		return NULL;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->cond);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	if (p->current)
		p->free_fn(p->current, p->arg);
	pthread_cond_destroy(&p->cond);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
	return NULL;
}

bool publish_has_room(struct publish *p)
{
	bool room;

	pthread_mutex_lock(&p->lock);
	room = p->n_waiting < PUBLISH_MAX_WAITING;
	pthread_mutex_unlock(&p->lock);
	return room;
}

int publish_set(struct publish *p, struct generation *gen)
{
	struct generation *old;
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	if (p->n_waiting == PUBLISH_MAX_WAITING) {
		rc = -EBUSY;
	} else {
		old = rcu_xchg_pointer(&p->current, gen);
		if (old) {
			p->waiting[p->n_waiting++] = old;
			pthread_cond_signal(&p->cond);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

void publish_worker_begin(struct publish *p, unsigned worker, uint64_t now_ns)
{
	urcu_qsbr_register_thread();
	atomic_store_explicit(&p->workers[worker].last_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&p->workers[worker].online, true, memory_order_release);
}

void publish_worker_end(struct publish *p, unsigned worker)
{
	atomic_store_explicit(&p->workers[worker].online, false, memory_order_relaxed);
	urcu_qsbr_unregister_thread();
}

struct generation *publish_get(struct publish *p)
{
	return rcu_dereference(p->current);
}

void publish_quiescent(struct publish *p, unsigned worker, uint64_t now_ns)
{
	atomic_store_explicit(&p->workers[worker].last_ns, now_ns, memory_order_relaxed);
	urcu_qsbr_quiescent_state();
}

void publish_offline(struct publish *p, unsigned worker)
{
	atomic_store_explicit(&p->workers[worker].online, false, memory_order_relaxed);
	urcu_qsbr_thread_offline();
}

void publish_online(struct publish *p, unsigned worker, uint64_t now_ns)
{
	urcu_qsbr_thread_online();
	atomic_store_explicit(&p->workers[worker].last_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&p->workers[worker].online, true, memory_order_release);
}

void publish_watch(struct publish *p, uint64_t now_ns,
    void (*tell)(unsigned worker, uint64_t silent_ns, void *arg), void *arg)
{
	for (unsigned i = 0; i < p->n_workers; i++) {
		struct publish_worker *w = &p->workers[i];
		bool online = atomic_load_explicit(&w->online, memory_order_acquire);
		uint64_t last = atomic_load_explicit(&w->last_ns, memory_order_relaxed);

		if (!online || now_ns < last + PUBLISH_SILENT_NS) {
			w->told = false;
		} else if (!w->told) {
			w->told = true;
			tell(i, now_ns - last, arg);
		}
	}
}
