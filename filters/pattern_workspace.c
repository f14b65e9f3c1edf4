/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's share of a pattern set: scratch that fits every database of it (a scan with scratch of
 * a smaller one is an error, which is unscanned mail), message states, and streams opened ahead.
 * Made off the worker, so that a message never allocates; a stream is reset, not closed.
 */
#include "pattern_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct pattern_limits pattern_limits_default = { 10000, 256 << 10, 256 << 10 };

const uint8_t pattern_stream_zone[STREAM_N] = { PATTERN_HEADER, PATTERN_HEADER, PATTERN_BODY,
	PATTERN_BODY, PATTERN_TEXT };

static int scratch(struct pattern_workspace *ws)
{
	const struct pattern_set *s = ws->set;

	for (unsigned i = 0; i < PATTERN_N_ZONES; i++)
		if (s->zones[i].db && hs_alloc_scratch(s->zones[i].db, &ws->scratch) != HS_SUCCESS)
			return -ENOMEM;
	for (unsigned i = 0; i < s->n_fields; i++)
		if (hs_alloc_scratch(s->fields[i].db, &ws->scratch) != HS_SUCCESS)
			return -ENOMEM;
	return 0;
}

static int streams(struct pattern_workspace *ws, unsigned which)
{
	const hs_database_t *db = ws->set->zones[pattern_stream_zone[which]].db;
	struct pattern_streams *p = &ws->streams[which];
	size_t size;

	if (!db)
		return 0;
	p->free = calloc(ws->limits.messages, sizeof(*p->free));
	if (!p->free || hs_stream_size(db, &size) != HS_SUCCESS)
		return -ENOMEM;
	for (; p->n_free < ws->limits.messages; p->n_free++)
		if (hs_open_stream(db, 0, &p->free[p->n_free]) != HS_SUCCESS)
			return -ENOMEM;
	ws->bytes += ws->limits.messages * (size + sizeof(*p->free));
	return 0;
}

int pattern_workspace_new(const struct pattern_set *set, const struct pattern_limits *limits,
    struct pattern_workspace **ret_workspace)
{
	struct pattern_workspace *ws = aligned_alloc(64, (sizeof(*ws) + 63) & ~(size_t)63);
	size_t n = limits->messages, words = set->n_words;

	if (!ws)
		return -ENOMEM;
	memset(ws, 0, sizeof(*ws));
	ws->set = set;
	ws->limits = *limits;
	ws->messages = calloc(n + 1, sizeof(*ws->messages));
	ws->bits = calloc((n + 1) * (words ? words : 1), sizeof(*ws->bits));
	if (!ws->messages || !ws->bits || scratch(ws) < 0)
		goto no_memory;
	ws->bytes = n * (sizeof(*ws->messages) + words * sizeof(*ws->bits));
	ws->line_bits = ws->bits + n * words;
	for (size_t i = n; i-- > 0;) {
		struct pattern_message *m = &ws->messages[i];

		m->ws = ws;
		m->bits = ws->bits + i * words;
		m->next_free = ws->free;
		ws->free = m;
	}
	for (unsigned i = 0; i < STREAM_N; i++)
		if (streams(ws, i) < 0)
			goto no_memory;
	*ret_workspace = ws;
	return 0;
no_memory:
	pattern_workspace_free(ws);
	return -ENOMEM;
}

struct pattern_workspace *pattern_workspace_free(struct pattern_workspace *ws)
{
	if (!ws)
		return NULL;
	for (size_t i = 0; ws->messages && i < ws->limits.messages; i++)
		for (unsigned k = 0; k < STREAM_N; k++)
			if (ws->messages[i].streams[k])
				hs_close_stream(ws->messages[i].streams[k], NULL, NULL, NULL);
	for (unsigned k = 0; k < STREAM_N; k++) {
		for (uint32_t i = 0; i < ws->streams[k].n_free; i++)
			hs_close_stream(ws->streams[k].free[i], NULL, NULL, NULL);
		free(ws->streams[k].free);
	}
	hs_free_scratch(ws->scratch);
	free(ws->bits);
	free(ws->messages);
	free(ws);
	return NULL;
}

void pattern_workspace_hold(struct pattern_workspace *ws)
{
	__atomic_store_n(&ws->n_open, ws->n_open + 1, __ATOMIC_RELEASE);
}

void pattern_workspace_let_go(struct pattern_workspace *ws)
{
	__atomic_store_n(&ws->n_open, ws->n_open - 1, __ATOMIC_RELEASE);
}

const struct pattern_limits *pattern_workspace_limits(const struct pattern_workspace *ws)
{
	return &ws->limits;
}

unsigned pattern_workspace_open(const struct pattern_workspace *ws)
{
	return __atomic_load_n(&ws->n_open, __ATOMIC_ACQUIRE);
}

void pattern_workspace_condemn(struct pattern_workspace *ws)
{
	__atomic_store_n(&ws->condemned, true, __ATOMIC_RELEASE);
}

bool pattern_workspace_condemned(const struct pattern_workspace *ws)
{
	return __atomic_load_n(&ws->condemned, __ATOMIC_ACQUIRE);
}

const struct pattern_set *pattern_workspace_set(const struct pattern_workspace *ws)
{
	return ws->set;
}

size_t pattern_workspace_bytes(const struct pattern_workspace *ws)
{
	return ws->bytes;
}

const struct pattern_counts *pattern_counts(const struct pattern_workspace *ws)
{
	return &ws->counts;
}
