/* SPDX-License-Identifier: BSD-3-Clause */
/* `help`: the commands from their table, configuration keys from the schema's (schema.h). */
#include "ctl.h"
#include "schema.h"

#include <stdio.h>
#include <string.h>

static void list_key(void *arg, const char *dotted, const struct schema_key *key, unsigned flags)
{
	(void)flags;
	printf("%-*s %s\n", *(const int *)arg, dotted, key->doc);
}

static void widest(void *arg, const char *dotted, const struct schema_key *key, unsigned flags)
{
	int *width = arg, len = (int)strlen(dotted);
	(void)key;
	(void)flags;
	*width = len > *width ? len : *width;
}

static json_t *key_json(const char *dotted, const struct schema_key *key, unsigned flags)
{
	char allowed[512];
	schema_allowed(key, allowed, sizeof(allowed));
	return json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:b, s:b}", "key", dotted, "doc", key->doc,
	    "allowed", allowed, "default", key->def, "unit", key->unit, "required",
	    (flags & SCHEMA_REQUIRED) != 0, "live", (flags & SCHEMA_RESTART) == 0);
}

static void add_json(void *arg, const char *dotted, const struct schema_key *key, unsigned flags)
{
	json_array_append_new(arg, key_json(dotted, key, flags));
}

static int help_key(const struct ctl *ctl, const char *dotted)
{
	unsigned flags;
	char allowed[512];
	const struct schema_key *key = schema_find(dotted, &flags);
	if (key == NULL) {
		fprintf(stderr,
		    "posternctl: there is no configuration key %s; `posternctl help config` "
		    "lists all\n",
		    dotted);
		return CTL_REFUSED;
	}
	if (ctl->json) {
		json_t *json = key_json(dotted, key, flags);
		ctl_print_json(json);
		json_decref(json);
		return CTL_OK;
	}
	schema_allowed(key, allowed, sizeof(allowed));
	printf("%s%s%s\n%s\n\n", ctl_ink_on(ctl, CTL_BOLD), dotted, ctl_ink_off(ctl), key->doc);
	ctl_row(ctl, "allowed", CTL_PLAIN, "%s", allowed);
	if (key->unit != NULL)
		ctl_row(ctl, "unit", CTL_PLAIN, "%s", key->unit);
	if (flags & SCHEMA_REQUIRED)
		ctl_row(ctl, "default", CTL_PLAIN, "none, it must be given");
	else if (key->def != NULL)
		ctl_row(ctl, "default", CTL_PLAIN, "%s", *key->def == '\0' ? "\"\"" : key->def);
	ctl_row(ctl, "takes effect", CTL_PLAIN, "%s",
	    flags & SCHEMA_RESTART ? "when postern-dataplane starts"
				   : "at once, with the next load");
	for (unsigned i = 0; key->section != NULL && i < key->section->n_keys; i++)
		printf("%s  %s.%-22s %s\n", i == 0 ? "\n" : "", dotted, key->section->keys[i].name,
		    key->section->keys[i].doc);
	return CTL_OK;
}

static int help_config(const struct ctl *ctl)
{
	int width = 0;
	if (ctl->json) {
		json_t *all = json_array();
		schema_walk(add_json, all);
		ctl_print_json(all);
		json_decref(all);
		return CTL_OK;
	}
	schema_walk(widest, &width);
	schema_walk(list_key, &width);
	return CTL_OK;
}

int ctl_help(const struct ctl *ctl, const char *topic, const char *key)
{
	if (topic == NULL) {
		printf("usage: posternctl [--run DIR] [--json] COMMAND\n\n");
		for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++)
			printf("  %s%-8s%s %-10s %s\n", ctl_ink_on(ctl, CTL_BOLD), c->name,
			    ctl_ink_off(ctl), c->argument == NULL ? "" : c->argument, c->summary);
		printf("\n  --run DIR   where the manager's socket is (default /run/postern)\n"
		       "  --json      answers as JSON\n  --help, --version\n\n"
		       "Exit: 0 done, 1 refused, 2 usage, 3 cannot reach the manager or the "
		       "dataplane.\n");
		return CTL_OK;
	}
	if (strcmp(topic, "config") == 0)
		return key == NULL ? help_config(ctl) : help_key(ctl, key);
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++)
		if (strcmp(c->name, topic) == 0 && key == NULL) {
			printf("posternctl %s%s%s\n%s\n%s%s", c->name,
			    c->argument == NULL ? "" : " ", c->argument == NULL ? "" : c->argument,
			    c->summary, c->more == NULL ? "" : c->more, c->more == NULL ? "" : "\n");
			return CTL_OK;
		}
	fprintf(stderr, "posternctl: there is no command %s; `posternctl help` lists all\n", topic);
	return CTL_USAGE;
}
