/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls of the control socket's methods (methods.h): found, allowed, served, answered. */
#include "methods.h"
#include "rpc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct method *const tables[] = {
	methods_seeing,
	methods_events,
	methods_explain,
	methods_config,
	methods_changes,
	methods_lists,
	methods_running,
	methods_trying,
	methods_relay,
	methods_waves,
	methods_snapshot,
	methods_grey,
	methods_memory,
	methods_dns,
};
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

static int call_new(struct manager *m)
{
	for (int i = 0; i < MANAGER_MAX_CALLS; i++)
		if (m->calls[i].method == NULL)
			return i;
	return -1;
}

/* Takes result and data. */
static void settle(
    struct manager *m, int index, json_t *result, int code, const char *message, json_t *data)
{
	if (m->calls[index].then == NULL && m->calls[index].method->changes)
		manager_changed(m, index, result, code, message);
	struct call was = m->calls[index];
	m->calls[index] = (struct call){ 0 };
	if (was.then != NULL)
		was.then(m, was.ctx, result, code, message, data);
	else if (was.id != NULL && code == 0)
		server_send(
		    m->server, was.client, rpc_result(was.id, json_incref(result)), m->now_ms);
	else if (was.id != NULL)
		server_send(m->server, was.client,
		    rpc_failure(was.id, code, message, json_incref(data)), m->now_ms);
	json_decref(result);
	json_decref(data);
	json_decref(was.id);
	json_decref(was.params);
}

void manager_reply(struct manager *m, int call, json_t *result)
{
	if (call < 0)
		json_decref(result);
	else
		settle(m, call, result, 0, NULL, NULL);
}

void manager_fail(struct manager *m, int call, int code, const char *message, json_t *data)
{
	if (call < 0)
		json_decref(data);
	else
		settle(m, call, NULL, code, message, data);
}

void manager_step(
    struct manager *m, int outer, const char *method, json_t *params, call_then *then, void *ctx)
{
	const struct method *found = method_find(method);
	int call = found == NULL ? -1 : call_new(m);
	if (call < 0) {
		json_decref(params);
		then(m, ctx, NULL, RPC_BUSY, "Too many requests are under way.", NULL);
		return;
	}
	m->calls[call] = (struct call){ .method = found,
		.role = method_role(m, outer),
		.uid = method_uid(m, outer),
		.params = params,
		.then = then,
		.ctx = ctx };
	found->serve(m, call, params);
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

bool method_number(struct manager *m, int call, const json_t *params, const char *name, bool needed,
    json_int_t max, json_int_t *ret_number)
{
	char why[160];
	const json_t *value = json_object_get(params, name);
	bool given = value != NULL && !json_is_null(value);
	json_int_t number = json_integer_value(value);
	if (given ? json_is_integer(value) && number >= 0 && number <= max : !needed) {
		*ret_number = number;
		return true;
	}
	snprintf(why, sizeof(why), "The parameter %s must be a number from 0 to %lld.", name,
	    (long long)max);
	manager_fail(m, call, RPC_INVALID_PARAMS, why, NULL);
	return false;
}

json_t *method_undo_step(const char *method, json_t *params, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return json_pack(
	    "{s:s, s:[{s:s, s:o}]}", "text", text, "steps", "method", method, "params", params);
}

uint32_t method_uid(const struct manager *m, int call)
{
	return call < 0 ? m->options->roles.own_uid : m->calls[call].uid;
}

enum role method_role(const struct manager *m, int call)
{
	return call < 0 ? ROLE_ADMIN : m->calls[call].role;
}

/* ---- lines ---- */

/* Puts it off until transaction.commit. */
static void put_off(struct manager *m, struct transaction *t, int call)
{
	const struct call *c = &m->calls[call];
	if (json_array_size(t->steps) == MANAGER_MAX_STEPS) {
		manager_fail(m, call, RPC_BUSY, "A transaction has at most 64 changes.", NULL);
		return;
	}
	json_array_append_new(
	    t->steps, json_pack("{s:s, s:o}", "method", c->method->name, "params",
			  c->params == NULL ? json_object() : json_deep_copy(c->params)));
	/* no change yet: neither log nor undo */
	if (c->id != NULL)
		server_send(m->server, c->client,
		    rpc_result(
			c->id, json_pack("{s:I}", "queued", (json_int_t)json_array_size(t->steps))),
		    m->now_ms);
	json_decref(c->id);
	json_decref(c->params);
	m->calls[call] = (struct call){ 0 };
}

static void refused(struct manager *m, const struct method *method, enum role role, uint32_t uid,
    const json_t *params, const char *why)
{
	char user[MANAGER_USER_MAX];
	manager_user(uid, user);
	audit_add(&m->audit, manager_time(), uid, user, role_words[role], method->name, params, why,
	    m->current == NULL ? 0 : m->current->header.epoch);
}

bool manager_line(
    void *arg, server_client client, enum role role, uint32_t uid, const char *line, size_t len)
{
	struct manager *m = arg;
	struct rpc_request request;
	const struct method *method = NULL;
	const char *why;
	int code = rpc_read(line, len, &request, &why), call = -1;
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
		if (method->changes)
			refused(m, method, role, uid, request.params, why);
	} else if (code == 0 && (call = call_new(m)) < 0) {
		code = RPC_BUSY;
		why = "Too many requests are under way; try again.";
	}
	if (code == 0) {
		struct transaction *t =
		    method->in_transaction ? manager_transaction(m, client) : NULL;
		answered = request.id != NULL;
		m->calls[call] = (struct call){ .method = method,
			.client = client,
			.role = role,
			.uid = uid,
			.id = json_incref(request.id),
			.params = json_incref(request.params) };
		if (t != NULL)
			put_off(m, t, call);
		else
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
