/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resolver by itself, spoken to by tests/dns/run.py: settings as arguments, questions as lines
 * on standard input, answers, events and reports as JSON lines on standard output. Each question
 * goes through a worker's ring as in the live shell.
 */
#include "dataplane/resolver.h"
#include "filters/dnslist.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 2, MANY = 200000 };

static pthread_mutex_t out = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static uint64_t wakes;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void wake(void *arg, unsigned worker)
{
	(void)arg, (void)worker;
	pthread_mutex_lock(&out);
	wakes++;
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&out);
}

static void tell(void *arg, const char *kind, const char *text)
{
	(void)arg;
	pthread_mutex_lock(&out);
	printf("{\"event\": \"%s\", \"text\": \"%s\"}\n", kind, text);
	fflush(stdout);
	pthread_mutex_unlock(&out);
}

static void parse_address(const char *text, uint8_t ret[16])
{
	memset(ret, 0, 16);
	ret[10] = ret[11] = 0xff;
	if (inet_pton(AF_INET, text, ret + 12) == 1)
		return;
	memset(ret, 0, 16);
	if (inet_pton(AF_INET6, text, ret) != 1) {
		fprintf(stderr, "no address: %s\n", text);
		exit(2);
	}
}

/* key=value words; a list: list=NAME,ZONE,KIND,LATE,FAMILIES,TIMEOUT_MS[,ANSWER...] */
static void setting(struct resolver_settings *s, char *word)
{
	char *value = strchr(word, '='), *save = NULL;
	struct policy_dns *d = &s->dns;

	if (!value)
		exit(2);
	*value++ = '\0';
	if (strcmp(word, "recursor") == 0) {
		struct policy_recursor *to = &d->recursors[d->n_recursors++];
		char *port = strchr(value, '@');

		*port++ = '\0';
		parse_address(value, to->addr);
		to->port = (uint16_t)strtoul(port, NULL, 10);
	} else if (strcmp(word, "list") == 0) {
		struct policy_dns_list *to = &d->lists[d->n_lists];
		char *answer;

		snprintf(s->names[d->n_lists], 64, "%s", strtok_r(value, ",", &save));
		snprintf(s->zones[d->n_lists], 180, "%s", strtok_r(NULL, ",", &save));
		to->kind = (uint8_t)strtoul(strtok_r(NULL, ",", &save), NULL, 10);
		to->late = (uint8_t)strtoul(strtok_r(NULL, ",", &save), NULL, 10);
		to->families = (uint8_t)strtoul(strtok_r(NULL, ",", &save), NULL, 10);
		to->timeout_ms = (uint32_t)strtoul(strtok_r(NULL, ",", &save), NULL, 10);
		while ((answer = strtok_r(NULL, ",", &save)) != NULL)
			if (dnslist_parse_answer(answer, &to->answers[to->n_answers++]) != NULL)
				exit(2);
		d->n_lists++;
		d->version++;
	} else if (strcmp(word, "probe") == 0) { /* of the list before it */
		d->lists[d->n_lists - 1].probe = (uint8_t)strtoul(value, NULL, 10);
	} else {
		uint32_t n = (uint32_t)strtoul(value, NULL, 10);

		if (strcmp(word, "attempt_ms") == 0)
			d->attempt_ms = n;
		else if (strcmp(word, "attempts") == 0)
			d->attempts = n;
		else if (strcmp(word, "probe_s") == 0)
			d->probe_interval_s = n;
		else if (strcmp(word, "accepted_percent") == 0)
			d->accepted_percent = n;
		else if (strcmp(word, "accepted_least") == 0)
			d->accepted_least = n;
		else if (strcmp(word, "cache_mib") == 0)
			d->cache_mib = n;
		else
			exit(2);
	}
}

static void settings(struct resolver_settings *s, char **words, int n)
{
	memset(s, 0, sizeof(*s));
	s->dns = (struct policy_dns){ .version = 1,
		.max_ttl_s = 86400,
		.max_negative_ttl_s = 3600,
		.attempt_ms = 500,
		.attempts = 3,
		.probe_interval_s = 600 };
	snprintf(s->hostname, sizeof(s->hostname), "mx.postern.example");
	for (int i = 0; i < n; i++)
		setting(s, words[i]);
}

