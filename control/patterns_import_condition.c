/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Conditions of SpamAssassin's `if` lines: ! && || ( ) comparisons over version, plugin(X), can(X)
 * and has(X). We are version 4.0.1 with the ReplaceTags plug-in alone; so `can` of another plug-in
 * is false, and of SpamAssassin itself true but for what we leave out. What cannot be read is
 * false, as SpamAssassin has it.
 */
#include "patterns_import_rules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32 };
static const double version = 4.000001;

struct reader {
	const char *at;
	unsigned depth;
	bool wrong;
};

bool sa_plugin(const char *name)
{
	return strcmp(name, "Mail::SpamAssassin::Plugin::ReplaceTags") == 0;
}

static bool can(const char *what)
{
	static const char *const absent[] = {
		"Mail::SpamAssassin::Conf::feature_capture_rules",
		"Mail::SpamAssassin::Conf::compat_welcomelist_blocklist",
		"Mail::SpamAssassin::Conf::feature_dns_block_rule",
	};
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		if (strcmp(what, absent[i]) == 0)
			return false;
	}
	return strncmp(what, "Mail::SpamAssassin::Conf::", 26) == 0;
}

static void blanks(struct reader *r)
{
	while (isspace((unsigned char)*r->at))
		r->at++;
}

static bool take(struct reader *r, const char *word)
{
	size_t len = strlen(word);
	blanks(r);
	if (strncmp(r->at, word, len) != 0)
		return false;
	r->at += len;
	return true;
}

static double either(struct reader *r);

/* The name in plugin(NAME) and so on. */
static bool class_name(struct reader *r, char *name, size_t size)
{
	size_t n = 0;
	if (!take(r, "("))
		return false;
	blanks(r);
	while (isalnum((unsigned char)*r->at) || *r->at == '_' || *r->at == ':') {
		if (n + 1 == size)
			return false;
		name[n++] = *r->at++;
	}
	name[n] = '\0';
	return n != 0 && take(r, ")");
}

static double value(struct reader *r)
{
	char name[128];
	double result = 0;
	blanks(r);
	if (++r->depth > DEPTH_MAX) {
		r->wrong = true;
	} else if (take(r, "!")) {
		result = value(r) == 0;
	} else if (take(r, "(")) {
		result = either(r);
		r->wrong |= !take(r, ")");
	} else if (take(r, "plugin")) {
		r->wrong |= !class_name(r, name, sizeof(name));
		result = !r->wrong && sa_plugin(name);
	} else if (take(r, "can") || take(r, "has")) {
		r->wrong |= !class_name(r, name, sizeof(name));
		result = !r->wrong && can(name);
	} else if (take(r, "version")) {
		result = version;
	} else if (take(r, "perl_version")) {
		result = 5.036;
	} else if (take(r, "local_tests_only")) {
		result = 1;
	} else if (isdigit((unsigned char)*r->at)) {
		char *end;
		result = strtod(r->at, &end);
		r->at = end;
	} else {
		r->wrong = true;
	}
	r->depth--;
	return result;
}

static double comparison(struct reader *r)
{
	double a = value(r);
	blanks(r);
	if (take(r, ">="))
		return a >= value(r);
	if (take(r, "<="))
		return a <= value(r);
	if (take(r, "=="))
		return a == value(r);
	if (take(r, "!="))
		return a != value(r);
	if (take(r, ">"))
		return a > value(r);
	if (take(r, "<"))
		return a < value(r);
	return a;
}

static double both(struct reader *r)
{
	double a = comparison(r);
	while (!r->wrong && take(r, "&&")) {
		double b = comparison(r);
		a = a != 0 && b != 0;
	}
	return a;
}

static double either(struct reader *r)
{
	double a = both(r);
	while (!r->wrong && take(r, "||")) {
		double b = both(r);
		a = a != 0 || b != 0;
	}
	return a;
}

bool sa_condition(const char *text)
{
	struct reader r = { text, 0, false };
	double result = either(&r);
	blanks(&r);
	return !r.wrong && *r.at == '\0' && result != 0;
}
