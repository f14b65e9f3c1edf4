/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each kind of question needs, as steps over look-ups. A job lives from its question to its
 * answer or its deadline, whichever is first; the look-ups it started go on and feed the cache.
 * Answers of name servers are a stranger's words: addresses in them are compared, never used.
 */
#include "resolver_private.h"

#include "filters/address_form.h"
#include "filters/dnslist.h"
#include "filters/hostname.h"
#include "filters/spf.h"

#include <errno.h>
#include <libpsl.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_FIRST, TAG_ADDRESS, TAG_MX_HOST, MAX_RECORDS = 128 };

int jobs_init(struct resolver *r)
{
	r->jobs = calloc(RESOLVER_JOBS, sizeof(*r->jobs));
	r->spf_memory = calloc(RESOLVER_SPF, SPF_STATE_BYTES);
	r->free_spf = calloc(RESOLVER_SPF, sizeof(struct spf *));
	if (!r->jobs || !r->spf_memory || !r->free_spf || ask_new(RESOLVER_JOBS, &r->deadlines) != 0)
		return -ENOMEM;
	for (unsigned i = 0; i < RESOLVER_JOBS; i++)
		r->jobs[i].next = i + 1 < RESOLVER_JOBS ? &r->jobs[i + 1] : NULL;
	r->free_jobs = &r->jobs[0];
	for (unsigned i = 0; i < RESOLVER_SPF; i++)
		r->free_spf[i] = spf_init(r->spf_memory + (size_t)i * SPF_STATE_BYTES);
	r->n_free_spf = RESOLVER_SPF;
	r->psl = (void *)psl_latest(NULL); /* the system's list, else the one built in */
	return 0;
}

void jobs_fini(struct resolver *r)
{
	psl_free(r->psl);
	ask_free(r->deadlines);
	free(r->free_spf);
	free(r->spf_memory);
	free(r->jobs);
}

static struct job *job_new(struct resolver *r, enum job_kind kind, uint64_t deadline_ns)
{
	struct job *job = r->free_jobs;
	struct job *next;
	uint64_t deadline;

	if (!job || ask_open(r->deadlines, job, deadline_ns, &deadline) != 0)
		return NULL;
	next = job->next;
	*job = (struct job){ .kind = (uint8_t)kind, .deadline = deadline };
	r->free_jobs = next;
	r->n_jobs++;
	return job;
}

static void job_free(struct resolver *r, struct job *job)
{
	lookup_forget(r, job);
	ask_cancel(r->deadlines, job->deadline);
	if (job->spf)
		r->free_spf[r->n_free_spf++] = job->spf;
	job->spf = NULL;
	job->done = true;
	job->next = r->free_jobs;
	r->free_jobs = job;
	r->n_jobs--;
}

/* ---- ends ---- */

/* Where the organisational domain begins in a name; 0xff: it has none (a public suffix itself). */
static uint8_t organisation(struct resolver *r, const char *name)
{
	const char *org = r->psl ? psl_registrable_domain(r->psl, name) : NULL;

	return org && org - name < 0xff ? (uint8_t)(org - name) : 0xff;
}

static void end(struct resolver *r, struct job *job, enum answer_status status, unsigned result,
    const char *name)
{
	struct answer answer = { .id = job->id, .status = (uint8_t)status, .org = 0xff };

	switch (job->kind) {
	case JOB_HOST: answer.kind = QUESTION_PTR; break;
	case JOB_SENDER: answer.kind = QUESTION_SENDER; break;
	default: answer.kind = QUESTION_SPF; break;
	}
	answer.result = (uint8_t)result;
	if (name) {
		size_t len = strnlen(name, sizeof(answer.name) - 1);

		memcpy(answer.name, name, len);
		answer.org = organisation(r, answer.name);
	}
	resolver_reply(r, job->worker, &answer);
	job_free(r, job);
}

static void lists_reply(struct resolver *r, struct job *job, bool last)
{
	struct answer answer = { .id = job->id,
		.status = ANSWER_FOUND,
		.kind = QUESTION_DNSL,
		.more = !last,
		.lists = job->lists,
		.known = job->known,
		.version = job->version };

	resolver_reply(r, job->worker, &answer);
}

