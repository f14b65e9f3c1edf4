/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that only look: status, stats, version (ctl.h). */
#include "ctl.h"
#include "duration.h"
#include "stats_view.h"

#include "postern_version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Settings over the file. */
static void show_overrides(const struct ctl *ctl, const json_t *set)
{
	for (size_t i = 0; i < json_array_size(set); i++) {
		const json_t *one = json_array_get(set, i);
		long long left = ctl_number_in(one, "until") - (long long)time(NULL);
		char text[DURATION_TEXT_MAX] = "";
		if (ctl_number_in(one, "until") != 0)
			duration_text(left < 0 ? 0 : (uint64_t)left, text);
		ctl_row(ctl, i == 0 ? "set" : "", CTL_YELLOW, "%s = %s (%s%s%s)",
		    ctl_text_in(one, "key"), ctl_text_in(one, "value"), ctl_text_in(one, "user"),
		    *text == '\0' ? "" : ", another ", text);
	}
}

/* Loud, and first: nothing is being refused. */
static void show_pass_all(const struct ctl *ctl, const json_t *plane)
{
	long long until = ctl_number_in(plane, "pass_all_until_s");
	long long left = until - (long long)time(NULL);
	char text[DURATION_TEXT_MAX];
	if (until == 0 || left <= 0)
		return;
	duration_text((uint64_t)left, text);
	ctl_row(ctl, "PASS-ALL", CTL_RED,
	    "everybody is let through, for another %s (`posternctl pass-all off`)", text);
}

static int serve_status(const struct ctl *ctl, int argc, char **argv)
{
	json_t *status = NULL;
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	int ret = ctl_ask(ctl, "status", NULL, &status);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json) {
		ctl_print_json(status);
		json_decref(status);
		return CTL_OK;
	}
	const json_t *manager = json_object_get(status, "manager");
	const json_t *plane = json_object_get(status, "dataplane");
	const json_t *restart = json_object_get(plane, "needs_restart");
	const char *problem = json_string_value(json_object_get(manager, "problem"));
	show_pass_all(ctl, plane);
	ctl_row(ctl, "manager", CTL_GREEN, "running, pid %lld, %s", ctl_number_in(manager, "pid"),
	    ctl_text_in(manager, "version"));
	ctl_row(ctl, "configuration", CTL_PLAIN, "%s", ctl_text_in(manager, "config"));
	if (json_is_true(json_object_get(manager, "in_force")))
		ctl_row(ctl, "policy", CTL_GREEN, "epoch %lld, in force",
		    ctl_number_in(manager, "epoch"));
	else
		ctl_row(ctl, "policy", CTL_YELLOW, "epoch %lld, waits for the dataplane",
		    ctl_number_in(manager, "epoch"));
	const json_t *loading = json_object_get(manager, "loading");
	if (json_is_integer(loading))
		ctl_row(ctl, "compiling", CTL_YELLOW, "%lld %%",
		    (long long)json_integer_value(loading));
	if (problem != NULL)
		ctl_row(ctl, "last load", CTL_RED, "refused: %s", problem);
	if (!json_is_true(json_object_get(plane, "connected"))) {
		ctl_row(ctl, "dataplane", CTL_RED, "not connected");
	} else {
		ctl_row(ctl, "dataplane",
		    strcmp(ctl_text_in(plane, "state"), "running") == 0 ? CTL_GREEN : CTL_YELLOW,
		    "%s, pid %lld, %s", ctl_text_in(plane, "state"), ctl_number_in(plane, "pid"),
		    ctl_text_in(plane, "build"));
		ctl_row(ctl, "workers", CTL_PLAIN, "%lld", ctl_number_in(plane, "workers"));
		ctl_row(ctl, "sessions", CTL_PLAIN, "%lld", ctl_number_in(plane, "sessions"));
		if (json_is_string(json_object_get(plane, "overload")))
			ctl_row(ctl, "overload",
			    strcmp(ctl_text_in(plane, "overload"), "none") == 0 ? CTL_GREEN
										: CTL_RED,
			    "%s", ctl_text_in(plane, "overload"));
		ctl_row(ctl, "up since", CTL_PLAIN, "%lld s", ctl_number_in(plane, "uptime_s"));
	}
	const json_t *gateways = json_object_get(plane, "gateways");
	for (size_t i = 0; i < json_array_size(gateways); i++) {
		const json_t *one = json_array_get(gateways, i);
		bool there = json_is_true(json_object_get(one, "reachable"));
		ctl_row(ctl, i == 0 ? "gateways" : "", there ? CTL_GREEN : CTL_RED, "%s %s",
		    ctl_text_in(one, "gateway"), there ? "answers" : "does not answer");
	}
	for (size_t i = 0; i < json_array_size(restart); i++)
		ctl_row(ctl, i == 0 ? "needs restart" : "", CTL_YELLOW, "%s",
		    json_string_value(json_array_get(restart, i)));
	show_overrides(ctl, json_object_get(manager, "overrides"));
	const json_t *alarms = json_object_get(manager, "alarms");
	for (size_t i = 0; i < json_array_size(alarms); i++)
		ctl_row(ctl, i == 0 ? "alarms" : "", CTL_RED, "%lld %s: %s",
		    ctl_number_in(json_array_get(alarms, i), "id"),
		    ctl_text_in(json_array_get(alarms, i), "kind"),
		    ctl_text_in(json_array_get(alarms, i), "text"));
	json_decref(status);
	return CTL_OK;
}

