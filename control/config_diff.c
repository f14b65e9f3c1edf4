/* SPDX-License-Identifier: BSD-3-Clause */
/* What differs between two configurations (config_diff.h): both become sorted rows, then one pass. */
#include "config_diff.h"
#include "config_walk.h"
#include "state_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

struct row {
	const char *path, *text;
	const struct schema_key *key;
	bool given;
};

struct rows {
	struct arena arena;
	size_t n, cap;
	struct row *items;
	bool failed;
};

static void add_row(void *arg, const char *path, const struct schema_key *key, unsigned flags,
    const struct config_value *value)
{
	struct rows *rows = arg;
	(void)flags;
	if (rows->n == rows->cap) {
		size_t cap = rows->cap == 0 ? 256 : 2 * rows->cap;
		struct row *items = realloc(rows->items, cap * sizeof(*items));
		if (items == NULL) {
			rows->failed = true;
			return;
		}
		rows->items = items;
		rows->cap = cap;
	}
	const char *copy = arena_text(&rows->arena, path, strlen(path));
	if (copy == NULL) {
		rows->failed = true;
		return;
	}
	rows->items[rows->n++] = (struct row){ copy, value->text, key, value->given };
}

static int by_path(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = strcmp(x->path, y->path);
	return order != 0 ? order : strcmp(x->text, y->text);
}

static void rows_of(const struct config *c, struct rows *rows)
{
	*rows = (struct rows){ .n = 0 };
	arena_init(&rows->arena);
	if (c != NULL)
		config_walk(c, add_row, rows);
	if (rows->n != 0)
		qsort(rows->items, rows->n, sizeof(*rows->items), by_path);
}

static void rows_fini(struct rows *rows)
{
	arena_fini(&rows->arena);
	free(rows->items);
}

struct diff {
	json_t *keys, *entries;
	json_int_t n_keys, n_added, n_removed;
};

static void tell_key(struct diff *d, const char *path, const char *old, const char *new)
{
	d->n_keys++;
	if (json_array_size(d->keys) < DIFF_ROWS_MAX)
		json_array_append_new(
		    d->keys, json_pack("{s:s, s:s?, s:s?}", "key", path, "old", old, "new", new));
}

/* The entry of a list of values; made when it is first needed. */
static json_t *entries_of(struct diff *d, const char *path)
{
	json_t *last = json_array_get(d->entries, json_array_size(d->entries) - 1);
	const char *key = json_string_value(json_object_get(last, "key"));
	if (key != NULL && strcmp(key, path) == 0)
		return last;
	last = json_pack("{s:s, s:[], s:[], s:i, s:i}", "key", path, "added", "removed", "n_added",
	    0, "n_removed", 0);
	json_array_append_new(d->entries, last);
	return last;
}

static void tell_entry(struct diff *d, const char *path, const char *text, size_t len, bool added)
{
	json_t *one = entries_of(d, path),
	       *names = json_object_get(one, added ? "added" : "removed");
	const char *count = added ? "n_added" : "n_removed";
	json_object_set_new(
	    one, count, json_integer(json_integer_value(json_object_get(one, count)) + 1));
	if (added)
		d->n_added++;
	else
		d->n_removed++;
	if (json_array_size(names) < DIFF_NAMED_MAX) {
		json_t *name = json_stringn(text, len);
		json_array_append_new(names, name == NULL ? json_string("(not UTF-8)") : name);
	}
}

