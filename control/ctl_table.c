/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands by group, and how their words and options are read (ctl.h). */
#include "ctl.h"
#include "duration.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ctl_group ctl_groups[] = {
	{ "Seeing", ctl_seeing_commands },
	{ "What goes on", ctl_events_commands },
	{ "Explaining", ctl_explain_commands },
	{ "Configuration", ctl_config_commands },
	{ "Changes", ctl_changes_commands },
	{ "Trying", ctl_trying_commands },
	{ "Patterns", ctl_patterns_commands },
	{ "Lists", ctl_lists_commands },
	{ "Running", ctl_running_commands },
	{ "Relaying", ctl_relay_commands },
	{ "Waves", ctl_waves_commands },
	{ "Greylist", ctl_grey_commands },
	{ "Memory of sources", ctl_memory_commands },
	{ "Name service", ctl_dns_commands },
	{ NULL, NULL },
};

/* How many words of argv are `name`; 0: they are something else. */
static int words_of(const char *name, int argc, char *const *argv)
{
	for (int i = 0; i < argc; i++) {
		size_t len = strcspn(name, " ");
		if (strlen(argv[i]) != len || memcmp(argv[i], name, len) != 0)
			return 0;
		if (name[len] == '\0')
			return i + 1;
		name += len + 1;
	}
	return 0;
}

const struct ctl_command *ctl_find(int argc, char *const *argv, int *ret_words)
{
	const struct ctl_command *found = NULL;
	int best = 0;
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++)
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++) {
			int words = words_of(c->name, argc, argv);
			if (words <= best)
				continue;
			best = words;
			found = c;
		}
	if (found != NULL)
		*ret_words = best;
	return found;
}

unsigned ctl_distance(const char *a, const char *b)
{
	enum { MAX = 32 };
	unsigned row[MAX + 1], n = (unsigned)strlen(b);
	if (n > MAX || strlen(a) > MAX)
		return MAX;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 0; a[i] != '\0'; i++) {
		unsigned corner = row[0];
		row[0] = i + 1;
		for (unsigned j = 0; j < n; j++) {
			unsigned change = corner + (a[i] != b[j]);
			corner = row[j + 1];
			unsigned least = row[j] < corner ? row[j] : corner;
			row[j + 1] = least + 1 < change ? least + 1 : change;
		}
	}
	return row[n];
}

const char *ctl_nearest(int argc, char *const *argv)
{
	char typed[64];
	const char *near = NULL;
	unsigned best = 4; /* farther is no slip of the fingers */
	if (argc == 0)
		return NULL;
	for (const struct ctl_group *g = ctl_groups; g->title != NULL; g++)
		for (const struct ctl_command *c = g->commands; c->name != NULL; c++) {
			bool two = strchr(c->name, ' ') != NULL && argc > 1;
			snprintf(typed, sizeof(typed), "%s%s%s", argv[0], two ? " " : "",
			    two ? argv[1] : "");
			unsigned d = ctl_distance(typed, c->name);
			/* the right first word of two is nearer than any spelling */
			size_t first = strcspn(c->name, " ");
			if (c->name[first] != '\0' && strlen(argv[0]) == first &&
			    memcmp(argv[0], c->name, first) == 0 && d > 3)
				d = 3;
			if (d < best && d < strlen(typed)) {
				best = d;
				near = c->name;
			}
		}
	return near;
}

int ctl_usage(const struct ctl *ctl, const char *format, ...)
{
	const struct ctl_command *c = ctl->command;
	va_list args;
	fputs("posternctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nusage: posternctl %s%s%s\n", c->name, *c->usage == '\0' ? "" : " ",
	    c->usage);
	return CTL_USAGE;
}

static bool read_value(const struct ctl *ctl, const struct ctl_option *o, const char *text)
{
	char *end;
	switch (o->kind) {
	case CTL_FLAG: *(bool *)o->to = true; return true;
	case CTL_TEXT: *(const char **)o->to = text; return true;
	case CTL_NUMBER:
		errno = 0;
		*(int64_t *)o->to = strtoll(text, &end, 10);
		if (errno == 0 && end != text && *end == '\0' && *text >= '0' && *text <= '9')
			return true;
		ctl_usage(ctl, "%s: \"%s\" is not a number", o->name, text);
		return false;
	case CTL_DURATION:
		if (duration_parse(text, o->to) == 0)
			return true;
		ctl_usage(
		    ctl, "%s: \"%s\" is not a duration; allowed: " DURATION_ALLOWED, o->name, text);
		return false;
	}
	return false;
}

/* The option that `word` names: whole, or before its '='. */
static const struct ctl_option *option_of(const struct ctl_option *options, const char *word)
{
	size_t len = strcspn(word, "=");
	for (const struct ctl_option *o = options; o != NULL && o->name != NULL; o++)
		if (strlen(o->name) == len && memcmp(o->name, word, len) == 0)
			return o;
	return NULL;
}

bool ctl_options(const struct ctl *ctl, int *argc, char **argv, const struct ctl_option *options,
    int min, int max)
{
	int left = 0;
	bool ended = false;
	for (int i = 0; i < *argc; i++) {
		char *word = argv[i];
		if (ended || strncmp(word, "--", 2) != 0) {
			argv[left++] = word;
			continue;
		}
		if (word[2] == '\0') {
			ended = true;
			continue;
		}
		const struct ctl_option *o = option_of(options, word);
		char *value = strchr(word, '=');
		if (o == NULL) {
			ctl_usage(ctl, "`%s` has no option %s", ctl->command->name, word);
			return false;
		}
		if (o->kind == CTL_FLAG && value != NULL) {
			ctl_usage(ctl, "%s takes no value", o->name);
			return false;
		}
		if (o->kind != CTL_FLAG && value == NULL && i + 1 == *argc) {
			ctl_usage(ctl, "%s wants a value", o->name);
			return false;
		}
		if (o->kind != CTL_FLAG)
			value = value == NULL ? argv[++i] : value + 1;
		if (!read_value(ctl, o, value))
			return false;
	}
	*argc = left;
	if (left >= min && left <= max)
		return true;
	if (left < min)
		ctl_usage(ctl, "`%s` wants more", ctl->command->name);
	else
		ctl_usage(ctl, "\"%s\" is too much", argv[max]);
	return false;
}
