/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Methods that look at what goes on: the event log, open sessions, captures (methods.h). Sessions
 * come from the dataplane in pages, as many as its packets need; here they are filtered and put
 * together. Captures are its own.
 */
#include "eventfilter.h"
#include "eventlog.h"
#include "events_stream.h"
#include "methods.h"
#include "rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSIONS_LIMIT = 100, SESSIONS_LIMIT_MAX = 10000 };

const char *manager_events_path(struct manager *m)
{
	const char *told = json_string_value(json_object_get(m->hello, "events"));
	if (told != NULL && (m->events_path == NULL || strcmp(told, m->events_path) != 0)) {
		free(m->events_path);
		m->events_path = strdup(told);
	}
	if (m->hello != NULL && told == NULL)
		return NULL; /* it keeps none */
	if (m->events_path == NULL &&
	    asprintf(&m->events_path, "%s/events.jsonl", m->options->state) < 0)
		m->events_path = NULL;
	return m->events_path;
}

static bool read_filter(
    struct manager *m, int call, const json_t *params, struct eventfilter **ret_filter)
{
	char why[EVENTFILTER_WHY_MAX], text[EVENTFILTER_WHY_MAX + 64];
	const char *filter;
	if (!method_text(m, call, params, "filter", false, &filter))
		return false;
	*ret_filter = NULL;
	if (filter == NULL || (*ret_filter = eventfilter_new(filter, why)) != NULL)
		return true;
	snprintf(text, sizeof(text), "The filter makes no sense: %s.", why);
	manager_fail(m, call, RPC_INVALID_PARAMS, text, NULL);
	return false;
}

/* ---- events ---- */

static void serve_subscribe(struct manager *m, int call, const json_t *params)
{
	const char *path = manager_events_path(m);
	json_int_t since_s = 0, limit = 0;
	char text[256];
	unsigned id;
	struct stream_order order = { .path = path,
		.since_ms = EVENTLOG_OLDEST,
		.follow = json_is_true(json_object_get(params, "follow")) };
	if (call < 0 || m->calls[call].then != NULL) {
		manager_fail(m, call, RPC_INVALID_PARAMS, "No part of a transaction.", NULL);
		return;
	}
	if (!method_number(m, call, params, "since_s", false, 10ll * 366 * 86400, &since_s) ||
	    !method_number(m, call, params, "limit", false, STREAM_LIMIT_MAX, &limit) ||
	    !read_filter(m, call, params, &order.filter))
		return;
	order.client = m->calls[call].client;
	order.limit = (uint64_t)limit;
	if (json_object_get(params, "since_s") != NULL)
		order.since_ms = (manager_time() - since_s) * 1000;
	else if (limit == 0)
		order.since_ms = EVENTLOG_END;
	if (path == NULL) {
		eventfilter_free(order.filter);
		manager_fail(m, call, RPC_NO_DATAPLANE,
		    "The dataplane keeps no events: it was started with --events none or -.", NULL);
		return;
	}
	int ret = streams_add(m->streams, &order, &id);
	if (ret == 0) {
		manager_reply(
		    m, call, json_pack("{s:I, s:s}", "stream", (json_int_t)id, "path", path));
		return;
	}
	if (ret == -EBUSY)
		snprintf(
		    text, sizeof(text), "%d streams of events are open; try again.", STREAMS_MAX);
	else
		snprintf(text, sizeof(text), "The event log cannot be read: %s.", strerror(-ret));
	manager_fail(m, call, ret == -EBUSY ? RPC_BUSY : RPC_INTERNAL, text, NULL);
}

static void serve_unsubscribe(struct manager *m, int call, const json_t *params)
{
	json_int_t id;
	if (!method_number(m, call, params, "stream", true, UINT32_MAX, &id))
		return;
	if (call >= 0 && streams_remove(m->streams, m->calls[call].client, (unsigned)id))
		manager_reply(m, call, json_object());
	else
		manager_fail(m, call, RPC_INVALID_PARAMS, "You have no such stream.", NULL);
}

/* ---- sessions ---- */

struct look {
	struct manager *m;
	int call;
	struct eventfilter *filter;
	json_int_t limit;
	json_t *rows;
	json_int_t met, held, silent, matched;
};

static void look_end(struct look *l)
{
	eventfilter_free(l->filter);
	json_decref(l->rows);
	free(l);
}

static void ask_page(struct look *l, json_t *params);

