/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SpamAssassin's rules as read: expressions in the order of their lines, and rules by name with
 * what holds for them after the last line. Private to patterns_import*.c.
 */
#ifndef POSTERN_CONTROL_PATTERNS_IMPORT_RULES_H
#define POSTERN_CONTROL_PATTERNS_IMPORT_RULES_H

#include "arena.h"
#include "patterns_import.h"

#include <stdint.h>

enum sa_kind {
	SA_NONE, /* named by a score or so, never defined */
	SA_HEADER,
	SA_BODY,
	SA_RAWBODY,
	SA_FULL,
	SA_URI,
	SA_MIMEHEADER,
	SA_EXISTS, /* header NAME exists:X */
	SA_META,
	SA_EVAL, /* Perl code, or a rule of a plug-in */
};

enum sa_state { SA_UNCHECKED, SA_COMPILES, SA_CONFIRM, SA_REFUSED };

struct sa_expression {
	const char *file;
	unsigned line;
	uint32_t rule;
	uint8_t kind;
	uint8_t state; /* enum sa_state */
	bool taken, negated;
	uint8_t flags;      /* enum sa_flags */
	const char *header; /* as written; NULL where there is none */
	const char *if_unset;
	const char *text; /* between the delimiters, then translated; NULL: `why` says why not */
	const char *const *more; /* pieces of a text that was too long, beside `text` */
	unsigned n_more;
	const char *why;
};

enum { SA_PIECES_MAX = 64 };
enum sa_flags { SA_CASELESS = 1, SA_DOTALL = 2, SA_MULTILINE = 4, SA_EXTENDED = 8 };

struct sa_rule {
	const char *name;
	const char *file; /* of its definition in force */
	unsigned line;
	uint8_t kind;       /* enum sa_kind, in force */
	uint32_t at;        /* its expression */
	const char *meta;   /* logic as read */
	const char *logic;  /* of a meta that is written */
	const char *header; /* of EXISTS */
	double score;
	const char *describe;
	bool has_score, nice, multiple, nosubject, replace;
	uint8_t carried; /* enum sa_carried */
	bool seen;       /* on the path of a walk through metas */
	bool needed;     /* scores, or a meta that does asks for it */
};

enum sa_carried {
	SA_UNDECIDED,
	SA_WRITTEN,
	SA_FALSE,   /* constant 0: off by its score, or `meta NAME 0` */
	SA_LACKING, /* needs what is not here */
};

struct sa_tag {
	const char *name, *text;
};
enum sa_tag_kind { SA_TAG, SA_PRE, SA_INTER, SA_POST, SA_TAG_KINDS };
enum { SA_TAGS_MAX = 256 };

struct patterns_import {
	struct arena arena;
	struct sa_rule *rules;
	struct sa_expression *expressions;
	uint32_t *index; /* name to rule + 1; open addressing */
	unsigned n_rules, cap_rules, n_expressions, cap_expressions, index_size;
	struct sa_tag tags[SA_TAG_KINDS][SA_TAGS_MAX];
	unsigned n_tags[SA_TAG_KINDS];
	struct patterns_import_counts counts;
	struct patterns_import_note *refused;
	unsigned n_refused;
	bool full; /* beyond a bound */
};

/* patterns_import_read.c */
struct patterns_import *sa_new(void);
/* -EINVAL: more rules than the bound; -ENOMEM. */
int sa_read(struct patterns_import *import, const char *name, const char *text, size_t len);
/* The rule of that name, made if need be; NULL: no memory or the bound. */
struct sa_rule *sa_rule_get(struct patterns_import *import, const char *name, size_t len);
struct sa_rule *sa_rule_find(const struct patterns_import *import, const char *name, size_t len);
/* After the last file: tags put in, expressions translated. */
void sa_finish(struct patterns_import *import);

/* patterns_import_condition.c: whether `if CONDITION` holds here. */
bool sa_condition(const char *text);
bool sa_plugin(const char *name);

/* patterns_import_regex.c */
/* `text`: /re/flags, m{re}flags, ... NULL: taken apart; else what is wrong. */
const char *sa_delimited(
    const char *text, const char **ret_start, size_t *ret_len, uint8_t *ret_flags);
/* Replaces <TAG> and so on. NULL: no memory, or too long. */
const char *sa_tags_replace(struct patterns_import *import, const char *text);
/* To the text between the slashes of our format: /x stripped, slashes and odd bytes escaped.
 * NULL: ret_why says why not. */
const char *sa_translate(struct arena *arena, const char *text, uint8_t flags, const char **ret_why);

/* A translated text with ^ and $ as look-around: Hyperscan refuses them in the middle, but leaves
 * look-around to the confirmation. NULL: no memory. */
const char *sa_anchors_apart(struct arena *arena, const char *text, uint8_t flags);

/* patterns_import_split.c: texts of at most PATTERN_MAX_EXPRESSION bytes that together match what
 * this one does. 0: it cannot be split so, or no memory. */
unsigned sa_split(struct arena *arena, const char *text, const char **ret_pieces, unsigned room);

/* patterns_import_meta.c */
/* Whether a rule can be written, deciding those it needs first. */
enum sa_carried sa_decide(struct patterns_import *import, struct sa_rule *rule);
/* patterns_import_check.c */
uint8_t sa_pattern_flags(const struct sa_expression *e); /* enum pattern_expression_flags */
/* Whether it matches this text, by PCRE2. */
bool sa_matches(const struct sa_expression *e, const char *text);

/* patterns_import_write.c: whether what it looks at is here. */
bool sa_has_zone(const struct sa_expression *e);
bool sa_has_header(const char *header);

#endif
