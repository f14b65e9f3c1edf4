/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools and servers of one worker; see backend.h. */
#include "backend.h"
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SERVER_SLOTS = 2 * POLICY_MAX_SERVERS, CHECK_INTERVAL_MIN_MS = 100 };

struct backends {
	unsigned n_pools, n_servers;
	uint64_t digest; /* of what the policy says of pools and servers */
	uint64_t next_check_ns;
	unsigned turn; /* where the next choice starts among equals */
	bool words_stale;
	bool undrained; /* since the last turn */
	bool serving;   /* serve_waiters() is at work */
	struct smtp_words words;
	struct backend_pool pools[POLICY_MAX_POOLS];
	struct server *by_index[POLICY_MAX_SERVERS]; /* NULL: no slot was free */
	struct server slots[SERVER_SLOTS];
};

int backends_new(struct worker *w, struct backends **ret_backends)
{
	struct backends *b = calloc(1, sizeof(*b));

	(void)w;
	if (!b)
		return -ENOMEM;
	for (unsigned i = 0; i < SERVER_SLOTS; i++)
		TAILQ_INIT(&b->slots[i].idle_list);
	for (unsigned i = 0; i < POLICY_MAX_POOLS; i++)
		TAILQ_INIT(&b->pools[i].waiters);
	b->words_stale = true;
	*ret_backends = b;
	return 0;
}

struct backends *backends_free(struct backends *b)
{
	free(b);
	return NULL;
}

static uint64_t name_id(const char *name)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ull;
	return h;
}

const struct backend_pool *backend_pool(const struct worker *w, unsigned index)
{
	return index < w->backends->n_pools ? &w->backends->pools[index] : NULL;
}

/* ---- a new policy ---- */

static struct server *slot_find(struct backends *b, const struct policy_server *ps)
{
	struct server *unused = NULL;

	for (unsigned i = 0; i < SERVER_SLOTS; i++) {
		struct server *s = &b->slots[i];

		if (!s->in_use) {
			if (!unused)
				unused = s;
		} else if (s->index == BACKEND_NONE && s->port == ps->port &&
			   memcmp(s->addr, ps->addr, sizeof(s->addr)) == 0) {
			return s;
		}
	}
	if (unused) {
		*unused = (struct server){ .in_use = true, .port = ps->port };
		TAILQ_INIT(&unused->idle_list);
		memcpy(unused->addr, ps->addr, sizeof(unused->addr));
	}
	return unused;
}

static void slot_sweep(struct server *s)
{
	if (s->in_use && s->index == BACKEND_NONE && s->active == 0 && !s->check)
		s->in_use = false;
}

static void update_pools(struct worker *w, uint16_t map[POLICY_MAX_POOLS])
{
	struct backends *b = w->backends;
	unsigned n = w->set->n_pools, n_old = b->n_pools;
	uint64_t old_ids[POLICY_MAX_POOLS];
	struct relay_queue old[POLICY_MAX_POOLS];
	uint32_t waiting[POLICY_MAX_POOLS];
	struct relay *r;

	for (unsigned i = 0; i < n_old; i++) {
		TAILQ_INIT(&old[i]);
		TAILQ_CONCAT(&old[i], &b->pools[i].waiters, queue);
		old_ids[i] = b->pools[i].id;
		waiting[i] = b->pools[i].n_waiting;
		map[i] = BACKEND_NONE;
	}
	for (unsigned i = 0; i < n; i++) {
		const struct policy_pool *pp = policy_pool(w->policy, i);
		struct backend_pool *p = &b->pools[i];

		*p = (struct backend_pool){
			.id = name_id(policy_string(w->policy, pp->name)),
			.index = (uint16_t)i,
			.first = (uint16_t)pp->first_server,
			.n = (uint16_t)pp->n_servers,
			.fallback = pp->fallback_pool,
			.hello = pp->hello,
			.max_waiting = pp->max_waiting,
			.wait_timeout_ms = pp->wait_timeout_ms,
			.connect_timeout_ms = pp->connect_timeout_ms,
			.reply_timeout_ms = pp->reply_timeout_ms,
			.final_timeout_ms = pp->final_timeout_ms,
			.check_interval_ms = pp->check_interval_ms,
		};
		TAILQ_INIT(&p->waiters);
		for (unsigned k = 0; k < n_old; k++) {
			if (old_ids[k] != p->id || map[k] != BACKEND_NONE)
				continue;
			map[k] = (uint16_t)i;
			TAILQ_CONCAT(&p->waiters, &old[k], queue);
			p->n_waiting = waiting[k];
		}
	}
	b->n_pools = n;
	for (unsigned k = 0; k < n_old; k++) {
		while ((r = TAILQ_FIRST(&old[k]))) {
			TAILQ_REMOVE(&old[k], r, queue);
			r->waiting = false;
			relay_wait_failed(w, r);
		}
	}
}