static void on_page(void *arg, uint64_t tag, const struct link_answer *a)
{
	struct manager *m = arg;
	struct look *l = (struct look *)(uintptr_t)tag;
	if (a->result == NULL) {
		bool away = strcmp(a->code, "unreachable") == 0 || strcmp(a->code, "timeout") == 0;
		manager_fail(m, l->call, away ? RPC_NO_DATAPLANE : RPC_DATAPLANE_REFUSED,
		    a->message, away ? NULL : json_pack("{s:s}", "code", a->code));
		look_end(l);
		return;
	}
	const json_t *rows = json_object_get(a->result, "sessions");
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		if (!eventfilter_holds(l->filter, row))
			continue;
		l->matched++;
		if ((json_int_t)json_array_size(l->rows) < l->limit)
			json_array_append(l->rows, row);
	}
	l->met = json_integer_value(json_object_get(a->result, "met"));
	l->held = json_integer_value(json_object_get(a->result, "held"));
	json_int_t next = json_integer_value(json_object_get(a->result, "next"));
	json_t *look = json_object_get(a->result, "look");
	if (next > 0) {
		ask_page(l, json_pack("{s:I, s:O}", "from", next, "look", look));
		return;
	}
	l->silent += json_integer_value(json_object_get(a->result, "silent_workers"));
	manager_reply(m, l->call,
	    json_pack("{s:O, s:I, s:I, s:I, s:I}", "sessions", l->rows, "matched", l->matched,
		"looked_at", l->held, "open", l->met, "silent_workers", l->silent));
	look_end(l);
}

static void ask_page(struct look *l, json_t *params)
{
	struct manager *m = l->m;
	int ret = link_ask(&m->link, "sessions", params, NULL, 0, MANAGER_ASK_MS, m->now_ms,
	    on_page, (uint64_t)(uintptr_t)l);
	if (ret == 0)
		return;
	if (ret == -ENOTCONN)
		manager_fail(m, l->call, RPC_NO_DATAPLANE, "The dataplane is not connected.", NULL);
	else
		manager_fail(
		    m, l->call, RPC_BUSY, "Too many requests wait for the dataplane.", NULL);
	look_end(l);
}

static void serve_sessions(struct manager *m, int call, const json_t *params)
{
	struct eventfilter *filter = NULL;
	json_int_t limit = SESSIONS_LIMIT;
	if ((json_object_get(params, "limit") != NULL &&
		!method_number(m, call, params, "limit", true, SESSIONS_LIMIT_MAX, &limit)) ||
	    !read_filter(m, call, params, &filter))
		return;
	struct look *l = calloc(1, sizeof(*l));
	if (l == NULL) {
		eventfilter_free(filter);
		manager_fail(m, call, RPC_INTERNAL, "No memory.", NULL);
		return;
	}
	*l = (struct look){
		.m = m, .call = call, .filter = filter, .limit = limit, .rows = json_array()
	};
	const char *client = eventfilter_client(filter);
	ask_page(l, client == NULL ? json_object() : json_pack("{s:s}", "client", client));
}

const struct method methods_events[] = {
	{ "events.subscribe", ROLE_VIEWER, serve_subscribe,
	    "`{\"filter\":text,\"since_s\":N,\"limit\":N,\"follow\":bool}`",
	    "`{\"stream\":N,\"path\":text}`, then notifications `events.event` "
	    "`{\"stream\",\"event\":{...}}`, `events.lost` `{\"stream\",\"n\"}`, and `events.end` "
	    "when it does not follow; `limit`: of the past the newest so many",
	    false, NULL, false },
	{ "events.unsubscribe", ROLE_VIEWER, serve_unsubscribe, "`{\"stream\":N}`", "`{}`", false,
	    NULL, false },
	{ "sessions", ROLE_VIEWER, serve_sessions, "`{\"filter\":text,\"limit\":N}`",
	    "`{\"sessions\":[{\"client\",\"client_port\",\"worker\",\"listener\",\"state\","
	    "\"phase\",\"verdict\",\"reason\",\"age_ms\",\"messages\",\"rcpts\",\"code\","
	    "\"commands\",\"rules\",\"score\",\"bytes_in\",\"bytes_out\",\"helo\",\"mail\","
	    "\"server\"}],\"matched\",\"looked_at\",\"open\",\"silent_workers\"}`",
	    false, NULL, false },
	{ "capture.start", ROLE_ADMIN, method_relay,
	    "`{\"client\":prefix,\"packets\":N,\"for_s\":N}`",
	    "`{\"id\":N,\"over\":bool,\"why\":text\\|null,\"packets\",\"bytes\",\"lost\"}`", true,
	    NULL, false },
	{ "capture.status", ROLE_ADMIN, method_relay, "`{\"id\":N}`", "as `capture.start`", false,
	    NULL, false },
	{ "capture.stop", ROLE_ADMIN, method_relay, "`{\"id\":N}`", "as `capture.start`", true,
	    NULL, false },
	{ "capture.read", ROLE_ADMIN, method_relay, "`{\"id\":N,\"offset\":N}`",
	    "`{\"offset\":N,\"data\":base64,\"end\":bool}`: a piece of the pcapng file, once it is "
	    "over",
	    false, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
