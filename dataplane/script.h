/* SPDX-License-Identifier: BSD-3-Clause */
/* Conversation files (tests/smtp/README.md describes them; postern-try(1) what it takes of them) as a
 * list of lines. */
#ifndef POSTERN_DATAPLANE_SCRIPT_H
#define POSTERN_DATAPLANE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum { SCRIPT_LINES = 600, SCRIPT_LINE = 4096 };

struct script_line {
	unsigned number; /* in the file */
	char who;        /* '@', 'C', 'S', 'B', 'T', 'X', 'E', 'N' */
	unsigned which;  /* 1 for C, S and B without a number; 0: B without a number */
	char what;       /* after C, S, B: ':' '=' '!' '*' '+' '-' '<' '>'; else ' ' */
	char *text;      /* escapes undone, zero-terminated */
	size_t len;
};

struct script {
	const char *path;
	char title[200]; /* its first line, which says what it proves */
	unsigned n;
	struct script_line lines[SCRIPT_LINES];
};

/* False with a sentence in ret_why. */
enum { SCRIPT_WHY = 400 };
bool script_read(const char *path, struct script *ret_script, char ret_why[SCRIPT_WHY]);
void script_fini(struct script *s);

/* `pattern` with * for any run of bytes. */
bool script_match(const char *pattern, const char *text, size_t len);

/* The next word of *p, cut out (the text is written to); NULL: none left. */
char *script_word(char **p);
/* Splits key=value; value NULL where there is no =. */
char *script_value(char *word);
/* 5s, 300ms, 2m, 1h to nanoseconds. */
bool script_duration(const char *text, unsigned long long *ret_ns);

#endif
