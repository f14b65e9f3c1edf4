/* SPDX-License-Identifier: BSD-3-Clause */
/* A pattern set and a workspace of each worker (scanner.h). */
#include "scanner.h"

#include <errno.h>
#include <stdlib.h>

struct scanner {
	struct pattern_set *set;
	unsigned n_workers;
	struct pattern_workspace *workspaces[SCANNER_MAX_WORKERS];
};

struct pattern_limits scanner_limits(const struct policy_patterns *settings, unsigned n_workers)
{
	struct pattern_limits limits = pattern_limits_default;
	uint32_t messages = settings->messages ? settings->messages : 64;

	if (n_workers == 0)
		n_workers = 1;
	limits.messages = (messages + n_workers - 1) / n_workers;
	if (settings->depth)
		limits.depth = settings->depth;
	if (settings->decoded_depth)
		limits.decoded_depth = settings->decoded_depth;
	return limits;
}

int scanner_new(const void *base, size_t len, const struct pattern_limits *limits,
    unsigned n_workers, struct scanner **ret_scanner, const char **ret_error)
{
	struct scanner *s = calloc(1, sizeof(*s));
	int r;

	*ret_error = "patterns: no memory for the messages to be scanned at once";
	if (!s || n_workers > SCANNER_MAX_WORKERS) {
		free(s);
		return -ENOMEM;
	}
	r = pattern_open(base, len, &s->set, ret_error);
	for (; r == 0 && s->n_workers < n_workers; s->n_workers++) {
		r = pattern_workspace_new(s->set, limits, &s->workspaces[s->n_workers]);
		if (r < 0)
			break;
	}
	if (r < 0) {
		scanner_free(s);
		return r;
	}
	*ret_scanner = s;
	return 0;
}

struct scanner *scanner_free(struct scanner *s)
{
	if (!s)
		return NULL;
	for (unsigned i = 0; i < s->n_workers; i++)
		pattern_workspace_free(s->workspaces[i]);
	pattern_close(s->set);
	free(s);
	return NULL;
}

const struct pattern_set *scanner_set(const struct scanner *s)
{
	return s->set;
}

struct pattern_workspace *scanner_workspace(const struct scanner *s, unsigned worker)
{
	return worker < s->n_workers ? s->workspaces[worker] : NULL;
}

unsigned scanner_open(const struct scanner *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_workers; i++)
		n += pattern_workspace_open(s->workspaces[i]);
	return n;
}

size_t scanner_bytes(const struct scanner *s)
{
	size_t n = 0;

	for (unsigned i = 0; i < s->n_workers; i++)
		n += pattern_workspace_bytes(s->workspaces[i]);
	return n;
}

void scanner_condemn(struct scanner *s)
{
	for (unsigned i = 0; i < s->n_workers; i++)
		pattern_workspace_condemn(s->workspaces[i]);
}
