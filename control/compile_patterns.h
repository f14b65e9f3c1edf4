/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Patterns to an IMAGE_PATTERNS part: one Hyperscan database per zone and header name, serialised,
 * with the tables of filters/pattern_layout.h in front. Seconds to minutes of work, so databases
 * are kept on disk under the hash of what they are made of: expressions, flags, platform and
 * Hyperscan's version. An unchanged zone is never compiled again.
 *
 * This file alone in control/ knows Hyperscan. (Rejected: to compile in the dataplane at start; a
 * restart would take half a minute, on the cores that should be serving.)
 */
#ifndef POSTERN_CONTROL_COMPILE_PATTERNS_H
#define POSTERN_CONTROL_COMPILE_PATTERNS_H

#include "complaints.h"
#include "patterns.h"

#include <stddef.h>
#include <stdio.h>

/* The lowest CPU the part must run on. */
enum patterns_platform {
	PATTERNS_NATIVE, /* this machine */
	PATTERNS_SSE,    /* SSSE3, what Hyperscan needs at least */
	PATTERNS_AVX2,
	PATTERNS_AVX512,
	PATTERNS_N_PLATFORMS
};
extern const char *const patterns_platform_words[PATTERNS_N_PLATFORMS];

struct patterns_options {
	const char *cache; /* directory, made if missing; NULL: nothing is kept */
	enum patterns_platform platform;
	/* Called as databases get ready: zone or header name, expressions in it. May be NULL. */
	void (*progress)(void *arg, unsigned done, unsigned total, const char *what);
	void *arg;
};

struct patterns_report {
	unsigned compiled, confirm, refused; /* expressions */
	unsigned databases, from_cache;
	size_t bytes;        /* of the part */
	size_t stream_bytes; /* per message, all streams */
};

/*
 * Can Hyperscan take this expression? 0: yes. -EINVAL with the reason in why (NUL-terminated): no;
 * with flags | PATTERN_CONFIRM it may still be.
 */
int patterns_try(const struct patterns_expression *expression, char *why, size_t room);

/*
 * Compiles what patterns_finish() left. Expressions that Hyperscan refuses are complained of with
 * file and line, and left out of a part that is made nevertheless; the caller decides by
 * ret_report->refused. *ret_part is 64-byte aligned, to be freed. -ENOMEM, -E2BIG; -EINVAL with
 * complaints.
 */
int patterns_compile(const struct patterns *patterns, const struct patterns_options *options,
    struct complaints *complaints, void **ret_part, size_t *ret_len,
    struct patterns_report *ret_report);

/* ---- what they cost ---- */

struct patterns_cost {
	unsigned expression; /* index */
	unsigned long matches;
	double ns_per_kib; /* below 0: Hyperscan refuses it */
};

/* Text that looks like mail, to measure with; to be freed. NULL: no memory. */
char *patterns_sample(size_t *ret_len);
/* Measures each expression by itself over a sample, the slowest first; n_expressions of them. About
 * 20 ms each. -ENOMEM; -EINVAL: an empty sample. */
int patterns_measure(const struct patterns *patterns, const char *sample, size_t len,
    const struct patterns_options *options, struct patterns_cost *ret_costs);
/* The same as a table of the slowest to `to` and as JSON; both may be NULL. */
int patterns_cost_report(const struct patterns *patterns, const char *sample, size_t len,
    unsigned most, json_t **ret_json, FILE *to);

#endif
