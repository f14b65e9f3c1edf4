/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a preset does to made-up traffic (corpus.h): the table of `tests/run proof`, its assertions
 * as TAP, and what each check is worth, told by switching it off. The policy is the shipped preset,
 * read and compiled as the manager does.
 *
 *	proof [--preset NAME] [--seeds A-B] [--ablation A-B] [--kinds] [--events]
 *
 * Weights were tuned on seeds 1-20; the default reports on 101-120.
 */
#include "proof.h"

#include "control/compile.h"
#include "control/config.h"
#include "filters/overlay.h"
#include "filters/policy.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char base[] = "version: 1\n"
			   "preset: %s\n"
			   "host:\n"
			   "  ports:\n"
			   "    - name: outside\n"
			   "      device: net_null0\n"
			   "  interfaces:\n"
			   "    - port: outside\n"
			   "      addresses: [192.0.2.25/24]\n"
			   "    - port: outside\n"
			   "      vlan: 2\n"
			   "      backends_only: true\n"
			   "      addresses: [198.51.100.2/24]\n"
			   "smtp:\n"
			   "  hostname: mx.example.org\n"
			   "dns:\n"
			   "  recursors:\n"
			   "    - address: 127.0.0.1\n"
			   "listeners:\n"
			   "  - name: mx\n"
			   "pools:\n"
			   "  - name: main\n"
			   "    hello: none\n"
			   "    check_interval_ms: 3600000\n"
			   "    servers:\n"
			   "      - name: mail1\n"
			   "        address: 198.51.100.10\n"
			   "domains:\n"
			   "  - domain: example.org\n"
			   "    pool: main\n"
			   "lists:\n"
			   "  - name: blocked\n"
			   "    action: refuse\n"
			   "    verify_share: 0\n"
			   "    entries: [10.255.0.0/17]\n";

/* What can be switched off: a check, a DNS list, or a part of the preset. */
enum part { PART_CHECK, PART_DNS, PART_GREYLIST, PART_DELAY, PART_SHAPING, PART_NONE };
struct without {
	enum part part;
	unsigned index;
	char name[64];
};

struct made {
	struct config *config;
	struct image *image;
	struct policy *policy;
	struct overlay *overlay;
};

static void take_away(struct config *c, const struct without *w)
{
	struct config_dns_list *lists = c->dns.lists.items;

	switch (w->part) {
	case PART_CHECK: c->checks.check[w->index].state.number = -1; break; /* off */
	case PART_DNS: lists[w->index].state.number = -1; break;
	case PART_GREYLIST: c->grey.state.number = -1; break;
	case PART_DELAY:
		c->smtp.greet_delay_ms.number = 0;
		c->shape.teaser.number = 0;
		break;
	case PART_SHAPING: c->shape.classes.n = 0; break;
	case PART_NONE: break;
	}
}

static void unmake(struct made *m)
{
	policy_close(m->policy);
	image_free(m->image);
	overlay_free(m->overlay);
	config_free(m->config);
}

static bool make(const char *preset, const struct without *without, struct made *m)
{
	const struct overlay_entry ban = { .addr = { [10] = 0xff, 0xff, 10, 255, 128, 0 },
		.len = 17,
		.list = OVERLAY_BAN,
		.kind = VERDICT_DROP };
	struct complaints complaints;
	const char *error = "";
	char text[2048];
	int n = snprintf(text, sizeof(text), base, preset);

	*m = (struct made){ 0 };
	complaints_init(&complaints);
	m->config = config_parse("proof.yaml", text, (size_t)n, &complaints);
	if (m->config)
		take_away(m->config, without);
	if (m->config)
		m->image = image_compile(m->config, 1, NULL, &complaints);
	complaints_print(&complaints, stderr);
	complaints_fini(&complaints);
	m->overlay = overlay_new(1024, (const uint8_t[16]){ 0 });
	if (m->image && m->overlay && overlay_put(m->overlay, &ban, 1, NULL) >= 0 &&
	    policy_open(m->image->parts, m->image->n_parts, 1, &m->policy, &error) == 0 &&
	    policy_attach_overlay(m->policy, m->overlay) == 0)
		return true;
	fprintf(stderr, "proof: no policy of preset %s: %s\n", preset, error);
	unmake(m);
	return false;
}

