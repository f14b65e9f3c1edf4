/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints postern.yaml(5) from the schema table, at build time: a page written by hand would lie
 * after the first change of a range. */
#include "man_text.h"
#include "schema.h"

#include <stdio.h>
#include <string.h>

static void put_key(void *arg, const char *dotted, const struct schema_key *key, unsigned flags)
{
	char allowed[512];
	(void)arg;
	schema_allowed(key, allowed, sizeof(allowed));
	fputs(".TP\n.B ", stdout);
	man_put(dotted);
	putchar('\n');
	man_put(key->doc);
	fputs("\n.br\nAllowed: ", stdout);
	man_put(allowed);
	if (key->unit != NULL) {
		fputs("; unit: ", stdout);
		man_put(key->unit);
	}
	fputs(".\n", stdout);
	if (key->flags & SCHEMA_REQUIRED) {
		fputs("Must be given.\n", stdout);
	} else if (key->def != NULL) {
		fputs("Default: ", stdout);
		man_put(*key->def == '\0' ? "\"\"" : key->def);
		fputs(".\n", stdout);
	}
	if ((flags & SCHEMA_RESTART) && strchr(dotted, '.') == NULL)
		fputs("Taken when postern\\-dataplane starts.\n", stdout);
}

int main(void)
{
	puts(".\\\" SPDX-License-Identifier: BSD-3-Clause\n"
	     ".\\\" Made by control/yaml_man.c from the schema table.\n"
	     ".TH POSTERN.YAML 5 \"\" Postern \"Postern manual\"\n"
	     ".SH NAME\n"
	     "postern.yaml \\- configuration of a Postern appliance\n"
	     ".SH DESCRIPTION\n"
	     "A YAML file in UTF\\-8, one document, read by\n"
	     ".BR postern\\-manager (8)\n"
	     "and\n"
	     ".BR postern\\-compile (1).\n"
	     "It is checked whole before anything of it takes effect: unknown and repeated keys, "
	     "wrong\n"
	     "types, values out of range, names used twice, references to what is not there and\n"
	     "conflicts are all told in one run as\n"
	     ".IR file : line : column ,\n"
	     "each with what is allowed.\n"
	     ".PP\n"
	     "Numbers are plain decimal and stand without quotes. IPv6 addresses want quotes, "
	     "since a\n"
	     "colon means something to YAML.\n"
	     ".PP\n"
	     "What stands under\n"
	     ".B host\n"
	     "is taken when postern\\-dataplane starts; the rest changes while it runs.\n"
	     ".SH KEYS");
	schema_walk(put_key, NULL);
	puts(
	    ".SH LIST FILES\n"
	    "One address, prefix without host bits, or range\n"
	    ".IR first \\- last\n"
	    "a line; # begins a comment. A line has at most 1,024 characters. Of the entries that\n"
	    "hold an address, one of a list with\n"
	    ".B action: pass\n"
	    "wins; then the more specific prefix; then the more severe action; then the list that\n"
	    "stands first.\n"
	    ".SH SEE ALSO\n"
	    ".BR posternctl (1),\n"
	    ".BR postern\\-compile (1),\n"
	    ".BR postern\\-manager (8)\n"
	    ".PP\n"
	    "An example with every key: control/examples/appliance.yaml.");
	return ferror(stdout) != 0;
}
