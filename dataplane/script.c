/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads conversation files. A line is a tag and a text; nothing nests. */
#include "script.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10
					    : -1;
}

/* \r \n \0 \t \\ \xNN in place; returns the length. */
static size_t unescape(char *s)
{
	char *to = s;

	for (char *p = s; *p; p++) {
		if (*p != '\\') {
			*to++ = *p;
			continue;
		}
		p++;
		switch (*p) {
		case 'r': *to++ = '\r'; break;
		case 'n': *to++ = '\n'; break;
		case 't': *to++ = '\t'; break;
		case '0': *to++ = '\0'; break;
		case 'x':
			if (hex(p[1]) < 0 || hex(p[2]) < 0)
				return 0;
			*to++ = (char)(hex(p[1]) * 16 + hex(p[2]));
			p += 2;
			break;
		case '\0': return 0;
		default: *to++ = *p;
		}
	}
	*to = '\0';
	return (size_t)(to - s);
}

static bool parse(struct script_line *l, char *s)
{
	l->who = *s++;
	l->which = l->who == 'B' ? 0 : 1;
	l->what = ' ';
	if (!strchr("@CSBTXEN", l->who))
		return false;
	if (strchr("CSB", l->who)) {
		if (isdigit((unsigned char)*s))
			l->which = (unsigned)strtoul(s, &s, 10);
		l->what = *s++;
		const char *allowed = l->who == 'C' ? ":=!" : l->who == 'S' ? ":!*+-" : "<>!";

		if (!l->what || !strchr(allowed, l->what))
			return false;
	}
	if (*s == ' ')
		s++;
	else if (*s && l->who != '@')
		return false;
	l->text = strdup(s);
	l->len = unescape(l->text);
	return l->len > 0 || !*s;
}

bool script_read(const char *path, struct script *ret_script, char ret_why[SCRIPT_WHY])
{
	struct script *s = ret_script;
	static char line[SCRIPT_LINE];
	FILE *f = fopen(path, "r");
	unsigned number = 0;
	bool good = true;

	memset(s, 0, sizeof(*s));
	s->path = path;
	if (!f) {
		snprintf(ret_why, SCRIPT_WHY, "%.200s: %s", path, strerror(errno));
		return false;
	}
	while (good && fgets(line, sizeof(line), f)) {
		number++;
		line[strcspn(line, "\n")] = '\0';
		if (number == 1 && line[0] == '#')
			snprintf(s->title, sizeof(s->title), "%.190s", line + 1 + (line[1] == ' '));
		if (line[0] == '\0' || line[0] == '#')
			continue;
		if (s->n == SCRIPT_LINES) {
			good = false;
		} else {
			s->lines[s->n].number = number;
			good = parse(&s->lines[s->n++], line);
		}
		if (!good)
			snprintf(ret_why, SCRIPT_WHY,
			    "%.200s:%u: not a line of a conversation: %.120s", path, number, line);
	}
	fclose(f);
	if (good && !s->title[0]) {
		snprintf(ret_why, SCRIPT_WHY,
		    "%.200s:1: the first line is to say what the file proves, as `# Anybody may "
		    "write "
		    "to the postmaster`",
		    path);
		good = false;
	}
	if (!good)
		script_fini(s);
	return good;
}

void script_fini(struct script *s)
{
	for (unsigned i = 0; i < s->n; i++)
		free(s->lines[i].text);
	s->n = 0;
}

bool script_match(const char *pattern, const char *text, size_t len)
{
	const char *end = text + len, *star = NULL, *back = NULL;

	/* The shell's algorithm: on a mismatch the last star takes one byte more. */
	while (text < end) {
		if (*pattern == '*') {
			star = pattern++;
			back = text;
		} else if (*pattern == *text && *pattern) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

char *script_word(char **p)
{
	char *word = *p + strspn(*p, " ");

	if (!*word)
		return NULL;
	*p = word + strcspn(word, " ");
	if (**p)
		*(*p)++ = '\0';
	return word;
}

char *script_value(char *word)
{
	char *equals = strchr(word, '=');

	if (!equals)
		return NULL;
	*equals = '\0';
	return equals + 1;
}

bool script_duration(const char *text, unsigned long long *ret_ns)
{
	static const struct {
		const char *unit;
		unsigned long long ns;
	} units[] = { { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000 },
		{ "h", 3600000000000 } };
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	for (size_t i = 0; end > text && i < sizeof(units) / sizeof(units[0]); i++) {
		if (!strcmp(end, units[i].unit)) {
			*ret_ns = n * units[i].ns;
			return true;
		}
	}
	return false;
}