static bool play(const char *preset, const struct without *without, unsigned first, unsigned last,
    struct score *score)
{
	bool tell = score->tell;
	struct corpus *corpus = malloc(sizeof(*corpus));
	struct made m;
	bool good = corpus && make(preset, without, &m);

	memset(score, 0, sizeof(*score));
	score->tell = tell;
	for (unsigned seed = first; seed <= last && good; seed++)
		good = proof_run(m.policy, corpus, seed, score);
	if (corpus && good)
		unmake(&m);
	free(corpus);
	return good;
}

/* ---- figures ---- */

struct figures {
	unsigned long tries, stages[N_STAGES]; /* of the hostile */
	unsigned long junk, junk_accepted;
	unsigned long honest, accepted, delayed, refused, gave_up, pool_twice;
	double delay_min, held_h;
	unsigned long harvested, replies;
};

static struct figures sum(const struct score *s)
{
	struct figures f = {
		.harvested = s->harvested, .replies = s->replies, .held_h = s->held_s / 3600
	};
	double delay_s = 0;

	for (unsigned k = 0; k < N_KINDS; k++) {
		for (unsigned i = 0; i < N_STAGES && k < N_HOSTILE; i++) {
			f.stages[i] += s->tries[k][i];
			f.tries += s->tries[k][i];
		}
		if (k < N_HOSTILE) {
			f.junk += s->messages[k];
			f.junk_accepted += s->accepted[k];
			continue;
		}
		f.honest += s->messages[k];
		f.accepted += s->accepted[k];
		f.delayed += s->delayed[k];
		f.refused += s->refused[k];
		f.gave_up += s->gave_up[k];
		delay_s += s->delay_s[k];
	}
	f.pool_twice = s->twice[BIG_POOL];
	f.delay_min = f.delayed ? delay_s / (double)f.delayed / 60 : 0;
	return f;
}

static unsigned long ended_before(const struct figures *f, enum stage stage)
{
	unsigned long n = 0;

	for (unsigned i = 0; i < stage; i++)
		n += f->stages[i];
	return n;
}

static double percent(unsigned long n, unsigned long of)
{
	return of ? 100.0 * (double)n / (double)of : 0;
}

static void show_head(void)
{
	printf("#           hostile connections, %% ended at                             honest "
	       "messages\n"
	       "# preset      all   SYN CONNECT  HELO  MAIL  RCPT  DATA  BODY accepted |  all "
	       "delayed%% "
	       "mean min refused pool twice\n");
}

static void show(const char *name, const struct figures *f)
{
	printf("# %-9s %6lu %5.1f %7.1f %5.1f %5.1f %5.1f %5.1f %5.1f %8.1f | %4lu %8.1f %8.1f "
	       "%7lu %10lu\n",
	    name, f->tries, percent(f->stages[STAGE_SYN], f->tries),
	    percent(f->stages[STAGE_CONNECT], f->tries), percent(f->stages[STAGE_HELO], f->tries),
	    percent(f->stages[STAGE_MAIL], f->tries), percent(f->stages[STAGE_RCPT], f->tries),
	    percent(f->stages[STAGE_DATA], f->tries), percent(f->stages[STAGE_BODY], f->tries),
	    percent(f->stages[STAGE_ACCEPTED], f->tries), f->honest, percent(f->delayed, f->honest),
	    f->delay_min, f->refused + f->gave_up, f->pool_twice);
	fflush(stdout);
}

