/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns to an IMAGE_PATTERNS part (compile_patterns.h). The cache on disk: patterns_cache.c. */
#include "compile_patterns.h"

#include "compile.h"
#include "compile_patterns_hs.h"
#include "filters/pattern_layout.h"
#include "patterns_cache.h"

#include <ctype.h>
#include <errno.h>
#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const patterns_platform_words[PATTERNS_N_PLATFORMS] = { "native", "sse", "avx2",
	"avx512" };

/* A literal in full: 4 bytes for each and two word boundaries. */
enum { SOURCE_MAX = 4 * PATTERN_MAX_EXPRESSION + 16 };

/* ---- one expression as Hyperscan wants it ---- */

static unsigned flags_of(const struct patterns_expression *e)
{
	unsigned flags = HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY;

	if (e->flags & PATTERN_CASELESS)
		flags |= HS_FLAG_CASELESS;
	if (e->flags & PATTERN_DOTALL)
		flags |= HS_FLAG_DOTALL;
	if (e->flags & PATTERN_MULTILINE)
		flags |= HS_FLAG_MULTILINE;
	if (e->flags & PATTERN_CONFIRM)
		flags |= HS_FLAG_PREFILTER;
	return flags;
}

static bool word_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* buf: SOURCE_MAX. Literals escape every byte that could mean something. */
static void source_of(const struct patterns_expression *e, char *buf)
{
	size_t k = 0;

	if (!(e->flags & PATTERN_LITERAL)) {
		snprintf(
		    buf, SOURCE_MAX, "%s%s", e->flags & PATTERN_EXTENDED ? "(?x)" : "", e->source);
		return;
	}
	if (e->flags & PATTERN_WORD && word_byte(e->source[0]))
		k += (size_t)snprintf(buf, SOURCE_MAX, "\\b");
	for (size_t i = 0; i < e->len; i++) {
		if (word_byte(e->source[i]))
			buf[k++] = e->source[i];
		else
			k += (size_t)snprintf(
			    buf + k, SOURCE_MAX - k, "\\x%02x", (unsigned char)e->source[i]);
	}
	buf[k] = '\0';
	if (e->flags & PATTERN_WORD && word_byte(e->source[e->len - 1]))
		snprintf(buf + k, SOURCE_MAX - k, "\\b");
}

static unsigned mode_of(uint8_t zone)
{
	return pattern_zone_streams(zone) ? HS_MODE_STREAM : HS_MODE_BLOCK;
}

hs_database_t *patterns_database(const struct patterns_expression *e, hs_compile_error_t **ret_error)
{
	char source[SOURCE_MAX];
	hs_database_t *db = NULL;

	source_of(e, source);
	if (hs_compile(source, flags_of(e), mode_of(e->zone), NULL, &db, ret_error) != HS_SUCCESS)
		return NULL;
	return db;
}

int patterns_try(const struct patterns_expression *e, char *why, size_t room)
{
	hs_compile_error_t *error = NULL;
	hs_database_t *db = patterns_database(e, &error);

	if (!db)
		snprintf(why, room, "%s", error ? error->message : "Hyperscan refuses it");
	hs_free_compile_error(error);
	hs_free_database(db);
	return db ? 0 : -EINVAL;
}

/* ---- groups: what shares a database ---- */

struct group {
	uint8_t zone;
	const char *header;
	uint32_t first, n; /* in order[] */
	char *bytes;       /* serialised */
	size_t len;
};

struct compiling {
	const struct patterns *p;
	const struct patterns_options *options;
	struct complaints *complaints;
	hs_platform_info_t platform;
	uint32_t *order; /* expressions by group, then as written */
	uint32_t n;
	struct group groups[PATTERN_MAX_DATABASES];
	unsigned n_groups;
	struct patterns_report report;
};

