/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was changed and how it is taken back: the undo stack and the alarms (both kept in the state
 * directory), and steps run one after the other, which both undo and transactions are.
 */
#include "events_stream.h"
#include "methods.h"
#include "rpc.h"
#include "state_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep(const struct manager *m, const char *name, const json_t *json)
{
	int ret = state_save(m->options->state, name, json);
	if (ret != 0)
		manager_log("%s is not kept: %s", name, strerror(-ret));
}

static json_int_t id_of(const json_t *one)
{
	return json_integer_value(json_object_get(one, "id"));
}

void manager_changes_start(struct manager *m)
{
	int ret = audit_init(&m->audit, m->options->state);
	if (ret != 0)
		manager_log("there is no audit log: %s", strerror(-ret));
	m->undo = state_load(m->options->state, "undo.json");
	m->alarms = state_load(m->options->state, "alarms.json");
	if (!json_is_array(m->undo)) {
		json_decref(m->undo);
		m->undo = json_array();
	}
	if (!json_is_array(m->alarms)) {
		json_decref(m->alarms);
		m->alarms = json_array();
	}
	for (size_t i = 0; i < json_array_size(m->undo); i++)
		if (id_of(json_array_get(m->undo, i)) > m->next_id)
			m->next_id = id_of(json_array_get(m->undo, i));
	for (size_t i = 0; i < json_array_size(m->alarms); i++)
		if (id_of(json_array_get(m->alarms, i)) > m->next_id)
			m->next_id = id_of(json_array_get(m->alarms, i));
}

void manager_changes_fini(struct manager *m)
{
	audit_fini(&m->audit);
	json_decref(m->undo);
	json_decref(m->alarms);
	for (unsigned i = 0; i < MANAGER_MAX_TRANSACTIONS; i++)
		json_decref(m->transactions[i].steps);
}

/* ---- undo ---- */

static void push_undo(struct manager *m, int call, const char *text, json_t *steps)
{
	char user[MANAGER_USER_MAX];
	manager_user(method_uid(m, call), user);
	if (json_array_size(m->undo) == MANAGER_UNDO_MAX)
		json_array_remove(m->undo, 0);
	json_array_append_new(
	    m->undo, json_pack("{s:I, s:I, s:s, s:s, s:s, s:O}", "id", ++m->next_id, "time",
			 (json_int_t)manager_time(), "user", user, "role",
			 role_words[m->calls[call].method->role], "text", text, "steps", steps));
	keep(m, "undo.json", m->undo);
}

void manager_changed(
    struct manager *m, int call, const json_t *result, int code, const char *message)
{
	const struct call *c = &m->calls[call];
	char user[MANAGER_USER_MAX];
	(void)code;
	manager_user(c->uid, user);
	audit_add(&m->audit, manager_time(), c->uid, user, role_words[c->role], c->method->name,
	    c->params, result == NULL ? message : NULL,
	    m->current == NULL ? 0 : m->current->header.epoch);
	if (result == NULL)
		return;
	json_t *undo = json_incref(json_object_get(result, "undo"));
	if (undo == NULL && c->method->undo != NULL)
		undo = c->method->undo(m, c->params, result);
	const char *text = json_string_value(json_object_get(undo, "text"));
	json_t *steps = json_object_get(undo, "steps");
	if (text != NULL && json_array_size(steps) != 0)
		push_undo(m, call, text, steps);
	json_decref(undo);
}

static void drop_undo(struct manager *m, json_int_t id)
{
	for (size_t i = json_array_size(m->undo); i-- > 0;)
		if (id_of(json_array_get(m->undo, i)) == id)
			json_array_remove(m->undo, i);
	keep(m, "undo.json", m->undo);
}

/* ---- steps ---- */

struct run {
	int call;
	json_int_t undo_id;
	json_t *steps, *results, *inverse; /* inverse: in the order to be run */
	size_t at;
	bool backing_out;
	int code;
	char *why, *text;
	json_t *data;
};

static void run_next(struct manager *m, struct run *run);

static void run_end(struct manager *m, struct run *run)
{
	if (run->backing_out) {
		manager_fail(m, run->call, run->code, run->why == NULL ? "No memory." : run->why,
		    json_incref(run->data));
	} else {
		json_t *result =
		    json_pack("{s:s, s:O, s:I}", "text", run->text, "results", run->results,
			"epoch", (json_int_t)(m->current == NULL ? 0 : m->current->header.epoch));
		if (run->undo_id != 0)
			drop_undo(m, run->undo_id);
		else
			json_object_set_new(result, "undo",
			    json_pack("{s:s, s:O}", "text", run->text, "steps", run->inverse));
		manager_reply(m, run->call, result);
	}
	json_decref(run->steps);
	json_decref(run->results);
	json_decref(run->inverse);
	json_decref(run->data);
	free(run->why);
	free(run->text);
	free(run);
}

