/* SPDX-License-Identifier: BSD-3-Clause */
/* posternctl: the global options, wherever they stand, and the command (ctl.h). */
#include "ctl.h"

#include "postern_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int unknown(int argc, char **argv)
{
	const char *near = ctl_nearest(argc, argv);
	fprintf(stderr, "posternctl: there is no command %s", argv[0]);
	if (near != NULL)
		fprintf(stderr, "; did you mean `posternctl %s`?\n", near);
	else
		fprintf(stderr, "; `posternctl help` lists all\n");
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .run = "/run/postern",
		.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL };
	bool help = false, ended = false;
	int n = 0, words = 0;
	for (int i = 1; i < argc; i++) { /* what is not ours is left to the command */
		char *word = argv[i];
		ended = ended || strcmp(word, "--") == 0;
		if (ended) {
			argv[n++] = word;
		} else if (strcmp(word, "--json") == 0) {
			ctl.json = true;
		} else if (strncmp(word, "--run=", 6) == 0) {
			ctl.run = word + 6;
		} else if (strcmp(word, "--run") == 0) {
			if (++i == argc) {
				fputs("posternctl: --run wants a directory\n", stderr);
				return CTL_USAGE;
			}
			ctl.run = argv[i];
		} else if (strcmp(word, "--help") == 0) {
			help = true;
		} else if (strcmp(word, "--version") == 0) {
			puts("posternctl " POSTERN_VERSION);
			return CTL_OK;
		} else if (n == 0 && word[0] == '-') {
			fprintf(
			    stderr, "posternctl: there is no option %s; --help says more\n", word);
			return CTL_USAGE;
		} else {
			argv[n++] = word;
		}
	}
	if (help)
		return ctl_help(&ctl, n, argv);
	if (n == 0) {
		ctl_help(&ctl, 0, argv);
		return CTL_USAGE;
	}
	if (strcmp(argv[0], "help") == 0)
		return ctl_help(&ctl, n - 1, argv + 1);
	ctl.command = ctl_find(n, argv, &words);
	if (ctl.command == NULL)
		return unknown(n, argv);
	return ctl.command->serve(&ctl, n - words, argv + words);
}
