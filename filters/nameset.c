/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking sets of names; the design is in names.h. */
#include "nameset.h"

#include "nameset_hash.h"

#include <string.h>

/* An address, taken apart and lower-cased once for all look-ups. */
struct asked {
	char text[NAMES_MAX_LEN + 1];
	unsigned len, at; /* at: of the last @, len without one */
	bool null_sender;
};

static bool take_apart(struct text address, struct asked *a)
{
	if (address.len > NAMES_MAX_LEN)
		return false;
	a->len = a->at = address.len;
	a->null_sender = address.len == 0;
	for (unsigned i = 0; i < address.len; i++) {
		a->text[i] = nameset_lower(address.p[i]);
		if (a->text[i] == '\0')
			return false;
		if (a->text[i] == '@')
			a->at = i;
	}
	while (a->len > 0 && a->at < a->len - 1 && a->text[a->len - 1] == '.') /* of the root */
		a->len--;
	a->text[a->len] = '\0';
	if (a->at > a->len)
		a->at = a->len;
	return true;
}

static const char *domain_of(const struct asked *a)
{
	return a->at < a->len ? a->text + a->at + 1 : a->text;
}

static bool expired(const struct name_entry *e, uint32_t now_s)
{
	return e->expires_s != 0 && e->expires_s <= now_s;
}

static bool find_one(const struct nameset *n, unsigned set, enum name_kind kind, const char *text,
    size_t len, uint32_t now_s)
{
	uint32_t hash = nameset_hash(set, kind, text, len);

	for (uint32_t k = 0; k < n->max_probes; k++) {
		const struct nameset_slot *s = &n->slots[(hash + k) & n->mask];
		const struct name_entry *e;

		if (s->index == 0)
			return false;
		if (s->hash != hash)
			continue;
		e = &n->entries[s->index - 1];
		if (e->set == set && e->kind == kind && !expired(e, now_s) &&
		    strncmp(n->strings + e->text, text, len) == 0 &&
		    n->strings[e->text + len] == '\0')
			return true;
	}
	return false;
}

/* `*` and `?`; one way back, to the last star: linear in practice, len * pattern at worst. */
static bool glob(const char *pattern, const char *text)
{
	const char *star = NULL, *back = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			back = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool find_glob(const struct nameset *n, unsigned set, const char *text, uint32_t now_s)
{
	const struct name_entry *e = n->entries + n->n_entries - n->n_globs;

	for (uint32_t i = 0; i < n->n_globs; i++, e++)
		if (e->set == set && !expired(e, now_s) && glob(n->strings + e->text, text))
			return true;
	return false;
}

static bool find_parent(const struct nameset *n, unsigned set, const char *domain, uint32_t now_s)
{
	const char *parents[NAMES_MAX_PARENTS];
	unsigned k = 0;

	for (const char *dot = strchr(domain, '.'); dot; dot = strchr(dot + 1, '.'))
		parents[k++ % NAMES_MAX_PARENTS] = dot + 1;
	for (unsigned i = k < NAMES_MAX_PARENTS ? 0 : k - NAMES_MAX_PARENTS; i < k; i++) {
		const char *parent = parents[i % NAMES_MAX_PARENTS];

		if (find_one(n, set, NAME_PARENT, parent, strlen(parent), now_s))
			return true;
	}
	return false;
}

bool nameset_empty(const struct nameset *n, unsigned set)
{
	return set >= n->n_sets || n->kinds[set] == 0;
}

bool nameset_find(const struct nameset *n, unsigned set, struct text address, uint32_t now_s,
    enum name_kind *ret_kind)
{
	enum name_kind kind;
	struct asked a;
	uint8_t has;

	if (nameset_empty(n, set) || !take_apart(address, &a))
		return false;
	has = n->kinds[set];
	if (has >> NAME_ADDRESS & 1 && find_one(n, set, NAME_ADDRESS, a.null_sender ? "<>" : a.text,
					   a.null_sender ? 2 : a.len, now_s))
		kind = NAME_ADDRESS;
	else if (a.null_sender)
		return false;
	else if (has >> NAME_LOCAL & 1 && a.at < a.len &&
		 find_one(n, set, NAME_LOCAL, a.text, a.at, now_s))
		kind = NAME_LOCAL;
	else if (has >> NAME_DOMAIN & 1 &&
		 find_one(n, set, NAME_DOMAIN, domain_of(&a), strlen(domain_of(&a)), now_s))
		kind = NAME_DOMAIN;
	else if (has >> NAME_PARENT & 1 && find_parent(n, set, domain_of(&a), now_s))
		kind = NAME_PARENT;
	else if (has >> NAME_GLOB & 1 && find_glob(n, set, a.text, now_s))
		kind = NAME_GLOB;
	else
		return false;
	if (ret_kind)
		*ret_kind = kind;
	return true;
}

static void put(char to[NAMES_MAX_LEN + 2], const char *text)
{
	memcpy(to, text,
	    strlen(text) + 1); /* at most NAMES_MAX_LEN long, as all that was taken apart */
}

/* The forms under which one half of a pair may be written, most specific first. */
static unsigned forms_of(struct asked *a, char forms[][NAMES_MAX_LEN + 2], unsigned max)
{
	unsigned n = 0;

	if (a->null_sender) {
		put(forms[n++], "<>");
	} else {
		put(forms[n++], a->text);
		if (a->at < a->len) {
			memcpy(forms[n], a->text, a->at + 1);
			forms[n++][a->at + 1] = '\0';
			put(forms[n++], domain_of(a));
		}
		for (const char *dot = strchr(domain_of(a), '.'); dot && n < max - 1;
		     dot = strchr(dot + 1, '.'))
			put(forms[n++], dot);
	}
	put(forms[n++], "*");
	return n;
}

bool nameset_find_pair(
    const struct nameset *n, unsigned set, struct text sender, struct text rcpt, uint32_t now_s)
{
	enum { FORMS = 8 };
	char of_sender[FORMS][NAMES_MAX_LEN + 2], of_rcpt[FORMS][NAMES_MAX_LEN + 2];
	char pair[2 * NAMES_MAX_LEN + 4];
	struct asked a, b;
	unsigned n_sender, n_rcpt;

	if (nameset_empty(n, set) || !take_apart(sender, &a) || !take_apart(rcpt, &b))
		return false;
	n_sender = forms_of(&a, of_sender, FORMS);
	n_rcpt = forms_of(&b, of_rcpt, FORMS);
	for (unsigned i = 0; i < n_sender; i++)
		for (unsigned k = 0; k < n_rcpt; k++) {
			size_t len = strlen(of_sender[i]), more = strlen(of_rcpt[k]);

			memcpy(pair, of_sender[i], len);
			pair[len] = ' ';
			memcpy(pair + len + 1, of_rcpt[k], more + 1);
			if (find_one(n, set, NAME_PAIR, pair, len + 1 + more, now_s))
				return true;
		}
	return false;
}