static void on_step(
    struct manager *m, void *ctx, json_t *result, int code, const char *message, const json_t *data)
{
	struct run *run = ctx;
	const json_t *step = json_array_get(run->steps, run->at);
	const char *name = json_string_value(json_object_get(step, "method"));
	const struct method *method = name == NULL ? NULL : method_find(name);
	if (result != NULL && !run->backing_out) {
		json_t *undo = json_incref(json_object_get(result, "undo"));
		if (undo == NULL && method != NULL && method->undo != NULL)
			undo = method->undo(m, json_object_get(step, "params"), result);
		json_t *steps = json_object_get(undo, "steps");
		for (size_t i = json_array_size(steps); i-- > 0;)
			json_array_insert(run->inverse, 0, json_array_get(steps, i));
		json_decref(undo);
		json_array_append(run->results, result);
	} else if (result == NULL && run->backing_out) {
		manager_log("backing out, %s: %s", name, message);
	} else if (result == NULL) {
		size_t n = json_array_size(run->steps);
		if (n == 1 ? asprintf(&run->why, "%s", message) < 0
			   : asprintf(&run->why, "Change %zu of %zu (%s): %s Nothing was changed.",
				 run->at + 1, n, name, message) < 0)
			run->why = NULL;
		run->code = code;
		run->data = json_deep_copy(data);
		run->backing_out = true;
		json_decref(run->steps);
		run->steps = json_incref(run->inverse);
		run->at = 0;
		run_next(m, run);
		return;
	}
	run->at++;
	run_next(m, run);
}

static void run_next(struct manager *m, struct run *run)
{
	const json_t *step = json_array_get(run->steps, run->at);
	const char *method = json_string_value(json_object_get(step, "method"));
	if (step == NULL) {
		run_end(m, run);
		return;
	}
	manager_step(m, run->call, method == NULL ? "" : method,
	    json_deep_copy(json_object_get(step, "params")), on_step, run);
}

void manager_steps(struct manager *m, int call, json_t *steps, json_int_t undo_id, const char *text)
{
	struct run *run = calloc(1, sizeof(*run));
	if (run == NULL) {
		json_decref(steps);
		manager_fail(m, call, RPC_INTERNAL, "No memory.", NULL);
		return;
	}
	*run = (struct run){ .call = call,
		.undo_id = undo_id,
		.steps = steps,
		.results = json_array(),
		.inverse = json_array(),
		.text = strdup(text) };
	run_next(m, run);
}

/* ---- transactions ---- */

struct transaction *manager_transaction(struct manager *m, server_client client)
{
	for (unsigned i = 0; i < MANAGER_MAX_TRANSACTIONS; i++)
		if (m->transactions[i].open && m->transactions[i].client == client)
			return &m->transactions[i];
	return NULL;
}

void manager_client_gone(void *arg, server_client client)
{
	struct manager *m = arg;
	struct transaction *t = manager_transaction(m, client);
	streams_gone(m->streams, client);
	if (t == NULL)
		return;
	manager_log("a transaction of %zu changes is dropped: its client has gone",
	    json_array_size(t->steps));
	json_decref(t->steps);
	*t = (struct transaction){ .open = false };
}

/* ---- alarms ---- */

static void event_told(void *arg, uint64_t tag, const struct link_answer *answer)
{
	(void)arg;
	(void)tag;
	(void)answer; /* a dataplane that keeps no events does without */
}

void manager_alarm(struct manager *m, const char *kind, const char *text)
{
	json_t *one = NULL;
	for (size_t i = 0; i < json_array_size(m->alarms) && one == NULL; i++) {
		json_t *have = json_array_get(m->alarms, i);
		const char *its = json_string_value(json_object_get(have, "kind"));
		bool of_kind = its != NULL && strcmp(its, kind) == 0;
		bool drift = strcmp(kind, "drift") == 0;
		if (of_kind &&
		    (!drift || strcmp(json_string_value(json_object_get(have, "text")), text) == 0))
			one = have;
	}
	manager_log("ALARM (%s): %s", kind, text);
	if (one != NULL) {
		json_object_set_new(one, "text", json_string(text));
		json_object_set_new(one, "count",
		    json_integer(json_integer_value(json_object_get(one, "count")) + 1));
	} else if (json_array_size(m->alarms) < MANAGER_ALARMS_MAX) {
		json_array_append_new(m->alarms,
		    json_pack("{s:I, s:s, s:s, s:I, s:i}", "id", ++m->next_id, "kind", kind, "text",
			text, "since", (json_int_t)manager_time(), "count", 1));
	} else {
		json_t *last = json_array_get(m->alarms, MANAGER_ALARMS_MAX - 1);
		json_object_set_new(last, "count",
		    json_integer(json_integer_value(json_object_get(last, "count")) + 1));
	}
	keep(m, "alarms.json", m->alarms);
	if (m->link.fd >= 0)
		link_ask(&m->link, "event", json_pack("{s:s, s:s}", "word", "alarm", "text", text),
		    NULL, 0, MANAGER_ASK_MS, m->now_ms, event_told, 0);
}

void manager_alarms_keep(const struct manager *m)
{
	keep(m, "alarms.json", m->alarms);
}

void manager_alarm_clear(struct manager *m, const char *kind)
{
	bool cleared = false;
	for (size_t i = json_array_size(m->alarms); i-- > 0;) {
		const char *its =
		    json_string_value(json_object_get(json_array_get(m->alarms, i), "kind"));
		if (its == NULL || strcmp(its, kind) != 0)
			continue;
		json_array_remove(m->alarms, i);
		cleared = true;
	}
	if (!cleared)
		return;
	manager_log("alarm (%s) is over", kind);
	keep(m, "alarms.json", m->alarms);
}
