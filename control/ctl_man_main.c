/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints posternctl(1), or with --completion the completion for bash, at build time. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--completion") == 0)
		ctl_complete();
	else
		ctl_man();
	return ferror(stdout) != 0;
}
