/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods about changes (methods.h): undo, transactions, alarms, audit log. */
#include "methods.h"
#include "rpc.h"

#include <stdio.h>
#include <string.h>

/* ---- undo ---- */

static enum role role_of(const json_t *one)
{
	const char *word = json_string_value(json_object_get(one, "role"));
	for (enum role role = ROLE_NONE; word != NULL && role <= ROLE_ADMIN; role++)
		if (strcmp(role_words[role], word) == 0)
			return role;
	return ROLE_ADMIN;
}

static void serve_undo(struct manager *m, int call, const json_t *params)
{
	const json_t *last = json_array_get(m->undo, json_array_size(m->undo) - 1);
	(void)params;
	if (json_array_size(m->undo) == 0) {
		manager_fail(m, call, RPC_INVALID_PARAMS, "Nothing is left to take back.", NULL);
	} else if (method_role(m, call) < role_of(last)) {
		manager_fail(m, call, RPC_FORBIDDEN,
		    "The last change took a role that you have not; an admin may take it back.",
		    NULL);
	} else {
		const char *text = json_string_value(json_object_get(last, "text"));
		manager_steps(m, call, json_deep_copy(json_object_get(last, "steps")),
		    json_integer_value(json_object_get(last, "id")), text == NULL ? "?" : text);
	}
}

static void serve_undo_list(struct manager *m, int call, const json_t *params)
{
	json_t *all = json_array();
	(void)params;
	for (size_t i = json_array_size(m->undo); i-- > 0;) {
		json_t *one = json_copy(json_array_get(m->undo, i));
		json_object_del(one, "steps");
		json_array_append_new(all, one);
	}
	manager_reply(m, call, json_pack("{s:o}", "changes", all));
}

/* ---- transactions ---- */

static void serve_begin(struct manager *m, int call, const json_t *params)
{
	struct transaction *t = NULL;
	(void)params;
	if (manager_transaction(m, m->calls[call].client) != NULL) {
		manager_fail(m, call, RPC_INVALID_PARAMS,
		    "A transaction is open already on this connection.", NULL);
		return;
	}
	for (unsigned i = 0; i < MANAGER_MAX_TRANSACTIONS && t == NULL; i++)
		if (!m->transactions[i].open)
			t = &m->transactions[i];
	if (t == NULL) {
		manager_fail(m, call, RPC_BUSY, "8 transactions are open; try again.", NULL);
		return;
	}
	*t = (struct transaction){ true, m->calls[call].client, json_array() };
	manager_reply(m, call, json_object());
}

/* The open one; NULL with the failure sent. */
static struct transaction *open_one(struct manager *m, int call)
{
	struct transaction *t = manager_transaction(m, m->calls[call].client);
	if (t == NULL)
		manager_fail(m, call, RPC_INVALID_PARAMS,
		    "No transaction is open on this connection; `transaction.begin` opens one.",
		    NULL);
	return t;
}

static void serve_abort(struct manager *m, int call, const json_t *params)
{
	struct transaction *t = open_one(m, call);
	(void)params;
	if (t == NULL)
		return;
	json_int_t n = (json_int_t)json_array_size(t->steps);
	json_decref(t->steps);
	*t = (struct transaction){ .open = false };
	manager_reply(m, call, json_pack("{s:I}", "dropped", n));
}

static void drop_key(json_t *list, const json_t *key)
{
	for (size_t i = json_array_size(list); i-- > 0;) {
		const json_t *one = json_array_get(list, i);
		if (json_equal(json_is_object(one) ? json_object_get(one, "key") : one, key))
			json_array_remove(list, i);
	}
}

/* All settings become one step, hence one epoch; the others follow in their order. */
static json_t *fold(const json_t *steps, const char *reason)
{
	json_t *set = json_array(), *reset = json_array(), *rest = json_array();
	for (size_t i = 0; i < json_array_size(steps); i++) {
		json_t *step = json_array_get(steps, i), *params = json_object_get(step, "params");
		const char *method = json_string_value(json_object_get(step, "method"));
		json_t *key = json_object_get(params, "key");
		if (strcmp(method, "config.set") == 0) {
			drop_key(set, key);
			json_array_append(set, params);
		} else if (strcmp(method, "config.reset") == 0 && key != NULL) {
			drop_key(set, key);
			drop_key(reset, key);
			json_array_append(reset, key);
		} else {
			json_array_append(rest, step);
		}
	}
	if (json_array_size(set) + json_array_size(reset) != 0)
		json_array_insert_new(rest, 0,
		    json_pack("{s:s, s:{s:O, s:O, s:s?}}", "method", "config.change", "params",
			"set", set, "reset", reset, "reason", reason));
	json_decref(set);
	json_decref(reset);
	return rest;
}

