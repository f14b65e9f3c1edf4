/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is wrong with a configuration, all of it in one run: an operator who mends one line at a
 * time against a first-error-only reader gives up. Bounded: past COMPLAINTS_MAX the rest is
 * counted. The text is always `file:line:column: what; what is allowed`. (Rejected: printing where
 * the mistake is found; the manager has to send the same words over its socket.)
 */
#ifndef POSTERN_CONTROL_COMPLAINTS_H
#define POSTERN_CONTROL_COMPLAINTS_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

enum { COMPLAINTS_MAX = 100, COMPLAINTS_MAX_PER_FILE = 20 };

struct position {
	unsigned line, column; /* from 1; 0: the file as a whole */
};

struct complaint {
	char *file;
	struct position pos;
	char *text;
};

struct complaints {
	unsigned n; /* kept in items */
	unsigned long total;
	struct complaint items[COMPLAINTS_MAX];
};

void complaints_init(struct complaints *c);
void complaints_fini(struct complaints *c);
__attribute__((format(printf, 4, 5))) void complain(
    struct complaints *c, const char *file, struct position pos, const char *format, ...);

/* By place within each file, files in the order of their first complaint. */
void complaints_sort(struct complaints *c);

/* One line each, and one for those not kept. */
void complaints_print(const struct complaints *c, FILE *to);
/* The same as one text, to be freed; NULL: no memory. */
char *complaints_text(const struct complaints *c);
/* {"errors":[{"file","line","column","message"}],"total":N} */
json_t *complaints_json(const struct complaints *c);

#endif
