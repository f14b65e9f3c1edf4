/* SPDX-License-Identifier: BSD-3-Clause */
/* Trying: pass-all, scripts (ctl.h). */
#include "ctl.h"
#include "duration.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void show_pass_all(const struct ctl *ctl, const json_t *result)
{
	long long until = ctl_number_in(result, "until_s"), left = until - (long long)time(NULL);
	char text[DURATION_TEXT_MAX], when[CTL_TIME_MAX];
	if (until == 0) {
		printf("off: every rule acts as configured\n");
		return;
	}
	duration_text(left < 0 ? 0 : (uint64_t)left, text);
	printf(
	    "%sPASS-ALL%s for %s, until %s: everybody is let through, rules only note; `pass-all "
	    "off` or `undo` ends it\n",
	    ctl_ink_on(ctl, CTL_RED), ctl_ink_off(ctl), text, ctl_time(until, when));
}

static int serve_pass_all(const struct ctl *ctl, int argc, char **argv)
{
	const char *reason = NULL;
	uint64_t for_s = 0;
	const struct ctl_option options[] = { { "--for", CTL_DURATION, &for_s },
		{ "--reason", CTL_TEXT, &reason }, { NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 0, 1))
		return CTL_USAGE;
	if (argc == 1 && strcmp(argv[0], "off") != 0)
		return ctl_usage(ctl, "\"%s\" is neither `off` nor `--for` a time", argv[0]);
	if (argc == 1 && for_s != 0)
		return ctl_usage(ctl, "`off` is for good: no --for");
	if (argc == 0 && for_s == 0)
		return ctl_usage(ctl, "for how long? as `pass-all --for 10m`");
	return ctl_ask_show(ctl, "pass_all.set",
	    json_pack("{s:I, s:s*}", "for_s", (json_int_t)for_s, "reason", reason), show_pass_all,
	    NULL);
}

/* A process of its own: the brain is no part of this program. It is in place of us from here on. */
static int serve_test(const struct ctl *ctl, int argc, char **argv)
{
	const char *policy = NULL;
	const struct ctl_option options[] = { { "--policy", CTL_TEXT, &policy },
		{ NULL, CTL_FLAG, NULL } };
	char self[PATH_MAX], path[PATH_MAX + 32];
	if (!ctl_options(ctl, &argc, argv, options, 1, 1000))
		return CTL_USAGE;
	if (policy == NULL)
		return ctl_usage(ctl, "against which configuration? as `--policy appliance.yaml`");
	char **words = calloc((size_t)argc + 5, sizeof(*words));
	int n = 0;
	if (words == NULL)
		return ctl_fail(ctl, CTL_REFUSED, "no memory");
	words[n++] = path;
	words[n++] = (char *)(uintptr_t) "--policy";
	words[n++] = (char *)(uintptr_t)policy;
	if (ctl->json)
		words[n++] = (char *)(uintptr_t) "--json";
	for (int i = 0; i < argc; i++)
		words[n++] = argv[i];
	fflush(NULL);
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[len < 0 ? 0 : len] = '\0';
	char *slash = strrchr(self, '/');
	if (slash != NULL) {
		snprintf(path, sizeof(path), "%.*s/postern-try", (int)(slash - self), self);
		execv(path, words);
	}
	execvp("postern-try", words);
	free(words);
	return ctl_fail(ctl, CTL_REFUSED, "postern-try is neither beside posternctl nor in PATH");
}

const struct ctl_command ctl_trying_commands[] = {
	{ "pass-all", "--for 10m [--reason TEXT] | off", serve_pass_all,
	    "Lets everybody through for a time; rules only note what they would have done.",
	    "For the moment in which honest mail is refused and nobody knows why. Address lists "
	    "and "
	    "bans too let pass; limits that protect the appliance stay, and relaying never opens. "
	    "At "
	    "most a day; survives restarts; `status` shows it, events carry \"pass_all\" and each "
	    "rule that would have hit under \"shadow\"." },
	{ "test", "SCRIPT... --policy FILE", serve_test,
	    "Runs SMTP conversations against a configuration that is not in force.",
	    "Nothing leaves the process: mail servers are models that accept everything, time is "
	    "virtual. Each line is shown with its time, then the sessions with their verdicts and "
	    "rules, those in shadow too. Exit 0 when all was as the script expects, else 1. "
	    "postern-try(1) says what a script may hold; examples stand beside the example "
	    "configuration." },
	{ NULL, NULL, NULL, NULL, NULL },
};