static void serve_waiters(struct worker *w, struct backend_pool *p);

/* All workers' shares add up to the limit exactly. What does not divide goes to workers in turn,
 * from server to server another one first, so that small limits do not all fall to the same. */
static uint32_t share_of(const struct worker *w, uint32_t limit, unsigned server)
{
	uint32_t n = w->config.n_workers ? w->config.n_workers : 1;
	uint32_t place = (w->config.index + n - server % n) % n;

	return limit / n + (place < limit % n ? 1 : 0);
}

/* A pool of which this worker would have no connection at all gives it one beyond the limit: the
 * alternative is a share of the clients that never gets through. */
static void share_at_least_one(struct worker *w, const struct backend_pool *p)
{
	struct server *any = NULL;

	for (unsigned k = 0; k < p->n; k++) {
		struct server *s = w->backends->by_index[p->first + k];

		if (!s)
			continue;
		if (s->share > 0)
			return;
		if (!any || k == w->config.index % p->n)
			any = s;
	}
	if (any)
		any->share = 1;
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* What the policy says of pools and servers, and our share; names of servers are for people. */
static uint64_t digest(const struct worker *w)
{
	uint64_t h = mix(w->set->n_pools, w->set->n_servers), words[2];

	h = mix(
	    h, (uint64_t)w->config.n_workers << 32 | w->config.index); /* whose shares these are */
	for (unsigned i = 0; i < w->set->n_pools; i++) {
		const struct policy_pool *p = policy_pool(w->policy, i);

		h = mix(h, name_id(policy_string(w->policy, p->name)));
		h = mix(h, (uint64_t)p->first_server << 32 | p->n_servers);
		h = mix(h, (uint64_t)p->max_waiting << 32 | p->wait_timeout_ms);
		h = mix(h, (uint64_t)p->connect_timeout_ms << 32 | p->reply_timeout_ms);
		h = mix(h, (uint64_t)p->final_timeout_ms << 32 | p->check_interval_ms);
		h = mix(h, (uint64_t)p->hello << 32 | p->fallback_pool);
	}
	for (unsigned i = 0; i < w->set->n_servers; i++) {
		const struct policy_server *s = policy_server(w->policy, i);

		memcpy(words, s->addr, sizeof(words));
		h = mix(mix(h, words[0]), words[1]);
		h = mix(h, (uint64_t)s->port << 48 | (uint64_t)s->weight << 32 | s->max_connections);
	}
	return h;
}

/* Most changes are of lists, rules and patterns: pools and servers that have not changed cost no walk
 * over the relays, 10,000 of which would make a turn of milliseconds, and no check of every server. */
void backends_update(struct worker *w)
{
	struct backends *b = w->backends;
	uint16_t map[POLICY_MAX_POOLS];
	uint64_t now = digest(w);
	struct relay *r;

	if (now == b->digest)
		return;
	b->digest = now;
	update_pools(w, map);
	LIST_FOREACH(r, &w->all_relays, all)
	{
		r->pool = r->pool == BACKEND_NONE ? BACKEND_NONE : map[r->pool];
		r->wanted_pool = r->wanted_pool == BACKEND_NONE ? BACKEND_NONE : map[r->wanted_pool];
	}
	for (unsigned i = 0; i < SERVER_SLOTS; i++)
		b->slots[i].index = b->slots[i].pool = BACKEND_NONE;
	b->n_servers = w->set->n_servers;
	for (unsigned i = 0; i < b->n_servers; i++) {
		const struct policy_server *ps = policy_server(w->policy, i);
		struct server *s = slot_find(b, ps);

		b->by_index[i] = s;
		if (!s)
			continue;
		s->index = (uint16_t)i;
		s->weight = ps->weight ? ps->weight : 1;
		s->share = share_of(w, ps->max_connections, i);
		s->next_check_ns = w->now_ns;
	}
	for (unsigned i = 0; i < b->n_pools; i++) {
		for (unsigned k = 0; k < b->pools[i].n; k++) {
			struct server *s = b->by_index[b->pools[i].first + k];

			if (s)
				s->pool = (uint16_t)i;
		}
		share_at_least_one(w, &b->pools[i]);
	}
	for (unsigned i = 0; i < SERVER_SLOTS; i++)
		slot_sweep(&b->slots[i]);
	b->next_check_ns = w->now_ns;
	b->words_stale = true;
	relays_update(w);
	for (unsigned i = 0; i < b->n_pools; i++) /* there may be more servers, or higher limits */
		serve_waiters(w, &b->pools[i]);
}

/* ---- health ---- */

void backends_turn(struct worker *w)
{
	struct backends *b = w->backends;
	uint64_t next = UINT64_MAX;

	if (w->draining || w->now_ns < b->next_check_ns)
		return;
	for (unsigned i = 0; i < b->n_pools && b->undrained; i++)
		serve_waiters(w, &b->pools[i]);
	b->undrained = false;
	for (unsigned i = 0; i < b->n_servers; i++) {
		struct server *s = b->by_index[i];
		const struct backend_pool *p = s ? backend_pool(w, s->pool) : NULL;
		uint32_t interval;

		if (!p)
			continue;
		interval = p->check_interval_ms;
		if (interval < CHECK_INTERVAL_MIN_MS)
			interval = CHECK_INTERVAL_MIN_MS;
		if (s->next_check_ns <= w->now_ns) {
			s->next_check_ns = w->now_ns + (uint64_t)interval * 1000000u;
			if (!s->check)
				s->check = relay_check(w, s);
		}
		if (s->next_check_ns < next)
			next = s->next_check_ns;
	}
	b->next_check_ns = next;
}

uint64_t backends_next_deadline(const struct worker *w)
{
	return w->draining ? UINT64_MAX : w->backends->next_check_ns;
}

static void tell(struct worker *w, const struct server *s, enum event_kind kind)
{
	struct event *e = event_new(w, kind);

	if (e)
		e->server = s->index;
}

void backend_failed(struct worker *w, struct server *s)
{
	s->failures++;
	brain_count(w, BRAIN_backend_failures);
	if (s->state != SERVER_DOWN && s->index != BACKEND_NONE)
		tell(w, s, EVENT_BACKEND_DOWN);
	s->state = SERVER_DOWN;
	w->backends->words_stale = true;
}

void backend_learned(struct worker *w, struct server *s, const struct smtp_words *words)
{
	bool was_up = s->state == SERVER_UP;

	s->words = *words;
	s->words_known = true;
	s->state = SERVER_UP;
	w->backends->words_stale = true;
	if (was_up || s->index == BACKEND_NONE)
		return;
	tell(w, s, EVENT_BACKEND_UP);
	if (s->pool != BACKEND_NONE)
		serve_waiters(w, &w->backends->pools[s->pool]);
}

void backend_answered(struct worker *w, struct server *s)
{
	if (s->state != SERVER_UNKNOWN)
		return;
	s->state = SERVER_UP;
	if (s->index != BACKEND_NONE)
		tell(w, s, EVENT_BACKEND_UP);
}

void backend_checked(struct worker *w, struct server *s)
{
	(void)w;
	s->check = NULL;
	slot_sweep(s);
}

void backends_drain_server(struct worker *w, unsigned index, bool drain)
{
	struct backends *b = w->backends;
	struct server *s = index < b->n_servers ? b->by_index[index] : NULL;

	if (!s || s->drained == drain)
		return;
	s->drained = drain;
	b->words_stale = true;
	if (!drain) {
		b->undrained = true; /* waiters: in the next turn, which is wanted at once */
		b->next_check_ns = w->now_ns;
	}
}

struct smtp_words backends_words(const struct worker *w)
{
	struct backends *b = w->backends;
	struct smtp_words all = { .words = UINT32_MAX };
	bool any = false;

	if (!b->words_stale)
		return b->words;
	for (unsigned i = 0; i < b->n_servers; i++) {
		const struct server *s = b->by_index[i];

		/* One that was never reached cannot serve before a check taught us its words. */
		if (!s || s->pool == BACKEND_NONE || (s->state == SERVER_DOWN && !s->words_known))
			continue;
		any = true;
		all.words &= s->words_known ? s->words.words : 0;
		if (s->words_known && s->words.size && (!all.size || s->words.size < all.size))
			all.size = s->words.size;
	}
	if (!any)
		all.words = 0;
	b->words = all;
	b->words_stale = false;
	return all;
}

/* ---- choice and limits ---- */

enum backend_pick backend_choose(
    struct worker *w, unsigned pool, uint64_t avoid, struct server **ret_server)
{
	struct backends *b = w->backends;
	const struct backend_pool *p = backend_pool(w, pool);
	struct server *best = NULL;
	bool busy = false;
	unsigned best_state = SERVER_UNKNOWN, start;

	if (!p || p->n == 0)
		return BACKEND_NOBODY;
	if (++b->turn >= p->n)
		b->turn = 0;
	start = b->turn;
	for (unsigned k = 0; k < p->n; k++) {
		unsigned at = start + k < p->n ? start + k : start + k - p->n;
		struct server *s = b->by_index[p->first + at];
		uint32_t used;

		if (!s || s->drained || s->state == SERVER_DOWN)
			continue;
		if (at < 64 && (avoid & (1ull << at)))
			continue;
		if (s->active >= s->share && s->idle == 0) {
			busy =
			    busy || s->share > 0; /* without a share it is not worth waiting for */
			continue;
		}
		used = s->active - s->idle;
		if (best) {
			uint32_t best_used = best->active - best->idle;

			if (best_state == SERVER_UP && s->state != SERVER_UP)
				continue;
			if (best_state == s->state &&
			    (uint64_t)used * best->weight >= (uint64_t)best_used * s->weight)
				continue;
		}
		best = s;
		best_state = s->state;
	}
	if (!best)
		return busy ? BACKEND_BUSY : BACKEND_NOBODY;
	*ret_server = best;
	return BACKEND_PICKED;
}

static void serve_pool(struct worker *w, struct backend_pool *p)
{
	struct relay *r;
	struct server *s;

	while ((r = TAILQ_FIRST(&p->waiters)) &&
	       backend_choose(w, p->index, r->avoid, &s) == BACKEND_PICKED) {
		backend_wait_cancel(w, r);
		relay_start(w, r, s);
	}
}

/* A relay that cannot be started gives its server back and so comes here again: noted, not entered,
 * lest a long queue become a deep stack. */
static void serve_waiters(struct worker *w, struct backend_pool *p)
{
	struct backends *b = w->backends;
	bool again = true;

	p->owed = true;
	if (b->serving)
		return;
	b->serving = true;
	while (again) {
		again = false;
		for (unsigned i = 0; i < b->n_pools; i++) {
			if (!b->pools[i].owed)
				continue;
			b->pools[i].owed = false;
			serve_pool(w, &b->pools[i]);
			again = true;
		}
	}
	b->serving = false;
}

void backend_take(struct worker *w, struct server *s)
{
	(void)w;
	s->active++;
	s->connects++;
}

void backend_release(struct worker *w, struct server *s)
{
	s->active--;
	if (s->pool != BACKEND_NONE)
		serve_waiters(w, &w->backends->pools[s->pool]);
	slot_sweep(s);
}

int backend_wait(struct worker *w, unsigned pool, struct relay *r)
{
	struct backend_pool *p = &w->backends->pools[pool];

	if (p->n_waiting >= p->max_waiting)
		return -ENOBUFS;
	TAILQ_INSERT_TAIL(&p->waiters, r, queue);
	p->n_waiting++;
	r->waiting = true;
	return 0;
}

void backend_wait_cancel(struct worker *w, struct relay *r)
{
	struct backend_pool *p;

	if (!r->waiting)
		return;
	p = &w->backends->pools[r->pool];
	TAILQ_REMOVE(&p->waiters, r, queue);
	p->n_waiting--;
	r->waiting = false;
}

void backend_idle_add(struct worker *w, struct server *s, struct relay *r)
{
	TAILQ_INSERT_HEAD(&s->idle_list, r, queue);
	s->idle++;
	if (s->pool != BACKEND_NONE)
		serve_waiters(w, &w->backends->pools[s->pool]);
}

void backend_idle_remove(struct server *s, struct relay *r)
{
	TAILQ_REMOVE(&s->idle_list, r, queue);
	s->idle--;
}

/* ---- addresses and statistics ---- */

static bool prefix_covers(const struct stack_ip *a, const uint8_t dst[16])
{
	unsigned bits = a->prefix_len + (ip_addr_is_v4(&a->addr) ? 96u : 0u), bytes = bits / 8;
	uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));

	if (memcmp(a->addr.b, dst, bytes) != 0)
		return false;
	return bytes == 16 || ((a->addr.b[bytes] ^ dst[bytes]) & mask) == 0;
}