static void serve_commit(struct manager *m, int call, const json_t *params)
{
	const char *reason;
	char text[64];
	if (!method_text(m, call, params, "reason", false, &reason))
		return;
	struct transaction *t = open_one(m, call);
	if (t == NULL)
		return;
	json_t *steps = fold(t->steps, reason);
	snprintf(text, sizeof(text), "transaction of %zu changes", json_array_size(t->steps));
	json_decref(t->steps);
	*t = (struct transaction){ .open = false };
	manager_steps(m, call, steps, 0, text);
}

/* ---- alarms and audit ---- */

static void serve_alarms(struct manager *m, int call, const json_t *params)
{
	(void)params;
	manager_reply(m, call, json_pack("{s:O}", "alarms", m->alarms));
}

static void serve_ack(struct manager *m, int call, const json_t *params)
{
	json_int_t id = 0, n = 0;
	if (!method_number(m, call, params, "id", false, INT32_MAX, &id))
		return;
	for (size_t i = json_array_size(m->alarms); i-- > 0;) {
		const json_t *one = json_array_get(m->alarms, i);
		if (id != 0 && json_integer_value(json_object_get(one, "id")) != id)
			continue;
		json_array_remove(m->alarms, i);
		n++;
	}
	if (id != 0 && n == 0) {
		manager_fail(m, call, RPC_INVALID_PARAMS,
		    "There is no alarm of that number; `posternctl alarm` lists them.", NULL);
		return;
	}
	manager_alarms_keep(m);
	manager_reply(m, call, json_pack("{s:I}", "acknowledged", n));
}

static void serve_audit(struct manager *m, int call, const json_t *params)
{
	json_int_t since_s = 0, most = 0;
	if (!method_number(m, call, params, "since_s", false, UINT32_MAX, &since_s) ||
	    !method_number(m, call, params, "limit", false, AUDIT_ROWS_MAX, &most))
		return;
	manager_reply(m, call,
	    json_pack("{s:o}", "rows",
		audit_rows(&m->audit, since_s == 0 ? 0 : manager_time() - since_s,
		    most == 0 ? AUDIT_ROWS_MAX : (unsigned)most)));
}

const struct method methods_changes[] = {
	{ "undo", ROLE_OPERATOR, serve_undo, "",
	    "`{\"text\",\"results\":[...],\"epoch\":N}`: the last change is taken back", true, NULL,
	    false },
	{ "undo.list", ROLE_VIEWER, serve_undo_list, "",
	    "`{\"changes\":[{\"id\",\"time\",\"user\",\"role\",\"text\"}]}`, newest first", false,
	    NULL, false },
	{ "transaction.begin", ROLE_OPERATOR, serve_begin, "",
	    "`{}`; changes on this connection are put off, each answered `{\"queued\":N}`", false,
	    NULL, false },
	{ "transaction.commit", ROLE_OPERATOR, serve_commit, "`{\"reason\":text}`",
	    "`{\"text\",\"results\":[...],\"epoch\":N,\"undo\":{...}}`: all of them, or none", true,
	    NULL, false },
	{ "transaction.abort", ROLE_OPERATOR, serve_abort, "", "`{\"dropped\":N}`", false, NULL,
	    false },
	{ "alarm.list", ROLE_VIEWER, serve_alarms, "",
	    "`{\"alarms\":[{\"id\",\"kind\",\"text\",\"since\",\"count\"}]}`", false, NULL, false },
	{ "alarm.ack", ROLE_OPERATOR, serve_ack, "`{\"id\":N}`",
	    "`{\"acknowledged\":N}`; without `id` all", true, NULL, false },
	{ "audit", ROLE_ADMIN, serve_audit, "`{\"since_s\":N,\"limit\":N}`",
	    "`{\"rows\":[{\"time\",\"uid\",\"user\",\"role\",\"method\",\"params\",\"error\","
	    "\"epoch\"}]}`, oldest first, at most 1,000",
	    false, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
