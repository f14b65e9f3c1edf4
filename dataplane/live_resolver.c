/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resolver in the live shell: its thread, what sessions come to (feedback for belief in lists),
 * and the methods by which operators look at it. `dns.lookup` waits up to LOOKUP_MS on the control
 * thread, which serves one request at a time: what takes longer is said to be under way, and is in
 * the cache when asked for again.
 */
#include "live.h"

#include "fail.h"
#include "resolver.h"

#include "filters/address_form.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKUP_MS = 80 };

static const char *const kind_words[] = { "spam", "dynamic", "bad-admin", "backscatter", "white",
	"country" };

/* ---- its life ---- */

static void on_wake(void *arg, unsigned worker)
{
	struct live *l = arg;

	hw_wake(l->hw, worker);
}

static void on_event(void *arg, const char *kind, const char *text)
{
	struct live *l = arg;

	events_tell(l->events, hw_now_ns(), kind, "%s", text);
}

static void on_note(void *arg, const struct note *note)
{
	struct live *l = arg;

	if (note->dns_listed)
		resolver_feedback(l->resolver, note->dns_version, note->dns_listed, note->value > 0);
}

int live_resolver_open(struct live *l, const struct policy *policy, char **ret_error)
{
	const struct resolver_config config = {
		.n_workers = l->n_workers,
		.now_ns = hw_now_ns,
		.wake = on_wake,
		.tell = on_event,
		.arg = l,
	};
	const struct notes_subscriber subscriber = {
		.kinds = 1u << NOTE_SESSION,
		.note = on_note,
		.arg = l,
	};
	struct resolver_settings *settings = malloc(sizeof(*settings));
	int rc;

	if (!settings)
		return fail(ret_error, ENOMEM, "no memory for the resolver");
	resolver_settings_of(policy, settings);
	rc = resolver_new(&config, settings, &l->resolver, ret_error);
	free(settings);
	if (rc)
		return rc;
	rc = notes_subscribe(l->notes, &subscriber);
	return rc ? fail(ret_error, -rc, "no room for the resolver among the notes") : 0;
}

void live_resolver_policy(struct live *l, const struct policy *policy)
{
	struct resolver_settings *settings = l->resolver ? malloc(sizeof(*settings)) : NULL;

	if (!settings)
		return;
	resolver_settings_of(policy, settings);
	if (resolver_configure(l->resolver, settings) != 0)
		events_tell(l->events, hw_now_ns(), "dns-settings",
		    "no memory: the resolver goes on with the settings before");
	free(settings);
}

/* ---- methods ---- */

static void address_text(const uint8_t addr[16], char ret[INET6_ADDRSTRLEN])
{
	if (address_is_v4(addr))
		inet_ntop(AF_INET, addr + 12, ret, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, addr, ret, INET6_ADDRSTRLEN);
}

static json_t *family_json(const struct resolver_list_report *list, unsigned family)
{
	if (!(list->families & 1u << family))
		return json_null();
	return json_pack("{s:s,s:s,s:I,s:I}", "state", list_state_words[list->family[family].state],
	    "trouble", list_trouble_words[list->family[family].trouble], "since",
	    (json_int_t)(list->family[family].since_ns / 1000000000), "probed",
	    (json_int_t)(list->family[family].probed_ns / 1000000000));
}

