/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was read, as a pattern file of ours (patterns.h). Written are the rules that score and what
 * their metas ask for; sub-rules that nothing asks for would only be scanned for. A header that is
 * missing is "" (or what if-unset says) to SpamAssassin, and nothing at all to us: where that makes
 * a difference, a second rule NAME.set says whether the header is there.
 */
#include "patterns_import_rules.h"

#include "filters/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct fields {
	const char *names[3];
};

/* Pseudo-headers that are several fields. */
static const struct {
	const char *name;
	struct fields fields;
} several[] = {
	{ "MESSAGEID", { { "Message-Id", "Resent-Message-Id", "X-Message-Id" } } },
	{ "ToCc", { { "To", "Cc" } } },
};

/* The name without :raw; 0: it is one with another ending, or no field name. */
static size_t field_len(const char *header)
{
	size_t len = strcspn(header, ":");
	const char *ending = header + len;
	if (len == 0 || len > 64 || (*ending != '\0' && strcmp(ending, ":raw") != 0))
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)header[i]) && strchr("-_.", header[i]) == NULL)
			return 0;
	}
	return len;
}

bool sa_has_header(const char *header)
{
	/* Return-Path is made at delivery, behind us. */
	return header != NULL && field_len(header) != 0 &&
	       strncasecmp(header, "X-Spam-Relays-", 14) != 0 &&
	       strcasecmp(header, "Return-Path") != 0;
}

static bool is_envelope(const struct sa_expression *e)
{
	return strcmp(e->header, "EnvelopeFrom") == 0 || strcmp(e->header, "EnvelopeFrom:addr") == 0;
}

static bool is_all(const struct sa_expression *e)
{
	return strncmp(e->header, "ALL", field_len(e->header)) == 0 && field_len(e->header) == 3;
}

/* `^` where it can be put behind "from:". */
static bool anchors_move(const char *text)
{
	for (const char *at = text + (*text == '^'); *at != '\0'; at++) {
		if (*at == '\\' && at[1] != '\0')
			at++;
		else if ((*at == '^' && at[-1] != '[') || (*at == '|' && *text == '^'))
			return false;
	}
	return true;
}

bool sa_has_zone(const struct sa_expression *e)
{
	switch (e->kind) {
	case SA_MIMEHEADER: return false;
	case SA_HEADER:
		if (is_envelope(e))
			return !e->negated && anchors_move(e->text);
		return sa_has_header(e->header);
	default: return true;
	}
}

/* ---- lines ---- */

struct writer {
	struct patterns_import *import;
	FILE *out;
};

static double score_of(const struct sa_rule *rule)
{
	double score = rule->nice ? -1 : 1;
	if (strncmp(rule->name, "__", 2) == 0)
		return 0;
	if (rule->has_score)
		score = rule->score;
	else if (strncmp(rule->name, "T_", 2) == 0)
		score /= 100;
	score = score > 1000 ? 1000 : score < -1000 ? -1000 : score;
	return (double)(long)(score * 100 + (score < 0 ? -0.5 : 0.5)) / 100; /* as written */
}

/* Behind the options: the score, where there is one, and where it comes from. */
static void end_line(struct writer *w, const struct sa_rule *rule, bool scores)
{
	if (scores && score_of(rule) != 0)
		fprintf(w->out, " score=%.2f", score_of(rule));
	fprintf(w->out, " # %s:%u", rule->file, rule->line);
	if (scores && rule->describe != NULL) {
		putc(' ', w->out);
		for (const char *c = rule->describe; *c != '\0'; c++)
			putc(*c >= 0x20 && *c <= 0x7e ? *c : '?', w->out);
	}
	putc('\n', w->out);
}

