/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each expression costs (compile_patterns.h): compiled alone and scanned alone over a sample.
 * Measured on 1,367 expressions, the cost alone predicts the cost together: those without a literal
 * of three bytes are most of it. (Rejected: to leave each out of the whole in turn; that is the
 * same question at a thousand times the work.)
 */
#include "compile_patterns.h"
#include "compile_patterns_hs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WRITE = 1460, PASSES = 3, SAMPLE = 64 * 1024 };

char *patterns_sample(size_t *ret_len)
{
	static const char *const syllables[] = { "the", "in", "er", "on", "re", "an", "ti", "es",
		"or", "te", "al", "is", "ar", "en", "ed", "to", "it", "ou", "ea", "hi", "fr", "sh",
		"cl", "pro", "com", "ing", "ver", "ly", "ment", "able", "st", "wi", "no", "ma" };
	char *text = malloc(SAMPLE + 64);
	unsigned seed = 1;
	size_t n = 0, line = 0;

	while (text && n < SAMPLE) {
		size_t was = n;

		for (unsigned k = 1 + (unsigned)rand_r(&seed) % 3; k > 0; k--)
			n += (size_t)snprintf(text + n, 8, "%s",
			    syllables[(unsigned)rand_r(&seed) %
				      (sizeof(syllables) / sizeof(*syllables))]);
		switch ((unsigned)rand_r(&seed) % 40) {
		case 0: n += (size_t)snprintf(text + n, 16, ". "); break;
		case 1:
			n += (size_t)snprintf(text + n, 16, " %u ", (unsigned)rand_r(&seed) % 10000);
			break;
		case 2: n += (size_t)snprintf(text + n, 32, " http://www.example.org/a?b="); break;
		case 3: n += (size_t)snprintf(text + n, 16, "<br>"); break;
		case 4: n += (size_t)snprintf(text + n, 16, "@example.net, "); break;
		default: text[n++] = ' '; break;
		}
		line += n - was;
		if (line > 70) {
			n += (size_t)snprintf(text + n, 4, "\r\n");
			line = 0;
		}
	}
	*ret_len = text ? n : 0;
	return text;
}

static int on_match(
    unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	(void)id, (void)from, (void)to, (void)flags;
	++*(unsigned long *)arg;
	return 0;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* In writes as from the network, or line by line, as the zone has it. */
static bool pass(const hs_database_t *db, hs_stream_t *stream, hs_scratch_t *scratch,
    const char *sample, size_t len, unsigned long *matches)
{
	bool good = true;

	for (size_t i = 0; i < len && good;) {
		size_t n = len - i;

		if (stream) {
			n = n < WRITE ? n : WRITE;
			good = hs_scan_stream(stream, sample + i, (unsigned)n, 0, scratch, on_match,
				   matches) == HS_SUCCESS;
		} else {
			const char *lf = memchr(sample + i, '\n', n);

			n = lf ? (size_t)(lf - sample) - i + 1 : n;
			good = hs_scan(db, sample + i, (unsigned)n, 0, scratch, on_match,
				   matches) == HS_SUCCESS;
		}
		i += n;
	}
	if (stream && good)
		good = hs_reset_stream(stream, 0, scratch, on_match, matches) == HS_SUCCESS;
	return good;
}

static int measure(
    const struct patterns_expression *e, const char *sample, size_t len, struct patterns_cost *cost)
{
	hs_compile_error_t *error = NULL;
	hs_scratch_t *scratch = NULL;
	hs_stream_t *stream = NULL;
	hs_database_t *db = patterns_database(e, &error);
	int r = -ENOMEM;

	hs_free_compile_error(error);
	if (!db) {
		cost->ns_per_kib = -1;
		return 0;
	}
	if (hs_alloc_scratch(db, &scratch) != HS_SUCCESS ||
	    (pattern_zone_streams(e->zone) && hs_open_stream(db, 0, &stream) != HS_SUCCESS))
		goto out;
	for (unsigned i = 0; i <= PASSES; i++) { /* the first one warms up */
		double before = now_ns(), took;

		cost->matches = 0;
		if (!pass(db, stream, scratch, sample, len, &cost->matches))
			goto out;
		took = (now_ns() - before) / ((double)len / 1024);
		if (i > 0 && (i == 1 || took < cost->ns_per_kib))
			cost->ns_per_kib = took;
	}
	r = 0;
out:
	if (stream)
		hs_close_stream(stream, NULL, NULL, NULL);
	hs_free_scratch(scratch);
	hs_free_database(db);
	return r;
}

static int slower(const void *a, const void *b)
{
	const struct patterns_cost *x = a, *y = b;

	return x->ns_per_kib < y->ns_per_kib ? 1 : x->ns_per_kib > y->ns_per_kib ? -1 : 0;
}

int patterns_measure(const struct patterns *p, const char *sample, size_t len,
    const struct patterns_options *options, struct patterns_cost *ret_costs)
{
	if (len == 0)
		return -EINVAL;
	for (unsigned i = 0; i < p->n_expressions; i++) {
		int r;

		ret_costs[i] = (struct patterns_cost){ .expression = i };
		r = measure(&p->expressions[i], sample, len, &ret_costs[i]);
		if (r < 0)
			return r;
		if (options && options->progress)
			options->progress(options->arg, i + 1, p->n_expressions, "measured");
	}
	qsort(ret_costs, p->n_expressions, sizeof(*ret_costs), slower);
	return 0;
}

int patterns_cost_report(const struct patterns *p, const char *sample, size_t len, unsigned most,
    json_t **ret_json, FILE *to)
{
	struct patterns_cost *costs = calloc(p->n_expressions + 1u, sizeof(*costs));
	json_t *list = json_array();
	double sum = 0, so_far = 0;
	int r = -ENOMEM;

	if (!costs || !list)
		goto out;
	r = patterns_measure(p, sample, len, NULL, costs);
	if (r < 0)
		goto out;
	for (unsigned i = 0; i < p->n_expressions; i++)
		sum += costs[i].ns_per_kib > 0 ? costs[i].ns_per_kib : 0;
	if (to)
		fprintf(to, "%10s %6s %6s  %-20s %s\n", "ns per KiB", "share", "sum", "name",
		    "expression");
	for (unsigned i = 0; i < p->n_expressions && i < most && costs[i].ns_per_kib >= 0; i++) {
		const struct patterns_expression *e = &p->expressions[costs[i].expression];
		const char *name = p->rules[e->rule].name;
		double share = sum > 0 ? 100 * costs[i].ns_per_kib / sum : 0;

		so_far += share;
		if (to)
			fprintf(to, "%10.0f %5.1f%% %5.1f%%  %-20s %s%s:%.60s (%s:%u)\n",
			    costs[i].ns_per_kib, share, so_far, name, pattern_zone_words[e->zone],
			    e->header, e->source, e->file, e->line);
		json_array_append_new(list,
		    json_pack("{s:s, s:s, s:I, s:f, s:f}", "name", name, "file", e->file, "line",
			(json_int_t)e->line, "ns_per_kib", costs[i].ns_per_kib, "percent", share));
	}
	if (ret_json) {
		*ret_json = json_pack("{s:O, s:I, s:f}", "slowest", list, "expressions",
		    (json_int_t)p->n_expressions, "ns_per_kib", sum);
		r = *ret_json ? 0 : -ENOMEM;
	}
out:
	json_decref(list);
	free(costs);
	return r;
}
