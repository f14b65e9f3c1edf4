/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Channels, recursors and look-ups: what of the resolver speaks to c-ares.
 *
 * A channel speaks to one recursor and c-ares tries once in it: which recursor is asked next, and
 * which is well, is decided here, where the answers of all channels are seen. A recursor silent
 * three times in a row is asked for `localhost`, which it answers out of itself; only silence to that
 * makes it `down`, since slow lists must not cost us the recursor that waits for them.
 */
#include "resolver.h"
#include "resolver_private.h"

#include "filters/address_form.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	LIVE_CHANNELS = 16, /* over all recursors, at least MIN_CHANNELS each */
	MIN_CHANNELS = 4,
	EVENTS = 64,
	SUSPICIOUS = 3, /* silences in a row */
	EDNS_BYTES = 1232,
	FIRST_HOLD_MS = 1000,
	LAST_HOLD_MS = 30000,
};

/* ---- channels ---- */

struct channel {
	struct resolver *r;
	ares_channel ares;
	unsigned index, recursor;
	unsigned asked, open;
	bool retiring;
};

static void on_socket(void *data, ares_socket_t fd, int readable, int writable)
{
	struct channel *c = data;
	struct epoll_event event = { .events =
					 (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u),
		.data.u64 = (uint64_t)(c->index + 1) << 32 | (uint32_t)fd };

	if (!readable && !writable) {
		epoll_ctl(c->r->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return;
	}
	if (epoll_ctl(c->r->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)
		epoll_ctl(c->r->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int channel_servers(ares_channel ares, const struct policy_recursor *recursor)
{
	struct ares_addr_port_node node = { .udp_port = recursor->port, .tcp_port = recursor->port };

	if (address_is_v4(recursor->addr)) {
		node.family = AF_INET;
		memcpy(&node.addr.addr4, recursor->addr + 12, 4);
	} else {
		node.family = AF_INET6;
		memcpy(&node.addr.addr6, recursor->addr, 16);
	}
	return ares_set_servers_ports(ares, &node);
}

/* Into a free place; NULL: none, or no memory. */
static struct channel *channel_new(struct resolver *r, unsigned recursor)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP |
			 ARES_FLAG_EDNS,
		.timeout = (int)r->settings.dns.attempt_ms,
		.tries = 1,
		.ndots = 0,
		.ednspsz = EDNS_BYTES,
		.lookups = (char[]){ "b" },
		.sock_state_cb = on_socket,
	};
	struct channel *c;
	unsigned index = 0;

	while (index < CHANNELS_MAX && r->channels[index])
		index++;
	if (index == CHANNELS_MAX)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->r = r;
	c->index = index;
	c->recursor = recursor;
	options.sock_state_cb_data = c;
	if (ares_init_options(&c->ares, &options,
		ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
		    ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS |
		    ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
		free(c);
		return NULL;
	}
	if (channel_servers(c->ares, &r->settings.dns.recursors[recursor]) != ARES_SUCCESS) {
		ares_destroy(c->ares);
		free(c);
		return NULL;
	}
	r->channels[index] = c;
	r->channels_made++;
	return c;
}

static void channel_free(struct resolver *r, struct channel *c)
{
	r->channels[c->index] = NULL;
	ares_destroy(c->ares);
	free(c);
}

/* Never within a callback of c-ares. */
void channels_reap(struct resolver *r)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (r->channels[i] && r->channels[i]->retiring && r->channels[i]->open == 0)
			channel_free(r, r->channels[i]);
}

static unsigned channels_of_each(const struct resolver *r)
{
	unsigned n = LIVE_CHANNELS / r->settings.dns.n_recursors;

	return n < MIN_CHANNELS ? MIN_CHANNELS : n;
}

void channels_fill(struct resolver *r)
{
	for (unsigned recursor = 0; recursor < r->settings.dns.n_recursors; recursor++) {
		unsigned n = 0;

		for (unsigned i = 0; i < CHANNELS_MAX; i++)
			n += r->channels[i] && !r->channels[i]->retiring &&
			     r->channels[i]->recursor == recursor;
		while (n < channels_of_each(r) && channel_new(r, recursor))
			n++;
	}
}

/* The next channel of a recursor, in turn; one that has asked enough is replaced. Where no place is
 * left for a new one (the old ones wait for their last answers) it goes on for the time being. */
static struct channel *channel_for(struct resolver *r, unsigned recursor)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++) {
		struct channel *c = r->channels[r->next_channel++ % CHANNELS_MAX], *fresh;

		if (!c || c->retiring || c->recursor != recursor)
			continue;
		if (c->asked < RESOLVER_CHANNEL_QUESTIONS)
			return c;
		fresh = channel_new(r, recursor);
		if (!fresh)
			return c;
		c->retiring = true;
		return fresh;
	}
	return channel_new(r, recursor);
}

