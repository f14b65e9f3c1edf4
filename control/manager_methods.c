/* SPDX-License-Identifier: BSD-3-Clause */
/* The methods of the control socket: one row each with the role it takes (README.md, "Sockets"). */
#include "manager.h"
#include "rpc.h"
#include "stats_view.h"

#include "postern_version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void method_serve(struct manager *m, int call, const json_t *params);

int manager_call(struct manager *m, server_client client, json_t *id)
{
	for (int i = 0; i < MANAGER_MAX_CALLS; i++) {
		if (m->calls[i].used)
			continue;
		m->calls[i] = (struct call){ true, client, json_incref(id) };
		return i;
	}
	return -1;
}

static void answer(struct manager *m, int index, char *line)
{
	struct call *call = &m->calls[index];
	struct call was = *call;
	*call = (struct call){ 0 };
	if (was.id == NULL)
		free(line);
	else
		server_send(m->server, was.client, line, m->now_ms);
	json_decref(was.id);
}

void manager_reply(struct manager *m, int call, json_t *result)
{
	if (call < 0)
		json_decref(result);
	else
		answer(m, call, rpc_result(m->calls[call].id, result));
}

void manager_fail(struct manager *m, int call, int code, const char *message, json_t *data)
{
	if (call < 0)
		json_decref(data);
	else
		answer(m, call, rpc_failure(m->calls[call].id, code, message, data));
}

/* ---- methods ---- */

static void serve_version(struct manager *m, int call, const json_t *params)
{
	(void)params;
	manager_reply(m, call,
	    json_pack("{s:s, s:s?}", "manager", POSTERN_VERSION, "dataplane",
		json_string_value(json_object_get(m->hello, "build"))));
}

static json_t *status_of(struct manager *m, const json_t *dataplane)
{
	json_t *manager = json_pack("{s:s, s:i, s:I, s:s, s:I, s:b, s:i, s:s?}", "version",
	    POSTERN_VERSION, "pid", (int)getpid(), "uptime_s",
	    (json_int_t)((m->now_ms - m->started_ms) / 1000), "config", m->options->config, "epoch",
	    (json_int_t)(m->current == NULL ? 0 : m->current->header.epoch), "in_force", m->synced,
	    "clients", (int)server_clients(m->server), "problem", m->problem);
	json_t *plane = dataplane == NULL ? json_object() : json_deep_copy(dataplane);
	json_object_set_new(plane, "connected", json_boolean(m->hello != NULL));
	if (m->hello != NULL) {
		json_object_set(plane, "build", json_object_get(m->hello, "build"));
		json_object_set(plane, "pid", json_object_get(m->hello, "pid"));
	}
	return json_pack("{s:o, s:o}", "manager", manager, "dataplane", plane);
}

static void on_status(void *arg, uint64_t tag, const struct link_answer *a)
{
	struct manager *m = arg;
	manager_reply(m, (int)tag, status_of(m, a->result));
}

static void serve_status(struct manager *m, int call, const json_t *params)
{
	(void)params;
	if (m->hello == NULL || link_ask(&m->link, "status", NULL, NULL, 0, MANAGER_ASK_MS,
				    m->now_ms, on_status, (uint64_t)call) != 0)
		manager_reply(m, call, status_of(m, NULL));
}

static void serve_stats(struct manager *m, int call, const json_t *params)
{
	struct stats_file *file = NULL;
	char *path = NULL;
	(void)params;
	int ret = asprintf(&path, "%s/stats", m->options->run) < 0 ? -ENOMEM
								   : stats_view_read(path, &file);
	if (ret == 0)
		manager_reply(m, call, stats_view_json(file));
	else
		manager_fail(m, call, RPC_NO_DATAPLANE,
		    ret == -EBADMSG
			? "The statistics file has another layout than this manager reads."
			: "There is no statistics file; has the dataplane started?",
		    NULL);
	free(file);
	free(path);
}

/* The parameter `path`; NULL with the failure sent. */
static const char *path_of(struct manager *m, int call, const json_t *params)
{
	const char *path = json_string_value(json_object_get(params, "path"));
	if (path != NULL && *path == '/')
		return path;
	manager_fail(
	    m, call, RPC_INVALID_PARAMS, "The parameter path must be an absolute path.", NULL);
	return NULL;
}

