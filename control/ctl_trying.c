/* SPDX-License-Identifier: BSD-3-Clause */
/* Trying: pass-all (ctl.h). */
#include "ctl.h"
#include "duration.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void show_pass_all(const struct ctl *ctl, const json_t *result)
{
	long long until = ctl_number_in(result, "until_s"), left = until - (long long)time(NULL);
	char text[DURATION_TEXT_MAX], when[CTL_TIME_MAX];
	if (until == 0) {
		printf("off: every rule acts as configured\n");
		return;
	}
	duration_text(left < 0 ? 0 : (uint64_t)left, text);
	printf("%sPASS-ALL%s for %s, until %s: everybody is let through, rules only note; `pass-all "
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

const struct ctl_command ctl_trying_commands[] = {
	{ "pass-all", "--for 10m [--reason TEXT] | off", serve_pass_all,
	    "Lets everybody through for a time; rules only note what they would have done.",
	    "For the moment in which honest mail is refused and nobody knows why. Address lists and "
	    "bans too let pass; limits that protect the appliance stay, and relaying never opens. At "
	    "most a day; survives restarts; `status` shows it, events carry \"pass_all\" and each "
	    "rule that would have hit under \"shadow\"." },
	{ NULL, NULL, NULL, NULL, NULL },
};
