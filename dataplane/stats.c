/* SPDX-License-Identifier: BSD-3-Clause */
/* The one place that fixes the order of counters in a worker's block (stats_index.h). */
#include "stats_index.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct brain_counter_info {
	const char *name, *text;
	uint32_t kind;
};

static const struct brain_counter_info brain_infos[BRAIN_N_COUNTERS] = {
#define BRAIN(name, kind, text) { #name, text, STATS_##kind },
#include "counters.def"
#undef BRAIN
};

static void put(
    struct stats_name *n, uint32_t kind, const char *prefix, const char *name, const char *text)
{
	size_t k = (size_t)snprintf(n->name, sizeof(n->name), "%s%s", prefix, name);

	for (size_t i = 0; i < k && i < sizeof(n->name); i++)
		n->name[i] = (char)tolower((unsigned char)n->name[i]);
	snprintf(n->text, sizeof(n->text), "%s", text);
	n->kind = kind;
	n->reserved = 0;
}

unsigned stats_fill_names(struct stats_name names[STATS_MAX_COUNTERS])
{
	char name[STATS_NAME_LEN], text[STATS_TEXT_LEN];

	for (unsigned i = 0; i < STACK_N_COUNTERS; i++)
		put(&names[STATS_AT_STACK + i], STATS_COUNTER, "", stack_counter_infos[i].name,
		    stack_counter_infos[i].text);
	for (unsigned i = 0; i < REASON_N; i++)
		put(&names[STATS_AT_REASON + i], STATS_COUNTER, "reason_", reason_infos[i].name,
		    reason_infos[i].doc);
	for (unsigned k = 0; k < VERDICT_N_KINDS; k++) {
		for (unsigned p = 0; p < PHASE_N; p++) {
			snprintf(name, sizeof(name), "%s_%s", verdict_words[k], phase_words[p]);
			snprintf(text, sizeof(text), "Verdicts '%s' reached at %s",
			    verdict_words[k], phase_words[p]);
			put(&names[STATS_AT_VERDICT + k * PHASE_N + p], STATS_COUNTER, "verdict_",
			    name, text);
		}
	}
	for (unsigned i = 0; i < BRAIN_N_COUNTERS; i++)
		put(&names[STATS_AT_BRAIN + i], brain_infos[i].kind, "", brain_infos[i].name,
		    brain_infos[i].text);
	return STATS_N_COUNTERS;
}
