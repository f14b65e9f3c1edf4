/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The section `patterns`: its rows, its checks, its compilation. Each rule of the pattern files that
 * has a score or an action becomes a rule `patterns.NAME` of the policy; what Hyperscan refuses, or a
 * file that is wrong, refuses the configuration. Patterns added in an emergency are a second, small
 * set, so that the large one is taken from the cache and stays where it is in the dataplane.
 */
#include "compile.h"
#include "compile_patterns.h"
#include "schema.h"

#include "filters/image_write.h"
#include "filters/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

/* In the order of failures[]. */
static const char *const words_failure[] = { "defer", "refuse", NULL };
static const uint8_t failures[] = { VERDICT_DEFER, VERDICT_REFUSE };
/* In the order of enum patterns_platform. */
static const char *const words_platform[] = { "native", "sse", "avx2", "avx512", NULL };

/* clang-format off */
#define SECTION_STRUCT config_patterns
static const struct schema_key patterns_keys[] = {
	{ "files", SCHEMA_TEXT, SCHEMA_MANY, AT(files), 0, PATTERNS_MAX_FILES,
	    .doc = "Pattern files, see postern.patterns(5); beside the configuration unless the path is "
		   "absolute." },
	{ "state", SCHEMA_STATE, 0, AT(state), .def = "enforce",
	    .doc = "Of all pattern rules. off: nothing is scanned; shadow: counted and told, not done; 25%: "
		   "done for that share of clients, shadow for the rest; enforce." },
	{ "shadow", SCHEMA_NAME, SCHEMA_MANY, AT(shadow), 0, 1000,
	    .doc = "Rules that are counted and told, but not done." },
	{ "off", SCHEMA_NAME, SCHEMA_MANY, AT(off), 0, 1000,
	    .doc = "Rules that count nothing; metas see them all the same." },
	{ "depth", SCHEMA_NUMBER, 0, AT(depth), 1024, 1073741824, .def = "262144", .unit = "bytes",
	    .doc = "Of a message that are looked at; what lies deeper is not." },
	{ "decoded_depth", SCHEMA_NUMBER, 0, AT(decoded_depth), 1024, 1073741824, .def = "262144",
	    .unit = "bytes", .doc = "Of decoded text of a message that are looked at." },
	{ "messages", SCHEMA_NUMBER, 0, AT(messages), 16, 1000000, .def = "10000",
	    .unit = "messages",
	    .doc = "Scanned at the same time, shared out among the workers; memory for them is taken when "
		   "the patterns are loaded. Beyond, a message is not scanned: on_failure." },
	{ "confirm_ms", SCHEMA_NUMBER, 0, AT(confirm_ms), 0, 10000, .def = "500", .unit = "ms",
	    .doc = "How long a message waits until PCRE2 has confirmed the candidates of patterns with "
		   "`confirm`; beyond, or with 0, they count as not hit." },
	{ "on_failure", SCHEMA_WORD, 0, AT(on_failure), .def = "defer", .words = words_failure,
	    .doc = "What a message gets that could not be scanned: 451 or 550. None passes unscanned." },
	{ "platform", SCHEMA_WORD, 0, AT(platform), .def = "native", .words = words_platform,
	    .doc = "The least CPU the compiled patterns must run on; native: this machine's." },
};
const struct schema_section patterns_schema = { sizeof(struct config_patterns),
	COUNT(patterns_keys), patterns_keys };
#undef SECTION_STRUCT
/* clang-format on */

void config_check_patterns(struct config *c, struct complaints *complaints)
{
	struct config_patterns *p = &c->patterns;
	const struct config_value *files = p->files.items;

	for (size_t i = 0; i < p->files.n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(files[i].text, files[k].text) == 0)
				complain(complaints, c->path, files[i].pos,
				    "patterns.files: \"%s\" is named twice", files[i].text);
}

static const struct config_value *names(const struct config_items *items, const char *name)
{
	const struct config_value *values = items->items;

	for (size_t i = 0; i < items->n; i++)
		if (strcmp(values[i].text, name) == 0)
			return &values[i];
	return NULL;
}

static void check_names(const struct config *c, const char *key, const struct config_items *items,
    const struct patterns *sets, struct complaints *complaints)
{
	const struct config_value *values = items->items;

	for (size_t i = 0; i < items->n; i++) {
		bool found = false;

		for (unsigned set = 0; set < POLICY_PATTERN_SETS; set++)
			for (unsigned k = 0; k < sets[set].n_rules && !found; k++)
				found = strcmp(sets[set].rules[k].name, values[i].text) == 0;
		if (!found)
			complain(complaints, c->path, values[i].pos,
			    "patterns.%s: no pattern has the name \"%s\"", key, values[i].text);
	}
}