static void print_answer(const struct answer *a, uint64_t took_ns)
{
	pthread_mutex_lock(&out);
	printf("{\"answer\": %" PRIu64
	       ", \"status\": %u, \"kind\": %u, \"more\": %u, \"result\": %u, "
	       "\"lists\": %u, \"known\": %u, \"name\": \"%s\", \"org\": \"%s\", \"ms\": %.1f}\n",
	    a->id, a->status, a->kind, a->more, a->result, a->lists, a->known, a->name,
	    a->org == 0xff ? "" : a->name + a->org, (double)took_ns / 1e6);
	fflush(stdout);
	pthread_mutex_unlock(&out);
}

static struct question question(enum question_kind kind, uint32_t version, unsigned ms)
{
	static uint64_t id;

	return (struct question){ .id = ++id,
		.kind = (uint8_t)kind,
		.deadline_ns = now_ns() + ms * 1000000ull,
		.lists = UINT32_MAX,
		.version = version };
}

/* Asks and prints what comes until the last answer, at most a second beyond the deadline. */
static void ask(struct resolver *r, struct question *q)
{
	uint64_t begun = now_ns();
	struct answer a = { .more = 1 };

	if (resolver_ask(r, 0, q, 1) == 0) {
		print_answer(&(struct answer){ .id = q->id, .status = ANSWER_FAILED }, 0);
		return;
	}
	while (now_ns() < q->deadline_ns + 1000000000ull) {
		struct timespec until = { .tv_sec = (time_t)(now_ns() / 1000000000 + 1) };

		while (resolver_answers(r, 0, &a, 1)) {
			if (a.id != q->id)
				continue;
			print_answer(&a, now_ns() - begun);
			if (!a.more)
				return;
		}
		pthread_mutex_lock(&out);
		if (!resolver_has_answers(r, 0))
			pthread_cond_timedwait(&woken, &out, &until);
		pthread_mutex_unlock(&out);
	}
	print_answer(&(struct answer){ .id = q->id, .status = 99 }, now_ns() - begun);
}

/* n questions about addresses in a row on both workers as fast as the rings take them; each must be
 * answered once, at the latest at its deadline. */
static void flood(
    struct resolver *r, uint32_t version, unsigned n, unsigned ms, bool same, const char *from)
{
	static uint8_t ended[MANY];
	uint64_t first, begun = now_ns(), worst = 0, last;
	unsigned asked = 0, answers = 0, twice = 0, known = 0, listed = 0, full = 0;
	uint8_t base[16];

	if (n > MANY)
		exit(2);
	memset(ended, 0, sizeof(ended));
	parse_address(from, base);
	first = question(QUESTION_DNSL, version, ms).id << 20;
	last = begun + ms * 1000000ull;
	while (answers < n && now_ns() < last + 2000000000ull) {
		struct answer a;

		for (unsigned burst = 0; burst < 32 && asked < n; burst++, asked++) {
			struct question q = question(QUESTION_DNSL, version, ms);

			memcpy(q.addr, base, 16);
			if (!same) {
				q.addr[13] = (uint8_t)(base[13] + (asked >> 16));
				q.addr[14] = (uint8_t)(asked >> 8);
				q.addr[15] = (uint8_t)asked;
			}
			q.id = first + asked;
			if (resolver_ask(r, asked % WORKERS, &q, 1) == 0) {
				full++;
				break;
			}
			last = q.deadline_ns;
		}
		for (unsigned w = 0; w < WORKERS; w++) {
			while (resolver_answers(r, w, &a, 1)) {
				uint64_t i = a.id - first, late = now_ns();

				if (i >= n || a.more)
					continue;
				twice += ended[i]++ > 0;
				answers++;
				known += a.known != 0;
				listed += a.lists != 0;
				if (asked == n && late > last && late - last > worst)
					worst = late - last;
			}
		}
		usleep(asked == n ? 200 : 20);
	}
	pthread_mutex_lock(&out);
	printf("{\"flood\": %u, \"full\": %u, \"answers\": %u, \"twice\": %u, \"known\": %u, "
	       "\"listed\": %u, \"late_ms\": %.1f, \"ms\": %.1f}\n",
	    n, full, answers, twice, known, listed, (double)worst / 1e6,
	    (double)(now_ns() - begun) / 1e6);
	fflush(stdout);
	pthread_mutex_unlock(&out);
}

