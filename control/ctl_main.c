/* SPDX-License-Identifier: BSD-3-Clause */
/* posternctl: options and the table of commands (ctl.h). */
#include "ctl.h"

#include "postern_version.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int serve_path(
    const struct ctl *ctl, const char *file, const char *method, json_t **ret_result)
{
	char path[PATH_MAX];
	if (realpath(file, path) == NULL) {
		fprintf(stderr, "posternctl: %s: %s\n", file, strerror(errno));
		return CTL_REFUSED;
	}
	return ctl_ask(ctl, method, json_pack("{s:s}", "path", path), ret_result);
}

static int serve_load(const struct ctl *ctl, const char *file)
{
	json_t *result = NULL;
	int ret = file == NULL ? ctl_ask(ctl, "policy.reload", NULL, &result)
			       : serve_path(ctl, file, "policy.load", &result);
	if (ret != CTL_OK)
		return ret;
	const json_t *restart = json_object_get(result, "needs_restart");
	if (ctl->json) {
		ctl_print_json(result);
	} else {
		printf("epoch %lld%s%s\n",
		    (long long)json_integer_value(json_object_get(result, "epoch")),
		    json_is_true(json_object_get(result, "changed")) ? "" : ", nothing changed",
		    json_is_true(json_object_get(result, "running")) ? ", in force"
								     : ", waits for the dataplane");
		for (size_t i = 0; i < json_array_size(restart); i++)
			printf("%sneeds a restart of postern-dataplane:%s %s\n",
			    ctl_ink_on(ctl, CTL_YELLOW), ctl_ink_off(ctl),
			    json_string_value(json_array_get(restart, i)));
	}
	json_decref(result);
	return CTL_OK;
}

static int serve_check(const struct ctl *ctl, const char *file)
{
	json_t *result = NULL;
	int ret = serve_path(ctl, file, "policy.check", &result);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json)
		ctl_print_json(result);
	else
		printf("good; %s\n", json_is_true(json_object_get(result, "changes"))
					 ? "differs from the policy in force"
					 : "the same as the policy in force");
	json_decref(result);
	return CTL_OK;
}

static int serve_drain(const struct ctl *ctl, const char *argument)
{
	json_t *result = NULL;
	(void)argument;
	int ret = ctl_ask(ctl, "drain", NULL, &result);
	if (ret == CTL_OK && ctl->json)
		ctl_print_json(result);
	else if (ret == CTL_OK)
		printf("draining: the dataplane ends when its last session has\n");
	json_decref(result);
	return ret;
}

static int serve_version(const struct ctl *ctl, const char *argument)
{
	json_t *result = NULL;
	(void)argument;
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

const struct ctl_command ctl_commands[] = {
	{ "status", NULL, false, ctl_status, "What runs, and which policy is in force.", NULL },
	{ "stats", NULL, false, ctl_stats, "Counters and mail servers, straight from the dataplane.",
	    "Needs no manager. Counters that are zero are left out; --json has all of them, and "
	    "each "
	    "worker's own." },
	{ "load", "[FILE]", true, serve_load,
	    "Puts a configuration in force; without FILE the manager's own, read again.",
	    "With FILE it takes the role admin, without it operator. What is wrong is told as "
	    "file:line:column and the policy in force stays." },
	{ "check", "FILE", false, serve_check, "Checks a configuration and changes nothing.", NULL },
	{ "drain", NULL, false, serve_drain,
	    "Ends the dataplane once its sessions have ended; idle ones get 421.", NULL },
	{ "version", NULL, false, serve_version, "Versions of all programs.", NULL },
	{ "help", "[COMMAND]", true, NULL, "This, one command, or `help config [KEY]`.",
	    "`help config` lists every configuration key; `help config KEY` says range, default "
	    "and "
	    "unit of one, e.g. `help config pools.servers.port`." },
	{ NULL, NULL, false, NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "run", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl ctl = { .run = "/run/postern",
		.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL };
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r': ctl.run = optarg; break;
		case 'j': ctl.json = true; break;
		case 'h': return ctl_help(&ctl, NULL, NULL);
		case 'v': puts("posternctl " POSTERN_VERSION); return CTL_OK;
		default: fputs("posternctl --help says more\n", stderr); return CTL_USAGE;
		}
	}
	const char *name = optind < argc ? argv[optind] : NULL;
	const char *argument = optind + 1 < argc ? argv[optind + 1] : NULL;
	int extra = argc - optind - 2;
	if (name == NULL) {
		ctl_help(&ctl, NULL, NULL);
		return CTL_USAGE;
	}
	if (strcmp(name, "help") == 0 && extra <= 1)
		return ctl_help(&ctl, argument, extra == 1 ? argv[optind + 2] : NULL);
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		if (strcmp(c->name, name) != 0 || c->serve == NULL)
			continue;
		bool missing = c->argument != NULL && argument == NULL && !c->optional;
		bool surplus = extra > 0 || (c->argument == NULL && argument != NULL);
		if (!missing && !surplus)
			return c->serve(&ctl, argument);
		fprintf(stderr, "usage: posternctl %s%s%s\n", c->name,
		    c->argument == NULL ? "" : " ", c->argument == NULL ? "" : c->argument);
		return CTL_USAGE;
	}
	fprintf(stderr, "posternctl: there is no command %s; `posternctl help` lists all\n", name);
	return CTL_USAGE;
}
