/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pattern files: one expression a line. This comment is the format's reference page.
 *
 *	subject:/lottery|jackpot/i          name=LOTTERY score=2.5
 *	body:"word list entry"              name=WORDS score=0.5
 *	header:X-Mailer:/^The Bat!/         name=BAT score=1 action=mark
 *	url:/(^|\.)example\.net$/           name=BAD_HOST action=refuse
 *	body:/(?<!un)subscribe/i            name=SUB score=0.1 confirm
 *	words body "lists/words.txt" i word name=WORDS score=0.5
 *	meta BOTH = LOTTERY && (WORDS || !BAT)  score=3
 *	meta MANY = LOTTERY + WORDS + BAT > 1   score=3
 *
 * `#` begins a comment where a line begins or white space stands before it (not inside quotes or
 * slashes). Lines end in LF or CR LF and are at most 32,768 bytes.
 *
 * An expression is ZONE:PATTERN OPTIONS.
 *
 *	ZONE            what the expression sees
 *	helo            the HELO or EHLO name, by itself
 *	envelope        each of `from:ADDRESS` and `to:ADDRESS`, by itself, without angle brackets.
 *	                Rules of these two act before DATA: HELO names at RCPT, senders at MAIL,
 *	                recipients at RCPT for that recipient alone; metas with the message
 *	header          the header block as sent, CR LF line ends; and fields that were folded or hold
 *	                RFC 2047 words a second time, as `Name: value` LF, unfolded and decoded
 *	header:NAME     the value of each field of that name by itself, unfolded and decoded, and as
 *	                sent (unfolded) where that differs
 *	subject         header:Subject
 *	body            the body as sent; and text parts in base64 or quoted-printable a second time,
 *	                decoded
 *	text            text parts decoded, HTML tags removed, white space squeezed to one blank
 *	url             the host of each URL, lower case, by itself
 *	uri             each URL as written, by itself
 *
 *	PATTERN
 *	/.../FLAGS      an expression; a slash inside is \/. FLAGS: i caseless, s dot matches line
 *	                ends, m ^ and $ match at lines, x extended. Any other delimiter as m{...}FLAGS
 *	                or m!...!FLAGS
 *	"..." FLAGS     plain text; \" \\ \t \xHH are known. Flags follow as an option: i, word
 *
 *	OPTIONS
 *	name=NAME       letters, digits, _ - and . ; at most 64. Expressions of one name are one rule:
 *	                it is hit when one of them is, and counts once. Not given: FILE.LINE
 *	score=N         points, -1000 to 1000, two decimals; 0 when not given
 *	action=WORD     none mark grey defer refuse tarpit; none when not given
 *	i, word         of plain text: caseless; not inside a longer word
 *	confirm         Hyperscan need only find candidates (HS_FLAG_PREFILTER), PCRE2 confirms them
 *	                off the worker; for look-around and back-references
 *
 * Score and action of a name may be given at any of its lines, once or alike. They may also stand
 * alone: `score NAME 2.5`, `action NAME refuse`. A rule with neither is a term: only metas see it.
 *
 * `words ZONE "FILE" OPTIONS` is one plain text per line of FILE (beside the pattern file).
 *
 * `meta NAME = LOGIC OPTIONS`: names, numbers, ( ) ! && || + - * and > >= < <= == != over 0 and 1;
 * options are name-less: score= and action=. A name not defined anywhere is a mistake. Metas may
 * name metas defined anywhere, not in a circle.
 *
 * What Hyperscan cannot compile is a mistake at its line (compile_patterns.h), and with
 * `confirm` in few cases. (Rejected: YAML, which makes every backslash a puzzle; and SpamAssassin's
 * own syntax, whose evals and plug-ins we do not run: patterns_import.h translates it.)
 */
#ifndef POSTERN_CONTROL_PATTERNS_H
#define POSTERN_CONTROL_PATTERNS_H

#include "arena.h"
#include "complaints.h"

#include "filters/pattern_layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PATTERNS_LINE_MAX = 32768,
	PATTERNS_META_MAX = 256, /* bytecode operations of one meta */
};

struct patterns_expression {
	const char *file;
	unsigned line;
	uint32_t rule;
	uint8_t zone;
	uint8_t flags;      /* enum pattern_expression_flags */
	const char *header; /* lower case; "" unless zone is FIELD */
	const char *source; /* zero-terminated; len tells of zeros inside a literal */
	size_t len;
};

struct patterns_rule {
	const char *name;
	const char *file; /* of its first mention */
	unsigned line;
	int32_t weight; /* hundredths */
	uint8_t action; /* enum verdict_kind */
	bool has_weight, has_action;
	bool defined; /* by an expression or a meta */
	bool meta;
	struct pattern_code *code; /* n_code of them, filters/pattern_layout.h */
	unsigned n_code;
};

/* All pattern files of a configuration together. */
struct patterns {
	struct arena arena; /* of the texts */
	struct patterns_rule *rules;
	struct patterns_expression *expressions;
	unsigned n_rules, n_expressions;
	unsigned cap_rules, cap_expressions;
	uint32_t *slots; /* names to rules by hash: index + 1, 0 free */
	uint32_t n_slots;
};

void patterns_init(struct patterns *p);
void patterns_fini(struct patterns *p);
/* Adds one file. Mistakes go to complaints with file, line and column. -errno: it cannot be read. */
int patterns_read(struct patterns *p, const char *path, struct complaints *complaints);
/* The same from memory; `name` stands for the file in complaints; words files are refused when
 * directory is NULL. */
int patterns_parse(struct patterns *p, const char *name, const char *directory, const char *text,
    size_t len, struct complaints *complaints);
/* After the last file: every name resolved, metas ordered so that each comes behind those it
 * names. False: complaints were added. */
bool patterns_finish(struct patterns *p, struct complaints *complaints);

#endif
