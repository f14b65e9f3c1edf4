/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a preset does to made-up traffic (corpus.h): the table of `tests/run proof`, its assertions
 * as TAP, what each check is worth, told by switching it off, and on which of the model's assumptions
 * the figures depend.
 *
 *	proof [--preset NAME] [--seeds A-B] [--ablate A-B] [--sensitivity A-B] [--kinds] [--events]
 *	      [--readme FILE]
 *	proof --mix
 *
 * Weights were tuned on seeds 1-20; the default reports on 101-120.
 */
#include "figures.h"
#include "setup.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_PRESETS = 4, NONE = 0, CAUTIOUS, NORMAL, STRICT };
static const char *const presets[N_PRESETS] = { "none", "cautious", "normal", "strict" };

enum { PIECE = 5, PIECES_MAX = 64 }; /* seeds played in one go */

struct options {
	const char *preset; /* NULL: all */
	unsigned first, last, ablate_first, ablate_last, sense_first, sense_last;
	unsigned side_by_side;
	bool kinds, mix, tell;
	const char *readme; /* holds the mix; NULL: not looked at */
};

struct tap {
	unsigned n, failed;
};

static void ok(struct tap *t, bool good, const char *name)
{
	t->n++;
	t->failed += !good;
	printf("%sok %u - %s\n", good ? "" : "not ", t->n, name);
	fflush(stdout);
}

/* ---- the presets ---- */

static void add_scores(struct score *to, const struct score *from)
{
	/* unsigned longs and doubles side by side: by hand, field by field */
	for (unsigned k = 0; k < N_KINDS; k++) {
		for (unsigned i = 0; i < N_STAGES; i++)
			to->tries[k][i] += from->tries[k][i];
		to->messages[k] += from->messages[k];
		to->arrived[k] += from->arrived[k];
		to->copies[k] += from->copies[k];
		to->refused[k] += from->refused[k];
		to->gave_up[k] += from->gave_up[k];
		to->delayed[k] += from->delayed[k];
		to->twice[k] += from->twice[k];
		to->marked[k] += from->marked[k];
		to->delay_s[k] += from->delay_s[k];
		to->senders[k] += from->senders[k];
		to->through[k] += from->through[k];
	}
	for (unsigned i = 0; i < SCORE_RULES; i++)
		to->refusing[i] += from->refusing[i];
	to->harvested += from->harvested;
	to->unknown += from->unknown;
	to->held_s += from->held_s;
	to->replies += from->replies;
	to->bans += from->bans;
	to->alarms += from->alarms;
	to->tokens += from->tokens;
	to->tokens_self += from->tokens_self;
	to->unresolved += from->unresolved;
	to->stuck += from->stuck;
}

/* In pieces of some seeds, so that all cores have something to do. */
static bool play(const struct options *o, const char *preset, const struct corpus_options *corpus,
    unsigned first, unsigned last, struct score *ret)
{
	struct score *scores = calloc(PIECES_MAX, sizeof(*scores));
	struct job jobs[PIECES_MAX];
	unsigned n = 0;
	bool good;

	memset(ret, 0, sizeof(*ret));
	for (unsigned seed = first; seed <= last && n < PIECES_MAX; seed += PIECE)
		jobs[n++] = (struct job){ .preset = preset,
			.options = corpus,
			.first = seed,
			.last = seed + PIECE - 1 < last ? seed + PIECE - 1 : last,
			.tell = o->tell };
	good = scores && setup_play(jobs, n, o->tell ? 1 : o->side_by_side, scores);
	for (unsigned i = 0; i < n && good; i++)
		add_scores(ret, &scores[i]);
	free(scores);
	return good;
}

static void show_refusing(const char *preset, const struct score *s)
{
	for (unsigned i = 0; i < SCORE_RULES; i++) {
		char name[PART_NAME];

		if (s->refusing[i] == 0)
			continue;
		setup_rule_name(preset, i, name);
		printf(
		    "# %-9s honest sessions refused, with %s: %lu\n", preset, name, s->refusing[i]);
	}
}

static void assert_each(struct tap *t, const char *preset, bool good, const struct score *s)
{
	char name[96];

	snprintf(name, sizeof(name), "%s: unresolved tokens 0, of more than 100", preset);
	ok(t, good && s->unresolved == 0 && s->tokens > 100, name);
	snprintf(name, sizeof(name), "%s: every message came to an end", preset);
	ok(t, good && s->stuck == 0 && s->messages[SERVER] > 0, name);
	snprintf(name, sizeof(name), "%s: weekly bursts of 1,000 arrive, in and out, the same day",
	    preset);
	ok(t,
	    s->messages[SCHOOL] && s->arrived[SCHOOL] == s->messages[SCHOOL] &&
		s->arrived[OWN_SCHOOL] == s->messages[OWN_SCHOOL] && s->delayed[OWN_SCHOOL] == 0 &&
		s->arrived[LIST_BURST] == s->messages[LIST_BURST],
	    name);
}