static void serve_load(struct manager *m, int call, const json_t *params)
{
	const char *path = path_of(m, call, params);
	if (path != NULL)
		manager_load(m, path, call);
}

static void serve_reload(struct manager *m, int call, const json_t *params)
{
	(void)params;
	manager_load(m, m->options->config, call);
}

static void serve_check(struct manager *m, int call, const json_t *params)
{
	const char *path = path_of(m, call, params);
	struct complaints complaints;
	if (path == NULL)
		return;
	complaints_init(&complaints);
	struct image *image = image_from_file(path, 1, &complaints);
	if (image == NULL) {
		char *text = complaints_text(&complaints);
		manager_fail(m, call, RPC_BAD_CONFIG,
		    text == NULL ? "The configuration is wrong." : text,
		    complaints_json(&complaints));
		free(text);
	} else {
		manager_reply(m, call,
		    json_pack("{s:b, s:I}", "changes",
			m->current == NULL || !image_same(image, m->current), "addresses",
			(json_int_t)image->n_addresses));
	}
	image_free(image);
	complaints_fini(&complaints);
}

static void on_drain(void *arg, uint64_t tag, const struct link_answer *a)
{
	struct manager *m = arg;
	if (a->result != NULL)
		manager_reply(m, (int)tag, json_object());
	else
		manager_fail(m, (int)tag, RPC_DATAPLANE_REFUSED, a->message,
		    json_pack("{s:s}", "code", a->code));
}

static void serve_drain(struct manager *m, int call, const json_t *params)
{
	(void)params;
	if (link_ask(&m->link, "drain", NULL, NULL, 0, MANAGER_ASK_MS, m->now_ms, on_drain,
		(uint64_t)call) != 0)
		manager_fail(m, call, RPC_NO_DATAPLANE, "The dataplane is not connected.", NULL);
	else
		manager_log("drain asked for");
}

static const struct method {
	const char *name;
	enum role role; /* the least that may call it */
	method_serve *serve;
} methods[] = {
	{ "version", ROLE_VIEWER, serve_version },
	{ "status", ROLE_VIEWER, serve_status },
	{ "stats", ROLE_VIEWER, serve_stats },
	{ "policy.check", ROLE_ADMIN, serve_check },
	{ "policy.load", ROLE_ADMIN, serve_load },
	{ "policy.reload", ROLE_OPERATOR, serve_reload },
	{ "drain", ROLE_OPERATOR, serve_drain },
};

bool manager_line(
    void *arg, server_client client, enum role role, uint32_t uid, const char *line, size_t len)
{
	struct manager *m = arg;
	struct rpc_request request;
	const struct method *method = NULL;
	const char *why;
	int code = rpc_read(line, len, &request, &why);
	bool answered = true;
	(void)uid;
	for (size_t i = 0; code == 0 && i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, request.method) == 0)
			method = &methods[i];
	if (code == 0 && method == NULL) {
		code = RPC_METHOD_NOT_FOUND;
		why = "There is no such method.";
	} else if (code == 0 && role < method->role) {
		code = RPC_FORBIDDEN;
		why = method->role == ROLE_ADMIN      ? "This takes the role admin."
		      : method->role == ROLE_OPERATOR ? "This takes the role operator."
						      : "This takes the role viewer.";
	}
	int call = code != 0 ? -1 : manager_call(m, client, request.id);
	if (code == 0 && call < 0) {
		code = RPC_BUSY;
		why = "Too many requests wait for the dataplane.";
	}
	if (code == 0) {
		answered = request.id != NULL;
		method->serve(m, call, request.params);
	} else {
		bool mute =
		    request.id == NULL && request.method != NULL && code != RPC_INVALID_REQUEST;
		if (!mute)
			server_send(
			    m->server, client, rpc_failure(request.id, code, why, NULL), m->now_ms);
		answered = !mute;
	}
	rpc_request_fini(&request);
	return answered;
}
