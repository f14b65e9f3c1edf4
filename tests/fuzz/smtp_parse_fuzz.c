/* SPDX-License-Identifier: BSD-3-Clause */
/* One command line: every text lies inside it, within its limit, and parses again by itself. */
#include "fuzz.h"

#include "dataplane/smtp.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool inside(struct text t, struct text line)
{
	return t.len == 0 || (t.p >= line.p && t.p + t.len <= line.p + line.len);
}

static void check_path(const struct smtp_command *c, struct text line)
{
	const struct smtp_path *path = &c->path;
	const char *end = path->whole.p + path->whole.len;

	CHECK(inside(path->whole, line) && path->whole.len <= SMTP_PATH_MAX);
	CHECK(inside(path->route, path->whole) && inside(path->local, path->whole));
	CHECK(inside(path->domain, path->whole));
	CHECK(path->local.len <= SMTP_LOCAL_MAX && path->domain.len <= SMTP_DOMAIN_MAX);
	for (const char *p = path->whole.p; p < end; p++)
		CHECK((uint8_t)*p >= ' ' && *p != 0x7f);
	if (path->domain.len) {
		/* Route, local part, @ and domain are the whole: nothing hides between them. */
		CHECK(path->domain.p + path->domain.len == end);
		CHECK(path->domain.p[-1] == '@');
		CHECK(path->local.p + path->local.len == path->domain.p - 1);
		CHECK(path->local.len > 0);
		size_t front = path->route.len ? path->route.len + 1u : 0;

		CHECK(path->whole.p + front == path->local.p);
	} else if (path->whole.len) {
		CHECK(path->whole.len == 10 && !strncasecmp(path->whole.p, "postmaster", 10));
	} else {
		CHECK(c->verb == SMTP_MAIL);
	}
}

/* What is passed on to a backend, written as the relay would, reads as the same command. */
static void parse_again(const struct smtp_command *c)
{
	char line[SMTP_COMMAND_MAX + 64];
	struct smtp_command again;
	int len = snprintf(line, sizeof(line), "%s<%.*s>%s%.*s",
	    c->verb == SMTP_MAIL ? "MAIL FROM:" : "RCPT TO:", c->path.whole.len, c->path.whole.p,
	    c->params.len ? " " : "", c->params.len, c->params.p ? c->params.p : "");

	CHECK(smtp_parse((struct text){ line, (uint16_t)len }, &again) == SMTP_SYNTAX_OK);
	CHECK(again.path.whole.len == c->path.whole.len && again.params.len == c->params.len);
	CHECK(again.path.local.len == c->path.local.len);
	CHECK(again.path.domain.len == c->path.domain.len);
	CHECK(again.has_size == c->has_size && again.size == c->size && again.body == c->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* As smtp_line() hands it over: bounded, without NUL, CR or LF. */
	if (len > SMTP_COMMAND_MAX - 2)
		len = SMTP_COMMAND_MAX - 2;
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\0' || data[i] == '\r' || data[i] == '\n')
			len = i;
	}
	struct text line = { (const char *)data, (uint16_t)len };
	struct smtp_command c;
	enum smtp_syntax syntax = smtp_parse(line, &c);

	CHECK(c.verb < SMTP_N_VERBS && smtp_verb_words[c.verb]);
	CHECK(inside(c.argument, line));
	CHECK((syntax == SMTP_SYNTAX_UNKNOWN) == (c.verb == SMTP_UNKNOWN || c.verb == SMTP_HTTP));
	if (syntax != SMTP_SYNTAX_OK)
		return 0;
	CHECK(inside(c.params, line) && inside(c.notify, line) && inside(c.orcpt, line));
	CHECK(inside(c.envid, line) && inside(c.ret, line) && !c.unknown_param);
	if (c.verb == SMTP_MAIL || c.verb == SMTP_RCPT) {
		check_path(&c, line);
		parse_again(&c);
	}
	return 0;
}