static void text_line(struct writer *w, const struct sa_expression *e, const struct sa_rule *rule,
    const char *text, const char *zone, const char *field, const char *suffix)
{
	if (zone != NULL)
		fprintf(w->out, "%s:/", zone);
	else
		fprintf(w->out, "header:%.*s:/", (int)strcspn(field, ":"), field);
	if (zone != NULL && strcmp(zone, "envelope") == 0)
		fprintf(w->out, *text == '^' ? "^from:%s" : "^from:.*(?:%s)", text + (*text == '^'));
	else
		fputs(text, w->out);
	fprintf(w->out, "/%s%s%s name=%s%s%s", e->flags & SA_CASELESS ? "i" : "",
	    e->flags & SA_DOTALL ? "s" : "", e->flags & SA_MULTILINE ? "m" : "", rule->name, suffix,
	    e->state == SA_CONFIRM ? " confirm" : "");
	end_line(w, rule, *suffix == '\0');
	w->import->counts.lines++;
}

/* zone: its word; NULL: the header field named field. */
static void expression_line(struct writer *w, const struct sa_expression *e,
    const struct sa_rule *rule, const char *zone, const char *field, const char *suffix)
{
	text_line(w, e, rule, e->text, zone, field, suffix);
	for (unsigned i = 0; i < e->n_more; i++)
		text_line(w, e, rule, e->more[i], zone, field, suffix);
}

/* `NAME suffix` is hit when one of the fields is there. */
static void set_line(
    struct writer *w, const struct sa_rule *rule, const char *header, const char *suffix)
{
	fputs("header:/^", w->out);
	for (unsigned i = 0; i < sizeof(several) / sizeof(several[0]); i++) {
		const char *const *names = several[i].fields.names;
		if (strncmp(header, several[i].name, field_len(header)) != 0 ||
		    several[i].name[field_len(header)] != '\0')
			continue;
		fprintf(w->out, "(?:%s", names[0]);
		for (unsigned j = 1; j < 3 && names[j] != NULL; j++)
			fprintf(w->out, "|%s", names[j]);
		fputs(")", w->out);
		header = "";
		break;
	}
	for (const char *c = header; *c != '\0' && *c != ':'; c++)
		fprintf(w->out, *c == '.' ? "\\%c" : "%c", *c);
	fprintf(w->out, "[ \\t]*:/mi name=%s%s", rule->name, suffix);
	end_line(w, rule, *suffix == '\0');
	w->import->counts.lines++;
}

static void header_lines(
    struct writer *w, const struct sa_expression *e, const struct sa_rule *rule, const char *suffix)
{
	size_t len = field_len(e->header);
	if (is_envelope(e)) {
		expression_line(w, e, rule, "envelope", "", suffix);
		return;
	}
	if (is_all(e)) {
		expression_line(w, e, rule, "header", "", suffix);
		return;
	}
	for (unsigned i = 0; i < sizeof(several) / sizeof(several[0]); i++) {
		if (strlen(several[i].name) != len || memcmp(several[i].name, e->header, len) != 0)
			continue;
		for (unsigned j = 0; j < 3 && several[i].fields.names[j] != NULL; j++)
			expression_line(w, e, rule, NULL, several[i].fields.names[j], suffix);
		return;
	}
	expression_line(w, e, rule, NULL, e->header, suffix);
}

static void header_rule(struct writer *w, const struct sa_expression *e, const struct sa_rule *rule)
{
	bool unset_hits = false;
	if (!is_envelope(e) && !is_all(e))
		unset_hits = sa_matches(e, e->if_unset == NULL ? "" : e->if_unset);
	if (!e->negated && !unset_hits) {
		header_lines(w, e, rule, "");
		return;
	}
	header_lines(w, e, rule, ".re");
	if (unset_hits)
		set_line(w, rule, e->header, ".set");
	if (!e->negated)
		fprintf(w->out, "meta %s = %s.re || !%s.set", rule->name, rule->name, rule->name);
	else if (unset_hits)
		fprintf(w->out, "meta %s = !%s.re && %s.set", rule->name, rule->name, rule->name);
	else
		fprintf(w->out, "meta %s = !%s.re", rule->name, rule->name);
	end_line(w, rule, true);
}

