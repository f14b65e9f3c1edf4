/* SPDX-License-Identifier: BSD-3-Clause */
/* See impact.h. */
#include "impact.h"
#include "eventlog.h"
#include "inet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_MAX = 64, ROW_SLOTS = 2 * IMPACT_ROWS_MAX, PREFIX_SLOTS = 2 * IMPACT_PREFIXES_MAX };

const char *const impact_by_words[IMPACT_N_BY] = { "prefix", "tenant", "domain" };

struct row {
	char group[GROUP_MAX]; /* "": free */
	uint64_t sessions, shadow, messages, accepted, refused;
};

struct impact {
	struct row rows[ROW_SLOTS], sum;
	unsigned n_rows, n_prefixes, n_codes;
	uint64_t prefixes[PREFIX_SLOTS]; /* hashes; 0: free */
	struct {
		unsigned code;
		uint64_t n;
	} codes[IMPACT_CODES_MAX];
	json_t *examples;
};

static uint64_t hash_of(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;
	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	h ^= h >> 29;
	return h == 0 ? 1 : h;
}

static bool has(const json_t *event, const char *list, const char *rule)
{
	const json_t *names = json_object_get(event, list);
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		if (name != NULL && strcmp(name, rule) == 0)
			return true;
	}
	return false;
}

/* "192.0.2.0/24", "2001:db8:1::/64" */
static void prefix_of(const char *client, char ret_text[GROUP_MAX])
{
	struct inet_range range;
	char addr[INET_TEXT_MAX];
	if (client == NULL || inet_parse_range(client, strlen(client), &range) != NULL) {
		snprintf(ret_text, GROUP_MAX, "?");
		return;
	}
	bool v4 = strchr(client, ':') == NULL;
	memset(range.first + (v4 ? 15 : 8), 0, v4 ? 1 : 8);
	inet_print(range.first, addr);
	snprintf(ret_text, GROUP_MAX, "%.50s%s", addr, v4 ? "/24" : "/64");
}

static void group_of(const json_t *event, enum impact_by by, const char *prefix, char *ret_text)
{
	const char *rcpt = json_string_value(json_object_get(event, "rcpt"));
	const char *at = rcpt == NULL ? NULL : strrchr(rcpt, '@');
	if (by == IMPACT_BY_PREFIX)
		snprintf(ret_text, GROUP_MAX, "%s", prefix);
	else if (by == IMPACT_BY_TENANT)
		snprintf(ret_text, GROUP_MAX, "%lld",
		    (long long)json_integer_value(json_object_get(event, "tenant")));
	else
		snprintf(ret_text, GROUP_MAX, "%.60s", at == NULL ? "(no recipient)" : at + 1);
}

static struct row *row_of(struct impact *m, const char *group)
{
	for (uint64_t i = hash_of(group);; i++) {
		struct row *row = &m->rows[i % ROW_SLOTS];
		if (strcmp(row->group, group) == 0)
			return row;
		if (row->group[0] != '\0')
			continue;
		if (m->n_rows == IMPACT_ROWS_MAX)
			return NULL;
		m->n_rows++;
		snprintf(row->group, sizeof(row->group), "%s", group);
		return row;
	}
}

static void note_prefix(struct impact *m, const char *prefix)
{
	uint64_t h = hash_of(prefix), i = h;
	while (m->prefixes[i % PREFIX_SLOTS] != 0 && m->prefixes[i % PREFIX_SLOTS] != h)
		i++;
	if (m->prefixes[i % PREFIX_SLOTS] == h || m->n_prefixes == IMPACT_PREFIXES_MAX)
		return;
	m->prefixes[i % PREFIX_SLOTS] = h;
	m->n_prefixes++;
}

static void note_code(struct impact *m, unsigned code)
{
	unsigned i = 0;
	while (i < m->n_codes && m->codes[i].code != code)
		i++;
	if (i == IMPACT_CODES_MAX)
		return;
	m->n_codes += i == m->n_codes;
	m->codes[i].code = code;
	m->codes[i].n++;
}

static void add(struct row *row, bool shadow, uint64_t messages, bool refused)
{
	row->sessions++;
	row->shadow += shadow;
	row->messages += messages;
	row->accepted += messages != 0;
	row->refused += refused;
}