static void compare_rows(struct diff *d, const struct rows *old, const struct rows *new)
{
	for (size_t i = 0, j = 0; i < old->n || j < new->n;) {
		const struct row *a = i < old->n ? &old->items[i] : NULL,
				 *b = j < new->n ? &new->items[j] : NULL;
		int order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a->path, b->path);
		const struct row *one = order <= 0 ? a : b;
		bool many = (one->key->flags & SCHEMA_MANY) != 0;
		if (order == 0 && many)
			order = strcmp(a->text, b->text);
		i += order <= 0;
		j += order >= 0;
		if (many && order != 0)
			tell_entry(d, one->path, one->text, strlen(one->text), order > 0);
		else if (order == 0 && strcmp(a->text, b->text) != 0)
			tell_key(d, a->path, a->text, b->text);
		else if (order < 0 && a->given && !many)
			tell_key(d, a->path, a->text, NULL);
		else if (order > 0 && b->given && !many)
			tell_key(d, b->path, NULL, b->text);
	}
}

/* ---- files ---- */

struct lines {
	char *text;
	size_t n;
	const char **items;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Lines that say something, cleaned of comments and blanks, sorted. */
static bool lines_of(const char *kept, const json_t *file, struct lines *ret_lines)
{
	const char *sha = json_string_value(json_object_get(file, "sha256"));
	struct lines lines = { NULL, 0, NULL };
	char *path = NULL;
	size_t len = 0, most = 1;
	if (file == NULL) { /* there was none: empty */
		*ret_lines = lines;
		return true;
	}
	if (kept == NULL || sha == NULL || !json_is_true(json_object_get(file, "kept")) ||
	    asprintf(&path, "%s/%s", kept, sha) < 0)
		return false;
	int ret = state_read(path, FILE_MAX, &lines.text, &len);
	free(path);
	if (ret != 0)
		return false;
	for (size_t i = 0; i < len; i++)
		most += lines.text[i] == '\n';
	lines.items = malloc(most * sizeof(*lines.items));
	if (lines.items == NULL) {
		free(lines.text);
		return false;
	}
	for (char *p = lines.text, *next; p != NULL; p = next) {
		next = strchr(p, '\n');
		if (next != NULL)
			*next++ = '\0';
		p[strcspn(p, "#")] = '\0';
		p += strspn(p, " \t\r");
		size_t n = strlen(p);
		while (n != 0 && strchr(" \t\r", p[n - 1]) != NULL)
			p[--n] = '\0';
		if (n != 0)
			lines.items[lines.n++] = p;
	}
	qsort(lines.items, lines.n, sizeof(*lines.items), by_text);
	*ret_lines = lines;
	return true;
}

static void compare_lines(
    struct diff *d, const char *key, const struct lines *old, const struct lines *new)
{
	for (size_t i = 0, j = 0; i < old->n || j < new->n;) {
		int order = i == old->n   ? 1
			    : j == new->n ? -1
					  : strcmp(old->items[i], new->items[j]);
		const char *text = order <= 0 ? old->items[i] : new->items[j];
		i += order <= 0;
		j += order >= 0;
		if (order != 0)
			tell_entry(d, key, text, strlen(text), order > 0);
	}
	if (json_array_size(d->entries) == 0)
		return;
	json_t *one = json_array_get(d->entries, json_array_size(d->entries) - 1);
	if (strcmp(json_string_value(json_object_get(one, "key")), key) == 0)
		json_object_set_new(one, "n_before", json_integer((json_int_t)old->n));
}

static const json_t *file_of(const json_t *files, const char *key)
{
	for (size_t i = 0; i < json_array_size(files); i++) {
		const json_t *one = json_array_get(files, i);
		const char *name = json_string_value(json_object_get(one, "key"));
		if (name != NULL && strcmp(name, key) == 0)
			return one;
	}
	return NULL;
}

static void compare_file(struct diff *d, const json_t *old, const json_t *new, const char *kept)
{
	const char *key = json_string_value(json_object_get(old != NULL ? old : new, "key"));
	struct lines before = { NULL, 0, NULL }, after = { NULL, 0, NULL };
	if (key == NULL || (old != NULL && new != NULL &&json_equal(json_object_get(old, "sha256"),
						      json_object_get(new, "sha256"))))
		return;
	if (lines_of(kept, old, &before) && lines_of(kept, new, &after))
		compare_lines(d, key, &before, &after);
	else
		json_array_append_new(d->entries, json_pack("{s:s, s:n, s:n, s:n, s:n}", "key", key,
						      "added", "removed", "n_added", "n_removed"));
	free(before.items);
	free(before.text);
	free(after.items);
	free(after.text);
}

json_t *config_diff(const struct diff_side *old, const struct diff_side *new, const char *kept)
{
	struct diff d = { json_array(), json_array(), 0, 0, 0 };
	struct rows before, after;
	rows_of(old->config, &before);
	rows_of(new->config, &after);
	compare_rows(&d, &before, &after);
	rows_fini(&before);
	rows_fini(&after);
	for (size_t i = 0; i < json_array_size(old->files); i++) {
		const json_t *one = json_array_get(old->files, i);
		const char *key = json_string_value(json_object_get(one, "key"));
		compare_file(&d, one, key == NULL ? NULL : file_of(new->files, key), kept);
	}
	for (size_t i = 0; i < json_array_size(new->files); i++) {
		const json_t *one = json_array_get(new->files, i);
		const char *key = json_string_value(json_object_get(one, "key"));
		if (key != NULL && file_of(old->files, key) == NULL)
			compare_file(&d, NULL, one, kept);
	}
	return json_pack("{s:o, s:o, s:I, s:I, s:I}", "keys", d.keys, "entries", d.entries,
	    "n_keys", d.n_keys, "n_added", d.n_added, "n_removed", d.n_removed);
}

/* ---- drift ---- */

enum weaker { WEAKER_GREATER, WEAKER_LESS, WEAKER_WORD };

/* Which way a key weakens: the first row whose section and last word fit ("": any). */
static const struct {
	const char *section, *last;
	enum weaker how;
	const char *words[8]; /* WEAKER_WORD: from the weakest; words not named are as strong as the
				 last */
} weakenings[] = {
	{ "limits.", "", WEAKER_GREATER, { NULL } },
	{ "score.", "", WEAKER_GREATER, { NULL } },
	{ "", "state", WEAKER_WORD, { "off", "shadow", "enforce", NULL } },
	{ "", "action", WEAKER_WORD, { "pass", "none", "mark", "grey", "defer", "refuse", NULL } },
	{ "", "verify_share", WEAKER_GREATER, { NULL } },
	{ "", "share", WEAKER_LESS, { NULL } },
	{ "", "weight", WEAKER_LESS, { NULL } },
	{ "smtp.", "bare_newline", WEAKER_WORD, { "normalize", "reject", NULL } },
	{ "smtp.", "starttls_max_score", WEAKER_GREATER, { NULL } },
	{ "smtp.", "greet_delay_ms", WEAKER_LESS, { NULL } },
};

static int rank_of(const char *const *words, const char *word)
{
	size_t digits = strspn(word, "0123456789");
	if (digits != 0 && strcmp(word + digits, "%") == 0) /* a state: between shadow and enforce */
		return 2 + (int)strtol(word, NULL, 10);
	if (strcmp(word, "enforce") == 0)
		return 200;
	int i = 0;
	while (words[i + 1] != NULL && strcmp(words[i], word) != 0)
		i++;
	return i;
}

/* Sections whose entries enforce nothing. */
static bool is_plumbing(const char *path)
{
	static const char *const sections[] = { "host.", "pools.", "listeners." };
	for (unsigned i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (strncmp(path, sections[i], strlen(sections[i])) == 0)
			return true;
	return false;
}

static bool is_weaker(const char *path, const char *old, const char *new)
{
	const char *dot = strrchr(path, '.'), *last = dot == NULL ? path : dot + 1;
	for (unsigned i = 0; !is_plumbing(path) && i < sizeof(weakenings) / sizeof(weakenings[0]);
	     i++) {
		const char *section = weakenings[i].section;
		if (strncmp(path, section, strlen(section)) != 0 ||
		    (*weakenings[i].last != '\0' && strcmp(weakenings[i].last, last) != 0))
			continue;
		long long a = strtoll(old, NULL, 10), b = strtoll(new, NULL, 10);
		switch (weakenings[i].how) {
		case WEAKER_GREATER: return b > a;
		case WEAKER_LESS: return b < a;
		case WEAKER_WORD:
			return rank_of(weakenings[i].words, new) < rank_of(weakenings[i].words, old);
		}
	}
	return false;
}

__attribute__((format(printf, 2, 3))) static void warn(json_t *drift, const char *format, ...)
{
	char text[1024];
	va_list args;
	size_t n = json_array_size(drift);
	if (n == DRIFT_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n + 1 == DRIFT_MAX)
		snprintf(
		    text, sizeof(text), "more is enforced no longer; `posternctl diff` shows it");
	json_array_append_new(drift, json_string(text));
}

struct gone {
	const char *path; /* of an entry's `action` */
	const char *text;
};

static void find_action(void *arg, const char *path, const struct schema_key *key, unsigned flags,
    const struct config_value *value)
{
	struct gone *gone = arg;
	(void)key;
	(void)flags;
	if (strcmp(path, gone->path) == 0)
		gone->text = value->text;
}

/* "lists.friends" of "lists.friends.entries" passes clients: less of it is no less enforced. */
static bool is_allowing(const struct config *c, const char *path)
{
	char action[CONFIG_PATH_MAX + 8];
	const char *dot = strrchr(path, '.');
	int len = dot == NULL ? 0 : (int)(dot - path);
	snprintf(action, sizeof(action), "%.*s.action", len, path);
	struct gone gone = { action, NULL };
	if (c != NULL)
		config_walk(c, find_action, &gone);
	return gone.text != NULL && strcmp(gone.text, "pass") == 0;
}

static void drift_of_keys(const struct diff_side *old, const json_t *keys, json_t *drift)
{
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *one = json_array_get(keys, i);
		const char *path = json_string_value(json_object_get(one, "key"));
		const char *a = json_string_value(json_object_get(one, "old"));
		const char *b = json_string_value(json_object_get(one, "new"));
		const char *dot = strrchr(path, '.');
		bool names =
		    dot != NULL && (strcmp(dot, ".name") == 0 || strcmp(dot, ".domain") == 0);
		if (a != NULL && b != NULL && is_weaker(path, a, b))
			warn(drift, "%s is weaker: %s, was %s", path, b, a);
		else if (a != NULL && b == NULL && names && !is_plumbing(path) &&
			 !is_allowing(old->config, path))
			warn(drift, "%.*s is gone", (int)(dot - path), path);
	}
}

static void drift_of_entries(const struct diff_side *old, const json_t *entries, json_t *drift)
{
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *one = json_array_get(entries, i);
		const char *path = json_string_value(json_object_get(one, "key"));
		json_int_t removed = json_integer_value(json_object_get(one, "n_removed"));
		const json_t *before = json_object_get(one, "n_before"); /* of files alone */
		const char *first =
		    json_string_value(json_array_get(json_object_get(one, "removed"), 0));
		if (removed == 0 || is_plumbing(path) || is_allowing(old->config, path))
			continue;
		/* a feed loses entries every hour: half of them at once is no feed's doing */
		if (before != NULL && (removed < 10 || removed * 2 < json_integer_value(before)))
			continue;
		warn(drift, "%s lost %lld %s (%s%s)", path, (long long)removed,
		    removed == 1 ? "entry" : "entries", first == NULL ? "?" : first,
		    removed == 1 ? "" : ", ...");
	}
}

json_t *config_drift(const struct diff_side *old, const json_t *diff)
{
	json_t *drift = json_array();
	drift_of_keys(old, json_object_get(diff, "keys"), drift);
	drift_of_entries(old, json_object_get(diff, "entries"), drift);
	return drift;
}