static void write_rule(struct writer *w, const struct sa_rule *rule)
{
	const struct sa_expression *e = &w->import->expressions[rule->at];
	switch (rule->kind) {
	case SA_HEADER: header_rule(w, e, rule); break;
	case SA_BODY:
		expression_line(w, e, rule, "text", "", "");
		if (!rule->nosubject)
			expression_line(w, e, rule, "subject", "", "");
		break;
	case SA_RAWBODY:
	case SA_FULL: expression_line(w, e, rule, "body", "", ""); break;
	case SA_URI: expression_line(w, e, rule, "uri", "", ""); break;
	case SA_EXISTS: set_line(w, rule, rule->header, ""); break;
	case SA_META:
		fprintf(w->out, "meta %s = %s", rule->name, rule->logic);
		end_line(w, rule, true);
		break;
	default: return;
	}
	w->import->counts.rules++;
	w->import->counts.scored += score_of(rule) != 0;
}

/* ---- what is written ---- */

static void need(struct patterns_import *import, struct sa_rule *rule)
{
	if (rule->needed || rule->carried != SA_WRITTEN)
		return;
	rule->needed = true; /* metas cannot go in a circle: those were not carried */
	for (const char *at = rule->kind == SA_META ? rule->logic : ""; *at != '\0';) {
		size_t len = 0;
		while (isalnum((unsigned char)at[len]) || at[len] == '_')
			len++;
		struct sa_rule *named = len == 0 ? NULL : sa_rule_find(import, at, len);
		if (named != NULL)
			need(import, named);
		at += len == 0 ? 1 : len;
	}
}

static void decide_all(struct patterns_import *import)
{
	for (unsigned i = 0; i < import->n_rules; i++)
		sa_decide(import, &import->rules[i]);
	for (unsigned i = 0; i < import->n_rules; i++) {
		if (score_of(&import->rules[i]) != 0)
			need(import, &import->rules[i]);
	}
}

static int count(struct patterns_import *import)
{
	struct patterns_import_counts *c = &import->counts;
	for (unsigned i = 0; i < import->n_expressions; i++) {
		const struct sa_expression *e = &import->expressions[i];
		const struct sa_rule *rule = &import->rules[e->rule];
		c->expressions++;
		c->compiled += e->state == SA_COMPILES;
		c->confirm += e->state == SA_CONFIRM;
		if (e->state == SA_REFUSED) {
			struct patterns_import_note *more = realloc(
			    import->refused, (import->n_refused + 1) * sizeof(*import->refused));
			if (more == NULL)
				return -ENOMEM;
			import->refused = more;
			more[import->n_refused++] =
			    (struct patterns_import_note){ e->file, e->line, rule->name, e->why };
			c->refused++;
		} else if (!e->taken) {
			c->not_taken++;
		} else if (rule->kind != e->kind || rule->at != i) {
			c->replaced++;
		} else if (rule->carried == SA_FALSE) {
			c->off++;
		} else if (rule->carried == SA_LACKING) {
			c->no_zone++;
		} else if (!rule->needed) {
			c->unused++;
		}
	}
	for (unsigned i = 0; i < import->n_rules; i++) {
		const struct sa_rule *rule = &import->rules[i];
		c->evals += rule->kind == SA_EVAL;
		c->exists += rule->kind == SA_EXISTS;
		if (rule->kind != SA_META)
			continue;
		c->metas++;
		if (rule->carried == SA_FALSE && rule->has_score && rule->score == 0)
			c->metas_off++;
		else if (rule->carried == SA_FALSE)
			c->metas_constant++;
		else if (rule->carried == SA_LACKING)
			c->metas_lacking++;
		else if (rule->needed)
			c->metas_carried++;
		else
			c->metas_unused++;
	}
	return 0;
}

int patterns_import_write(struct patterns_import *import, FILE *out)
{
	struct writer w = { import, out };
	decide_all(import);
	fputs("# Made from SpamAssassin's rules by posternctl patterns import; made again, it is\n"
	      "# overwritten. What each rule was stands behind its line.\n",
	    out);
	for (unsigned i = 0; i < import->n_rules; i++) {
		if (import->rules[i].needed)
			write_rule(&w, &import->rules[i]);
	}
	int ret = count(import);
	if (ret == 0 && (fflush(out) != 0 || ferror(out)))
		ret = errno == 0 ? -EIO : -errno;
	return ret;
}