static void lists_maybe_end(struct resolver *r, struct job *job)
{
	bool last = job->pending == 0;

	lists_reply(r, job, last);
	if (!last)
		return;
	lists_named(r, job->lists);
	job_free(r, job);
}

static void list_end(struct resolver *r, struct job *job, enum list_outcome outcome)
{
	struct job *parent = job->parent;

	list_answered(r, job->list, job->v6, outcome);
	if (outcome == OUTCOME_HIT)
		parent->lists |= 1u << job->list;
	if (outcome == OUTCOME_HIT || outcome == OUTCOME_MISS)
		parent->known |= 1u << job->list;
	job_free(r, job);
	parent->pending--;
	if (!parent->starting && (parent->pending == 0 || outcome <= OUTCOME_HIT))
		lists_maybe_end(r, parent);
}

/* ---- addresses ---- */

static bool holds_address(const struct dns_answer *answer, const uint8_t addr[16])
{
	bool v4 = address_is_v4(addr);
	unsigned at = 0, len;
	const uint8_t *p;

	while ((p = dns_next(answer, &at, &len)) != NULL)
		if (v4 ? len == 4 && memcmp(p, addr + 12, 4) == 0
		       : len == 16 && memcmp(p, addr, 16) == 0)
			return true;
	return false;
}

/* Look-up and, where the answer is there already, the step that it leads to. */
static void need(struct resolver *r, struct job *job, const char *name, unsigned type, unsigned tag)
{
	struct dns_answer answer;

	if (lookup_need(r, job, name, type, tag, false, &answer))
		job_step(r, job, name, tag, &answer);
}

static unsigned address_type(const struct job *job)
{
	return address_is_v4(job->addr) ? DNS_A : DNS_AAAA;
}

/* ---- forward-confirmed reverse DNS (RFC 8601 2.7.3 calls it iprev) ---- */

static void host_named(struct resolver *r, struct job *job, const struct dns_answer *answer)
{
	char names[RESOLVER_PTR_NAMES][DNS_NAME_MAX];
	unsigned n = 0, at = 0, len;
	const uint8_t *p;

	if (answer->status == DNS_NXDOMAIN || answer->status == DNS_NODATA)
		return end(r, job, ANSWER_NONE, 0, NULL);
	if (answer->status != DNS_OK)
		return end(r, job, ANSWER_FAILED, 0, NULL);
	while (n < RESOLVER_PTR_NAMES && (p = dns_next(answer, &at, &len)) != NULL) {
		if (!hostname_is_qualified((struct text){ (const char *)p, (uint16_t)len }))
			continue;
		memcpy(names[n], p, len);
		names[n++][len] = '\0';
	}
	if (n == 0)
		return end(r, job, ANSWER_NONE, 0, NULL);
	job->pending++; /* so that no early answer ends it */
	for (unsigned i = 0; i < n; i++) {
		need(r, job, names[i], address_type(job), TAG_ADDRESS);
		if (job->done)
			return;
	}
	if (--job->pending == 0)
		end(r, job, job->failed ? ANSWER_FAILED : ANSWER_UNCONFIRMED, 0, NULL);
}

static void host_step(struct resolver *r, struct job *job, const char *name, unsigned tag,
    const struct dns_answer *answer)
{
	if (tag == TAG_FIRST)
		return host_named(r, job, answer);
	if (holds_address(answer, job->addr))
		return end(r, job, ANSWER_FOUND, 0, name);
	if (answer->status == DNS_FAILED || answer->status == DNS_TIMEOUT)
		job->failed = true;
	if (job->pending == 0)
		end(r, job, job->failed ? ANSWER_FAILED : ANSWER_UNCONFIRMED, 0, NULL);
}

/* ---- the sender's domain (RFC 5321 5.1, RFC 7505) ---- */

static void sender_end(struct resolver *r, struct job *job)
{
	enum answer_status status = job->exists   ? ANSWER_FOUND
				    : job->failed ? ANSWER_FAILED
						  : ANSWER_NONE;

	end(r, job, status, job->is_mx, job->name);
}

