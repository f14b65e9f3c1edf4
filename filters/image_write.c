/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image writer: collects, then lays the parts out. Strings are stored once each; domains are
 * sorted; address entries are kept as sortable words, 8 bytes for IPv4, so that ten million cost
 * 80 MB while the image is built. References are not judged here: policy_open() on the result
 * judges them, with the same code the dataplane uses.
 */
#include "image_write_private.h"

#include "domains.h"
#include "relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *image_array_add(struct array *a, size_t size, size_t n)
{
	if (a->cap - a->n < n) {
		size_t cap = a->cap ? a->cap * 2 : 16;
		void *p;

		while (cap - a->n < n)
			cap *= 2;
		p = realloc(a->p, cap * size);
		if (!p)
			return NULL;
		a->p = p;
		a->cap = cap;
	}
	a->n += n;
	return (char *)a->p + (a->n - n) * size;
}

static int add_checks(struct image_writer *w)
{
	static const struct {
		const char *name;
		struct policy_rule rule;
	} rows[CHECK_N] = {
#define POLICY_CHECK(name, judge, phases, reason, weight, action, state, doc)                      \
	[CHECK_##                                                                                  \
	    name] = { "checks." #name, { 0, weight, REASON_##reason, 0, RULE_CHECK,                \
					   VERDICT_##action, RULE_##state, 0, CHECK_##name } },
#include "checks.def"
#undef POLICY_CHECK
	};

	for (unsigned i = 0; i < CHECK_N; i++) {
		struct policy_rule rule = rows[i].rule;

		if (image_writer_string(w, rows[i].name, &rule.name) < 0 ||
		    image_writer_rule(w, &rule) < 0)
			return -ENOMEM;
	}
	return 0;
}

struct image_writer *image_writer_new(void)
{
	struct image_writer *w = calloc(1, sizeof(*w));
	policy_str empty;

	if (!w)
		return NULL;
	if (image_writer_string(w, "", &empty) < 0 || add_checks(w) < 0)
		return image_writer_free(w);
	relay_defaults(&w->settings.relay);
	w->settings.dns.forwarders = DNS_NO_SET;
	w->settings.score = (struct policy_score){ INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX };
	return w;
}

struct image_writer *image_writer_free(struct image_writer *w)
{
	if (!w)
		return NULL;
	for (unsigned i = 0; i < IMAGE_N_KINDS; i++)
		free(w->made[i]);
	free(w->strings.p);
	free(w->string_slots);
	free(w->servers.p);
	free(w->pools.p);
	free(w->lists.p);
	free(w->rules.p);
	free(w->names.p);
	free(w->access.p);
	free(w->domains.p);
	free(w->v4.p);
	free(w->v6.p);
	free(w);
	return NULL;
}

struct policy_settings *image_writer_settings(struct image_writer *w)
{
	return &w->settings;
}

/* ---- strings ---- */

static uint64_t string_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	return h ^ h >> 29;
}

static uint32_t *string_slot(const struct image_writer *w, const char *s)
{
	size_t i = string_hash(s) & (w->n_string_slots - 1);

	while (w->string_slots[i] &&
	       strcmp((const char *)w->strings.p + w->string_slots[i] - 1, s) != 0)
		i = (i + 1) & (w->n_string_slots - 1);
	return &w->string_slots[i];
}

