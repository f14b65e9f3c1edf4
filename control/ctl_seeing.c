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
#include <unistd.h>

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
	printf("%s%-20s %-8s %8s %8s %8s %10s %10s %12s%s\n", ctl_ink_on(ctl, CTL_BOLD), "server",
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

/* Rules that have hit, those in shadow apart. */
static void show_rules(const struct ctl *ctl, const json_t *rules)
{
	bool head = false;
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *one = json_array_get(rules, i);
		if (ctl_number_in(one, "hits") == 0 && ctl_number_in(one, "shadow") == 0)
			continue;
		if (!head)
			printf("\n%s%-40s %16s %16s%s\n", ctl_ink_on(ctl, CTL_BOLD), "rule", "hits",
			    "in shadow", ctl_ink_off(ctl));
		head = true;
		printf("%-40s %16lld %16lld\n", ctl_text_in(one, "name"),
		    ctl_number_in(one, "hits"), ctl_number_in(one, "shadow"));
	}
}

int ctl_stats(const struct ctl *ctl, struct stats_file **ret_file)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/stats", ctl->run);
	int ret = stats_view_read(path, ret_file);
	if (ret == 0)
		return CTL_OK;
	return ctl_fail(ctl, ret == -ENOENT ? CTL_UNREACHABLE : CTL_REFUSED, "%s: %s", path,
	    ret == -ENOENT    ? "there is no such file; has the dataplane started with this --run?"
	    : ret == -EBADMSG ? "not a statistics file, or of another layout"
			      : strerror(-ret));
}

static void show_stats(const struct ctl *ctl, const json_t *stats)
{
	const json_t *workers = json_object_get(stats, "workers");
	printf("%s, pid %lld, epoch %lld, %zu workers, %lld MiB\n", ctl_text_in(stats, "build"),
	    ctl_number_in(stats, "pid"), ctl_number_in(stats, "epoch"), json_array_size(workers),
	    ctl_number_in(stats, "memory_bytes") / 1048576);
	for (size_t i = 0; i < json_array_size(workers); i++) {
		const json_t *one = json_array_get(workers, i);
		printf("worker %zu: %.1f %% busy, longest turn %lld us\n", i,
		    100 * json_real_value(json_object_get(one, "busy")),
		    ctl_number_in(one, "max_turn_ns") / 1000);
	}
	putchar('\n');
	show_counters(ctl, json_object_get(stats, "counters"));
	show_rules(ctl, json_object_get(stats, "rules"));
	if (json_array_size(json_object_get(stats, "servers")) != 0)
		putchar('\n');
	show_servers(ctl, json_object_get(stats, "servers"));
}

static uint64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What changed between two looks, a second: {"seconds","gauges":{},"rates":{},"rules":{}}. */
static json_t *rates_of(const struct stats_file *was, const struct stats_file *now, double seconds)
{
	json_t *rates = json_object(), *gauges = json_object(), *rules = json_object();
	for (unsigned i = 0; i < now->n_counters; i++) {
		char name[STATS_NAME_LEN + 1];
		uint64_t before = stats_view_counter(was, i), total = stats_view_counter(now, i);
		snprintf(name, sizeof(name), "%.*s", STATS_NAME_LEN, now->names[i].name);
		if (now->names[i].kind == STATS_GAUGE)
			json_object_set_new(gauges, name, json_integer((json_int_t)total));
		else if (total > before)
			json_object_set_new(
			    rates, name, json_real((double)(total - before) / seconds));
	}
	for (unsigned i = 0; i < STATS_MAX_RULES; i++) {
		char name[STATS_NAME_LEN + 1];
		struct stats_rule a = stats_view_rule(was, i), b = stats_view_rule(now, i);
		snprintf(name, sizeof(name), "%.*s", STATS_NAME_LEN, now->rule_names[i]);
		if (*name != '\0' && b.hits + b.shadow > a.hits + a.shadow)
			json_object_set_new(rules, name,
			    json_real((double)(b.hits + b.shadow - a.hits - a.shadow) / seconds));
	}
	return json_pack("{s:f, s:o, s:o, s:o}", "seconds", seconds, "rates", rates, "rules", rules,
	    "gauges", gauges);
}

