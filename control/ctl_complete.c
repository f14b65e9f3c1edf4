/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completion for bash, from the tables of commands (ctl.h) and of configuration keys (schema.h), made
 * at build time: each command with its options and what its arguments can be, read out of its usage.
 * (Rejected: asking posternctl at each press of the key, which would wait where no manager answers.)
 */
#include "ctl.h"
#include "schema.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static size_t span_of(const char *text)
{
	size_t n = 0;
	while (isalnum((unsigned char)text[n]) || text[n] == '-' || text[n] == '_' || text[n] == '.')
		n++;
	return n;
}

/* Words of the usage that may be typed as they stand: options, and alternatives as "on|off". */
static void put_words(const char *usage)
{
	for (const char *at = usage; *at != '\0';) {
		size_t n = span_of(at);
		bool option = n > 2 && at[0] == '-' && at[1] == '-';
		const char *before = at; /* the alternative's bar, past a blank */
		while (before > usage && before[-1] == ' ')
			before--;
		bool chosen = n > 0 && islower((unsigned char)at[0]) &&
			      (at[n] == '|' || (before > usage && before[-1] == '|'));
		if (option || chosen)
			printf(" %.*s", (int)n, at);
		at += n > 0 ? n : 1;
	}
}

static bool has_word(const char *usage, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = strstr(usage, word); at != NULL; at = strstr(at + 1, word))
		if ((at == usage || !isupper((unsigned char)at[-1])) &&
		    !isupper((unsigned char)at[len]))
			return true;
	return false;
}

static void put_command(const struct ctl_command *c)
{
	printf("\t\"%s\") words=\"", c->name);
	put_words(c->usage);
	printf("\"");
	if (has_word(c->usage, "FILE") || has_word(c->usage, "SCRIPT"))
		printf(" what=file");
	else if (has_word(c->usage, "DIR"))
		printf(" what=dir");
	else if (has_word(c->usage, "KEY"))
		printf(" what=key");
	puts(" ;;");
}

static void put_key(void *arg, const char *dotted, const struct schema_key *key, unsigned flags)
{
	(void)arg;
	(void)key;
	(void)flags;
	if (strpbrk(dotted, "[]\"'\\`$") == NULL)
		printf(" %s", dotted);
}

void ctl_complete(void)
{
	puts(
	    "# SPDX-License-Identifier: BSD-3-Clause\n"
	    "# Made by control/ctl_complete.c from the tables of commands. For bash, without need\n"
	    "# of the package bash-completion.\n");
	printf("_posternctl_commands=\"help");
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++)
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++)
			printf("\n%s", c->name);
	printf("\"\n_posternctl_keys=\"");
	schema_walk(put_key, NULL);
	puts("\"\n"
	     "\n"
	     "_posternctl_command() # COMMAND: sets words, what\n"
	     "{\n"
	     "\tcase $1 in");
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++)
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++)
			put_command(c);
	puts("\t\"help config\") what=key ;;\n"
	     "\tesac\n"
	     "}\n"
	     "\n"
	     "_posternctl()\n"
	     "{\n"
	     "\tlocal current=${COMP_WORDS[COMP_CWORD]} typed=() i line words=\"\" what=\"\" "
	     "next=\"\"\n"
	     "\tCOMPREPLY=()\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase ${COMP_WORDS[i]} in\n"
	     "\t\t--run) ((i++)) ;;\n"
	     "\t\t--run=* | --json | = ) ;;\n"
	     "\t\t*) typed+=(\"${COMP_WORDS[i]}\") ;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase ${COMP_WORDS[COMP_CWORD - 1]} in\n"
	     "\t--run) mapfile -t COMPREPLY < <(compgen -d -- \"$current\"); return ;;\n"
	     "\t--out | --policy | --file) mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); "
	     "return ;;\n"
	     "\tesac\n"
	     "\t# what may follow the words typed so far: of `help`, any command\n"
	     "\tlocal said=(\"${typed[@]}\")\n"
	     "\tif [ \"${typed[0]}\" = help ]; then\n"
	     "\t\tsaid=(\"${typed[@]:1}\")\n"
	     "\t\t[ ${#said[@]} = 0 ] && next=config\n"
	     "\tfi\n"
	     "\twhile read -r line; do\n"
	     "\t\tlocal parts=($line)\n"
	     "\t\tif [ ${#said[@]} = 0 ]; then\n"
	     "\t\t\tnext+=\" ${parts[0]}\"\n"
	     "\t\telif [ ${#said[@]} = 1 ] && [ \"${parts[0]}\" = \"${said[0]}\" ]; then\n"
	     "\t\t\tnext+=\" ${parts[1]}\"\n"
	     "\t\tfi\n"
	     "\tdone <<<\"$_posternctl_commands\"\n"
	     "\tif [ \"${typed[0]}\" != help ]; then\n"
	     "\t\t_posternctl_command \"${typed[0]}\"\n"
	     "\t\t[ ${#typed[@]} -gt 1 ] && _posternctl_command \"${typed[0]} ${typed[1]}\"\n"
	     "\telif [ \"${typed[1]}\" = config ]; then\n"
	     "\t\t_posternctl_command \"help config\"\n"
	     "\tfi\n"
	     "\t[ ${#typed[@]} = 0 ] && words=\"--version\"\n"
	     "\t[ \"$what\" = key ] && next+=\" $_posternctl_keys\"\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$next $words --json --run --help\" -- "
	     "\"$current\" | "
	     "sort -u)\n"
	     "\tcase $what in\n"
	     "\tfile) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
	     "\tdir) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
	     "\tesac\n"
	     "}\n"
	     "complete -o filenames -F _posternctl posternctl");
}
