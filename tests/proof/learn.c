/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The weeks before, as the memory of sources lives through them: who writes every week, and which
 * recipients are there. Told to it as the notes that such sessions leave (what a run does with a
 * session is the same call), since playing sixty thousand sessions before each run would say no more.
 * Kept as the live shell keeps it, in a snapshot, which each run begins with.
 */
#include "maker.h"
#include "proof.h"

#include "filters/memory.h"
#include "filters/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WEEKS = 12, WEEK = 7 * 24 * HOUR, START_S = 1767225600 /* a run's begin: 2026-01-01 */ };

static void tell(struct memory *m, const struct policy_memory *settings, const struct weekly *w,
    const char *rcpt, uint32_t now_s)
{
	struct memory_alarm alarms[MEMORY_MAX_ALARMS];
	uint8_t client[16] = { [10] = 0xff,
		[11] = 0xff,
		(uint8_t)(w->client >> 24),
		(uint8_t)(w->client >> 16),
		(uint8_t)(w->client >> 8),
		(uint8_t)w->client };
	struct memory_note note = { .kind = MEMORY_ASKED,
		.accepted = true,
		.who = { .client = client,
		    .internal = w->internal,
		    .sender = { w->sender, (uint16_t)strlen(w->sender) },
		    .rcpt = { rcpt, (uint16_t)strlen(rcpt) } },
		.now_s = now_s };

	memory_apply(m, settings, &note, alarms);
}

static void week(struct memory *m, const struct policy_memory *settings, uint32_t begin_s)
{
	for (unsigned i = 0; i < corpus_n_weekly; i++) {
		const struct weekly *w = &corpus_weekly[i];
		unsigned n = corpus_mix[w->kind].messages;

		for (unsigned k = 0; k < n; k++) {
			struct message msg = { .number = k * w->n_rcpts,
				.rcpts = (uint8_t)w->rcpts };
			char rcpt[64];

			for (unsigned j = 0; j < w->n_rcpts; j++)
				if (corpus_rcpt(&msg, j, rcpt, sizeof(rcpt)))
					tell(m, settings, w, rcpt,
					    begin_s + (BURST_HOUR + i) * HOUR + k * 3000 / n);
		}
	}
}

bool proof_learn(const struct policy *policy, struct learned *ret)
{
	const struct policy_memory *settings = &policy_settings(policy)->memory;
	struct memory *m;

	*ret = (struct learned){ 0 };
	if (settings->capacity == 0)
		return true;
	m = memory_new(PROOF_MEMORY, (const uint8_t *)"a rig's own key.");
	ret->snapshot = m ? malloc(memory_snapshot_max(m)) : NULL;
	if (ret->snapshot) {
		for (unsigned i = WEEKS; i > 0; i--)
			week(m, settings, START_S - i * WEEK);
		ret->len = memory_snapshot(m, START_S, ret->snapshot, memory_snapshot_max(m));
	}
	memory_free(m);
	return ret->snapshot != NULL;
}

void proof_forget(struct learned *learned)
{
	free(learned->snapshot);
	*learned = (struct learned){ 0 };
}
