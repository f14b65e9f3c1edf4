/* SPDX-License-Identifier: BSD-3-Clause */
/* See patterns.h. */
#include "patterns.h"

#include "control/compile_patterns.h"
#include "control/config.h"
#include "filters/image_write.h"
#include "filters/scanner.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLICIES = 3, SECRET = 3 /* bytes that doom a message */, MAX_SWAPS = 300 };

struct part {
	void *base;
	size_t len;
};

struct sim_patterns {
	uint64_t random;
	uint8_t secret[SECRET];
	bool has_secret;
	unsigned variant; /* of the policy being made */
	uint32_t messages, window;
	uint16_t confirm_ms;
	uint64_t confirm_ns; /* PCRE2 takes so long; UINT64_MAX: it never answers */
	struct part parts[POLICIES][POLICY_PATTERN_SETS];
	struct rig *rig;
	struct policy *policies[POLICIES];
	struct image_writer *images[POLICIES];
	uint64_t next_ns;
	struct sim_patterns_counts counts;
};

static uint64_t draw(struct sim_patterns *p, uint64_t below)
{
	return model_random(&p->random) % below;
}

static struct part compile(const char *text)
{
	struct complaints complaints;
	struct patterns_report report;
	struct patterns p;
	struct part part = { 0 };

	complaints_init(&complaints);
	patterns_init(&p);
	if (patterns_parse(&p, "sim", NULL, text, strlen(text), &complaints) < 0 ||
	    !patterns_finish(&p, &complaints) ||
	    patterns_compile(&p, NULL, &complaints, &part.base, &part.len, &report) < 0) {
		complaints_print(&complaints, stderr);
		exit(2);
	}
	patterns_fini(&p);
	complaints_fini(&complaints);
	return part;
}

/* The text of a message as it is scanned, to be freed. */
static uint8_t *plain_text(uint64_t id, size_t body_len, size_t *ret_len)
{
	struct model_text t;
	uint8_t *text = malloc(2 * body_len + 4096);
	const char *p;
	size_t n, len = 0;

	assert(text);
	model_text_init(&t, id, body_len);
	while ((n = model_text_peek(&t, &p)) > 0) { /* a line each, save for the header */
		size_t dot = p[0] == '.';

		memcpy(text + len, p + dot, n - dot);
		len += n - dot;
		model_text_consume(&t, n);
	}
	*ret_len = len;
	return text;
}

/* From the last quarter of a message, so that it is often behind the window. */
static void choose_secret(struct sim_patterns *p, uint64_t id, size_t body_len)
{
	size_t len;
	uint8_t *text = plain_text(id, body_len, &len);
	size_t at = len - len / 4 + draw(p, len / 8 + 1);

	for (unsigned tries = 0; tries < 50 && at + SECRET <= len; tries++, at++) {
		p->has_secret = true;
		for (unsigned i = 0; i < SECRET; i++)
			p->has_secret &= text[at + i] > ' ' && text[at + i] < 'z';
		if (!p->has_secret)
			continue;
		memcpy(p->secret, text + at, SECRET);
		break;
	}
	free(text);
}

struct sim_patterns *sim_patterns_new(uint64_t seed, unsigned n, size_t body_len)
{
	/* the first line of each is the one that all have */
	static const char *const more[POLICIES] = {
		"header:X-Model-Id:/0$/ name=ZERO action=refuse\nbody:/e/ name=E score=0.1\n",
		"header:X-Model-Id:/a$/ name=TEN action=refuse\nmeta M = FIVE || TEN score=1\n",
		"text:/model/ name=T score=0.1\n"
	};
	struct sim_patterns *p = calloc(1, sizeof(*p));
	char secret[80] = "", text[600];

	assert(p);
	p->random = seed ^ 0x7061747465726e73ull;
	p->messages = draw(p, 3) ? 2 + (uint32_t)draw(p, 5) : 64;
	p->window = (uint32_t[]){ 0, 1, 1000, 65536 }[draw(p, 4)];
	p->confirm_ms = (uint16_t[]){ 0, 5, 500, 500 }[draw(p, 4)];
	p->confirm_ns = (uint64_t[]){ 0, 4000000, 100000000, 900000000, UINT64_MAX }[draw(p, 5)];
	if (body_len >= 300)
		choose_secret(p, 1 + draw(p, n), body_len);
	if (p->has_secret)
		snprintf(secret, sizeof(secret),
		    "body:\"\\x%02x\\x%02x\\x%02x\" name=SECRET action=refuse\n", p->secret[0],
		    p->secret[1], p->secret[2]);
	for (unsigned i = 0; i < POLICIES; i++) {
		snprintf(text, sizeof(text),
		    "header:X-Model-Id:/5$/ name=FIVE action=refuse\n"
		    "header:X-Model-Id:/(?<!x)b$/ name=ELEVEN action=refuse confirm\n"
		    "header:X-Model-Id:/7$(?<!7)/ name=NEVER action=refuse confirm\n%s%s",
		    secret, more[i]);
		p->parts[i][PATTERN_SET_FILES] = compile(text);
	}
	p->parts[2][PATTERN_SET_EMERGENCY] =
	    compile("header:X-Model-Id:/c$/ name=TWELVE action=refuse\n");
	return p;
}

