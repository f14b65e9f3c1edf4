/* SPDX-License-Identifier: BSD-3-Clause */
/* See figures.h. */
#include "figures.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	bool more; /* is better */
	int width, digits;
	double margin; /* so much of it is a difference; of what is missing to 100 for percents */
} kinds[N_FIGURES] = {
	[FIGURE_BEFORE_DATA] = { "<DATA %", true, 7, 2, 0.001 },
	[FIGURE_BEFORE_RCPT] = { "<RCPT %", true, 7, 2, 0.001 },
	[FIGURE_HELD] = { "held h", true, 6, 1, 0.05 },
	[FIGURE_JUNK] = { "junk", false, 5, 0, 0.001 },
	[FIGURE_UNMARKED] = { "unmarked", false, 8, 0, 0.002 },
	[FIGURE_HARVESTED] = { "found", false, 5, 0, 0.02 },
	[FIGURE_UNKNOWN] = { "unknown", false, 7, 0, 0.002 },
	[FIGURE_OWN] = { "own out", false, 7, 0, 0.05 },
	[FIGURE_REPLIES] = { "replies", false, 7, 0, 0.005 },
	[FIGURE_DELAYED] = { "delayed", false, 7, 0, 0.002 },
	[FIGURE_REFUSED] = { "refused", false, 7, 0, 0 },
};

double figures_percent(unsigned long n, unsigned long of)
{
	return of ? 100.0 * (double)n / (double)of : 0;
}

static unsigned long ended(const unsigned long stages[N_STAGES], enum stage before)
{
	unsigned long n = 0;

	for (unsigned i = 0; i < before; i++)
		n += stages[i];
	return n;
}

static unsigned long tries(const struct score *s, unsigned kind)
{
	return ended(s->tries[kind], N_STAGES);
}

double figures_kind_ended(const struct score *s, unsigned kind)
{
	return figures_percent(ended(s->tries[kind], STAGE_DATA), tries(s, kind));
}

void figures_sum(const struct score *s, struct figures *f)
{
	double delay_s = 0;

	*f = (struct figures){ .tries = 0 };
	for (unsigned k = 0; k < N_KINDS; k++) {
		if (k < N_HOSTILE) {
			for (unsigned i = 0; i < N_STAGES; i++)
				f->stages[i] += s->tries[k][i];
			f->of[FIGURE_JUNK] += (double)s->arrived[k];
			f->of[FIGURE_UNMARKED] += (double)(s->arrived[k] - s->marked[k]);
		} else if (k >= FIRST_HONEST) {
			f->honest += s->messages[k];
			f->delayed += s->delayed[k];
			f->of[FIGURE_REFUSED] += (double)(s->refused[k] + s->gave_up[k]);
			delay_s += s->delay_s[k];
		}
	}
	f->tries = ended(f->stages, N_STAGES);
	f->of[FIGURE_BEFORE_DATA] = figures_percent(ended(f->stages, STAGE_DATA), f->tries);
	f->of[FIGURE_BEFORE_RCPT] = figures_percent(ended(f->stages, STAGE_RCPT), f->tries);
	f->of[FIGURE_HELD] = s->held_s / 3600;
	f->of[FIGURE_HARVESTED] = (double)s->harvested;
	f->of[FIGURE_UNKNOWN] = (double)s->unknown;
	f->of[FIGURE_OWN] = (double)s->copies[CAPTURED_OWN];
	f->of[FIGURE_REPLIES] = (double)s->replies;
	f->of[FIGURE_DELAYED] = (double)f->delayed;
	f->pool_twice = s->twice[BIG_POOL];
	f->delay_min = f->delayed ? delay_s / (double)f->delayed / 60 : 0;
}

void figures_head(void)
{
	printf("#            hostile connections from outside, %% ended at              | honest "
	       "messages\n"
	       "# preset      all   SYN CONN HELO MAIL RCPT DATA BODY thru <DATA |   all delayed%% "
	       "min refused pool2\n");
}

