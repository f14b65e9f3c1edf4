/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods that steer the dataplane (methods.h). */
#include "methods.h"

static void drain_told(struct manager *m, int call, json_t *result)
{
	(void)m;
	(void)call;
	(void)result;
	manager_log("drain asked for");
}

static void serve_drain(struct manager *m, int call, const json_t *params)
{
	(void)params;
	manager_forward(m, call, "drain", NULL, drain_told);
}

static json_t *undo_backend(struct manager *m, const json_t *params, const json_t *result)
{
	const char *server = json_string_value(json_object_get(params, "server"));
	bool on = json_is_true(json_object_get(params, "on"));
	(void)m;
	(void)result;
	return method_undo_step("backend.drain",
	    json_pack("{s:s, s:b}", "server", server, "on", !on), "%s of mail server %s",
	    on ? "drain" : "enabling", server);
}

const struct method methods_running[] = {
	{ "drain", ROLE_OPERATOR, serve_drain, "", "`{}`", true, NULL, false },
	{ "backend.drain", ROLE_OPERATOR, method_relay, "`{\"server\":name,\"on\":bool}`", "`{}`",
	    true, undo_backend, true },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