static bool is_link_local(const struct ip_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool backend_source(const struct worker *w, const uint8_t dst[16], struct ip_addr *ret_src)
{
	const struct stack_config *c = &w->config.stack;
	struct ip_addr to = ip_addr_from_v6(dst);
	int best = -1, best_rank = -1;

	for (unsigned i = 0; i < c->n_addrs; i++) {
		const struct stack_ip *a = &c->addrs[i];
		int rank;

		if (ip_addr_is_v4(&a->addr) != ip_addr_is_v4(&to))
			continue;
		if (is_link_local(&a->addr) && !is_link_local(&to))
			continue;
		rank = (a->reserved_for_connect ? 2 : 0) + (prefix_covers(a, dst) ? 1 : 0);
		if (rank > best_rank) {
			best = (int)i;
			best_rank = rank;
		}
	}
	if (best < 0)
		return false;
	*ret_src = c->addrs[best].addr;
	return true;
}

void backends_stats(struct worker *w)
{
	struct backends *b = w->backends;

	for (unsigned i = 0; i < b->n_servers; i++) {
		const struct server *s = b->by_index[i];
		struct stats_server *o = &w->stats->servers[i];

		if (!s) {
			*o = (struct stats_server){ .state = SERVER_UNKNOWN };
			continue;
		}
		o->state = s->drained ? SERVER_DRAINED : s->state;
		o->active = s->active - s->idle;
		o->idle = s->idle;
		o->waiting = s->pool == BACKEND_NONE ? 0 : b->pools[s->pool].n_waiting;
		o->connects = s->connects;
		o->failures = s->failures;
		o->messages = s->messages;
	}
}
