/* SPDX-License-Identifier: BSD-3-Clause */
/* See setup.h. */
#include "setup.h"

#include "control/compile.h"
#include "control/config.h"
#include "filters/overlay.h"
#include "filters/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Outbound mode for the schools' own server, a domain that signs its senders (BATV), an operator's
 * list; all else is the preset's. */
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
			   "        max_connections: 400\n"
			   "domains:\n"
			   "  - domain: example.org\n"
			   "    pool: main\n"
			   "  - domain: signed.example.org\n"
			   "    pool: main\n"
			   "relay:\n"
			   "  internal: [172.20.0.0/16]\n"
			   "  outbound_pool: main\n"
			   "batv:\n"
			   "  domains: [signed.example.org]\n"
			   "  keys: [\"0 a secret of the proof\"]\n"
			   "lists:\n"
			   "  - name: blocked\n"
			   "    action: refuse\n"
			   "    verify_share: 0\n"
			   "    entries: [10.255.0.0/17]\n";

struct made {
	struct config *config;
	struct image *image;
};

/* ---- parts ---- */

struct limit {
	const char *name;
	size_t at; /* in struct config_limits */
	int64_t none;
};
static const struct limit limits[] = {
	{ "limits.connections", offsetof(struct config_limits, connections), 1000 },
	{ "limits.connection_rate", offsetof(struct config_limits, connection_rate), 10000 },
	{ "limits.null_recipients", offsetof(struct config_limits, null_recipients), 100 },
	{ "limits.errors", offsetof(struct config_limits, errors), 1000 },
};
enum { N_LIMITS = sizeof(limits) / sizeof(limits[0]) };

static struct config_value *limit_of(struct config *c, unsigned i)
{
	return (struct config_value *)((char *)&c->limits + limits[i].at);
}

static void take_away(struct config *c, const struct without *w)
{
	struct config_dns_list *lists = c->dns.lists.items;
	struct config_class *classes = c->shape.classes.items;
	struct config_rate *rates = c->rates.items;

	switch (w->part) {
	case PART_CHECK: c->checks.check[w->index].state.number = -1; break; /* off */
	case PART_DNS: lists[w->index].state.number = -1; break;
	case PART_RATE: rates[w->index].state.number = -1; break;
	case PART_GREYLIST: c->grey.state.number = -1; break;
	case PART_DELAY:
		c->smtp.greet_delay_ms.number = 0;
		c->shape.teaser.number = 0;
		break;
	case PART_TEASER: c->shape.teaser.number = 0; break;
	case PART_CLASS:
		classes[w->index].pace_bytes.number = 0;
		classes[w->index].window_bytes.number = 0;
		break;
	case PART_LIMIT: limit_of(c, w->index)->number = limits[w->index].none; break;
	case PART_BANS: c->bans.threshold.number = 0; break;
	case PART_PREFIX: c->bans.prefix_hosts.number = 0; break;
	case PART_MARK: c->score.mark.number = 0; break;
	case PART_NONE: break;
	}
}

static void unmake(struct made *m)
{
	image_free(m->image);
	config_free(m->config);
}

static bool make(const char *preset, const struct without *without, struct made *m)
{
	struct complaints complaints;
	char text[4096];
	int n = snprintf(text, sizeof(text), base, preset);

	*m = (struct made){ 0 };
	complaints_init(&complaints);
	m->config = config_parse("proof.yaml", text, (size_t)n, &complaints);
	if (m->config && without)
		take_away(m->config, without);
	if (m->config)
		m->image = image_compile(m->config, 1, NULL, &complaints);
	complaints_print(&complaints, stderr);
	complaints_fini(&complaints);
	if (m->image)
		return true;
	fprintf(stderr, "proof: preset %s cannot be compiled\n", preset);
	unmake(m);
	return false;
}

static bool open_policy(const struct made *m, struct policy **ret_policy)
{
	const char *error = "";

	if (policy_open(m->image->parts, m->image->n_parts, 1, ret_policy, &error) == 0)
		return true;
	fprintf(stderr, "proof: no policy: %s\n", error);
	return false;
}

static void add(struct without *parts, unsigned *n, enum part part, unsigned index,
    const char *prefix, const char *name)
{
	if (*n == PARTS_MAX)
		return;
	parts[*n] = (struct without){ .part = part, .index = index };
	snprintf(parts[(*n)++].name, PART_NAME, "%s%s", prefix, name);
}