static void show_rates(const struct ctl *ctl, const json_t *rates, bool clear)
{
	static const struct {
		const char *member, *title, *unit;
	} parts[] = { { "rates", "counter", "a second" }, { "rules", "rule", "a second" },
		{ "gauges", "gauge", "now" } };
	const char *name;
	json_t *value;
	if (clear)
		fputs("\033[H\033[2J", stdout);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		json_t *part = json_object_get(rates, parts[i].member);
		if (json_object_size(part) == 0)
			continue;
		printf("%s%-40s %12s%s\n", ctl_ink_on(ctl, CTL_BOLD), parts[i].title, parts[i].unit,
		    ctl_ink_off(ctl));
		json_object_foreach(part, name, value) if (json_number_value(value) > 0)
		    printf("%-40s %12.1f\n", name, json_number_value(value));
	}
	putchar('\n');
	fflush(stdout);
}

static int watch_stats(const struct ctl *ctl, uint64_t every_s, int64_t times)
{
	struct stats_file *was = NULL, *now = NULL;
	int ret = ctl_stats(ctl, &was);
	uint64_t was_ms = clock_ms();
	for (int64_t n = 0; ret == CTL_OK && (times == 0 || n < times); n++) {
		const struct timespec pause = { .tv_sec = (time_t)every_s };
		nanosleep(&pause, NULL);
		ret = ctl_stats(ctl, &now);
		if (ret != CTL_OK)
			break;
		uint64_t now_ms = clock_ms();
		double seconds = (double)(now_ms - was_ms) / 1000;
		/* another process counts from 0 again */
		json_t *rates = rates_of(now->pid == was->pid ? was : now, now, seconds);
		if (ctl->json) {
			char *line = json_dumps(rates, JSON_COMPACT | JSON_REAL_PRECISION(6));
			puts(line == NULL ? "" : line);
			free(line);
			fflush(stdout);
		} else {
			show_rates(ctl, rates, isatty(STDOUT_FILENO) != 0);
		}
		json_decref(rates);
		free(was);
		was = now;
		was_ms = now_ms;
		now = NULL;
	}
	free(was);
	return ret;
}

static int serve_stats(const struct ctl *ctl, int argc, char **argv)
{
	struct stats_file *file = NULL;
	bool watch = false;
	uint64_t every = 1;
	int64_t times = 0;
	const struct ctl_option options[] = { { "--watch", CTL_FLAG, &watch },
		{ "--every", CTL_DURATION, &every }, { "--count", CTL_NUMBER, &times },
		{ NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 0, 0))
		return CTL_USAGE;
	if (watch)
		return watch_stats(ctl, every, times);
	int ret = ctl_stats(ctl, &file);
	if (ret != CTL_OK)
		return ret;
	json_t *stats = stats_view_json(file);
	if (ctl->json)
		ctl_print_json(stats);
	else
		show_stats(ctl, stats);
	json_decref(stats);
	free(file);
	return CTL_OK;
}

static int serve_backends(const struct ctl *ctl, int argc, char **argv)
{
	struct stats_file *file = NULL;
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	int ret = ctl_stats(ctl, &file);
	if (ret != CTL_OK)
		return ret;
	json_t *stats = stats_view_json(file);
	if (ctl->json)
		ctl_print_json(json_object_get(stats, "servers"));
	else
		show_servers(ctl, json_object_get(stats, "servers"));
	json_decref(stats);
	free(file);
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
	{ "stats", "[--watch] [--every 1s] [--count N]", serve_stats,
	    "Counters, rules and mail servers, straight from the dataplane.",
	    "Needs no manager. Counters that are zero are left out; --json has all of them, and "
	    "each worker's own. --watch: what happens a second, every --every (1s), --count times "
	    "(until Ctrl-C)." },
	{ "backend list", "", serve_backends,
	    "Mail servers: state, connections, who waits, what failed, messages.", NULL },
	{ "tarpit", "", ctl_serve_tarpit,
	    "Clients held, and after how long who is kept waiting gives up.",
	    "Counts clients that were stuttered at or held and went by themselves, by class of "
	    "shaping "
	    "and by the delay they were given, with the share that had gone within 1, 2, 4 ... "
	    "seconds." },
	{ "version", "", serve_version, "Versions of all programs.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
