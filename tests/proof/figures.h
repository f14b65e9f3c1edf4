/* SPDX-License-Identifier: BSD-3-Clause */
/* Scores as figures, and how they are printed. */
#ifndef POSTERN_TESTS_FIGURES_H
#define POSTERN_TESTS_FIGURES_H

#include "proof.h"

enum figure {
	/* more is better */
	FIGURE_BEFORE_DATA, /* percent of the hostile connections from outside */
	FIGURE_BEFORE_RCPT,
	FIGURE_HELD, /* hours that they lasted */
	/* less is better */
	FIGURE_JUNK,      /* messages that arrived somewhere */
	FIGURE_UNMARKED,  /* ... without the header */
	FIGURE_HARVESTED, /* addresses found */
	FIGURE_UNKNOWN,   /* recipients asked of the mail server in vain */
	FIGURE_OWN,       /* copies that an own captured account got out */
	FIGURE_REPLIES,   /* lines spent on the hostile */
	FIGURE_DELAYED,   /* honest messages */
	FIGURE_REFUSED,   /* or given up */
	N_FIGURES
};

struct figures {
	double of[N_FIGURES];
	unsigned long tries, stages[N_STAGES]; /* of the hostile from outside */
	unsigned long honest, delayed, pool_twice;
	double delay_min;
};

void figures_sum(const struct score *s, struct figures *ret);

void figures_head(void);
void figures_show(const char *name, const struct figures *f);
void figures_kinds(const struct score *s);
/* The rows of the mix as a table. False: the file is given and lacks one. */
bool figures_mix(const char *readme);

void figures_ablation_head(void);
void figures_ablation(const char *name, const struct figures *f, const char *worse);
/* The first figure that is worse by more than its margin, NULL: none. (A run has no luck of its own, so
 * what differs does so because of what was switched off.) */
const char *figures_worse(const struct figures *with, const struct figures *without);

double figures_percent(unsigned long n, unsigned long of);
/* Of the kind's connections, percent ended before DATA. */
double figures_kind_ended(const struct score *s, unsigned kind);

#endif