/* ---- recursors ---- */

static void recursor_text(const struct policy_recursor *recursor, char ret[80])
{
	char addr[INET6_ADDRSTRLEN];

	if (address_is_v4(recursor->addr))
		inet_ntop(AF_INET, recursor->addr + 12, addr, sizeof(addr));
	else
		inet_ntop(AF_INET6, recursor->addr, addr, sizeof(addr));
	snprintf(ret, 80, "%s port %u", addr, recursor->port);
}

static void lookup_ask(struct resolver *r, struct lookup *l, unsigned recursor);
static struct lookup *lookup_take(struct resolver *r);
static void lookup_drop(struct resolver *r, struct lookup *l);

bool recursors_up(const struct resolver *r)
{
	for (unsigned i = 0; i < r->settings.dns.n_recursors; i++)
		if (r->recursors[i].up)
			return true;
	return false;
}

/* The first that is up and was not tried for this name; else the first that is up; -1: all are
 * down. So the second is asked only where the first fails, and its cache is not asked in vain. */
static int recursor_for(const struct resolver *r, unsigned tried)
{
	int any = -1;

	for (unsigned i = 0; i < r->settings.dns.n_recursors; i++) {
		if (!r->recursors[i].up)
			continue;
		if (!(tried >> i & 1))
			return (int)i;
		if (any < 0)
			any = (int)i;
	}
	return any;
}

static void recursor_test(struct resolver *r, unsigned recursor)
{
	struct lookup *l;

	if (r->recursors[recursor].testing)
		return;
	l = lookup_take(r);
	if (!l)
		return;
	l->test = true;
	l->type = DNS_A;
	memcpy(l->name, "localhost", sizeof("localhost"));
	r->recursors[recursor].testing = true;
	lookup_ask(r, l, recursor);
	if (l->ended_at_once) {
		r->recursors[recursor].testing = false;
		lookup_drop(r, l);
	}
}

static void recursor_state(struct resolver *r, unsigned i, bool up)
{
	struct recursor *to = &r->recursors[i];
	char text[80];

	recursor_text(&r->settings.dns.recursors[i], text);
	if (up) {
		if (!to->up)
			resolver_tell(r, "dns-recursor-up", "%s", text);
		to->hold_ns = 0;
	} else {
		if (to->up)
			resolver_tell(r, "dns-recursor-down", "%s does not answer", text);
		to->hold_ns = to->hold_ns ? to->hold_ns * 2 : FIRST_HOLD_MS * 1000000ull;
		if (to->hold_ns > LAST_HOLD_MS * 1000000ull)
			to->hold_ns = LAST_HOLD_MS * 1000000ull;
		to->next_test_ns = r->now_ns + to->hold_ns;
	}
	to->up = up;
	to->silent_row = 0;
}

static void recursor_heard(struct resolver *r, unsigned i, bool answered)
{
	struct recursor *to = &r->recursors[i];

	if (answered) {
		to->answered++;
		to->silent_row = 0;
		if (!to->up)
			recursor_state(r, i, true);
		return;
	}
	to->timeouts++;
	if (to->up && ++to->silent_row >= SUSPICIOUS)
		recursor_test(r, i);
}

void recursors_tick(struct resolver *r)
{
	for (unsigned i = 0; i < r->settings.dns.n_recursors; i++)
		if (!r->recursors[i].up && r->now_ns >= r->recursors[i].next_test_ns)
			recursor_test(r, i);
}

/* ---- look-ups ---- */

static struct lookup *lookup_take(struct resolver *r)
{
	struct lookup *l = r->free_lookups;

	if (l) {
		r->free_lookups = l->next;
		memset(l, 0, offsetof(struct lookup, name));
		r->n_lookups++;
	}
	return l;
}

static void lookup_drop(struct resolver *r, struct lookup *l)
{
	l->next = r->free_lookups;
	r->free_lookups = l;
	r->n_lookups--;
}

static uint32_t bucket_of(const char *name, unsigned type, const uint8_t key[16])
{
	uint64_t h = type, k;

	memcpy(&k, key, 8);
	h ^= k;
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x9e3779b97f4a7c15ull, h ^= h >> 29;
	return (uint32_t)(h % LOOKUP_BUCKETS);
}

