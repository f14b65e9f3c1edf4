/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods of the configuration's life (methods.h). */
#include "methods.h"
#include "rpc.h"

#include <stdlib.h>

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

const struct method methods_config[] = {
	{ "policy.check", ROLE_ADMIN, serve_check, "`{\"path\":absolute}`",
	    "`{\"changes\":bool,\"addresses\":N}`", false, NULL },
	{ "policy.load", ROLE_ADMIN, serve_load, "`{\"path\":absolute}`",
	    "`{\"epoch\":N,\"changed\":bool,\"running\":bool,\"needs_restart\":[key...]\\|null}`",
	    true, NULL },
	{ "policy.reload", ROLE_OPERATOR, serve_reload, "",
	    "as `policy.load`, of the configured file", true, NULL },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL },
};
