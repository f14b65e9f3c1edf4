/* SPDX-License-Identifier: BSD-3-Clause */
/* The resolver's thread, its rings, and what other threads may say to it; see resolver.h. */
#include "resolver.h"
#include "resolver_private.h"

#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	QUESTIONS_A_LOOK = 64, /* taken of one ring before the next one's turn */
	POLL_MS = 10,          /* while c-ares waits for something: its time-outs are looked at */
	IDLE_MS = 1000,
	TICK_NS = 50000000,
	REPORT_MS = 50,       /* a report is waited for; then the last one serves */
	QUERY_GRACE_MS = 200, /* beyond a question's deadline, for its answer to come */
};

/* ---- rings: one producer, one consumer ---- */

struct ring {
	unsigned size, capacity;       /* of an item; in items, a power of two */
	_Alignas(64) atomic_uint head; /* by the producer */
	_Alignas(64) atomic_uint tail; /* by the consumer */
	_Alignas(64) uint8_t items[];
};

static struct ring *ring_new(unsigned size, unsigned capacity)
{
	struct ring *ring =
	    aligned_alloc(64, (sizeof(*ring) + (size_t)size * capacity + 63) / 64 * 64);

	if (ring) {
		ring->size = size;
		ring->capacity = capacity;
		atomic_init(&ring->head, 0);
		atomic_init(&ring->tail, 0);
	}
	return ring;
}

static void *ring_at(struct ring *ring, unsigned place)
{
	return ring->items + (size_t)(place & (ring->capacity - 1)) * ring->size;
}

static unsigned ring_put(struct ring *ring, const void *items, unsigned n)
{
	unsigned head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	unsigned room =
	    ring->capacity - (head - atomic_load_explicit(&ring->tail, memory_order_acquire));

	if (n > room)
		n = room;
	for (unsigned i = 0; i < n; i++)
		memcpy(ring_at(ring, head + i), (const uint8_t *)items + (size_t)i * ring->size,
		    ring->size);
	atomic_store_explicit(&ring->head, head + n, memory_order_release);
	return n;
}

static unsigned ring_take(struct ring *ring, void *ret_items, unsigned n)
{
	unsigned tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	unsigned there = atomic_load_explicit(&ring->head, memory_order_acquire) - tail;

	if (n > there)
		n = there;
	for (unsigned i = 0; i < n; i++)
		memcpy((uint8_t *)ret_items + (size_t)i * ring->size, ring_at(ring, tail + i),
		    ring->size);
	atomic_store_explicit(&ring->tail, tail + n, memory_order_release);
	return n;
}

static bool ring_is_empty(struct ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_acquire) ==
	       atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

/* ---- what is told ---- */

void resolver_tell(struct resolver *r, const char *kind, const char *fmt, ...)
{
	char text[400];
	va_list args;

	if (!r->config.tell)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	r->config.tell(r->config.arg, kind, text);
}

void resolver_reply(struct resolver *r, unsigned worker, const struct answer *answer)
{
	if (worker + 1 == r->n_askers) {
		/* the control thread may have gone on to another question */
		pthread_mutex_lock(&r->lock);
		if (answer->id == r->control_id)
			ring_put(r->answers[worker], answer, 1);
		pthread_cond_signal(&r->answered);
		pthread_mutex_unlock(&r->lock);
	} else if (ring_put(r->answers[worker], answer, 1) == 0) {
		r->answers_lost++;
	}
	r->to_wake[worker] = true;
	r->n_answers += !answer->more;
}

/* ---- settings ---- */

void resolver_settings_of(const struct policy *policy, struct resolver_settings *ret_settings)
{
	const struct policy_settings *s = policy_settings(policy);
	struct resolver_settings *to = ret_settings;

	memset(to, 0, sizeof(*to));
	to->dns = s->dns;
	snprintf(to->hostname, sizeof(to->hostname), "%s", policy_string(policy, s->smtp.hostname));
	for (unsigned i = 0; i < s->dns.n_lists; i++) {
		snprintf(to->names[i], sizeof(to->names[i]), "%s",
		    policy_string(policy, s->dns.lists[i].name));
		snprintf(to->zones[i], sizeof(to->zones[i]), "%s",
		    policy_string(policy, s->dns.lists[i].zone));
	}
}

static size_t cache_bytes(const struct resolver_settings *settings)
{
	return settings->dns.cache_mib ? (size_t)settings->dns.cache_mib << 20 : DNSCACHE_LEAST;
}