static struct lookup *lookup_find(
    struct resolver *r, uint32_t bucket, const char *name, unsigned type)
{
	struct lookup *l = r->buckets[bucket];

	while (l && (l->type != type || strcmp(l->name, name) != 0))
		l = l->next;
	return l;
}

static void lookup_unlink(struct resolver *r, struct lookup *l)
{
	struct lookup **link = &r->buckets[l->bucket];

	while (*link != l)
		link = &(*link)->next;
	*link = l->next;
}

static void unwait(struct resolver *r, struct wait *w)
{
	w->next_of_lookup = r->free_waits;
	r->free_waits = w;
}

void lookup_forget(struct resolver *r, struct job *job)
{
	(void)r;
	for (struct wait *w = job->waits; w; w = w->next_of_job)
		w->job = NULL;
	job->waits = NULL;
	job->pending = 0;
}

static uint32_t kept_for(const struct resolver *r, const struct dns_answer *answer)
{
	uint32_t most = answer->status == DNS_OK ? r->settings.dns.max_ttl_s
						 : r->settings.dns.max_negative_ttl_s;

	if (answer->status == DNS_FAILED || answer->status == DNS_TIMEOUT)
		return 0;
	return answer->ttl_s < most ? answer->ttl_s : most;
}

/* Hands the answer to all that wait. */
static void lookup_end(struct resolver *r, struct lookup *l, const struct dns_answer *answer)
{
	struct wait *w = l->waits, *next;

	dnscache_put(
	    r->cache, l->name, l->type, answer, kept_for(r, answer), r->now_ns / 1000000000);
	lookup_unlink(r, l);
	for (; w; w = next) {
		struct job *job = w->job;
		unsigned tag = w->tag;

		next = w->next_of_lookup;
		if (job) {
			struct wait **link = &job->waits;

			while (*link != w)
				link = &(*link)->next_of_job;
			*link = w->next_of_job;
		}
		unwait(r, w);
		if (!job)
			continue;
		job->pending--;
		job_step(r, job, l->name, tag, answer);
	}
	lookup_drop(r, l);
}

static bool anybody_waits(const struct lookup *l)
{
	for (const struct wait *w = l->waits; w; w = w->next_of_lookup)
		if (w->job)
			return true;
	return false;
}

static void test_over(struct resolver *r, struct lookup *l, bool answered)
{
	r->recursors[l->recursor].testing = false;
	recursor_state(r, l->recursor, answered);
	lookup_drop(r, l);
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct lookup *l = arg;
	struct resolver *r = l->channel->r;
	struct dns_answer answer = { .status = DNS_TIMEOUT };
	bool answered = msg && len > 0, refused;
	int next;

	(void)timeouts, (void)status;
	l->channel->open--;
	if (r->stopping)
		return;
	if (answered && dnsmsg_read(msg, (size_t)len, l->name, l->type, &answer) != 0)
		answer = (struct dns_answer){ .status = DNS_FAILED };
	/* REFUSED by a recursor means that we may not ask it at all */
	refused = answered && len > 3 && (msg[3] & 15) == 5;
	if (l->starting) {
		l->ended_at_once = true;
		return;
	}
	if (l->test)
		return test_over(r, l, answered && !refused);
	recursor_heard(r, l->recursor, answered && !refused);
	if ((answer.status == DNS_TIMEOUT || answer.status == DNS_FAILED) && anybody_waits(l) &&
	    l->attempts < r->settings.dns.attempts) {
		next = recursor_for(r, l->tried);
		/* the same one has said what it has to say; silence may have been a lost packet */
		if (next >= 0 && (answer.status == DNS_TIMEOUT || !(l->tried >> next & 1))) {
			lookup_ask(r, l, (unsigned)next);
			if (!l->ended_at_once)
				return;
		}
	}
	lookup_end(r, l, &answer);
}

/* l->ended_at_once: it could not even be asked, and nothing comes. */
static void lookup_ask(struct resolver *r, struct lookup *l, unsigned recursor)
{
	struct channel *c = channel_for(r, recursor);

	l->ended_at_once = !c;
	if (!c)
		return;
	l->channel = c;
	l->recursor = (uint8_t)recursor;
	l->tried |= (uint8_t)(1u << recursor);
	l->attempts++;
	c->asked++;
	c->open++;
	r->recursors[recursor].asked++;
	l->starting = true;
	ares_query(c->ares, l->name, 1, l->type, on_reply, l);
	l->starting = false;
}

