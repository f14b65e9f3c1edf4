/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `explain`: the dataplane reads the token (it alone has the key), the event log gives the record,
 * the history the policy of its epoch, the dataplane again what would happen now. Log and image are
 * read in the job thread (job.h): both may be large.
 */
#include "eventlog.h"
#include "explain.h"
#include "history.h"
#include "inet.h"
#include "methods.h"
#include "rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXPLAIN_LIMIT = 5, EXPLAIN_LIMIT_MAX = 50, EXPLAIN_OPEN_S = 900 };

struct explain {
	struct job job; /* first: found from it */
	int call;
	char *path, *state;         /* path NULL: no log is kept */
	char client[INET_TEXT_MAX]; /* "": any */
	json_t *token;              /* of token.read; NULL: an address is explained */
	int64_t until_ms;
	unsigned limit;
	uint32_t running;
	json_t *now; /* of explain.now; NULL: the dataplane is away */
	/* found by the job */
	json_t *result;
	int error;
};

static void explain_free(struct explain *e)
{
	free(e->path);
	free(e->state);
	json_decref(e->token);
	json_decref(e->now);
	json_decref(e->result);
	free(e);
}

/* ---- in the job thread ---- */

static const char *text_in(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

/* The policy of an epoch, without its patterns: what they are called stands among the rules. */
struct past {
	struct image *image;
	struct policy *policy;
};

static void past_close(struct past *past)
{
	policy_close(past->policy);
	image_free(past->image);
	*past = (struct past){ 0 };
}

static void past_open(const char *state, uint32_t epoch, struct past *past)
{
	const char *why;
	*past = (struct past){ 0 };
	if (history_image(state, epoch, &past->image) != 0) {
		past->image = NULL;
		return;
	}
	if (policy_open(past->image->parts, past->image->n_parts, epoch, &past->policy, &why) != 0)
		past->policy = NULL;
}

/* Row of history: who made the epoch, when and why. */
static json_t *epoch_of(const char *state, uint32_t epoch, bool kept)
{
	json_t *row = history_row(state, epoch),
	       *one = json_pack("{s:I}", "epoch", (json_int_t)epoch);
	static const char *const keys[] = { "time", "user", "how", "reason", "path" };
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(row, keys[i]) != NULL)
			json_object_set(one, keys[i], json_object_get(row, keys[i]));
	json_object_set_new(one, "kept", json_boolean(kept));
	json_decref(row);
	return one;
}

/* Everything about one record; event NULL: about a token alone. */
static json_t *explained(
    const struct explain *e, const json_t *event, const char *reason, uint32_t epoch)
{
	struct past past;
	past_open(e->state, epoch, &past);
	const char *client = event == NULL ? e->client : text_in(event, "client");
	json_t *one = json_object();
	json_object_set_new(one, "epoch", epoch_of(e->state, epoch, past.policy != NULL));
	json_object_set_new(one, "reason", explain_reason(reason));
	json_object_set_new(one, "rules", explain_rules(past.policy, event, "rules"));
	json_object_set_new(one, "shadow", explain_rules(past.policy, event, "shadow"));
	json_object_set_new(
	    one, "thresholds", past.policy == NULL ? json_null() : explain_score(past.policy));
	json_object_set_new(one, "list",
	    past.policy == NULL || *client == '\0' ? json_null()
						   : explain_list(past.policy, client));
	json_object_set_new(one, "next",
	    explain_next(past.policy, reason, *client == '\0' ? NULL : client,
		json_object_get(one, "rules"), e->now));
	past_close(&past);
	return one;
}

/* Why no record is found, as far as can be known. */
static const char *missing(
    const struct explain *e, int64_t minute, unsigned session, int64_t oldest_ms)
{
	int64_t now_s = (int64_t)time(NULL);
	if (e->path == NULL)
		return "no_log";
	if (oldest_ms > (minute + 1) * 60000)
		return "too_old";
	if (session == 0)
		return "not_sampled";
	return now_s - minute * 60 < EXPLAIN_OPEN_S ? "not_yet" : "lost";
}

static void run_token(struct explain *e)
{
	const struct explain_token t = {
		.reason = text_in(e->token, "reason"),
		.epoch = (unsigned)json_integer_value(json_object_get(e->token, "epoch")),
		.minute = json_integer_value(json_object_get(e->token, "minute")),
		.session = (unsigned)json_integer_value(json_object_get(e->token, "session")),
	};
	uint32_t epoch = explain_epoch(t.epoch, e->running);
	int64_t oldest_ms = INT64_MAX;
	json_t *events = NULL;
	if (e->path != NULL)
		e->error = explain_find_token(
		    e->path, &t, *e->client == '\0' ? NULL : e->client, &events, &oldest_ms);
	if (events == NULL)
		events = json_array();
	size_t n = json_array_size(events);
	/* of SYNs refused in that minute one may be another's: only a named client's is told of */
	json_t *event = n == 1 || (n > 1 && *e->client != '\0') ? json_array_get(events, 0) : NULL;
	if (t.session == 0 && *e->client == '\0')
		event = NULL;
	json_t *result = json_pack("{s:{s:s, s:I, s:I, s:I}, s:s, s:I}", "token", "reason",
	    t.reason, "epoch", (json_int_t)epoch, "time", (json_int_t)(t.minute * 60), "session",
	    (json_int_t)t.session, "record",
	    event != NULL ? "found"
	    : n > 0       ? "several"
			  : missing(e, t.minute, t.session, oldest_ms),
	    "fitting", (json_int_t)n);
	json_t *clients = json_array();
	for (size_t i = 0; i < n && event == NULL; i++)
		json_array_append(clients, json_object_get(json_array_get(events, i), "client"));
	json_object_set_new(result, "clients", clients);
	json_object_set(result, "event", event == NULL ? json_null() : event);
	json_object_set_new(result, "explained", explained(e, event, t.reason, epoch));
	if (event != NULL && *e->client == '\0')
		snprintf(e->client, sizeof(e->client), "%s", text_in(event, "client"));
	json_decref(events);
	e->result = result;
}