static void configure(struct resolver *r, struct resolver_settings *next)
{
	struct resolver_settings *old = malloc(sizeof(*old));
	bool moved = memcmp(next->dns.recursors, r->settings.dns.recursors,
			 sizeof(next->dns.recursors)) != 0 ||
		     next->dns.n_recursors != r->settings.dns.n_recursors ||
		     next->dns.attempt_ms != r->settings.dns.attempt_ms;

	if (!old)
		return;
	jobs_end_lists(r);
	if (moved)
		recursors_configure(r, next);
	if (cache_bytes(next) != cache_bytes(&r->settings)) {
		struct dnscache *cache;

		if (dnscache_new(cache_bytes(next), r->hash_key, &cache) == 0) {
			dnscache_free(r->cache);
			r->cache = cache;
		}
	}
	*old = r->settings;
	r->settings = *next;
	channels_fill(r);
	lists_configure(r, old);
	atomic_store(&r->version, next->dns.version);
	free(old);
}

int resolver_configure(struct resolver *r, const struct resolver_settings *settings)
{
	struct resolver_settings *copy = malloc(sizeof(*copy)), *before;
	const uint64_t one = 1;

	if (!copy)
		return -ENOMEM;
	*copy = *settings;
	pthread_mutex_lock(&r->lock);
	before = r->next_settings;
	r->next_settings = copy;
	pthread_mutex_unlock(&r->lock);
	free(before);
	return write(r->wake_fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN ? 0 : -errno;
}

/* ---- the thread ---- */

static void take_orders(struct resolver *r)
{
	struct resolver_settings *next;

	pthread_mutex_lock(&r->lock);
	next = r->next_settings;
	r->next_settings = NULL;
	pthread_mutex_unlock(&r->lock);
	if (next)
		configure(r, next);
	free(next);
	if (atomic_exchange(&r->flush, false))
		dnscache_flush(r->cache);
}

static bool take_questions(struct resolver *r)
{
	struct question q;
	bool more = false;

	for (unsigned w = 0; w < r->n_askers; w++) {
		unsigned n = 0;

		while (n < QUESTIONS_A_LOOK && ring_take(r->questions[w], &q, 1)) {
			r->n_questions++;
			n++;
			job_start(r, w, &q);
		}
		more |= n == QUESTIONS_A_LOOK;
	}
	return more;
}

static void wake_askers(struct resolver *r)
{
	for (unsigned w = 0; w < r->n_askers; w++) {
		if (r->to_wake[w] && w + 1 < r->n_askers && r->config.wake)
			r->config.wake(r->config.arg, w);
		r->to_wake[w] = false;
	}
}

static void report(struct resolver *r)
{
	struct resolver_report *to = &r->report;
	struct dnscache_usage usage = dnscache_usage(r->cache);

	pthread_mutex_lock(&r->lock);
	lists_report(r, to);
	to->n_recursors = r->settings.dns.n_recursors;
	for (unsigned i = 0; i < to->n_recursors; i++) {
		memcpy(to->recursors[i].addr, r->settings.dns.recursors[i].addr, 16);
		to->recursors[i].port = r->settings.dns.recursors[i].port;
		to->recursors[i].up = r->recursors[i].up;
		to->recursors[i].asked = r->recursors[i].asked;
		to->recursors[i].answered = r->recursors[i].answered;
		to->recursors[i].timeouts = r->recursors[i].timeouts;
	}
	to->cache_bytes = usage.bytes;
	to->cache_used = usage.used;
	to->cache_entries = usage.entries;
	to->cache_evicted = usage.evicted;
	to->cache_hits = r->cache_hits;
	to->questions = r->n_questions;
	to->answers = r->n_answers;
	to->failed_full = r->failed_full;
	to->late = r->late;
	to->answers_lost = r->answers_lost;
	to->lookups = r->n_lookups_made;
	to->joined = r->joined;
	to->channels_made = r->channels_made;
	to->jobs = r->n_jobs;
	to->lookups_open = r->n_lookups;
	r->reports++;
	pthread_cond_broadcast(&r->answered);
	pthread_mutex_unlock(&r->lock);
}

static bool questions_wait(struct resolver *r)
{
	for (unsigned w = 0; w < r->n_askers; w++)
		if (!ring_is_empty(r->questions[w]))
			return true;
	return false;
}

/* Until a socket, an asker or a deadline wants something. */
static unsigned sleep_ms(struct resolver *r)
{
	uint64_t next = ask_next_deadline(r->deadlines);
	uint64_t ms = IDLE_MS;

	if (r->n_lookups > 0)
		ms = POLL_MS;
	for (unsigned i = 0; i < r->settings.dns.n_lists; i++)
		for (unsigned f = 0; f < 2; f++)
			if (r->settings.dns.lists[i].families & (1u << f) &&
			    r->lists[i].family[f].next_probe_ns < next)
				next = r->lists[i].family[f].next_probe_ns;
	if (next <= r->now_ns)
		return 0;
	if ((next - r->now_ns) / 1000000 + 1 < ms)
		ms = (next - r->now_ns) / 1000000 + 1;
	return (unsigned)ms;
}

static void *run(void *arg)
{
	struct resolver *r = arg;
	uint64_t next_timeouts_ns = 0;

	r->now_ns = r->config.now_ns();
	channels_fill(r);
	while (!atomic_load(&r->stop)) {
		bool more;

		take_orders(r);
		more = take_questions(r);
		jobs_due(r);
		if (r->now_ns >= r->next_tick_ns) {
			r->next_tick_ns = r->now_ns + TICK_NS;
			recursors_tick(r);
			lists_tick(r);
		}
		wake_askers(r);
		if (atomic_exchange(&r->want_report, false))
			report(r);
		/* `asleep` is seen before the rings are looked at: see resolver_ask() */
		atomic_store_explicit(&r->asleep, true, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		channels_serve(r, more || questions_wait(r) ? 0 : sleep_ms(r));
		atomic_store_explicit(&r->asleep, false, memory_order_relaxed);
		if (r->now_ns >= next_timeouts_ns) {
			next_timeouts_ns = r->now_ns + POLL_MS * 1000000ull;
			channels_timeouts(r);
		}
		channels_reap(r);
	}
	return NULL;
}

/* ---- from other threads ---- */

static void wake(struct resolver *r)
{
	const uint64_t one = 1;

	/* the asker's ring is filled before `asleep` is read */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->asleep, memory_order_relaxed) &&
	    write(r->wake_fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: it is to wake already */
}

unsigned resolver_ask(
    struct resolver *r, unsigned worker, const struct question *questions, unsigned n)
{
	n = ring_put(r->questions[worker], questions, n);
	if (n)
		wake(r);
	return n;
}

unsigned resolver_answers(
    struct resolver *r, unsigned worker, struct answer *ret_answers, unsigned capacity)
{
	return ring_take(r->answers[worker], ret_answers, capacity);
}

bool resolver_has_answers(struct resolver *r, unsigned worker)
{
	return !ring_is_empty(r->answers[worker]);
}

void resolver_feedback(struct resolver *r, uint32_t version, uint32_t lists, bool accepted)
{
	if (version != atomic_load(&r->version))
		return;
	for (unsigned i = 0; i < POLICY_MAX_DNS_LISTS; i++) {
		if (!(lists >> i & 1))
			continue;
		if (accepted)
			atomic_fetch_add(&r->feedback[i][1], 1);
		atomic_fetch_add(&r->feedback[i][0], 1);
	}
}

void resolver_flush(struct resolver *r)
{
	atomic_store(&r->flush, true);
	wake(r);
}

void resolver_resume(struct resolver *r, const char *list)
{
	pthread_mutex_lock(&r->lock);
	for (unsigned i = 0; i < r->report.n_lists; i++)
		if (!list || strcmp(r->report.lists[i].name, list) == 0)
			atomic_fetch_or(&r->resume, 1u << i);
	pthread_mutex_unlock(&r->lock);
	wake(r);
}

static struct timespec from_now(unsigned ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000l;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

void resolver_report(struct resolver *r, struct resolver_report *ret_report)
{
	struct timespec until = from_now(REPORT_MS);
	uint64_t before;

	pthread_mutex_lock(&r->lock);
	before = r->reports;
	atomic_store(&r->want_report, true);
	wake(r);
	while (r->reports == before && pthread_cond_timedwait(&r->answered, &r->lock, &until) == 0)
		;
	*ret_report = r->report;
	pthread_mutex_unlock(&r->lock);
}

int resolver_query(
    struct resolver *r, struct question *question, unsigned wait_ms, struct answer *ret_answer)
{
	unsigned self = r->n_askers - 1;
	struct timespec until;
	bool got = false;

	pthread_mutex_lock(&r->lock);
	while (ring_take(r->answers[self], ret_answer, 1))
		; /* of an earlier question, late */
	question->id = ++r->control_id;
	question->deadline_ns = r->config.now_ns() + wait_ms * 1000000ull;
	pthread_mutex_unlock(&r->lock);
	if (resolver_ask(r, self, question, 1) == 0)
		return -ENOBUFS;
	until = from_now(wait_ms + QUERY_GRACE_MS);
	pthread_mutex_lock(&r->lock);
	while (!got) {
		while (!got && ring_take(r->answers[self], ret_answer, 1))
			got = ret_answer->id == question->id && !ret_answer->more;
		if (!got && pthread_cond_timedwait(&r->answered, &r->lock, &until) != 0)
			break;
	}
	pthread_mutex_unlock(&r->lock);
	return got ? 0 : -ETIMEDOUT;
}

/* ---- life ---- */

static int prepare(struct resolver *r, const struct resolver_settings *settings)
{
	pthread_condattr_t attr;
	struct epoll_event event = { .events = EPOLLIN };

	r->settings = *settings;
	atomic_store(&r->version, settings->dns.version);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->answered, &attr);
	pthread_condattr_destroy(&attr);
	for (unsigned i = 0; i < settings->dns.n_recursors; i++)
		r->recursors[i].up = true;
	for (unsigned i = 0; i < r->n_askers; i++) {
		r->questions[i] = ring_new(sizeof(struct question), RESOLVER_RING);
		r->answers[i] = ring_new(sizeof(struct answer), RESOLVER_ANSWERS);
		if (!r->questions[i] || !r->answers[i])
			return -ENOMEM;
	}
	if (getrandom(r->hash_key, sizeof(r->hash_key), 0) != sizeof(r->hash_key))
		return -EIO;
	r->lookups = calloc(RESOLVER_LOOKUPS, sizeof(*r->lookups));
	r->waits = calloc(RESOLVER_WAITS, sizeof(*r->waits));
	if (!r->lookups || !r->waits || jobs_init(r) != 0)
		return -ENOMEM;
	lookups_init(r);
	if (dnscache_new(cache_bytes(settings), r->hash_key, &r->cache) != 0)
		return -ENOMEM;
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->epoll_fd < 0 || r->wake_fd < 0 ||
	    epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->wake_fd, &event) != 0)
		return -errno;
	return 0;
}