/* The newest stay. */
static void note_example(struct impact *m, const json_t *event)
{
	static const char *const keys[] = { "time", "client", "mail", "rcpt", "messages",
		"backend_code", NULL };
	json_t *one = json_object();
	for (unsigned i = 0; keys[i] != NULL; i++) {
		json_t *value = json_object_get(event, keys[i]);
		if (value != NULL)
			json_object_set(one, keys[i], value);
	}
	if (json_array_size(m->examples) == IMPACT_EXAMPLES)
		json_array_remove(m->examples, 0);
	json_array_append_new(m->examples, one);
}

static void take(struct impact *m, const json_t *event, const char *rule, enum impact_by by)
{
	bool shadow = has(event, "shadow", rule), enforced = !shadow && has(event, "rules", rule);
	const char *kind = json_string_value(json_object_get(event, "event"));
	char prefix[GROUP_MAX], group[GROUP_MAX];
	if ((!shadow && !enforced) || kind == NULL || strcmp(kind, "session") != 0)
		return;
	uint64_t messages = (uint64_t)json_integer_value(json_object_get(event, "messages"));
	unsigned code = (unsigned)json_integer_value(json_object_get(event, "backend_code"));
	prefix_of(json_string_value(json_object_get(event, "client")), prefix);
	group_of(event, by, prefix, group);
	add(&m->sum, shadow, messages, code != 0);
	struct row *row = row_of(m, group);
	if (row != NULL)
		add(row, shadow, messages, code != 0);
	note_prefix(m, prefix);
	if (code != 0)
		note_code(m, code);
	note_example(m, event);
}

static int by_sessions(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->sessions != y->sessions)
		return x->sessions < y->sessions ? 1 : -1;
	return strcmp(x->group, y->group);
}

static json_t *impact_json(struct impact *m, const char *rule, enum impact_by by)
{
	json_t *rows = json_array(), *codes = json_object();
	uint64_t told = 0;
	qsort(m->rows, ROW_SLOTS, sizeof(m->rows[0]), by_sessions);
	for (unsigned i = 0; i < m->n_rows && i < IMPACT_ROWS_TOLD; i++) {
		const struct row *row = &m->rows[i];
		told += row->sessions;
		json_array_append_new(rows,
		    json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "group", row->group, "sessions",
			(json_int_t)row->sessions, "shadow", (json_int_t)row->shadow, "messages",
			(json_int_t)row->messages, "accepted", (json_int_t)row->accepted, "refused",
			(json_int_t)row->refused));
	}
	for (unsigned i = 0; i < m->n_codes; i++) {
		char code[16];
		snprintf(code, sizeof(code), "%u", m->codes[i].code);
		json_object_set_new(codes, code, json_integer((json_int_t)m->codes[i].n));
	}
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:i, s:b, s:I, s:I, s:I, s:o, s:o, s:I, s:O}",
	    "rule", rule, "by", impact_by_words[by], "sessions", (json_int_t)m->sum.sessions,
	    "shadow", (json_int_t)m->sum.shadow, "enforced",
	    (json_int_t)(m->sum.sessions - m->sum.shadow), "prefixes", (int)m->n_prefixes,
	    "prefixes_full", m->n_prefixes == IMPACT_PREFIXES_MAX, "accepted",
	    (json_int_t)m->sum.accepted, "messages", (json_int_t)m->sum.messages, "refused",
	    (json_int_t)m->sum.refused, "codes", codes, "rows", rows, "other",
	    (json_int_t)(m->sum.sessions - told), "examples", m->examples);
}

int impact_of(
    const char *path, const char *rule, int64_t since_ms, enum impact_by by, json_t **ret_impact)
{
	struct impact *m = calloc(1, sizeof(*m));
	struct eventlog *log = NULL;
	char quoted[128];
	const char *line;
	size_t len;
	int ret = m == NULL ? -ENOMEM : eventlog_open(path, since_ms, false, &log);
	if (ret != 0)
		goto out;
	m->examples = json_array();
	/* most lines do not name the rule: they are not parsed */
	int n = snprintf(quoted, sizeof(quoted), "\"%.100s\"", rule);
	while ((ret = eventlog_next(log, &line, &len)) == 1) {
		if (memmem(line, len, quoted, (size_t)n) == NULL)
			continue;
		json_t *event = json_loadb(line, len, 0, NULL);
		if (event != NULL)
			take(m, event, rule, by);
		json_decref(event);
	}
	if (ret == 0)
		*ret_impact = impact_json(m, rule, by);
	json_decref(m->examples);
out:
	eventlog_close(log);
	free(m);
	return ret;
}