static int compare(const void *a, const void *b, void *arg)
{
	const struct patterns *p = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	const struct patterns_expression *x = &p->expressions[i], *y = &p->expressions[k];
	int by_header;

	if (x->zone != y->zone)
		return x->zone < y->zone ? -1 : 1;
	by_header = strcmp(x->header, y->header);
	if (by_header)
		return by_header;
	return i < k ? -1 : i > k;
}

static void refuse(struct compiling *c, const struct patterns_expression *e, const char *why)
{
	complain(c->complaints, e->file, (struct position){ e->line, 1 },
	    "pattern %s: Hyperscan: %s%s", c->p->rules[e->rule].name, why,
	    e->flags & PATTERN_CONFIRM ? "" : " (the option confirm may help)");
	c->report.refused++;
}

/* What can be seen without compiling is seen first: a failed group of hundreds costs seconds. */
static bool seems_good(struct compiling *c, const struct patterns_expression *e)
{
	char source[SOURCE_MAX];
	hs_compile_error_t *error = NULL;
	hs_expr_info_t *info = NULL;
	bool good;

	source_of(e, source);
	good = hs_expression_info(source, flags_of(e), &info, &error) == HS_SUCCESS;
	if (!good)
		refuse(c, e, error ? error->message : "refused");
	hs_free_compile_error(error);
	free(info);
	return good;
}

static int group(struct compiling *c)
{
	const struct patterns *p = c->p;

	c->order = malloc((p->n_expressions + 1u) * sizeof(*c->order));
	if (!c->order)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_expressions; i++)
		c->order[c->n++] = i;
	qsort_r(c->order, c->n, sizeof(*c->order), compare, (void *)(uintptr_t)p);
	for (uint32_t i = 0; i < c->n; i++) {
		const struct patterns_expression *e = &p->expressions[c->order[i]];
		struct group *g = c->n_groups ? &c->groups[c->n_groups - 1] : NULL;

		if (!g || g->zone != e->zone || strcmp(g->header, e->header) != 0) {
			if (c->n_groups == PATTERN_MAX_DATABASES) {
				complain(c->complaints, e->file, (struct position){ e->line, 1 },
				    "expressions on more than %d header names", PATTERN_MAX_HEADERS);
				return -E2BIG;
			}
			g = &c->groups[c->n_groups++];
			*g = (struct group){ .zone = e->zone, .header = e->header, .first = i };
		}
		g->n++;
	}
	return 0;
}

/* ---- databases ---- */

static void key_of(struct compiling *c, const struct group *g, uint8_t ret_key[IMAGE_HASH_LEN])
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f) {
		fprintf(f, "%s\n%u %llu %u\n", hs_version(), c->platform.tune,
		    c->platform.cpu_features, mode_of(g->zone));
		for (uint32_t i = 0; i < g->n; i++) {
			const struct patterns_expression *e =
			    &c->p->expressions[c->order[g->first + i]];
			fprintf(f, "%u %zu ", e->flags, e->len);
			fwrite(e->source, 1, e->len, f);
			fputc('\n', f);
		}
		fclose(f);
	}
	image_sha256(text ? text : "", len, ret_key);
	free(text);
}

/* Drops the i-th expression of the group. */
static void drop(struct compiling *c, struct group *g, uint32_t i)
{
	uint32_t at = g->first + i;

	memmove(&c->order[at], &c->order[at + 1], (c->n - at - 1) * sizeof(*c->order));
	c->n--;
	g->n--;
	for (struct group *later = g + 1; later < c->groups + c->n_groups; later++)
		later->first--;
}