static void show_counters(const struct ctl *ctl, const json_t *counters)
{
	size_t width = 8;
	for (size_t i = 0; i < json_array_size(counters); i++) {
		size_t len = strlen(ctl_text_in(json_array_get(counters, i), "name"));
		width = len > width ? len : width;
	}
	printf("%s%-*s %16s  %s%s\n", ctl_ink_on(ctl, CTL_BOLD), (int)width, "counter", "total",
	    "meaning", ctl_ink_off(ctl));
	for (size_t i = 0; i < json_array_size(counters); i++) {
		const json_t *one = json_array_get(counters, i);
		if (ctl_number_in(one, "total") != 0)
			printf("%-*s %16lld  %s\n", (int)width, ctl_text_in(one, "name"),
			    ctl_number_in(one, "total"), ctl_text_in(one, "text"));
	}
}

static void show_servers(const struct ctl *ctl, const json_t *servers)
{
	if (json_array_size(servers) == 0)
		return;
	printf("\n%s%-20s %-8s %8s %8s %8s %10s %10s %12s%s\n", ctl_ink_on(ctl, CTL_BOLD), "server",
	    "state", "active", "idle", "waiting", "connects", "failures", "messages",
	    ctl_ink_off(ctl));
	for (size_t i = 0; i < json_array_size(servers); i++) {
		const json_t *one = json_array_get(servers, i);
		const char *state = ctl_text_in(one, "state");
		enum ctl_ink ink = strcmp(state, "up") == 0     ? CTL_GREEN
				   : strcmp(state, "down") == 0 ? CTL_RED
								: CTL_YELLOW;
		printf("%-20s %s%-8s%s %8lld %8lld %8lld %10lld %10lld %12lld\n",
		    ctl_text_in(one, "name"), ctl_ink_on(ctl, ink), state, ctl_ink_off(ctl),
		    ctl_number_in(one, "active"), ctl_number_in(one, "idle"),
		    ctl_number_in(one, "waiting"), ctl_number_in(one, "connects"),
		    ctl_number_in(one, "failures"), ctl_number_in(one, "messages"));
	}
}

static int serve_stats(const struct ctl *ctl, int argc, char **argv)
{
	struct stats_file *file = NULL;
	char *path = NULL;
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	int ret = asprintf(&path, "%s/stats", ctl->run) < 0 ? -ENOMEM : stats_view_read(path, &file);
	if (ret != 0) {
		fprintf(stderr, "posternctl: %s: %s\n", path == NULL ? "stats" : path,
		    ret == -ENOENT
			? "there is no such file; has the dataplane started with this --run?"
		    : ret == -EBADMSG ? "not a statistics file, or of another layout"
				      : strerror(-ret));
		free(path);
		return ret == -ENOENT ? CTL_UNREACHABLE : CTL_REFUSED;
	}
	json_t *stats = stats_view_json(file);
	if (ctl->json) {
		ctl_print_json(stats);
	} else {
		const json_t *workers = json_object_get(stats, "workers");
		printf("%s, pid %lld, epoch %lld, %zu workers, %lld MiB\n",
		    ctl_text_in(stats, "build"), ctl_number_in(stats, "pid"),
		    ctl_number_in(stats, "epoch"), json_array_size(workers),
		    ctl_number_in(stats, "memory_bytes") / 1048576);
		for (size_t i = 0; i < json_array_size(workers); i++) {
			const json_t *one = json_array_get(workers, i);
			printf("worker %zu: %.1f %% busy, longest turn %lld us\n", i,
			    100 * json_real_value(json_object_get(one, "busy")),
			    ctl_number_in(one, "max_turn_ns") / 1000);
		}
		putchar('\n');
		show_counters(ctl, json_object_get(stats, "counters"));
		show_servers(ctl, json_object_get(stats, "servers"));
	}
	json_decref(stats);
	free(file);
	free(path);
	return CTL_OK;
}

static int serve_version(const struct ctl *ctl, int argc, char **argv)
{
	json_t *result = NULL;
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	if (!ctl->json)
		printf("%-14s %s\n", "posternctl", POSTERN_VERSION);
	int ret = ctl_ask(ctl, "version", NULL, &result);
	if (ret != CTL_OK)
		return ret;
	const char *plane = json_string_value(json_object_get(result, "dataplane"));
	if (ctl->json) {
		json_object_set_new(result, "posternctl", json_string(POSTERN_VERSION));
		ctl_print_json(result);
	} else {
		printf("%-14s %s\n%-14s %s\n", "manager",
		    json_string_value(json_object_get(result, "manager")), "dataplane",
		    plane == NULL ? "not connected" : plane);
	}
	json_decref(result);
	return CTL_OK;
}

const struct ctl_command ctl_seeing_commands[] = {
	{ "status", "", serve_status, "What runs, and which policy is in force.", NULL },
	{ "stats", "", serve_stats, "Counters and mail servers, straight from the dataplane.",
	    "Needs no manager. Counters that are zero are left out; --json has all of them, and "
	    "each worker's own." },
	{ "tarpit", "", ctl_serve_tarpit, "Clients held, and after how long who is kept waiting gives up.",
	    "Counts clients that were stuttered at or held and went by themselves, by class of shaping "
	    "and by the delay they were given, with the share that had gone within 1, 2, 4 ... seconds." },
	{ "version", "", serve_version, "Versions of all programs.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