static void show_kinds(const struct score *s)
{
	printf("# %-22s %8s %8s %8s %8s %8s %8s %8s   SYN CONN HELO MAIL RCPT DATA BODY  ACC\n",
	    "kind", "messages", "accepted", "refused", "gave up", "delayed", "twice", "mean min");
	for (unsigned k = 0; k < N_KINDS; k++) {
		printf("# %-22s %8lu %8lu %8lu %8lu %8lu %8lu %8.1f  ", kind_words[k],
		    s->messages[k], s->accepted[k], s->refused[k], s->gave_up[k], s->delayed[k],
		    s->twice[k], s->delayed[k] ? s->delay_s[k] / (double)s->delayed[k] / 60 : 0);
		for (unsigned i = 0; i < N_STAGES; i++)
			printf(" %4lu", s->tries[k][i]);
		printf("\n");
	}
}

/* ---- TAP ---- */

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

static void report(
    struct tap *t, const char *only, unsigned first, unsigned last, bool kinds, bool tell)
{
	static const char *const presets[] = { "none", "cautious", "normal", "strict" };
	static const struct without nothing = { .part = PART_NONE };
	struct figures f[4] = { { 0 } };
	struct score s = { .tell = tell };

	printf("# seeds %u-%u, %d days of traffic each\n", first, last, CORPUS_DAYS);
	show_head();
	for (unsigned i = 0; i < 4; i++) {
		char name[96];

		if (only && strcmp(only, presets[i]) != 0)
			continue;
		bool good = play(presets[i], &nothing, first, last, &s);

		f[i] = sum(&s);
		show(presets[i], &f[i]);
		if (kinds)
			show_kinds(&s);
		printf("# %-9s tokens %lu (%lu by themselves) unresolved tokens %lu; junk "
		       "delivered %lu of %lu; "
		       "addresses harvested %lu; hostile connections held %.0f h\n",
		    presets[i], s.tokens, s.tokens_self, s.unresolved, f[i].junk_accepted,
		    f[i].junk, s.harvested, f[i].held_h);
		snprintf(
		    name, sizeof(name), "%s: unresolved tokens 0, of more than 100", presets[i]);
		if (i)
			ok(t, good && s.unresolved == 0 && s.tokens > 100, name);
		snprintf(name, sizeof(name), "%s: every message came to an end", presets[i]);
		ok(t, good && s.stuck == 0 && f[i].honest > 0, name);
	}
	if (only && strcmp(only, "normal") != 0)
		return;
	ok(t, percent(ended_before(&f[2], STAGE_DATA), f[2].tries) >= 90,
	    "normal: at least 90 % of hostile connections end before DATA");
	ok(t, f[2].refused + f[2].gave_up == 0, "normal: no honest sender is refused");
	ok(t, f[2].pool_twice == 0, "normal: none with a pool is delayed twice");
	if (only)
		return;
	ok(t,
	    f[0].junk_accepted > f[1].junk_accepted && f[1].junk_accepted > f[2].junk_accepted &&
		f[2].junk_accepted > f[3].junk_accepted,
	    "a stricter preset lets less junk through");
	ok(t, f[1].refused + f[1].gave_up == 0, "cautious: no honest sender is refused");
}

/* ---- what each is worth ---- */

/* One figure is worse without it: more junk in, fewer ended before DATA, or before RCPT, held less
 * long, more replies spent on them, more honest mail late or refused. */
static const char *what_is_worse(const struct figures *with, const struct figures *without)
{
	if (without->junk_accepted > with->junk_accepted)
		return "junk";
	if (ended_before(without, STAGE_DATA) < ended_before(with, STAGE_DATA))
		return "before DATA";
	if (ended_before(without, STAGE_RCPT) < ended_before(with, STAGE_RCPT))
		return "before RCPT";
	if (without->delayed > with->delayed)
		return "delayed";
	if (without->refused + without->gave_up > with->refused + with->gave_up)
		return "refused";
	if (without->held_h < with->held_h * 0.9)
		return "held";
	if (without->replies > with->replies)
		return "replies";
	return NULL;
}