static int compile_group(struct compiling *c, struct group *g)
{
	char **sources = calloc(g->n, sizeof(*sources));
	unsigned *flags = calloc(g->n, sizeof(*flags)), *ids = calloc(g->n, sizeof(*ids));
	hs_database_t *db = NULL;
	uint32_t n = g->n;
	int r = -ENOMEM;

	if (!sources || !flags || !ids)
		goto out;
	for (uint32_t i = 0; i < n; i++) {
		const struct patterns_expression *e = &c->p->expressions[c->order[g->first + i]];
		char source[SOURCE_MAX];

		source_of(e, source);
		sources[i] = strdup(source);
		flags[i] = flags_of(e);
		ids[i] = i;
		if (!sources[i])
			goto out;
	}
	while (g->n > 0) {
		hs_compile_error_t *error = NULL;
		hs_error_t e = hs_compile_multi((const char *const *)sources, flags, ids, g->n,
		    mode_of(g->zone), &c->platform, &db, &error);
		int at = error ? error->expression : -1;

		if (e == HS_SUCCESS)
			break;
		if (at < 0 || (uint32_t)at >= g->n) { /* no expression of its own is at fault */
			complain(c->complaints, "patterns", (struct position){ 0 },
			    "Hyperscan, zone %s%s: %s", pattern_zone_words[g->zone], g->header,
			    error ? error->message : "no memory");
			hs_free_compile_error(error);
			r = -EINVAL;
			goto out;
		}
		refuse(c, &c->p->expressions[c->order[g->first + (uint32_t)at]], error->message);
		hs_free_compile_error(error);
		drop(c, g, (uint32_t)at);
		free(sources[at]);
		memmove(&sources[at], &sources[at + 1], (g->n - (uint32_t)at) * sizeof(*sources));
		memmove(&flags[at], &flags[at + 1], (g->n - (uint32_t)at) * sizeof(*flags));
		sources[g->n] = NULL;
	}
	r = 0;
	if (db && hs_serialize_database(db, &g->bytes, &g->len) != HS_SUCCESS)
		r = -ENOMEM;
out:
	hs_free_database(db);
	for (uint32_t i = 0; sources && i < n; i++)
		free(sources[i]);
	free(sources);
	free(flags);
	free(ids);
	return r;
}

static bool cached(struct compiling *c, struct group *g)
{
	const char *cache = c->options ? c->options->cache : NULL;
	uint8_t key[IMAGE_HASH_LEN];

	key_of(c, g, key);
	if (!cache || g->n == 0 || patterns_cache_get(cache, key, &g->bytes, &g->len) < 0)
		return false;
	c->report.from_cache++;
	return true;
}

/* What is in the cache was seen to be good: to look at a thousand expressions takes half a second,
 * and an emergency waits for it. The others are looked at in the order written, and the bad ones
 * dropped. */
static int weed(struct compiling *c)
{
	uint8_t *state = calloc(c->p->n_expressions + 1u, 1);
	enum { KNOWN, UNKNOWN, BAD };

	if (!state)
		return -ENOMEM;
	for (unsigned i = 0; i < c->n_groups; i++) {
		struct group *g = &c->groups[i];

		if (cached(c, g))
			continue;
		for (uint32_t k = 0; k < g->n; k++)
			state[c->order[g->first + k]] = UNKNOWN;
	}
	for (uint32_t i = 0; i < c->p->n_expressions; i++)
		if (state[i] == UNKNOWN && !seems_good(c, &c->p->expressions[i]))
			state[i] = BAD;
	for (unsigned i = 0; i < c->n_groups; i++) {
		struct group *g = &c->groups[i];
		uint32_t before = g->n;

		for (uint32_t k = 0; k < g->n;) {
			if (state[c->order[g->first + k]] == BAD)
				drop(c, g, k);
			else
				k++;
		}
		if (g->n < before)
			cached(c, g);
	}
	free(state);
	return 0;
}