static void report(struct resolver *r)
{
	static struct resolver_report p;

	resolver_report(r, &p);
	pthread_mutex_lock(&out);
	printf("{\"report\": 1, \"lists\": {");
	for (unsigned i = 0; i < p.n_lists; i++) {
		const struct resolver_list_report *l = &p.lists[i];

		printf("%s\"%s\": {\"v4\": \"%s\", \"v6\": \"%s\", \"why4\": \"%s\", \"why6\": "
		       "\"%s\", "
		       "\"queries\": %" PRIu64 ", \"hits\": %" PRIu64 ", \"sole\": %" PRIu64
		       ", \"accepted\": %" PRIu64 ", \"errors\": %" PRIu64
		       ", \"timeouts\": %" PRIu64 "}",
		    i ? ", " : "", l->name, list_state_words[l->family[0].state],
		    list_state_words[l->family[1].state], list_trouble_words[l->family[0].trouble],
		    list_trouble_words[l->family[1].trouble], l->queries, l->hits, l->sole_hits,
		    l->accepted, l->errors, l->timeouts);
	}
	printf("}, \"recursors\": [");
	for (unsigned i = 0; i < p.n_recursors; i++)
		printf("%s{\"up\": %u, \"asked\": %" PRIu64 ", \"answered\": %" PRIu64
		       ", \"timeouts\": %" PRIu64 "}",
		    i ? ", " : "", p.recursors[i].up, p.recursors[i].asked, p.recursors[i].answered,
		    p.recursors[i].timeouts);
	printf("], \"cache_bytes\": %zu, \"cache_used\": %zu, \"cache_hits\": %" PRIu64
	       ", \"lookups\": %" PRIu64 ", \"joined\": %" PRIu64 ", \"failed_full\": %" PRIu64
	       ", \"late\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"channels\": %" PRIu64
	       ", \"jobs\": %u, \"open\": %u}\n",
	    p.cache_bytes, p.cache_used, p.cache_hits, p.lookups, p.joined, p.failed_full, p.late,
	    p.answers_lost, p.channels_made, p.jobs, p.lookups_open);
	fflush(stdout);
	pthread_mutex_unlock(&out);
}

static void command(struct resolver *r, struct resolver_settings *s, char *line)
{
	char *words[64];
	int n = 0;
	char *save = NULL;
	struct question q;

	for (char *w = strtok_r(line, " \n", &save); w && n < 64; w = strtok_r(NULL, " \n", &save))
		words[n++] = w;
	if (n == 0)
		return;
	if (strcmp(words[0], "lists") == 0 || strcmp(words[0], "host") == 0) {
		q = question(words[0][0] == 'l' ? QUESTION_DNSL : QUESTION_PTR, s->dns.version,
		    (unsigned)strtoul(words[2], NULL, 10));
		parse_address(words[1], q.addr);
		ask(r, &q);
	} else if (strcmp(words[0], "sender") == 0) {
		q = question(QUESTION_SENDER, 0, 5000);
		parse_address(words[1], q.addr);
		snprintf(q.sender, sizeof(q.sender), "%s", words[2]);
		ask(r, &q);
	} else if (strcmp(words[0], "spf") == 0) {
		q = question(QUESTION_SPF, 0, (unsigned)strtoul(words[4], NULL, 10));
		parse_address(words[1], q.addr);
		snprintf(q.helo, sizeof(q.helo), "%s", words[2]);
		snprintf(q.sender, sizeof(q.sender), "%s", words[3]);
		ask(r, &q);
	} else if (strcmp(words[0], "flood") == 0) {
		flood(r, s->dns.version, (unsigned)strtoul(words[1], NULL, 10),
		    (unsigned)strtoul(words[2], NULL, 10), strcmp(words[3], "same") == 0, words[4]);
	} else if (strcmp(words[0], "feedback") == 0) {
		for (unsigned i = 0; i < strtoul(words[2], NULL, 10); i++)
			resolver_feedback(r, s->dns.version, 1u << strtoul(words[1], NULL, 10),
			    i < strtoul(words[3], NULL, 10));
	} else if (strcmp(words[0], "report") == 0) {
		report(r);
	} else if (strcmp(words[0], "flush") == 0) {
		resolver_flush(r);
	} else if (strcmp(words[0], "resume") == 0) {
		resolver_resume(r, n > 1 ? words[1] : NULL);
	} else if (strcmp(words[0], "configure") == 0) {
		uint32_t version = s->dns.version;

		settings(s, words + 1, n - 1);
		s->dns.version += version;
		resolver_configure(r, s);
	} else {
		fprintf(stderr, "unknown: %s\n", words[0]);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct resolver_settings s;
	struct resolver_config config = {
		.n_workers = WORKERS, .now_ns = now_ns, .wake = wake, .tell = tell
	};
	struct resolver *r;
	char *error = NULL, line[4096];

	settings(&s, argv + 1, argc - 1);
	if (resolver_new(&config, &s, &r, &error) != 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin))
		command(r, &s, line);
	resolver_free(r);
	printf("{\"ended\": 1}\n");
	return 0;
}
