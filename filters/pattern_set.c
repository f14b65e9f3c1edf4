/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opens a pattern part: what could lead a reader outside is checked here, once. The serialised
 * databases carry Hyperscan's own checksum and platform; what they report when scanned is checked
 * at each match, since no check here can know it.
 */
#include "pattern_confirm.h"
#include "pattern_private.h"
#include "verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const pattern_zone_words[PATTERN_N_ZONES] = { "helo", "envelope", "header",
	"header:", "body", "text", "url", "uri" };

struct pattern_opening {
	struct pattern_set *set;
	const char *base;
	size_t len;
	const char *error;
};

static bool fail(struct pattern_opening *o, const char *error)
{
	o->error = error;
	return false;
}

static bool inside(
    const struct pattern_opening *o, uint64_t off, uint64_t n, size_t size, size_t align)
{
	return off % align == 0 && off <= o->len && n <= (o->len - off) / size;
}

static bool open_frame(struct pattern_opening *o)
{
	const struct pattern_header *h = (const void *)o->base;
	struct pattern_set *s = o->set;

	if (!o->base || (uintptr_t)o->base % PATTERN_ALIGN != 0 || o->len < sizeof(*h))
		return fail(o, "patterns: cut short or not aligned");
	if (h->magic != PATTERN_MAGIC || h->layout != PATTERN_LAYOUT || h->size != sizeof(*h))
		return fail(o, "patterns: another layout than this version's; compile them again");
	if (h->len != o->len)
		return fail(o, "patterns: not as long as they say");
	if (h->n_rules > PATTERN_MAX_RULES || h->n_expressions > PATTERN_MAX_EXPRESSIONS ||
	    h->n_databases > PATTERN_MAX_DATABASES || h->n_code > PATTERN_MAX_CODE)
		return fail(o, "patterns: more rows of one kind than there is room for");
	if (!inside(o, h->rules_off, h->n_rules, sizeof(*s->rules),
		_Alignof(struct pattern_rule_row)) ||
	    !inside(o, h->expressions_off, h->n_expressions, sizeof(*s->expressions),
		_Alignof(struct pattern_expression_row)) ||
	    !inside(o, h->databases_off, h->n_databases, sizeof(*s->databases),
		_Alignof(struct pattern_database_row)) ||
	    !inside(o, h->code_off, h->n_code, sizeof(*s->code), _Alignof(struct pattern_code)) ||
	    !inside(o, h->strings_off, h->strings_len, 1, 1))
		return fail(o, "patterns: an array lies outside");
	s->header = h;
	s->rules = (const void *)(o->base + h->rules_off);
	s->expressions = (const void *)(o->base + h->expressions_off);
	s->databases = (const void *)(o->base + h->databases_off);
	s->code = (const void *)(o->base + h->code_off);
	s->strings = o->base + h->strings_off;
	s->n_words = (h->n_rules + 63) / 64;
	if (h->strings_len == 0 || h->strings_len > UINT32_MAX || s->strings[0] != 0 ||
	    s->strings[h->strings_len - 1] != 0)
		return fail(o, "patterns: the strings are not terminated");
	return true;
}

static bool action_known(uint8_t action)
{
	return action == VERDICT_NONE || (action >= VERDICT_MARK && action <= VERDICT_TARPIT);
}

static bool open_rows(struct pattern_opening *o)
{
	struct pattern_set *s = o->set;
	const struct pattern_header *h = s->header;

	for (uint32_t i = 0; i < h->n_rules; i++) {
		const struct pattern_rule_row *r = &s->rules[i];

		if (r->name >= h->strings_len || !action_known(r->action))
			return fail(o, "patterns: a rule is out of range");
		if (!(r->flags & PATTERN_RULE_META))
			continue;
		s->has_metas = true;
		if (r->n_code > h->n_code || r->first_code > h->n_code - r->n_code ||
		    !pattern_code_sound(s->code + r->first_code, r->n_code, i))
			return fail(o, "patterns: a meta is not sound");
	}
	for (uint32_t i = 0; i < h->n_expressions; i++) {
		const struct pattern_expression_row *e = &s->expressions[i];

		if (e->header >= h->strings_len || e->source >= h->strings_len ||
		    e->rule >= h->n_rules || e->zone >= PATTERN_N_ZONES)
			return fail(o, "patterns: an expression is out of range");
		if ((e->zone != PATTERN_HELO && e->zone != PATTERN_ENVELOPE) ||
		    e->flags & PATTERN_CONFIRM)
			pattern_bit_set(s->message_rules, e->rule);
	}
	return true;
}