static void sender_exchanges(struct resolver *r, struct job *job, const struct dns_answer *answer)
{
	char names[RESOLVER_PTR_NAMES][DNS_NAME_MAX];
	unsigned n = 0, at = 0, len;
	const uint8_t *p;

	while (n < RESOLVER_PTR_NAMES && (p = dns_next(answer, &at, &len)) != NULL) {
		if (len == 2 && answer->n == 1)
			return end(r, job, ANSWER_NULL_MX, 0, job->name);
		if (len <= 2)
			continue;
		memcpy(names[n], p + 2, len - 2);
		names[n++][len - 2] = '\0';
	}
	job->exists = true;
	job->pending++;
	for (unsigned i = 0; i < n; i++) {
		need(r, job, names[i], address_type(job), TAG_MX_HOST);
		if (job->done)
			return;
	}
	if (--job->pending == 0)
		sender_end(r, job);
}

static void sender_step(
    struct resolver *r, struct job *job, unsigned tag, const struct dns_answer *answer)
{
	bool failed = answer->status == DNS_FAILED || answer->status == DNS_TIMEOUT;

	if (tag == TAG_FIRST) {
		if (answer->status == DNS_OK)
			return sender_exchanges(r, job, answer);
		if (answer->status == DNS_NXDOMAIN)
			return end(r, job, ANSWER_NONE, 0, job->name);
		if (failed)
			return end(r, job, ANSWER_FAILED, 0, job->name);
		/* no MX: the domain is its own exchange (RFC 5321 5.1) */
		job->pending++;
		need(r, job, job->name, DNS_A, TAG_ADDRESS);
		if (!job->done)
			need(r, job, job->name, DNS_AAAA, TAG_ADDRESS);
		if (!job->done && --job->pending == 0)
			sender_end(r, job);
		return;
	}
	if (tag == TAG_ADDRESS) {
		job->exists |= answer->status == DNS_OK;
		job->failed |= failed;
	}
	job->is_mx |= holds_address(answer, job->addr);
	if (job->pending == 0 || job->is_mx)
		sender_end(r, job);
}

/* ---- SPF: the machine of filters/spf.h, fed ---- */

static void spf_feed(struct job *job, const struct dns_answer *answer)
{
	static const uint8_t statuses[] = { [DNS_OK] = SPF_ANSWERED,
		[DNS_NODATA] = SPF_NODATA,
		[DNS_NXDOMAIN] = SPF_NXDOMAIN,
		[DNS_FAILED] = SPF_SERVFAIL,
		[DNS_TIMEOUT] = SPF_TIMEOUT };
	const struct spf_question *q = spf_question(job->spf);
	struct text records[MAX_RECORDS];
	struct spf_answer fed = { .status = statuses[answer->status], .records = records };
	unsigned at = 0, len;
	const uint8_t *p;

	while (fed.n_records < MAX_RECORDS && (p = dns_next(answer, &at, &len)) != NULL) {
		unsigned skip = q->type == SPF_TYPE_MX ? 2 : 0;

		if (len < skip)
			continue;
		records[fed.n_records++] =
		    (struct text){ (const char *)p + skip, (uint16_t)(len - skip) };
	}
	/* what did not fit could be the record that matters: better no answer than half of one */
	if (answer->cut && answer->status == DNS_OK && q->type == SPF_TYPE_TXT)
		fed.status = SPF_SERVFAIL;
	(void)spf_answer(job->spf, q->id, &fed);
}

static void spf_go_on(struct resolver *r, struct job *job)
{
	const struct spf_question *q;
	const struct spf_outcome *outcome;
	char domain[DNS_NAME_MAX] = "";

	while ((q = spf_question(job->spf)) != NULL) {
		struct dns_answer answer;

		if (!lookup_need(r, job, q->name, q->type, TAG_FIRST, false, &answer))
			return;
		spf_feed(job, &answer);
	}
	outcome = spf_outcome(job->spf);
	if (outcome->domain.len < sizeof(domain))
		memcpy(domain, outcome->domain.p, outcome->domain.len);
	end(r, job, ANSWER_FOUND, outcome->result, domain);
}

static struct text text_of(const char *s)
{
	return (struct text){ s, (uint16_t)strlen(s) };
}

static void spf_begin(struct resolver *r, struct job *job, const struct question *question)
{
	struct spf_input in = { .helo = text_of(question->helo),
		.mail = text_of(question->sender),
		.receiver = text_of(r->settings.hostname),
		.now_s = r->now_ns / 1000000000 };

	if (r->n_free_spf == 0) {
		r->failed_full++;
		return end(r, job, ANSWER_FAILED, 0, NULL);
	}
	job->spf = r->free_spf[--r->n_free_spf];
	memcpy(in.client, question->addr, 16);
	spf_start(job->spf, &in);
	spf_go_on(r, job);
}