json_t *live_dns_lists(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct resolver_report *r = calloc(1, sizeof(*r));
	json_t *lists = json_array(), *recursors = json_array(), *result;

	(void)params, (void)fds, (void)n_fds;
	if (!r)
		return control_fail(error, "no_memory", "No memory.");
	resolver_report(l->resolver, r);
	for (unsigned i = 0; i < r->n_lists; i++) {
		const struct resolver_list_report *list = &r->lists[i];

		json_array_append_new(lists,
		    json_pack("{s:s,s:s,s:s,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I}", "name", list->name,
			"zone", list->zone, "kind", kind_words[list->kind], "ipv4",
			family_json(list, 0), "ipv6", family_json(list, 1), "queries",
			(json_int_t)list->queries, "hits", (json_int_t)list->hits, "sole_hits",
			(json_int_t)list->sole_hits, "accepted", (json_int_t)list->accepted,
			"errors", (json_int_t)list->errors, "timeouts", (json_int_t)list->timeouts));
	}
	for (unsigned i = 0; i < r->n_recursors; i++) {
		char addr[INET6_ADDRSTRLEN];

		address_text(r->recursors[i].addr, addr);
		json_array_append_new(
		    recursors, json_pack("{s:s,s:i,s:b,s:I,s:I,s:I}", "address", addr, "port",
				   (int)r->recursors[i].port, "up", r->recursors[i].up, "asked",
				   (json_int_t)r->recursors[i].asked, "answered",
				   (json_int_t)r->recursors[i].answered, "timeouts",
				   (json_int_t)r->recursors[i].timeouts));
	}
	result = json_pack("{s:o,s:o,s:{s:I,s:I,s:I,s:I,s:I},s:{s:I,s:I,s:I,s:I,s:I,s:I}}", "lists",
	    lists, "recursors", recursors, "cache", "bytes", (json_int_t)r->cache_bytes, "used",
	    (json_int_t)r->cache_used, "entries", (json_int_t)r->cache_entries, "hits",
	    (json_int_t)r->cache_hits, "evicted", (json_int_t)r->cache_evicted, "questions",
	    "asked", (json_int_t)r->questions, "answered", (json_int_t)r->answers, "lookups",
	    (json_int_t)r->lookups, "late", (json_int_t)r->late, "failed_full",
	    (json_int_t)r->failed_full, "answers_lost", (json_int_t)r->answers_lost);
	free(r);
	return result;
}

static bool parse_address(const char *text, uint8_t ret[16])
{
	memset(ret, 0, 16);
	ret[10] = ret[11] = 0xff;
	if (inet_pton(AF_INET, text, ret + 12) == 1)
		return true;
	return inet_pton(AF_INET6, text, ret) == 1;
}

static json_t *lists_json(const struct policy *policy, const struct answer *a)
{
	const struct policy_dns *dns = &policy_settings(policy)->dns;
	json_t *lists = json_array();

	for (unsigned i = 0; i < dns->n_lists; i++)
		json_array_append_new(lists, json_pack("{s:s,s:s}", "name",
						 policy_string(policy, dns->lists[i].name), "says",
						 a->lists >> i & 1   ? "listed"
						 : a->known >> i & 1 ? "not listed"
								     : "no answer"));
	return lists;
}

json_t *live_dns_lookup(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	static const char *const hosts[] = { "confirmed", "none", "failed", "unconfirmed",
		"failed" };
	struct live *l = arg;
	const char *text = json_string_value(json_object_get(params, "address"));
	struct question q = { .kind = QUESTION_DNSL, .lists = UINT32_MAX };
	struct answer lists = { .status = ANSWER_FAILED }, host = { .status = ANSWER_FAILED };
	bool under_way;

	(void)fds, (void)n_fds;
	if (!text || !parse_address(text, q.addr))
		return control_fail(error, "bad_params",
		    "`address` is an IPv4 or IPv6 address, such as 192.0.2.7.");
	if (policy_settings(l->running->policy)->dns.n_recursors == 0)
		return control_fail(error, "dns_off",
		    "The running policy names no recursor (dns.recursors): name service is off.");
	q.version = policy_settings(l->running->policy)->dns.version;
	under_way = resolver_query(l->resolver, &q, LOOKUP_MS, &lists) != 0;
	q.kind = QUESTION_PTR;
	under_way |= resolver_query(l->resolver, &q, LOOKUP_MS, &host) != 0;
	return json_pack("{s:s,s:o,s:{s:s,s:s},s:b}", "address", text, "lists",
	    lists_json(l->running->policy, &lists), "host", "state", hosts[host.status], "name",
	    host.name, "under_way", under_way);
}

json_t *live_dns_flush(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;

	(void)params, (void)fds, (void)n_fds, (void)error;
	resolver_flush(l->resolver);
	events_tell(l->events, hw_now_ns(), "dns-flush", "the cache was emptied");
	return json_object();
}

json_t *live_dns_resume(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const char *name = json_string_value(json_object_get(params, "list"));
	const struct policy *policy = l->running->policy;
	const struct policy_dns *dns = &policy_settings(policy)->dns;

	(void)fds, (void)n_fds;
	for (unsigned i = 0; name && i < dns->n_lists; i++) {
		if (strcmp(policy_string(policy, dns->lists[i].name), name) != 0)
			continue;
		resolver_resume(l->resolver, name);
		events_tell(l->events, hw_now_ns(), "dns-list-resume", "%s", name);
		return json_object();
	}
	return control_fail(error, "unknown_list",
	    "The running policy has no DNS list \"%.64s\": `dns lists` shows them.",
	    name ? name : "");
}