static uint32_t name_hash(const uint8_t *name, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = name[i];

		h = (h ^ (c >= 'A' && c <= 'Z' ? c | 0x20u : c)) * 16777619u;
	}
	return h ^ h >> 16;
}

const struct pattern_base *pattern_field_base(
    const struct pattern_set *s, const uint8_t *name, size_t len)
{
	uint32_t slot = name_hash(name, len) & (PATTERN_HEADER_SLOTS - 1);

	for (; s->field_slots[slot]; slot = (slot + 1) & (PATTERN_HEADER_SLOTS - 1)) {
		unsigned i = s->field_slots[slot] - 1u;
		const char *known = s->field_names[i];
		size_t k = 0;

		while (
		    k < len && known[k] &&
		    (name[k] | (name[k] >= 'A' && name[k] <= 'Z' ? 0x20 : 0)) == (uint8_t)known[k])
			k++;
		if (k == len && known[k] == 0)
			return &s->fields[i];
	}
	return NULL;
}

static bool open_field(struct pattern_opening *o, const char *name, struct pattern_base base)
{
	struct pattern_set *s = o->set;
	uint32_t slot = name_hash((const uint8_t *)name, strlen(name)) & (PATTERN_HEADER_SLOTS - 1);

	if (s->n_fields == PATTERN_MAX_HEADERS ||
	    pattern_field_base(s, (const uint8_t *)name, strlen(name)))
		return fail(o, "patterns: a header name has two databases, or there are too many");
	while (s->field_slots[slot])
		slot = (slot + 1) & (PATTERN_HEADER_SLOTS - 1);
	s->fields[s->n_fields] = base;
	s->field_names[s->n_fields] = name;
	s->field_slots[slot] = (uint16_t)++s->n_fields;
	return true;
}

/* Copied first: Hyperscan reads a serialised database by aligned words, from malloc'ed memory. */
static bool open_databases(struct pattern_opening *o)
{
	struct pattern_set *s = o->set;
	const struct pattern_header *h = s->header;

	for (uint32_t i = 0; i < h->n_databases; i++) {
		const struct pattern_database_row *d = &s->databases[i];
		struct pattern_base base = { NULL, d->first_expression, d->n_expressions };
		hs_error_t e;
		size_t size;

		if (d->zone >= PATTERN_N_ZONES || d->header >= h->strings_len ||
		    d->n_expressions > h->n_expressions ||
		    d->first_expression > h->n_expressions - d->n_expressions ||
		    !inside(o, d->off, d->len, 1, PATTERN_ALIGN))
			return fail(o, "patterns: a database is out of range");
		if (d->zone != PATTERN_FIELD && s->zones[d->zone].db)
			return fail(o, "patterns: two databases for one zone");
		e = hs_deserialize_database(o->base + d->off, d->len, &base.db);
		if (e == HS_DB_PLATFORM_ERROR)
			return fail(o, "patterns: compiled for a better CPU than this one");
		if (e != HS_SUCCESS)
			return fail(o, "patterns: a database is damaged or of another Hyperscan");
		e = hs_stream_size(base.db, &size);
		if ((e == HS_SUCCESS) != pattern_zone_streams(d->zone)) {
			hs_free_database(base.db);
			return fail(o, "patterns: a database is of the wrong mode for its zone");
		}
		if (d->zone != PATTERN_FIELD) {
			s->zones[d->zone] = base;
		} else if (!open_field(o, s->strings + d->header, base)) {
			hs_free_database(base.db);
			return false;
		}
	}
	return true;
}

