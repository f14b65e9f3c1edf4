/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `ipset save` writes and `ipset restore` reads (ipset(8)): `create` and `flush` say nothing
 * of addresses, `add` does. One set of the file is read: the named one, else the only one. A set of
 * another kind than addresses or networks has commas in its entries and is refused.
 */
#include "listfile.h"

#include <stdio.h>
#include <string.h>

struct words {
	const char *at, *end;
};

/* The next word, quotes taken off; false: none is left. */
static bool next_word(struct words *w, const char **ret_word, size_t *ret_len)
{
	while (w->at < w->end && (*w->at == ' ' || *w->at == '\t'))
		w->at++;
	if (w->at == w->end)
		return false;
	if (*w->at == '"') {
		const char *close = memchr(w->at + 1, '"', (size_t)(w->end - w->at - 1));
		*ret_word = w->at + 1;
		*ret_len = (size_t)((close == NULL ? w->end : close) - *ret_word);
		w->at = close == NULL ? w->end : close + 1;
		return true;
	}
	*ret_word = w->at;
	while (w->at < w->end && *w->at != ' ' && *w->at != '\t')
		w->at++;
	*ret_len = (size_t)(w->at - *ret_word);
	return true;
}

static bool is(const char *word, size_t len, const char *what)
{
	return strlen(what) == len && memcmp(word, what, len) == 0;
}

static bool is_one_of(const char *word, size_t len, const char *const *what)
{
	for (; *what != NULL; what++)
		if (is(word, len, *what))
			return true;
	return false;
}

static bool number(const char *text, size_t len, uint32_t *ret)
{
	uint64_t n = 0;
	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	if (n > UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* Whether the set's entries are wanted. */
static bool wanted(struct listfile *f, const char *line, const char *set, size_t len)
{
	const char *named = f->source->set;
	if (named != NULL && *named != '\0')
		return is(set, len, named);
	if (f->set[0] == '\0' && len != 0 && len < sizeof(f->set)) {
		memcpy(f->set, set, len);
		f->set[len] = '\0';
	}
	if (is(set, len, f->set))
		return true;
	listfile_mistake(
	    f, line, set, len, "is a second set in one file: `set` says which is meant");
	return false;
}

int listfile_ipset_line(struct listfile *f, const char *line, const char *text, size_t len)
{
	static const char *const silent[] = { "create", "-N", "flush", "-F", "COMMIT", "quit",
		NULL };
	static const char *const counted[] = { "packets", "bytes", "skbmark", "skbprio", "skbqueue",
		NULL };
	struct words words = { text, text + len };
	const char *word = text, *entry, *comment = "", *set;
	size_t n = 0, entry_len, comment_len = 0, set_len;
	struct inet_range range;
	uint32_t timeout_s = 0;
	bool except = false;
	while (next_word(&words, &word, &n) && (is(word, n, "-exist") || is(word, n, "-!")))
		;
	if (is_one_of(word, n, silent))
		return 0;
	if (!is(word, n, "add") && !is(word, n, "-A")) {
		listfile_mistake(f, line, word, n, "is no command that adds to a set");
		return 0;
	}
	do {
		if (!next_word(&words, &set, &set_len)) {
			listfile_mistake(f, line, text, len, "names no set");
			return 0;
		}
	} while (is(set, set_len, "-exist") || is(set, set_len, "-!"));
	if (!wanted(f, line, set, set_len))
		return 0;
	if (!next_word(&words, &entry, &entry_len)) {
		listfile_mistake(f, line, text, len, "has no entry");
		return 0;
	}
	const char *wrong = memchr(entry, ',', entry_len) != NULL
				? "is of a set with more than an address or network"
				: inet_parse_range(entry, entry_len, &range);
	while (wrong == NULL && next_word(&words, &word, &n)) {
		if (is(word, n, "nomatch"))
			except = true;
		else if (is(word, n, "timeout"))
			wrong = next_word(&words, &word, &n) && number(word, n, &timeout_s)
				    ? NULL
				    : "has a timeout that is no number of seconds";
		else if (is(word, n, "comment"))
			wrong = next_word(&words, &comment, &comment_len) ? NULL : "has no comment";
		else if (is_one_of(word, n, counted))
			wrong = next_word(&words, &word, &n) ? NULL : "ends too early";
		else if (!is(word, n, "-exist")) {
			listfile_mistake(f, line, word, n, "is no word of an entry");
			return 0;
		}
	}
	if (wrong != NULL) {
		listfile_mistake(f, line, entry, entry_len, wrong);
		return 0;
	}
	return listfile_keep(f, &range, except, timeout_s, comment, comment_len);
}
