/* SPDX-License-Identifier: BSD-3-Clause */
/* posternctl(1) from the tables of commands (ctl.h): a page written by hand would lie after the
 * first new option. */
#include "ctl.h"
#include "man_text.h"

#include <stdio.h>

static void put_command(const struct ctl_command *c)
{
	fputs(".TP\n.B ", stdout);
	man_put(c->name);
	if (*c->usage != '\0') {
		fputs(" \\fR", stdout);
		man_put(c->usage);
		fputs("\\fP", stdout);
	}
	putchar('\n');
	man_put(c->summary);
	putchar('\n');
	if (c->details != NULL) {
		man_put(c->details);
		putchar('\n');
	}
}

void ctl_man(void)
{
	puts(".\\\" SPDX-License-Identifier: BSD-3-Clause\n"
	     ".\\\" Made by control/ctl_man.c from the tables of commands.\n"
	     ".TH POSTERNCTL 1 \"\" Postern \"Postern manual\"\n"
	     ".SH NAME\n"
	     "posternctl \\- see and steer a running Postern\n"
	     ".SH SYNOPSIS\n"
	     ".B posternctl\n"
	     ".RB [ \\-\\-run\n"
	     ".IR DIR ]\n"
	     ".RB [ \\-\\-json ]\n"
	     ".I COMMAND\n"
	     ".RI [ ARGUMENT ...]\n"
	     ".SH DESCRIPTION\n"
	     "Asks\n"
	     ".BR postern\\-manager (8)\n"
	     "over its control socket; answers are tables for people (in colour on a terminal, "
	     "unless\n"
	     ".B NO_COLOR\n"
	     "is set) or JSON for scripts. Options may stand anywhere. Durations are written 30s, "
	     "10m,\n"
	     "2h, 7d.\n"
	     ".SH COMMANDS");
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++) {
		fputs(".SS ", stdout);
		puts(g->title);
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++)
			put_command(c);
	}
	puts(".SS Help\n"
	     ".TP\n"
	     ".BR help \" [\\fICOMMAND\\fR]\"\n"
	     "All commands, one, or all that begin with a word.\n"
	     ".TP\n"
	     ".BR \"help config\" \" [\\fIKEY\\fR]\"\n"
	     "All configuration keys, or meaning, range, default, unit and effect of one.\n"
	     ".SH OPTIONS\n"
	     ".TP\n"
	     ".BI \\-\\-run \" DIR\"\n"
	     "Where the sockets and the statistics file are; /run/postern without it.\n"
	     ".TP\n"
	     ".B \\-\\-json\n"
	     "Answers as JSON.\n"
	     ".TP\n"
	     ".BR \\-\\-help \", \" \\-\\-version\n"
	     "Say so and exit.\n"
	     ".SH EXIT STATUS\n"
	     "0: done. 1: refused; standard error says why. 2: usage. 3: the manager, or the "
	     "dataplane\n"
	     "behind it, cannot be reached. 4: the caller's role does not allow it. 5: busy; the "
	     "same\n"
	     "may succeed when it is tried again.\n"
	     ".SH SEE ALSO\n"
	     ".BR postern.yaml (5),\n"
	     ".BR postern\\-compile (1),\n"
	     ".BR postern\\-manager (8)");
}
