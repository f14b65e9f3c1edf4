/* SPDX-License-Identifier: BSD-3-Clause */
/* See replay_answers.h: lines become sorted keys with a value each. */
#include "replay_answers.h"

#include "fail.h"

#include "filters/address_form.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEY_MAX = 400, NAME_MAX_LEN = 254, EVENT_NAME_CUT = 63 };

struct recorded {
	char *key; /* its value's name, if any, behind the zero */
	uint32_t lists;
	uint32_t order; /* line: the later holds */
	uint8_t status, result;
};

struct answers {
	const struct policy *policy;
	psl_ctx_t *psl;
	struct recorded *rows;
	size_t n, cap;
};

/* ---- keys ---- */

static size_t lower(char *to, size_t room, const char *from, size_t len)
{
	size_t n = 0;

	for (; n < len && n + 1 < room; n++)
		to[n] = (char)(from[n] >= 'A' && from[n] <= 'Z' ? from[n] | 0x20 : from[n]);
	if (n > 0 && to[n - 1] == '.')
		n--;
	to[n] = '\0';
	return n;
}

/* kind: l h s m f; addr and domain where it has them. */
static void make_key(char key[KEY_MAX], char kind, const uint8_t *addr, const char *domain)
{
	size_t at = 0;

	key[at++] = kind;
	for (unsigned i = 0; addr && i < 16; i++)
		at += (size_t)snprintf(key + at, KEY_MAX - at, "%02x", addr[i]);
	key[at++] = ' ';
	lower(key + at, KEY_MAX - at, domain, strlen(domain));
}

static bool read_address(const char *text, uint8_t ret_addr[16])
{
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1) {
		address_from_v4(ret_addr, v4);
		return true;
	}
	return inet_pton(AF_INET6, text, ret_addr) == 1;
}

