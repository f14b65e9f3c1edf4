/* SPDX-License-Identifier: BSD-3-Clause */
/* What the dataplane is told to do: drain, mail servers (ctl.h). */
#include "ctl.h"

#include <string.h>

static int serve_drain(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	return ctl_ask_show(
	    ctl, "drain", NULL, NULL, "draining: the dataplane ends when its last session has");
}

static int serve_backend(const struct ctl *ctl, int argc, char **argv)
{
	bool on = strcmp(ctl->command->name, "backend drain") == 0;
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "backend.drain",
	    json_pack("{s:s, s:b}", "server", argv[0], "on", on), NULL,
	    on ? "draining: no new session goes there" : "enabled");
}

const struct ctl_command ctl_running_commands[] = {
	{ "backend drain", "SERVER", serve_backend, "Gives a mail server no new sessions.",
	    "Sessions under way finish. `backend enable` and `undo` take it back." },
	{ "backend enable", "SERVER", serve_backend, "Gives a drained mail server sessions again.",
	    NULL },
	{ "drain", "", serve_drain,
	    "Ends the dataplane once its sessions have ended; idle ones get 421.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
