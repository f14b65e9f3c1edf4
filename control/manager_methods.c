/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls of the control socket's methods (methods.h): found, allowed, served, answered. */
#include "methods.h"
#include "rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct method *const tables[] = { methods_seeing, methods_config, methods_running };
enum { N_TABLES = sizeof(tables) / sizeof(tables[0]) };

const struct method *method_at(unsigned index)
{
	for (unsigned t = 0; t < N_TABLES; t++)
		for (const struct method *one = tables[t]; one->name != NULL; one++)
			if (index-- == 0)
				return one;
	return NULL;
}

const struct method *method_find(const char *name)
{
	const struct method *one;
	for (unsigned i = 0; (one = method_at(i)) != NULL; i++)
		if (strcmp(one->name, name) == 0)
			return one;
	return NULL;
}

/* ---- calls ---- */

static int call_new(struct manager *m, server_client client, const struct rpc_request *request,
    const struct method *method, enum role role, uint32_t uid)
{
	for (int i = 0; i < MANAGER_MAX_CALLS; i++) {
		if (m->calls[i].method != NULL)
			continue;
		m->calls[i] = (struct call){ .method = method,
			.client = client,
			.role = role,
			.uid = uid,
			.id = json_incref(request->id),
			.params = json_incref(request->params) };
		return i;
	}
	return -1;
}

static void answer(struct manager *m, int index, char *line)
{
	struct call was = m->calls[index];
	m->calls[index] = (struct call){ 0 };
	if (was.id == NULL)
		free(line);
	else
		server_send(m->server, was.client, line, m->now_ms);
	json_decref(was.id);
	json_decref(was.params);
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

void manager_calls_fini(struct manager *m)
{
	for (int i = 0; i < MANAGER_MAX_CALLS; i++) {
		json_decref(m->calls[i].id);
		json_decref(m->calls[i].params);
	}
}

/* ---- for serve() ---- */

static void on_forwarded(void *arg, uint64_t tag, const struct link_answer *a)
{
	struct manager *m = arg;
	int call = (int)tag;
	forward_done *done = m->calls[call].done;
	if (a->result != NULL) {
		json_t *result = json_deep_copy(a->result);
		if (done != NULL)
			done(m, call, result);
		manager_reply(m, call, result);
	} else if (strcmp(a->code, "unreachable") == 0 || strcmp(a->code, "timeout") == 0) {
		manager_fail(m, call, RPC_NO_DATAPLANE, a->message, NULL);
	} else {
		manager_fail(m, call, RPC_DATAPLANE_REFUSED, a->message,
		    json_pack("{s:s}", "code", a->code));
	}
}

void manager_forward(
    struct manager *m, int call, const char *method, const json_t *params, forward_done *done)
{
	m->calls[call].done = done;
	int ret = link_ask(&m->link, method, params == NULL ? NULL : json_deep_copy(params), NULL,
	    0, MANAGER_ASK_MS, m->now_ms, on_forwarded, (uint64_t)call);
	if (ret == -ENOTCONN)
		manager_fail(m, call, RPC_NO_DATAPLANE, "The dataplane is not connected.", NULL);
	else if (ret == -EMSGSIZE)
		manager_fail(m, call, RPC_INVALID_PARAMS,
		    "The parameters are too long for the dataplane: 65,536 bytes at most.", NULL);
	else if (ret != 0)
		manager_fail(m, call, RPC_BUSY, "Too many requests wait for the dataplane.", NULL);
}

void method_relay(struct manager *m, int call, const json_t *params)
{
	manager_forward(m, call, m->calls[call].method->name, params, NULL);
}

bool method_text(struct manager *m, int call, const json_t *params, const char *name, bool needed,
    const char **ret_text)
{
	char why[128];
	const json_t *value = json_object_get(params, name);
	bool given = value != NULL && !json_is_null(value);
	if (given ? json_is_string(value) : !needed) {
		*ret_text = given ? json_string_value(value) : NULL;
		return true;
	}
	snprintf(why, sizeof(why), "The parameter %s must be a text.", name);
	manager_fail(m, call, RPC_INVALID_PARAMS, why, NULL);
	return false;
}

uint32_t method_uid(const struct manager *m, int call)
{
	return call < 0 ? m->options->roles.own_uid : m->calls[call].uid;
}

enum role method_role(const struct manager *m, int call)
{
	return call < 0 ? ROLE_ADMIN : m->calls[call].role;
}

bool manager_line(
    void *arg, server_client client, enum role role, uint32_t uid, const char *line, size_t len)
{
	struct manager *m = arg;
	struct rpc_request request;
	const struct method *method = NULL;
	const char *why;
	int code = rpc_read(line, len, &request, &why);
	bool answered = true;
	if (code == 0)
		method = method_find(request.method);
	if (code == 0 && method == NULL) {
		code = RPC_METHOD_NOT_FOUND;
		why = "There is no such method; `methods` lists all.";
	} else if (code == 0 && role < method->role) {
		code = RPC_FORBIDDEN;
		why = method->role == ROLE_ADMIN      ? "This takes the role admin."
		      : method->role == ROLE_OPERATOR ? "This takes the role operator."
						      : "This takes the role viewer.";
	}
	int call = code != 0 ? -1 : call_new(m, client, &request, method, role, uid);
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