static int add(struct answers *a, char kind, const uint8_t *addr, const char *domain,
    const char *name, struct recorded row)
{
	char key[KEY_MAX];
	size_t len, name_len = name ? strlen(name) : 0;

	if (a->n == REPLAY_ANSWERS_MAX)
		return -E2BIG;
	if (a->n == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 256;
		struct recorded *rows = realloc(a->rows, cap * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		a->rows = rows;
		a->cap = cap;
	}
	make_key(key, kind, addr, domain);
	len = strlen(key);
	row.key = malloc(len + name_len + 2);
	if (!row.key)
		return -ENOMEM;
	memcpy(row.key, key, len + 1);
	lower(row.key + len + 1, name_len + 1, name ? name : "", name_len);
	row.order = (uint32_t)a->n;
	a->rows[a->n++] = row;
	return 0;
}

static int by_key(const void *x, const void *y)
{
	const struct recorded *a = x, *b = y;
	int c = strcmp(a->key, b->key);

	return c ? c : a->order < b->order ? -1 : 1;
}

static const struct recorded *find(const struct answers *a, const char *key)
{
	size_t low = 0, high = a->n;

	while (low < high) { /* behind the last of the equal ones */
		size_t middle = (low + high) / 2;

		if (strcmp(a->rows[middle].key, key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && strcmp(a->rows[low - 1].key, key) == 0 ? &a->rows[low - 1] : NULL;
}

static const char *name_of(const struct recorded *row)
{
	return row->key + strlen(row->key) + 1;
}

/* ---- what the words mean ---- */

static int word_of(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++)
		if (words[i][0] && strcasecmp(words[i], word) == 0)
			return i;
	return -1;
}

/* In the order of enum spf_result and of FACT_SPF_NONE on. */
static const char *const spf_words[] = { "none", "neutral", "pass", "fail", "softfail", "temperror",
	"permerror", NULL };
static const char *const sender_words[] = {
	[ANSWER_FOUND] = "exists",
	[ANSWER_NONE] = "none",
	[ANSWER_FAILED] = "",
	[ANSWER_UNCONFIRMED] = "",
	[ANSWER_NULL_MX] = "null-mx",
	NULL,
};

/* The rows of the policy that a rule or list name stands for; 0: it has none of that name. */
static uint32_t list_bit(const struct policy *policy, const char *name)
{
	const struct policy_dns *dns = &policy_settings(policy)->dns;

	for (unsigned i = 0; i < dns->n_lists; i++) {
		const char *full =
		    policy_string(policy, policy_rule(policy, dns->lists[i].rule)->name);
		const char *dot = strchr(full, '.');

		if (strcmp(full, name) == 0 || (dot && strcmp(dot + 1, name) == 0))
			return 1u << i;
	}
	return 0;
}

static int add_host(struct answers *a, const uint8_t *addr, const char *word)
{
	struct recorded row = { .status = ANSWER_FOUND };

	if (strcasecmp(word, "none") == 0)
		row.status = ANSWER_NONE;
	else if (strcasecmp(word, "unconfirmed") == 0)
		row.status = ANSWER_UNCONFIRMED;
	return add(a, 'h', addr, "", row.status == ANSWER_FOUND ? word : NULL, row);
}

/* ---- lines of our own ---- */

static char *next_word(char **at)
{
	char *word = *at + strspn(*at, " \t");

	if (!*word)
		return NULL;
	*at = word + strcspn(word, " \t");
	if (**at)
		*(*at)++ = '\0';
	return word;
}

static const char own_form[] =
    "say `listed ADDRESS NAME,...|nowhere`, `host ADDRESS "
    "NAME|none|unconfirmed`, `sender DOMAIN exists|none|null-mx`, `sender "
    "DOMAIN mx ADDRESS` or `spf ADDRESS DOMAIN RESULT`";

/* 0; -EINVAL with what is wrong; -errno. */
static int read_own(struct answers *a, char *line, const char **ret_wrong)
{
	char *what = next_word(&line), *of = next_word(&line), *word = next_word(&line);
	char *more = next_word(&line);
	struct recorded row = { .status = ANSWER_FOUND };
	uint8_t addr[16];
	int i;

	*ret_wrong = own_form;
	if (!of || !word || next_word(&line) || strlen(of) > NAME_MAX_LEN)
		return -EINVAL;
	if (strcmp(what, "sender") == 0) {
		if (strcmp(word, "mx") == 0 && more && read_address(more, addr)) {
			row.result = 1;
			i = add(a, 'm', addr, of, NULL, row);
			row.result = 0;
			return i ? i : add(a, 's', NULL, of, NULL, row);
		}
		i = word_of(sender_words, word);
		if (i < 0 || more)
			return -EINVAL;
		row.status = (uint8_t)i;
		return add(a, 's', NULL, of, NULL, row);
	}
	if (!read_address(of, addr))
		return -EINVAL;
	if (strcmp(what, "spf") == 0 && more) {
		i = word_of(spf_words, more);
		*ret_wrong =
		    "the result of SPF is none, neutral, pass, fail, softfail, temperror or "
		    "permerror";
		if (i < 0 || strlen(word) > NAME_MAX_LEN)
			return -EINVAL;
		row.result = (uint8_t)i;
		return add(a, 'f', addr, word, word, row);
	}
	if (more)
		return -EINVAL;
	if (strcmp(what, "host") == 0)
		return strlen(word) > NAME_MAX_LEN ? -EINVAL : add_host(a, addr, word);
	if (strcmp(what, "listed") != 0)
		return -EINVAL;
	for (char *save = NULL, *name = strtok_r(word, ",", &save); name;
	     name = strtok_r(NULL, ",", &save))
		row.lists |= list_bit(a->policy, name); /* a list that the policy lacks: nothing */
	return add(a, 'l', addr, "", NULL, row);
}

/* ---- lines of the event log ---- */

static const char *text_in(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool fact_is(const json_t *facts, const char *word)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(facts, "true"), i,
	    item) if (strcmp(json_string_value(item) ? json_string_value(item) : "", word) ==
		      0) return true;
	return false;
}

/* What the session's MAIL was about; NULL: none, or cut in the log. */
static const char *domain_in(const json_t *event, bool or_helo)
{
	const char *mail = text_in(event, "mail"), *at = strrchr(mail, '@');

	if (strlen(mail) >= EVENT_NAME_CUT)
		return NULL;
	if (at)
		return at + 1;
	mail = text_in(event, "helo");
	return or_helo && *mail && strlen(mail) < EVENT_NAME_CUT ? mail : NULL;
}

static int read_names(
    struct answers *a, const json_t *event, const json_t *facts, const uint8_t addr[16])
{
	const char *sender = text_in(facts, "sender"), *spf = text_in(facts, "spf");
	const char *domain = domain_in(event, false), *judged = domain_in(event, true);
	struct recorded row = { .status = ANSWER_FOUND };
	bool exists = strcmp(sender, "exists") == 0;
	int rc = 0, i;

	if (domain && *sender && strcmp(sender, "failed") != 0) {
		row.status = exists                           ? ANSWER_FOUND
			     : strcmp(sender, "null_mx") == 0 ? ANSWER_NULL_MX
							      : ANSWER_NONE;
		rc = add(a, 's', NULL, domain, NULL, row);
		if (rc == 0 && exists && fact_is(facts, "sender_is_mx")) {
			row.result = 1;
			rc = add(a, 'm', addr, domain, NULL, row);
		}
	}
	i = word_of(spf_words, spf);
	if (rc == 0 && judged && i >= 0) {
		row = (struct recorded){ .status = ANSWER_FOUND, .result = (uint8_t)i };
		rc = add(a, 'f', addr, judged, judged, row);
	}
	return rc;
}

static int read_event(struct answers *a, const char *line, const char **ret_wrong)
{
	json_t *event = json_loads(line, 0, NULL), *facts = json_object_get(event, "facts"), *name;
	struct recorded row = { .status = ANSWER_FOUND };
	const char *host;
	uint8_t addr[16];
	int rc = 0;
	size_t i;

	*ret_wrong = "is no line of an event log";
	if (!event)
		return -EINVAL;
	if (facts && read_address(text_in(event, "client"), addr)) {
		json_array_foreach(json_object_get(facts, "dns"), i,
		    name) if (json_string_value(name)) row.lists |=
		    list_bit(a->policy, json_string_value(name));
		rc = add(a, 'l', addr, "", NULL, row);
		host = text_in(facts, "host");
		if (rc == 0 && strcmp(host, "confirmed") == 0 &&
		    strlen(text_in(facts, "host_name")) < EVENT_NAME_CUT)
			rc = add_host(a, addr, text_in(facts, "host_name"));
		else if (rc == 0 && (!strcmp(host, "none") || !strcmp(host, "unconfirmed")))
			rc = add_host(a, addr, host);
		rc = rc ? rc : read_names(a, event, facts, addr);
	}
	json_decref(event);
	return rc;
}

/* ---- the file ---- */

static int read_lines(struct answers *a, FILE *f, const char *file, char *line, char **ret_error)
{
	unsigned long number = 0;
	const char *wrong = NULL;
	size_t len;
	int rc = 0;

	while (rc == 0 && fgets(line, REPLAY_LINE_MAX, f)) {
		number++;
		len = strlen(line);
		if (len == REPLAY_LINE_MAX - 1)
			return fail(ret_error, EINVAL, "%s:%lu: a line of more than %d bytes", file,
			    number, REPLAY_LINE_MAX - 2);
		while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			line[--len] = '\0';
		if (line[0] == '{') {
			rc = read_event(a, line, &wrong);
		} else if (line[strspn(line, " \t")] && line[strspn(line, " \t")] != '#') {
			rc = read_own(a, line, &wrong);
		}
	}
	if (rc == -EINVAL)
		return fail(ret_error, EINVAL, "%s:%lu: %s", file, number, wrong);
	if (rc == -E2BIG)
		return fail(ret_error, E2BIG, "%s:%lu: more than %d answers", file, number,
		    REPLAY_ANSWERS_MAX);
	if (rc == 0 && ferror(f))
		rc = -EIO;
	return rc ? fail(ret_error, -rc, "%s: %s", file, strerror(-rc)) : 0;
}

int answers_read(
    const char *file, const struct policy *policy, struct answers **ret_answers, char **ret_error)
{
	struct answers *a = calloc(1, sizeof(*a));
	char *line = malloc(REPLAY_LINE_MAX);
	FILE *f = file ? fopen(file, "re") : NULL;
	int rc = 0;

	if (!a || !line)
		rc = fail(ret_error, ENOMEM, "no memory for answers");
	else if (file && !f)
		rc = fail(ret_error, errno, "%s: %s", file, strerror(errno));
	if (rc == 0) {
		a->policy = policy;
		a->psl = (void *)psl_latest(NULL);
	}
	if (rc == 0 && f)
		rc = read_lines(a, f, file, line, ret_error);
	if (rc == 0 && a->n)
		qsort(a->rows, a->n, sizeof(*a->rows), by_key);
	if (f)
		fclose(f);
	free(line);
	if (rc)
		a = answers_free(a);
	else
		*ret_answers = a;
	return rc;
}

struct answers *answers_free(struct answers *a)
{
	if (a) {
		for (size_t i = 0; i < a->n; i++)
			free(a->rows[i].key);
		free(a->rows);
		psl_free(a->psl);
		free(a);
	}
	return NULL;
}

size_t answers_n(const struct answers *a)
{
	return a->n;
}

/* ---- finding ---- */

static uint8_t org_of(const struct answers *a, const char *name)
{
	const char *org = a->psl ? psl_registrable_domain(a->psl, name) : NULL;

	return org ? (uint8_t)(org - name) : 0xff;
}

bool answers_find(const struct answers *a, const struct question *q, struct answer *ret_answer)
{
	const char *at = strrchr(q->sender, '@');
	const struct recorded *row = NULL;
	char key[KEY_MAX];

	switch ((enum question_kind)q->kind) {
	case QUESTION_DNSL: make_key(key, 'l', q->addr, ""); break;
	case QUESTION_PTR: make_key(key, 'h', q->addr, ""); break;
	case QUESTION_SENDER:
		make_key(key, 'm', q->addr, q->sender);
		row = find(a, key);
		make_key(key, 's', NULL, q->sender);
		break;
	case QUESTION_SPF:
		make_key(key, 'f', q->addr, q->sender[0] && at ? at + 1 : q->helo);
		break;
	default: key[0] = '\0'; break;
	}
	row = row ? row : find(a, key);
	*ret_answer = (struct answer){ .id = q->id,
		.kind = q->kind,
		.status = row ? row->status : ANSWER_FAILED,
		.org = 0xff,
		.version = q->version };
	if (!row)
		return false;
	ret_answer->result = row->result;
	ret_answer->lists = row->lists & q->lists;
	ret_answer->known = q->lists;
	snprintf(ret_answer->name, sizeof(ret_answer->name), "%s", name_of(row));
	if (ret_answer->name[0])
		ret_answer->org = org_of(a, ret_answer->name);
	return true;
}