static int string_slots_grow(struct image_writer *w)
{
	size_t n_old = w->n_string_slots;
	uint32_t *old = w->string_slots;
	uint32_t *slots = calloc(n_old ? n_old * 2 : 64, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	w->string_slots = slots;
	w->n_string_slots = n_old ? n_old * 2 : 64;
	for (size_t i = 0; i < n_old; i++)
		if (old[i])
			*string_slot(w, (const char *)w->strings.p + old[i] - 1) = old[i];
	free(old);
	return 0;
}

int image_writer_string(struct image_writer *w, const char *s, policy_str *ret_str)
{
	size_t size = strlen(s) + 1;
	uint32_t *slot;
	char *p;

	if (w->n_strings * 2 >= w->n_string_slots && string_slots_grow(w) < 0)
		return -ENOMEM;
	slot = string_slot(w, s);
	if (*slot == 0) {
		if (w->strings.n + size > UINT32_MAX - 1)
			return -E2BIG;
		p = image_array_add(&w->strings, 1, size);
		if (!p)
			return -ENOMEM;
		memcpy(p, s, size);
		*slot = (uint32_t)(w->strings.n - size) + 1;
		w->n_strings++;
	}
	*ret_str = *slot - 1;
	return 0;
}

/* ---- rows ---- */

static int row_add(struct array *a, size_t size, size_t max, const void *row)
{
	void *p;

	if (a->n >= max)
		return -E2BIG;
	p = image_array_add(a, size, 1);
	if (!p)
		return -ENOMEM;
	memcpy(p, row, size);
	return (int)(a->n - 1);
}

int image_writer_server(struct image_writer *w, const struct policy_server *server)
{
	return row_add(&w->servers, sizeof(*server), POLICY_MAX_SERVERS, server);
}

int image_writer_pool(struct image_writer *w, const struct policy_pool *pool)
{
	return row_add(&w->pools, sizeof(*pool), POLICY_MAX_POOLS, pool);
}

int image_writer_list(struct image_writer *w, const struct policy_list *list)
{
	struct policy_rule rule = {
		.reason = list->reason,
		.kind = RULE_LIST,
		.action = list->verdict,
		.index = (uint32_t)w->lists.n,
	};
	struct policy_list row = *list;
	char name[300];
	int r;

	if (w->lists.n >= POLICY_MAX_LISTS)
		return -E2BIG;
	snprintf(name, sizeof(name), "lists.%s", (const char *)w->strings.p + list->name);
	r = image_writer_string(w, name, &rule.name);
	if (r < 0)
		return r;
	r = image_writer_rule(w, &rule);
	if (r < 0)
		return r;
	row.rule = (uint32_t)r;
	return row_add(&w->lists, sizeof(row), POLICY_MAX_LISTS, &row);
}

/* The number comes from the name (rules.h); where two meet, the later takes the next free one. */
int image_writer_rule(struct image_writer *w, const struct policy_rule *rule)
{
	struct policy_rule row = *rule;
	unsigned id = policy_rule_first_id((const char *)w->strings.p + rule->name);

	if (w->rules.n >= POLICY_MAX_RULES)
		return -E2BIG;
	while (w->ids_taken[id / 64] >> id % 64 & 1)
		id = policy_rule_next_id(id);
	w->ids_taken[id / 64] |= 1ull << id % 64;
	row.id = (uint16_t)id;
	return row_add(&w->rules, sizeof(row), POLICY_MAX_RULES, &row);
}

struct policy_rule *image_writer_rule_at(struct image_writer *w, unsigned index)
{
	return (struct policy_rule *)w->rules.p + index;
}

unsigned image_writer_rule_of_list(const struct image_writer *w, unsigned list)
{
	return ((const struct policy_list *)w->lists.p)[list].rule;
}

int image_writer_domain(struct image_writer *w, const char *name, enum policy_domain_kind kind,
    unsigned pool, unsigned tenant)
{
	struct policy_domain d = {
		.pool = (uint16_t)pool,
		.tenant = (uint16_t)tenant,
		.kind = (uint8_t)kind,
	};
	char lower[DOMAINS_MAX_LEN + 1];
	size_t len = strlen(name);
	int r;

	if (len == 0 || len > DOMAINS_MAX_LEN || pool > UINT16_MAX || tenant > UINT16_MAX)
		return -EINVAL;
	for (size_t i = 0; i <= len; i++)
		lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
	r = image_writer_string(w, lower, &d.name);
	if (r < 0)
		return r;
	return row_add(&w->domains, sizeof(d), POLICY_MAX_DOMAINS, &d);
}

int image_writer_access(struct image_writer *w, const struct policy_access *access)
{
	return row_add(&w->access, sizeof(*access), POLICY_MAX_ACCESS, access);
}

/* ---- sets of names ---- */

int image_writer_set(struct image_writer *w)
{
	return w->n_sets < NAMES_MAX_SETS ? (int)w->n_sets++ : -E2BIG;
}

int image_writer_name(
    struct image_writer *w, unsigned set, enum name_kind kind, const char *text, uint32_t expires_s)
{
	struct name_entry e = { .set = (uint16_t)set, .kind = (uint8_t)kind, .expires_s = expires_s };
	int r;

	if (set >= w->n_sets)
		return -EINVAL;
	if (kind == NAME_GLOB && w->n_globs == NAMES_MAX_GLOBS)
		return -E2BIG;
	r = image_writer_string(w, text, &e.text);
	if (r < 0)
		return r;
	w->n_globs += kind == NAME_GLOB;
	r = row_add(&w->names, sizeof(e), UINT32_MAX / 4, &e);
	return r < 0 ? r : 0;
}

int image_writer_greylist(struct image_writer *w)
{
	struct policy_grey *g = &w->settings.grey;
	const struct {
		const char *name;
		uint8_t action;
		uint16_t reason;
		uint32_t *rule, *set;
	} rows[] = {
		{ "greylist", VERDICT_GREY, REASON_GREYLISTED, &g->rule, &g->exempt },
		{ "greytrap", VERDICT_REFUSE, REASON_GREYTRAPPED, &g->rule_trapped, &g->greytraps },
		{ "spamtrap", VERDICT_REFUSE, REASON_SPAMTRAP, &g->rule_spamtrap, &g->spamtraps },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_rule rule = { .kind = RULE_GREY,
			.action = rows[i].action,
			.reason = rows[i].reason,
			.index = i };
		int r = image_writer_string(w, rows[i].name, &rule.name);

		if (r < 0)
			return r;
		r = image_writer_rule(w, &rule);
		if (r < 0)
			return r;
		*rows[i].rule = (uint32_t)r;
		r = image_writer_set(w);
		if (r < 0)
			return r;
		*rows[i].set = (uint32_t)r;
	}
	return 0;
}

/* ---- finish ---- */

static int compare_domains(const void *a, const void *b, void *strings)
{
	const struct policy_domain *x = a, *y = b;
	int r = strcmp((const char *)strings + x->name, (const char *)strings + y->name);

	return r ? r : (int)x->kind - (int)y->kind;
}

static int finish_domains(struct image_writer *w, size_t *ret_len)
{
	struct policy_domain *d = w->domains.p;

	qsort_r(d, w->domains.n, sizeof(*d), compare_domains, w->strings.p);
	for (size_t i = 1; i < w->domains.n; i++)
		if (d[i].name == d[i - 1].name && d[i].kind == d[i - 1].kind) {
			snprintf(w->error, sizeof(w->error), "domain %s is named twice",
			    (const char *)w->strings.p + d[i].name);
			return -EEXIST;
		}
	w->made[IMAGE_DOMAINS] = domains_build(d, (uint32_t)w->domains.n, w->strings.p, ret_len);
	return w->made[IMAGE_DOMAINS] ? 0 : -ENOMEM;
}

static uint32_t place(size_t *end, size_t size)
{
	uint32_t at = (uint32_t)*end;

	*end = (*end + size + 63) & ~(size_t)63;
	return at;
}

static int finish_settings(struct image_writer *w, size_t *ret_len)
{
	struct policy_settings *s = &w->settings;
	size_t end = 0;
	char *base;

	s->layout = POLICY_LAYOUT;
	s->size = sizeof(*s);
	s->n_servers = (uint32_t)w->servers.n;
	s->n_pools = (uint32_t)w->pools.n;
	s->n_domains = (uint32_t)w->domains.n;
	s->n_lists = (uint32_t)w->lists.n;
	s->n_rules = (uint32_t)w->rules.n;
	s->n_access = (uint32_t)w->access.n;
	place(&end, sizeof(*s));
	s->pools_off = place(&end, w->pools.n * sizeof(struct policy_pool));
	s->servers_off = place(&end, w->servers.n * sizeof(struct policy_server));
	s->lists_off = place(&end, w->lists.n * sizeof(struct policy_list));
	s->access_off = place(&end, w->access.n * sizeof(struct policy_access));
	s->rules_off = place(&end, w->rules.n * sizeof(struct policy_rule));
	s->domains_off = place(&end, w->domains.n * sizeof(struct policy_domain));
	base = aligned_alloc(IMAGE_ALIGN, end);
	if (!base)
		return -ENOMEM;
	memset(base, 0, end);
	memcpy(base, s, sizeof(*s));
	if (w->pools.n)
		memcpy(base + s->pools_off, w->pools.p, w->pools.n * sizeof(struct policy_pool));
	if (w->servers.n)
		memcpy(base + s->servers_off, w->servers.p,
		    w->servers.n * sizeof(struct policy_server));
	if (w->lists.n)
		memcpy(base + s->lists_off, w->lists.p, w->lists.n * sizeof(struct policy_list));
	if (w->access.n)
		memcpy(
		    base + s->access_off, w->access.p, w->access.n * sizeof(struct policy_access));
	memcpy(base + s->rules_off, w->rules.p, w->rules.n * sizeof(struct policy_rule));
	if (w->domains.n)
		memcpy(base + s->domains_off, w->domains.p,
		    w->domains.n * sizeof(struct policy_domain));
	w->made[IMAGE_SETTINGS] = base;
	*ret_len = end;
	return 0;
}

static int finish_strings(struct image_writer *w, size_t *ret_len)
{
	size_t len = (w->strings.n + 63) & ~(size_t)63;
	char *base = aligned_alloc(IMAGE_ALIGN, len);

	if (!base)
		return -ENOMEM;
	memset(base, 0, len);
	memcpy(base, w->strings.p, w->strings.n);
	w->made[IMAGE_STRINGS] = base;
	*ret_len = len;
	return 0;
}

int image_writer_patterns(struct image_writer *w, unsigned set, void *part, size_t len)
{
	unsigned kind = set == PATTERN_SET_FILES ? IMAGE_PATTERNS : IMAGE_PATTERNS_2;

	if (w->made[kind]) {
		free(part);
		return -EEXIST;
	}
	w->made[kind] = part;
	w->patterns_len[set] = len;
	return 0;
}

int image_writer_finish(struct image_writer *w, struct image_part ret_parts[IMAGE_MAX_PARTS],
    unsigned *ret_n_parts, const char **ret_error)
{
	size_t len[IMAGE_N_KINDS] = { [IMAGE_PATTERNS] = w->patterns_len[PATTERN_SET_FILES],
		[IMAGE_PATTERNS_2] = w->patterns_len[PATTERN_SET_EMERGENCY] };
	unsigned n = 0;
	int r;

	snprintf(w->error, sizeof(w->error), "no memory");
	r = w->domains.n ? finish_domains(w, &len[IMAGE_DOMAINS]) : 0; /* sorts them */
	if (r == 0)
		r = finish_settings(w, &len[IMAGE_SETTINGS]);
	if (r == 0 && w->names.n) {
		w->made[IMAGE_NAMES] = nameset_build(
		    w->names.p, (uint32_t)w->names.n, w->n_sets, w->strings.p, &len[IMAGE_NAMES]);
		r = w->made[IMAGE_NAMES] ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = finish_strings(w, &len[IMAGE_STRINGS]);
	if (r == 0 && w->v4.n + w->v6.n)
		r = image_write_addresses(w, &len[IMAGE_ADDRESSES]);
	if (r < 0) {
		*ret_error = w->error;
		return r;
	}
	for (uint32_t kind = 0; kind < IMAGE_N_KINDS; kind++)
		if (w->made[kind])
			ret_parts[n++] = (struct image_part){ kind, w->made[kind], len[kind] };
	*ret_n_parts = n;
	return 0;
}
