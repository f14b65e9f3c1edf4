/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods that only look (methods.h). */
#include "methods.h"
#include "rpc.h"
#include "stats_view.h"

#include "postern_version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
	json_object_set(manager, "overrides", m->overrides);
	json_object_set(manager, "alarms", m->alarms);
	json_object_set_new(
	    manager, "source", m->source.path == NULL ? json_null() : json_string(m->source.path));
	json_object_set_new(manager, "loading",
	    m->load == NULL ? json_null() : json_integer((json_int_t)manager_load_percent(m)));
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

static void serve_methods(struct manager *m, int call, const json_t *params)
{
	json_t *all = json_array();
	const struct method *one;
	(void)params;
	for (unsigned i = 0; (one = method_at(i)) != NULL; i++)
		json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:b}", "name", one->name,
					       "role", role_words[one->role], "params", one->params,
					       "result", one->result, "changes", one->changes));
	manager_reply(m, call, json_pack("{s:o}", "methods", all));
}

const struct method methods_seeing[] = {
	{ "version", ROLE_VIEWER, serve_version, "",
	    "`{\"manager\":text,\"dataplane\":text\\|null}`", false, NULL, false },
	{ "status", ROLE_VIEWER, serve_status, "",
	    "`{\"manager\":{\"version\",\"pid\",\"uptime_s\",\"config\",\"source\",\"epoch\","
	    "\"in_force\",\"clients\",\"problem\",\"loading\":percent\\|null,\"overrides\":[...],"
	    "\"alarms\":[...]},\"dataplane\":{\"connected\",...}}`; the rest of `dataplane` is "
	    "its own `status`",
	    false, NULL, false },
	{ "stats", ROLE_VIEWER, serve_stats, "", "the statistics file as JSON (`stats_view.h`)",
	    false, NULL, false },
	{ "methods", ROLE_VIEWER, serve_methods, "",
	    "`{\"methods\":[{\"name\",\"role\",\"params\",\"result\",\"changes\"}]}`: this table",
	    false, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