void sim_patterns_free(struct sim_patterns *p)
{
	for (unsigned i = 1; p && i < POLICIES; i++) { /* the first is the rig's own */
		policy_close(p->policies[i]);
		image_writer_free(p->images[i]);
	}
	for (unsigned i = 0; p && i < POLICIES; i++)
		for (unsigned k = 0; k < POLICY_PATTERN_SETS; k++)
			free(p->parts[i][k].base);
	free(p);
}

enum sim_fate sim_patterns_fate(const struct sim_patterns *p, uint64_t id, size_t body_len)
{
	size_t len;
	uint8_t *text;
	bool found = false;

	if (id % 16 == 5)
		return SIM_DOOMED;
	if (p->has_secret) {
		const uint8_t *body;

		text = plain_text(id, body_len, &len);
		body = memmem(text, len, "\r\n\r\n", 4);
		found = memmem(body, len - (size_t)(body - text), p->secret, SECRET);
		free(text);
	}
	if (found)
		return SIM_DOOMED;
	/* 11: refused where PCRE2 has answered in time */
	return id % 16 == 0 || (id % 16 >= 10 && id % 16 <= 12) ? SIM_AT_RISK : SIM_FREE;
}

void sim_patterns_policy(
    struct sim_patterns *p, struct policy_settings *settings, struct image_writer *writer)
{
	settings->smtp.inspection_window = p->window;
	settings->patterns.messages = p->messages;
	settings->patterns.confirm_ms = p->confirm_ms;
	settings->patterns.on_failure = VERDICT_DEFER;
	for (unsigned k = 0; k < POLICY_PATTERN_SETS; k++) {
		const struct part *part = &p->parts[p->variant][k];
		void *copy;

		if (!part->base)
			continue;
		copy = aligned_alloc(64, (part->len + 63) & ~(size_t)63);
		assert(copy);
		memcpy(copy, part->base, part->len);
		if (compile_patterns_rules(NULL, writer, k, copy, part->len) < 0 ||
		    image_writer_patterns(writer, k, copy, part->len) < 0)
			exit(2);
	}
}

void sim_patterns_ready(struct sim_patterns *p, struct rig *rig, const struct rig_config *config)
{
	struct rig_config other = *config;

	p->rig = rig;
	rig->config.confirm_ns = p->confirm_ns;
	p->policies[0] = rig->policy;
	for (p->variant = 1; p->variant < POLICIES; p->variant++) {
		other.epoch = 1 + p->variant;
		if (rig_policy_new(&other, &p->images[p->variant], &p->policies[p->variant]) < 0)
			exit(2);
	}
	p->next_ns = rig->now_ns + 1;
}

void sim_patterns_turn(struct sim_patterns *p)
{
	struct scanner *old = policy_scanner(p->rig->policy, PATTERN_SET_FILES);

	if (p->rig->now_ns < p->next_ns || p->counts.swaps == MAX_SWAPS)
		return;
	p->next_ns = p->rig->now_ns + (1ull << draw(p, 34));
	if (p->counts.swaps > 2 && draw(p, 12) == 0)
		scanner_condemn(old); /* for good: who begins under it may be sent away at any swap */
	p->rig->policy = p->policies[draw(p, POLICIES)];
	p->counts.swaps++;
}

unsigned sim_patterns_held(struct sim_patterns *p)
{
	uint64_t until_ns = p->rig->now_ns + 1000000000;
	unsigned n = 0;

	while (rig_step(p->rig, until_ns)) /* for answers that nobody waits for any more */
		;
	for (unsigned i = 0; i < POLICIES && p->confirm_ns != UINT64_MAX; i++)
		for (unsigned k = 0; k < POLICY_PATTERN_SETS; k++)
			if (policy_scanner(p->policies[i], k))
				n += scanner_open(policy_scanner(p->policies[i], k));
	return n;
}

void sim_patterns_over(struct sim_patterns *p)
{
	p->rig->policy = p->policies[0]; /* the rig's own, which it frees */
}

void sim_patterns_event(struct sim_patterns *p, const struct event *e)
{
	if (e->kind == EVENT_SESSION) {
		p->counts.unscanned += e->reason == REASON_PATTERNS_FAILED;
		p->counts.refused += e->reason == REASON_PATTERN;
	}
}

struct sim_patterns_counts sim_patterns_counts(const struct sim_patterns *p)
{
	return p->counts;
}
