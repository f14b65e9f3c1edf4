/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SpamAssassin's rule files become a pattern file of ours (patterns.h has its format). What is read
 * is a folder of *.cf files, in the order of their names, as SpamAssassin reads them.
 *
 * What SpamAssassin says, and what it becomes:
 *
 *	header NAME X =~ /re/   header:X (ALL: the header block; MESSAGEID and ToCc: each of their
 *	                        fields; EnvelopeFrom: envelope); !~ is a meta with a negation
 *	header NAME exists:X    any byte in a field X
 *	body NAME /re/          text and, unless tflags say nosubject, subject
 *	rawbody, full NAME /re/ body
 *	uri NAME /re/           uri
 *	meta NAME logic         meta, if it needs nothing but what is carried over
 *	score NAME a b c d      score; of four values the last (Bayes and network tests on): it trusts
 *	                        a single expression least, so that expressions alone refuse least
 *	                        mail. A score of 0 switches the rule off. Without a score: 1, -1 for
 *	                        tflags nice, 0.01 for T_..., none for __...
 *	replace_rules           the tags are put in, as the ReplaceTags plug-in does
 *	if, ifplugin            version 4.0.1 with ReplaceTags and no other plug-in, so the
 *	                        fall-backs that the rules' authors wrote for that case hold
 *	later definition        of a name replaces the earlier, of whatever kind
 *
 * Not here: eval: rules (Perl code), X-Spam-Relays-* (made by SpamAssassin), captures (%{...}),
 * hits counted by tflags multiple, headers of MIME parts, :addr and :name. Rules that need them,
 * and metas that need those rules, are counted and left out, never approximated.
 *
 * Every expression of the folder is put to Hyperscan, also those in branches not taken and those
 * replaced later, so that the sums are those of the whole folder. (Rejected: one database of all,
 * whose failure names only the first; and to trust a list of unsupported constructs.)
 */
#ifndef POSTERN_CONTROL_PATTERNS_IMPORT_H
#define POSTERN_CONTROL_PATTERNS_IMPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	PATTERNS_IMPORT_FILES_MAX = 1024,
	PATTERNS_IMPORT_FILE_MAX = 16 * 1024 * 1024, /* bytes */
	PATTERNS_IMPORT_RULES_MAX = 65536,           /* names */
};

struct patterns_import_counts {
	/* expressions: compiled + confirm + refused = expressions */
	unsigned expressions, compiled, confirm, refused;
	/* of those, the ones not written and not refused, each for its first reason of these */
	unsigned not_taken; /* in a branch for another version or plug-in */
	unsigned replaced;  /* a later definition has the name */
	unsigned off;       /* score 0 */
	unsigned no_zone;   /* looks at what we do not have */
	unsigned unused;    /* a sub-rule that no meta carried over asks for */
	unsigned exists;    /* header NAME exists:X, which is no expression */
	/* in force; carried + lacking + constant + off + unused = metas */
	unsigned metas, metas_carried, metas_lacking, metas_constant, metas_off, metas_unused;
	unsigned evals;  /* rules in force that are Perl code */
	unsigned rules;  /* written */
	unsigned scored; /* of those, with a score */
	unsigned lines;  /* expressions written, some of them for two zones */
	unsigned files;
};

/* What could not be carried over; `place` is file:line. */
struct patterns_import_note {
	const char *file;
	unsigned line;
	const char *rule;
	const char *why;
};

struct patterns_import;

/* Reads *.cf of the folder. -errno with a sentence in `error`: nothing was read. */
int patterns_import_folder(
    const char *folder, struct patterns_import **ret_import, char *error, size_t error_size);
/* The same from memory, as one file. -EINVAL: beyond a bound. For tests and fuzzing. */
int patterns_import_text(
    const char *name, const char *text, size_t len, struct patterns_import **ret_import);
struct patterns_import *patterns_import_free(struct patterns_import *import);

/* Puts every expression to Hyperscan and PCRE2; many seconds. progress may be NULL. */
void patterns_import_check(struct patterns_import *import,
    void (*progress)(void *arg, unsigned done, unsigned of), void *arg);
/* After the check: the pattern file. -errno: a write failed. */
int patterns_import_write(struct patterns_import *import, FILE *out);

/* After the write. */
const struct patterns_import_counts *patterns_import_counts(const struct patterns_import *import);
unsigned patterns_import_refused(
    const struct patterns_import *import, const struct patterns_import_note **ret_notes);
/* Refused expressions, `carried ...` and, last, `compiled A confirm B refused C of D`. */
void patterns_import_print(const struct patterns_import *import, FILE *to);
json_t *patterns_import_json(const struct patterns_import *import);

#endif
