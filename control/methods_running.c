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

const struct method methods_running[] = {
	{ "drain", ROLE_OPERATOR, serve_drain, "", "`{}`", true, NULL },
	{ "backend.drain", ROLE_OPERATOR, method_relay, "`{\"server\":name,\"on\":bool}`", "`{}`",
	    true, NULL },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL },
};