/* ---- lists ---- */

static unsigned list_records(const struct dns_answer *answer, uint8_t ret[MAX_RECORDS][4])
{
	unsigned n = 0, at = 0, len;
	const uint8_t *p;

	while (n < MAX_RECORDS && (p = dns_next(answer, &at, &len)) != NULL)
		if (len == 4)
			memcpy(ret[n++], p, 4);
	return n;
}

static enum dnslist_result judged(
    const struct resolver *r, const struct job *job, const struct dns_answer *answer)
{
	const struct policy_dns_list *list = &r->settings.dns.lists[job->list];
	uint8_t records[MAX_RECORDS][4];
	unsigned n = list_records(answer, records);

	if (job->kind == JOB_PROBE)
		return dnslist_judge_test(list, (const uint8_t(*)[4])records, n);
	return dnslist_judge(list, (const uint8_t(*)[4])records, n);
}

static void list_step(struct resolver *r, struct job *job, const struct dns_answer *answer)
{
	static const uint8_t outcomes[] = {
		[DNSLIST_MISS] = OUTCOME_MISS, [DNSLIST_HIT] = OUTCOME_HIT, [DNSLIST_ERROR] = OUTCOME_ERROR
	};

	if (answer->status == DNS_FAILED || answer->status == DNS_TIMEOUT)
		return list_end(r, job, OUTCOME_SILENT);
	list_end(r, job, outcomes[judged(r, job, answer)]);
}

static void probe_end(struct resolver *r, struct job *job, enum probe_result result)
{
	unsigned list = job->list;
	bool v6 = job->v6, listed = job->listed;

	job_free(r, job);
	list_probed(r, list, v6, listed, result);
}