unsigned setup_parts(const char *preset, struct without parts[PARTS_MAX])
{
	struct policy *policy;
	struct made m;
	unsigned n = 0;

	if (!make(preset, NULL, &m))
		return 0;
	if (!open_policy(&m, &policy)) {
		unmake(&m);
		return 0;
	}
	/* whatever is in force, also what the preset leaves at its default: a check that weighs nothing
	 * and does nothing has nothing to show */
	for (unsigned i = 0; i < CHECK_N; i++) {
		const struct policy_rule *rule = policy_rule(policy, i);

		if (rule->state == RULE_ENFORCE &&
		    (rule->weight || rule->action != VERDICT_NONE || i == CHECK_banned))
			add(parts, &n, PART_CHECK, i, "", policy_string(policy, rule->name));
	}
	const struct config_dns_list *lists = m.config->dns.lists.items;
	for (unsigned i = 0; i < m.config->dns.lists.n; i++)
		add(parts, &n, PART_DNS, i, "dns.", lists[i].name.text);
	const struct config_rate *rates = m.config->rates.items;
	for (unsigned i = 0; i < m.config->rates.n; i++)
		add(parts, &n, PART_RATE, i, "rates.", rates[i].name.text);
	for (unsigned i = 0; i < N_LIMITS; i++)
		if (limit_of(m.config, i)->given)
			add(parts, &n, PART_LIMIT, i, "", limits[i].name);
	if (m.config->bans.threshold.number) {
		add(parts, &n, PART_BANS, 0, "", "bans (automatic)");
		if (m.config->bans.prefix_hosts.number)
			add(parts, &n, PART_PREFIX, 0, "", "bans.prefix_hosts");
	}
	if (policy_settings(policy)->grey.rule)
		add(parts, &n, PART_GREYLIST, 0, "", "greylist");
	if (m.config->smtp.greet_delay_ms.number)
		add(parts, &n, PART_DELAY, 0, "", "greet delay, with teaser");
	if (m.config->shape.teaser.number)
		add(parts, &n, PART_TEASER, 0, "", "shaping.teaser");
	const struct config_class *classes = m.config->shape.classes.items;
	for (unsigned i = 0; i < m.config->shape.classes.n; i++)
		add(parts, &n, PART_CLASS, i, "shaping.classes.", classes[i].name.text);
	if (m.config->score.mark.number)
		add(parts, &n, PART_MARK, 0, "", "score.mark");
	policy_close(policy);
	unmake(&m);
	return n;
}

void setup_rule_name(const char *preset, unsigned row, char ret_name[PART_NAME])
{
	struct policy *policy;
	struct made m;
	unsigned n;

	snprintf(ret_name, PART_NAME, "rule %u", row);
	if (!make(preset, NULL, &m))
		return;
	if (open_policy(&m, &policy)) {
		policy_rules(policy, &n);
		if (row < n)
			snprintf(ret_name, PART_NAME, "%s",
			    policy_string(policy, policy_rule(policy, row)->name));
		policy_close(policy);
	}
	unmake(&m);
}

/* ---- playing ---- */

/* With an overlay of its own, in which an operator's ban stands. */
static bool play_seed(const struct made *m, const struct learned *learned, const struct job *job,
    uint64_t seed, struct corpus *corpus, struct score *score)
{
	const struct overlay_entry ban = { .addr = { [10] = 0xff, 0xff, 10, 255, 128, 0 },
		.len = 17,
		.list = OVERLAY_BAN,
		.kind = VERDICT_DROP };
	struct proof proof = { .learned = learned, .options = job->options, .seed = seed };
	bool good = open_policy(m, &proof.policy);

	if (!good)
		return false;
	proof.overlay = overlay_new(4096, (const uint8_t[16]){ 0 });
	good = proof.overlay && overlay_put(proof.overlay, &ban, 1, NULL) >= 0 &&
	       policy_attach_overlay(proof.policy, proof.overlay) == 0 &&
	       proof_run(&proof, corpus, score);
	policy_close(proof.policy);
	overlay_free(proof.overlay);
	return good;
}

static bool play(const struct job *job, struct corpus *corpus, struct score *score)
{
	struct learned learned = { 0 };
	struct policy *policy = NULL;
	struct made m;
	bool good;

	memset(score, 0, sizeof(*score));
	score->tell = job->tell;
	if (!make(job->preset, job->without, &m))
		return false;
	good = open_policy(&m, &policy) && proof_learn(policy, &learned);
	policy_close(policy);
	for (unsigned seed = job->first; seed <= job->last && good; seed++)
		good = play_seed(&m, &learned, job, seed, corpus, score);
	proof_forget(&learned);
	unmake(&m);
	return good;
}

/* Jobs i, i + step, ... */
static bool play_some(
    const struct job *jobs, unsigned n, unsigned i, unsigned step, struct score *scores)
{
	struct corpus *corpus = malloc(sizeof(*corpus));
	bool good = corpus != NULL;

	for (; i < n && good; i += step)
		good = play(&jobs[i], corpus, &scores[i]);
	free(corpus);
	return good;
}

bool setup_play(const struct job *jobs, unsigned n, unsigned side_by_side, struct score *scores)
{
	size_t size = n * sizeof(*scores);
	struct score *shared;
	pid_t pids[16];
	bool good = true;

	side_by_side = side_by_side < n ? side_by_side : n;
	if (side_by_side <= 1)
		return play_some(jobs, n, 0, 1, scores);
	side_by_side = side_by_side < 16 ? side_by_side : 16;
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return false;
	fflush(NULL);
	for (unsigned i = 0; i < side_by_side; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(!play_some(jobs, n, i, side_by_side, shared));
	}
	for (unsigned i = 0; i < side_by_side; i++) {
		int status = 1;

		good &= pids[i] > 0 && waitpid(pids[i], &status, 0) == pids[i] && status == 0;
	}
	memcpy(scores, shared, size);
	munmap(shared, size);
	return good;
}