int compile_patterns_rules(const struct config_patterns *from, struct image_writer *w, unsigned set,
    const void *part, size_t len)
{
	struct pattern_set *opened;
	const char *why;
	int r = 0;

	/* the part's own numbers: metas were put in order */
	if (pattern_open(part, len, &opened, &why) < 0)
		return -EBADMSG;
	for (unsigned i = 0; i < pattern_n_rules(opened) && r >= 0; i++) {
		char name[PATTERN_MAX_NAME + 16];
		struct pattern_rule known;
		struct policy_rule rule = { .kind = RULE_PATTERN };

		pattern_rule_get(opened, i, &known);
		if (known.flags & PATTERN_RULE_TERM)
			continue;
		if (from)
			compile_state(&rule, &from->state);
		if (from && names(&from->states, known.name))
			compile_state(&rule, names(&from->states, known.name));
		else if (from && names(&from->off, known.name))
			rule.state = RULE_OFF;
		else if (from && names(&from->shadow, known.name))
			rule.state = RULE_SHADOW;
		rule.weight = known.weight;
		rule.action = known.action;
		rule.reason = known.action == VERDICT_DEFER || known.action == VERDICT_GREY
				  ? REASON_PATTERN_DEFERRED
				  : REASON_PATTERN;
		rule.index = pattern_rule_index(set, i);
		snprintf(name, sizeof(name), "patterns.%s", known.name);
		r = image_writer_string(w, name, &rule.name);
		if (r >= 0)
			r = image_writer_rule(w, &rule);
	}
	pattern_close(opened);
	return r < 0 ? r : 0;
}

static int add_set(const struct config *c, struct image_writer *w, unsigned set,
    const struct patterns *p, const struct compile_options *options, struct complaints *complaints)
{
	struct patterns_options how = {
		.cache = options ? options->cache : NULL,
		.platform = (enum patterns_platform)c->patterns.platform.number,
		.progress = options && set == PATTERN_SET_FILES ? options->progress : NULL,
		.arg = options ? options->arg : NULL,
	};
	struct patterns_report report;
	void *part = NULL;
	size_t len;
	int r;

	if (p->n_expressions == 0)
		return 0;
	r = patterns_compile(p, &how, complaints, &part, &len, &report);
	if (r < 0)
		return r == -EINVAL ? 0 : r; /* told */
	r = compile_patterns_rules(&c->patterns, w, set, part, len);
	if (r < 0) {
		free(part);
		return r;
	}
	return image_writer_patterns(w, set, part, len);
}

int compile_patterns(const struct config *c, struct image_writer *w,
    const struct compile_options *options, struct complaints *complaints)
{
	const struct config_patterns *from = &c->patterns;
	struct policy_patterns *to = &image_writer_settings(w)->patterns;
	const struct config_value *files = from->files.items, *more = from->emergency.items;
	unsigned long before = complaints->total;
	struct patterns sets[POLICY_PATTERN_SETS];
	int r = 0;

	if (from->state.number == STATE_OFF || from->files.n + from->emergency.n == 0)
		return 0;
	to->messages = (uint32_t)from->messages.number;
	to->depth = (uint32_t)from->depth.number;
	to->decoded_depth = (uint32_t)from->decoded_depth.number;
	to->confirm_ms = (uint16_t)from->confirm_ms.number;
	to->on_failure =
	    from->state.number == STATE_SHADOW ? VERDICT_NONE : failures[from->on_failure.number];
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		patterns_init(&sets[i]);
	for (size_t i = 0; i < from->files.n && r == 0; i++) {
		char *path = config_beside(c, files[i].text);

		r = path ? patterns_read(&sets[PATTERN_SET_FILES], path, complaints) : -ENOMEM;
		if (r < 0 && r != -ENOMEM) {
			complain(complaints, c->path, files[i].pos,
			    "patterns.files: \"%s\" cannot be read: %s", files[i].text,
			    strerror(-r));
			r = 0;
		}
		free(path);
	}
	for (size_t i = 0; i < from->emergency.n && r == 0; i++)
		r = patterns_parse(&sets[PATTERN_SET_EMERGENCY], "emergency", NULL, more[i].text,
		    strlen(more[i].text), complaints);
	for (unsigned i = 0; i < POLICY_PATTERN_SETS && r == 0; i++)
		patterns_finish(&sets[i], complaints);
	if (r == 0 && complaints->total == before) {
		check_names(c, "shadow", &from->shadow, sets, complaints);
		check_names(c, "off", &from->off, sets, complaints);
	}
	for (unsigned i = 0; i < POLICY_PATTERN_SETS && r == 0 && complaints->total == before; i++)
		r = add_set(c, w, i, &sets[i], options, complaints);
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++)
		patterns_fini(&sets[i]);
	return r;
}
