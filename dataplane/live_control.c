/* SPDX-License-Identifier: BSD-3-Clause */
/* The methods of the control socket (control/README.md, "Sockets"), on the control thread. */
#include "live.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const load_words[] = {
	[LOAD_BAD_FD] = "bad_fd",
	[LOAD_BAD_HASH] = "bad_hash",
	[LOAD_MISSING_PART] = "missing_part",
	[LOAD_BAD_IMAGE] = "bad_image",
	[LOAD_BUSY] = "busy",
	[LOAD_NO_MEMORY] = "no_memory",
};

/* ---- orders to workers ---- */

void live_order(struct live *l, unsigned i)
{
	atomic_fetch_add_explicit(&l->workers[i]->orders, 1, memory_order_release);
	hw_wake(l->hw, i);
}

void live_stop(struct live *l, int exit_code)
{
	atomic_store(&l->exit_code, exit_code);
	for (unsigned i = 0; i < l->n_workers; i++) {
		atomic_store(&l->workers[i]->stop, true);
		live_order(l, i);
	}
}

void live_share(struct live *l, enum stack_sharing how)
{
	for (unsigned i = 0; i < l->n_workers; i++) {
		atomic_store(&l->workers[i]->sharing, how);
		live_order(l, i);
	}
}

void live_drain(struct live *l)
{
	if (atomic_exchange(&l->draining, true))
		return;
	events_tell(l->events, hw_now_ns(), "drain", "idle sessions are told 421, the rest finish");
	for (unsigned i = 0; i < l->n_workers; i++) {
		atomic_store(&l->workers[i]->drain, true);
		live_order(l, i);
	}
}

/* ---- helpers ---- */

static json_t *restart_keys(const struct live *l)
{
	json_t *keys = json_array();

	for (const char *p = l->needs_restart; *p;) {
		size_t len = strcspn(p, ",");

		json_array_append_new(keys, json_stringn(p, len));
		p += len + (p[len] == ',');
	}
	return keys;
}

static uint64_t sessions(const struct live *l)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < l->stats->n_counters; i++) {
		if (strcmp(l->stats->names[i].name, "sessions") != 0)
			continue;
		for (unsigned w = 0; w < l->n_workers; w++)
			sum += __atomic_load_n(&l->stats->workers[w].counters[i], __ATOMIC_RELAXED);
	}
	return sum;
}

/* The highest rung of the overload ladder among the workers, in words (overload.h). */
static const char *overload(const struct live *l)
{
	static const char *const words[] = {
		"0: none",
		"1: listed sources are no longer verified",
		"2: new sessions without good history get 421",
		"3: SYNs without good history get 421 without state",
	};
	uint64_t rung = 0;

	for (unsigned i = 0; i < l->stats->n_counters; i++) {
		if (strcmp(l->stats->names[i].name, "overload_rung") != 0)
			continue;
		for (unsigned w = 0; w < l->n_workers; w++) {
			uint64_t of_worker =
			    __atomic_load_n(&l->stats->workers[w].counters[i], __ATOMIC_RELAXED);

			rung = of_worker > rung ? of_worker : rung;
		}
	}
	return words[rung < 4 ? rung : 3];
}

static void hex(const uint8_t *bytes, size_t n, char *ret_text)
{
	for (size_t i = 0; i < n; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

static bool unhex(const char *text, uint8_t *ret_bytes, size_t n)
{
	if (strlen(text) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char pair[3] = { text[2 * i], text[2 * i + 1], '\0' };

		if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]))
			return false;
		ret_bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return true;
}

static void add_hash(const uint8_t sha256[IMAGE_HASH_LEN], void *arg)
{
	char text[2 * IMAGE_HASH_LEN + 1];

	hex(sha256, IMAGE_HASH_LEN, text);
	json_array_append_new(arg, json_string(text));
}

/* ---- methods ---- */

static json_t *hello(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	json_t *parts = json_array();

	(void)params, (void)fds, (void)n_fds, (void)error;
	policy_store_parts(l->store, add_hash, parts);
	return json_pack("{s:i,s:s,s:i,s:I,s:o,s:b,s:s?}", "protocol", 1, "build", live_version(),
	    "pid", (int)l->stats->pid, "epoch", (json_int_t)l->running->epoch, "parts", parts,
	    "needs_restart", l->needs_restart[0] != '\0', "events", events_path(l->events));
}