static void assert_normal(struct tap *t, const struct score *s, const struct figures *f)
{
	ok(t, f->of[FIGURE_BEFORE_DATA] >= 90,
	    "normal: at least 90 % of hostile connections end before DATA");
	ok(t, f->honest && f->of[FIGURE_REFUSED] == 0, "normal: no honest sender is refused");
	ok(t, f->pool_twice == 0, "normal: none with a pool is delayed twice");
	ok(t,
	    s->copies[CAPTURED_OWN] > 0 && s->copies[CAPTURED_OWN] <= 50 * s->senders[CAPTURED_OWN],
	    "normal: an own captured account stops within 50 copies");
	ok(t, s->bans > 0 && s->alarms > 0, "normal: bans were given and alarms told");
}

static void report(struct tap *t, const struct options *o)
{
	struct score *s = calloc(N_PRESETS, sizeof(*s));
	struct figures f[N_PRESETS];

	if (!s)
		return;
	printf("# seeds %u-%u, %d days of traffic each\n", o->first, o->last, CORPUS_DAYS);
	figures_head();
	for (unsigned i = 0; i < N_PRESETS; i++) {
		if (o->preset && strcmp(o->preset, presets[i]) != 0)
			continue;
		bool good = play(o, presets[i], &corpus_defaults, o->first, o->last, &s[i]);

		figures_sum(&s[i], &f[i]);
		figures_show(presets[i], &f[i]);
		printf(
		    "# %-9s junk delivered %.0f, of it marked %.0f; addresses found %lu; asked in "
		    "vain %lu; own account's copies out %lu; bans %lu; alarms %lu; held %.0f h\n",
		    presets[i], f[i].of[FIGURE_JUNK],
		    f[i].of[FIGURE_JUNK] - f[i].of[FIGURE_UNMARKED], s[i].harvested, s[i].unknown,
		    s[i].copies[CAPTURED_OWN], s[i].bans, s[i].alarms, f[i].of[FIGURE_HELD]);
		printf("# %-9s tokens %lu (%lu by themselves) unresolved tokens %lu\n", presets[i],
		    s[i].tokens, s[i].tokens_self, s[i].unresolved);
		show_refusing(presets[i], &s[i]);
		if (o->kinds || i == NORMAL)
			figures_kinds(&s[i]);
		if (i != NONE)
			assert_each(t, presets[i], good, &s[i]);
		if (i == NORMAL)
			assert_normal(t, &s[i], &f[i]);
	}
	if (!o->preset) {
		ok(t,
		    f[0].of[FIGURE_JUNK] > f[1].of[FIGURE_JUNK] &&
			f[1].of[FIGURE_JUNK] > f[2].of[FIGURE_JUNK] &&
			f[2].of[FIGURE_JUNK] > f[3].of[FIGURE_JUNK],
		    "a stricter preset lets less junk through");
		ok(t, f[CAUTIOUS].of[FIGURE_REFUSED] == 0, "cautious: no honest sender is refused");
	}
	free(s);
}

/* ---- what each is worth ---- */

static void ablation(struct tap *t, const struct options *o)
{
	const char *preset = o->preset ? o->preset : "normal";
	struct without parts[PARTS_MAX];
	unsigned n = setup_parts(preset, parts);
	struct score *scores = calloc(PARTS_MAX + 1, sizeof(*scores));
	struct job jobs[PARTS_MAX + 1];
	struct figures with, without;
	bool good;

	for (unsigned i = 0; i <= n; i++)
		jobs[i] = (struct job){ .preset = preset,
			.without = i ? &parts[i - 1] : NULL,
			.options = &corpus_defaults,
			.first = o->ablate_first,
			.last = o->ablate_last };
	good = scores && setup_play(jobs, n + 1, o->side_by_side, scores);
	ok(t, good && n > 20, "the preset's parts are listed and played");
	if (good) {
		printf("# %s, seeds %u-%u, without ...\n", preset, o->ablate_first, o->ablate_last);
		figures_ablation_head();
		figures_sum(&scores[0], &with);
		figures_ablation("(all of it on)", &with, "");
	}
	for (unsigned i = 0; i < n && good; i++) {
		char name[128];

		figures_sum(&scores[i + 1], &without);
		const char *worse = figures_worse(&with, &without);

		figures_ablation(parts[i].name, &without, worse ? worse : "nothing is worse");
		snprintf(name, sizeof(name), "%s: worse without %s", preset, parts[i].name);
		ok(t, worse != NULL, name);
	}
	free(scores);
}