static int build_group(struct compiling *c, struct group *g, unsigned done)
{
	const char *cache = c->options ? c->options->cache : NULL;
	uint8_t key[IMAGE_HASH_LEN];
	size_t size = 0;
	int r = 0;

	if (!g->bytes) {
		r = compile_group(c, g);
		if (r == 0 && cache && g->n > 0) {
			key_of(c, g, key); /* of what was not refused */
			patterns_cache_put(cache, key, g->bytes, g->len);
		}
	}
	if (r < 0)
		return r;
	if (g->n > 0)
		c->report.databases++;
	if (pattern_zone_streams(g->zone) && g->bytes &&
	    hs_serialized_database_size(g->bytes, g->len, &size) == HS_SUCCESS) {
		hs_database_t *db = NULL;

		if (hs_deserialize_database(g->bytes, g->len, &db) == HS_SUCCESS &&
		    hs_stream_size(db, &size) == HS_SUCCESS)
			c->report.stream_bytes += size;
		hs_free_database(db);
	}
	if (c->options && c->options->progress) {
		char what[PATTERN_MAX_EXPRESSION + 32];

		snprintf(what, sizeof(what), "%s%s", pattern_zone_words[g->zone], g->header);
		c->options->progress(c->options->arg, done, c->n_groups, what);
	}
	return 0;
}

/* ---- the part ---- */

struct strings {
	char *text;
	size_t len;
	FILE *f;
};

static uint32_t string(struct strings *s, const char *text)
{
	long at = ftell(s->f);

	if (*text == '\0' || at < 0)
		return 0;
	fwrite(text, 1, strlen(text) + 1, s->f);
	return (uint32_t)at;
}

static uint64_t aligned(uint64_t n)
{
	return (n + PATTERN_ALIGN - 1) & ~(uint64_t)(PATTERN_ALIGN - 1);
}

static void fill_rules(struct compiling *c, struct pattern_rule_row *rules,
    struct pattern_code *code, struct strings *s)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < c->p->n_rules; i++) {
		const struct patterns_rule *r = &c->p->rules[i];

		rules[i] = (struct pattern_rule_row){ .name = string(s, r->name),
			.weight = r->weight,
			.action = r->action,
			.first_code = at,
			.n_code = r->n_code,
			.flags =
			    (uint8_t)((r->meta ? PATTERN_RULE_META : 0) |
				      (r->weight == 0 && r->action == 0 ? PATTERN_RULE_TERM : 0)) };
		memcpy(code + at, r->code ? r->code : code, r->n_code * sizeof(*code));
		at += r->n_code;
	}
}

static void fill_expressions(
    struct compiling *c, struct pattern_expression_row *rows, struct strings *s)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct patterns_expression *e = &c->p->expressions[c->order[i]];

		rows[i] = (struct pattern_expression_row){ .header = string(s, e->header),
			.source = e->flags & PATTERN_CONFIRM ? string(s, e->source) : 0,
			.line = e->line,
			.rule = (uint16_t)e->rule,
			.zone = e->zone,
			.flags = e->flags };
		if (e->flags & PATTERN_CONFIRM)
			c->report.confirm++;
		else
			c->report.compiled++;
	}
}