static void probe_step(struct resolver *r, struct job *job, const struct dns_answer *answer)
{
	static const uint8_t results[] = {
		[DNSLIST_MISS] = PROBE_MISS, [DNSLIST_HIT] = PROBE_HIT, [DNSLIST_ERROR] = PROBE_ERROR
	};

	if (answer->status == DNS_FAILED || answer->status == DNS_TIMEOUT)
		return probe_end(r, job, PROBE_SILENT);
	probe_end(r, job, results[judged(r, job, answer)]);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t in_ms(const struct resolver *r, uint64_t ms)
{
	return r->now_ns + ms * 1000000;
}

void job_probe(struct resolver *r, unsigned list, bool v6, bool listed)
{
	const struct policy_dns_list *row = &r->settings.dns.lists[list];
	struct job *job = job_new(r, JOB_PROBE, in_ms(r, row->timeout_ms));
	char name[DNSLIST_NAME_MAX];
	struct dns_answer answer;

	if (!job) {
		r->failed_full++;
		return list_probed(r, list, v6, listed, PROBE_SILENT);
	}
	job->list = (uint8_t)list;
	job->v6 = v6;
	job->listed = listed;
	if (dnslist_test_name(v6, listed, r->settings.zones[list], name, sizeof(name)) < 0)
		return probe_end(r, job, PROBE_SILENT);
	if (lookup_need(r, job, name, DNS_A, TAG_FIRST, true, &answer))
		probe_step(r, job, &answer);
}

static void list_start(struct resolver *r, struct job *parent, unsigned list, uint64_t deadline_ns)
{
	const struct policy_dns_list *row = &r->settings.dns.lists[list];
	bool v6 = !address_is_v4(parent->addr);
	char name[DNSLIST_NAME_MAX];
	struct job *job;

	/* a list that is not believed has said: not listed; it delays nobody */
	if (!list_is_asked(r, list, v6)) {
		parent->known |= 1u << list;
		return;
	}
	r->lists[list].queries++;
	job = job_new(r, JOB_LIST, sooner(deadline_ns, in_ms(r, row->timeout_ms)));
	if (!job) {
		r->failed_full++;
		return;
	}
	job->parent = parent;
	job->list = (uint8_t)list;
	job->v6 = v6;
	memcpy(job->addr, parent->addr, 16);
	parent->pending++;
	if (dnslist_name(job->addr, r->settings.zones[list], name, sizeof(name)) < 0)
		return list_end(r, job, OUTCOME_SILENT);
	need(r, job, name, DNS_A, TAG_FIRST);
}

static void lists_start(struct resolver *r, struct job *job, const struct question *question)
{
	job->version = r->settings.dns.version;
	/* rows of another policy would be other lists */
	if (question->version == job->version) {
		job->starting = true;
		for (unsigned i = 0; i < r->settings.dns.n_lists; i++)
			if (question->lists >> i & 1)
				list_start(r, job, i, question->deadline_ns);
		job->starting = false;
	}
	if (job->pending == 0 || job->known)
		lists_maybe_end(r, job);
}

/* ---- any kind ---- */

void job_start(struct resolver *r, unsigned worker, const struct question *question)
{
	static const uint8_t kinds[] = { [QUESTION_PTR] = JOB_HOST,
		[QUESTION_DNSL] = JOB_LISTS,
		[QUESTION_SENDER] = JOB_SENDER,
		[QUESTION_SPF] = JOB_SPF };
	/* a question to several lists ends with the last of them, so its own time is later */
	struct job *job = job_new(
	    r, kinds[question->kind], question->deadline_ns + (question->kind == QUESTION_DNSL));
	char name[DNSLIST_NAME_MAX];

	if (!job) {
		struct answer answer = {
			.id = question->id, .kind = question->kind, .status = ANSWER_FAILED
		};

		r->failed_full++;
		resolver_reply(r, worker, &answer);
		return;
	}
	job->id = question->id;
	job->worker = (uint8_t)worker;
	memcpy(job->addr, question->addr, 16);
	switch (job->kind) {
	case JOB_HOST:
		dnslist_name(job->addr, address_is_v4(job->addr) ? "in-addr.arpa" : "ip6.arpa",
		    name, sizeof(name));
		need(r, job, name, DNS_PTR, TAG_FIRST);
		break;
	case JOB_LISTS: lists_start(r, job, question); break;
	case JOB_SENDER:
		if (!hostname_is_qualified(text_of(question->sender))) {
			end(r, job, ANSWER_NONE, 0, NULL);
			break;
		}
		for (unsigned i = 0; i + 1 < sizeof(job->name) && question->sender[i]; i++) {
			char c = question->sender[i];

			job->name[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
		}
		need(r, job, job->name, DNS_MX, TAG_FIRST);
		break;
	default: spf_begin(r, job, question); break;
	}
}

void job_step(struct resolver *r, struct job *job, const char *name, unsigned tag,
    const struct dns_answer *answer)
{
	switch (job->kind) {
	case JOB_HOST: host_step(r, job, name, tag, answer); break;
	case JOB_LIST: list_step(r, job, answer); break;
	case JOB_PROBE: probe_step(r, job, answer); break;
	case JOB_SENDER: sender_step(r, job, tag, answer); break;
	case JOB_SPF:
		spf_feed(job, answer);
		spf_go_on(r, job);
		break;
	default: break;
	}
}

void jobs_due(struct resolver *r)
{
	struct job *job;

	while ((job = ask_due(r->deadlines, r->now_ns)) != NULL) {
		r->late++;
		switch (job->kind) {
		case JOB_LIST: list_end(r, job, OUTCOME_SILENT); break;
		case JOB_PROBE: probe_end(r, job, PROBE_SILENT); break;
		case JOB_LISTS: break; /* its lists' own jobs were due before and have ended it */
		case JOB_SENDER:
			if (job->exists)
				sender_end(r, job);
			else
				end(r, job, ANSWER_FAILED, 0, NULL);
			break;
		case JOB_SPF:
			spf_give_up(job->spf);
			end(r, job, ANSWER_FOUND, spf_outcome(job->spf)->result, NULL);
			break;
		default: end(r, job, ANSWER_FAILED, 0, NULL); break;
		}
	}
}

void jobs_end_lists(struct resolver *r)
{
	for (unsigned i = 0; i < RESOLVER_JOBS; i++) {
		struct job *job = &r->jobs[i];

		if (job->deadline == 0 || job->done)
			continue;
		if (job->kind == JOB_LIST)
			list_end(r, job, OUTCOME_SILENT);
		else if (job->kind == JOB_PROBE)
			job_free(r, job);
	}
}
