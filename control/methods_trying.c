/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods for trying things on the running appliance: pass-all, rules and their impact (methods.h). */
#include "eventlog.h"
#include "impact.h"
#include "methods.h"
#include "rpc.h"
#include "stats_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_S = 86400, SINCE_MAX_S = 366 * DAY_S };

static json_t *undo_pass_all(struct manager *m, const json_t *params, const json_t *result)
{
	json_int_t until = json_integer_value(json_object_get(result, "until_s"));
	json_int_t was = json_integer_value(json_object_get(result, "was_until_s"));
	(void)m;
	(void)params;
	return method_undo_step("pass_all.set", json_pack("{s:I}", "until_s", was), "pass-all %s",
	    until != 0 ? "on" : "off");
}

/* ---- impact: in the job thread, which reads as much of the log as there is ---- */

struct look {
	struct job job;
	int call, ret;
	char *path, *rule, *stats;
	int64_t since_ms;
	enum impact_by by;
	bool known;
	json_t *result;
};

static void look_free(struct look *look)
{
	if (look == NULL)
		return;
	free(look->path);
	free(look->rule);
	free(look->stats);
	json_decref(look->result);
	free(look);
}

/* True without a statistics file: then nobody knows. */
static bool is_known(const char *stats, const char *rule)
{
	struct stats_file *file = NULL;
	bool known = stats_view_read(stats, &file) != 0;
	for (unsigned i = 0; file != NULL && i < STATS_MAX_RULES && !known; i++)
		known = strncmp(file->rule_names[i], rule, STATS_NAME_LEN) == 0;
	free(file);
	return known;
}

static void run_look(struct job *job)
{
	struct look *look = (struct look *)job;
	look->ret = impact_of(look->path, look->rule, look->since_ms, look->by, &look->result);
	look->known = json_integer_value(json_object_get(look->result, "sessions")) > 0 ||
		      is_known(look->stats, look->rule);
}

static void look_done(void *arg, struct job *job)
{
	struct manager *m = arg;
	struct look *look = (struct look *)job;
	char text[256];
	if (look->ret == 0 && look->known) {
		manager_reply(m, look->call, json_incref(look->result));
	} else if (look->ret == 0) {
		snprintf(text, sizeof(text),
		    "There is no rule \"%.64s\"; `posternctl rule list` names them.", look->rule);
		manager_fail(m, look->call, RPC_INVALID_PARAMS, text, NULL);
	} else {
		snprintf(
		    text, sizeof(text), "The event log cannot be read: %s.", strerror(-look->ret));
		manager_fail(m, look->call, RPC_INTERNAL, text, NULL);
	}
	look_free(look);
}

static void serve_impact(struct manager *m, int call, const json_t *params)
{
	const char *rule, *by, *path = manager_events_path(m);
	json_int_t since_s = 0;
	unsigned group = IMPACT_BY_PREFIX;
	if (!method_text(m, call, params, "rule", true, &rule) ||
	    !method_text(m, call, params, "by", false, &by) ||
	    !method_number(m, call, params, "since_s", false, SINCE_MAX_S, &since_s))
		return;
	while (by != NULL && group < IMPACT_N_BY && strcmp(impact_by_words[group], by) != 0)
		group++;
	if (group == IMPACT_N_BY) {
		manager_fail(m, call, RPC_INVALID_PARAMS, "`by` is prefix, tenant or domain.", NULL);
		return;
	}
	if (path == NULL) {
		manager_fail(m, call, RPC_NO_DATAPLANE,
		    "The dataplane keeps no events: it was started with --events none or -.", NULL);
		return;
	}
	struct look *look = calloc(1, sizeof(*look));
	if (look == NULL) {
		manager_fail(m, call, RPC_INTERNAL, "No memory.", NULL);
		return;
	}
	look->job.run = run_look;
	look->job.done = look_done;
	look->call = call;
	look->by = (enum impact_by)group;
	look->since_ms = (manager_time() - (since_s == 0 ? DAY_S : since_s)) * 1000;
	look->path = strdup(path);
	look->rule = strdup(rule);
	if (asprintf(&look->stats, "%s/stats", m->options->run) < 0)
		look->stats = NULL;
	if (look->path != NULL && look->rule != NULL && look->stats != NULL &&
	    jobs_add(m->jobs, &look->job) == 0)
		return;
	manager_fail(m, call, RPC_BUSY, "Too much is under way; try again.", NULL);
	look_free(look);
}

const struct method methods_trying[] = {
	{ "pass_all.set", ROLE_OPERATOR, method_relay,
	    "`{\"for_s\":N,\"reason\":text}` or `{\"until_s\":N}`; 0 ends it, a day at most",
	    "`{\"until_s\":N,\"was_until_s\":N}`, seconds since 1970, 0: off", true, undo_pass_all,
	    true },
	{ "rule.list", ROLE_VIEWER, method_relay, "`{\"name\":part?,\"after\":N?}`",
	    "`{\"rules\":[{\"name\",\"kind\",\"state\",\"weight\",\"action\",\"hits\",\"shadow\","
	    "\"minute\":{\"hits\",\"shadow\"}}],\"next\":N\\|null}`, weight in hundredths",
	    false, NULL, false },
	{ "rule.impact", ROLE_VIEWER, serve_impact,
	    "`{\"rule\":name,\"since_s\":N?,\"by\":\"prefix\"\\|\"tenant\"\\|\"domain\"}`, a day "
	    "without `since_s`",
	    "`{\"rule\",\"by\",\"sessions\",\"shadow\",\"enforced\",\"prefixes\","
	    "\"prefixes_full\":bool,\"accepted\",\"messages\",\"refused\",\"codes\":{code:N},"
	    "\"rows\":[{\"group\",\"sessions\",\"shadow\",\"messages\",\"accepted\",\"refused\"}],"
	    "\"other\",\"examples\":[{\"time\",\"client\",\"mail\",\"rcpt\",\"messages\","
	    "\"backend_code\"}]}`",
	    false, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