static void run_client(struct explain *e)
{
	json_t *events = NULL, *sessions = json_array();
	if (e->path != NULL)
		e->error = explain_find_client(e->path, e->client, e->until_ms, e->limit, &events);
	for (size_t i = 0; i < json_array_size(events); i++) {
		json_t *event = json_array_get(events, i);
		uint32_t epoch = (uint32_t)json_integer_value(json_object_get(event, "epoch"));
		/* one image opened: the newest record's, the rest by name */
		json_array_append_new(sessions,
		    json_pack("{s:O, s:o}", "event", event, "explained",
			i == 0 ? explained(e, event, text_in(event, "reason"), epoch) : json_null()));
	}
	json_decref(events);
	const char *now_reason = text_in(json_object_get(e->now, "syn"), "reason");
	const json_t *connect = json_object_get(e->now, "connect");
	if (json_is_object(connect))
		now_reason = text_in(connect, "reason");
	json_t *rules = json_array();
	json_t *next = explain_next(NULL, now_reason, e->client, rules, e->now);
	if (json_integer_value(json_object_get(e->now, "dns_lists")) > 0) {
		char text[128];
		snprintf(text, sizeof(text), "posternctl dns lookup %s", e->client);
		json_array_append_new(next, json_string(text));
	}
	json_decref(rules);
	e->result = json_pack("{s:s, s:s, s:o, s:o}", "client", e->client, "record",
	    e->path == NULL                 ? "no_log"
	    : json_array_size(sessions) > 0 ? "found"
					    : "none",
	    "sessions", sessions, "next", next);
}

static void run(struct job *job)
{
	struct explain *e = (struct explain *)job;
	if (e->token != NULL)
		run_token(e);
	else
		run_client(e);
}

/* ---- in the manager's ---- */

/* What would happen now has come, or cannot: the last step for a token, the first for an address. */
static void start(struct manager *m, struct explain *e);
static void finish(struct manager *m, struct explain *e)
{
	json_t *result = json_incref(e->result);
	json_object_set(result, "now", e->now == NULL ? json_null() : e->now);
	if (e->token != NULL && e->now != NULL) {
		/* now it is known what holds the address */
		json_t *one = json_object_get(result, "explained");
		json_t *all = explain_next(NULL, text_in(e->token, "reason"), e->client,
		    json_object_get(one, "rules"), e->now);
		const json_t *old = json_object_get(one, "next");
		for (size_t i = 0; i < json_array_size(old); i++) {
			json_t *text = json_array_get(old, i);
			bool have =
			    strncmp(json_string_value(text), "posternctl list show", 20) == 0 &&
			    json_array_size(all) > 0;
			for (size_t j = 0; j < json_array_size(all) && !have; j++)
				have = json_equal(json_array_get(all, j), text);
			if (!have)
				json_array_append(all, text);
		}
		json_object_set_new(one, "next", all);
	}
	manager_reply(m, e->call, result);
	explain_free(e);
}

static void on_now(void *arg, uint64_t tag, const struct link_answer *a)
{
	struct explain *e = (struct explain *)(uintptr_t)tag;
	if (a->result != NULL)
		e->now = json_deep_copy(a->result);
	if (e->token != NULL)
		finish(arg, e);
	else
		start(arg, e);
}

static void ask_now(struct manager *m, struct explain *e)
{
	const struct link_answer away = { NULL, "unreachable", "" };
	if (*e->client == '\0' ||
	    link_ask(&m->link, "explain.now", json_pack("{s:s}", "client", e->client), NULL, 0,
		MANAGER_ASK_MS, m->now_ms, on_now, (uint64_t)(uintptr_t)e) != 0)
		on_now(m, (uint64_t)(uintptr_t)e, &away);
}

static void done(void *arg, struct job *job)
{
	struct manager *m = arg;
	struct explain *e = (struct explain *)job;
	char why[160];
	if (e->error != 0) {
		snprintf(why, sizeof(why), "The event log cannot be read: %s.", strerror(-e->error));
		manager_fail(m, e->call, RPC_INTERNAL, why, NULL);
		explain_free(e);
	} else if (e->token != NULL) {
		ask_now(m, e);
	} else {
		finish(m, e);
	}
}