int resolver_new(const struct resolver_config *config, const struct resolver_settings *settings,
    struct resolver **ret_resolver, char **ret_error)
{
	struct resolver *r;
	int rc;

	if (config->n_workers == 0 || config->n_workers > RESOLVER_MAX_WORKERS)
		return fail(
		    ret_error, EINVAL, "the resolver serves 1 to %u workers", RESOLVER_MAX_WORKERS);
	if (channels_library(true) != 0)
		return fail(ret_error, EIO, "c-ares cannot be set up");
	r = aligned_alloc(64, (sizeof(*r) + 63) / 64 * 64);
	if (!r) {
		channels_library(false);
		return fail(ret_error, ENOMEM, "no memory for the resolver");
	}
	memset(r, 0, sizeof(*r));
	r->config = *config;
	r->n_askers = config->n_workers + 1;
	r->epoll_fd = r->wake_fd = -1;
	rc = prepare(r, settings);
	if (rc == 0) {
		report(r);
		rc = -pthread_create(&r->thread, NULL, run, r);
		r->thread_runs = rc == 0;
	}
	if (rc) {
		resolver_free(r);
		return fail(ret_error, -rc, "the resolver cannot be started: %s", strerror(-rc));
	}
	pthread_setname_np(r->thread, "resolver");
	*ret_resolver = r;
	return 0;
}

struct resolver *resolver_free(struct resolver *r)
{
	const uint64_t one = 1;

	if (!r)
		return NULL;
	atomic_store(&r->stop, true);
	if (r->thread_runs && write(r->wake_fd, &one, sizeof(one)) >= 0)
		pthread_join(r->thread, NULL);
	r->stopping = true;
	channels_fini(r);
	jobs_fini(r);
	dnscache_free(r->cache);
	free(r->waits);
	free(r->lookups);
	for (unsigned i = 0; i < r->n_askers; i++) {
		free(r->questions[i]);
		free(r->answers[i]);
	}
	free(r->next_settings);
	if (r->epoll_fd >= 0)
		close(r->epoll_fd);
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->answered);
	free(r);
	channels_library(false);
	return NULL;
}
