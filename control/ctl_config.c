/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration's life: check, load (ctl.h). */
#include "ctl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The manager has another working directory: what it is told is absolute. NULL: told. */
static char *absolute(const struct ctl *ctl, const char *file, char path[PATH_MAX])
{
	if (realpath(file, path) != NULL)
		return path;
	ctl_fail(ctl, CTL_REFUSED, "%s: %s", file, strerror(errno));
	return NULL;
}

static void show_load(const struct ctl *ctl, const json_t *result)
{
	const json_t *restart = json_object_get(result, "needs_restart");
	printf("epoch %lld%s%s\n", ctl_number_in(result, "epoch"),
	    json_is_true(json_object_get(result, "changed")) ? "" : ", nothing changed",
	    json_is_true(json_object_get(result, "running")) ? ", in force"
							     : ", waits for the dataplane");
	for (size_t i = 0; i < json_array_size(restart); i++)
		printf("%sneeds a restart of postern-dataplane:%s %s\n", ctl_ink_on(ctl, CTL_YELLOW),
		    ctl_ink_off(ctl), json_string_value(json_array_get(restart, i)));
}

static int serve_load(const struct ctl *ctl, int argc, char **argv)
{
	char path[PATH_MAX];
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 1))
		return CTL_USAGE;
	if (argc == 0)
		return ctl_ask_show(ctl, "policy.reload", NULL, show_load, NULL);
	if (absolute(ctl, argv[0], path) == NULL)
		return CTL_REFUSED;
	return ctl_ask_show(ctl, "policy.load", json_pack("{s:s}", "path", path), show_load, NULL);
}

static void show_check(const struct ctl *ctl, const json_t *result)
{
	(void)ctl;
	printf("good; %s\n", json_is_true(json_object_get(result, "changes"))
				 ? "differs from the policy in force"
				 : "the same as the policy in force");
}

static int serve_check(const struct ctl *ctl, int argc, char **argv)
{
	char path[PATH_MAX];
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	if (absolute(ctl, argv[0], path) == NULL)
		return CTL_REFUSED;
	return ctl_ask_show(ctl, "policy.check", json_pack("{s:s}", "path", path), show_check, NULL);
}

const struct ctl_command ctl_config_commands[] = {
	{ "check", "FILE", serve_check, "Checks a configuration and changes nothing.", NULL },
	{ "load", "[FILE]", serve_load,
	    "Puts a configuration in force; without FILE the manager's own, read again.",
	    "With FILE it takes the role admin, without it operator. What is wrong is told as "
	    "file:line:column and the policy in force stays." },
	{ NULL, NULL, NULL, NULL, NULL },
};