static json_t *status(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	unsigned long silent = atomic_load(&l->workers[0]->unreachable);
	json_t *gateways = json_array();

	(void)params, (void)fds, (void)n_fds, (void)error;
	for (unsigned i = 0; i < l->host.n_routes; i++)
		json_array_append_new(gateways, json_pack("{s:s,s:b}", "gateway", l->route_text[i],
						    "reachable", !(silent >> i & 1)));
	return json_pack("{s:I,s:s,s:s,s:i,s:I,s:I,s:o,s:s,s:s,s:o,s:I,s:s?}", "epoch",
	    (json_int_t)l->running->epoch, "overload", overload(l), "state",
	    atomic_load(&l->draining) ? "draining" : "running", "workers", (int)l->n_workers,
	    "uptime_s", (json_int_t)((hw_now_ns() - l->started_ns) / 1000000000), "sessions",
	    (json_int_t)sessions(l), "needs_restart", restart_keys(l), "name", l->name, "build",
	    live_version(), "gateways", gateways, "pass_all_until_s",
	    (json_int_t)live_pass_until(l), "events", events_path(l->events));
}

static json_t *drain(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	(void)params, (void)fds, (void)n_fds, (void)error;
	live_drain(arg);
	return json_object();
}

static json_t *backend_drain(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const struct policy *policy = l->running->policy;
	const char *name = json_string_value(json_object_get(params, "server"));
	const json_t *on = json_object_get(params, "on");

	(void)fds, (void)n_fds;
	if (!name || !json_is_boolean(on))
		return control_fail(
		    error, "bad_params", "`server` is a name, `on` is true or false.");
	for (unsigned i = 0; i < policy_settings(policy)->n_servers && i < STATS_MAX_SERVERS; i++) {
		if (strcmp(policy_string(policy, policy_server(policy, i)->name), name) != 0)
			continue;
		for (unsigned w = 0; w < l->n_workers; w++) {
			atomic_store(&l->workers[w]->drained[i], json_is_true(on));
			live_order(l, w);
		}
		events_tell(l->events, hw_now_ns(), "backend-drain", "%s %s", name,
		    json_is_true(on) ? "on" : "off");
		return json_object();
	}
	return control_fail(
	    error, "unknown_server", "The running policy has no server \"%.64s\".", name);
}

static bool read_offers(const json_t *parts, const int *fds, unsigned n_fds,
    struct part_offer *offers, struct control_error *error)
{
	size_t i;
	json_t *part;

	json_array_foreach(parts, i, part)
	{
		const char *sha256 = json_string_value(json_object_get(part, "sha256"));
		const json_t *kind = json_object_get(part, "kind"),
			     *size = json_object_get(part, "size"),
			     *fd = json_object_get(part, "fd");
		json_int_t index = json_integer_value(fd);

		if (!sha256 || !json_is_integer(kind) || !json_is_integer(size) ||
		    !json_is_integer(fd) || json_integer_value(kind) < 0 ||
		    json_integer_value(kind) > 1000 || json_integer_value(size) < 0 || index < -1 ||
		    !unhex(sha256, offers[i].sha256, IMAGE_HASH_LEN)) {
			control_fail(error, "bad_params",
			    "Part %zu: kind, size and fd are numbers, sha256 has 64 hex digits.", i);
			return false;
		}
		if (index >= (json_int_t)n_fds) {
			control_fail(error, "bad_fd",
			    "Part %zu names descriptor %lld, the packet has %u.", i,
			    (long long)index, n_fds);
			return false;
		}
		offers[i].kind = (uint32_t)json_integer_value(kind);
		offers[i].size = (uint64_t)json_integer_value(size);
		offers[i].fd = index < 0 ? -1 : fds[index];
	}
	return true;
}

/* Operators drain servers by name; their places may differ in the new policy. */
static void carry_drained(struct live *l, const struct policy *old, const struct policy *new)
{
	bool carried[STATS_MAX_SERVERS] = { false };
	unsigned n_old = policy_settings(old)->n_servers, n_new = policy_settings(new)->n_servers;

	for (unsigned i = 0; i < n_old && i < STATS_MAX_SERVERS; i++) {
		if (!atomic_load(&l->workers[0]->drained[i]))
			continue;
		for (unsigned j = 0; j < n_new && j < STATS_MAX_SERVERS; j++) {
			if (strcmp(policy_string(old, policy_server(old, i)->name),
				policy_string(new, policy_server(new, j)->name)) == 0)
				carried[j] = true;
		}
	}
	for (unsigned w = 0; w < l->n_workers; w++) {
		for (unsigned j = 0; j < STATS_MAX_SERVERS; j++)
			atomic_store_explicit(
			    &l->workers[w]->drained[j], carried[j], memory_order_relaxed);
	}
}