static bool open_confirmation(struct pattern_opening *o)
{
	struct pattern_set *s = o->set;
	char why[200];
	bool any = false;

	for (uint32_t i = 0; i < s->header->n_expressions; i++)
		any |= (s->expressions[i].flags & PATTERN_CONFIRM) != 0;
	return !any || confirm_set_new(s, &s->confirm, why, sizeof(why)) == 0 ||
	       fail(o, "patterns: an expression that is to be confirmed is not one to PCRE2");
}

int pattern_open(const void *base, size_t len, struct pattern_set **ret_set, const char **ret_error)
{
	struct pattern_opening o = { .base = base, .len = len };

	o.set = calloc(1, sizeof(*o.set));
	if (!o.set) {
		*ret_error = "patterns: no memory";
		return -ENOMEM;
	}
	if (!open_frame(&o) || !open_rows(&o) || !open_databases(&o) || !open_confirmation(&o)) {
		pattern_close(o.set);
		*ret_error = o.error;
		return -EBADMSG;
	}
	struct mime_sink *k = &o.set->sink;
	*k = pattern_sink;
	if (!pattern_has_zone(o.set, PATTERN_HEADER))
		k->header = NULL;
	if (!pattern_has_zone(o.set, PATTERN_HEADER) && !pattern_has_zone(o.set, PATTERN_FIELD))
		k->field = NULL;
	if (!pattern_has_zone(o.set, PATTERN_BODY))
		k->body = k->decoded = NULL;
	if (!pattern_has_zone(o.set, PATTERN_TEXT))
		k->text = NULL;
	if (!pattern_has_zone(o.set, PATTERN_URL) && !pattern_has_zone(o.set, PATTERN_URI))
		k->url = NULL;
	*ret_set = o.set;
	return 0;
}

struct pattern_set *pattern_close(struct pattern_set *s)
{
	if (!s)
		return NULL;
	for (unsigned i = 0; i < PATTERN_N_ZONES; i++)
		hs_free_database(s->zones[i].db);
	for (unsigned i = 0; i < s->n_fields; i++)
		hs_free_database(s->fields[i].db);
	confirm_set_free(s->confirm);
	free(s);
	return NULL;
}

unsigned pattern_n_rules(const struct pattern_set *s)
{
	return s->header->n_rules;
}

void pattern_rule_get(const struct pattern_set *s, unsigned rule, struct pattern_rule *ret_rule)
{
	const struct pattern_rule_row *r = &s->rules[rule];

	*ret_rule = (struct pattern_rule){ s->strings + r->name, r->weight, r->action, r->flags };
	ret_rule->flags &= ~(uint32_t)PATTERN_RULE_LINES;
	if (!(r->flags & PATTERN_RULE_META) && !pattern_bit(s->message_rules, rule))
		ret_rule->flags |= PATTERN_RULE_LINES;
}

unsigned pattern_n_expressions(const struct pattern_set *s)
{
	return s->header->n_expressions;
}

void pattern_expression_get(
    const struct pattern_set *s, unsigned expression, struct pattern_expression *ret_expression)
{
	const struct pattern_expression_row *e = &s->expressions[expression];

	*ret_expression = (struct pattern_expression){ e->rule, e->zone, e->flags,
		s->strings + e->header, s->strings + e->source, e->line };
}

bool pattern_has_zone(const struct pattern_set *s, enum pattern_zone zone)
{
	return zone == PATTERN_FIELD ? s->n_fields > 0 : s->zones[zone].db != NULL;
}

bool pattern_has_message(const struct pattern_set *s)
{
	for (unsigned z = PATTERN_HEADER; z < PATTERN_N_ZONES; z++)
		if (pattern_has_zone(s, z))
			return true;
	return false;
}

const struct confirm_set *pattern_confirm_set(const struct pattern_set *s)
{
	return s->confirm;
}