static bool failed(struct dns_answer *ret_answer)
{
	*ret_answer = (struct dns_answer){ .status = DNS_FAILED };
	return true;
}

bool lookup_need(struct resolver *r, struct job *job, const char *name, unsigned type, unsigned tag,
    bool fresh, struct dns_answer *ret_answer)
{
	char lower[DNS_NAME_MAX];
	struct lookup *l;
	struct wait *w = r->free_waits;
	uint32_t bucket;
	int recursor;
	size_t len = strnlen(name, sizeof(lower));

	if (len >= sizeof(lower))
		return failed(ret_answer);
	for (size_t i = 0; i <= len; i++)
		lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	if (!fresh && dnscache_get(r->cache, lower, type, r->now_ns / 1000000000, ret_answer)) {
		r->cache_hits++;
		return true;
	}
	bucket = bucket_of(lower, type, r->hash_key);
	l = lookup_find(r, bucket, lower, type);
	if (!w || (l && l->n_waits >= RESOLVER_WAITS_NAME)) {
		r->failed_full++;
		return failed(ret_answer);
	}
	if (l) {
		r->joined++;
	} else {
		recursor = recursor_for(r, 0);
		if (recursor < 0)
			return failed(ret_answer);
		l = lookup_take(r);
		if (!l) {
			r->failed_full++;
			return failed(ret_answer);
		}
		memcpy(l->name, lower, len + 1);
		l->type = (uint16_t)type;
		lookup_ask(r, l, (unsigned)recursor);
		if (l->ended_at_once) {
			lookup_drop(r, l);
			return failed(ret_answer);
		}
		l->bucket = bucket;
		l->next = r->buckets[bucket];
		r->buckets[bucket] = l;
		r->n_lookups_made++;
	}
	r->free_waits = w->next_of_lookup;
	*w = (struct wait){ .lookup = l,
		.job = job,
		.next_of_lookup = l->waits,
		.next_of_job = job->waits,
		.tag = (uint8_t)tag };
	l->waits = job->waits = w;
	l->n_waits++;
	job->pending++;
	return false;
}

void lookups_init(struct resolver *r)
{
	for (unsigned i = 0; i < RESOLVER_LOOKUPS; i++)
		lookup_drop(r, &r->lookups[i]);
	r->n_lookups = 0;
	for (unsigned i = 0; i < RESOLVER_WAITS; i++)
		unwait(r, &r->waits[i]);
}

/* ---- of the thread's loop and life ---- */

int channels_library(bool on)
{
	if (!on)
		ares_library_cleanup();
	return on && ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS ? -EIO : 0;
}

void channels_serve(struct resolver *r, unsigned timeout_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(r->epoll_fd, events, EVENTS, (int)timeout_ms);
	uint64_t count;

	r->now_ns = r->config.now_ns();
	for (int i = 0; i < n; i++) {
		unsigned index = (unsigned)(events[i].data.u64 >> 32);
		ares_socket_t fd = (ares_socket_t)(uint32_t)events[i].data.u64;

		if (index == 0) {
			if (read(r->wake_fd, &count, sizeof(count)) < 0)
				count = 0;
			continue;
		}
		if (!r->channels[index - 1])
			continue;
		ares_process_fd(r->channels[index - 1]->ares,
		    events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
		    events[i].events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
	}
}

void channels_timeouts(struct resolver *r)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (r->channels[i] && r->channels[i]->open > 0)
			ares_process_fd(r->channels[i]->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* What is under way fails: the recursors' numbers are others from here on. */
void recursors_configure(struct resolver *r, const struct resolver_settings *next)
{
	struct recursor before[POLICY_MAX_RECURSORS];
	struct policy_dns old = r->settings.dns;

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (r->channels[i])
			ares_cancel(r->channels[i]->ares);
	channels_fini(r);
	memcpy(before, r->recursors, sizeof(before));
	for (unsigned i = 0; i < next->dns.n_recursors; i++) {
		r->recursors[i] = (struct recursor){ .up = true };
		for (unsigned j = 0; j < old.n_recursors; j++)
			if (memcmp(&next->dns.recursors[i], &old.recursors[j],
				sizeof(old.recursors[j])) == 0) {
				r->recursors[i] = before[j];
				r->recursors[i].testing = false;
			}
	}
}

void channels_fini(struct resolver *r)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (r->channels[i])
			channel_free(r, r->channels[i]);
}