static void start(struct manager *m, struct explain *e)
{
	e->job = (struct job){ .run = run, .done = done };
	if (jobs_add(m->jobs, &e->job) == 0)
		return;
	manager_fail(m, e->call, RPC_BUSY, "Too much is under way; try again.", NULL);
	explain_free(e);
}

static void on_token(void *arg, uint64_t tag, const struct link_answer *a)
{
	struct manager *m = arg;
	struct explain *e = (struct explain *)(uintptr_t)tag;
	const char *why = NULL;
	int code = RPC_INVALID_PARAMS;
	if (a->result == NULL) {
		why = a->message;
		code = strcmp(a->code, "unreachable") == 0 || strcmp(a->code, "timeout") == 0
			   ? RPC_NO_DATAPLANE
			   : RPC_DATAPLANE_REFUSED;
	} else if (strcmp(text_in(a->result, "why"), "malformed") == 0) {
		why =
		    "That is no token: it has 18 letters and digits, without I, L, O and U, as in "
		    "[4K7...] of a reply.";
	} else if (!json_is_true(json_object_get(a->result, "valid"))) {
		why = "The token is not of this appliance: another box made it, or this one before "
		      "its "
		      "STATE/token.key was replaced; or a character is mistyped.";
	}
	if (why != NULL) {
		manager_fail(m, e->call, code, why, NULL);
		explain_free(e);
		return;
	}
	e->token = json_deep_copy(a->result);
	e->running = (uint32_t)json_integer_value(json_object_get(a->result, "running_epoch"));
	start(m, e);
}

static bool read_client(struct manager *m, int call, const char *client, char *ret_text)
{
	uint8_t addr[16];
	const char *wrong = inet_parse_address(client, strlen(client), addr);
	char why[256];
	if (wrong == NULL) {
		inet_print(addr, ret_text); /* as the log has it */
		return true;
	}
	snprintf(why, sizeof(why), "\"%.64s\" is no address: %s.", client, wrong);
	manager_fail(m, call, RPC_INVALID_PARAMS, why, NULL);
	return false;
}

static void serve_explain(struct manager *m, int call, const json_t *params)
{
	const char *token, *client;
	json_int_t at = 0, limit = EXPLAIN_LIMIT;
	char text[INET_TEXT_MAX] = "";
	if (!method_text(m, call, params, "token", false, &token) ||
	    !method_text(m, call, params, "client", false, &client) ||
	    !method_number(m, call, params, "at", false, 1ll << 40, &at) ||
	    (json_object_get(params, "limit") != NULL &&
		!method_number(m, call, params, "limit", true, EXPLAIN_LIMIT_MAX, &limit)))
		return;
	if (token == NULL && client == NULL) {
		manager_fail(
		    m, call, RPC_INVALID_PARAMS, "A token or an address (client) is wanted.", NULL);
		return;
	}
	if (client != NULL && !read_client(m, call, client, text))
		return;
	struct explain *e = calloc(1, sizeof(*e));
	const char *path = manager_events_path(m);
	if (e != NULL) {
		e->call = call;
		e->until_ms = at == 0 ? INT64_MAX : at * 1000;
		e->limit = (unsigned)limit;
		e->state = strdup(m->options->state);
		e->path = path == NULL ? NULL : strdup(path);
		memcpy(e->client, text, sizeof(e->client));
	}
	if (e == NULL || e->state == NULL || (path != NULL && e->path == NULL)) {
		manager_fail(m, call, RPC_INTERNAL, "No memory.", NULL);
		if (e != NULL)
			explain_free(e);
		return;
	}
	if (token == NULL) {
		ask_now(m, e);
		return;
	}
	if (link_ask(&m->link, "token.read", json_pack("{s:s}", "token", token), NULL, 0,
		MANAGER_ASK_MS, m->now_ms, on_token, (uint64_t)(uintptr_t)e) == 0)
		return;
	manager_fail(m, call, RPC_NO_DATAPLANE,
	    "The dataplane is not connected, and it alone has the key that reads tokens "
	    "(STATE/token.key); an address can be explained meanwhile.",
	    NULL);
	explain_free(e);
}

const struct method methods_explain[] = {
	{ "explain", ROLE_VIEWER, serve_explain,
	    "`{\"token\":text,\"client\":address,\"at\":unix seconds,\"limit\":N}`: a token, an "
	    "address, or a token of that address",
	    "of a token "
	    "`{\"token\":{\"reason\",\"epoch\",\"time\",\"session\"},\"record\":\"found\"\\|"
	    "\"several\"\\|\"not_sampled\"\\|\"not_yet\"\\|\"too_old\"\\|\"lost\"\\|\"no_log\","
	    "\"fitting\":N,\"clients\":[...],\"event\":{...},\"explained\":{\"epoch\",\"reason\","
	    "\"rules\",\"shadow\",\"thresholds\",\"list\",\"next\":[command...]},\"now\":{...}}`; "
	    "of an "
	    "address "
	    "`{\"client\",\"record\",\"sessions\":[{\"event\",\"explained\"}],\"next\",\"now\"}`; "
	    "`now`: `explain.now` of the dataplane",
	    false, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