/* ---- on what it depends ---- */

static void sensitivity(struct tap *t, const struct options *o)
{
	/* at their coming, within hours */
	static const struct corpus_options listed[] = { { 0, 0 }, { 25, 10 }, { 50, 10 },
		{ 65, 10 }, { 75, 0 }, { 75, 10 }, { 85, 10 }, { 100, 0 } };
	const char *preset = o->preset ? o->preset : "normal";
	struct score *s = calloc(1, sizeof(*s));
	struct figures f;
	bool good = s != NULL;

	printf("# %s, seeds %u-%u: %% of hostile connections ended before DATA\n", preset,
	    o->sense_first, o->sense_last);
	for (unsigned i = 0; i < sizeof(listed) / sizeof(listed[0]) && good; i++) {
		good = play(o, preset, &listed[i], o->sense_first, o->sense_last, s);
		figures_sum(s, &f);
		printf(
		    "#   %3u %% of bots and snowshoe listed when they come, %2u %% within hours: "
		    "%.2f "
		    "(junk %.0f, honest refused %.0f)%s\n",
		    listed[i].listed, listed[i].listed_later, f.of[FIGURE_BEFORE_DATA],
		    f.of[FIGURE_JUNK], f.of[FIGURE_REFUSED],
		    listed[i].listed == corpus_defaults.listed &&
			    listed[i].listed_later == corpus_defaults.listed_later
			? "  <- the mix"
			: "");
		fflush(stdout);
	}
	good = good && play(o, preset, &corpus_defaults, o->sense_first, o->sense_last, s);
	figures_sum(s, &f);
	for (unsigned k = 0; k < N_HOSTILE && good; k++) {
		unsigned long n = 0;

		for (unsigned i = 0; i < N_STAGES; i++)
			n += s->tries[k][i];
		double all = (double)f.tries, own = (double)n;
		double ended = f.of[FIGURE_BEFORE_DATA] / 100 * all;
		double own_ended = figures_kind_ended(s, k) / 100 * own;

		printf("#   %-22s three times as many: %.2f; none: %.2f\n", corpus_mix[k].word,
		    100 * (ended + 2 * own_ended) / (all + 2 * own),
		    100 * (ended - own_ended) / (all - own));
	}
	ok(t, good && f.tries > 0, "the sensitivity was printed");
	free(s);
}

/* ---- */

static void range(const char *text, unsigned *first, unsigned *last)
{
	char *end;

	*first = *last = (unsigned)strtoul(text, &end, 10);
	if (*end == '-')
		*last = (unsigned)strtoul(end + 1, NULL, 10);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "preset", required_argument, NULL, 'p' },
		{ "seeds", required_argument, NULL, 's' },
		{ "ablate", required_argument, NULL, 'a' },
		{ "sensitivity", required_argument, NULL, 'd' }, { "kinds", no_argument, NULL, 'k' },
		{ "mix", no_argument, NULL, 'm' }, { "events", no_argument, NULL, 'e' },
		{ "readme", required_argument, NULL, 'r' }, { 0 } };
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = {
		.first = 101, .last = 120, .side_by_side = cores > 1 ? (unsigned)cores : 1
	};
	struct tap t = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p': o.preset = optarg; break;
		case 's': range(optarg, &o.first, &o.last); break;
		case 'a': range(optarg, &o.ablate_first, &o.ablate_last); break;
		case 'd': range(optarg, &o.sense_first, &o.sense_last); break;
		case 'k': o.kinds = true; break;
		case 'm': o.mix = true; break;
		case 'e': o.tell = true; break;
		case 'r': o.readme = optarg; break;
		default:
			fputs("usage: proof [--preset NAME] [--seeds A-B] [--ablate A-B] "
			      "[--sensitivity A-B] [--kinds] [--mix] [--events] [--readme FILE]\n",
			    stderr);
			return 2;
		}
	}
	if (o.mix)
		return !figures_mix(NULL);
	if (o.readme)
		ok(&t, figures_mix(o.readme), "the mix is documented as it is played");
	if (o.last >= o.first && o.first > 0)
		report(&t, &o);
	if (o.ablate_first)
		ablation(&t, &o);
	if (o.sense_first)
		sensitivity(&t, &o);
	printf("1..%u\n", t.n);
	return t.failed != 0;
}