static int assemble(struct compiling *c, void **ret_part, size_t *ret_len)
{
	struct pattern_rule_row *rules = calloc(c->p->n_rules + 1u, sizeof(*rules));
	struct pattern_expression_row *expressions = calloc(c->n + 1u, sizeof(*expressions));
	struct pattern_database_row databases[PATTERN_MAX_DATABASES];
	struct pattern_header h = { .magic = PATTERN_MAGIC,
		.layout = PATTERN_LAYOUT,
		.size = sizeof(h),
		.n_rules = c->p->n_rules,
		.n_expressions = c->n };
	struct pattern_code *code = NULL;
	struct strings s = { 0 };
	char *part = NULL;
	uint64_t end;
	int r = -ENOMEM;

	memset(databases, 0, sizeof(databases));
	for (uint32_t i = 0; i < c->p->n_rules; i++)
		h.n_code += c->p->rules[i].n_code;
	if (h.n_code > PATTERN_MAX_CODE) {
		r = -E2BIG;
		goto out;
	}
	code = calloc(h.n_code + 1u, sizeof(*code));
	s.f = open_memstream(&s.text, &s.len);
	if (!rules || !expressions || !code || !s.f)
		goto out;
	fputc('\0', s.f);
	fill_rules(c, rules, code, &s);
	fill_expressions(c, expressions, &s);
	for (unsigned i = 0; i < c->n_groups; i++) {
		const struct group *g = &c->groups[i];

		if (g->n > 0)
			databases[h.n_databases++] = (struct pattern_database_row){ g->zone,
				string(&s, g->header), g->first, g->n, i, g->len };
	}
	r = fclose(s.f) == 0 ? 0 : -ENOMEM;
	s.f = NULL;
	if (r < 0)
		goto out;

	h.rules_off = aligned(sizeof(h));
	h.expressions_off = aligned(h.rules_off + h.n_rules * sizeof(*rules));
	h.databases_off = aligned(h.expressions_off + h.n_expressions * sizeof(*expressions));
	h.code_off = aligned(h.databases_off + h.n_databases * sizeof(*databases));
	h.strings_off = aligned(h.code_off + h.n_code * sizeof(*code));
	h.strings_len = s.len;
	end = h.strings_off + s.len;
	for (unsigned i = 0; i < h.n_databases; i++) {
		end = aligned(end);
		end += databases[i].len;
	}
	h.len = aligned(end);
	part = aligned_alloc(PATTERN_ALIGN, h.len);
	if (!part) {
		r = -ENOMEM;
		goto out;
	}
	memset(part, 0, h.len);
	end = h.strings_off + s.len;
	for (unsigned i = 0; i < h.n_databases; i++) {
		const char *bytes = c->groups[databases[i].off].bytes;

		databases[i].off = end = aligned(end);
		memcpy(part + end, bytes, databases[i].len);
		end += databases[i].len;
	}
	memcpy(part, &h, sizeof(h));
	memcpy(part + h.rules_off, rules, h.n_rules * sizeof(*rules));
	memcpy(part + h.expressions_off, expressions, h.n_expressions * sizeof(*expressions));
	memcpy(part + h.databases_off, databases, h.n_databases * sizeof(*databases));
	memcpy(part + h.code_off, code, h.n_code * sizeof(*code));
	memcpy(part + h.strings_off, s.text, s.len);
	*ret_part = part;
	*ret_len = h.len;
out:
	if (s.f)
		fclose(s.f);
	free(s.text);
	free(code);
	free(expressions);
	free(rules);
	return r;
}

int patterns_compile(const struct patterns *p, const struct patterns_options *options,
    struct complaints *complaints, void **ret_part, size_t *ret_len,
    struct patterns_report *ret_report)
{
	struct compiling *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->p = p;
	c->options = options;
	c->complaints = complaints;
	switch (options ? options->platform : PATTERNS_NATIVE) {
	case PATTERNS_SSE: break;
	case PATTERNS_AVX2: c->platform.cpu_features = HS_CPU_FEATURES_AVX2; break;
	case PATTERNS_AVX512:
		c->platform.cpu_features = HS_CPU_FEATURES_AVX2 | HS_CPU_FEATURES_AVX512;
		break;
	default:
		if (hs_populate_platform(&c->platform) != HS_SUCCESS) {
			complain(complaints, "patterns", (struct position){ 0 },
			    "Hyperscan: this CPU lacks SSSE3");
			r = -EINVAL;
			goto out;
		}
	}
	r = group(c);
	if (r == 0)
		r = weed(c);
	for (unsigned i = 0; r == 0 && i < c->n_groups; i++)
		r = build_group(c, &c->groups[i], i + 1);
	if (r == 0)
		r = assemble(c, ret_part, ret_len);
	if (r == 0) {
		c->report.bytes = *ret_len;
		*ret_report = c->report;
	}
	if (options && options->cache)
		patterns_cache_trim(options->cache);
out:
	for (unsigned i = 0; i < c->n_groups; i++)
		free(c->groups[i].bytes);
	free(c->order);
	free(c);
	return r;
}
