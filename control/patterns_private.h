/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that read pattern files share: the line being read, and names to rules. */
#ifndef POSTERN_CONTROL_PATTERNS_PRIVATE_H
#define POSTERN_CONTROL_PATTERNS_PRIVATE_H

#include "patterns.h"

#include <ctype.h>
#include <string.h>

struct patterns_line {
	struct patterns *p;
	struct complaints *complaints;
	const char *file;      /* as complaints name it, in the arena */
	const char *directory; /* of words files; NULL: not allowed */
	const char *start, *at, *end;
	unsigned line;
	unsigned long *mistakes; /* of the file so far */
};

static inline bool patterns_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline bool patterns_is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static inline bool patterns_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* Complains at l->at (bounded per file) and returns false. */
__attribute__((format(printf, 2, 3))) bool patterns_wrong(
    struct patterns_line *l, const char *format, ...);
void patterns_blank(struct patterns_line *l);
bool patterns_done(struct patterns_line *l); /* nothing but white space or a comment is left */
/* A name at l->at, moved behind; length 0: none. */
size_t patterns_word(struct patterns_line *l, const char **ret_word);
/* Rule of that name, made if new. UINT32_MAX: no memory or too many (complained). */
uint32_t patterns_rule(struct patterns_line *l, const char *name, size_t len);

/* What options say. */
struct patterns_given {
	const char *name;
	size_t name_len;
	int32_t weight;
	uint8_t action, flags;
	bool has_name, has_weight, has_action;
};
bool patterns_number(struct patterns_line *l, const char *text, size_t len, int32_t *ret_hundredths);
bool patterns_action(struct patterns_line *l, const char *text, size_t len, uint8_t *ret_action);
/* Options up to the end of the line; allowed: flags that may be given. */
bool patterns_options(
    struct patterns_line *l, bool names, uint8_t allowed, struct patterns_given *given);
bool patterns_settle(struct patterns_line *l, uint32_t rule, const struct patterns_given *given);

/* The LOGIC of a meta, up to its options, as code of the rule. */
bool patterns_logic(struct patterns_line *l, uint32_t rule);

#endif