void figures_show(const char *name, const struct figures *f)
{
	printf("# %-9s %6lu ", name, f->tries);
	for (unsigned i = 0; i < N_STAGES; i++)
		printf(" %4.1f", figures_percent(f->stages[i], f->tries));
	printf(" %5.2f | %5lu %8.2f %4.1f %7.0f %5lu\n", f->of[FIGURE_BEFORE_DATA], f->honest,
	    figures_percent(f->delayed, f->honest), f->delay_min, f->of[FIGURE_REFUSED],
	    f->pool_twice);
	fflush(stdout);
}

static void show_hostile(const struct score *s, unsigned k, unsigned long all)
{
	printf("# %-21s %5.1f %6.1f ", corpus_mix[k].word, figures_percent(tries(s, k), all),
	    figures_kind_ended(s, k));
	for (unsigned i = 0; i < N_STAGES; i++)
		printf(" %5lu", s->tries[k][i]);
	printf("  %6lu %6lu %6lu %5lu/%lu\n", s->messages[k], s->arrived[k], s->marked[k],
	    s->through[k], s->senders[k]);
}

void figures_kinds(const struct score *s)
{
	unsigned long all = 0;

	for (unsigned k = 0; k < N_HOSTILE; k++)
		all += tries(s, k);
	printf(
	    "# kind, hostile         share%% <DATA%%    SYN  CONN  HELO  MAIL  RCPT  DATA  BODY  "
	    "thru   sent   junk marked senders that got through\n");
	for (unsigned k = 0; k < FIRST_HONEST; k++)
		show_hostile(s, k, all);
	printf(
	    "# kind, honest           messages arrived refused gave up delayed  twice  mean min\n");
	for (unsigned k = FIRST_HONEST; k < N_KINDS; k++)
		printf("# %-23s %8lu %7lu %7lu %7lu %7lu %6lu %9.1f\n", corpus_mix[k].word,
		    s->messages[k], s->arrived[k], s->refused[k], s->gave_up[k], s->delayed[k],
		    s->twice[k], s->delayed[k] ? s->delay_s[k] / (double)s->delayed[k] / 60 : 0);
}

bool figures_mix(const char *readme)
{
	static const char head[] = "| kind | senders | messages each | what | after |\n"
				   "|---|---|---|---|---|\n";
	FILE *f = readme ? fopen(readme, "r") : NULL;
	char text[32768] = "", row[512];
	bool good = true;

	if (readme && !f)
		return false;
	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
	} else {
		fputs(head, stdout);
	}
	for (unsigned k = 0; k < N_KINDS; k++) {
		snprintf(row, sizeof(row), "| %s | %u | %u | %s | %s |\n", corpus_mix[k].word,
		    corpus_mix[k].senders, corpus_mix[k].messages, corpus_mix[k].what,
		    corpus_mix[k].why);
		if (readme && !strstr(text, row)) {
			printf("# not in %s: %s", readme, row);
			good = false;
		} else if (!readme) {
			fputs(row, stdout);
		}
	}
	return good;
}

void figures_ablation_head(void)
{
	printf("# %-30s", "");
	for (unsigned i = 0; i < N_FIGURES; i++)
		printf(" %*s", kinds[i].width, kinds[i].word);
	printf("  worse\n");
}

void figures_ablation(const char *name, const struct figures *f, const char *worse)
{
	printf("# %-30s", name);
	for (unsigned i = 0; i < N_FIGURES; i++)
		printf(" %*.*f", kinds[i].width, kinds[i].digits, f->of[i]);
	printf("  %s\n", worse);
	fflush(stdout);
}

const char *figures_worse(const struct figures *with, const struct figures *without)
{
	for (unsigned i = 0; i < N_FIGURES; i++) {
		double less = kinds[i].more ? without->of[i] : with->of[i];
		double more = kinds[i].more ? with->of[i] : without->of[i];
		/* a percent's distance counts to a hundred as well: 91 to 90 is a tenth of the rest */
		double rest = kinds[i].digits == 2 ? 100 - more : more;

		if (more - less > kinds[i].margin * rest &&
		    more - less >= (kinds[i].digits ? 0.01 : 2))
			return kinds[i].word;
	}
	return NULL;
}
