/* SPDX-License-Identifier: BSD-3-Clause */
/* `help`: the commands from their table, configuration keys from the schema's (schema.h). */
#include "ctl.h"
#include "presets.h"
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
	ctl_row(ctl, "effect", CTL_PLAIN, "%s",
	    flags & SCHEMA_RESTART ? "restart: when postern-dataplane starts"
				   : "live: with the next load");
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

/* Every command whose name begins with the words; how many. */
static int help_commands(const struct ctl *ctl, int argc, char *const *argv)
{
	int n = 0;
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++)
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++) {
			char typed[64];
			snprintf(typed, sizeof(typed), "%s%s%s", argv[0], argc > 1 ? " " : "",
			    argc > 1 ? argv[1] : "");
			size_t len = strlen(typed);
			if (strncmp(c->name, typed, len) != 0 ||
			    (c->name[len] != '\0' && c->name[len] != ' '))
				continue;
			printf("%s%sposternctl %s%s%s%s\n%s\n", n++ == 0 ? "" : "\n",
			    ctl_ink_on(ctl, CTL_BOLD), c->name, *c->usage == '\0' ? "" : " ",
			    c->usage, ctl_ink_off(ctl), c->summary);
			if (c->details != NULL)
				printf("%s\n", c->details);
		}
	return n;
}

static int help_json(void)
{
	json_t *all = json_array();
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++)
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++)
			json_array_append_new(
			    all, json_pack("{s:s, s:s, s:s, s:s, s:s?}", "group", g->title, "name",
				     c->name, "usage", c->usage, "summary", c->summary, "details",
				     c->details));
	ctl_print_json(all);
	json_decref(all);
	return CTL_OK;
}

static int help_all(const struct ctl *ctl)
{
	int width = (int)strlen("help config KEY");
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++)
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++)
			width = (int)strlen(c->name) > width ? (int)strlen(c->name) : width;
	printf("usage: posternctl [--run DIR] [--json] COMMAND [ARGUMENT...]\n");
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++) {
		printf("\n%s%s%s\n", ctl_ink_on(ctl, CTL_BOLD), g->title, ctl_ink_off(ctl));
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++)
			printf("  %-*s  %s\n", width, c->name, c->summary);
	}
	printf("\n%sHelp%s\n  %-*s  One command, or all beginning with a word: `help load`.\n"
	       "  %-*s  Every configuration key, or one: `help config limits.errors`.\n"
	       "  %-*s  What the presets say, or one: `help presets normal`.\n",
	    ctl_ink_on(ctl, CTL_BOLD), ctl_ink_off(ctl), width, "help COMMAND", width,
	    "help config KEY", width, "help presets");
	printf("\n  --run DIR   where the manager's socket is (default /run/postern)\n"
	       "  --json      answers as JSON\n  --help, --version\n\n"
	       "Durations: 30s, 10m, 2h, 7d. Exit: 0 done, 1 refused, 2 usage, 3 cannot reach the\n"
	       "manager or the dataplane, 4 your role does not allow it, 5 busy: try again.\n");
	return CTL_OK;
}

/* What each says and why, as its file tells it. */
static int help_presets(const struct ctl *ctl, const char *name)
{
	json_t *all = ctl->json ? json_object() : NULL;
	unsigned n;
	const struct preset *presets = preset_all(&n);
	if (name != NULL && preset_find(name) == NULL) {
		fprintf(stderr,
		    "posternctl: there is no preset %s; `posternctl help presets` lists all\n",
		    name);
		json_decref(all);
		return CTL_REFUSED;
	}
	for (unsigned i = 0; i < n; i++) {
		if (name != NULL && strcmp(name, presets[i].name) != 0)
			continue;
		if (all != NULL)
			json_object_set_new(all, presets[i].name, json_string(presets[i].text));
		else
			printf("%s%spreset: %s%s\n%s", i == 0 || name != NULL ? "" : "\n",
			    ctl_ink_on(ctl, CTL_BOLD), presets[i].name, ctl_ink_off(ctl),
			    presets[i].text);
	}
	if (all != NULL)
		ctl_print_json(all);
	json_decref(all);
	return CTL_OK;
}

int ctl_help(const struct ctl *ctl, int argc, char **argv)
{
	if (argc == 0)
		return ctl->json ? help_json() : help_all(ctl);
	if (strcmp(argv[0], "config") == 0 && argc <= 2)
		return argc == 1 ? help_config(ctl) : help_key(ctl, argv[1]);
	if (strcmp(argv[0], "presets") == 0 && argc <= 2)
		return help_presets(ctl, argc == 1 ? NULL : argv[1]);
	if (help_commands(ctl, argc, argv) != 0)
		return CTL_OK;
	const char *near = ctl_nearest(argc, argv);
	fprintf(stderr, "posternctl: there is no command %s", argv[0]);
	if (near != NULL)
		fprintf(stderr, "; did you mean `posternctl help %s`?\n", near);
	else
		fprintf(stderr, "; `posternctl help` lists all\n");
	return CTL_USAGE;
}