static json_t *policy_load(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const json_t *epoch_word = json_object_get(params, "epoch");
	const json_t *parts = json_object_get(params, "parts");
	json_int_t epoch = json_integer_value(epoch_word);
	struct part_offer offers[IMAGE_MAX_PARTS];
	struct generation *gen = NULL;
	struct live_restart prints;
	char *why = NULL;
	enum load_error rc;

	if (!json_is_integer(epoch_word) || epoch < 1 || epoch > UINT32_MAX ||
	    !json_is_array(parts) || json_array_size(parts) == 0 ||
	    json_array_size(parts) > IMAGE_MAX_PARTS)
		return control_fail(error, "bad_params",
		    "`epoch` is 1 to 4294967295, `parts` a list of 1 to %u.", IMAGE_MAX_PARTS);
	if (epoch < (json_int_t)l->running->epoch)
		return control_fail(
		    error, "old_epoch", "Epoch %u runs here already.", l->running->epoch);
	if (!read_offers(parts, fds, n_fds, offers, error))
		return NULL;
	if (epoch == (json_int_t)l->running->epoch &&
	    generation_same(l->running, offers, (unsigned)json_array_size(parts)))
		return json_pack("{s:I,s:o}", "epoch", epoch, "needs_restart", restart_keys(l));

	/* Asked first: what is refused must leave no trace on disk that a restart would run. */
	if (!publish_has_room(l->publish))
		return control_fail(
		    error, "busy", "Earlier policies are still in use by a silent worker.");
	rc = policy_store_take(
	    l->store, (uint32_t)epoch, offers, (unsigned)json_array_size(parts), &gen, &why);
	if (rc != LOAD_OK) {
		control_fail(error, load_words[rc], "%s", why ? why : "No memory.");
		free(why);
		return NULL;
	}
	if (live_lists_attach(l, gen->policy) != 0) {
		generation_put(l->store, gen);
		return control_fail(error, "too_many_lists",
		    "With those that still have run-time entries these are more lists than 255.");
	}
	if (policy_store_write(l->store, gen, &why) != 0) {
		control_fail(error, "not_kept", "%s.", why ? why : "No memory");
		free(why);
		generation_put(l->store, gen);
		return NULL;
	}
	if (live_restart_prints(gen->policy, &prints) == 0)
		live_restart_difference(
		    &l->taken, &prints, l->needs_restart, sizeof(l->needs_restart));
	carry_drained(l, l->running->policy, gen->policy);
	(void)publish_set(l->publish, gen); /* there is room: only this thread takes it */
	l->running = gen;
	stats_file_policy(l->stats, gen->policy);
	live_grey_policy(l, gen->policy);
	live_waves_policy(gen->policy);
	live_bans_policy(l, gen->policy);
	live_memory_policy(l, gen->policy);
	live_resolver_policy(l, gen->policy);
	for (unsigned i = 0; i < l->n_workers; i++)
		live_order(l, i);
	events_tell(l->events, hw_now_ns(), "policy", "epoch %u published", gen->epoch);
	return json_pack("{s:I,s:o}", "epoch", epoch, "needs_restart", restart_keys(l));
}

/* Something that the manager wants among the events: an alarm, an acknowledgement. */
static json_t *event(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	static const char word_chars[] = "abcdefghijklmnopqrstuvwxyz-";
	struct live *l = arg;
	const char *word = json_string_value(json_object_get(params, "word"));
	const char *text = json_string_value(json_object_get(params, "text"));

	(void)fds, (void)n_fds;
	if (!word || !text || *word == '\0' || strlen(word) > 32 ||
	    word[strspn(word, word_chars)] != '\0')
		return control_fail(
		    error, "bad_params", "`word` is of 1 to 32 letters and `-`, `text` is a text.");
	events_tell(l->events, hw_now_ns(), word, "%s", text);
	return json_object();
}

const struct control_method live_methods[] = {
	{ "hello", hello },
	{ "policy.load", policy_load },
	{ "status", status },
	{ "drain", drain },
	{ "hand_over", live_hand_over },
	{ "backend.drain", backend_drain },
	{ "event", event },
	{ "pass_all.set", live_pass_set },
	{ "rule.list", live_rule_list },
	{ "relay.test", live_relay_test },
	{ "waves.show", live_waves_show },
	{ "token.read", live_token_read },
	{ "explain.now", live_explain_now },
	{ "dns.lists", live_dns_lists },
	{ "dns.lookup", live_dns_lookup },
	{ "dns.flush", live_dns_flush },
	{ "dns.resume", live_dns_resume },
	{ "memory.show", live_memory_show },
	{ "memory.forget", live_memory_forget },
	{ "memory.release", live_memory_release },
	{ "grey.show", live_grey_show },
	{ "grey.add", live_grey_add },
	{ "grey.del", live_grey_del },
	{ "grey.stats", live_grey_stats },
	{ "grey.export", live_grey_export },
	{ "grey.import", live_grey_import },
	{ NULL, NULL },
};

struct control_method *live_all_methods(void)
{
	static const struct control_method *const tables[] = { live_methods, live_list_methods,
		live_seeing_methods };
	size_t n = 0;
	struct control_method *all;

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct control_method *m = tables[t]; m->name; m++)
			n++;
	all = calloc(n + 1, sizeof(*all));
	n = 0;
	for (size_t t = 0; all && t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct control_method *m = tables[t]; m->name; m++)
			all[n++] = *m;
	return all;
}