static unsigned list_parts(const char *preset, struct without *parts, unsigned cap)
{
	static const struct without nothing = { .part = PART_NONE };
	struct made m;
	unsigned n = 0;

	if (!make(preset, &nothing, &m))
		return 0;
	const struct policy_dns *dns = &policy_settings(m.policy)->dns;
	for (unsigned i = 0; i < CHECK_N && n < cap; i++) {
		const struct policy_rule *rule = policy_rule(m.policy, i);

		/* what the preset names, and bans, which have no weight */
		if (rule->state == RULE_OFF ||
		    (!m.config->checks.check[i].weight.given && i != CHECK_banned))
			continue;
		parts[n] = (struct without){ .part = PART_CHECK, .index = i };
		snprintf(parts[n++].name, sizeof(parts[0].name), "%s",
		    policy_string(m.policy, rule->name));
	}
	for (unsigned i = 0; i < dns->n_lists && n < cap; i++) {
		parts[n] = (struct without){ .part = PART_DNS, .index = i };
		snprintf(parts[n++].name, sizeof(parts[0].name), "dns.%s",
		    policy_string(m.policy, dns->lists[i].name));
	}
	if (n + 3 <= cap) {
		parts[n++] = (struct without){ .part = PART_GREYLIST, .name = "greylist" };
		parts[n++] = (struct without){ .part = PART_DELAY, .name = "greet delay" };
		parts[n++] = (struct without){ .part = PART_SHAPING, .name = "shaping" };
	}
	unmake(&m);
	return n;
}

static void show_ablation(const char *name, const struct figures *f, const char *worse)
{
	printf("# %-30s %6lu %8.2f %8.2f %8lu %8lu %8.1f %8lu  %s\n", name, f->junk_accepted,
	    percent(ended_before(f, STAGE_DATA), f->tries),
	    percent(ended_before(f, STAGE_RCPT), f->tries), f->delayed, f->refused + f->gave_up,
	    f->held_h, f->replies, worse);
	fflush(stdout);
}

static void ablation(struct tap *t, const char *preset, unsigned first, unsigned last)
{
	static const struct without nothing = { .part = PART_NONE };
	struct without parts[96];
	unsigned n = list_parts(preset, parts, 96);
	struct score s = { .tell = false };
	bool good = play(preset, &nothing, first, last, &s);
	struct figures with = sum(&s), f;

	printf("# %s, seeds %u-%u, without ...\n# %-30s %6s %8s %8s %8s %8s %8s %8s  worse\n",
	    preset, first, last, "", "junk", "<DATA %", "<RCPT %", "delayed", "refused", "held h",
	    "replies");
	show_ablation("(all of it on)", &with, "");
	ok(t, good && n > 20, "the preset's checks are listed");
	for (unsigned i = 0; i < n; i++) {
		char name[128];

		good = play(preset, &parts[i], first, last, &s);
		f = sum(&s);
		const char *worse = what_is_worse(&with, &f);

		show_ablation(parts[i].name, &f, worse ? worse : "nothing is worse");
		snprintf(name, sizeof(name), "%s: worse without %s", preset, parts[i].name);
		ok(t, good && worse, name);
	}
}

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
		{ "ablation", required_argument, NULL, 'a' }, { "kinds", no_argument, NULL, 'k' },
		{ "events", no_argument, NULL, 'e' }, { 0 } };
	unsigned first = 101, last = 120, a_first = 0, a_last = 0;
	const char *preset = NULL;
	bool kinds = false, tell = false;
	struct tap t = { 0 };
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'p': preset = optarg; break;
		case 's': range(optarg, &first, &last); break;
		case 'a': range(optarg, &a_first, &a_last); break;
		case 'k': kinds = true; break;
		case 'e': tell = true; break;
		default:
			fputs("usage: proof [--preset NAME] [--seeds A-B] [--ablation A-B] "
			      "[--kinds] [--events]\n",
			    stderr);
			return 2;
		}
	}
	if (last >= first && first > 0)
		report(&t, preset, first, last, kinds, tell);
	if (a_first)
		ablation(&t, preset ? preset : "normal", a_first, a_last);
	printf("1..%u\n", t.n);
	return t.failed != 0;
}
